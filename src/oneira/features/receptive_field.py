"""Which pixels an activation depends on, composed operation by operation while a network runs.

Exact for convolutions, pools and whatever works position by position. Any other operation that changes the grid (a mean
over positions, resizing to a fixed grid, flattening) is taken to see the whole picture, and so are those that keep it
and look along it: normalising by a picture's own statistics, rolling, adding up or sorting by position.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.weak import WeakIdKeyDictionary

aten = torch.ops.aten
ONES = (1, 1)

ACROSS = (aten.native_group_norm, aten.native_layer_norm, aten.roll, aten.flip)
ALONG = (aten._softmax, aten._log_softmax, aten.cumsum, aten.cumprod, aten.sort)  # of one dimension, named second
BATCH_NORMS = (aten.native_batch_norm, aten._native_batch_norm_legit)


@dataclass(frozen=True)
class Window:
    """Along one axis, position `i` depends on the pixels `first + i * step` to `last + i * step`."""

    first: int = 0
    last: int = 0
    step: int = 1

    def through(self, kernel: int, stride: int, padding: int, dilation: int) -> "Window":
        """The window of what a convolution or pool makes of this."""
        first = self.first - padding * self.step
        return Window(first, first + self.last - self.first + dilation * (kernel - 1) * self.step, self.step * stride)

    def joined(self, other: "Window") -> "Window":
        """The window of what depends on both."""
        return Window(min(self.first, other.first), max(self.last, other.last), max(self.step, other.step))


@dataclass(frozen=True)
class ReceptiveField:
    """The windows along both axes."""

    vertical: Window = Window()
    horizontal: Window = Window()

    @property
    def extent(self) -> int:
        """The longer side, in pixels."""
        return max(axis.last - axis.first + 1 for axis in (self.vertical, self.horizontal))

    @property
    def stride(self) -> int:
        """From one position to the next, in pixels; the longer way of the two."""
        return max(self.vertical.step, self.horizontal.step)

    def through(
        self, kernel: Sequence[int], stride: Sequence[int], padding: Sequence[int], dilation: Sequence[int]
    ) -> "ReceptiveField":
        """The receptive field of what a convolution or pool makes of this; each argument is (vertical, horizontal)."""
        across = zip((self.vertical, self.horizontal), kernel, stride, padding, dilation, strict=True)
        return ReceptiveField(*(axis.through(*sizes) for axis, *sizes in across))

    def joined(self, other: "ReceptiveField") -> "ReceptiveField":
        """The receptive field of what depends on both."""
        return ReceptiveField(self.vertical.joined(other.vertical), self.horizontal.joined(other.horizontal))


class ReceptiveFields(TorchDispatchMode):
    """While entered, follows what is computed from `image` (b, c, h, w). To be used under `torch.no_grad()`."""

    def __init__(self, image: Tensor) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._fields = WeakIdKeyDictionary()  # no field: depends on the picture, all of it
        self._fields[image] = ReceptiveField()

    def of(self, activation: Tensor) -> ReceptiveField | None:
        """Its receptive field; None where that is the whole picture."""
        field: ReceptiveField | None = self._fields.get(activation)
        return field

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        """Run the operation, and note what its results depend on."""
        results = func(*args, **(kwargs or {}))
        inputs = [value for value in tree_leaves((args, kwargs)) if isinstance(value, Tensor) and value in self._fields]
        if inputs:
            fields = [self._fields[value] for value in inputs]
            for result in tree_leaves(results):
                if isinstance(result, Tensor):
                    self._fields[result] = _field_after(func.overloadpacket, args, inputs, fields, result)
        return results


def _field_after(
    operation: Any, args: Sequence[Any], inputs: list[Tensor], fields: list[ReceptiveField | None], result: Tensor
) -> ReceptiveField | None:
    field = fields[0]
    for other in fields[1:]:
        field = None if field is None or other is None else field.joined(other)
    if field is None or operation is aten._adaptive_avg_pool2d or _looks_along(operation, args, result):
        return None
    if operation is aten.convolution:
        return field.through(args[1].shape[2:], *args[3:6])
    if operation in (aten.max_pool2d_with_indices, aten.avg_pool2d):
        kernel, stride, padding, dilation = _pooling(operation, args)
        return field.through(kernel, stride, padding, dilation)
    same_grid = result.ndim == 4 and all(value.ndim == 4 and value.shape[2:] == result.shape[2:] for value in inputs)
    return field if same_grid else None


def _looks_along(operation: Any, args: Sequence[Any], result: Tensor) -> bool:
    """Whether an operation that keeps the grid mixes positions that may lie anywhere in it."""
    if operation in BATCH_NORMS:
        return bool(args[5])  # whether by the picture's own statistics
    if operation is aten.convolution:
        return bool(args[6])  # whether it is a transposed one
    return operation in ACROSS or (operation in ALONG and args[1] % result.ndim > 1)


def _pooling(operation: Any, args: Sequence[Any]) -> tuple[Sequence[int], Sequence[int], Sequence[int], Sequence[int]]:
    """Kernel, stride, padding and dilation; what has its default value is not passed."""
    _, kernel, stride, padding, dilation = (*args, *(None,) * 5)[:5]
    dilated = dilation if operation is aten.max_pool2d_with_indices else None  # avg_pool2d has none
    return kernel, stride or kernel, padding or (0, 0), dilated or ONES
