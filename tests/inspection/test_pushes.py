"""What channels speak for: the gradient of the logits, both ways, against raising a channel by hand."""

import pytest
import torch
from networks import tiny_network
from torch import nn
from torch.testing import assert_close

from oneira import register_backbone
from oneira.errors import AddressError, PlanError
from oneira.features import IMAGENET, Encoder, resolve
from oneira.inspection.pushes import pushes

CLASSES = ("ant", "bee", "cat", "dog")


def headed(channels=6, classes=CLASSES):
    network = tiny_network(channels=channels)
    network.add_module("average", nn.AdaptiveAvgPool2d(1))
    network.add_module("flat", nn.Flatten())
    network.add_module("fc", nn.Linear(channels, len(classes)))
    with torch.no_grad():
        network.fc.weight.copy_(torch.randn(len(classes), channels, generator=torch.Generator().manual_seed(5)))
    return network


@pytest.fixture
def network():
    network = headed()
    register_backbone("headed", network, logits="fc", classes=CLASSES)
    return network


@pytest.fixture
def pictures():
    return torch.rand(3, 3, 16, 20, generator=torch.Generator().manual_seed(0))


def centred(matrix):
    return matrix - matrix.mean(1, keepdim=True)


def test_behind_the_last_layer_it_is_the_weights(network, pictures):
    (found,) = pushes(Encoder(), ["headed:relu3"], pictures).values()
    assert_close(found.matrix, centred(network.fc.weight.detach().T))


@pytest.mark.parametrize("layer", ["relu1", "conv2", "relu2"])
def test_it_is_what_raising_a_channel_everywhere_does(network, pictures, layer):
    (found,) = pushes(Encoder(), [f"headed:{layer}"], pictures).values()
    names = [name for name, _ in network.named_children()]
    front, back = network[: names.index(layer) + 1].double(), network[names.index(layer) + 1 :].double()
    inputs = IMAGENET(pictures).double()
    step = 1e-7  # so small that hardly any ReLU or pool changes its mind
    with torch.no_grad():
        features = front(inputs)
        for channel in range(6):
            raised = features.clone()
            raised[:, channel] += step
            slope = (back(raised.clone()) - back(features.clone())).mean(0) / step
            assert_close(found.matrix[channel], centred(slope[None])[0].float(), rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("backbone", ["headed", "pocket"])
def test_both_directions_agree(network, pictures, backbone):
    layers = ["headed:relu1", "headed:relu2"] if backbone == "headed" else ["pocket:relu4_3"]
    chosen = [4, 1]
    several = pushes(Encoder(), layers, pictures)
    for layer in layers:
        (alone,) = pushes(Encoder(), [layer], pictures, channels=chosen).values()
        every = several[resolve(layer)]
        assert_close(alone.matrix, every.matrix[chosen], rtol=1e-4, atol=1e-6)
        assert alone.strongest(4)[0][0] == every.strongest(4)[0][0]
        assert alone.channels == (4, 1)


def test_the_network_is_afterwards_what_it_was(network, pictures):
    encoder = Encoder()
    address = resolve("headed:fc")
    before = encoder(pictures, [address])[address]
    pushes(encoder, ["headed:relu1"], pictures)
    with pytest.raises(AddressError):
        pushes(encoder, ["headed:relu1"], pictures, channels=[6])
    assert torch.equal(encoder(pictures, [address])[address], before)


def test_the_strongest_classes_have_their_names_and_only_gain(network, pictures):
    (found,) = pushes(Encoder(), ["headed:relu3"], pictures).values()
    row = centred(network.fc.weight.detach().T)[2]
    expected = [(CLASSES[index], float(row[index])) for index in row.argsort(descending=True) if row[index] > 0]
    assert [name for name, _ in found.strongest(2)] == [name for name, _ in expected]
    assert_close([value for _, value in found.strongest(2)], [value for _, value in expected])
    assert len(found.strongest(2, count=1)) == 1


def test_classes_without_names_have_numbers(pictures):
    register_backbone("headed", headed(), logits="fc")
    (found,) = pushes(Encoder(), ["headed:relu3"], pictures).values()
    assert all(name in ("0", "1", "2", "3") for name, _ in found.strongest(0))


def test_classes_that_are_called_alike_are_told_apart_by_number(pictures):
    network = headed()
    register_backbone("headed", network, logits="fc", classes=["crane"] * 4)
    (found,) = pushes(Encoder(), ["headed:relu3"], pictures).values()
    row = centred(network.fc.weight.detach().T)[2]
    expected = [int(number) for number in row.argsort(descending=True) if row[number] > 0]
    assert [number for number, _ in found.strongest_classes(2)] == expected
    assert {name for name, _ in found.strongest(2)} == {"crane"}


def test_what_all_classes_gain_alike_is_no_push(network, pictures):
    (before,) = pushes(Encoder(), ["headed:relu2"], pictures).values()
    lifted = headed()
    lifted.fc.weight.data += torch.randn(6, generator=torch.Generator().manual_seed(9))
    register_backbone("headed", lifted, logits="fc", classes=CLASSES)
    (after,) = pushes(Encoder(), ["headed:relu2"], pictures).values()
    assert_close(before.matrix, after.matrix, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("layers", "channels", "error"),
    [
        (["headed:relu1", "pocket:relu1_1"], None, PlanError),
        ([], None, PlanError),
        (["tiny:relu1"], None, AddressError),
        (["headed:relu1"], [-1], AddressError),
        (["headed:relu1"], [0, 6], AddressError),
    ],
)
def test_what_cannot_be_is_told_in_one_line(network, pictures, layers, channels, error):
    with pytest.raises(error) as raised:
        pushes(Encoder(), layers, pictures, channels=channels)
    assert "\n" not in str(raised.value)


def test_a_channel_that_was_not_asked_for_is_told(network, pictures):
    (found,) = pushes(Encoder(), ["headed:relu1"], pictures, channels=[1]).values()
    with pytest.raises(AddressError, match="channel 2"):
        found.strongest(2)
