"""Frozen convolutions on the processor, with weights laid out once as its kernels read them, for both directions."""

from functools import cached_property

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from oneira.images.wrapping import wrap

FEW_CHANNELS = 4  # oneDNN computes 16 at once, however few are asked for

_OPERATIONS = ("_convolution_pointwise", "_reorder_convolution_weight", "_is_mkldnn_bf16_supported")


class PackedConv:
    """What `conv` computes, with or without a ReLU behind it, and the gradient to its input.

    torch itself lays a convolution's weights out anew at every call, forward and back, and passes over the result again
    for the ReLU: some hundredths of an iteration. The operations that spare this are those of its compiler; they have
    no public names, so ask `packable` first.

    Weights are laid out for a direction when it is first taken, and kept: whoever needs no gradient, or stops before
    this convolution, has them in memory once.

    `wraps`: the picture is a torus, and windows begin where those of `conv` do. What then comes back is a convolution
    of a torus too: of the gradient, as far before a position as windows reach behind it.
    """

    def __init__(self, conv: nn.Conv2d, *, wraps: bool = False) -> None:
        self._weight = conv.weight.detach()
        self._bias = conv.bias
        before = _amounts(conv)
        behind = [size - 1 - amount for size, amount in zip(conv.kernel_size, before, strict=True)]
        self._around = list(zip(before, behind, strict=True)) if wraps else None
        self._padding, self._padding_back = ([0, 0], [0, 0]) if wraps else (before, behind)
        self._few = conv.in_channels <= FEW_CHANNELS and conv.kernel_size == (3, 3) and before == [1, 1]

    def there(self, features: Tensor, *, rectified: bool) -> Tensor:
        """(b, c, h, w) -> (b, c', h', w')."""
        if self._around is not None:
            features = wrap(features, *self._around)
        return _convolve(features, self._packed_there, self._bias, self._padding, rectified)

    def back(self, gradient: Tensor) -> Tensor:
        """The gradient to the output (b, c', h', w') -> that to the input (b, c, h, w)."""
        height, width = gradient.shape[2:]
        if self._around is not None:
            gradient = wrap(gradient, *((behind, before) for before, behind in self._around))
        if self._few and height % 2 == width % 2 == 0:
            padding = 1 if self._around is None else 0
            return F.pixel_shuffle(F.conv2d(gradient, self._squares, stride=2, padding=padding), 2)
        return _convolve(gradient, self._packed_back, None, self._padding_back, False)

    @cached_property
    def _packed_there(self) -> Tensor:
        return _packed(self._weight, self._padding)

    @cached_property
    def _packed_back(self) -> Tensor:
        return _packed(self._turned(), self._padding_back)

    @cached_property
    def _squares(self) -> Tensor:
        return _squares(self._turned())

    def _turned(self) -> Tensor:
        """What a convolution hands back is a convolution too, with its weights (c', c, k, k) turned round."""
        return self._weight.flip(2, 3).transpose(0, 1)


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


@torch.inference_mode(False)  # what inference mode makes could never take part in a gradient
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


@torch.inference_mode(False)
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
