"""Small changes to a trained network that make it draw better: other pooling, other padding, other scales."""

import math
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Literal, get_args

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from oneira.errors import PlanError, one_of
from oneira.images.wrapping import Amounts, wrap

Pooling = Literal["max", "avg", "l2"]
Border = Literal["zeros", "replicate", "reflect", "circular"]
Padding = Literal[Border, "replicate-first"]

# Factors that keep the mean activation of a trained VGG where max pooling had it, for its windows of 2x2. Gatys et al.
# used 1.0. For the 3x3 windows of a trained SqueezeNet we measured 2.2 to 3.1, and 0.57 to 0.70: not far enough away to
# burden users with a factor for each network.
SCALE_KEEPING_GAIN = MappingProxyType({"max": 1.0, "avg": 2.0, "l2": 0.78})


@dataclass(frozen=True)
class Variant:
    """How a backbone is run: `pooling` with its `gain` (None: the factor that keeps activations' scale), `padding`.

    `padding` is every convolution's; "replicate-first" repeats the border for the first one alone, the others pad with
    zeros (crowsonkb/style-transfer-pytorch). "circular": the picture is a torus. Convolutions and pools whose windows
    reach over a border see the opposite one, also where the network itself pads with nothing. Where the sides are
    multiples of a layer's stride (see `stride_of`), rolling the picture by such multiples rolls its activations; else
    the remainder is a seam.
    `normalised`: filters are scaled so that the mean activation of each is 1 (Gatys et al. 2016, section 2), with pools
    and padding as they are here; for plain networks, see `normalising`.

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
                wraps = self.padding == "circular" and _reaches_out(child)
                if isinstance(child, nn.MaxPool2d) and (self.pooling != "max" or gain != 1.0 or wraps):
                    setattr(parent, name, Pool(child, self.pooling, gain, wraps=wraps))
                elif isinstance(child, nn.AvgPool2d) and wraps:
                    setattr(parent, name, Pool(child, "avg", 1.0, wraps=True))
                elif isinstance(child, nn.Conv2d) and (any(_amounts(child)) or wraps):
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
    """The windows of `original`, another statistic, times `gain`. What lies outside the picture does not count.

    With `wraps`, it is the picture itself that lies there, and an extent of n has ceil(n / stride) windows.
    """

    def __init__(
        self, original: nn.MaxPool2d | nn.AvgPool2d, pooling: Pooling, gain: float, *, wraps: bool = False
    ) -> None:
        super().__init__()
        self.original = original
        self.pooling = pooling
        self.gain = gain
        self.wraps = wraps
        self.area = math.prod(_pair(original.kernel_size))
        self.padding = 0 if wraps else original.padding
        self.dilation = original.dilation if isinstance(original, nn.MaxPool2d) else 1
        self.ceil_mode = original.ceil_mode and not wraps

    def forward(self, features: Tensor) -> Tensor:
        """(b, c, h, w) -> (b, c, h', w'), with the grid that `original` gives (see `wraps`)."""
        if self.wraps:
            features = wrap(features, *_amounts_around(self.original, features))
        pool = self.original
        if self.pooling == "max":
            pooled = F.max_pool2d(
                features, pool.kernel_size, pool.stride, self.padding, self.dilation, ceil_mode=self.ceil_mode
            )
            return self.gain * pooled
        if self.pooling == "avg" and pool.kernel_size == pool.stride == 2 and not (self.padding or self.ceil_mode):
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
            features, pool.kernel_size, pool.stride, self.padding, ceil_mode=self.ceil_mode, count_include_pad=False
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
    """A convolution whose border is filled by reflecting or repeating the picture, or by its other side; not by zeros.

    Reflection needs more pixels than it adds; where a feature map is too small for it, its border is repeated instead.
    """

    def __init__(self, original: nn.Conv2d, padding: Border) -> None:
        super().__init__()
        self.original = original
        self.mode = padding
        vertical, horizontal = _amounts(original)
        self.amounts = (horizontal, horizontal, vertical, vertical)

    def forward(self, features: Tensor) -> Tensor:
        """(b, c, h, w) -> (b, c', h', w'), with the grid that `original` gives; "circular": ceil(extent / stride)."""
        conv = self.original
        if self.mode == "circular":
            padded = wrap(features, *_amounts_around(conv, features))
        else:
            horizontal, _, vertical, _ = self.amounts
            fits = features.shape[2] > vertical and features.shape[3] > horizontal
            padded = F.pad(features, self.amounts, mode=self.mode if fits else "replicate")
        return torch.conv2d(padded, conv.weight, conv.bias, conv.stride, 0, conv.dilation, conv.groups)


Windowed = nn.Conv2d | nn.MaxPool2d | nn.AvgPool2d


def _amounts(layer: Windowed) -> tuple[int, int]:
    """The pixels that `layer` adds above and below, and left and right."""
    if isinstance(layer.padding, str):
        kernel = _pair(layer.kernel_size)
        return (0, 0) if layer.padding == "valid" else (kernel[0] // 2, kernel[1] // 2)
    return _pair(layer.padding)


def _reaches_out(layer: nn.Module) -> bool:
    """Whether any of the windows of a convolution or pool looks beyond the border, on a torus of whole strides."""
    return isinstance(layer, Windowed) and any(padding or span > stride for span, stride, padding in _windows(layer))


def _amounts_around(layer: Windowed, features: Tensor) -> tuple[Amounts, Amounts]:
    """What a torus needs around it above and below, left and right, for windows that begin where those of `layer` do.

    A window begins at every stride, so that there are as many as fit into the extent, the last one cut or not.
    """
    vertical, horizontal = (
        (padding, max(0, span - stride - padding) + -extent % stride)
        for extent, (span, stride, padding) in zip(features.shape[2:], _windows(layer), strict=True)
    )
    return vertical, horizontal


def _windows(layer: Windowed) -> list[tuple[int, int, int]]:
    """Down and across: the pixels from a window's first to its last, the stride and the padding."""
    dilations = (1, 1) if isinstance(layer, nn.AvgPool2d) else _pair(layer.dilation)
    kernels, strides = _pair(layer.kernel_size), _pair(layer.stride)
    spans = [dilation * (kernel - 1) + 1 for dilation, kernel in zip(dilations, kernels, strict=True)]
    return list(zip(spans, strides, _amounts(layer), strict=True))


def _pair(size: int | tuple[int, ...]) -> tuple[int, int]:
    """Down and across, as torch means a single number."""
    down, across = (size, size) if isinstance(size, int) else size
    return down, across
