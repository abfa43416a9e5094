"""The picture as a torus: what leaves on one side comes back on the other."""

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

Amounts = tuple[int, int]  # pixels before the first row or column, and behind the last


def wrap(image: Tensor, vertical: Amounts, horizontal: Amounts) -> Tensor:
    """(b, c, h, w) -> the picture with so many rows and columns of its own repetition around it; differentiable.

    Amounts may be larger than the picture, which then is repeated as often as it takes: torch's circular padding
    refuses that, and its copies forget the layout that convolutions like best.
    """
    if not any((*vertical, *horizontal)):
        return image
    wrapped: Tensor = _Wrapped.apply(image, vertical, horizontal)  # type: ignore[no-untyped-call]
    return wrapped


class _Wrapped(torch.autograd.Function):
    """One pass over the picture, and the border; back, what the border was given is added where it came from."""

    @staticmethod
    def forward(ctx: Any, image: Tensor, vertical: Amounts, horizontal: Amounts) -> Tensor:
        ctx.shape, ctx.vertical, ctx.horizontal = image.shape, vertical, horizontal
        batch, channels, height, width = image.shape
        laid_out = torch.channels_last if image.is_contiguous(memory_format=torch.channels_last) else None
        wrapped = torch.empty(
            (batch, channels, height + sum(vertical), width + sum(horizontal)),
            dtype=image.dtype,
            device=image.device,
            memory_format=laid_out or torch.contiguous_format,
        )
        rows = wrapped[:, :, vertical[0] : vertical[0] + height]
        rows[..., horizontal[0] : horizontal[0] + width] = image
        for there, part in _copies(width, horizontal):
            rows[..., there] = image[..., part]
        for there, part in _copies(height, vertical):
            wrapped[:, :, there] = rows[:, :, part]
        return wrapped

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        (gradient,) = gradients
        height, width = ctx.shape[2:]
        rows = gradient[:, :, ctx.vertical[0] : ctx.vertical[0] + height].clone()
        for there, part in _copies(height, ctx.vertical):
            rows[:, :, part] += gradient[:, :, there]
        by_image = rows[..., ctx.horizontal[0] : ctx.horizontal[0] + width]
        for there, part in _copies(width, ctx.horizontal):
            by_image[..., part] += rows[..., there]
        return by_image, None, None


def _copies(extent: int, amounts: Amounts) -> Iterator[tuple[slice, slice]]:
    """Where, along an axis of the wrapped picture, repetitions of the `extent` pixels lie, and which part of each."""
    before, after = amounts
    end = before + extent + after
    for first in range(before + -(-before // extent) * -extent, end, extent):
        if first != before:
            start, stop = max(first, 0), min(first + extent, end)
            yield slice(start, stop), slice(start - first, stop - first)
