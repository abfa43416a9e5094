"""Dives without end: what lies at the seam is what the dive itself would have shown."""

import math
from functools import partial
from itertools import pairwise

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.testing import assert_close

from oneira.errors import PlanError
from oneira.images import resize
from oneira.motion.looping import Arrival, blended_frames, looped
from oneira.synthesis.turning import turn

SIZE = (48, 64)


def clouds(seed, size=SIZE):
    """A picture of soft blobs."""
    coarse = torch.rand(1, 3, 9, 12, generator=torch.Generator().manual_seed(seed))
    return resize(coarse, size)


def dive(frames, factor, degrees=0.0):
    """What a dive makes: every frame the one before, magnified and turned, with a little of something new."""
    made = [clouds(0)]
    for number in range(1, frames):
        moved = turn(made[-1], math.radians(degrees), factor, mode="bicubic").clamp(0, 1)
        made.append(torch.lerp(moved, clouds(number), 0.1))
    return made


def stills_of(pictures):
    return [partial(torch.clone, picture) for picture in pictures]


def shown(stills):
    return [still() for still in stills]


def jump(one, other, factor, degrees):
    """How much changes from a frame to the next, the zoom undone: the middle of the one, moved on, is the other's."""
    moved = turn(one, math.radians(degrees), factor, mode="bicubic") if factor > 1 else one
    back = other if factor > 1 else turn(other, -math.radians(degrees), 1 / factor, mode="bicubic")
    return float((moved - back).abs().mean())


ways = st.tuples(st.sampled_from([0.9, 0.95, 1.04, 1.1]), st.floats(-8, 8))


@given(way=ways)
def test_from_the_last_frame_to_the_first_is_no_larger_a_step_than_elsewhere(way):
    frames = dive(24, *way)
    film = shown(looped(stills_of(frames), *way))
    steps = [jump(one, other, *way) for one, other in pairwise(film)]
    assert jump(film[-1], film[0], *way) <= max(steps)
    assert jump(frames[-1], frames[0], *way) > 2 * max(steps)  # without, it is a cut


@pytest.mark.parametrize("degrees", [0.0, 5.0])
def test_the_frame_behind_the_last_would_be_the_first(degrees):
    first, other = clouds(0), clouds(1)
    arrival = Arrival(lambda: first, 1.1, degrees, 8)
    assert torch.equal(arrival(lambda: other, 0), first)
    assert_close(arrival.opacity(SIZE, 0), torch.ones(1, 1, *SIZE))
    # And it comes there without a jump: with ever finer steps of the dive, the last frame is ever nearer to it.
    far, near = (
        float((Arrival(lambda: first, 1.1 ** (1 / n), degrees / n, 8 * n)(lambda: other, 1) - first).abs().mean())
        for n in (1, 8)
    )
    assert near < far / 3


def test_it_appears_out_of_nothing_in_the_middle():
    arrival = Arrival(lambda: torch.ones(1, 3, *SIZE), 1.1, 3.0, 8)
    dark = torch.zeros(1, 3, *SIZE)
    assert torch.equal(arrival(lambda: dark, 8), dark)
    early = arrival(lambda: dark, 7)
    assert 0 < early.max() < 0.2
    assert early[..., 23:25, 31:33].min() >= early.max() - 1e-5
    assert not early[..., 0].any()
    assert not early[..., 0, :].any()


def test_opacity_grows_from_frame_to_frame_at_every_place():
    arrival = Arrival(lambda: clouds(0), 1.08, 2.0, 12)
    masks = [arrival.opacity(SIZE, left) for left in range(12, -1, -1)]
    assert all(bool((after >= before - 1e-6).all()) for before, after in pairwise(masks))


@pytest.mark.parametrize(("factor", "degrees"), [(1.1, 0.0), (1.1, 6.0), (1.05, -20.0)])
def test_it_moves_as_the_dive_does(factor, degrees):
    """Moved on by the dive, the first frame lies where it lies one frame later."""
    first = clouds(0, (64, 64))
    arrival = Arrival(lambda: first, factor, degrees, 6)
    opaque = [arrival(lambda: torch.zeros(1, 3, 64, 64), left) for left in (2, 1)]
    moved = turn(opaque[0], math.radians(degrees), factor, mode="bicubic")
    middle = (..., slice(20, 44), slice(20, 44))
    assert float((moved[middle] - opaque[1][middle]).abs().mean()) < 0.01
    assert float((opaque[0][middle] - opaque[1][middle]).abs().mean()) > 0.01


def test_flying_outward_is_a_dive_played_backwards():
    pictures = dive(10, 1.1, 3.0)
    inward = shown(looped(stills_of(pictures), 1.1, 3.0))
    outward = shown(looped(stills_of(pictures[::-1]), 1 / 1.1, -3.0))
    for one, other in zip(inward, outward[::-1], strict=True):
        assert_close(one, other)


@given(frames=st.integers(2, 200), factor=st.floats(1.001, 4))
def test_the_first_part_of_a_film_is_left_as_it_is(frames, factor):
    count = blended_frames(frames, factor)
    assert 1 <= count <= max(1, frames // 2)
    assert count == 1 or factor ** (count - 1) < 4
    asked = []
    stills = [partial(asked.append, number) for number in range(frames)]
    assert looped(stills, factor)[: frames - count] == stills[: frames - count]
    assert asked == []


@pytest.mark.parametrize(("frames", "factor", "hint"), [(9, 1.0, "can be a loop"), (1, 1.1, "two frames")])
def test_what_cannot_be_a_loop_is_refused(frames, factor, hint):
    with pytest.raises(PlanError, match=hint):
        looped(stills_of([clouds(0)] * frames), factor)
