"""Laws of the classic tiled gradient, and its seams, measured."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from networks import TINY, tiny_network
from plans import LAYER, dream_plan, finished, resumes_equal
from torch.testing import assert_close

from oneira.errors import PlanError
from oneira.features.preprocessing import IMAGENET
from oneira.objectives import Dream, Masked
from oneira.synthesis.canvas import Pixels
from oneira.synthesis.loop import Synthesis
from oneira.synthesis.optimisers import OptimiserSpec
from oneira.synthesis.schedules import single
from oneira.synthesis.shaping import Std
from oneira.synthesis.tiling import Tiling

SIDES = st.integers(1, 300)


@given(SIDES, SIDES, st.integers(4, 120), st.sampled_from(["random", "fixed"]), st.integers(0, 99))
def test_pieces_cover_the_picture_once(height, width, side, offset, seed):
    covered = torch.zeros(1, 1, height, width)
    tiling = Tiling(side, offset)
    pieces = tiling.pieces((height, width), torch.Generator().manual_seed(seed), 0.0)
    for share, cut in pieces:
        piece = cut(covered)
        piece += 1
        assert share == pytest.approx(piece.numel() / (height * width))
        assert piece.shape[2] >= tiling.narrowest(height)
        assert piece.shape[3] >= tiling.narrowest(width)
    assert covered.unique().tolist() == [1]


def test_one_tile_is_the_whole_gradient(image):
    assert torch.equal(finished(dream_plan(image, tiling=Tiling(64))), finished(dream_plan(image)))


def plainly(image, intervals, shape):
    """The gradient of Dream's l2, tile by tile, as the tutorials write it."""
    network = tiny_network()[:5]
    whole = torch.zeros_like(image)
    for top, bottom in intervals[0]:
        for left, right in intervals[1]:
            tile = image[..., top:bottom, left:right].clone().requires_grad_()
            (gradient,) = torch.autograd.grad(network(IMAGENET(tile)).square().mean() / 2, tile)
            whole[..., top:bottom, left:right] = shape(gradient, tile.numel() / image.numel())
    return whole


@pytest.mark.parametrize("shaped", [False, True])
def test_a_step_is_the_published_one(image, shaped):
    # Rows 0..20 in tiles of 10, columns 0..28 in tiles of 14; the mean over all weighs tiles by their area.
    shape = (lambda g, _: g / g.std(unbiased=False)) if shaped else (lambda g, share: g * share)
    gradient = plainly(image, ([(0, 10), (10, 20)], [(0, 14), (14, 28)]), shape)
    step = 0.01 / gradient.abs().max()
    plan = dream_plan(
        image,
        schedule=single(28, 1),
        augmentation=(),
        shaping=(),
        tiling=Tiling(12, "fixed", (Std(),) if shaped else ()),
        optimiser=OptimiserSpec("ascent", float(step)),
    )
    assert_close(finished(plan), (image + step * gradient).clamp(0, 1), atol=1e-5, rtol=0)


def test_masks_are_cut_like_the_picture(image):
    mask = torch.zeros(1, 1, 20, 28)
    mask[..., :14] = 1
    plan = dream_plan(
        image, objective=Masked(mask, Dream(LAYER)), schedule=single(28, 2), augmentation=(), tiling=Tiling(14, "fixed")
    )
    changed = (finished(plan) - image).abs().amax((0, 1, 2))
    assert changed[:10].min() > 0.001
    assert changed[14:].max() == 0  # the tiles on the right see nothing that counts


@pytest.mark.parametrize("stop", [1, 5])
def test_random_offsets_resume_to_the_same_bytes(stop, image):
    resumes_equal(dream_plan(image, tiling=Tiling(12)), stop)


@pytest.mark.parametrize("level", [0.0, 1.0])
def test_tiles_leave_seams_on_a_plain_picture_and_the_default_does_not(level):
    # A plain picture has a plain gradient, but for what the borders' padding sets off. (Not behind a max pool, which
    # chooses among equals by rounding.)
    plain = torch.full((1, 3, 64, 64), level)
    spread = {}
    for name, tiling in (("whole", None), ("tiles", Tiling(32, "fixed"))):
        plan = dream_plan(
            plain,
            canvas=Pixels(plain, clamp=False),
            objective=Dream(f"{TINY}:relu1"),
            schedule=single(64, 1),
            augmentation=(),
            optimiser=OptimiserSpec("ascent", 0.2),
            tiling=tiling,
        )
        synthesis = Synthesis(plan, precision="float32")
        next(iter(synthesis))
        (result,) = synthesis.state()["parameters"]
        spread[name] = float(result[..., 8:-8, 8:-8].std((2, 3)).max())
    assert spread["whole"] < 1e-4
    assert spread["tiles"] > 0.01


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda image: Tiling(2), "at least 4"),
        (lambda image: Tiling(32, "anywhere"), "offset of tiles"),
        (lambda image: dream_plan(image, augmentation=(), tiling=Tiling(), optimiser=OptimiserSpec("lbfgs")), "tiles"),
    ],
)
def test_what_is_no_tiling_is_told_in_one_line(make, says, image):
    with pytest.raises(PlanError, match=says) as caught:
        make(image)
    assert "\n" not in str(caught.value)
