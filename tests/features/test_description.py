"""What is said about layers is what the networks do."""

import pytest
import torch
from torch import nn

from oneira.errors import AddressError, PlanError
from oneira.features.backbones import FAMILIES
from oneira.features.description import describe, smallest_side, stride_of
from oneira.features.encoder import Encoder
from oneira.features.registry import find_backbone, register_backbone, resolve
from oneira.features.variant import Variant

VGG_FIELDS = {
    "vgg16": {
        "relu1_1": 3,
        "relu1_2": 5,
        "pool1": 6,
        "relu2_1": 10,
        "relu2_2": 14,
        "pool2": 16,
        "relu3_3": 40,
        "relu4_3": 92,
        "relu5_3": 196,
        "pool5": 212,
    },
    "vgg19": {"relu3_1": 24, "relu4_1": 68, "conv4_2": 84, "relu5_1": 156, "pool5": 268},
}


def described(name: str) -> dict:
    """By every name that a layer has."""
    layers = {}
    for description in describe(find_backbone(name)):
        for layer in (description.layer, *description.aliases):
            layers[layer] = description
    return layers


@pytest.mark.parametrize("name", VGG_FIELDS)
def test_receptive_fields_of_vgg_are_the_known_ones(name):
    layers = described(name)
    assert {layer: layers[layer].receptive_field for layer in VGG_FIELDS[name]} == VGG_FIELDS[name]


@pytest.mark.parametrize("name", FAMILIES)
def test_every_layer_is_described_once(name):
    backbone = FAMILIES[name]
    descriptions = describe(backbone)
    assert sorted(description.layer for description in descriptions) == sorted(backbone.layers)
    assert sum(len(description.aliases) for description in descriptions) == len(backbone.aliases)


@pytest.mark.parametrize(
    ("address", "stride"),
    [
        ("vgg19:relu1_2", 1),
        ("vgg19:pool1", 2),
        ("vgg19:relu5_1", 16),
        ("vgg19:fc8", 32),
        ("pocket:relu4_1", 8),
        ("googlenet:inception_5b", 32),
        ("googlenet:fc", 32),
        ("tiny:relu3", 2),
    ],
)
def test_the_stride_of_a_layer_or_where_it_has_no_positions_the_largest_before_it(address, stride):
    assert stride_of(address) == stride_of(resolve(address)) == stride


def test_there_is_no_stride_where_nothing_is_or_runs(registered):
    network = nn.Sequential(nn.Conv2d(3, 4, 3))
    network.idle = nn.ReLU()
    network.forward = lambda image: network[0](image)
    register_backbone("half idle", network)
    with pytest.raises(AddressError, match="layer half idle:idle never runs"):
        stride_of("half idle:idle")
    with pytest.raises(AddressError, match="unknown layer 'relu9_1' of vgg19"):
        stride_of("vgg19:relu9_1")


def test_channels_and_strides():
    vgg = described("vgg19")
    assert (vgg["relu4_2"].channels, vgg["relu4_2"].stride) == (512, 8)
    assert (vgg["fc8"].channels, vgg["fc8"].stride, vgg["fc8"].receptive_field) == (1000, None, None)
    assert (vgg["avgpool"].stride, vgg["avgpool"].receptive_field) == (None, None)
    google = described("googlenet")
    assert (google["inception_4c"].channels, google["inception_4c"].stride) == (512, 16)
    inception = described("inception_v3")
    assert (inception["mixed10"].channels, inception["mixed10"].stride) == (2048, 32)
    assert described("resnet50")["layer3.5"].channels == 1024
    assert described("alexnet")["conv1"].stride == 4
    assert described("pocket")["average"].stride is None


