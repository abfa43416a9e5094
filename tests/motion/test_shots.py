"""What finding the cuts of a film must do."""

from itertools import pairwise, permutations
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from scenes import texture

from oneira.errors import PlanError
from oneira.images import PHOTOGRAPHS, from_levels, load, sample
from oneira.motion.shots import THRESHOLD, CutFinder, change

FILMED = Path(__file__).parents[3] / "shared" / "images" / "video" / "clip.mp4"
SIZE = (144, 192)


@pytest.fixture(scope="module")
def photographs():
    return [F.interpolate(load(sample(name)), size=SIZE, mode="bilinear", antialias=True) for name in PHOTOGRAPHS]


def is_cut(previous, current):
    """What the finder says of both orders, which must be the same."""
    answers = {CutFinder().is_cut(previous, current), CutFinder().is_cut(current, previous)}
    (answer,) = answers
    return answer


def test_one_photograph_after_another_is_a_cut(photographs):
    assert all(is_cut(*pair) for pair in permutations(photographs, 2))


def test_one_half_of_a_photograph_after_the_other_is_a_cut_too(photographs):
    assert all(is_cut(photograph[..., :96], photograph[..., 96:]) for photograph in photographs)


def test_from_a_photograph_to_black_is_a_cut(photographs):
    assert all(is_cut(photograph, torch.zeros_like(photograph)) for photograph in photographs)


WITHIN = {
    "nothing": lambda picture: (picture, picture),
    "a pan": lambda picture: (picture[..., :-9], picture[..., 9:]),
    "a tilt": lambda picture: (picture[..., :-6, :], picture[..., 6:, :]),
    "a zoom": lambda picture: (picture, F.interpolate(picture[..., 7:-7, 9:-9], size=SIZE, mode="bilinear")),
    "darkening": lambda picture: (picture, 0.6 * picture),
    "a flash": lambda picture: (picture, (1.4 * picture + 0.15).clamp(0, 1)),
    "a tint": lambda picture: (picture, picture * torch.tensor([1.0, 0.9, 0.8])[:, None, None]),
    "noise": lambda picture: (
        picture,
        picture + 0.1 * torch.randn(1, 3, *SIZE, generator=torch.Generator().manual_seed(1)),
    ),
    "something passing": lambda picture: (picture, passing(picture)),
}


def passing(picture):
    there = picture.clone()
    there[..., 40:110, 60:100] = texture(70, 40)
    return there


@pytest.mark.parametrize("event", WITHIN)
def test_what_goes_on_within_a_shot_is_no_cut(photographs, event):
    assert not any(is_cut(*WITHIN[event](photograph)) for photograph in photographs)


def test_noise_in_the_dark_is_no_cut():
    generator = torch.Generator().manual_seed(0)
    dark, after = (0.02 * torch.rand(1, 3, *SIZE, generator=generator) for _ in range(2))
    assert not is_cut(dark, after)


def test_a_picture_turned_negative_changes_more_than_a_stranger_and_the_same_not_at_all(photographs):
    first, second, *_ = photographs
    assert change(first, first) == pytest.approx(0, abs=1e-6)
    assert change(first, second) < change(first, 1 - first) < 2


@pytest.mark.parametrize("size", [(1, 1), (1, 300), (3, 5), (400, 2)])
def test_pictures_of_any_size_are_compared(size):
    assert change(texture(*size), texture(*size)) == pytest.approx(0, abs=1e-6)


def test_a_threshold_is_what_a_cut_reaches(photographs):
    first, second, *_ = photographs
    reached = change(first, second)
    assert CutFinder(reached).is_cut(first, second)
    assert not CutFinder(reached + 0.01).is_cut(first, second)


@pytest.mark.parametrize("threshold", [0, -1, 2.1, float("nan"), float("inf")])
def test_a_threshold_that_means_nothing_is_refused(threshold):
    with pytest.raises(PlanError, match="above 0 and at most 2"):
        CutFinder(threshold)


@pytest.mark.skipif(not FILMED.exists(), reason=f"needs the film {FILMED}")
def test_a_film_of_one_shot_has_no_cut_but_where_another_picture_follows(photographs):
    av = pytest.importorskip("av", reason="needs PyAV")
    with av.open(str(FILMED)) as container:
        frames = [
            from_levels(frame.to_ndarray(format="rgb24", width=SIZE[1], height=SIZE[0]))
            for frame in container.decode(video=0)
        ]
    changes = [change(*pair) for pair in pairwise(frames)]
    assert len(changes) > 50
    assert max(changes) < THRESHOLD / 10
    assert is_cut(frames[-1], photographs[0])
