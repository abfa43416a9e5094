"""The trunk of a plain network against automatic differentiation, layer by layer."""

import gc
import weakref
from collections import OrderedDict
from itertools import combinations

import pytest
import torch
from torch import nn
from torch.testing import assert_close

from oneira.features.encoder import Encoder
from oneira.features.packing import packable
from oneira.features.trunk import Trunk
from oneira.features.variant import Variant

pytestmark = pytest.mark.skipif(
    not packable(nn.Conv2d(3, 4, 3).requires_grad_(False)), reason="this torch cannot pack convolutions"
)


@pytest.fixture
def network() -> nn.Sequential:
    """A chain that has every neighbourhood: convolutions before a ReLU, a pool and each other; a ReLU behind a pool."""
    torch.manual_seed(0)
    layers: OrderedDict[str, nn.Module] = OrderedDict(
        conv1=nn.Conv2d(3, 5, 3, padding=1),
        relu1=nn.ReLU(),
        conv2=nn.Conv2d(5, 4, 3, padding=1),
        pool2=nn.MaxPool2d(2),
        relu2=nn.ReLU(),
        conv3=nn.Conv2d(4, 6, 3),
        conv4=nn.Conv2d(6, 3, 1),
        relu4=nn.ReLU(),
    )
    return nn.Sequential(layers).requires_grad_(False)


@pytest.fixture
def image(generator) -> torch.Tensor:
    return torch.rand(2, 3, 10, 12, generator=generator)


def loss_of(found: dict[str, torch.Tensor]) -> torch.Tensor:
    return sum((index + 1) * found[path].square().mean() for index, path in enumerate(sorted(found)))


def plainly(network: nn.Sequential, image: torch.Tensor, paths: tuple[str, ...]) -> dict[str, torch.Tensor]:
    found, values = {}, image
    for path, layer in network.named_children():
        values = layer(values)
        if path in paths:
            found[path] = values
    return found


@pytest.mark.parametrize("pooling", ["max", "avg", "l2"])
@pytest.mark.parametrize("count", [1, 2, 8])
def test_activations_and_gradients_are_those_of_automatic_differentiation(network, image, pooling, count):
    Variant(pooling).apply(network)
    names = [path for path, _ in network.named_children()]
    for paths in combinations(names, count):
        ours, torchs = image.clone().requires_grad_(), image.clone().requires_grad_()
        found, expected = Trunk(network.named_children()).run(ours, paths), plainly(network, torchs, paths)
        assert_close(found, expected, rtol=1e-4, atol=1e-6)
        loss_of(found).backward()
        loss_of(expected).backward()
        assert_close(ours.grad, torchs.grad, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("pooling", ["max", "avg"])
def test_so_are_they_on_a_torus(network, image, pooling):
    names = [path for path, _ in Variant(pooling, padding="circular").apply(network).named_children()]
    trunk = Trunk(network.named_children())
    assert trunk.reaches(names)
    for paths in combinations(names, 2):
        ours, torchs = image.clone().requires_grad_(), image.clone().requires_grad_()
        found, expected = trunk.run(ours, paths), plainly(network, torchs, paths)
        assert_close(found, expected, rtol=1e-4, atol=1e-6)
        loss_of(found).backward()
        loss_of(expected).backward()
        assert_close(ours.grad, torchs.grad, rtol=1e-4, atol=1e-6)


def test_activations_that_no_loss_looks_at_do_no_harm(network, image):
    ours, torchs = image.clone().requires_grad_(), image.clone().requires_grad_()
    Trunk(network.named_children()).run(ours, ("relu1", "conv3", "relu4"))["conv3"].sum().backward()
    plainly(network, torchs, ("conv3",))["conv3"].sum().backward()
    assert_close(ours.grad, torchs.grad, rtol=1e-4, atol=1e-6)


def test_gradients_that_are_given_are_not_written_over(network, image):
    paths = ("relu1", "relu2", "relu4")
    found = Trunk(network.named_children()).run(image.requires_grad_(), paths)
    given = [torch.randn_like(values) for values in found.values()]
    kept = [gradient.clone() for gradient in given]
    torch.autograd.backward(list(found.values()), given)
    assert all(torch.equal(gradient, before) for gradient, before in zip(given, kept, strict=True))


def test_the_way_back_can_be_gone_twice(network, image):
    loss = loss_of(Trunk(network.named_children()).run(image.requires_grad_(), ("relu1", "relu4")))
    first, second = (torch.autograd.grad(loss, image, retain_graph=True)[0] for _ in range(2))
    assert torch.equal(first, second)


def test_nothing_is_held_when_the_activations_are_gone(network, image):
    found = Trunk(network.named_children()).run(image.requires_grad_(), ("conv1", "relu1", "pool2", "relu4"))
    held = [weakref.ref(values) for values in found.values()]
    function = weakref.ref(found["relu4"].grad_fn)
    gc.disable()
    try:
        del found
        assert all(reference() is None for reference in (*held, function))
    finally:
        gc.enable()


def test_it_ends_where_something_else_begins(network):
    layers = list(network.named_children())
    trunk = Trunk([*layers[:3], ("drop", nn.Dropout()), *layers[3:]])
    assert trunk.reaches({"conv1", "conv2"})
    assert not trunk.reaches({"conv1", "relu2"})
    assert not Trunk([("conv", nn.Conv2d(3, 4, 3, stride=2)), *layers]).reaches({"conv1"})


def test_an_encoder_takes_it_for_gradients_and_the_modules_otherwise(mini_vgg, monkeypatch):
    taken = []
    run = Trunk.run
    monkeypatch.setattr(Trunk, "run", lambda *given: taken.append(given[2]) or run(*given))
    encoder, image = Encoder(), torch.rand(1, 3, 16, 16)
    encoder(image, ["mini-vgg:relu2_1"])
    encoder(image.requires_grad_(), ["mini-vgg:fc8"])
    assert taken == []
    encoder(image, ["mini-vgg:relu2_1"])
    assert taken == [{"features.4"}]
