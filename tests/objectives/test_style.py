"""Laws of the style of several pictures, of histograms, and of what is refused."""

from typing import get_args

import numpy
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from networks import TINY
from torch.testing import assert_close

from oneira.errors import PlanError
from oneira.features.encoder import Encoder
from oneira.features.registry import resolve
from oneira.images import resize
from oneira.objectives import BoundObjective, Style
from oneira.objectives.histogram import LARGEST_RUN, average_quantiles, histogram_distance, matched, quantiles
from oneira.objectives.statistics import Statistics, average, gram, summarise

LAYERS = (f"{TINY}:relu1", f"{TINY}:relu3")
SIZE = (20, 28)
KINDS = [
    *((statistic, normalization) for statistic in get_args(Statistics) for normalization in ("average", "relative")),
    ("gram", "gatys"),
]


@pytest.fixture(scope="module")
def encoder():
    return Encoder()


def picture(seed, height=17, width=13):
    return torch.rand(1, 3, height, width, generator=torch.Generator().manual_seed(seed))


def activations(seed, batch=1, channels=4, height=6, width=7):
    return torch.randn(batch, channels, height, width, generator=torch.Generator().manual_seed(seed)).relu()


def loss_of(term, image, encoder):
    return BoundObjective(term, encoder, tuple(image.shape[2:]))(image).total


@pytest.mark.parametrize(("statistic", "normalization"), KINDS)
def test_a_picture_without_a_share_does_not_count_and_one_given_twice_counts_once(
    statistic, normalization, image, encoder
):
    one, other = picture(1), picture(2, 30, 11)
    alone = loss_of(Style(one, LAYERS, statistic, normalization), image, encoder)
    several = Style((one, other), LAYERS, statistic, normalization, shares=(3, 0))
    assert torch.equal(loss_of(several, image, encoder), alone)
    assert torch.equal(loss_of(Style([one, one], LAYERS, statistic, normalization), image, encoder), alone)
    mixed = loss_of(Style((one, other), LAYERS, statistic, normalization), image, encoder)
    assert not torch.isclose(mixed, alone, rtol=1e-3)


@pytest.mark.parametrize(("statistic", "normalization"), KINDS)
def test_shares_count_by_their_proportions_and_are_equal_unless_told(statistic, normalization, image, encoder):
    pictures = [picture(1), picture(2, 30, 11)]
    losses = [
        loss_of(Style(pictures, LAYERS, statistic, normalization, shares=shares), image, encoder)
        for shares in (None, (0.5, 0.5), (7, 7))
    ]
    assert_close(losses[1], losses[0])
    assert_close(losses[2], losses[0])
    turned = loss_of(Style(pictures[::-1], LAYERS, statistic, normalization, shares=(1, 4)), image, encoder)
    assert_close(turned, loss_of(Style(pictures, LAYERS, statistic, normalization, shares=(4, 1)), image, encoder))


def test_gram_matrices_are_averaged_with_the_shares(image, encoder):
    pictures = [picture(1), picture(2, 30, 11)]
    addresses = [resolve(LAYERS[1])]
    term = Style(pictures, LAYERS[1], shares=(1, 3))
    # The pictures at the canvas's area, in their own proportions.
    sizes = [(27, 21), (39, 14)]
    grams = [
        gram(encoder(resize(one, size), addresses)[addresses[0]]) for one, size in zip(pictures, sizes, strict=True)
    ]
    mine = gram(encoder(image, addresses)[addresses[0]])
    expected = (mine - 0.25 * grams[0] - 0.75 * grams[1]).square().mean()
    assert_close(loss_of(term, image, encoder), expected, rtol=1e-4, atol=1e-8)


@given(st.integers(0, 1000), st.integers(1, 5))
def test_the_average_of_pictures_is_the_summary_of_all_their_places(seed, copies):
    one, other = activations(seed), activations(seed + 1)
    together = summarise(torch.cat([one, *[other] * copies], 3))
    averaged = average([summarise(one), summarise(other)], (1 / (1 + copies), copies / (1 + copies)))
    assert_close(averaged.mean, together.mean)
    assert_close(averaged.second, together.second)