@pytest.mark.parametrize(
    ("name", "layer"),
    [
        ("pocket", "conv3_4"),
        ("alexnet", "pool2"),
        ("googlenet", "inception_3b"),
        ("googlenet", "inception_4a/3x3"),
        ("inception_v3", "Mixed_5c"),
        ("inception_v3", "Mixed_6a"),
        ("resnet18", "layer2"),
        ("squeezenet1_0", "fire5"),
    ],
)
def test_a_receptive_field_is_where_the_gradient_of_one_position_is(name, layer):
    description = described(name)[layer]
    side = 2 * description.receptive_field + 40
    # All weights are positive and all pools average, so that no gradient cancels and no pixel is passed over.
    with torch.device("meta"):
        network = FAMILIES[name].build().eval()
    network.to_empty(device="cpu").double()
    for key, value in network.state_dict().items():
        value.fill_(1 / value[0].numel() if value.ndim > 1 else float(key.endswith(("weight", "var"))))
    image = torch.full((1, 3, side, side), 9.0, dtype=torch.float64, requires_grad=True)
    captured = []
    Variant("avg").apply(network).get_submodule(description.layer).register_forward_hook(
        lambda _, __, output: captured.append(output)
    )
    network(image)
    (output,) = captured
    output[0, :, output.shape[2] // 2, output.shape[3] // 2].sum().backward()
    rows, columns = image.grad.abs().sum((0, 1)).nonzero(as_tuple=True)
    extents = [int(axis.max() - axis.min()) + 1 for axis in (rows, columns)]
    assert extents == [description.receptive_field] * 2


def test_a_registered_module_is_described_without_being_touched(registered):
    module = nn.Sequential(nn.Conv2d(3, 5, 5, stride=2), nn.BatchNorm2d(5), nn.ReLU(inplace=True), nn.Flatten())
    register_backbone("mine", module)
    conv, norm, relu, flat = describe(find_backbone("mine"))
    assert (conv.layer, conv.channels, conv.stride, conv.receptive_field) == ("0", 5, 2, 5)
    assert (norm.receptive_field, relu.receptive_field, flat.receptive_field) == (5, 5, None)
    assert module.training
    assert module[1].num_batches_tracked == 0
    assert module[2].inplace


def test_branches_that_look_to_different_sides_see_more_together(registered):
    class Branches(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.centred = nn.Conv2d(3, 1, 3, 2, padding=1)  # pixels -1 to 1
            self.shifted = nn.MaxPool2d(3, 2, ceil_mode=True)  # pixels 0 to 2
            self.join = nn.Identity()

        def forward(self, image: torch.Tensor) -> torch.Tensor:
            return self.join(torch.cat([self.centred(image), self.shifted(image)], 1))

    register_backbone("mine", Branches())
    layers = described("mine")
    assert [layers[name].receptive_field for name in ("centred", "shifted", "join")] == [3, 3, 4]


def test_a_registered_module_that_does_not_take_pictures_says_why(registered):
    register_backbone("mine", nn.Sequential(nn.Linear(7, 2)))
    with pytest.raises(AddressError, match=r"cannot describe mine: it fails on a 256x256 picture \(.+\)"):
        describe(find_backbone("mine"))


def test_a_picture_that_is_too_small_is_told_how_large_it_must_be():
    encoder = Encoder(offline=True)
    encoder.check(["vgg19:relu5_1", resolve("relu1_1")], (16, 16))
    with pytest.raises(PlanError) as raised:
        encoder.check(["vgg19:relu4_1", "vgg19:relu5_1"], (12, 40))
    assert str(raised.value) == (
        "a 40x12 picture is too small for vgg19:relu5_1; the shortest side must be at least 16"
    )
    with pytest.raises(AddressError, match="unknown layer"):
        encoder.check(["vgg19:relu5_9"], (512, 512))


def test_nothing_is_too_small_for_a_layer_with_padding():
    assert smallest_side(FAMILIES["vgg19"], resolve("vgg19:relu1_2").layer) == 1
    assert smallest_side(FAMILIES["inception_v3"], "Conv2d_2a_3x3") == 7


def test_the_smallest_side_is_where_the_real_network_begins_to_give_something(mini_vgg):
    for layer, side in (("relu1_1", 1), ("pool1", 2), ("relu2_1", 2), ("relu3_1", 4), ("pool3", 8), ("fc6", 8)):
        activation = Encoder()(torch.rand(1, 3, side, 30), [f"mini-vgg:{layer}"])
        assert all(value.numel() > 0 for value in activation.values())
        if side > 1:
            with pytest.raises(PlanError, match=f"a 30x{side - 1} picture is too small for mini-vgg:{layer};"):
                Encoder()(torch.rand(1, 3, side - 1, 30), [f"mini-vgg:{layer}"])
