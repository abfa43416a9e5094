"""The way back as the papers write it, layer by layer, and through the networks as torch differentiates them."""

import copy
from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Unpool = Callable[[Tensor, Tensor, nn.MaxPool2d, torch.Size], Tensor]


def unpooled(values: Tensor, switches: Tensor, pool: nn.MaxPool2d, shape: torch.Size) -> Tensor:
    """torch's own, which lets the last of coinciding switches win."""
    return F.max_unpool2d(values, switches, pool.kernel_size, pool.stride, pool.padding, shape[2:])


def scattered(values: Tensor, switches: Tensor, _: nn.MaxPool2d, shape: torch.Size) -> Tensor:
    """Value by value to its switch, added where switches coincide."""
    planes = torch.zeros(shape).flatten(2).flatten(0, 1)
    for plane, given, places in zip(planes, values.flatten(0, 1), switches.flatten(0, 1), strict=True):
        plane.index_add_(0, places.flatten(), given.flatten())
    return planes.view(shape)


def sent_back(layers: Sequence[nn.Module], inputs: Tensor, seed: Tensor, rule: str, unpool: Unpool) -> Tensor:
    """`seed` from behind a plain stack of 3x3 convolutions (padding 1), ReLUs and max pools to `inputs`."""
    before, switches = [], []
    values = inputs
    for layer in layers:
        before.append(values)
        places = None
        if isinstance(layer, nn.MaxPool2d):
            values, places = F.max_pool2d(
                values, layer.kernel_size, layer.stride, layer.padding, ceil_mode=layer.ceil_mode, return_indices=True
            )
        else:
            values = F.relu(values) if isinstance(layer, nn.ReLU) else layer(values)
        switches.append(places)
    signal = seed
    for layer, entered, places in zip(reversed(layers), reversed(before), reversed(switches), strict=True):
        if isinstance(layer, nn.MaxPool2d):
            signal = unpool(signal, places, layer, entered.shape)
        elif isinstance(layer, nn.ReLU):
            signal = signal if rule == "gradient" else signal.clamp(min=0)
            signal = signal if rule == "deconvnet" else signal * (entered > 0)
        else:
            # How far the last stride reaches cannot be told from what it left.
            rest = [(size + 2 - 3) % layer.stride[0] for size in entered.shape[2:]]
            signal = F.conv_transpose2d(signal, layer.weight, None, layer.stride, layer.padding, rest)
    return signal


class RuledReLU(nn.Module):
    """A ReLU with a gradient of its own."""

    def __init__(self, rule: str) -> None:
        super().__init__()
        self.rule = rule

    def forward(self, values: Tensor) -> Tensor:
        return _Ruled.apply(values, self.rule)


class _Ruled(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, values: Tensor, rule: str) -> Tensor:
        ctx.rule = rule
        ctx.save_for_backward(values)
        return values.clamp(min=0)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        (values,) = ctx.saved_tensors
        kept = gradients[0] if ctx.rule == "gradient" else gradients[0].clamp(min=0)
        return (kept if ctx.rule == "deconvnet" else kept * (values > 0)), None


def differentiated(
    network: nn.Module, prepare: Callable[[Tensor], Tensor], image: Tensor, path: str, seed: Tensor, rule: str
) -> Tensor:
    """With every ReLU module of a copy of `network` replaced, and torch's autograd."""
    network = copy.deepcopy(network)
    for parent in list(network.modules()):
        for name, child in parent.named_children():
            if isinstance(child, nn.ReLU):
                setattr(parent, name, RuledReLU(rule))
    found: list[Tensor] = []
    network.get_submodule(path).register_forward_hook(lambda _part, _inputs, output: found.append(output))
    pixels = image.clone().requires_grad_()
    network(prepare(pixels))
    return torch.autograd.grad(found[0], pixels, seed)[0]
