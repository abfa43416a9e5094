"""The front of a plain network, layer after layer, as one operation with a gradient of its own.

What an iteration takes beyond its convolutions is passes over the first layers' activations. Whoever knows the whole
chain needs fewer of them than automatic differentiation: what comes back from a convolution belongs to nobody else, so
gradients are added up and rectified where they lie.
"""

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from oneira.features.packing import PackedConv, packable
from oneira.features.variant import Pool


class Step(Protocol):
    """A piece of the chain."""

    @property
    def path(self) -> str:
        """The layer whose activations it leaves."""

    def there(self, values: Tensor) -> tuple[Tensor, Any]:
        """What becomes of `values`, and what the way back needs.

        That is detached from the result, which in the end holds on to it.
        """

    def back(self, gradient: Tensor, memory: Any, owned: bool) -> Tensor:
        """The gradient to the values, which nobody else has; `owned`: nobody else has `gradient` either."""


class Trunk:
    """The convolutions, ReLUs and pools that `layers` (path, module) begin with, as far as they can be packed."""

    def __init__(self, layers: Iterable[tuple[str, nn.Module]]) -> None:
        self._layers: list[tuple[str, PackedConv | nn.Module]] = []
        for path, layer in layers:
            if isinstance(layer, nn.Conv2d) and packable(layer):
                self._layers.append((path, PackedConv(layer)))
            elif isinstance(layer, nn.ReLU | nn.MaxPool2d | Pool):
                self._layers.append((path, layer))
            else:
                break

    def reaches(self, paths: Collection[str]) -> bool:
        """Whether all of `paths` are in it."""
        return set(paths) <= {path for path, _ in self._layers}

    def run(self, inputs: Tensor, paths: Collection[str]) -> dict[str, Tensor]:
        """(b, 3, h, w), as the network expects it -> activations by path, nothing behind the deepest path computed."""
        steps = list(self._steps(paths))
        found: tuple[Tensor, ...] = _Chain.apply(inputs, steps, frozenset(paths))  # type: ignore[no-untyped-call]
        return dict(zip((step.path for step in steps if step.path in paths), found, strict=True))

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
                yield Rectification(path) if isinstance(layer, nn.ReLU) else Pooling(path, layer)


@dataclass(frozen=True)
class Convolution:
    """A convolution, and the ReLU behind it where `rectified`."""

    path: str
    conv: PackedConv
    rectified: bool

    def there(self, values: Tensor) -> tuple[Tensor, Any]:  # noqa: D102
        convolved = self.conv.there(values, rectified=self.rectified)
        return convolved, convolved.detach()

    def back(self, gradient: Tensor, memory: Any, owned: bool) -> Tensor:  # noqa: D102
        return self.conv.back(_rectified(gradient, memory, owned) if self.rectified else gradient)


@dataclass(frozen=True)
class Rectification:
    """A ReLU behind values that are asked for too."""

    path: str

    def there(self, values: Tensor) -> tuple[Tensor, Any]:  # noqa: D102
        positive = values.relu()
        return positive, positive.detach()

    def back(self, gradient: Tensor, memory: Any, owned: bool) -> Tensor:  # noqa: D102
        return _rectified(gradient, memory, owned)


@dataclass(frozen=True)
class Pooling:
    """A pool, differentiated as torch does it."""

    path: str
    pool: nn.Module

    def there(self, values: Tensor) -> tuple[Tensor, Any]:  # noqa: D102
        with torch.enable_grad():
            entered = values.detach().requires_grad_()
            pooled = self.pool(entered)
        return pooled.detach(), (entered, pooled)

    def back(self, gradient: Tensor, memory: Any, owned: bool) -> Tensor:  # noqa: D102
        entered, pooled = memory
        # The whole chain's graph may be gone through again, so this one stays.
        by_entered: Tensor = torch.autograd.grad(pooled, entered, gradient, retain_graph=True)[0]
        return by_entered


class _Chain(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, inputs: Tensor, steps: list[Step], paths: frozenset[str]) -> tuple[Tensor, ...]:
        ctx.steps, ctx.paths, ctx.memories = steps, paths, []
        ctx.set_materialize_grads(False)
        values, found = inputs, []
        for step in steps:
            values, memory = step.there(values)
            ctx.memories.append(memory)
            if step.path in paths:
                found.append(values)
        return tuple(found)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor | None) -> tuple[Tensor | None, None, None]:
        arriving = list(gradients)
        gradient: Tensor | None = None
        for step, memory in zip(reversed(ctx.steps), reversed(ctx.memories), strict=True):
            given = arriving.pop() if step.path in ctx.paths else None
            # Only what the chain itself computed may be written over: what is given may have other owners.
            owned = gradient is not None
            if gradient is None:
                gradient = given
            elif given is not None:
                gradient.add_(given)
            if gradient is not None:
                gradient = step.back(gradient, memory, owned)
        return gradient, None, None


def _rectified(gradient: Tensor, values: Tensor, owned: bool) -> Tensor:
    """The gradient where `values`, which a ReLU left, are above 0; elsewhere 0."""
    if not owned:
        rectified: Tensor = torch.ops.aten.threshold_backward(gradient, values, 0)
        return rectified
    torch.ops.aten.threshold_backward.grad_input(gradient, values, 0, grad_input=gradient)
    return gradient
