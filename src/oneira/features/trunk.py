"""The front of a plain network, layer after layer, as one operation with a gradient of its own.

What an iteration takes beyond its convolutions is passes over the first layers' activations. Whoever knows the whole
chain needs fewer of them than automatic differentiation: what comes back from a convolution belongs to nobody else, so
gradients are added up and rectified where they lie.
"""

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from oneira.features.packing import PackedConv, packable
from oneira.features.variant import PaddedConv, Pool

# The segments that are run again where memory is short: those up to the second pool hold two thirds of what a VGG
# keeps for the way back, and take a quarter of the forward pass. More would cost time and hardly lower the peak.
RECOMPUTED = 2

Memory = list[Tensor]  # what is taken out of it is no longer held, where nobody else holds it


class Step(Protocol):
    """A piece of the chain."""

    @property
    def path(self) -> str:
        """The layer whose activations it leaves."""

    def there(self, values: Tensor) -> tuple[Tensor, Memory]:
        """What becomes of `values`, and what the way back needs, detached from it."""

    def back(self, gradient: Tensor, memory: Memory, owned: bool) -> Tensor:
        """The gradient to the values, which nobody else has; `owned`: nobody else has `gradient` either."""


class Trunk:
    """The convolutions, ReLUs and pools that `layers` (path, module) begin with, as far as they can be packed."""

    def __init__(self, layers: Iterable[tuple[str, nn.Module]]) -> None:
        self._layers: list[tuple[str, PackedConv | nn.Module]] = []
        self._packed: int | None = None  # how many can be; None: all
        for path, layer in layers:
            if isinstance(layer, nn.Conv2d) and packable(layer):
                self._layers.append((path, PackedConv(layer)))
            elif isinstance(layer, PaddedConv) and layer.mode == "circular" and packable(layer.original):
                self._layers.append((path, PackedConv(layer.original, wraps=True)))
            elif isinstance(layer, nn.ReLU | nn.MaxPool2d | Pool):
                self._layers.append((path, layer))
            elif isinstance(layer, nn.Conv2d | PaddedConv):
                self._packed = len(self._layers) if self._packed is None else self._packed
                self._layers.append((path, layer))
            else:
                break

    def reaches(self, paths: Collection[str], recompute: bool = False) -> bool:
        """Whether all of `paths` are in it; to `recompute`, convolutions that cannot be packed will do."""
        return set(paths) <= {path for path, _ in (self._layers if recompute else self._layers[: self._packed])}

    def run(self, inputs: Tensor, paths: Collection[str], recompute: bool = False) -> dict[str, Tensor]:
        """(b, 3, h, w), as the network expects it -> activations by path, nothing behind the deepest path computed.

        `recompute`: less memory for more time. What the first segments (a segment ends with a pool) would keep for the
        way back is computed again there; the gradient is the same, to the bit.
        """
        found: dict[str, Tensor] = {}
        values = inputs
        for index, steps in enumerate(_segments(self._steps(paths))):
            leaving = [step.path for step in steps if step.path in paths or step is steps[-1]]
            again = recompute and index < RECOMPUTED
            # One operation per segment: what it holds is let go when its gradient is done, before the others' are.
            left: tuple[Tensor, ...] = _Chain.apply(values, steps, frozenset(leaving), again)  # type: ignore[no-untyped-call]
            found.update((path, there) for path, there in zip(leaving, left, strict=True) if path in paths)
            values = left[-1]
        return found

    def _steps(self, paths: Collection[str]) -> Iterator[Step]:
        """The layers down to the deepest of `paths`; a convolution that is not asked for takes the ReLU behind it."""
        deepest = max(index for index, (path, _) in enumerate(self._layers) if path in paths)
        layers = self._layers[: deepest + 1]
        taken = False
        for (path, layer), (behind, after) in zip(layers, [*layers[1:], ("", None)], strict=True):
            if taken:
                taken = False
            elif isinstance(layer, PackedConv):
                taken = path not in paths and isinstance(after, nn.ReLU)
                yield Convolution(behind if taken else path, layer, rectified=taken)
            else:
                yield Rectification(path) if isinstance(layer, nn.ReLU) else Differentiated(path, layer)


def _segments(steps: Iterable[Step]) -> Iterator[list[Step]]:
    """Each ends with a pool; the last one, with the last step."""
    segment: list[Step] = []
    for step in steps:
        segment.append(step)
        if isinstance(step, Differentiated) and isinstance(step.layer, nn.MaxPool2d | Pool):
            yield segment
            segment = []
    if segment:
        yield segment


