"""Frozen convolutions on the processor, with weights laid out once as its kernels read them, for both directions."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

FEW_CHANNELS = 4  # oneDNN computes 16 at once, however few are asked for

_OPERATIONS = ("_convolution_pointwise", "_reorder_convolution_weight", "_is_mkldnn_bf16_supported")


class PackedConv:
    """What `conv` computes, with or without a ReLU behind it, and the gradient to its input.

    torch itself lays a convolution's weights out anew at every call, forward and back, and passes over the result again
    for the ReLU: some hundredths of an iteration. The operations that spare this are those of its compiler; they have
    no public names, so ask `packable` first.
    """

    def __init__(self, conv: nn.Conv2d) -> None:
        weight = conv.weight.detach()
        # What a convolution hands back is a convolution too, with its weights turned round.
        turned = weight.flip(2, 3).transpose(0, 1)
        self._bias = conv.bias
        self._padding = _amounts(conv)
        self._padding_back = [size - 1 - amount for size, amount in zip(conv.kernel_size, self._padding, strict=True)]
        self._weight = _packed(weight, self._padding)
        self._turned = _packed(turned, self._padding_back)
        few = conv.in_channels <= FEW_CHANNELS and conv.kernel_size == (3, 3) and self._padding == [1, 1]
        self._squares = _squares(turned) if few else None

    def there(self, features: Tensor, *, rectified: bool) -> Tensor:
        """(b, c, h, w) -> (b, c', h', w')."""
        return _convolve(features, self._weight, self._bias, self._padding, rectified)

    def back(self, gradient: Tensor) -> Tensor:
        """The gradient to the output (b, c', h', w') -> that to the input (b, c, h, w)."""
        height, width = gradient.shape[2:]
        if self._squares is not None and height % 2 == width % 2 == 0:
            return F.pixel_shuffle(F.conv2d(gradient, self._squares, stride=2, padding=1), 2)
        return _convolve(gradient, self._turned, None, self._padding_back, False)


def packable(conv: nn.Conv2d) -> bool:
    """Whether this torch, on this machine, can pack `conv`, and nothing about it is unusual."""
    weight = conv.weight
    if weight.device.type != "cpu" or not torch.backends.mkldnn.is_available():
        return False
    if not all(hasattr(torch.ops.mkldnn, name) for name in _OPERATIONS):
        return False
    narrow = weight.dtype == torch.bfloat16 and torch.ops.mkldnn._is_mkldnn_bf16_supported()
    plain = conv.stride == conv.dilation == (1, 1) and conv.groups == 1 and conv.padding_mode == "zeros"
    if not plain or isinstance(conv.padding, str) or not (narrow or weight.dtype == torch.float32):
        return False
    return all(amount < size for amount, size in zip(conv.padding, conv.kernel_size, strict=True))


def _amounts(conv: nn.Conv2d) -> list[int]:
    return [int(amount) for amount in conv.padding]


def _squares(turned: Tensor) -> Tensor:
    """Turned weights (c, c', 3, 3) -> (4 c, c', 4, 4): the four pixels of each 2x2 square become channels.

    A square of three colours is twelve channels, which the kernel computes at once, where its pixels, with three each,
    would take four turns. That is worth the zeros that it multiplies by.
    """
    channels, outputs = turned.shape[:2]
    squares = turned.new_zeros(channels, 2, 2, outputs, 4, 4)
    for down in range(2):
        for right in range(2):
            squares[:, down, right, :, down : down + 3, right : right + 3] = turned
    return squares.flatten(0, 2).contiguous(memory_format=torch.channels_last)


def _packed(weight: Tensor, padding: list[int]) -> Tensor:
    laid = weight.contiguous(memory_format=torch.channels_last)
    packed: Tensor = torch.ops.mkldnn._reorder_convolution_weight(laid, padding, [1, 1], [1, 1], 1)
    return packed


def _convolve(features: Tensor, weight: Tensor, bias: Tensor | None, padding: list[int], rectified: bool) -> Tensor:
    behind = "relu" if rectified else "none"
    convolved: Tensor = torch.ops.mkldnn._convolution_pointwise(
        features, weight, bias, padding, [1, 1], [1, 1], 1, behind, [], ""
    )
    return convolved
