"""Normalised networks: every filter averages 1 over the sample pictures, and the network still says the same."""

import hashlib
from collections.abc import Callable
from dataclasses import replace
from functools import cache, partial

import pytest
import torch
from torch import nn
from torch.testing import assert_close

from oneira.errors import PlanError
from oneira.features.backbones import FAMILIES
from oneira.features.backbones.backbone import Backbone
from oneira.features.backbones.pocket import GlobalAverage, pocket
from oneira.features.backbones.vgg import vgg, vgg_aliases
from oneira.features.encoder import Encoder
from oneira.features.normalising import FAINTEST, LONG_SIDE, require_plain
from oneira.features.variant import UNCHANGED, Variant
from oneira.images import SAMPLES, fit, load, resize, sample


@torch.no_grad()
def uneven(make: Callable[[], nn.Module], *dead: str) -> nn.Module:
    """What `make` gives, with filters of unequal strength that all answer; not so the first in the layers `dead`."""
    network = make()
    for path, part in network.named_modules():
        if isinstance(part, nn.Conv2d):
            strengths = torch.logspace(-0.5, 0.5, part.out_channels, device=part.weight.device)
            # They see contrast alone, around a mean above 0.
            contrast = part.weight - part.weight.mean((2, 3), keepdim=True)
            part.weight.copy_(contrast * strengths[:, None, None, None])
            part.bias.copy_(strengths)
            if path in dead:
                part.bias[0] = -100.0
    return network


DEPTHS = (1, 2, 3)
make_vgg = partial(vgg, DEPTHS, widths=(4, 6, 8), hidden=10, classes=5)
make_pocket = partial(pocket, widths=(4, 6), depths=(1, 2), classes=5)
VGG = Backbone("uneven-vgg", partial(uneven, make_vgg), aliases=vgg_aliases(DEPTHS), logits="classifier.6", smallest=8)
POCKET = Backbone("uneven-pocket", partial(uneven, make_pocket), logits="fc", smallest=4)
LAYERS = {
    VGG.name: ["relu1_1", "relu2_1", "relu2_2", "relu3_1", "relu3_2", "relu3_3"],
    POCKET.name: ["relu1_1", "relu2_1", "relu2_2"],
}
VARIANTS = {
    "as it is": UNCHANGED,
    "avg": Variant("avg"),
    "avg with a gain": Variant("avg", 1.5),
    "l2": Variant("l2"),
    "replicate-first": Variant("avg", padding="replicate-first"),
}


def normalised(variant: Variant = UNCHANGED, **options) -> Encoder:
    return Encoder(variant=replace(variant, normalised=True), **options)


def activations(encoder: Encoder, image: torch.Tensor, backbone: Backbone, *layers: str) -> list[torch.Tensor]:
    return list(encoder(image, [f"{backbone.name}:{layer}" for layer in layers or LAYERS[backbone.name]]).values())


@cache
def samples() -> list[torch.Tensor]:
    pictures = [load(sample(name)) for name in SAMPLES]
    return [resize(picture, fit(*picture.shape[2:], LONG_SIDE)) for picture in pictures]


def means(encoder: Encoder, backbone: Backbone) -> list[torch.Tensor]:
    """Layer by layer the mean of every filter over all positions of all samples."""
    found = [activations(encoder, picture, backbone) for picture in samples()]
    return [torch.cat([each.flatten(2) for each in layer], 2).mean((0, 2)) for layer in zip(*found, strict=True)]


@pytest.fixture(params=[VGG, POCKET], ids=lambda backbone: backbone.name)
def backbone(request, filled) -> Backbone:
    filled(request.param)
    return request.param


@pytest.mark.parametrize("variant", VARIANTS.values(), ids=VARIANTS)
def test_every_filter_averages_one(backbone, variant):
    for before, after in zip(
        means(Encoder(variant=variant), backbone), means(normalised(variant), backbone), strict=True
    ):
        assert before.max() > 2 * before.min()
        assert_close(after, torch.ones_like(after), rtol=1e-4, atol=0)


