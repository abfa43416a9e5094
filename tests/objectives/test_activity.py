"""Laws of what is amplified: layers, units, classes, directions."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from networks import TINY, tiny_network
from safetensors.torch import save_file
from torch import nn
from torch.testing import assert_close

from oneira.errors import AddressError, PlanError
from oneira.features.backbones.pocket import pocket
from oneira.features.encoder import Encoder
from oneira.features.registry import register_backbone, resolve
from oneira.images import resize
from oneira.objectives import (
    Channel,
    ChannelChoice,
    ClassLogit,
    Direction,
    Dream,
    Masked,
    Neuron,
    SeenClass,
    View,
    parse_direction,
    seen_classes,
)

LAYERS = (f"{TINY}:relu1", f"{TINY}:conv3")
LAYER = LAYERS[1]
SIZE = (20, 28)
TERMS = [
    Dream(LAYERS),
    Dream(LAYERS, "mean", (2.0, -1.0)),
    Dream(LAYERS, "norm", power=3.0),
    Dream(LAYER, "norm", channels=ChannelChoice("first", count=2)),
    Channel(LAYER, (1, 4)),
    Direction(LAYER, torch.arange(6.0)),
    Direction(LAYER, {4: 1.0, 1: -2.0}),
]


@pytest.fixture
def encoder():
    return Encoder(offline=True)


@pytest.fixture(scope="module")
def _headed():
    """`headed:fc`: 5 classes behind a small network."""
    network = tiny_network()
    network.average = nn.AdaptiveAvgPool2d(1)
    network.flat = nn.Flatten()
    generator = torch.Generator().manual_seed(5)
    network.fc = nn.Linear(6, 5)
    with torch.no_grad():
        network.fc.weight.copy_(torch.randn(5, 6, generator=generator))
        network.fc.bias.copy_(torch.randn(5, generator=generator))
    register_backbone("headed", network, logits="fc", classes=("cat, house cat", "dog", "owl", "bee", "yak"))


def view_of(image, features, layer=LAYER):
    return View(image, {resolve(layer): features})


def loss_of(term, image, encoder):
    bound = term.bind(encoder, tuple(image.shape[2:]))
    return bound.evaluate(View(image, encoder(image, bound.layers)))


@given(power=st.floats(1, 20), scale=st.sampled_from([1e-12, 1.0, 1e12]))
def test_the_norm_is_the_p_norm_of_the_mean(power, scale):
    features = torch.randn(1, 6, 5, 7, generator=torch.Generator().manual_seed(2)) * scale
    term = Dream(LAYER, "norm", power=power).bind(Encoder(), SIZE)
    loss = term.evaluate(view_of(torch.zeros(1, 3, *SIZE), features))
    expected = np.mean(np.abs(features.double().numpy()) ** power) ** (1 / power)
    assert loss.item() == pytest.approx(-expected, rel=1e-4)


def test_the_gradient_of_the_norm_of_2_is_neural_dreams_up_to_the_averaging(image, encoder):
    # neural-dream: loss = input.norm(2), whose gradient is x / |x|.
    features = torch.randn(1, 6, 5, 7, generator=torch.Generator().manual_seed(2)).requires_grad_()
    Dream(LAYER, "norm").bind(encoder, SIZE).evaluate(view_of(image, features)).backward()
    x = features.detach()
    assert_close(-features.grad, x / x.norm() / x.numel() ** 0.5)


def test_the_gradient_of_a_norm_equals_finite_differences(image, encoder):
    for power in (1.5, 2.0, 5.0):
        features = torch.randn(2, 6, 3, 4, generator=torch.Generator().manual_seed(2)).requires_grad_()
        bound = Dream(LAYER, "norm", power=power).bind(encoder, SIZE)
        (gradient,) = torch.autograd.grad(bound.evaluate(view_of(image, features)), features)
        step = torch.randn(features.shape, generator=torch.Generator().manual_seed(3)) * 1e-2
        with torch.no_grad():
            ahead, behind = (bound.evaluate(view_of(image, features + sign * step)) for sign in (1, -1))
        assert ((ahead - behind) / 2).item() == pytest.approx((gradient * step).sum().item(), rel=1e-2)


@pytest.mark.parametrize("loss", ["l2", "mean", "norm"])
@pytest.mark.parametrize("masked", [False, True])
def test_a_silent_layer_has_a_finite_gradient(loss, masked, image, encoder):
    for power in (1.0, 1.5, 2.0, 8.0) if loss == "norm" else (2.0,):
        features = torch.zeros(1, 6, 5, 7, requires_grad=True)
        mask = torch.zeros(1, 1, *SIZE)
        mask[..., :9] = 1
        view = view_of(image, features).through(mask) if masked else view_of(image, features)
        value = Dream(LAYER, loss, power=power).bind(encoder, SIZE).evaluate(view)
        value.backward()
        assert value == 0
        assert features.grad.isfinite().all()


def test_a_mask_that_sees_only_silence_has_a_finite_norm(image, encoder):
    features = torch.zeros(1, 6, 5, 7)
    features[..., 5:] = 3e4
    features.requires_grad_()
    mask = torch.zeros(1, 1, *SIZE)
    mask[..., :9] = 1
    value = Dream(LAYER, "norm").bind(encoder, SIZE).evaluate(view_of(image, features).through(mask))
    value.backward()
    assert value == 0
    assert (features.grad == 0).all()


def test_a_masked_norm_is_that_of_what_the_mask_shows(image, encoder):
    features = torch.randn(1, 6, 5, 7, generator=torch.Generator().manual_seed(2))
    mask = torch.zeros(1, 1, 5, 7)
    mask[..., :3] = 1
    bound = Dream(LAYER, "norm", power=3.0).bind(encoder, SIZE)
    masked = bound.evaluate(view_of(image, features).through(mask))
    assert_close(masked, bound.evaluate(view_of(image, features[..., :3])))


def test_the_norm_of_a_layer_does_not_grow_with_the_picture(image, encoder):
    features = torch.randn(1, 6, 5, 7, generator=torch.Generator().manual_seed(2))
    bound = Dream(LAYER, "norm").bind(encoder, SIZE)
    small, large = (bound.evaluate(view_of(image, f)) for f in (features, features.repeat(1, 1, 3, 2)))
    assert_close(small, large)


@pytest.mark.parametrize("loss", ["l2", "mean", "norm"])
def test_layers_are_summed_with_their_weights(loss, image, encoder):
    first, second = (loss_of(Dream(layer, loss), image, encoder) for layer in LAYERS)
    assert_close(loss_of(Dream(LAYERS, loss), image, encoder), first + second)
    assert_close(loss_of(Dream(LAYERS, loss, (0.5, -3.0)), image, encoder), 0.5 * first - 3 * second)


@pytest.mark.parametrize("term", TERMS)
def test_a_batch_is_a_sum_over_its_pictures(term, image, encoder):
    dark = image * 0.3
    together = loss_of(term, torch.cat([image, dark]), encoder)
    assert_close(together, loss_of(term, image, encoder) + loss_of(term, dark, encoder))


@pytest.mark.parametrize("term", TERMS)
def test_bfloat16_activations_are_summed_in_float32(term, image, encoder):
    bound = term.bind(encoder, SIZE)
    # Large means, which bfloat16 could only add up to 256 ones of.
    rounded = {address: (f + 3).bfloat16() for address, f in encoder(image, bound.layers).items()}
    coarse = bound.evaluate(View(image, rounded))
    assert coarse.dtype == torch.float32
    assert_close(coarse, bound.evaluate(View(image, {a: f.float() for a, f in rounded.items()})))


@pytest.mark.parametrize("term", [t for t in TERMS if getattr(t, "layers", None) != LAYERS])
def test_layers_without_positions_count_as_one(term, image, encoder):
    flat = torch.randn(2, 6, generator=torch.Generator().manual_seed(2))
    bound = term.bind(encoder, SIZE)
    assert_close(bound.evaluate(view_of(image, flat)), bound.evaluate(view_of(image, flat[..., None, None])))


@pytest.mark.parametrize("term", TERMS)
def test_a_white_mask_changes_nothing(term, image, encoder):
    assert_close(loss_of(Masked(torch.ones(1, 1, *SIZE), term), image, encoder), loss_of(term, image, encoder))


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: Dream(LAYERS, "nrm"), "did you mean 'norm'"),
        (lambda: Dream(LAYERS, weights=(1.0,)), "one weight per layer: 2 here, not 1"),
        (lambda: Dream(LAYER, weights=()), "one weight per layer: . here, not 0"),
        (lambda: Dream(LAYER, weights=(float("nan"),)), "finite"),
        (lambda: Dream(LAYER, "norm", power=0.5), "at least 1, not 0.5"),
        (lambda: Dream(LAYER, "norm", power=float("inf")), "at least 1, not inf"),
        (lambda: Dream(LAYER, power=3.0), "belongs to the loss 'norm', not to 'l2'"),
        (lambda: Channel(LAYER, ()), "no channel is named"),
        (lambda: Channel(LAYER, -1), "counted from 0"),
        (lambda: Neuron(LAYER, -1), "counted from 0"),
        (lambda: Direction(LAYER, torch.zeros(6)), "a length above 0, not 0"),
        (lambda: Direction(LAYER, {}), "a length above 0"),
        (lambda: Direction(LAYER, torch.ones(6, 1)), "one number per channel"),
        (lambda: Direction(LAYER, {3: float("inf")}), "a length above 0, not inf"),
        (lambda: SeenClass(torch.rand(1, 3, 8, 8), count=0), "at least 1, not 0"),
    ],
)
def test_declarations_that_contradict_themselves_are_refused(make, says):
    with pytest.raises(PlanError, match=says) as caught:
        make()
    assert "\n" not in str(caught.value)


def test_a_neuron_is_in_the_middle_unless_told(image, encoder):
    features = torch.randn(1, 6, 5, 8, generator=torch.Generator().manual_seed(2))
    for place, (y, x) in (((), (2, 4)), ((0,), (0, 4)), ((None, 7), (2, 7)), ((4, 0), (4, 0))):
        loss = Neuron(LAYER, 3, *place).bind(encoder, SIZE).evaluate(view_of(image, features))
        assert loss == -features[0, 3, y, x]


@given(st.dictionaries(st.integers(0, 5), st.floats(0.1, 9) | st.floats(-9, -0.1), min_size=1))
def test_a_direction_by_channels_is_the_vector_that_is_0_elsewhere(weights):
    picture = torch.rand(1, 3, *SIZE, generator=torch.Generator().manual_seed(1))
    vector = torch.zeros(6)
    for channel, weight in weights.items():
        vector[channel] = weight
    encoder = Encoder()
    assert_close(
        loss_of(Direction(LAYER, weights), picture, encoder), loss_of(Direction(LAYER, vector), picture, encoder)
    )


def test_only_the_way_of_a_direction_counts_not_its_length(image, encoder):
    by_length = [loss_of(Direction(LAYER, {0: 3.0 * k, 1: -4.0 * k}), image, encoder) for k in (1, 100)]
    features = encoder(image, [LAYER])[resolve(LAYER)]
    assert_close(by_length[0], -(0.6 * features[:, 0] - 0.8 * features[:, 1]).mean())
    assert_close(by_length[0], by_length[1])


def test_a_direction_that_does_not_fit_is_told_before_anything_is_loaded(encoder):
    for vector, error, says in (
        (torch.ones(511), PlanError, "512 numbers, not 511"),
        ({512: 1.0}, AddressError, "0 to 511, not 512"),
    ):
        with pytest.raises(error, match=says):
            Direction("vgg19:relu4_2", vector).bind(encoder, (64, 64))
    assert not encoder.networks


def test_a_direction_of_a_registered_module_is_told_when_its_channels_come(image, encoder):
    with pytest.raises(AddressError, match="0 to 5, not 6"):
        loss_of(Direction(LAYER, {6: 1.0}), image, encoder)


def test_directions_are_read():
    assert parse_direction("12:1, 40:-0.5") == {12: 1.0, 40: -0.5}
    assert parse_direction(" 3 : .25 ,0:+2e-1,7:0") == {3: 0.25, 0: 0.2, 7: 0.0}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "cannot read ''"),
        ("12", "cannot read '12' .* write channel:weight"),
        ("12:1,", "cannot read ''"),
        ("a:1", "cannot read 'a:1'"),
        ("1:b", "cannot read '1:b'"),
        ("1:2:3", "cannot read"),
        ("1:nan", "cannot read"),
        ("1_2:1", "cannot read"),
        ("1:1_0", "cannot read"),
        ("-1:2", "counted from 0"),
        ("1:2,1:3", "channel 1 is named twice"),
        ("1:1e999", "too large: 1e999"),
        ("1:0, 2:-0.0", "are 0"),
    ],
)
def test_a_direction_written_otherwise_is_told_in_one_line(text, says):
    with pytest.raises(PlanError, match=says) as caught:
        parse_direction(text)
    assert "\n" not in str(caught.value)


@pytest.mark.usefixtures("_headed")
def test_a_class_has_a_number_and_names(image, encoder):
    logits = encoder(image, ["headed:fc"])[resolve("headed:fc")]
    for index in (2, "2", "owl", " Owl "):
        assert_close(loss_of(ClassLogit(index, "headed"), image, encoder), -logits[0, 2])
    assert ClassLogit("goldfish").bind(encoder, (32, 32)).layers == {resolve("pocket:fc")}


@pytest.mark.usefixtures("_headed")
@pytest.mark.parametrize(
    ("term", "says"),
    [
        (ClassLogit(1000, "vgg19"), "classes 0 to 999, not 1000"),
        (ClassLogit("-1", "vgg19"), "classes 0 to 999, not -1"),
        (ClassLogit("bannana", "vgg19"), "did you mean 'banana'"),
        (ClassLogit("own", "headed"), "did you mean 'owl'"),
        (ClassLogit(0, TINY), "does not say which layer holds"),
        (SeenClass(torch.rand(1, 3, 8, 8), "vgg19", 1001), "1000 classes, fewer than 1001"),
    ],
)
def test_a_class_that_is_not_there_is_told_before_anything_is_loaded(term, says, encoder):
    with pytest.raises(AddressError, match=says) as caught:
        term.bind(encoder, (64, 64))
    assert "\n" not in str(caught.value)
    assert not encoder.networks


def test_weights_of_other_classes_go_by_number(tmp_path):
    save_file(pocket(classes=300).state_dict(), tmp_path / "own.safetensors")
    theirs = Encoder(weights={"pocket": tmp_path / "own.safetensors"})
    ClassLogit(299).bind(theirs, (32, 32))
    ClassLogit("299").bind(theirs, (32, 32))
    with pytest.raises(AddressError, match="classes 0 to 299, not 300"):
        ClassLogit(300).bind(theirs, (32, 32))
    with pytest.raises(AddressError, match="names 200 classes, but these weights have 300"):
        ClassLogit("goldfish").bind(theirs, (32, 32))


@pytest.mark.usefixtures("_headed")
def test_the_classes_seen_in_a_picture_are_those_of_its_highest_logits(image, encoder, generator):
    seen = torch.rand(1, 3, 15, 19, generator=generator)
    ranked = encoder(resize(seen, SIZE), ["headed:fc"])[resolve("headed:fc")][0].argsort(descending=True).tolist()
    assert seen_classes(encoder, resize(seen, SIZE), "headed", 5) == ranked
    logits = encoder(image, ["headed:fc"])[resolve("headed:fc")]
    for count in (1, 3):
        term = SeenClass(seen, "headed", count)
        assert_close(loss_of(term, image, encoder), -logits[0, ranked[:count]].mean())
        assert term.name == term.bind(encoder, SIZE).name == "class"
    with pytest.raises(AddressError, match="5 classes, fewer than 6"):
        seen_classes(encoder, seen, "headed", 6)
    with pytest.raises(PlanError, match="at least 1"):
        seen_classes(encoder, seen, "headed", 0)
    with pytest.raises(PlanError, match="mask cannot confine"):
        loss_of(Masked(torch.ones(1, 1, *SIZE), SeenClass(seen, "headed")), image, encoder)
