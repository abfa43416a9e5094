"""The families compute what torchvision's compute, from the same files."""

import io
import json
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file
from torch import nn
from torch.testing import assert_close

from oneira.features.backbones import FAMILIES
from oneira.features.backbones.google import to_unit_range
from oneira.features.description import _visits
from oneira.features.encoder import Encoder
from oneira.features.preprocessing import IMAGENET
from oneira.features.registry import resolve

SHARED = Path(__file__).parents[3] / "shared"
REFERENCE = SHARED / "reference" / "torchvision-parity.json"
MODELS = json.loads(REFERENCE.read_text())["models"] if REFERENCE.exists() else {}
SIX = ["alexnet", "vgg19", "googlenet", "inception_v3", "resnet50", "squeezenet1_0"]
OFFICIAL_PARAMETERS = {
    "vgg11": 132_863_336,
    "vgg13": 133_047_848,
    "vgg16": 138_357_544,
    "vgg16-caffe": 138_357_544,
    "vgg19-caffe": 143_667_240,
    "resnet18": 11_689_512,
    "squeezenet1_1": 1_235_496,
}

needs_reference = pytest.mark.skipif(not MODELS, reason=f"torchvision's own values are not here: {REFERENCE}")


def blueprint(name: str) -> nn.Module:
    with torch.device("meta"):
        return FAMILIES[name].build().eval()


def fill_by_rule(network: nn.Module) -> nn.Module:
    """The weights that the reference was made with; see its `rule`."""
    state = {}
    for key, value in sorted(network.state_dict().items()):
        generator = torch.Generator().manual_seed(zlib.crc32(key.encode()))
        if key.endswith("num_batches_tracked"):
            state[key] = torch.zeros((), dtype=torch.long)
        elif value.ndim == 1:
            scale_like = key.endswith(("running_var", ".weight"))
            drawn = torch.rand if scale_like else torch.randn
            state[key] = drawn(value.shape, generator=generator)
            state[key] = state[key] + 0.5 if scale_like else 0.1 * state[key]
        else:
            state[key] = torch.randn(value.shape, generator=generator).mul_((2 / value[0].numel()) ** 0.5)
    network.load_state_dict(state, assign=True)
    return network


def outputs_of_every_module(network: nn.Module, inputs: torch.Tensor) -> dict[str, torch.Tensor]:
    outputs = {}

    def keep(path, output):
        outputs[path] = output.clone()

    hooks = [
        part.register_forward_hook(lambda _part, _inputs, output, path=path: keep(path, output))
        for path, part in network.named_modules()
    ]
    with torch.no_grad():
        network(inputs)
    for hook in hooks:
        hook.remove()
    return outputs


@pytest.mark.parametrize("name", SIX)
@needs_reference
def test_every_key_and_shape_is_torchvisions(name):
    ours = {key: list(value.shape) for key, value in blueprint(name).state_dict().items()}
    assert ours == MODELS[name]["state_dict"]


@pytest.mark.parametrize(("name", "count"), OFFICIAL_PARAMETERS.items())
def test_the_others_have_the_published_number_of_parameters(name, count):
    assert sum(p.numel() for p in blueprint(name).parameters()) == count


@pytest.mark.parametrize("name", SIX)
@needs_reference
def test_every_listed_layer_is_torchvisions_though_relus_run_in_place(name, encoder_of):
    expected = MODELS[name]
    image = torch.rand(expected["input_shape"], generator=torch.Generator().manual_seed(0))
    network = fill_by_rule(blueprint(name))
    with torch.no_grad():
        output = network(IMAGENET(image))
    assert_close(output.flatten()[:6], torch.tensor(expected["output"]["first"]), rtol=1e-4, atol=1e-4 * output.std())
    encoder = encoder_of(FAMILIES[name], network)
    with torch.no_grad():
        found = encoder(image, [f"{name}:{layer}" for layer in expected["layers"]])
    for address, activation in found.items():
        layer = expected["layers"][address.layer]
        assert list(activation.shape) == layer["shape"]
        near = {"rtol": 1e-4, "atol": 1e-4 * layer["std"]}
        flat = activation.flatten()
        assert_close(flat[:6], torch.tensor(layer["first"]), **near)
        assert_close(flat[-6:], torch.tensor(layer["last"]), **near)
        assert_close(activation.mean().item(), layer["mean"], **near)
        assert_close(activation.std().item(), layer["std"], **near)


