"""Laws of the summaries, and their distances against plain transcriptions of the formulas."""

from typing import get_args

import pytest
import scipy.linalg
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.testing import assert_close

from oneira.objectives.squares import sum_of_squares
from oneira.objectives.statistics import (
    DISTANCES,
    LONGEST_RUN_ON_CPU,
    MEASURES,
    Statistics,
    _sums_by_convolution,
    _sums_by_product,
    gram,
    summarise,
)


def activations(seed, batch=1, channels=5, height=7, width=9, dtype=torch.float32):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(batch, channels, height, width, generator=generator).relu().to(dtype)


@given(st.integers(0, 1000), st.integers(-9, 9), st.integers(-9, 9))
def test_a_gram_matrix_ignores_where_things_are(seed, dy, dx):
    features = activations(seed)
    assert_close(gram(features), gram(features.roll((dy, dx), (2, 3))))


def test_a_gram_matrix_is_the_mean_of_products():
    features = activations(0, batch=2)
    b, c, h, w = features.shape
    expected = torch.einsum("bihw,bjhw->bij", features, features) / (h * w)
    assert_close(gram(features), expected)
    assert gram(features).shape == (b, c, c)


def test_a_picture_laid_beside_itself_has_the_same_summary():
    features = activations(1)
    once, twice = summarise(features), summarise(torch.cat([features, features], 3))
    assert_close(once.mean, twice.mean)
    assert_close(once.second, twice.second)


@pytest.mark.parametrize("positions", [LONGEST_RUN_ON_CPU - 1, 2 * LONGEST_RUN_ON_CPU + 3])
def test_half_precision_summaries_come_near_the_float64_ones(positions):
    exact = torch.randn(1, 4, 1, positions, generator=torch.Generator().manual_seed(0)).relu().bfloat16()
    summary = summarise(exact)
    wide = exact.double().flatten(2)
    assert summary.second.dtype == torch.float32
    assert_close(summary.second.double(), wide @ wide.mT / positions, rtol=4e-3, atol=1e-4)
    assert_close(summary.mean.double(), wide.mean(2), rtol=4e-3, atol=1e-4)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("sums", [_sums_by_convolution, _sums_by_product])
def test_processors_and_accelerators_find_the_same_sums(sums, dtype, monkeypatch):
    for longest in ("LONGEST_RUN", "LONGEST_RUN_ON_CPU"):
        monkeypatch.setattr(f"oneira.objectives.statistics.{longest}", 20)  # two of the seven rows
    left, right = (activations(seed, batch=2, dtype=dtype) for seed in (3, 4))
    means, products = sums(left, right)
    assert means.dtype == products.dtype == torch.float32
    rounding = {"rtol": 4e-3, "atol": 0.05} if dtype == torch.bfloat16 else {}
    wide = left.float(), right.float()
    assert_close(means, wide[0].sum((2, 3)), **rounding)
    assert_close(products, torch.einsum("bihw,bjhw->bij", *wide), **rounding)


@given(st.lists(st.integers(1, 4), max_size=3))
def test_a_sum_of_squares_and_its_gradients_are_torchs(shape):
    values = torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(0)).requires_grad_()
    assert_close(sum_of_squares(values), values.square().sum())
    assert torch.autograd.gradcheck(sum_of_squares, (values,))
    assert torch.autograd.gradgradcheck(sum_of_squares, (values,))


def test_weights_count_squares_as_often_as_they_say():
    generator = torch.Generator().manual_seed(0)
    values, weights = torch.randn(2, 3, 4, 5, generator=generator), torch.rand(1, 1, 4, 5, generator=generator)
    expected = sum(sum_of_squares(values[..., y, x]) * weights[0, 0, y, x] for y in range(4) for x in range(5))
    assert_close(sum_of_squares(values, weights), expected)


@pytest.mark.parametrize("weighted", [False, True])
def test_the_summaries_gradient_equals_finite_differences(weighted):
    # float64 has the same path as float32 here: one product.
    features = activations(2, batch=2, channels=3, height=3, width=4).double().requires_grad_()
    weights = torch.rand(1, 1, 3, 4, dtype=torch.float64) if weighted else None

    def both(x):
        summary = summarise(x, weights)
        return summary.mean.double(), summary.second.double()

    assert torch.autograd.gradcheck(both, (features,))


@pytest.mark.parametrize("name", DISTANCES)
def test_a_summary_is_at_no_distance_from_itself_and_at_some_from_others(name):
    one, other = summarise(activations(5)), summarise(activations(6, height=11))
    assert DISTANCES[name].between(one, one).item() == pytest.approx(0, abs=1e-5)
    assert DISTANCES[name].between(one, other).item() > 1e-4


def test_every_statistic_is_a_distance_or_a_measure():
    assert sorted(get_args(Statistics)) == sorted([*DISTANCES, *MEASURES])


@pytest.mark.parametrize("name", MEASURES)
def test_what_is_measured_is_at_no_distance_from_itself_and_at_some_from_others(name):
    measure, features = MEASURES[name], activations(5)
    target, other = measure.of(features, None), measure.of(activations(6, height=11), None)
    assert measure.between(features, target, None) == 0
    assert measure.between(features, other, None) > 1e-3
    assert_close(measure.average([target, target], (0.25, 0.75)), target)
    assert measure.size(target).item() > 0


@pytest.mark.parametrize("name", MEASURES)
def test_what_is_measured_of_a_batch_is_summed_over_its_pictures(name):
    measure, features = MEASURES[name], activations(5, batch=3)
    target = measure.of(activations(6, height=11), None)
    apart = [measure.between(one, target, None) for one in features.split(1)]
    assert_close(measure.between(features, target, None), sum(apart))


def test_moments_are_means_and_deviations():
    one, other = activations(7), activations(8)
    expected = (one.mean((2, 3)) - other.mean((2, 3))).square().mean() + (
        one.std((2, 3), unbiased=False) - other.std((2, 3), unbiased=False)
    ).square().mean()
    assert_close(DISTANCES["moments"].between(summarise(one), summarise(other)), expected, rtol=1e-4, atol=1e-6)


def test_wasserstein_equals_the_formula_with_scipys_matrix_root():
    one, other = summarise(activations(9)), summarise(activations(10))
    a, b = (s.covariance[0].double().numpy() for s in (one, other))
    root = scipy.linalg.sqrtm(b)
    crossed = scipy.linalg.sqrtm(root @ a @ root).real
    expected = (one.mean - other.mean).square().mean().item() + (a + b - 2 * crossed).trace() / len(a)
    assert DISTANCES["wasserstein"].between(one, other).item() == pytest.approx(expected, rel=1e-3)


def test_wassersteins_gradient_is_finite_where_eigenvalues_coincide():
    features = torch.zeros(1, 4, 6, 6, requires_grad=True)
    summary = summarise(features + torch.eye(4).repeat(1, 9).view(1, 4, 6, 6))
    DISTANCES["wasserstein"].between(summary, summarise(activations(11, channels=4))).backward()
    assert features.grad.isfinite().all()
