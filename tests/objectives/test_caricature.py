"""Laws of caricatures."""

import numpy as np
import pytest
import torch
from networks import TINY
from torch.testing import assert_close

from oneira.errors import AddressError, PlanError
from oneira.features.encoder import Encoder
from oneira.features.registry import resolve
from oneira.images import resize
from oneira.objectives import Caricature, Masked, View
from oneira.objectives.term import BoundObjective

LAYERS = (f"{TINY}:relu1", f"{TINY}:conv3")
LAYER = LAYERS[1]
SIZE = (20, 28)
POWERS = (0, 0.5, 1, 4)


@pytest.fixture
def encoder():
    return Encoder()


@pytest.fixture
def canvas():
    return torch.rand(1, 3, *SIZE, generator=torch.Generator().manual_seed(8))


def features_of(picture, encoder, layer=LAYER):
    return encoder(picture, [layer])[resolve(layer)]


def loss_of(term, picture, encoder):
    bound = term.bind(encoder, SIZE)
    return bound.evaluate(View(picture, encoder(picture, bound.layers)))


def loss_at(term, features, encoder):
    """Where the canvas has these activations, whatever it looks like."""
    bound = term.bind(encoder, SIZE)
    return bound.evaluate(View(torch.zeros(1, 3, *SIZE), {resolve(LAYER): features}))


@pytest.mark.parametrize("power", POWERS)
def test_it_is_lucids_formula_by_position_over_the_pictures_own_size(power, image, encoder):
    seen = features_of(image, encoder)
    shown = seen + 2 * torch.randn(seen.shape, generator=torch.Generator().manual_seed(1))
    x, y = (features[0].flatten(1).T.double().numpy() for features in (shown, seen))
    # lucid/optvis/objectives.py, _dot_cossim:
    xy_dot = np.sum(x * y, -1)
    x_mags, y_mags = np.sqrt(np.sum(x * x, -1)), np.sqrt(np.sum(y * y, -1))
    cossims = xy_dot / x_mags / y_mags
    floored_cossims = np.maximum(0.1, cossims)
    objective = np.mean(xy_dot * floored_cossims**power)
    assert (cossims < 0.1).any()  # the floor is reached
    expected = -objective / np.mean(np.sum(y * y, -1))
    assert loss_at(Caricature(image, LAYER, power), shown, encoder).item() == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("layers", [*LAYERS, LAYERS, "pocket:relu3_2"])
@pytest.mark.parametrize("power", POWERS)
def test_it_is_minus_one_at_the_picture_itself(power, layers, image, encoder):
    assert loss_of(Caricature(image, layers, power), image, encoder).item() == pytest.approx(-1, abs=1e-5)


@pytest.mark.parametrize("power", POWERS)
@pytest.mark.parametrize("loudness", [1e-6, 2.0, 1e6])
def test_activations_that_are_louder_make_it_larger_by_as_much(power, loudness, image, canvas, encoder):
    term, features = Caricature(image, LAYER, power), features_of(canvas, encoder)
    once = loss_at(term, features, encoder).item()
    assert loss_at(term, features * loudness, encoder).item() == pytest.approx(loudness * once, rel=1e-4)


def test_power_rewards_direction_over_size(image, encoder):
    seen = features_of(image, encoder)
    across = torch.randn(seen.shape, generator=torch.Generator().manual_seed(1))
    across -= (across * seen).sum(1, keepdim=True) / seen.square().sum(1, keepdim=True) * seen
    like, loud = seen, 1.5 * seen + 2 * across * seen.norm(dim=1, keepdim=True) / across.norm(dim=1, keepdim=True)
    # The loud one has half as much again in the picture's direction, and more beside it.
    plain, powered = (
        [loss_at(Caricature(image, LAYER, power), features, encoder) for features in (like, loud)] for power in (0, 2)
    )
    assert plain[1] < plain[0]
    assert powered[0] < powered[1]


def test_positions_are_compared_each_with_its_own(image, encoder):
    seen = features_of(image, encoder)
    term = Caricature(image, LAYER)
    assert loss_at(term, seen.flip(-1), encoder) > loss_at(term, seen, encoder)
    assert term.bind(encoder, SIZE).aligned


def test_the_picture_is_brought_to_the_canvass_size(image, canvas, encoder):
    large = resize(image, (50, 40))
    expected = loss_of(Caricature(resize(large, SIZE), LAYER), canvas, encoder)
    assert_close(loss_of(Caricature(large, LAYER), canvas, encoder), expected)


def test_layers_are_summed_with_their_weights(image, canvas, encoder):
    first, second = (loss_of(Caricature(image, layer), canvas, encoder) for layer in LAYERS)
    assert_close(loss_of(Caricature(image, LAYERS), canvas, encoder), (first + second) / 2)
    assert_close(loss_of(Caricature(image, LAYERS, weights=(0.5, -3.0)), canvas, encoder), 0.5 * first - 3 * second)


def test_a_batch_is_a_sum_over_its_pictures(image, canvas, encoder):
    term = Caricature(image, LAYERS)
    together = loss_of(term, torch.cat([image, canvas]), encoder)
    assert_close(together, loss_of(term, image, encoder) + loss_of(term, canvas, encoder))


