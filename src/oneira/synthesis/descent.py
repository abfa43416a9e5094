"""One size of a run: a surface that goes down, step by step, and can go back one."""

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor

from oneira.objectives import BoundObjective, Losses
from oneira.synthesis.augmentation import Chain, Move
from oneira.synthesis.averaging import Average
from oneira.synthesis.canvas import Surface
from oneira.synthesis.momentum import hand_over
from oneira.synthesis.partition import InParts
from oneira.synthesis.plan import Plan
from oneira.synthesis.schedules import Scale
from oneira.synthesis.tending import MID_GREY


class NotFinite(Exception):  # noqa: N818 - the loop's own signal, which leads it to a second try
    """The loss or its gradient is no finite number; the surface is as it was."""


class Reading(NamedTuple):
    """What a step found: the loss in all, each term's own before its weight, and whether there was any gradient."""

    total: float
    by_term: dict[str, float]
    moves: bool


class Descent:
    """`surface` under the plan's optimiser at one `scale`, with the last parameters whose loss was finite.

    Every step is added to `average`; augmentation draws from `generator`; gradients are computed in `parts`, if given.
    """

    def __init__(
        self,
        plan: Plan,
        scale: Scale,
        surface: Surface,
        average: Average,
        generator: torch.Generator,
        parts: InParts | None = None,
    ) -> None:
        self.surface = surface
        self.optimiser = plan.optimiser.build(surface.parameters, scale.rate)
        self._plan = plan
        self._scale = scale
        self._average = average
        self._good = [parameter.detach().clone() for parameter in surface.parameters]
        self._good_average = average.state(copy=True)
        self._chain = Chain(plan.augmentation) if plan.augmentation else None
        self._generator = generator
        self._parts = parts

    def inherit(self, before: "Descent") -> None:
        """Begin with the optimiser's moments at the end of `before`, resized; anew where they cannot be."""
        if before.surface.pixelwise and self.surface.pixelwise:
            hand_over(before.optimiser, self.optimiser)

    def step(self, objective: BoundObjective, index: int) -> Reading:
        """The step of `index` (from 0) at this scale. Raises NotFinite before anything is updated."""
        readings: list[Reading] = []

        def closure() -> Tensor:
            self.optimiser.zero_grad(set_to_none=True)
            loss, reading = self._gradient(objective, index / self._scale.steps)
            readings.append(reading)
            for kept, parameter in zip(self._good, self.surface.parameters, strict=True):
                kept.copy_(parameter.detach())
            self._good_average = self._average.state(copy=True)
            return loss

        # torch types a closure as returning a float; all of its optimisers take a tensor.
        self.optimiser.step(closure)  # type: ignore[arg-type]
        if self._plan.tending:
            self._tend(index)
        if not self._plan.optimiser.searches:
            self.surface.constrain()
        self._average.add(self.surface.parameters)
        return readings[0]

    @torch.no_grad()
    def _tend(self, index: int) -> None:
        (values,) = self.surface.parameters
        assert values.grad is not None
        tended = values - MID_GREY
        for tending in self._plan.tending:
            tended = tending(tended, values.grad, index)
        values.copy_(tended + MID_GREY)

    @torch.no_grad()
    def go_back(self) -> None:
        """To the last parameters whose loss was finite, with an optimiser that remembers nothing."""
        for parameter, kept in zip(self.surface.parameters, self._good, strict=True):
            parameter.copy_(kept)
        self._average.restore(self._good_average, self.surface.parameters[0].device)
        self.optimiser = self._plan.optimiser.build(self.surface.parameters, self._scale.rate)

    def state(self) -> dict[str, Any]:
        """For a checkpoint; the parameters themselves and the average apart."""
        return {
            "optimiser": self.optimiser.state_dict(),
            "good": [kept.cpu() for kept in self._good],
            "good_average": self._good_average,
        }

    @torch.no_grad()
    def restore(self, state: Mapping[str, Any]) -> None:
        """From a checkpoint, whose tensors become this descent's own."""
        self.optimiser.load_state_dict(state["optimiser"])
        for kept, saved in zip(self._good, state["good"], strict=True):
            kept.copy_(saved)
        self._good_average = state["good_average"]

    def _gradient(self, objective: BoundObjective, progress: float) -> tuple[Tensor, Reading]:
        """The loss, and the parameters' gradients where torch's optimisers look for them."""
        image = self.surface.image()
        # The picture's own gradient comes first, whole, whatever pieces it is made of: it is shaped before it goes on.
        picture = image.detach().requires_grad_()
        losses = self._backward(objective, picture, progress)
        gradient = torch.zeros_like(picture) if picture.grad is None else picture.grad
        for shaping in self._plan.shaping:
            gradient = shaping(gradient, progress)
        image.backward(gradient)
        gradients = [p.grad.abs().sum() for p in self.surface.parameters if p.grad is not None]
        # Read all at once: every reading makes an accelerator wait.
        numbers = [losses.total, *losses.by_term.values(), *gradients]
        total, *rest = torch.stack([number.float() for number in numbers]).tolist()
        strength = sum(rest[len(losses.by_term) :])
        # The sum of finite numbers that is not finite would overflow the update, too.
        if not math.isfinite(total + strength):
            raise NotFinite
        return losses.total, Reading(total, dict(zip(losses.by_term, rest, strict=False)), strength > 0)

    def _backward(self, objective: BoundObjective, picture: Tensor, progress: float) -> Losses:
        """Leave the gradient in `picture.grad`; of tiles, each is done before the next, and losses are their means."""
        move = None if self._chain is None else self._chain.draw(self._generator)
        if self._plan.tiling is None:
            parts = self._parts
            return objective.backward(picture, move) if parts is None else parts.backward(objective, picture, move)
        size = (picture.shape[2], picture.shape[3])
        total, by_term = picture.new_zeros(()), {name: picture.new_zeros(()) for name in objective.names}
        for share, cut in self._plan.tiling.pieces(size, self._generator, progress):
            losses = objective(picture, cut if move is None else _after(move, cut))
            (share * losses.total).backward()
            total += share * losses.total.detach()
            for name, loss in losses.by_term.items():
                by_term[name] += share * loss
        return Losses(total, by_term)


def _after(first: Move, second: Move) -> Move:
    return lambda image: second(first(image))
