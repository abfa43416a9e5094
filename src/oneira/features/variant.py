"""Small changes to a trained network that make it draw better: other pooling, other padding, other scales."""

import math
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Literal, get_args

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from oneira.errors import PlanError, one_of

Pooling = Literal["max", "avg", "l2"]
Border = Literal["zeros", "replicate", "reflect"]
Padding = Literal[Border, "replicate-first"]

# Factors that keep the mean activation of a trained VGG where max pooling had it, for its windows of 2x2. Gatys et al.
# used 1.0. For the 3x3 windows of a trained SqueezeNet we measured 2.2 to 3.1, and 0.57 to 0.70: not far enough away to
# burden users with a factor for each network.
SCALE_KEEPING_GAIN = MappingProxyType({"max": 1.0, "avg": 2.0, "l2": 0.78})


@dataclass(frozen=True)
class Variant:
    """How a backbone is run: `pooling` with its `gain` (None: the factor that keeps activations' scale), `padding`.

    `padding` is every convolution's; "replicate-first" repeats the border for the first one alone, the others pad with
    zeros (crowsonkb/style-transfer-pytorch). `normalised`: filters are scaled so that the mean activation of each is 1
    (Gatys et al. 2016, section 2), with pools and padding as they are here; for plain networks, see `normalising`.

    Raises PlanError for a pooling or padding that there is not, or a gain that is not a positive number.
    """

    pooling: Pooling = "max"
    gain: float | None = None
    padding: Padding = "zeros"
    normalised: bool = False

    def __post_init__(self) -> None:
        one_of("pooling", self.pooling, get_args(Pooling))
        one_of("padding", self.padding, get_args(Padding))
        if self.gain is not None and not (math.isfinite(self.gain) and self.gain > 0):
            raise PlanError(f"the gain of pooling is a positive number, not {self.gain}")

    def apply(self, network: nn.Module) -> nn.Module:
        """Exchange the max pools and the convolutions' padding of `network`, in place; returns it.

        Does not normalise, which takes pictures.
        """
        gain = SCALE_KEEPING_GAIN[self.pooling] if self.gain is None else self.gain
        first = next((part for part in network.modules() if isinstance(part, nn.Conv2d)), None)
        for parent in list(network.modules()):
            for name, child in parent.named_children():
                if isinstance(child, nn.MaxPool2d) and (self.pooling != "max" or gain != 1.0):
                    setattr(parent, name, Pool(child, self.pooling, gain))
                elif isinstance(child, nn.Conv2d) and any(_amounts(child)):
                    mode = self._padding(child is first)
                    if mode != "zeros":
                        setattr(parent, name, PaddedConv(child, mode))
        return network

    def _padding(self, first: bool) -> Border:
        """That of the first convolution, or of another."""
        if self.padding == "replicate-first":
            return "replicate" if first else "zeros"
        return self.padding


UNCHANGED = Variant()


class Pool(nn.Module):
    """The windows of `original`, another statistic, times `gain`. What lies outside the picture does not count."""

    def __init__(self, original: nn.MaxPool2d, pooling: Pooling, gain: float) -> None:
        super().__init__()
        self.original = original
        self.pooling = pooling
        self.gain = gain
        kernel = original.kernel_size
        self.area = kernel * kernel if isinstance(kernel, int) else math.prod(kernel)

    def forward(self, features: Tensor) -> Tensor:
        """(b, c, h, w) -> (b, c, h', w'), with the grid that `original` gives."""
        if self.pooling == "max":
            pooled: Tensor = self.original(features)
            return self.gain * pooled
        pool = self.original
        if self.pooling == "avg" and pool.kernel_size == pool.stride == 2 and not (pool.padding or pool.ceil_mode):
            halved: Tensor = _HalvingAverage.apply(features, self.gain)  # type: ignore[no-untyped-call]
            return halved
        if self.pooling == "avg":
            return self.gain * self._average(features)
        # The root of the sum of squares, as if a window cut by the border went on outside as it is inside.
        # A root's gradient is infinite at zero, where ReLU leaves whole windows; hence the small number.
        return self.gain * (self.area * (self._average(features.square()) + 1e-8)).sqrt()

    def _average(self, features: Tensor) -> Tensor:
        pool = self.original
        return F.avg_pool2d(
            features, pool.kernel_size, pool.stride, pool.padding, ceil_mode=pool.ceil_mode, count_include_pad=False
        )


class _HalvingAverage(torch.autograd.Function):
    """`gain * avg_pool2d(features, 2)`, whose gradient is written in one pass: torch's own takes ten times as long."""

    @staticmethod
    def forward(ctx: Any, features: Tensor, gain: float) -> Tensor:
        ctx.shape, ctx.gain = features.shape, gain
        return F.avg_pool2d(features, 2).mul_(gain)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        height, width = ctx.shape[2:]
        spread = F.interpolate(gradients[0] * (ctx.gain / 4), scale_factor=2, mode="nearest")
        # An odd row or column at the border belongs to no window.
        return F.pad(spread, (0, width % 2, 0, height % 2)) if height % 2 or width % 2 else spread, None


class PaddedConv(nn.Module):
    """A convolution whose border is filled by reflecting or repeating the picture, not by zeros.

    Reflection needs more pixels than it adds; where a feature map is too small for it, its border is repeated instead.
    """

    def __init__(self, original: nn.Conv2d, padding: Border) -> None:
        super().__init__()
        self.original = original
        self.mode = padding
        vertical, horizontal = _amounts(original)
        self.amounts = (horizontal, horizontal, vertical, vertical)

    def forward(self, features: Tensor) -> Tensor:
        """(b, c, h, w) -> (b, c', h', w'), with the grid that `original` gives."""
        horizontal, _, vertical, _ = self.amounts
        fits = features.shape[2] > vertical and features.shape[3] > horizontal
        padded = F.pad(features, self.amounts, mode=self.mode if fits else "replicate")
        conv = self.original
        return torch.conv2d(padded, conv.weight, conv.bias, conv.stride, 0, conv.dilation, conv.groups)


def _amounts(conv: nn.Conv2d) -> tuple[int, int]:
    """The pixels that `conv` adds above and below, and left and right."""
    if isinstance(conv.padding, str):
        return (0, 0) if conv.padding == "valid" else (conv.kernel_size[0] // 2, conv.kernel_size[1] // 2)
    return conv.padding[0], conv.padding[1]
