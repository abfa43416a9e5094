"""Activations that are computed again on the way back: the same gradient, and less that is held."""

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

packed = pytest.mark.skipif(
    not packable(nn.Conv2d(3, 4, 3).requires_grad_(False)), reason="this torch cannot pack convolutions"
)


@pytest.fixture
def network() -> nn.Sequential:
    """Three segments and a half; one of them ends with two pools."""
    torch.manual_seed(0)
    layers: OrderedDict[str, nn.Module] = OrderedDict(
        conv1=nn.Conv2d(3, 5, 3, padding=1),
        relu1=nn.ReLU(),
        conv2=nn.Conv2d(5, 4, 3, padding=1),
        pool2=nn.MaxPool2d(2),
        relu2=nn.ReLU(),
        conv3=nn.Conv2d(4, 6, 3, padding=1),
        relu3=nn.ReLU(),
        pool3=nn.MaxPool2d(2),
        pool4=nn.MaxPool2d(2),
        conv5=nn.Conv2d(6, 3, 1),
        relu5=nn.ReLU(),
    )
    return nn.Sequential(layers).requires_grad_(False)


@pytest.fixture
def image(generator) -> torch.Tensor:
    return torch.rand(2, 3, 18, 16, generator=generator)


def gradient(trunk, image, paths, *, recompute, dtype=torch.float32):
    picture = image.clone().requires_grad_()
    found = trunk.run(picture.to(dtype, memory_format=torch.channels_last), paths, recompute=recompute)
    loss = sum((index + 1) * found[path].float().square().mean() for index, path in enumerate(sorted(found)))
    return torch.autograd.grad(loss, picture)[0], found


@packed
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("pooling", ["max", "avg", "l2"])
@pytest.mark.parametrize("count", [1, 3, 11])
def test_activations_and_gradient_are_the_same_to_the_bit(network, image, pooling, count, dtype):
    Variant(pooling).apply(network.to(dtype))
    trunk = Trunk(network.named_children())
    for paths in list(combinations([path for path, _ in network.named_children()], count))[::7]:
        kept, found = gradient(trunk, image, paths, recompute=False, dtype=dtype)
        again, found_again = gradient(trunk, image, paths, recompute=True, dtype=dtype)
        assert kept.any()
        assert torch.equal(kept, again)
        assert all(torch.equal(found[path], found_again[path]) for path in paths)


def test_the_way_back_can_be_gone_twice(network, image):
    loss = Trunk(network.named_children()).run(image.requires_grad_(), ("relu1", "relu5"), recompute=True)
    first, second = (torch.autograd.grad(loss["relu5"].sum(), image, retain_graph=True)[0] for _ in range(2))
    assert first.any()
    assert torch.equal(first, second)


class Kept:
    """A tensor that the way back needs."""

    def __init__(self, tensor: torch.Tensor) -> None:
        self.tensor = tensor


def kept_bytes(run) -> int:
    """What a forward pass leaves for the way back, each storage once."""
    kept: weakref.WeakSet[Kept] = weakref.WeakSet()

    def keep(tensor):
        holder = Kept(tensor)
        kept.add(holder)
        return holder

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda holder: holder.tensor):
        found = run()  # which holds the graph
        storages = {holder.tensor.data_ptr(): holder.tensor.untyped_storage().nbytes() for holder in kept}
    assert found
    return sum(storages.values())


@packed
def test_the_first_two_segments_keep_nothing_but_what_they_begin_with(network, image):
    trunk = Trunk(network.named_children())
    image.requires_grad_()
    area = image[0, 0].numel() * len(image) * 4  # bytes of one channel at full size
    kept = kept_bytes(lambda: trunk.run(image, ("pool3",)))
    assert kept >= area * (5 + 4) + area / 4 * 6
    again = kept_bytes(lambda: trunk.run(image, ("pool3",), recompute=True))
    assert again == area * 3 + area / 4 * 4


@pytest.mark.parametrize("padding", ["zeros", "reflect", "replicate"])
def test_convolutions_that_cannot_be_packed_take_part(mini_vgg, padding):
    image = torch.rand(1, 3, 24, 32, requires_grad=True)
    layers = ["mini-vgg:relu1_1", "mini-vgg:conv2_1", "mini-vgg:relu3_2"]
    encoder = Encoder(variant=Variant(padding=padding))

    def by_image():
        found = encoder(image, layers)
        return torch.autograd.grad(sum(values.square().mean() for values in found.values()), image)[0]

    gradient, held = by_image(), kept_bytes(lambda: encoder(image, layers))
    encoder.recompute = True
    # Gradients that meet at a layer are added up in another order than torch does it.
    assert_close(by_image(), gradient, rtol=1e-5, atol=1e-8)
    assert kept_bytes(lambda: encoder(image, layers)) < held


def test_networks_that_are_no_stacks_run_as_they_are(image):
    image.requires_grad_()
    kept, again = (Encoder(recompute=recompute)(image, ["tiny:relu3"]) for recompute in (False, True))
    assert all(torch.equal(kept[address], again[address]) for address in kept)
    held = [kept_bytes(lambda r=r: Encoder(recompute=r)(image, ["tiny:relu3"])) for r in (False, True)]
    assert held[0] == held[1] > 0
