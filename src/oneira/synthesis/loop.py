"""The one loop: a canvas descends under an objective, scale after scale.

A generator of Steps. Progress, previews, checkpoints, cancelling: all are consumers of it. `Synthesis.state()` between
two steps is all that is needed to go on later, to the same bytes.
"""

import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor

from oneira.errors import CheckpointError, SynthesisError
from oneira.features.encoder import Encoder
from oneira.features.hardware import choose_device, choose_precision
from oneira.features.weights import Progress
from oneira.objectives import BoundObjective, Losses
from oneira.synthesis.augmentation import Chain
from oneira.synthesis.averaging import Average
from oneira.synthesis.canvas import Surface
from oneira.synthesis.plan import Plan
from oneira.synthesis.schedules import Scale
from oneira.synthesis.steps import Step

State = dict[str, Any]


class _NotFinite(Exception):  # noqa: N818 - caught inside the loop, where it leads to a second try
    pass


class Synthesis:
    """A run of `plan`. Iterate over it once; stop iterating, or close the iterator, and nothing is left running.

    `device` and `precision` may be `auto`; `weights` names a file for a backbone; `offline` forbids downloads;
    `progress` is told of them.
    Raises SynthesisError when a loss is not finite twice: `image` then still is the last good picture.
    """

    def __init__(
        self,
        plan: Plan,
        *,
        seed: int = 0,
        device: str = "auto",
        precision: str = "auto",
        weights: Mapping[str, Path] = MappingProxyType({}),
        offline: bool = False,
        progress: Progress | None = None,
    ) -> None:
        self.plan = plan
        self.seed = seed
        self.device = choose_device(device)
        self._loading = {"weights": weights, "offline": offline, "progress": progress}
        self.encoder = self._encoder(choose_precision(precision, self.device))
        self._generator = torch.Generator().manual_seed(seed)
        self._scale = 0
        self._index = 0
        self._rescued = False
        self._surface: Surface | None = None
        self._average = Average(plan.averaging)
        self._optimiser: torch.optim.Optimizer | None = None
        self._optimiser_state: State | None = None

    def __iter__(self) -> Iterator[Step]:
        scales = self.plan.schedule.scales
        while True:
            yield from self._descend(scales[self._scale])
            if self._scale + 1 == len(scales):
                return
            self._enter(self._scale + 1)

    @property
    def image(self) -> Tensor:
        """The picture so far (b, 3, h, w), float32 in [0, 1], on the CPU; the average of the iterates if asked for."""
        surface = self._ready()
        with torch.no_grad(), self._average.shown_on(surface.parameters):
            return surface.image().detach().float().clamp(0, 1).cpu().clone()

    def state(self) -> State:
        """Everything that the steps to come depend on; `restore` takes it."""
        surface = self._ready()
        return {
            "fingerprint": self.plan.fingerprint,
            "seed": self.seed,
            "scale": self._scale,
            "index": self._index,
            "rescued": self._rescued,
            "precision": str(self.encoder.precision),
            "parameters": [p.detach().cpu() for p in surface.parameters],
            "average": self._average.state(),
            "optimiser": self._optimiser.state_dict() if self._optimiser is not None else self._optimiser_state,
            "generator": self._generator.get_state(),
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from where `state()` was taken. Raises CheckpointError if it was taken from another plan or seed."""
        if state.get("fingerprint") != self.plan.fingerprint or state.get("seed") != self.seed:
            raise CheckpointError("the checkpoint belongs to other settings or pictures; run without --resume")
        try:
            self._scale, self._index = state["scale"], state["index"]
            self._rescued = state["rescued"]
            if state["precision"] != str(self.encoder.precision):
                self.encoder = self._encoder(getattr(torch, state["precision"].removeprefix("torch.")))
            self._surface = self._begin()
            for parameter, saved in zip(self._surface.parameters, state["parameters"], strict=True):
                parameter.data.copy_(saved)
            self._average.restore(state["average"], self.device)
            self._optimiser_state = state["optimiser"]
            self._generator.set_state(state["generator"])
        except (KeyError, ValueError, RuntimeError, TypeError, AttributeError) as error:
            raise CheckpointError(f"the checkpoint is damaged ({error}); run without --resume") from error

    # What follows tells the story from outside to inside: a scale, a step, the gradient.

    def _descend(self, scale: Scale) -> Iterator[Step]:
        surface = self._ready()
        size = self.plan.canvas.size(scale.size)
        objective = self._bind(size)
        self._optimiser = self.plan.optimiser.build(surface.parameters)
        if self._optimiser_state is not None:
            self._optimiser.load_state_dict(self._optimiser_state)
            self._optimiser_state = None
        good = [p.detach().clone() for p in surface.parameters]
        before = sum(s.steps for s in self.plan.schedule.scales[: self._scale])
        while self._index < scale.steps:
            note = None
            try:
                losses = self._update(objective, surface, good)
            except _NotFinite:
                note = self._rescue(surface, good)
                objective = self._bind(size)
                losses = self._second_try(objective, surface, good)
            self._index += 1
            yield Step(
                self._scale,
                size,
                self._index,
                before + self._index,
                self.plan.schedule.total,
                losses.total.item(),
                {name: loss.item() for name, loss in losses.by_term.items()},
                lambda: self.image,
                note,
            )

    def _update(self, objective: BoundObjective, surface: Surface, good: list[Tensor]) -> Losses:
        """One step of the optimiser; only what has a finite loss and gradient is updated, and then kept in `good`."""
        assert self._optimiser is not None
        optimiser = self._optimiser
        taken: list[Losses] = []

        def closure() -> Tensor:
            optimiser.zero_grad(set_to_none=True)
            taken.append(self._gradient(objective, surface))
            return taken[-1].total.detach()

        # torch types a closure as returning a float; all of its optimisers take a tensor.
        optimiser.step(lambda: self._keeping(good, surface, closure))  # type: ignore[arg-type, return-value]
        if not self.plan.optimiser.searches:
            surface.constrain()
        self._average.add(surface.parameters)
        return taken[0]

    @staticmethod
    def _keeping(good: list[Tensor], surface: Surface, closure: Any) -> Tensor:
        loss: Tensor = closure()
        for kept, parameter in zip(good, surface.parameters, strict=True):
            kept.copy_(parameter.detach())
        return loss

    def _gradient(self, objective: BoundObjective, surface: Surface) -> Losses:
        image = surface.image()
        # A new node even where the parameters are the picture, so that the hook lives for this pass alone.
        picture = image.view_as(image)
        if self.plan.shaping is not None:
            picture.register_hook(self.plan.shaping)
        chain = Chain(self.plan.augmentation) if self.plan.augmentation else None
        losses = objective(picture, None if chain is None else chain.draw(self._generator))
        losses.total.backward()
        gradients = [p.grad for p in surface.parameters if p.grad is not None]
        # The sum of finite numbers that is not finite would overflow the update, too.
        if not math.isfinite(losses.total.item() + sum(float(g.sum()) for g in gradients)):
            raise _NotFinite
        return losses

    def _rescue(self, surface: Surface, good: list[Tensor]) -> str:
        """Back to the last picture whose loss was finite; on from there in float32 with a fresh optimiser, once."""
        with torch.no_grad():
            for parameter, kept in zip(surface.parameters, good, strict=True):
                parameter.copy_(kept)
        where = f"step {self._index + 1} at scale {self._scale + 1}"
        if self._rescued:
            raise SynthesisError(
                f"the loss is not finite at {where}, in float32 too; try a smaller rate or smaller weights"
            )
        self._rescued = True
        self.encoder = self._encoder(torch.float32)
        self._optimiser = self.plan.optimiser.build(surface.parameters)
        return f"the loss was not finite at {where}: went back one step, and on in float32"

    def _second_try(self, objective: BoundObjective, surface: Surface, good: list[Tensor]) -> Losses:
        try:
            return self._update(objective, surface, good)
        except _NotFinite:
            self._rescue(surface, good)
            raise

    def _encoder(self, precision: torch.dtype) -> Encoder:
        return Encoder(device=self.device, precision=precision, variant=self.plan.variant, **self._loading)  # type: ignore[arg-type]

    def _bind(self, size: tuple[int, int]) -> BoundObjective:
        return BoundObjective(self.plan.objective, self.encoder, size)

    def _begin(self) -> Surface:
        size = self.plan.canvas.size(self.plan.schedule.scales[self._scale].size)
        return self.plan.canvas.begin(size, self._generator, self.device)

    def _ready(self) -> Surface:
        if self._surface is None:
            self._surface = self._begin()
        return self._surface

    def _enter(self, scale: int) -> None:
        surface = self._ready()
        with self._average.shown_on(surface.parameters):
            size = self.plan.canvas.size(self.plan.schedule.scales[scale].size)
            self._surface = surface.resized(size, self.plan.schedule.carry)
        self._average = Average(self.plan.averaging)
        self._optimiser = None
        self._scale, self._index = scale, 0


def synthesize(
    plan: Plan,
    *,
    seed: int = 0,
    device: str = "auto",
    precision: str = "auto",
    weights: Mapping[str, Path] = MappingProxyType({}),
    offline: bool = False,
) -> Iterator[Step]:
    """Run `plan`, yielding a Step after each step; see `Synthesis` for runs that are saved and resumed."""
    return iter(Synthesis(plan, seed=seed, device=device, precision=precision, weights=weights, offline=offline))
