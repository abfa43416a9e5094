"""Laws of pictures in parts: losses and gradient are those of the whole."""

import functools

import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from networks import TINY, tiny_network
from plans import LAYER, dream_plan, finished, style_plan
from torch import nn
from torch.testing import assert_close

from oneira import register_backbone
from oneira.errors import PlanError
from oneira.features.encoder import Encoder
from oneira.features.registry import find_backbone, resolve
from oneira.features.variant import Variant
from oneira.objectives import (
    AlphaNorm,
    Artwork,
    BoundObjective,
    Caricature,
    Channel,
    ClassLogit,
    Content,
    Direction,
    Dream,
    Guided,
    Logarithm,
    Masked,
    Neuron,
    PixelError,
    Relative,
    Style,
    TotalVariation,
)
from oneira.synthesis.augmentation import Chain, Jitter, Pad, Rotate, Scale
from oneira.synthesis.loop import Synthesis
from oneira.synthesis.optimisers import OptimiserSpec
from oneira.synthesis.partition import InParts, Partition, assembling
from oneira.synthesis.schedules import octaves, single
from oneira.synthesis.tiling import Tiling

LAYERS = tuple(f"{TINY}:relu{index}" for index in (1, 2, 3))
POCKET = ("pocket:relu1_1", "pocket:relu2_2", "pocket:relu3_2")


def noise(*shape, seed=0):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


STYLE, OTHER, PHOTO = noise(1, 3, 24, 20, seed=1), noise(1, 3, 17, 30, seed=2), noise(1, 3, 30, 40, seed=3)
MASK = noise(1, 1, 11, 13, seed=4)
TERMS = {
    "gram": Style(STYLE, LAYERS),
    "moments": Style(STYLE, LAYERS, "moments"),
    "wasserstein": Style(STYLE, LAYERS, "wasserstein"),
    "gatys": Style(STYLE, LAYERS, normalization="gatys"),
    "relative": Style(STYLE, LAYERS, ("gram", "moments"), "relative"),
    "styles": Style([STYLE, Artwork(OTHER, noise(1, 1, 9, 9))], LAYERS, shares=(1, 3)),
    "content": Content(PHOTO, LAYERS),
    "l2": Dream(LAYERS),
    "mean": Dream(LAYERS, "mean", weights=(1, -2, 0.5)),
    "norm": Dream(LAYERS, "norm", power=3.0),
    "channel": Channel(LAYER, 2),
    "direction": Direction(LAYER, {1: 1.0, 4: -0.5}),
    "match": Guided(PHOTO, LAYER),
    "guide": Guided(PHOTO, LAYER, "mean"),
    "caricature": Caricature(PHOTO, LAYERS),
    "tv": TotalVariation(),
    "tv-beta": TotalVariation(1.5),
    "tv-l1-sum": TotalVariation(form="l1-sum"),
    "tv-nine": TotalVariation(form="nine-point"),
    "tv-squares": TotalVariation(form="squares"),
    "alpha": AlphaNorm(),
    "pixels": PixelError(PHOTO),
    "masked": Masked(MASK, Style(STYLE, LAYERS) + Content(PHOTO, LAYERS) + TotalVariation(form="squares")),
    "masks": Masked(MASK, Masked(1 - MASK, Dream(LAYERS, "norm"))) + Masked(1 - MASK, Style(OTHER, LAYERS)),
    "logarithm": Logarithm(Style(STYLE, LAYERS) + 0.3 * Content(PHOTO, LAYERS)) - 2 * Dream(LAYER),
    "units": Relative(PHOTO, Dream(LAYERS, "norm") + Style(STYLE, LAYERS)) + Relative(PHOTO, Content(OTHER, LAYER)),
}


@functools.cache
def bound(name, size):
    return BoundObjective(TERMS[name], Encoder(), size)


def both(objective, picture, tile, move=None):
    """Losses and gradient, whole and in parts."""
    found = []
    for backward in (objective.backward, functools.partial(InParts(Partition(tile)).backward, objective)):
        leaf = picture.clone().requires_grad_()
        found.append((backward(leaf, move), leaf.grad))
    return found


