"""Laws of what fires at a place of a picture: which positions lie there, how channels are ranked, and what grows."""

import math
from collections import OrderedDict

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from networks import TINY, tiny_network
from torch import nn
from torch.testing import assert_close

from oneira.errors import AddressError, PlanError
from oneira.features.encoder import Encoder
from oneira.features.registry import register_backbone, resolve
from oneira.objectives import BoundObjective, Channel, Fired, Firing, Look, Neuron, Only, Region, View
from oneira.objectives.firing import NOTHING
from oneira.synthesis.fingerprint import fingerprint

SIZE = (24, 36)
PICTURE = torch.rand(1, 3, *SIZE, generator=torch.Generator().manual_seed(2))
LAYERS = (f"{TINY}:relu1", f"{TINY}:relu2")
CORNER = Region(0, 0, 0.3, 0.4)


def network(**layers):
    return nn.Sequential(OrderedDict(layers))


def see_through(kernel=1, **geometry):
    """A convolution whose three channels are the colours of the pixel in the middle of what a position sees."""
    conv = nn.Conv2d(3, 3, kernel, bias=False, **geometry)
    with torch.no_grad():
        conv.weight.zero_()
        conv.weight[:, :, kernel // 2, kernel // 2] = torch.eye(3)
    return conv


def as_it_is(image):
    """No preprocessing."""
    return image


class Gated(nn.Module):
    """Every position hears of the mean of all."""

    def forward(self, features):
        return features * features.mean((2, 3), keepdim=True).sigmoid()


@pytest.fixture(scope="module", autouse=True)
def _networks():
    dead = tiny_network()
    with torch.no_grad():
        dead.conv2.weight[1] = 0
        dead.conv2.bias[1] = 0
        dead.conv2.weight[2:4] = dead.conv2.weight[:1]
        dead.conv2.bias[0] = 5
        dead.conv2.bias[2:4] = dead.conv2.bias[:1]
        dead.conv3.weight.zero_()
        dead.conv3.bias.fill_(-1)
    register_backbone("partly-dead", dead)
    register_backbone("clear", network(conv=see_through()), as_it_is)
    pooled = network(
        conv=see_through(), gate=Gated(), mean=nn.AdaptiveAvgPool2d(1), flat=nn.Flatten(), fc=nn.Linear(3, 2)
    )
    register_backbone("mixing", pooled, as_it_is)
    for padding in (0, 1, 2):
        for stride in (1, 2, 3):
            register_backbone(
                f"p{padding}s{stride}", network(conv=see_through(3, padding=padding, stride=stride)), as_it_is
            )


@pytest.fixture
def encoder():
    return Encoder(offline=True)


def point(x, y, size=SIZE):
    """The middle of a pixel."""
    across, down = (x + 0.5) / size[1], (y + 0.5) / size[0]
    return Region(across, down, across, down)


def looked(region, layer=LAYERS[1], picture=PICTURE, encoder=None):
    return Look(picture, region, (layer,)).firing(encoder or Encoder(), layer)


def by_hand(region, features, first, stride):
    """Ranked with plain loops; the middle of position i lies `first` + i * `stride` pixels from the left, and the top.

    Those within, of each axis the nearest where there is none; the mean of each channel; what is above 0, sorted.
    """
    chosen = []
    for count, side, begin, end in (
        (features.shape[1], SIZE[0], region.top, region.bottom),
        (features.shape[2], SIZE[1], region.left, region.right),
    ):
        middles = [(first + i * stride) / side for i in range(count)]
        inside = [i for i in range(count) if begin <= middles[i] < end]
        chosen.append(inside or [min(range(count), key=lambda i: abs(middles[i] - (begin + end) / 2))])
    ranked = []
    for channel, values in enumerate(features.tolist()):
        mean = sum(values[y][x] for y in chosen[0] for x in chosen[1]) / (len(chosen[0]) * len(chosen[1]))
        if mean > 1e-9:
            ranked.append((mean, channel))
    return sorted(ranked, key=lambda found: -found[0])


@st.composite
def regions(draw):
    # No middle of a position lies at a multiple of 1/97, where rounding would decide on which side it is.
    left, right, top, bottom = (draw(st.integers(0, 97)) for _ in range(4))
    return Region(min(left, right) / 97, min(top, bottom) / 97, max(left, right) / 97, max(top, bottom) / 97)


class TestWhere:
    @settings(max_examples=20)
    @given(x=st.integers(0, 35), y=st.integers(0, 23), colour=st.integers(0, 2))
    def test_a_lit_pixel_is_found_at_its_place_and_nowhere_else(self, x, y, colour):
        picture = torch.zeros(1, 3, *SIZE)
        picture[0, colour, y, x] = 0.5
        assert looked(point(x, y), "clear:conv", picture) == (Fired(colour, 0.5),)
        with pytest.raises(PlanError, match=r"^no channel of clear:conv fires there; name another place"):
            looked(point((x + 1) % 36, y), "clear:conv", picture)

    @pytest.mark.parametrize("padding", [0, 1, 2])
    @pytest.mark.parametrize("stride", [1, 2, 3])
    def test_padding_and_strides_move_nothing(self, padding, stride, encoder):
        """Of every position: the pixel in the middle of what it sees is the one that fires in it."""
        layer = f"p{padding}s{stride}:conv"
        grid = encoder(PICTURE, [layer])[resolve(layer)].shape[2:]
        for row, column in ((0, 0), (1, 2), (grid[0] - 1, grid[1] - 2), (3, grid[1] - 1)):
            y, x = row * stride + 1 - padding, column * stride + 1 - padding
            if 0 <= y < SIZE[0] and 0 <= x < SIZE[1]:
                colours = PICTURE[0, :, y, x]
                found = looked(point(x, y), layer, encoder=encoder)
                assert [each.channel for each in found] == colours.argsort(descending=True).tolist()
                assert_close([each.activation for each in found], colours.sort(descending=True).values.tolist())

    @settings(max_examples=50)
    @given(region=regions(), deep=st.booleans())
    def test_it_is_what_plain_loops_find(self, region, deep):
        """Behind a pool of 2 by 2, and with padding, position i looks at what lies around 2 i + 1 pixels."""
        layer, first, stride = (LAYERS[1], 1, 2) if deep else (LAYERS[0], 0.5, 1)
        encoder = Encoder()
        expected = by_hand(region, encoder(PICTURE, [layer])[resolve(layer)][0], first, stride)
        if not expected:
            with pytest.raises(PlanError, match=f"^no channel of {layer} fires there"):
                looked(region, layer, encoder=encoder)
            return
        found = looked(region, layer, encoder=encoder)
        assert_close([each.activation for each in found], [mean for mean, _ in expected], atol=1e-6, rtol=1e-5)
        assert {each.channel for each in found} == {channel for _, channel in expected}

    def test_all_of_the_picture_is_the_mean_over_all_positions(self, encoder):
        means = encoder(PICTURE, [LAYERS[1]])[resolve(LAYERS[1])][0].mean((1, 2))
        for found in looked(Region(0, 0, 1, 1), encoder=encoder):
            assert found.activation == pytest.approx(means[found.channel].item(), rel=1e-5)

    def test_a_box_that_holds_no_middle_means_the_nearest_position(self):
        narrow = Region(10.6 / 36, 10.6 / 24, 10.9 / 36, 10.9 / 24)
        assert looked(narrow) == looked(point(10, 10))

    def test_where_all_positions_are_mixed_the_grid_lies_evenly(self):
        picture = torch.full((1, 3, *SIZE), 0.1)
        picture[0, 1, 5, 7] = 0.9
        assert looked(point(7, 5), "mixing:gate", picture)[0].activation > 0.4
        for x, y in ((6, 5), (8, 5), (7, 4), (7, 6)):
            assert looked(point(x, y), "mixing:gate", picture)[0].activation < 0.1

    @pytest.mark.parametrize("layer", ["mixing:mean", "mixing:flat", "mixing:fc"])
    def test_a_layer_without_positions_is_told(self, layer):
        with pytest.raises(PlanError, match=rf"^{layer} has no positions.*name a layer that has$"):
            looked(CORNER, layer)


class TestOrder:
    def test_the_strongest_comes_first_and_of_equals_the_lower_number(self):
        found = [each.channel for each in looked(CORNER, "partly-dead:conv2")]
        assert [channel for channel in found if channel in (0, 2, 3)] == [0, 2, 3]
        values = [each.activation for each in looked(CORNER)]
        assert values == sorted(values, reverse=True)
        assert min(values) > 0

    def test_what_is_dead_does_not_fire(self):
        assert 1 not in [each.channel for each in looked(Region(0, 0, 1, 1), "partly-dead:relu2")]
        with pytest.raises(PlanError, match=r"^no channel of partly-dead:relu3 fires there"):
            looked(Region(0, 0, 1, 1), "partly-dead:relu3")

    def test_every_encoder_looks_once_at_all_layers(self, monkeypatch):
        seen = []
        plain = Encoder.__call__

        def call(self, image, layers):
            seen.append((image, list(layers)))
            return plain(self, image, seen[-1][1])

        monkeypatch.setattr(Encoder, "__call__", call)
        look, encoder = Look(PICTURE, CORNER, LAYERS), Encoder()
        for _ in range(2):
            for layer in LAYERS:
                Firing(look, layer, 0).bind(encoder, (16, 16))
        assert [layers for _, layers in seen] == [list(map(resolve, LAYERS))]
        assert torch.equal(seen[0][0], PICTURE)
        look.firing(Encoder(), LAYERS[0])
        assert len(seen) == 2


class TestTerm:
    def test_it_is_the_term_of_the_channel_that_was_found(self, encoder):
        look = Look(PICTURE, CORNER, LAYERS)
        image = torch.rand(1, 3, 16, 16, generator=torch.Generator().manual_seed(4))
        for layer in LAYERS:
            for rank, (channel, activation) in enumerate(look.firing(encoder, layer)):
                bound = Firing(look, layer, rank).bind(encoder, (16, 16))
                assert bound.name == f"{channel}: {activation:.3g}"
                assert bound.layers == {resolve(layer)}
                expected = BoundObjective(Channel(layer, channel), encoder, (16, 16))(image).total
                assert BoundObjective(Firing(look, layer, rank), encoder, (16, 16))(image).total == expected

    def test_another_layer_may_grow_in_the_same_channel_and_one_unit_alone(self, encoder):
        look = Look(PICTURE, CORNER, LAYERS)
        image = torch.rand(1, 3, 16, 16, generator=torch.Generator().manual_seed(4))
        channel = look.firing(encoder, LAYERS[1])[1].channel
        before = f"{TINY}:conv2"
        for told, expected in (
            ({"grown": before}, Channel(before, channel)),
            ({"unit": (1, 3)}, Neuron(LAYERS[1], channel, 1, 3)),
            ({"unit": (None, None), "grown": before}, Neuron(before, channel)),
        ):
            losses = [
                BoundObjective(term, encoder, (16, 16))(image).total
                for term in (Firing(look, LAYERS[1], 1, **told), expected)
            ]
            assert losses[0] == losses[1]

    def test_where_fewer_fire_there_is_nothing_to_minimise(self, encoder):
        look = Look(PICTURE, CORNER, LAYERS)
        count = len(look.firing(encoder, LAYERS[1]))
        bound = Firing(look, LAYERS[1], count).bind(encoder, (16, 16))
        assert (bound.name, bound.layers) == (NOTHING, frozenset())
        image = torch.rand(2, 3, 16, 16, requires_grad=True)
        loss = bound.evaluate(View(image, {}))
        loss.backward()
        assert loss == 0
        assert not image.grad.any()

    def test_of_a_batch_every_picture_is_called_by_what_was_found(self, encoder):
        look = Look(PICTURE, CORNER, LAYERS)
        objective = Only(0, Firing(look, LAYERS[1], 1)) + Only(1, Firing(look, LAYERS[1], 0))
        first, second = look.firing(encoder, LAYERS[1])[:2]
        names = BoundObjective(objective, encoder, (16, 16)).names
        assert names == [f"{second.channel}: {second.activation:.3g}@0", f"{first.channel}: {first.activation:.3g}@1"]

    def test_looking_leaves_the_declaration_as_it_is(self, encoder):
        look = Look(PICTURE, CORNER, LAYERS)
        before = fingerprint(Firing(look, LAYERS[0], 0))
        look.firing(encoder, LAYERS[0])
        assert fingerprint(Firing(look, LAYERS[0], 0)) == before
        assert fingerprint(Firing(Look(PICTURE, CORNER, LAYERS), LAYERS[0], 0)) == before
        assert fingerprint(Firing(Look(PICTURE, Region(0, 0, 0.3, 0.5), LAYERS), LAYERS[0], 0)) != before


class TestRefusals:
    @pytest.mark.parametrize("ends", [(0.5, 0, 0.4, 1), (0, 1, 1, 0), (-0.1, 0, 1, 1), (0, 0, 1.1, 1), (math.nan,) * 4])
    def test_a_region_lies_in_its_picture(self, ends):
        with pytest.raises(PlanError, match=r"^a region lies between 0 and 1"):
            Region(*ends)

    def test_ranks_are_counted_from_0(self):
        with pytest.raises(PlanError, match="there is no number -1"):
            Firing(Look(PICTURE, CORNER, LAYERS), LAYERS[0], -1)

    def test_a_layer_is_one_of_those_that_are_looked_at(self):
        with pytest.raises(AddressError, match=f"^the look falls on {LAYERS[0]}, not on {LAYERS[1]}$"):
            Firing(Look(PICTURE, CORNER, LAYERS[:1]), LAYERS[1], 0)