@given(st.integers(0, 1000), st.floats(0, 1), st.floats(0, 9))
def test_an_averaged_covariance_is_positive_semidefinite_however_far_apart_the_pictures_are(seed, share, apart):
    one, other = activations(seed).double(), activations(seed + 1).double() + apart
    covariance = average([summarise(one), summarise(other)], (share, 1 - share)).covariance
    assert_close(covariance, covariance.mT)
    assert torch.linalg.eigvalsh(covariance).min() > -1e-9


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: Style([]), "no style picture is given"),
        (lambda: Style(torch.zeros(3, 8, 8)), r"a style picture is \(1, 3, height, width\), not \(3, 8, 8\)"),
        (lambda: Style([picture(1), torch.zeros(1, 1, 8, 8)]), r"not \(1, 1, 8, 8\)"),
        (lambda: Style(picture(1), shares=(1, 2)), "needs one share: 1, not 2"),
        (lambda: Style([picture(1)] * 3, shares=(1, 2)), "needs one share: 3, not 2"),
        (lambda: Style([picture(1)] * 2, shares=(1, -0.5)), "at least 0, not -0.5"),
        (lambda: Style([picture(1)] * 2, shares=(1, float("nan"))), "at least 0, not nan"),
        (lambda: Style([picture(1)] * 2, shares=(0, 0)), "add up to 0"),
    ],
)
def test_pictures_and_shares_that_do_not_go_together_are_refused(make, says):
    with pytest.raises(PlanError, match=says) as caught:
        make()
    assert "\n" not in str(caught.value)


def transcribed_match(features, style):
    """Each channel's values, by rank, take the style's values at the same level, with numpy's interpolation."""
    result = numpy.empty_like(features)
    for channel, (mine, theirs) in enumerate(zip(features, style, strict=True)):
        at = [(numpy.arange(len(values)) + 0.5) / len(values) for values in (mine, theirs)]
        result[channel, mine.argsort()] = numpy.interp(at[0], at[1], numpy.sort(theirs))
    return result


