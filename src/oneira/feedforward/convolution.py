"""The three convolutions of the transformation networks, each computed in the way that takes the fewest operations.

Their parameters are those of the published layers. What differs is the order of the sums, and so only the rounding.
Channels come last in memory behind the first of them, whatever came in.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class ReflectedConvolution(nn.Conv2d):
    """A convolution of odd `size` behind reflection padding that keeps the sides, or halves them by a stride of 2."""

    def __init__(self, inputs: int, outputs: int, size: int, *, stride: int = 1, bias: bool) -> None:
        super().__init__(inputs, outputs, size, stride, bias=bias)

    def forward(self, values: Tensor) -> Tensor:
        """Values (b, inputs, h, w) to (b, outputs, h / stride, w / stride); even sides."""
        reach = self.kernel_size[0] // 2
        return F.conv2d(padded(values, reach), self.weight, self.bias, self.stride)


class WideConvolution(ReflectedConvolution):
    """The same for large kernels between a picture's 3 channels and some: blocks of 2x2 pixels count as channels.

    Processors multiply 16 channels or more at once, so that 3 leave most of each product empty. As 2x2 blocks, 3
    channels are 12, and a kernel of 9x9 pixels is one of 5x5 blocks: a third of the time from 32 channels to 3.
    """

    def forward(self, values: Tensor) -> Tensor:
        """Values (b, inputs, h, w) to (b, outputs, h, w); even sides."""
        size = self.kernel_size[0]
        # Each of a block's 4 pixels sees the same kernel, one pixel further: beside the kernel are zeros.
        placed = [F.pad(self.weight, (right, 1 - right, below, 1 - below)) for below in (0, 1) for right in (0, 1)]
        weight = _into_channels(torch.cat(placed))
        bias = self.bias.repeat(4) if self.bias is not None else None
        return _out_of_channels(F.conv2d(_into_channels(padded(values, size // 2)), weight, bias))


class EnlargingConvolution(ReflectedConvolution):
    """A 3x3 convolution of the picture at twice its size, each pixel repeated, computed on the picture as it is.

    Every pixel of the enlarged picture sees only 2x2 different ones, so that a kernel's taps on equal pixels are
    added up beforehand: 4 kernels of 2x2 instead of 3x3 at 4 times as many positions, 16 products instead of 36.
    """

    def __init__(self, inputs: int, outputs: int, *, bias: bool) -> None:
        super().__init__(inputs, outputs, 3, bias=bias)

    def forward(self, values: Tensor) -> Tensor:
        """Values (b, inputs, h, w) to (b, outputs, 2 h, 2 w)."""
        # (row, column, outputs, inputs, 2, 2); the odd pixel first, for it ends the pair that the even one begins.
        weight = _kernels_of_pair(_kernels_of_pair(self.weight, -1), -2).flatten(0, 2)
        bias = self.bias.repeat(4) if self.bias is not None else None
        # Of the enlarged picture, reflection repeats the pixel before the edge, which is the edge of the small one.
        edged = padded(values, 1, "replicate")
        pairs = _out_of_channels(F.conv2d(edged, weight, bias))
        return pairs[..., 1:-1, 1:-1].contiguous(memory_format=torch.channels_last)


def _kernels_of_pair(weight: Tensor, axis: int) -> Tensor:
    """Kernels of 3 taps along `axis` to (2, ...) of 2 taps: for the odd and the even pixel, sums of taps."""
    before, here, behind = weight.unbind(axis)
    odd = torch.stack([before + here, behind], axis)
    even = torch.stack([before, here + behind], axis)
    return torch.stack([odd, even])


def padded(values: Tensor, reach: int, mode: str = "reflect") -> Tensor:
    """Values (b, c, h, w) with `reach` more on all sides, by one of `torch.nn.functional.pad`'s modes."""
    # Autocast would have it done in float32, for no gain: padding only copies.
    with torch.autocast(values.device.type, enabled=False):
        return F.pad(values, (reach, reach, reach, reach), mode=mode)


def _into_channels(values: Tensor) -> Tensor:
    """(b, c, 2 h, 2 w) -> (b, 4 c, h, w): each 2x2 block's pixels one after another."""
    batch, channels, height, width = values.shape
    blocks = values.permute(0, 2, 3, 1).reshape(batch, height // 2, 2, width // 2, 2, channels).transpose(2, 3)
    return blocks.reshape(batch, height // 2, width // 2, 4 * channels).permute(0, 3, 1, 2)


def _out_of_channels(values: Tensor) -> Tensor:
    """(b, 4 c, h, w) -> (b, c, 2 h, 2 w): the way back."""
    batch, channels, height, width = values.shape
    blocks = values.permute(0, 2, 3, 1).reshape(batch, height, width, 2, 2, channels // 4).transpose(2, 3)
    return blocks.reshape(batch, 2 * height, 2 * width, channels // 4).permute(0, 3, 1, 2)