@pytest.mark.parametrize("name", ["pocket", "googlenet", "inception_v3", "resnet18", "resnet50", "squeezenet1_1"])
def test_capturing_every_layer_at_once_gives_what_the_plain_network_computes(name, encoder_of):
    backbone = FAMILIES[name]
    network = fill_by_rule(blueprint(name))
    side = backbone.smallest + 8
    image = torch.rand(1, 3, side, side, generator=torch.Generator().manual_seed(1))
    plain = outputs_of_every_module(network, IMAGENET(image))
    encoder = encoder_of(backbone, network)
    with torch.no_grad():
        found = encoder(image, [f"{name}:{layer}" for layer in backbone.layers])
    assert {address.layer for address in found} <= plain.keys()
    for address, activation in found.items():
        assert_close(activation, plain[address.layer], rtol=1e-4, atol=1e-4 * float(activation.std()))


@pytest.mark.parametrize("name", FAMILIES)
def test_every_layer_with_an_address_runs_exactly_once(name):
    visited = [visit.layer for visit in _visits(FAMILIES[name], 256)]
    assert sorted(visited) == sorted(FAMILIES[name].layers)


@pytest.mark.parametrize("name", FAMILIES)
def test_smallest_is_the_shortest_side_for_which_the_whole_network_gives_output(name):
    backbone, network = FAMILIES[name], blueprint(name)
    with torch.no_grad():
        for shape in ((backbone.smallest, 300), (300, backbone.smallest)):
            assert network(torch.empty(1, 3, *shape, device="meta")).numel() > 0
        if backbone.smallest > 1:
            with pytest.raises(RuntimeError):
                network(torch.empty(1, 3, 300, backbone.smallest - 1, device="meta"))


@pytest.mark.parametrize("name", FAMILIES)
def test_logits_are_one_number_per_class(name):
    backbone = FAMILIES[name]
    shapes = {visit.layer: visit.shape for visit in _visits(backbone, 256)}
    assert shapes[backbone.logits][1] == len(backbone.classes())
    assert resolve(f"{name}:{backbone.logits}").layer == backbone.logits


@pytest.mark.parametrize("name", ["googlenet", "inception_v3"])
def test_heads_of_training_hold_weights_but_have_no_address(name):
    heads = FAMILIES[name].heads
    assert heads
    keys = blueprint(name).state_dict().keys()
    assert all(any(key.startswith(f"{head}.") for key in keys) for head in heads)
    assert not any(layer.partition(".")[0] in heads for layer in FAMILIES[name].layers)


def test_googles_networks_see_pictures_between_minus_one_and_one(generator):
    image = torch.rand(2, 3, 5, 7, generator=generator)
    assert_close(to_unit_range(IMAGENET(image)), 2 * image - 1, rtol=0, atol=1e-6)


def test_fully_connected_layers_work_at_any_size(mini_vgg):
    for size in ((8, 8), (9, 31), (40, 24)):
        activations = Encoder()(torch.rand(2, 3, *size), ["mini-vgg:fc6", "mini-vgg:fc8"])
        assert [tuple(value.shape) for value in activations.values()] == [(2, 10), (2, 5)]


@pytest.mark.skipif(not (SHARED / "weights").exists(), reason=f"no trained SqueezeNet here: {SHARED / 'weights'}")
def test_a_trained_squeezenet_recognises_photographs():
    weights = SHARED / "weights" / "squeezenet1_0.safetensors"
    encoder = Encoder(weights={"squeezenet1_0": weights})
    assert {"features.0.weight", "classifier.1.bias"} <= load_file(weights).keys()
    pictures = np.load(SHARED / "data" / "imagenet-samples.npz")
    jpeg, offset, label = pictures["jpeg"], pictures["offset"], pictures["label"]
    chosen = range(0, len(label), 40)
    hits = 0
    for index in chosen:
        with Image.open(io.BytesIO(jpeg[offset[index] : offset[index + 1]].tobytes())) as photograph:
            scale = 256 / min(photograph.size)
            pixels = np.array(photograph.convert("RGB").resize([round(scale * side) for side in photograph.size]))
        top, left = (pixels.shape[0] - 227) // 2, (pixels.shape[1] - 227) // 2
        image = torch.from_numpy(pixels[top : top + 227, left : left + 227]).permute(2, 0, 1)[None] / 255
        (scores,) = encoder(image, ["squeezenet1_0:pool10"]).values()
        hits += int(label[index]) in scores.flatten().topk(5).indices
    assert hits / len(chosen) > 0.7
