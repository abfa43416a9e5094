"""Films of how a picture comes about, and journeys as films: which frames, when a run is stopped, what is refused."""

import signal
import time
from fractions import Fraction
from functools import partial
from pathlib import Path

import pytest
import torch
from interrupting import interrupt
from noise_pictures import noise

from oneira.cli.recording import FPS
from oneira.errors import FilmError, OneiraError
from oneira.files import write_whole
from oneira.images import from_levels, levels_of, load, read_recipe, resize, save
from oneira.motion.looping import looped
from oneira.motion.recipes import read_film_recipe
from oneira.motion.reel import Reel
from oneira.motion.writing import write_film
from oneira.synthesis.checkpoints import checkpoint_of, has_checkpoint
from oneira.techniques import Dream, begin

WAY = ["--through", "tiny:relu1,tiny:relu2,tiny:relu3"]
DIVE = ["--zoom", 1.2, "--frames", 5]
PLAIN = "--no-recipe"  # the same frames make the same bytes


def film_of(pictures, name="expected.mp4", rate=FPS):
    """The bytes of the film that these pictures make, at the last one's size."""
    size = (pictures[-1].shape[2], pictures[-1].shape[3])
    stills = [partial(resize, picture, size) for picture in pictures]
    rate = Fraction(rate)
    write_film(name, Reel.steady(stills, rate), size=size, rate=rate)
    return Path(name).read_bytes()


def frames_in(folder):
    return sorted(folder.glob("*.frames"))


@pytest.fixture
def looks(picture):
    """The dream before its first step, and after each, as files of 8 bits hold it."""
    technique = Dream(image=str(picture), layer="tiny:relu2", octaves=2, steps=4, jitter=2)
    run = begin(technique.plan())
    images = [run.image, *(step.image for step in run)]
    return [from_levels(levels_of(image)) for image in images]


class TestRecord:
    @pytest.mark.parametrize(
        ("every", "steps"), [([], [*range(9)]), (["--every", 3], [0, 3, 6, 8]), (["--every", 50], [0, 8])], ids=str
    )
    def test_it_shows_the_start_every_so_many_steps_and_the_end(self, every, steps, oneira, dream, looks, folder):
        ended = oneira(*dream, "--record", "making.mp4", *every, PLAIN, "-o", "out.png")
        assert ended.status == 0, ended.err
        assert ended.lines[0] == f"note: wrote making.mp4, a film of {len(steps)} frames"
        assert (folder / "making.mp4").read_bytes() == film_of([looks[step] for step in steps])
        assert torch.equal(load("out.png"), looks[-1])
        assert frames_in(folder) == []

    def test_the_picture_is_the_same_as_without(self, oneira, dream, folder):
        words = [*dream, "--start", "pink-noise"]
        assert oneira(*words, "-o", "a.png").status == 0
        assert oneira(*words, "-o", "b.png", "--record", "making.mp4").status == 0
        assert (folder / "a.png").read_bytes() == (folder / "b.png").read_bytes()

    @pytest.mark.parametrize("every", [[], ["--every", 6]], ids=["stages", "steps"])
    def test_of_a_run_with_stages_it_shows_their_ends_or_steps(self, every, oneira, tour, picture, folder):
        words = [*tour, picture, "--record", "making.mp4", *every, PLAIN]
        assert oneira(*words, "--stages", "legs").status == 0
        ends = [load(folder / "legs" / name) for name in ("0001-first-leg.png", "0002-second.png")]
        pictures = [load(picture), ends[1]] if every else ends
        assert (folder / "making.mp4").read_bytes() == film_of(pictures)

    def test_so_many_frames_a_second(self, oneira, tour, folder):
        assert oneira(*tour, "--record", "making.mp4", "--fps", 23.976, PLAIN, "--stages", "legs").status == 0
        ends = [load(folder / "legs" / name) for name in ("0001-first-leg.png", "0002-second.png")]
        assert (folder / "making.mp4").read_bytes() == film_of(ends, rate=Fraction(23976, 1000))

    def test_what_is_transparent_lies_on_white(self, oneira, tour, folder):
        noise(folder / "glass.png", channels=4)
        ended = oneira(*tour, "glass.png", "--record", "making.mp4", PLAIN, "-o", "out.jpg", "--stages", "legs")
        assert "note: films hold no transparency: the pictures were laid on white" in ended.lines
        assert (folder / "making.mp4").exists()

    def test_a_patchwork_is_shown_as_it_grows(self, oneira, picture, folder):
        words = ["texture", picture, "--method", "efros-leung", "--size", 24, "--window", 5]
        ended = oneira(*words, "--record", "making.gif", "--every", 200, "-o", "out.png")
        assert ended.status == 0, ended.err
        assert "note: wrote making.gif, a film of " in ended.err

    def test_a_rerun_is_recorded_too(self, oneira, dream, folder):
        assert oneira(*dream, "-o", "a.png", "--record", "a.mp4", PLAIN).status == 0
        assert oneira(*dream, "-o", "a.png").status == 0
        assert oneira("rerun", "a.png", "-o", "b.png", "--record", "b.mp4", PLAIN).status == 0
        assert (folder / "a.mp4").read_bytes() == (folder / "b.mp4").read_bytes()

    def test_the_film_holds_the_pictures_recipe(self, oneira, dream):
        assert oneira(*dream, "-o", "a.png", "--record", "a.mp4").status == 0
        assert read_film_recipe("a.mp4") == read_recipe("a.png")