@pytest.mark.parametrize("largest", [1, 100, LARGEST_RUN])
@pytest.mark.parametrize("width", [3, 7, 20])
def test_matching_gives_each_activation_the_styles_value_at_its_rank(width, largest):
    mine = torch.randn(2, 4, 6, 7, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    style = torch.randn(1, 4, 6, width, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    found = matched(mine, quantiles(style, largest=largest), largest=largest)
    for picture, expected in zip(mine, found, strict=True):
        plain = transcribed_match(picture.flatten(1).numpy(), style[0].flatten(1).numpy())
        assert_close(expected.flatten(1), torch.from_numpy(plain))
    distance = histogram_distance(mine, quantiles(style))
    assert_close(distance, (mine - found).square().mean((1, 2, 3)).sum())


@given(st.integers(0, 1000), st.sampled_from([torch.float32, torch.bfloat16]))
def test_a_histogram_ignores_where_things_are_and_is_at_no_distance_from_itself(seed, dtype):
    one, other = activations(seed).to(dtype), activations(seed + 1).to(dtype)
    moved = one.flatten(2)[..., torch.randperm(42, generator=torch.Generator().manual_seed(seed))].view(one.shape)
    assert histogram_distance(one, quantiles(one)) == 0
    assert histogram_distance(moved, quantiles(one)) == 0
    assert_close(histogram_distance(moved, quantiles(other)), histogram_distance(one, quantiles(other)))
    assert histogram_distance(one, quantiles(other)) > 0


@pytest.mark.parametrize("kept", [500, 5000])
def test_histograms_do_not_depend_on_size(kept):
    small, large = activations(0, height=20, width=30), activations(1, height=90, width=120)
    louder = 1.5 * large
    alike = histogram_distance(small, quantiles(large, most=kept))
    assert alike < 0.02
    assert histogram_distance(small, quantiles(louder, most=kept)) > 5 * alike
    assert_close(
        histogram_distance(large, quantiles(small)), histogram_distance(small, quantiles(large)), rtol=0.3, atol=1e-3
    )


@pytest.mark.parametrize("weighted", [False, True])
def test_a_histograms_gradient_equals_finite_differences_and_leads_to_the_match(weighted):
    features = torch.randn(2, 3, 3, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(5)).requires_grad_()
    target = quantiles(torch.randn(1, 3, 5, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(6)))
    weights = None
    if weighted:
        weights = torch.rand(1, 1, 3, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(7))
        weights = weights / weights.mean()
    assert torch.autograd.gradcheck(lambda x: histogram_distance(x, target, weights), (features,))
    (gradient,) = torch.autograd.grad(histogram_distance(features, target, weights), features)
    expected = 2 * (features - matched(features, target, weights)) / features[0].numel()
    assert_close(gradient, expected if weights is None else expected * weights)


def test_a_masked_histogram_is_that_of_the_region():
    features, style = activations(8, height=6, width=8), activations(9, height=5)
    weights = torch.zeros(1, 1, 6, 8)
    weights[..., :4] = 2
    region = histogram_distance(features[..., :4], quantiles(style))
    assert_close(histogram_distance(features, quantiles(style), weights), region)
    assert_close(
        histogram_distance(features, quantiles(style), torch.ones_like(weights)),
        histogram_distance(features, quantiles(style)),
    )
    assert histogram_distance(features, quantiles(style), torch.zeros_like(weights)) == 0


def test_averaged_histograms_lie_between_in_the_least_squares_sense():
    one, other = quantiles(activations(1)), quantiles(activations(2, height=9) + 1)
    middle = average_quantiles([one, other], (0.25, 0.75))
    assert middle.shape[2] == 63
    assert (middle.diff(dim=2) >= 0).all()
    # Of all histograms, no other is nearer to both.
    shaken = middle + 0.1 * torch.randn(middle.shape, generator=torch.Generator().manual_seed(3))
    nearness = [
        0.25 * histogram_distance(some.unsqueeze(2), one) + 0.75 * histogram_distance(some.unsqueeze(2), other)
        for some in (middle, shaken, one, other)
    ]
    assert nearness[0] < min(nearness[1:])
    # A shift moves the average by its share.
    assert_close(average_quantiles([one, one + 4], (0.25, 0.75)), one + 3)


def test_style_by_histogram_is_the_mean_of_its_layers_distances(image, encoder):
    style = picture(3, 20, 28)
    addresses = [resolve(layer) for layer in LAYERS]
    mine, theirs = encoder(image, addresses), encoder(style, addresses)
    expected = [histogram_distance(mine[a], quantiles(theirs[a])) for a in addresses]
    assert_close(loss_of(Style(style, LAYERS, "histogram"), image, encoder), sum(expected) / 2)
    both = loss_of(Style(style, LAYERS, ("gram", "histogram")), image, encoder)
    assert_close(both, sum(loss_of(Style(style, LAYERS, s), image, encoder) for s in ("gram", "histogram")))
    sizes = [theirs[a].square().mean() for a in addresses]
    relative = sum(distance / size for distance, size in zip(expected, sizes, strict=True)) / 2
    assert_close(loss_of(Style(style, LAYERS, "histogram", "relative"), image, encoder), relative)


def test_in_half_precision_a_histograms_gradient_comes_near_the_float32_one():
    features, target = activations(1), quantiles(activations(2).bfloat16())
    assert target.dtype == torch.float32
    gradients = []
    for dtype in (torch.float32, torch.bfloat16):
        # The same values in both, so that their ranks are the same.
        leaf = features.bfloat16().to(dtype).requires_grad_()
        (gradient,) = torch.autograd.grad(histogram_distance(leaf, target), leaf)
        assert gradient.dtype == dtype
        gradients.append(gradient.float())
    assert_close(gradients[1], gradients[0], rtol=8e-3, atol=1e-6)


def test_a_picture_that_descends_takes_on_the_histogram(image, encoder):
    bound = BoundObjective(Style(picture(3, 20, 28), LAYERS, "histogram", "relative"), encoder, SIZE)
    canvas = image.clone().requires_grad_()
    optimiser = torch.optim.Adam([canvas], lr=0.02)
    before = bound(canvas).total.item()
    for _ in range(30):
        optimiser.zero_grad()
        bound(canvas).total.backward()
        optimiser.step()
    assert bound(canvas).total.item() < 0.3 * before
