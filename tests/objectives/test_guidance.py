"""Laws of guided dreams."""

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
from oneira.objectives import Guided, Masked, View
from oneira.objectives.guidance import best_matches

LAYERS = (f"{TINY}:relu1", f"{TINY}:conv3")
LAYER = LAYERS[1]
SIZE = (20, 28)
WAYS = ("match", "mean")


@pytest.fixture
def encoder():
    return Encoder()


@pytest.fixture
def guide():
    return torch.rand(1, 3, 40, 14, generator=torch.Generator().manual_seed(8))


def features_of(picture, encoder, layer=LAYER):
    return encoder(picture, [layer])[resolve(layer)]


def loss_of(term, image, encoder):
    bound = term.bind(encoder, SIZE)
    return bound.evaluate(View(image, encoder(image, bound.layers)))


def test_the_gradient_of_matching_is_what_google_deepdream_sets(image, guide, encoder):
    features = features_of(image, encoder).requires_grad_()
    seen = features_of(resize(guide, (40, 14)), encoder)  # of the canvas's area as it is
    Guided(guide, LAYER).bind(encoder, SIZE).evaluate(View(image, {resolve(LAYER): features})).backward()
    # google/deepdream, objective_guide:
    x, y = features.detach()[0].numpy().copy(), seen[0].numpy()
    ch = x.shape[0]
    x, y = x.reshape(ch, -1), y.reshape(ch, -1)
    A = x.T.dot(y)  # noqa: N806 - theirs
    diff = y[:, A.argmax(1)]
    assert_close(-features.grad[0].reshape(ch, -1) * x.shape[1], torch.from_numpy(diff))


def test_the_loss_of_matching_is_the_mean_of_the_largest_products(image, guide, encoder):
    x, y = (features_of(picture, encoder)[0].flatten(1).numpy() for picture in (image, guide))
    expected = (x.T @ y).max(1).mean()
    assert loss_of(Guided(guide, LAYER), image, encoder).item() == pytest.approx(-expected, rel=1e-5)


def test_the_loss_by_the_mean_is_the_mean_product_with_the_mean_feature(image, guide, encoder):
    x, y = (features_of(picture, encoder)[0].flatten(1).numpy() for picture in (image, guide))
    expected = (x.T @ y).mean()  # a product of means is the mean of all products
    assert loss_of(Guided(guide, LAYER, "mean"), image, encoder).item() == pytest.approx(-expected, rel=1e-5)


@pytest.mark.parametrize("by", WAYS)
def test_the_guide_keeps_its_proportions_at_the_area_of_the_canvas(by, image, guide, encoder):
    # 40x14 has the canvas's area: twice that picture, brought down, gives the same as the picture brought up.
    large = resize(guide, (80, 28))
    assert_close(
        loss_of(Guided(large, LAYER, by), image, encoder),
        loss_of(Guided(resize(large, (40, 14)), LAYER, by), image, encoder),
    )


@given(rows=st.integers(1, 30), others=st.integers(1, 30), largest=st.integers(1, 2000), seed=st.integers(0, 2**16))
def test_matches_that_are_looked_for_in_chunks_are_those_of_the_whole(rows, others, largest, seed):
    generator = torch.Generator().manual_seed(seed)
    x, y = torch.randn(rows, 4, generator=generator), torch.randn(others, 4, generator=generator)
    assert_close((x * y[best_matches(x, y, largest)]).sum(1), (x @ y.T).amax(1))


def test_no_more_products_than_told_are_held_at_a_time(monkeypatch):
    held = []
    argmax = torch.Tensor.argmax

    def watched(products, *arguments):
        held.append(products.numel() * products.element_size())
        return argmax(products, *arguments)

    monkeypatch.setattr(torch.Tensor, "argmax", watched)
    assert len(best_matches(torch.randn(1000, 3), torch.randn(50, 3), largest=2048)) == 1000
    assert max(held) <= 2048
    assert sum(held) == 1000 * 50 * 4


@pytest.mark.parametrize("by", WAYS)
def test_layers_are_summed_with_their_weights(by, image, guide, encoder):
    first, second = (loss_of(Guided(guide, layer, by), image, encoder) for layer in LAYERS)
    assert_close(loss_of(Guided(guide, LAYERS, by), image, encoder), first + second)
    assert_close(loss_of(Guided(guide, LAYERS, by, (0.5, -3.0)), image, encoder), 0.5 * first - 3 * second)


@pytest.mark.parametrize("by", WAYS)
def test_a_batch_is_a_sum_over_its_pictures(by, image, guide, encoder):
    term, dark = Guided(guide, LAYERS, by), image * 0.3
    together = loss_of(term, torch.cat([image, dark]), encoder)
    assert_close(together, loss_of(term, image, encoder) + loss_of(term, dark, encoder))


@pytest.mark.parametrize("by", WAYS)
def test_a_mask_confines_it_and_a_white_one_changes_nothing(by, image, guide, encoder):
    term = Guided(guide, LAYER, by)
    plain = loss_of(term, image, encoder)
    assert_close(loss_of(Masked(torch.ones(1, 1, *SIZE), term), image, encoder), plain)
    left = torch.zeros(1, 1, *SIZE)
    left[..., :14] = 1
    features = features_of(image, encoder)
    bound = term.bind(encoder, SIZE)
    masked = bound.evaluate(View(image, {resolve(LAYER): features}).through(left))
    assert_close(masked, bound.evaluate(View(image, {resolve(LAYER): features[..., :7]})))


@pytest.mark.parametrize("by", WAYS)
def test_bfloat16_activations_are_multiplied_in_float32(by, image, guide, encoder):
    bound = Guided(guide, LAYER, by).bind(encoder, SIZE)
    rounded = features_of(image, encoder).bfloat16()
    coarse = bound.evaluate(View(image, {resolve(LAYER): rounded}))
    assert coarse.dtype == torch.float32
    assert_close(coarse, bound.evaluate(View(image, {resolve(LAYER): rounded.float()})))


@pytest.mark.parametrize("by", WAYS)
def test_a_layer_without_positions_is_guided_as_one(by, encoder):
    picture, guide = torch.rand(2, 1, 3, 32, 32, generator=torch.Generator().manual_seed(6))
    x, y = (encoder(p, ["pocket:fc"])[resolve("pocket:fc")][0] for p in (picture, guide))
    bound = Guided(guide, "pocket:fc", by).bind(encoder, (32, 32))
    assert_close(bound.evaluate(View(picture, encoder(picture, bound.layers))), -(x @ y))


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda guide: Guided(guide, LAYERS, "matches"), "did you mean 'match'"),
        (lambda guide: Guided(guide, LAYERS, weights=(1.0,)), "one weight per layer: 2 here, not 1"),
        (lambda guide: Guided(guide, ()), "no layer is named"),
    ],
)
def test_declarations_that_contradict_themselves_are_refused(make, says, guide):
    with pytest.raises(PlanError, match=says):
        make(guide)
