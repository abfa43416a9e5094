"""Laws of autocorrelations, against plain loops over positions and shifts."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from networks import TINY
from torch.testing import assert_close

from oneira.errors import PlanError
from oneira.features.encoder import Encoder
from oneira.features.registry import resolve
from oneira.objectives import Artwork, BoundObjective, Masked, SavedStyle, Style
from oneira.objectives.autocorrelation import (
    autocorrelation,
    autocorrelation_distance,
    average_autocorrelations,
    size_of_autocorrelation,
)
from oneira.objectives.statistics import summarise

LAYERS = (f"{TINY}:relu1", f"{TINY}:relu3")
SIZE = (20, 28)
SIDES = st.integers(1, 7)


@pytest.fixture(scope="module")
def encoder():
    return Encoder()


def activations(seed, batch=1, channels=3, height=6, width=7, dtype=torch.float64):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(batch, channels, height, width, dtype=dtype, generator=generator).relu()


def weights_of(seed, height, width):
    weights = torch.rand(1, 1, height, width, dtype=torch.float64, generator=torch.Generator().manual_seed(seed)) + 0.1
    return weights / weights.mean()


def transcribed(features, weights=None):
    """{(dy, dx): (b, c)}: the covariance of places that lie so far apart, summed up one after the other."""
    batch, channels, height, width = features.shape
    weights = torch.ones(height, width, dtype=features.dtype) if weights is None else weights[0, 0]
    centred = features - (features * weights).sum((2, 3), keepdim=True) / weights.sum()
    found = {}
    for dy in range(-(height // 2), height // 2 + 1):
        for dx in range(width // 2 + 1):
            total, share = torch.zeros(batch, channels, dtype=features.dtype), 0.0
            for y in range(height):
                for x in range(width):
                    if 0 <= y + dy < height and 0 <= x + dx < width:
                        both = weights[y, x] * weights[y + dy, x + dx]
                        total += both * centred[:, :, y, x] * centred[:, :, y + dy, x + dx]
                        share += both
            found[dy, dx] = total / share
    return found


def laid_out(found, down, right):
    """(b, c, 2 down + 1, right + 1)"""
    rows = [torch.stack([found[dy, dx] for dx in range(right + 1)], -1) for dy in range(-down, down + 1)]
    return torch.stack(rows, -2)


def loss_of(term, image, encoder):
    return BoundObjective(term, encoder, tuple(image.shape[2:]))(image).total


class TestOfOnePicture:
    @given(SIDES, SIDES, st.integers(1, 2), st.booleans(), st.integers(0, 99))
    def test_it_is_the_sum_over_all_places_that_lie_so_far_apart(self, height, width, batch, weighted, seed):
        features = activations(seed, batch, 2, height, width)
        weights = weights_of(seed, height, width) if weighted else None
        expected = laid_out(transcribed(features, weights), height // 2, width // 2)
        assert_close(autocorrelation(features, weights), expected)

    @pytest.mark.parametrize("run", [1, 100, 10**6])
    def test_how_many_channels_are_transformed_at_a_time_changes_nothing(self, run, monkeypatch):
        monkeypatch.setattr("oneira.objectives.autocorrelation.LARGEST_RUN", run)
        features = activations(1, batch=2, channels=5).requires_grad_()
        assert_close(autocorrelation(features), laid_out(transcribed(features), 3, 3))
        (gradient,) = torch.autograd.grad(autocorrelation(features).square().sum(), features)
        apart = [activations(1, batch=2, channels=5)[:, [c]].requires_grad_() for c in range(5)]
        for channel, alone in enumerate(apart):
            (expected,) = torch.autograd.grad(autocorrelation(alone).square().sum(), alone)
            assert_close(gradient[:, [channel]], expected)

    def test_with_no_shift_it_is_the_channels_variance(self):
        features = activations(2)
        found = autocorrelation(features)
        assert_close(found[:, :, 3, 0], features.var((2, 3), unbiased=False))

    @given(st.floats(-9, 9), st.integers(0, 99))
    def test_what_is_added_to_a_whole_channel_does_not_count(self, more, seed):
        assert_close(autocorrelation(activations(seed) + more), autocorrelation(activations(seed)))

    def test_a_regular_pattern_returns_to_its_variance_after_each_period(self):
        stripes = torch.arange(24.0).mul(2 * torch.pi / 6).sin().expand(1, 1, 10, 24)
        found = autocorrelation(stripes)[0, 0, 5]
        assert_close(found[::6], torch.full((3,), 0.5), rtol=0.01, atol=0)
        assert_close(found[3::6], torch.full((2,), -0.5), rtol=0.01, atol=0)

    @pytest.mark.parametrize(("height", "width"), [(4, 9), (5, 6)])
    def test_it_does_not_go_around_the_border(self, height, width):
        ends = torch.zeros(1, 1, height, width, dtype=torch.float64)
        ends[..., 0], ends[..., -1] = 1, -1
        inside = ends.clone()
        inside[..., 1:-1] = activations(4, 1, 1, height, width - 2)
        assert_close(autocorrelation(inside), laid_out(transcribed(inside), height // 2, width // 2))

    def test_a_region_tells_nothing_of_shifts_at_which_it_does_not_meet_itself(self):
        weights = torch.zeros(1, 1, 8, 10, dtype=torch.float64)
        weights[..., 2:4] = 5
        features = activations(5, height=8, width=10)
        found = autocorrelation(features, weights)
        assert found[..., 2:].isnan().all()
        assert_close(found[..., :2], autocorrelation(features[..., 2:4]))

    def test_half_precision_is_summed_in_float32(self):
        features = activations(6, height=16, width=16).bfloat16()
        found = autocorrelation(features)
        assert found.dtype == torch.float32
        assert_close(found.double(), autocorrelation(features.double()), rtol=1e-4, atol=1e-6)


class TestDistance:
    @given(SIDES, SIDES, SIDES, SIDES, st.booleans(), st.integers(0, 99))
    def test_of_two_sizes_the_shifts_that_both_have_are_compared(self, height, width, rows, columns, weighted, seed):
        mine, theirs = activations(seed, 2, 2, height, width), activations(seed + 1, 1, 2, rows, columns)
        weights = weights_of(seed, height, width) if weighted else None
        one, other = transcribed(mine, weights), transcribed(theirs)
        squares = [(one[shift] - other[shift]).square().mean(1).sum() for shift in one.keys() & other.keys()]
        expected = torch.stack(squares).mean()
        assert_close(autocorrelation_distance(mine, autocorrelation(theirs), weights), expected)

    @given(st.integers(0, 99))
    def test_it_is_none_from_itself_and_some_from_the_same_activations_elsewhere(self, seed):
        features = activations(seed)
        target = autocorrelation(features)
        order = torch.randperm(42, generator=torch.Generator().manual_seed(seed))
        shuffled = features.flatten(2)[..., order].view_as(features)
        assert autocorrelation_distance(features, target) == 0
        assert_close(summarise(shuffled).second, summarise(features).second)
        assert autocorrelation_distance(shuffled, target) > 0.01 * size_of_autocorrelation(target)

    @pytest.mark.parametrize("weighted", [False, True])
    @pytest.mark.parametrize(("height", "width"), [(5, 6), (4, 3)])
    def test_its_gradient_equals_finite_differences(self, height, width, weighted):
        features = activations(7, batch=2, height=height, width=width).requires_grad_()
        weights = weights_of(7, height, width) if weighted else None
        target = autocorrelation(activations(8, height=6, width=4))
        assert torch.autograd.gradcheck(lambda x: autocorrelation_distance(x, target, weights), (features,))

    def test_where_a_region_ends_there_is_neither_loss_nor_a_gradient_that_is_no_number(self):
        features = activations(9, height=8, width=10).requires_grad_()
        weights = torch.zeros(1, 1, 8, 10, dtype=torch.float64)
        weights[..., 2:4] = 5
        target = autocorrelation(activations(10, height=8, width=10))
        distance = autocorrelation_distance(features, target, weights)
        (gradient,) = torch.autograd.grad(distance, features)
        part = autocorrelation_distance(features[..., 2:4], target)
        assert_close(distance, part)
        assert_close(gradient, torch.autograd.grad(part, features)[0])
        # A target that lacks them is met with as little.
        masked = autocorrelation(features.detach(), weights)
        assert autocorrelation_distance(features, masked) == autocorrelation_distance(features, masked[..., :2])
        assert autocorrelation_distance(features, target, torch.zeros_like(weights)) == 0

    def test_what_is_no_number_does_not_pass_for_a_shift_that_is_missing(self):
        target = autocorrelation(activations(11))
        broken = activations(12)
        broken[0, 1, 2, 2] = torch.inf
        assert autocorrelation_distance(broken, target).isnan()
        assert autocorrelation_distance(activations(11), autocorrelation(broken)).isnan()

    def test_in_half_precision_the_gradient_comes_near_the_float64_one(self):
        values, target = activations(13, height=16, width=16).bfloat16(), autocorrelation(activations(14, 1, 3, 20, 12))
        gradients = []
        for dtype in (torch.float64, torch.bfloat16):
            leaf = values.to(dtype).requires_grad_()
            (gradient,) = torch.autograd.grad(autocorrelation_distance(leaf, target.to(torch.float32)), leaf)
            assert gradient.dtype == dtype
            gradients.append(gradient.double())
        assert (gradients[1] - gradients[0]).norm() < 0.01 * gradients[0].norm()


class TestSeveralPictures:
    def test_they_are_averaged_at_the_shifts_that_all_have(self):
        wide, high = activations(15, height=4, width=9), activations(16, height=7, width=5)
        one, other = transcribed(wide), transcribed(high)
        average = average_autocorrelations([autocorrelation(wide), autocorrelation(high)], (0.25, 0.75))
        mixed = {shift: 0.25 * one[shift] + 0.75 * other[shift] for shift in one.keys() & other.keys()}
        assert average.shape == (1, 3, 5, 3)
        assert_close(average, laid_out(mixed, 2, 2))

    def test_a_shift_that_one_region_lacks_is_missing(self):
        weights = torch.zeros(1, 1, 6, 7, dtype=torch.float64)
        weights[..., :2] = 3.5
        pictures = [autocorrelation(activations(17)), autocorrelation(activations(18), weights)]
        average = average_autocorrelations(pictures, (0.5, 0.5))
        assert average[..., :2].isfinite().all()
        assert average[..., 2:].isnan().all()
        assert_close(size_of_autocorrelation(average), average[..., :2].square().mean())


class TestStyle:
    @pytest.mark.parametrize("size", [SIZE, (34, 26)])
    def test_it_is_the_mean_of_its_layers_distances(self, size, image, encoder):
        style = torch.rand(1, 3, *size, generator=torch.Generator().manual_seed(1))
        scale = (size[0] * size[1] / (SIZE[0] * SIZE[1])) ** 0.5  # it is looked at as it is
        addresses = [resolve(layer) for layer in LAYERS]
        mine, theirs = encoder(image, addresses), encoder(style, addresses)
        targets = [autocorrelation(theirs[a]) for a in addresses]
        expected = [autocorrelation_distance(mine[a], t) for a, t in zip(addresses, targets, strict=True)]
        found = loss_of(Style(style, LAYERS, "autocorrelation", scale=scale), image, encoder)
        assert_close(found, sum(expected) / 2)
        relative = sum(distance / t.square().mean() for distance, t in zip(expected, targets, strict=True)) / 2
        found = loss_of(Style(style, LAYERS, "autocorrelation", "relative", scale=scale), image, encoder)
        assert_close(found, relative)

    def test_masks_confine_the_canvas_and_the_picture(self, image, encoder):
        mask = torch.zeros(1, 1, *SIZE)
        mask[..., :14] = 1
        other = image.clone()
        other[..., 22:] = 0.5  # farther from the mask than the network sees
        style = Artwork(torch.rand(1, 3, *SIZE, generator=torch.Generator().manual_seed(2)), mask)
        term = Masked(mask, Style(style, LAYERS[:1], "autocorrelation"))
        assert loss_of(term, image, encoder) > 0
        assert_close(loss_of(term, other, encoder), loss_of(term, image, encoder))
        assert loss_of(Masked(mask, Style(Artwork(image, mask), LAYERS[:1], "autocorrelation")), other, encoder) < 1e-10

    def test_a_picture_that_descends_takes_on_the_pattern(self, encoder):
        stripes = torch.arange(32).div(4, rounding_mode="floor").remainder(2).float().expand(1, 3, 32, 32)
        bound = BoundObjective(Style(stripes, LAYERS[0], "autocorrelation", "relative"), encoder, (32, 32))
        canvas = torch.rand(1, 3, 32, 32, generator=torch.Generator().manual_seed(3)).requires_grad_()
        optimiser = torch.optim.Adam([canvas], lr=0.02)
        before = bound(canvas).total.item()
        for _ in range(60):
            optimiser.zero_grad()
            bound(canvas).total.backward()
            optimiser.step()
        assert bound(canvas).total.item() < 0.3 * before

    def test_no_saved_style_holds_it(self, image, encoder):
        addresses = [resolve(layer) for layer in LAYERS]
        with pytest.raises(PlanError, match="a saved style cannot hold autocorrelation, which belongs to one size"):
            SavedStyle.of([Artwork(image)], [1.0], encoder, addresses, [400.0], ("gram", "autocorrelation"))
        saved = SavedStyle.of([Artwork(image)], [1.0], encoder, addresses, [400.0], ("gram",))
        with pytest.raises(PlanError, match=r"take the picture itself for it, or leave this statistic out$"):
            loss_of(Style([image, saved], LAYERS, ("gram", "autocorrelation")), image, encoder)