class TestDives:
    @pytest.fixture
    def journey(self, picture):
        return ["dream", picture, "--layer", "tiny:relu2", "--octaves", 1, "--steps", 1]

    @pytest.mark.parametrize("way", [WAY, DIVE], ids=["through", "dive"])
    @pytest.mark.parametrize("name", ["out.mp4", "out.gif", "out.webp"])
    def test_every_stage_is_a_frame(self, way, name, oneira, journey, folder):
        words = journey if way is DIVE else [word for word in journey if word not in ("--layer", "tiny:relu2")]
        ended = oneira(*words, *way, "-o", name, "--stages", "legs", PLAIN, "--fps", 10)
        assert ended.status == 0, ended.err
        assert ended.lines[-1].startswith(f"wrote {name} (28x20, {5 if way is DIVE else 3} frames, ")
        pictures = [load(path) for path in sorted((folder / "legs").iterdir())]
        assert len(pictures) == (5 if way is DIVE else 3)
        assert (folder / name).read_bytes() == film_of(pictures, f"expected{name[3:]}", rate=10)
        assert frames_in(folder) == []

    def test_a_png_is_the_last_picture(self, oneira, journey, folder):
        assert oneira(*journey, *DIVE, "-o", "dive.png", "--stages", "legs").status == 0
        assert torch.equal(load("dive.png"), load("legs/0005-frame.png"))

    def test_a_loop_flows_into_its_beginning(self, oneira, journey, folder):
        ended = oneira(*journey, *DIVE, "--rotate", 3, "--loop", "-o", "dive.mp4", "--stages", "legs", PLAIN)
        assert ended.status == 0, ended.err
        stills = [partial(load, path) for path in sorted((folder / "legs").iterdir())]
        film = [still() for still in looped(stills, 1.2, 3)]
        assert (folder / "dive.mp4").read_bytes() == film_of(film)
        assert not torch.equal(film[-1], stills[-1]())

    @pytest.mark.parametrize("name", ["dive.mp4", "dive.gif"])
    def test_it_is_made_again_to_the_same_bytes(self, name, oneira, journey, folder):
        assert oneira(*journey, *DIVE, "--loop", "--seed", 3, "-o", name).status == 0
        ended = oneira("rerun", name, "-o", f"again-{name}")
        assert ended.status == 0, ended.err
        assert (folder / f"again-{name}").read_bytes() == (folder / name).read_bytes()

    def test_it_can_be_recorded_besides(self, oneira, journey, folder):
        assert oneira(*journey, *DIVE, "-o", "dive.mp4", "--record", "making.mp4", PLAIN).status == 0
        assert (folder / "dive.mp4").read_bytes() == (folder / "making.mp4").read_bytes()