def assert_alike(objective, picture, tile, move=None, most=1e-5):
    (losses, gradient), (losses_in_parts, in_parts) = both(objective, picture, tile, move)
    assert gradient.norm() > 0
    assert (in_parts - gradient).norm() <= most * gradient.norm()
    assert_close(losses_in_parts.total, losses.total, rtol=most, atol=1e-6)
    assert list(losses_in_parts.by_term) == list(losses.by_term)
    for name, loss in losses.by_term.items():
        assert_close(losses_in_parts.by_term[name], loss, rtol=1e-4, atol=1e-6, check_dtype=False)


# A whole number of strides and not; parts narrower than their surroundings (10 pixels here), one row of them, one part.
@pytest.mark.parametrize(("size", "tile"), [((37, 51), 16), ((20, 28), 5), ((9, 40), 13), ((24, 16), 99)])
@pytest.mark.parametrize("name", TERMS)
def test_every_term_has_the_whole_picture_s_gradient(name, size, tile):
    assert_alike(bound(name, size), noise(1, 3, *size), tile)


@settings(max_examples=25)
@given(st.integers(6, 45), st.integers(6, 45), st.integers(1, 40), st.integers(0, 99))
@example(7, 33, 1, 0)
def test_any_size_in_parts_of_any_size(height, width, tile, seed):
    size = (height, width)
    terms = Style(STYLE, LAYERS[1:], ("gram", "moments")) + Content(PHOTO, LAYERS[2]) + TotalVariation()
    assert_alike(
        BoundObjective(terms + Masked(MASK, Dream(LAYER)), Encoder(), size), noise(1, 3, *size, seed=seed), tile
    )


def test_losses_are_told_where_no_gradient_is_kept():
    picture, objective = noise(1, 3, 37, 51), bound("masked", (37, 51))
    with torch.no_grad():
        losses = InParts(Partition(16)).losses(objective, picture)
        assert_close(dict(losses.by_term), dict(objective(picture).by_term), rtol=1e-5, atol=1e-7)
    assert picture.grad is None


def test_in_float64_nothing_but_rounding_is_left():
    register_backbone("wide", tiny_network(dtype=torch.float64))
    layers = [f"wide:relu{index}" for index in (1, 2, 3)]
    mask = MASK.double()
    terms = Style(STYLE.double(), layers, ("gram", "moments")) + 10 * TotalVariation(form="nine-point")
    objective = BoundObjective(terms + Masked(mask, AlphaNorm()), Encoder(precision=torch.float64), (33, 26))
    (_, gradient), (_, in_parts) = both(objective, noise(1, 3, 33, 26).double(), 8)
    assert (in_parts - gradient).norm() <= 1e-10 * gradient.norm()


VARIANTS = [
    *(Variant(pooling=pooling) for pooling in ("max", "avg", "l2")),
    *(Variant(padding=padding) for padding in ("replicate", "replicate-first", "reflect", "circular")),
]


@pytest.mark.parametrize("moves", [(), (Jitter(5),)])
@pytest.mark.parametrize("variant", VARIANTS, ids=lambda variant: f"{variant.pooling}-{variant.padding}")
def test_pools_and_borders_of_every_kind(variant, moves):
    encoder, wraps = Encoder(variant=variant), variant.padding == "circular"
    terms = Style(STYLE, POCKET) + Content(PHOTO, POCKET) + Masked(MASK, Dream(POCKET[2]))
    terms = terms + 0.1 * TotalVariation(form="nine-point", wraps=wraps)
    move = Chain(moves).draw(torch.Generator().manual_seed(1)) if moves else None
    # The second is narrower than what a position depends on: around a torus, a part sees the same pixel twice.
    for size, tile in (((52, 72), 24), ((12, 44), 8)):
        assert_alike(BoundObjective(terms, encoder, size), noise(1, 3, *size), tile, move)


