"""A transformation network as operations that every runtime has: Pad, Conv, InstanceNormalization, DepthToSpace."""

from collections.abc import Iterator
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from oneira.feedforward.blocks import Normed, Residual
from oneira.feedforward.convolution import EnlargingConvolution, ReflectedConvolution, WideConvolution
from oneira.feedforward.normalisation import EPSILON, BatchNorm
from oneira.feedforward.transformer import DARKEST, TransformerNetwork

IMAGE, STYLE, STYLIZED = "image", "style", "stylized"  # what goes in and comes out
OPSET = 18  # of 2022, which runtimes of all kinds have caught up with
# The kernels of an enlarged picture's odd and even pixels, from the three taps of the published one.
TAPS_OF_PAIR = (((1.0, 1, 0), (0, 0, 1)), ((1, 0, 0), (0, 1, 1)))


def fed(image: Tensor, style: Tensor | None) -> dict[str, Any]:
    """The inputs of a model, by their names; `style` is None for networks that take none."""
    return {IMAGE: image.numpy()} | ({} if style is None else {STYLE: style.numpy()})


class ExportedNetwork(nn.Module):
    """What `network` computes for one picture, its weights prepared; to be traced, not to be run.

    Convolutions are computed in `precision`. Normalisations are in float32 always: what they sum up over a picture is
    beyond float16.
    """

    table: Tensor

    def __init__(self, network: TransformerNetwork, precision: torch.dtype = torch.float32) -> None:
        super().__init__()
        self.multiple, self.smallest, self.identity = network.multiple, network.smallest, network.identity
        parts = [*network.contract, *network.residuals, *network.expand, network.draw]
        self.parts = nn.ModuleList([_prepared(part, precision) for part in parts])
        numbers = [
            learned.detach().reshape(network.styles, -1).clone()
            for published in network.modules()
            if isinstance(published, Normed) and not isinstance(published.normalisation, BatchNorm | None)
            for learned in (published.normalisation.scale, published.normalisation.shift)
        ]
        if self.identity is not None:
            for last in numbers[-2:]:
                last[self.identity] = 0  # not learned: the picture's own are added in its place
        self.lengths = [every.shape[1] for every in numbers]
        # All styles' numbers side by side, so that one product blends them for all layers.
        self.register_buffer("table", torch.cat(numbers, 1) if numbers else torch.empty(1, 0))

    def forward(self, image: Tensor, style: Tensor | None = None) -> Tensor:
        """`image` (1, 3, h, w) in [0, 1], of any size, in the styles of weights (1, styles); the result is as large."""
        height, width = image.shape[-2:]
        image = self._grown(self._grown(image, -2), -1)
        numbers = self._numbers(image, style)
        values = image - 0.5
        for part in self.parts:
            values = part(values, numbers)
        return torch.sigmoid(values)[..., :height, :width]

    def _numbers(self, image: Tensor, style: Tensor | None) -> Iterator[Tensor]:
        """Every layer's scale and shift, one after another."""
        blended = self.table if style is None else style @ self.table
        numbers = list(blended.reshape(-1).split(self.lengths))
        if style is not None and self.identity is not None:
            inner = image.clamp(DARKEST, 1 - DARKEST)
            variance, mean = torch.var_mean(torch.log(inner / (1 - inner)), (0, 2, 3), correction=0)
            share = style[0, self.identity]
            numbers[-2] = numbers[-2] + share * variance.sqrt()
            numbers[-1] = numbers[-1] + share * mean
        return iter(numbers)

    def _grown(self, image: Tensor, axis: int) -> Tensor:
        """`image`, mirrored at its end to a size that the network can halve twice; as `stylizer.reflected`.

        That one asks first whether there is anything to do, which a graph for any size cannot.
        """
        size = image.shape[axis]
        whole = (size + self.multiple - 1) // self.multiple * self.multiple
        index = torch.arange(torch.sym_max(whole, self.smallest))
        period = torch.scalar_tensor(torch.sym_max(2 * (size - 1), 1), dtype=torch.int64)
        phase = torch.remainder(index, period)
        return image.index_select(axis, torch.minimum(phase, period - phase))