class TestStopping:
    @pytest.mark.parametrize("at", [2, 5, 7, 8])
    def test_resumed_the_film_is_that_of_a_whole_run(self, at, oneira, happening, folder):
        words = [*happening(None), "--every", 2]
        assert oneira(*words, "--record", "whole.mp4", "-o", "whole.png").status == 0
        happening(interrupt, at)
        words += ["--record", "broken.mp4", "-o", "broken.png"]
        assert oneira(*words).status == 130
        assert (folder / "broken.mp4").exists() == (folder / "broken.png").exists() is True
        assert bool(frames_in(folder)) == has_checkpoint(checkpoint_of(folder / "broken.png")) == (at < 8)
        if at < 8:
            happening(None)
            assert oneira(*words, "--resume").status == 0
        assert frames_in(folder) == []
        for name in ("mp4", "png"):
            assert (folder / f"broken.{name}").read_bytes() == (folder / f"whole.{name}").read_bytes()

    @pytest.mark.parametrize("loop", [[], ["--loop"]], ids=["dive", "loop"])
    @pytest.mark.parametrize("at", [2, 4, 6])
    def test_so_is_a_dive(self, loop, at, oneira, happening, folder):
        words = happening(None)
        words = [*words[: words.index("--octaves")], "--octaves", 1, "--steps", 2, *DIVE, *loop]
        assert oneira(*words, "-o", "whole.mp4").status == 0
        happening(interrupt, at)
        assert oneira(*words, "-o", "broken.mp4").status == 130
        assert (folder / "broken.mp4").exists()  # the dive so far
        happening(None)
        assert oneira(*words, "-o", "broken.mp4", "--resume").status == 0
        assert (folder / "broken.mp4").read_bytes() == (folder / "whole.mp4").read_bytes()
        assert frames_in(folder) == []

    def test_before_the_first_frame_there_is_no_film(self, oneira, happening, folder):
        words = [*happening(interrupt, 2), "--zoom", 1.2, "--frames", 3, "-o", "dive.mp4"]
        ended = oneira(*words)
        assert ended.status == 130
        told = "interrupted: no frame is done, and dive.mp4 was not written; the same command with --resume goes on"
        assert ended.lines[-1] == told
        assert not (folder / "dive.mp4").exists()
        happening(None)
        assert oneira(*words, "--resume").status == 0
        assert (folder / "dive.mp4").exists()

    def test_what_nobody_can_go_on_from_is_removed(self, oneira, happening, folder):
        words = [*happening(interrupt, 3), "--record", "making.mp4", "--save-every", 0]
        assert oneira(*words).status == 130
        assert (folder / "making.mp4").exists()
        assert frames_in(folder) == []

    def test_a_run_that_was_not_recorded_is_recorded_from_where_it_goes_on(self, oneira, happening, folder):
        assert oneira(*happening(interrupt, 5), "-o", "out.png").status == 130
        ended = oneira(*happening(None), "-o", "out.png", "--resume", "--record", "making.mp4")
        assert ended.status == 0, ended.err
        assert "note: wrote making.mp4, a film of 4 frames" in ended.lines  # the fifth step's picture, and three more

    def test_begun_anew_the_stopped_run_is_gone_with_its_frames_which_is_told(self, oneira, happening, folder):
        words = [*happening(interrupt, 5), "--record", "making.mp4", "-o", "out.png"]
        assert oneira(*words).status == 130
        checkpoint = checkpoint_of(folder / "out.png")
        assert has_checkpoint(checkpoint)
        assert len(list(frames_in(folder)[0].glob("*.png"))) == 6

        def look(features):
            seen.append((has_checkpoint(checkpoint), sorted(path.name for path in frames_in(folder)[0].glob("*.png"))))
            return interrupt(features)

        seen = []
        happening(look, 1)
        ended = oneira(*words)
        assert ended.status == 130
        assert ended.lines[0] == (
            f"note: {checkpoint.name} is of a run that was stopped; this one begins anew, without --resume"
        )
        assert seen == [(False, ["000001.png"])]
        assert not has_checkpoint(checkpoint)
        assert oneira(*words, "--resume").status == 1

    def test_without_a_film_the_stopped_run_waits_until_there_is_another(self, oneira, happening, folder):
        words = [*happening(interrupt, 5), "-o", "out.png"]
        assert oneira(*words).status == 130
        happening(interrupt, 1)
        assert oneira(*words).status == 130
        assert has_checkpoint(checkpoint_of(folder / "out.png"))
        happening(None)
        assert oneira(*words, "--resume").status == 0

    def test_killed_it_ends_in_the_same_bytes(self, oneira, started, folder):
        words = ["dream", "sample:cat", "--size", 32, "--octaves", 1, "--steps", 1, "--layer", "relu1_2", "--offline"]
        words += ["--zoom", 1.1, "--frames", 60, "-q"]
        assert oneira(*words, "-o", "whole.mp4").status == 0
        words += ["-o", "broken.mp4", "--save-every", 1e-9]
        killed = started(*words)
        kept = folder / "broken.mp4.frames"
        waited = time.monotonic()
        while not (kept / "000005.png").exists() and killed.poll() is None and time.monotonic() - waited < 60:
            time.sleep(0.005)
        killed.send_signal(signal.SIGKILL)
        assert killed.wait(timeout=60) == -signal.SIGKILL
        assert not (folder / "broken.mp4").exists()
        ended = oneira(*words, "--resume")
        assert ended.status == 0, ended.err
        assert (folder / "broken.mp4").read_bytes() == (folder / "whole.mp4").read_bytes()
        assert sorted(path.name for path in folder.iterdir() if path.is_file()) == ["broken.mp4", "whole.mp4"]