@pytest.mark.parametrize("wraps", [False, True])
def test_among_equals_a_pool_chooses_as_it_does_in_the_whole(wraps):
    # Plain squares of four pixels: every window of a max pool is full of equals.
    picture = noise(1, 3, 8, 12).repeat_interleave(4, 2).repeat_interleave(4, 3)
    encoder = Encoder(variant=Variant(padding="circular" if wraps else "zeros"))
    assert_alike(BoundObjective(Dream(POCKET) + Style(STYLE, POCKET), encoder, (32, 48)), picture, 12)


@pytest.mark.parametrize("name", ["squeezenet1_0", "googlenet", "resnet50", "alexnet"])
def test_networks_of_other_kinds(name):
    # Strided convolutions, pools that overlap or count a remainder, branches, and sums of them; random weights.
    torch.manual_seed(0)
    network = find_backbone(name).build().eval()
    layer = {"squeezenet1_0": "features.4", "googlenet": "inception3a", "resnet50": "layer2.0", "alexnet": "features.6"}
    register_backbone("kind", network)
    address = f"kind:{layer[name]}"
    objective = BoundObjective(Style(STYLE.repeat(1, 1, 4, 4), address) + Dream(address), Encoder(), (93, 118))
    assert_alike(objective, noise(1, 3, 93, 118), 40)


@pytest.mark.parametrize("moves", [(Jitter(7),), (Pad(6), Scale(0.8, 1.2), Rotate(10))], ids=["jitter", "robust"])
def test_the_moved_picture_is_in_parts_and_aligned_terms_see_the_still_one(moves):
    terms = Style(STYLE, LAYERS) + Content(PHOTO, LAYERS) + Masked(MASK, Dream(LAYERS)) + TotalVariation()
    objective = BoundObjective(terms, Encoder(), (30, 43))
    assert_alike(objective, noise(1, 3, 30, 43), 12, Chain(moves).draw(torch.Generator().manual_seed(2)))


def test_targets_are_put_together_as_the_whole_gives_them():
    for variant in (Variant(), Variant(padding="circular")):
        encoder = Encoder(variant=variant)
        picture = noise(1, 3, 52, 44)
        whole, parts = (each(picture, POCKET) for each in (encoder, assembling(encoder, Partition(16))))
        assert whole.keys() == parts.keys()
        for address in whole:
            assert_close(parts[address], whole[address], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("statistics", [("gram", "wasserstein"), ("gram", "histogram")])
@pytest.mark.parametrize("mask", [None, MASK], ids=["all", "part"])
def test_the_manner_of_a_large_style_is_the_whole_picture_s(statistics, mask):
    addresses = [resolve(layer) for layer in POCKET]
    artwork = Artwork(noise(1, 3, 52, 45), mask)
    whole, parts = (
        artwork.look(each, addresses, 52 * 45, statistics) for each in (Encoder(), assembling(Encoder(), Partition(16)))
    )
    for address in addresses:
        assert parts[address].positions == whole[address].positions
        assert parts[address].measured.keys() == whole[address].measured.keys()
        for name in ("mean", "second"):
            there, here = (getattr(found[address].summary, name) for found in (whole, parts))
            assert_close(here, there, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("make", [style_plan, dream_plan], ids=["style", "dream"])
def test_a_run_in_parts_makes_the_same_picture(make, image):
    plan = make(image)
    assert_close(finished(plan, partition=Partition(8)), finished(plan), rtol=0, atol=2e-3)


def test_a_picture_of_one_part_is_computed_as_without(image):
    plan = style_plan(image)
    assert torch.equal(finished(plan, partition=Partition(28)), finished(plan))


def test_optimisers_that_search_find_the_same_way(image):
    plan = style_plan(image, optimiser=OptimiserSpec("lbfgs"), averaging=0.0, schedule=single(28, 4))
    assert_close(finished(plan, partition=Partition(10)), finished(plan), rtol=0, atol=2e-3)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"objective": Style(STYLE, LAYER, "histogram")}, "style cannot be computed in parts"),
        ({"objective": Style(STYLE, LAYER) + Neuron(LAYER, 1)}, "neuron cannot be computed in parts"),
        ({"objective": ClassLogit(3, "pocket")}, "class cannot be computed in parts"),
        ({"objective": Channel("pocket:fc", 3)}, "whole picture at once"),
        ({"tiling": Tiling(8), "optimiser": OptimiserSpec("adam")}, "leave out one or the other"),
    ],
)
def test_what_has_no_parts_is_told_at_the_first_size(change, says, image):
    # Which is one part itself.
    plan = style_plan(image, **{"schedule": octaves(40, count=2, steps=1), **change})
    with pytest.raises(PlanError, match=says) as caught:
        next(iter(Synthesis(plan, partition=Partition(30))))
    assert "\n" not in str(caught.value)
    next(iter(Synthesis(plan, partition=Partition(40))))