@dataclass(frozen=True)
class Convolution:
    """A convolution, and the ReLU behind it where `rectified`."""

    path: str
    conv: PackedConv
    rectified: bool

    def there(self, values: Tensor) -> tuple[Tensor, Memory]:  # noqa: D102
        convolved = self.conv.there(values, rectified=self.rectified)
        return convolved, [convolved.detach()] if self.rectified else []

    def back(self, gradient: Tensor, memory: Memory, owned: bool) -> Tensor:  # noqa: D102
        return self.conv.back(_rectified(gradient, memory.pop(), owned) if self.rectified else gradient)


@dataclass(frozen=True)
class Rectification:
    """A ReLU behind values that are asked for too."""

    path: str

    def there(self, values: Tensor) -> tuple[Tensor, Memory]:  # noqa: D102
        positive = values.relu()
        return positive, [positive.detach()]

    def back(self, gradient: Tensor, memory: Memory, owned: bool) -> Tensor:  # noqa: D102
        return _rectified(gradient, memory.pop(), owned)


@dataclass(frozen=True)
class Differentiated:
    """A layer, such as a pool, that torch differentiates."""

    path: str
    layer: nn.Module

    def there(self, values: Tensor) -> tuple[Tensor, Memory]:  # noqa: D102
        with torch.enable_grad():
            entered = values.detach().requires_grad_()
            left = self.layer(entered)
        return left.detach(), [entered, left]

    def back(self, gradient: Tensor, memory: Memory, owned: bool) -> Tensor:  # noqa: D102
        entered, left = memory
        # The whole graph may be gone through again, so this part of it stays.
        by_entered: Tensor = torch.autograd.grad(left, entered, gradient, retain_graph=True)[0]
        return by_entered


class _Chain(torch.autograd.Function):
    """A segment. `paths` are those whose activations leave it; `again`: it is run again on the way back."""

    @staticmethod
    def forward(ctx: Any, inputs: Tensor, steps: list[Step], paths: frozenset[str], again: bool) -> tuple[Tensor, ...]:
        ctx.steps, ctx.paths, ctx.again = steps, paths, again
        ctx.set_materialize_grads(False)
        values, found, memories = inputs, [], list[Memory]()
        for step in steps:
            values, memory = step.there(values)
            if not again:
                memories.append(memory)
            if step.path in paths:
                found.append(values)
        ctx.counts = [len(memory) for memory in memories]
        ctx.save_for_backward(*([inputs] if again else [kept for memory in memories for kept in memory]))
        return tuple(found)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor | None) -> tuple[Tensor | None, None, None, None]:
        arriving = list(gradients)
        gradient: Tensor | None = None
        for step, memory in _again(ctx.steps, *ctx.saved_tensors) if ctx.again else _kept(ctx):
            given = arriving.pop() if step.path in ctx.paths else None
            # Only what the chain itself computed may be written over: what is given may have other owners.
            owned = gradient is not None
            if gradient is None:
                gradient = given
            elif given is not None:
                gradient.add_(given)
            if gradient is not None:
                gradient = step.back(gradient, memory, owned)
        return gradient, None, None, None


def _kept(ctx: Any) -> Iterator[tuple[Step, Memory]]:
    """Every step from the last to the first, with what it kept."""
    kept = iter(ctx.saved_tensors)
    memories = [list(islice(kept, count)) for count in ctx.counts]
    return zip(reversed(ctx.steps), reversed(memories), strict=True)


def _again(steps: Sequence[Step], inputs: Tensor) -> Iterator[tuple[Step, Memory]]:
    """Every step from the last to the first, run again from `inputs` for what it would have kept.

    For the later half of them, and then for the earlier: the first layer, which is the largest and takes hardly any
    time, is run once more rather than held meanwhile.
    """
    while steps:
        half = len(steps) // 2
        values, memories = inputs, []
        for index, step in enumerate(steps):
            values, memory = step.there(values)
            if index >= half:
                memories.append(memory)
        del values, memory
        for step in reversed(steps[half:]):
            yield step, memories.pop()
        steps = steps[:half]


def _rectified(gradient: Tensor, values: Tensor, owned: bool) -> Tensor:
    """The gradient where `values`, which a ReLU left, are above 0; elsewhere 0."""
    if not owned:
        rectified: Tensor = torch.ops.aten.threshold_backward(gradient, values, 0)
        return rectified
    torch.ops.aten.threshold_backward.grad_input(gradient, values, 0, grad_input=gradient)
    return gradient