def test_a_mask_confines_it_and_a_white_one_changes_nothing(image, canvas, encoder):
    term = Caricature(image, LAYER)
    plain = loss_of(term, canvas, encoder)
    assert_close(loss_of(Masked(torch.ones(1, 1, *SIZE), term), canvas, encoder), plain)
    left = torch.zeros(1, 1, *SIZE)
    left[..., :14] = 1
    features = features_of(canvas, encoder)
    bound = Masked(left, term).bind(encoder, SIZE)
    once = bound.evaluate(View(canvas, {resolve(LAYER): features}))
    elsewhere = features.clone()
    elsewhere[..., 7:] = 100.0
    assert_close(bound.evaluate(View(canvas, {resolve(LAYER): elsewhere})), once)
    # The mean of both halves is the whole.
    other = loss_of(Masked(1 - left, term), canvas, encoder)
    assert_close((once + other) / 2, plain)


@pytest.mark.parametrize("power", POWERS)
def test_a_layer_without_positions_is_compared_as_one(power, encoder):
    picture, canvas = torch.rand(2, 1, 3, 32, 32, generator=torch.Generator().manual_seed(6))
    x, y = (encoder(p, ["pocket:fc"])[resolve("pocket:fc")][0] for p in (canvas, picture))
    bound = Caricature(picture, "pocket:fc", power).bind(encoder, (32, 32))
    cosine = max(0.1, float(torch.nn.functional.cosine_similarity(x, y, dim=0)))
    expected = -(x @ y) / (y @ y) * cosine**power
    assert_close(bound.evaluate(View(canvas, encoder(canvas, bound.layers))), expected)


@pytest.mark.parametrize("power", POWERS)
def test_bfloat16_activations_are_compared_in_float32(power, image, canvas, encoder):
    term, rounded = Caricature(image, LAYER, power), features_of(canvas, encoder).bfloat16()
    assert_close(loss_at(term, rounded, encoder), loss_at(term, rounded.float(), encoder))


@pytest.mark.parametrize("power", POWERS)
def test_the_gradient_goes_through_an_encoder_in_bfloat16(power, image, canvas):
    encoder = Encoder(precision=torch.bfloat16)
    shown = canvas.clone().requires_grad_()
    losses = BoundObjective(Caricature(image, LAYERS, power), encoder, SIZE)(shown)
    assert losses.total.dtype == torch.float32
    losses.total.backward()
    (fine,) = torch.autograd.grad(
        loss_of(Caricature(image, LAYERS, power), exact := canvas.clone().requires_grad_(), Encoder()), exact
    )
    assert torch.nn.functional.cosine_similarity(shown.grad.flatten(), fine.flatten(), dim=0) > 0.99


@pytest.mark.parametrize("power", POWERS)
def test_its_gradient_is_that_of_differences(power, image, canvas, encoder):
    bound = Caricature(image, LAYER, power).bind(encoder, SIZE)
    features = features_of(canvas, encoder).requires_grad_()

    def at(activations):
        return bound.evaluate(View(canvas, {resolve(LAYER): activations}))

    (gradient,) = torch.autograd.grad(at(features), features)
    step = 0.05 * gradient / gradient.norm()
    with torch.no_grad():
        risen = (at(features + step) - at(features - step)) / 2
    assert risen.item() == pytest.approx((gradient * step).sum().item(), rel=0.01)


@pytest.mark.parametrize("power", POWERS)
def test_activations_that_are_all_zero_leave_it_finite_and_a_way_out(power, image, encoder):
    nothing = torch.zeros_like(features_of(image, encoder)).requires_grad_()
    loss = loss_at(Caricature(image, LAYER, power), nothing, encoder)
    loss.backward()
    assert loss == 0
    assert nothing.grad.isfinite().all()
    assert (nothing.grad * features_of(image, encoder)).sum() < 0  # towards the picture


class Blind(Encoder):
    """Sees nothing anywhere."""

    def __call__(self, image, layers):
        return {layer: torch.zeros(1, 6, 5, 7) for layer in layers}


@pytest.mark.parametrize("power", POWERS)
def test_a_picture_in_which_nothing_is_seen_asks_for_nothing(power, image):
    features = torch.rand(1, 6, 5, 7, requires_grad=True)
    bound = Caricature(image, LAYER, power).bind(Blind(), SIZE)
    loss = bound.evaluate(View(image, {resolve(LAYER): features}))
    loss.backward()
    assert loss == 0
    assert (features.grad == 0).all()


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda image: Caricature(image, LAYERS, weights=(1.0,)), "one weight per layer: 2 here, not 1"),
        (lambda image: Caricature(image, LAYER, weights=(float("nan"),)), "a finite number, not nan"),
        (lambda image: Caricature(image, ()), "no layer is named"),
        (lambda image: Caricature(image, LAYER, -1), "at least 0, not -1"),
        (lambda image: Caricature(image, LAYER, float("inf")), "at least 0, not inf"),
        (lambda image: Caricature(image, LAYER, float("nan")), "at least 0, not nan"),
    ],
)
def test_declarations_that_contradict_themselves_are_refused(make, says, image):
    with pytest.raises(PlanError, match=says):
        make(image)


def test_a_layer_that_is_not_there_is_refused(image, encoder):
    with pytest.raises(AddressError, match="relu4"):
        Caricature(image, f"{TINY}:relu4").bind(encoder, SIZE)
