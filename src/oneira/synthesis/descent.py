"""One size of a run: a surface that goes down, step by step, and can go back one."""

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor

from oneira.objectives import BoundObjective
from oneira.synthesis.augmentation import Chain
from oneira.synthesis.averaging import Average
from oneira.synthesis.canvas import Surface
from oneira.synthesis.plan import Plan


class NotFinite(Exception):  # noqa: N818 - the loop's own signal, which leads it to a second try
    """The loss or its gradient is no finite number; the surface is as it was."""


class Reading(NamedTuple):
    """What a step found: the loss in all, and each term's own before its weight."""

    total: float
    by_term: dict[str, float]


class Descent:
    """`surface` under the plan's optimiser, with the last parameters whose loss was finite.

    Every step is added to `average`; augmentation draws from `generator`.
    """

    def __init__(self, plan: Plan, surface: Surface, average: Average, generator: torch.Generator) -> None:
        self.surface = surface
        self.optimiser = plan.optimiser.build(surface.parameters)
        self._plan = plan
        self._average = average
        self._good = [parameter.detach().clone() for parameter in surface.parameters]
        self._good_average = average.state(copy=True)
        self._chain = Chain(plan.augmentation) if plan.augmentation else None
        self._generator = generator

    def step(self, objective: BoundObjective) -> Reading:
        """One step of the optimiser. Raises NotFinite before anything is updated."""
        readings: list[Reading] = []

        def closure() -> Tensor:
            self.optimiser.zero_grad(set_to_none=True)
            loss, reading = self._gradient(objective)
            readings.append(reading)
            for kept, parameter in zip(self._good, self.surface.parameters, strict=True):
                kept.copy_(parameter.detach())
            self._good_average = self._average.state(copy=True)
            return loss

        # torch types a closure as returning a float; all of its optimisers take a tensor.
        self.optimiser.step(closure)  # type: ignore[arg-type]
        if not self._plan.optimiser.searches:
            self.surface.constrain()
        self._average.add(self.surface.parameters)
        return readings[0]

    @torch.no_grad()
    def go_back(self) -> None:
        """To the last parameters whose loss was finite, with an optimiser that remembers nothing."""
        for parameter, kept in zip(self.surface.parameters, self._good, strict=True):
            parameter.copy_(kept)
        self._average.restore(self._good_average, self.surface.parameters[0].device)
        self.optimiser = self._plan.optimiser.build(self.surface.parameters)

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

    def _gradient(self, objective: BoundObjective) -> tuple[Tensor, Reading]:
        image = self.surface.image()
        # A new node even where the parameters are the picture, so that the hook lives for this pass alone.
        picture = image.view_as(image)
        if self._plan.shaping is not None:
            picture.register_hook(self._plan.shaping)
        losses = objective(picture, None if self._chain is None else self._chain.draw(self._generator))
        losses.total.backward()
        gradients = [p.grad.sum() for p in self.surface.parameters if p.grad is not None]
        # Read all at once: every reading makes an accelerator wait.
        numbers = [losses.total.detach(), *losses.by_term.values(), *gradients]
        total, *rest = torch.stack([number.float() for number in numbers]).tolist()
        # The sum of finite numbers that is not finite would overflow the update, too.
        if not math.isfinite(total + sum(rest[len(losses.by_term) :])):
            raise NotFinite
        return losses.total.detach(), Reading(total, dict(zip(losses.by_term, rest, strict=False)))