class TestFailures:
    def test_a_disk_that_is_full_for_frames_ends_the_record_and_not_the_run(self, oneira, dream, folder, monkeypatch):
        def refuse_frames(path, write):
            if path.name == "000003.png":
                raise OSError(28, "No space left on device")
            write_whole(path, write)

        monkeypatch.setattr("oneira.images.saving.write_whole", refuse_frames)
        ended = oneira(*dream, "--record", "making.mp4", "--every", 2)
        assert ended.status == 0
        assert "No space left on device" in ended.lines[0]
        assert ended.lines[0].endswith("; making.mp4 ends here")
        assert ended.lines[1] == "note: wrote making.mp4, a film of 2 frames"
        assert (folder / "cat-dream.png").exists()
        assert frames_in(folder) == []

    def test_a_disk_that_is_full_for_a_dive_ends_it_and_it_can_go_on(self, oneira, dream, folder, monkeypatch):
        def refuse_frames(path, write):
            if path.name == "000003.png":
                raise OSError(28, "No space left on device")
            write_whole(path, write)

        words = [*dream, *DIVE, "--save-every", 1e-9, "-o"]
        assert oneira(*words, "whole.mp4").status == 0
        with monkeypatch.context() as patched:
            patched.setattr("oneira.images.saving.write_whole", refuse_frames)
            ended = oneira(*words, "dive.mp4")
        assert ended.status == 1
        assert "No space left on device" in ended.lines[-1]
        assert oneira(*words, "dive.mp4", "--resume").status == 0
        assert (folder / "dive.mp4").read_bytes() == (folder / "whole.mp4").read_bytes()

    def test_what_fails_at_the_first_step_leaves_nothing(self, oneira, happening, folder):
        ended = oneira(*happening(lambda features: torch.empty(1 << 60), 1), "--record", "making.mp4")
        assert ended.status == 1
        assert [path.name for path in folder.iterdir()] == ["cat.png"]

    @pytest.mark.parametrize("problem", [FilmError, OneiraError], ids=lambda error: error.__name__)
    def test_a_dive_that_cannot_be_written_in_the_end_can_be_later(self, problem, oneira, dream, folder, monkeypatch):
        def refuse(*_, **__):
            raise problem("the disk is gone")

        words = [*dream, *DIVE, "-o"]
        assert oneira(*words, "whole.mp4").status == 0
        with monkeypatch.context() as patched:
            patched.setattr("oneira.motion.recording.write_film", refuse)
            ended = oneira(*words, "dive.mp4")
        assert ended.status == 1
        note = "note: nothing is lost: once it can be written, the same command with --resume does it"
        assert ended.lines == [note, "oneira: the disk is gone"]
        assert has_checkpoint(checkpoint_of(folder / "dive.mp4"))
        assert len(list((folder / "dive.mp4.frames").glob("*.png"))) == 5
        assert oneira(*words, "dive.mp4", "--resume").status == 0
        assert (folder / "dive.mp4").read_bytes() == (folder / "whole.mp4").read_bytes()
        assert frames_in(folder) == []
        assert not has_checkpoint(checkpoint_of(folder / "dive.mp4"))

    def test_frames_of_another_run_are_not_touched(self, oneira, dream, happening, folder):
        assert oneira(*happening(interrupt, 5), "--record", "making.mp4").status == 130
        before = sorted((folder / "making.mp4.frames").iterdir())
        ended = oneira(*dream, "-o", "other.png", "--seed", 5, "--record", "making.mp4")
        assert ended.status == 1
        assert "'making.mp4.frames' holds finished frames of another job" in ended.lines[0]
        assert sorted((folder / "making.mp4.frames").iterdir()) == before


