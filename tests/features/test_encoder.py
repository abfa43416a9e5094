"""The laws of the Encoder."""

from collections import Counter

import pytest
import torch
from torch import nn
from torch.testing import assert_close

from oneira.errors import AddressError, PlanError
from oneira.features.backbones import FAMILIES
from oneira.features.encoder import Encoder
from oneira.features.preprocessing import IMAGENET
from oneira.features.registry import find_backbone, resolve


@pytest.fixture
def image(generator):
    return torch.rand(2, 3, 16, 24, generator=generator)


def captured(image: torch.Tensor, *layers: str, **options) -> list[torch.Tensor]:
    return list(Encoder(**options)(image, [f"mini-vgg:{layer}" for layer in layers]).values())


def plainly(network: nn.Module, image: torch.Tensor, layer: str) -> torch.Tensor:
    """What the network computes at `layer`, with nothing in place and no Encoder."""
    found = []
    hook = network.get_submodule(layer).register_forward_hook(lambda _part, _inputs, output: found.append(output))
    network(IMAGENET(image))
    hook.remove()
    return found[0]


def test_activations_are_the_plain_networks(mini_vgg, image):
    for layer in find_backbone("mini-vgg").layers:
        (found,) = captured(image, layer)
        assert_close(found, plainly(mini_vgg, image, layer))


def test_capturing_all_layers_together_is_capturing_each_alone(mini_vgg, image):
    layers = find_backbone("mini-vgg").layers
    together = captured(image, *layers)
    for layer, found in zip(layers, together, strict=True):
        assert torch.equal(found, captured(image, layer)[0])


def test_before_and_after_a_relu_are_two_things_though_it_runs_in_place(mini_vgg, image):
    before, after, behind = captured(image, "conv3_2", "relu3_2", "pool3")
    assert (before < 0).any()
    assert torch.equal(after, before.relu())
    assert torch.equal(after, captured(image, "relu3_2")[0])
    assert torch.equal(behind, captured(image, "pool3")[0])


def test_nothing_behind_the_deepest_layer_runs(encoder_of, image):
    backbone = FAMILIES["squeezenet1_1"]
    network = backbone.build()
    encoder = encoder_of(backbone, network)
    calls: Counter[str] = Counter()
    for path, part in network.named_modules():
        part.register_forward_hook(lambda _part, _inputs, _output, path=path: calls.update([path]))
    encoder(image, ["squeezenet1_1:fire3", "squeezenet1_1:relu1"])
    stem = ["features.0", "features.1", "features.2"]
    fires = [layer for layer in backbone.layers if layer.startswith(("features.3", "features.4"))]
    assert calls == Counter([*stem, *fires])


def test_only_the_backbones_that_are_named_are_loaded(mini_vgg, image, monkeypatch):
    from oneira.features import encoder as module

    loaded = []
    load = module.load_weights
    monkeypatch.setattr(
        module, "load_weights", lambda backbone, **options: loaded.append(backbone.name) or load(backbone, **options)
    )
    encoder = Encoder()
    encoder.check(["vgg19:relu4_2", "mini-vgg:relu1_1"], (64, 64))
    assert loaded == []
    for layers in (["mini-vgg:relu1_1"], ["mini-vgg:relu2_1", "mini-vgg:pool1"]):
        encoder(image, layers)
    assert loaded == ["mini-vgg"]
    assert encoder.digests.keys() == {"mini-vgg"}
    assert encoder([], []) == {}


def test_networks_are_frozen_and_gradients_reach_the_image(encoder_of, image):
    backbone = FAMILIES["squeezenet1_1"]
    network = backbone.build()
    pixels = image.requires_grad_()
    (found,) = encoder_of(backbone, network)(pixels, ["squeezenet1_1:fire2"]).values()
    found.square().sum().backward()
    assert pixels.grad.abs().sum() > 0
    assert all(p.grad is None and not p.requires_grad for p in network.parameters())
    assert not network.training


def test_the_gradient_to_the_image_is_the_plain_networks(mini_vgg, image):
    layers = ["conv1_1", "relu1_1", "conv2_2", "relu2_2", "pool2", "conv3_1", "relu3_3"]
    ours, plain = image.clone().requires_grad_(), image.clone().requires_grad_()
    sum(found.square().sum() for found in captured(ours, *layers)).backward()
    paths = [resolve(f"mini-vgg:{layer}").layer for layer in layers]
    sum(plainly(mini_vgg, plain, path).square().sum() for path in paths).backward()
    assert_close(ours.grad, plain.grad, rtol=1e-4, atol=1e-4 * float(plain.grad.abs().max()))


def test_activations_stay_as_they_were_whatever_runs_later(mini_vgg, image):
    encoder = Encoder()
    found = encoder(image, ["mini-vgg:conv2_1", "mini-vgg:relu2_1"])
    kept = {address: activation.clone() for address, activation in found.items()}
    encoder(image.flip(0), ["mini-vgg:fc8", "mini-vgg:conv2_1"])
    assert all(torch.equal(found[address], kept[address]) for address in kept)


def test_a_layer_under_two_names_is_found_under_both(mini_vgg, image):
    found = Encoder()(image, ["mini-vgg:relu2_1", "mini-vgg:features.4", resolve("mini-vgg:relu2_1")])
    assert len(found) == 1
    assert found[resolve("mini-vgg:features.4")] is found[resolve("mini-vgg:relu2_1")]


def test_one_call_can_ask_several_backbones(mini_vgg, image):
    found = Encoder()(image, ["mini-vgg:relu2_1", "pocket:relu1_1"])
    assert [(address.backbone, value.shape[1]) for address, value in found.items()] == [("mini-vgg", 6), ("pocket", 32)]


def test_bfloat16_is_float32_within_its_rounding(mini_vgg, image):
    layers = ["conv1_1", "relu2_2", "relu3_3", "fc8"]
    for rough, fine in zip(captured(image, *layers, precision=torch.bfloat16), captured(image, *layers), strict=True):
        assert rough.dtype == torch.bfloat16
        assert_close(rough.float(), fine, rtol=0.03, atol=0.03 * float(fine.abs().max()))


def test_activations_lie_in_memory_as_convolutions_like_them(mini_vgg, image):
    (found,) = captured(image, "relu2_2")
    assert found.is_contiguous(memory_format=torch.channels_last)


def test_what_goes_wrong_leaves_the_encoder_usable(mini_vgg, image):
    encoder = Encoder()
    before = encoder(image, ["mini-vgg:relu3_3"])
    with pytest.raises(PlanError, match="a 3x3 picture is too small for mini-vgg:relu3_3; the shortest side must be"):
        encoder(image[..., :3, :3], ["mini-vgg:relu3_3"])
    with pytest.raises(AddressError, match="unknown layer 'relu9_9' of mini-vgg"):
        encoder(image, ["mini-vgg:relu9_9"])
    after = encoder(image, ["mini-vgg:relu3_3"])
    assert all(torch.equal(before[address], after[address]) for address in before)