def _prepared(part: nn.Module, precision: torch.dtype) -> nn.Module:
    """A part of the published network, to be called with values and with the numbers that it takes its own from."""
    if isinstance(part, Residual):
        return _Pair(_Block(part.first, precision), _Block(part.second, precision))
    assert isinstance(part, Normed)
    return _Block(part, precision)


class _Pair(nn.Module):
    """Two blocks whose result is added to what came."""

    def __init__(self, first: nn.Module, second: nn.Module) -> None:
        super().__init__()
        self.first, self.second = first, second

    def forward(self, values: Tensor, numbers: Iterator[Tensor]) -> Tensor:
        changed: Tensor = self.second(self.first(values, numbers), numbers)
        return values + changed


class _Block(nn.Module):
    """A convolution whose kernel is prepared, its normalisation and its ReLU."""

    weight: Tensor
    bias: Tensor | None

    def __init__(self, published: Normed, precision: torch.dtype) -> None:
        super().__init__()
        convolution, normalisation = published.convolution, published.normalisation
        self.normalised = not isinstance(normalisation, BatchNorm | None)
        self.rectified = published.rectified
        self.reach, self.border, self.stride = convolution.kernel_size[0] // 2, "reflect", convolution.stride[0]
        self.quadruple = isinstance(convolution, WideConvolution | EnlargingConvolution)
        self.cropped = isinstance(convolution, EnlargingConvolution)
        weight, bias = _with_batch_norm(convolution, normalisation if isinstance(normalisation, BatchNorm) else None)
        if isinstance(convolution, WideConvolution):
            # Four pixels at once: the same kernel at the 4 places of a 2x2 block.
            placed = [F.pad(weight, (right, 1 - right, below, 1 - below)) for below in (0, 1) for right in (0, 1)]
            weight, self.stride = torch.stack(placed, 1).flatten(0, 1), 2
        elif isinstance(convolution, EnlargingConvolution):
            taps = weight.new_tensor(TAPS_OF_PAIR)
            paired = torch.einsum("oiyx,pay,qbx->opqiab", weight, taps, taps)
            weight, self.border = paired.flatten(0, 2), "replicate"
        if bias is not None and self.quadruple:
            bias = bias.repeat_interleave(4)
        self.register_buffer("weight", weight.detach().to(precision))
        self.register_buffer("bias", None if bias is None else bias.detach().to(precision))

    def forward(self, values: Tensor, numbers: Iterator[Tensor]) -> Tensor:
        reach = (self.reach,) * 4
        values = F.pad(values.to(self.weight.dtype), reach, mode=self.border)
        values = F.conv2d(values, self.weight, self.bias, self.stride)
        if self.quadruple:
            values = F.pixel_shuffle(values, 2)
        if self.cropped:
            values = values[..., 1:-1, 1:-1]
        values = values.float()
        if self.normalised:
            values = _normalised(values, next(numbers), next(numbers))
        return F.relu(values) if self.rectified else values


def _with_batch_norm(convolution: ReflectedConvolution, norm: BatchNorm | None) -> tuple[Tensor, Tensor | None]:
    """The convolution's weight and bias, with what a batch norm in eval mode does behind it."""
    weight, bias = convolution.weight, convolution.bias
    if norm is None:
        return weight, bias
    assert bias is not None
    assert norm.running_mean is not None
    assert norm.running_var is not None
    factor = norm.weight * (norm.running_var + norm.eps).rsqrt()
    return weight * factor[:, None, None, None], (bias - norm.running_mean) * factor + norm.bias


def _normalised(values: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
    """ONNX's own instance normalisation: torch's is taken apart by the export into a dozen passes over the picture."""
    return torch.onnx.ops.symbolic(
        "InstanceNormalization",
        (values, scale, shift),
        {"epsilon": EPSILON},
        dtype=values.dtype,
        shape=values.shape,
        version=OPSET,
    )