REFUSED = {
    "a record that is no film": (["--record", "making.mp5"], "unknown extension '.mp5'; did you mean '.mp4'?", 1),
    "a record in no folder": (["--record", "no/making.mp4"], "there is no folder 'no'", 1),
    "a record over the picture": (["--record", "out.gif", "-o", "out.gif"], "would be written over 'out.gif'", 2),
    "a record over an input": (["--record", "cat.png"], "would be written over", 2),
    "every without a record": (["--every", "3"], "--every counts the steps between frames of --record", 2),
    "every of nothing": (["--every", "0", "--record", "a.mp4"], "--every", 2),
    "a rate of next to nothing": (["--fps", "0.0004", "--record", "a.mp4"], "--fps cannot be 0.0004", 2),
    "a dive's of next to nothing": ([*DIVE, "--fps", "0.0004", "-o", "a.mp4"], "--fps cannot be 0.0004", 2),
    "a rate without a film": (["--fps", "24"], "--fps is for films", 2),
    "a film of one picture": (["-o", "out.mp4"], "by --record out.mp4", 2),
    "a loop of a picture": ([*DIVE, "--loop", "-o", "out.png"], "--loop is for films", 2),
    "a loop of no dive": (["--loop", "-o", "out.mp4"], "--loop closes a dive", 2),
    "depth of a film": ([*DIVE, "--depth", "16", "-o", "out.mp4"], "films hold 8 bits", 2),
    "a sidecar of a film": ([*DIVE, "--sidecar", "-o", "out.mp4"], "--sidecar is for pictures", 2),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_is_told_in_one_line_before_anything_is_computed(case, oneira, happening, folder):
    def worked(features):
        raise AssertionError

    words, hint, status = REFUSED[case]
    ended = oneira(*happening(worked, 1), *words)
    assert ended.status == status
    assert len(ended.lines) == 1
    assert hint in ended.lines[0]
    assert [path.name for path in folder.iterdir()] == ["cat.png"]


def test_what_is_computed_at_once_has_no_steps_to_show(oneira, picture, folder):
    ended = oneira("deconv", picture, "--record", "making.mp4", "--size", 32)
    assert ended.status == 2
    assert ended.lines == ["oneira: --record shows steps, and this deconv is computed at once: leave it out"]
    assert [path.name for path in folder.iterdir()] == ["cat.png"]


def test_a_gif_of_what_is_no_journey_is_a_picture(oneira, dream, tour):
    assert oneira(*dream, "-o", "out.gif").status == 0
    assert load("out.gif").shape == (1, 3, 20, 28)
    save("white.png", torch.ones(1, 3, 8, 8))
    assert oneira(*tour, "-o", "legs.webp").status == 0
    assert load("legs.webp").shape == (1, 3, 20, 28)
