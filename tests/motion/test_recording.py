"""A run's pictures on their way into a film."""

from fractions import Fraction

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.testing import assert_close

from oneira.errors import CheckpointError, PlanError
from oneira.images import from_levels, levels_of, load, resize
from oneira.motion.recording import ABOUT, Recording, filling
from oneira.motion.reel import Reel
from oneira.motion.work import WorkFolder
from oneira.motion.writing import write_film
from oneira.synthesis.steps import Step

RUN = {"plan": "one"}
RATE = Fraction(12)


def colour(number, size=(4, 6)):
    """A picture of one colour, which tells its number."""
    return torch.full((1, 3, *size), number / 255)


def step(done, total, stage=None):
    return Step(0, (4, 6), done, done, total, 0.0, {}, lambda: colour(done), None, stage)


def numbers(recording):
    """What has been kept, in order."""
    work = WorkFolder(recording.path)
    return [round(float(work.kept(number).mean()) * 255) for number in range(1, work.finished + 1)]


def recorded(path, dones, total, ends=(), **how):
    recording = Recording(path, RATE, **how)
    recording.claim(RUN)
    recording.begin(lambda: colour(0))
    for done in dones:
        recording.take(step(done, total, "leg" if done in ends else None), lambda done=done: colour(done))
    return recording


@pytest.mark.parametrize(
    ("how", "expected"),
    [
        ({"every": 1}, [0, 1, 2, 3, 4, 5, 6, 7]),
        ({"every": 3}, [0, 3, 6, 7]),
        ({"every": 99}, [0, 7]),
        ({}, [0, 1, 2, 3, 4, 5, 6, 7]),
        ({"stages": True}, [2, 5, 7]),
    ],
    ids=str,
)
def test_the_frames_are_those_that_are_asked_for_and_the_last(how, expected, tmp_path):
    assert numbers(recorded(tmp_path / "a.mp4", range(1, 8), 7, ends=(2, 5), **how)) == expected


def test_where_many_are_done_at_once_frames_are_as_far_apart_as_they_can(tmp_path):
    assert numbers(recorded(tmp_path / "a.mp4", [4, 9, 11, 30, 31], 33, every=10)) == [0, 11, 30]


@given(total=st.integers(1, 2000))
def test_left_out_there_are_about_a_hundred(total, tmp_path_factory):
    recording = Recording(tmp_path_factory.getbasetemp() / "a.mp4", RATE)
    due = [done for done in range(1, total + 1) if _taken(recording, step(done, total))]
    assert due[-1] == total
    assert min(total, ABOUT // 2) <= len(due) <= ABOUT + 1


def _taken(recording, step):
    """Whether a frame was due, without keeping any."""
    asked = []

    def picture():
        asked.append(step.done)
        raise InterruptedError

    try:
        recording.take(step, picture)
    except InterruptedError:
        recording._done = step.done
    return bool(asked)


@pytest.mark.parametrize("at", range(8))
@pytest.mark.parametrize("ahead", [0, 2])
def test_going_on_from_a_checkpoint_ends_in_the_same_film(at, ahead, tmp_path):
    """`ahead`: steps that were done behind the checkpoint, and will be done again."""
    whole = recorded(tmp_path / "whole.mp4", range(1, 8), 7, every=2)
    state = recorded(tmp_path / "broken.mp4", range(1, at + 1), 7, every=2).state()
    behind = Recording(tmp_path / "broken.mp4", RATE, every=2)
    behind.claim(RUN, state)
    for done in range(at + 1, min(at + ahead, 7) + 1):
        behind.take(step(done, 7), lambda: colour(200))  # not what the run will make, to see that it is forgotten
    again = Recording(tmp_path / "broken.mp4", RATE, every=2)
    again.claim(RUN, state)
    again.begin(lambda: colour(99))
    for done in range(at + 1, 8):
        again.take(step(done, 7), lambda done=done: colour(done))
    assert numbers(again) == numbers(whole)
    for recording in (whole, again):
        recording.write(None)
    assert again.path.read_bytes() == whole.path.read_bytes()


def test_the_film_is_that_of_its_frames_at_the_last_ones_size(tmp_path, generator):
    pictures = [torch.rand(1, 3, *size, generator=generator) for size in ((10, 14), (14, 20), (20, 28))]
    recording = Recording(tmp_path / "a.mp4", RATE, every=1)
    recording.claim(RUN)
    recording.begin(lambda: pictures[0])
    for done, picture in enumerate(pictures[1:], 1):
        recording.take(step(done, 2), lambda picture=picture: picture)
    recording.write(None)
    rounded = [resize(from_levels(levels_of(picture)), (20, 28)) for picture in pictures]
    stills = [lambda picture=picture: picture for picture in rounded]
    write_film(tmp_path / "b.mp4", Reel.steady(stills, RATE), size=(20, 28), rate=RATE)
    assert (tmp_path / "a.mp4").read_bytes() == (tmp_path / "b.mp4").read_bytes()
    recording.write(None, lambda stills: stills[::-1])
    assert (tmp_path / "a.mp4").read_bytes() != (tmp_path / "b.mp4").read_bytes()


def test_frames_of_another_run_are_in_the_way_and_stay(tmp_path):
    recorded(tmp_path / "a.mp4", [1], 7, every=1)
    for run, every in (({"plan": "other"}, 1), (RUN, 2)):
        other = Recording(tmp_path / "a.mp4", RATE, every=every)
        with pytest.raises(CheckpointError, match="another job"):
            other.claim(run)
        other.remove()
    assert load(tmp_path / "a.mp4.frames/000002.png").mean() > 0


def test_a_run_that_begins_anew_forgets_what_was_there(tmp_path):
    recorded(tmp_path / "a.mp4", [1, 2, 3], 7, every=1)
    assert numbers(recorded(tmp_path / "a.mp4", [1], 7, every=1)) == [0, 1]


def test_frames_that_are_gone_are_told(tmp_path):
    state = recorded(tmp_path / "a.mp4", [1, 2, 3], 7, every=1).state()
    (tmp_path / "a.mp4.frames/000002.png").unlink()
    with pytest.raises(CheckpointError, match="holds 1 of the 4 frames that go before; start without it"):
        Recording(tmp_path / "a.mp4", RATE, every=1).claim(RUN, state)


def test_in_the_end_nothing_is_left_but_the_film(tmp_path):
    recording = recorded(tmp_path / "a.mp4", [1], 1)
    recording.write(None)
    recording.remove()
    assert [path.name for path in tmp_path.iterdir()] == ["a.mp4"]


def test_there_is_no_film_of_no_frame(tmp_path):
    recording = recorded(tmp_path / "a.mp4", [1], 7, stages=True)
    assert recording.count == 0
    with pytest.raises(PlanError, match="no frame yet"):
        recording.write(None)


class TestFilling:
    @given(side=st.integers(8, 64), large=st.integers(64, 99), proportion=st.floats(0.2, 5))
    def test_the_same_proportions_but_for_whole_pixels_fill_the_film(self, side, large, proportion):
        small, size = ((max(1, round(n * proportion)), n) for n in (side, large))
        assert_close(filling(torch.zeros(1, 3, *small), size), torch.zeros(1, 3, *size))

    @pytest.mark.parametrize("size", [(20, 60), (60, 20)])
    def test_others_stand_whole_on_white(self, size):
        made = filling(torch.zeros(1, 3, 10, 10), size)
        assert made.shape == (1, 3, *size)
        assert int((made == 0).sum()) == 3 * 20 * 20
        assert_close(made, made.flip(-1))
        assert_close(made, made.flip(-2))