def test_activations_are_the_plain_ones_over_their_means(backbone, image):
    plain, scaled = (activations(encoder, image, backbone) for encoder in (Encoder(), normalised()))
    for before, after, mean in zip(plain, scaled, means(Encoder(), backbone), strict=True):
        assert_close(after, before / mean[:, None, None], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("variant", VARIANTS.values(), ids=VARIANTS)
def test_what_the_network_says_stays(backbone, variant, image):
    encoders = Encoder(variant=variant), normalised(variant)
    plain, scaled = (encoder(image, [f"{backbone.name}:{backbone.logits}"]).popitem()[1] for encoder in encoders)
    tolerance = 1e-3 if variant.pooling == "l2" else 1e-4
    assert_close(scaled, plain, rtol=0, atol=tolerance * float(plain.std()))


def test_of_a_single_channel_the_relative_gram_statistics_stay(backbone, image):
    def ratios(encoder: Encoder) -> list[torch.Tensor]:
        found = activations(encoder, torch.cat([image, image.flip(1).square()]), backbone)
        energies = [layer.square().mean((2, 3)) for layer in found]
        return [one / other for one, other in energies]

    assert_close(ratios(normalised()), ratios(Encoder()), rtol=1e-4, atol=0)


def test_a_filter_that_never_answers_keeps_a_bounded_scale(filled, image):
    plain = filled(replace(VGG, build=partial(uneven, make_vgg, "features.0", "features.3")))
    mean = means(Encoder(), VGG)[1]
    encoder = normalised()
    (before,) = activations(encoder, image, VGG, "conv2_1")
    weight = encoder.networks[VGG.name].features[3].weight
    assert mean[0] == 0
    # Its inputs are normalised too: filter 0 of conv1_1, which is dead, by 1 % of the average there.
    inputs = means(Encoder(), VGG)[0]
    expected = plain.features[3].weight[0] * torch.where(inputs > 0, inputs, FAINTEST * inputs.mean())[:, None, None]
    assert_close(weight[0], expected.detach() / (FAINTEST * mean.mean()), rtol=1e-4, atol=1e-5)
    assert (before[:, 0] < 0).all()


def test_a_layer_that_never_answers_stays_as_it_is(filled, image):
    def all_dead() -> nn.Module:
        network = uneven(make_vgg)
        nn.init.constant_(network.features[3].bias, -100.0)
        return network

    plain = filled(replace(VGG, build=all_dead))
    encoder = normalised()
    assert encoder(image, ["uneven-vgg:fc8"]).popitem()[1].isfinite().all()
    assert torch.equal(encoder.networks[VGG.name].features[3].bias, plain.features[3].bias)


def test_two_encoders_scale_alike_to_the_last_bit(backbone, image):
    assert all(
        torch.equal(one, other)
        for one, other in zip(*(activations(normalised(), image, backbone) for _ in range(2)), strict=True)
    )


def test_means_are_taken_in_float32_whatever_the_precision(backbone, image):
    narrow, wide = normalised(precision=torch.bfloat16), normalised()
    for encoder in (narrow, wide):
        activations(encoder, image, backbone)
    pairs = zip(narrow.networks[backbone.name].parameters(), wide.networks[backbone.name].parameters(), strict=True)
    assert all(torch.equal(one, other.bfloat16()) for one, other in pairs)


def test_the_weights_file_stays_and_so_does_its_digest(backbone, image, tmp_path):
    file = tmp_path / f"{backbone.name}.safetensors"
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    plain = activations(Encoder(), image, backbone)
    encoder = normalised()
    activations(encoder, image, backbone)
    assert encoder.digests == {backbone.name: digest}
    assert hashlib.sha256(file.read_bytes()).hexdigest() == digest
    assert all(
        torch.equal(one, other) for one, other in zip(activations(Encoder(), image, backbone), plain, strict=True)
    )


def test_with_and_without_a_gradient_the_activations_are_the_same(backbone, image):
    encoder = normalised(Variant("avg"))
    watched = activations(encoder, image.clone().requires_grad_(), backbone)
    for one, other in zip(watched, activations(encoder, image, backbone), strict=True):
        assert one.requires_grad
        assert_close(one.detach(), other, rtol=1e-4, atol=1e-4)


def test_before_and_after_the_relu_of_the_first_fully_connected_layer_are_two_things(filled, image):
    filled(VGG)
    before, after = activations(normalised(), image, VGG, "fc6", "relu6")
    assert (before < 0).any()
    assert torch.equal(after, before.relu())


def test_only_plain_chains_are_normalised():
    for name, family in FAMILIES.items():
        if name in ("pocket", "alexnet") or name.startswith("vgg"):
            require_plain(family)
        else:
            with pytest.raises(PlanError, match=f"{name} cannot be normalised: .*; take pocket, alexnet or a VGG"):
                require_plain(family)


CHAINS = {
    "nothing fully connected": [nn.Conv2d(3, 4, 3), nn.ReLU()],
    "no ReLU": [nn.Conv2d(3, 4, 3), nn.MaxPool2d(2), nn.ReLU(), nn.Flatten(), nn.Linear(4, 2)],
    "another ReLU": [nn.ReLU(), nn.Conv2d(3, 4, 3), nn.ReLU(), GlobalAverage(), nn.Linear(4, 2)],
    "batch norm": [nn.Conv2d(3, 4, 3), nn.ReLU(), nn.BatchNorm2d(4), GlobalAverage(), nn.Linear(4, 2)],
}


@pytest.mark.parametrize("layers", CHAINS.values(), ids=CHAINS)
def test_other_chains_are_refused(layers):
    with pytest.raises(PlanError, match="odd cannot be normalised"):
        require_plain(Backbone("odd", lambda: nn.Sequential(*layers)))


@pytest.mark.parametrize("address", ["googlenet:conv1", "tiny:relu1"])
def test_the_encoder_refuses_before_it_loads(address, image, monkeypatch):
    monkeypatch.setattr("oneira.features.encoder.load_weights", lambda *_, **__: pytest.fail("weights were loaded"))
    with pytest.raises(PlanError, match="cannot be normalised"):
        normalised()(image, [address])