def test_tiles_stay_tiles_where_all_is_one_part(image):
    plan = dream_plan(image, tiling=Tiling(12))
    assert torch.equal(finished(plan, partition=Partition(28)), finished(plan))


class Looking(nn.Module):
    def __init__(self, look):
        super().__init__()
        self.look = look

    def forward(self, features):
        return self.look(features)


@pytest.mark.parametrize(
    "module",
    [
        nn.InstanceNorm2d(6),
        nn.GroupNorm(2, 6),
        nn.ConvTranspose2d(6, 6, 3, padding=1),
        Looking(lambda features: features.roll(3, 2)),
        Looking(lambda features: features.flip(3)),
        Looking(lambda features: features.softmax(-1)),
        Looking(lambda features: features.cumsum(2)),
        Looking(lambda features: features - features.mean((2, 3), keepdim=True)),
    ],
)
def test_modules_that_look_along_the_picture_are_refused(module):
    register_backbone("looking", nn.Sequential(*tiny_network(), module))
    objective = BoundObjective(Dream("looking:7"), Encoder(), (24, 24))
    with pytest.raises(PlanError, match="looking:7 depends on the whole picture"):
        both(objective, noise(1, 3, 24, 24), 12)


@pytest.mark.parametrize("module", [nn.BatchNorm2d(6), nn.Softmax2d(), nn.GELU()])
def test_modules_that_work_position_by_position_are_not(module):
    register_backbone("local", nn.Sequential(*tiny_network(), module))
    assert_alike(BoundObjective(Dream("local:7", "norm"), Encoder(), (24, 24)), noise(1, 3, 24, 24), 12)


def test_a_torus_is_cut_between_whole_strides_only():
    objective = BoundObjective(Dream(POCKET), Encoder(variant=Variant(padding="circular")), (52, 46))
    with pytest.raises(PlanError, match="multiples of 4 pixels, and 46 is none"):
        both(objective, noise(1, 3, 52, 46), 16)


def test_several_pictures_a_limit_besides_and_parts_of_nothing_are_refused():
    with pytest.raises(PlanError, match="one picture at a time"):
        both(BoundObjective(Dream(LAYER), Encoder(), (20, 20)), noise(2, 3, 20, 20), 8)
    with pytest.raises(PlanError, match="limit of memory"):
        Synthesis(style_plan(noise(1, 3, 20, 20)), partition=Partition(), max_memory=10**10, device="cpu")
    with pytest.raises(PlanError, match="at least 1 pixel"):
        Partition(0)


def test_no_more_than_a_part_is_looked_at_at_once():
    seen = []

    class Counted(nn.Module):
        def forward(self, features):
            seen.append(features.shape[2:].numel())
            return features

    register_backbone("counted", nn.Sequential(Counted(), *tiny_network()))
    objective = BoundObjective(Dream("counted:2"), Encoder(), (64, 64))
    InParts(Partition(16)).backward(objective, noise(1, 3, 64, 64).requires_grad_())
    looked = [count for count in seen if count < 64 * 64]
    assert len(looked) >= 16
    assert max(looked) <= (16 + 2 * 4) ** 2
