"""The one loop: a canvas descends under an objective, scale after scale.

A generator of Steps. Progress, previews, checkpoints, cancelling: all are consumers of it. `Synthesis.state()` between
two steps is all that is needed to go on later, to the same bytes.
"""

import copy
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor

from oneira.errors import CheckpointError, PlanError, SynthesisError
from oneira.features.encoder import Encoder, Shelf
from oneira.features.hardware import choose_device, choose_precision
from oneira.features.weights import Progress
from oneira.objectives import BoundObjective
from oneira.synthesis.averaging import Average
from oneira.synthesis.canvas import Surface
from oneira.synthesis.carrying import Transition
from oneira.synthesis.descent import Descent, NotFinite, Reading
from oneira.synthesis.forecast import economise
from oneira.synthesis.memory import memory_told, ran_out
from oneira.synthesis.partition import InParts, Partition, assembling
from oneira.synthesis.plan import Plan
from oneira.synthesis.rehearsal import rehearse, require_parts
from oneira.synthesis.run import Run, State, require_seed
from oneira.synthesis.schedules import Scale
from oneira.synthesis.steps import Outcome, Step


class Synthesis(Run):
    """A run of `plan`.

    `device` and `precision` may be `auto`; `weights` names a file for a backbone; `offline` forbids downloads;
    `progress` is told of them. `max_memory`: the bytes of memory that the process may hold, libraries and weights
    included; how to run below it is chosen before the first step, see `settle`. `partition`: a large picture's gradient
    is computed part by part, which takes less memory and comes to the same. `shelf`: runs with one share networks.
    Raises AddressError or PlanError, before any weights are read, for layers that are not there or pictures too small
    for them. Iterating raises SynthesisError where memory does not suffice, or a loss is not finite twice: `image` then
    still is the last good picture.
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
        max_memory: int | None = None,
        partition: Partition | None = None,
        shelf: Shelf | None = None,
    ) -> None:
        require_seed(seed)
        self.plan = plan
        self.seed = seed
        self.device = choose_device(device)
        self.precision = choose_precision(precision, self.device)
        if max_memory is not None and self.device.type != "cpu":
            raise PlanError(f"a limit of memory is for the processor's, and this runs on {self.device}: leave it out")
        if max_memory is not None and partition is not None:
            raise PlanError("a limit of memory is foretold of whole pictures, not of parts: leave out one or the other")
        self._max_memory = max_memory
        self._settled: str | None = None
        self._loading = {"weights": weights, "offline": offline, "progress": progress, "shelf": shelf}
        self.encoder = self._encoder(self.precision)
        self._parts = None if partition is None else InParts(partition)
        rehearse(plan, self.encoder, partition)
        self._generator = torch.Generator().manual_seed(seed)
        self._scale = 0
        self._index = 0
        self._rescued = False
        self._surface: Surface | None = None
        self._start: Tensor | None = None  # what the leg begins with, where that is not the plan's own start
        self._average = Average(plan.averaging)
        self._descent: Descent | None = None
        self._descent_before: State | None = None  # what a checkpoint held, until there is a descent to take it
        self._weights_before: Mapping[str, str] = {}
        self._outcomes: dict[str, Outcome] = {}

    def __iter__(self) -> Iterator[Step]:
        self.settle()
        scales = self.plan.schedule.scales
        while True:
            yield from self._descend(scales[self._scale])
            if self._scale + 1 == len(scales):
                return
            self._enter(self._scale + 1)

    def settle(self) -> str | None:
        """Choose how to run within `max_memory`, and say how; None where there is no limit. Iterating begins with it.

        A few steps are taken at small sizes, apart from the run, which stays as it is. Raises SynthesisError, with the
        size that would fit, where this one does not.
        """
        if self._max_memory is not None and self._settled is None:
            self._settled = economise(self.plan, self.encoder, self._max_memory)
        return self._settled

    @property
    def image(self) -> Tensor:
        """The picture so far (b, 3, h, w), float32 in [0, 1], on the CPU; the average of the iterates if asked for."""
        surface = self._ready()
        with torch.no_grad(), self._average.shown_on(surface.parameters):
            return surface.image().detach().float().clamp(0, 1).cpu().clone()

    @property
    def stages(self) -> dict[int, str]:
        """By scale, from the schedule."""
        return {index: scale.stage for index, scale in enumerate(self.plan.schedule.scales) if scale.stage is not None}

    @property
    def outcomes(self) -> Mapping[str, Outcome]:
        """What the stages that are done ended with, by name, where the plan collects them."""
        return MappingProxyType(self._outcomes)

    @property
    def digests(self) -> dict[str, str]:
        """SHA-256 of the weights of every backbone that the picture so far was computed with."""
        return {**self._weights_before, **self.encoder.digests}

    def state(self) -> State:
        """Everything that the steps to come depend on, until the next step is taken; `restore` takes it."""
        surface = self._ready()
        return {
            "fingerprint": self.plan.fingerprint,
            "seed": self.seed,
            "precision": str(self.precision),
            "threads": torch.get_num_threads(),
            "weights": self.digests,
            "scale": self._scale,
            "index": self._index,
            "rescued": self._rescued,
            "start": None if self._start is None else self._start.cpu(),
            "parameters": [p.detach().cpu() for p in surface.parameters],
            "average": self._average.state(),
            "descent": self._descent_before if self._descent is None else self._descent.state(),
            "generator": self._generator.get_state(),
            "outcomes": {stage: (done.image, dict(done.losses)) for stage, done in self._outcomes.items()},
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from where `state()` was taken.

        Raises CheckpointError if it was taken from another plan, seed or precision; other weights are seen, and
        refused, when they have been loaded. The number of threads, `state["threads"]`, is left for the caller to
        set: the same bytes need the same number.
        """
        if state.get("fingerprint") != self.plan.fingerprint or state.get("seed") != self.seed:
            raise CheckpointError("the checkpoint belongs to other settings or pictures; start without it")
        if state.get("precision") != str(self.precision):
            before, now = (str(p).removeprefix("torch.") for p in (state.get("precision"), self.precision))
            raise CheckpointError(f"the checkpoint was computed in {before}, this run would go on in {now}")
        try:
            self._restore(state)
        except (KeyError, IndexError, ValueError, RuntimeError, TypeError, AttributeError) as error:
            raise CheckpointError(f"the checkpoint is damaged ({error}); start without it") from error

    def _restore(self, state: Mapping[str, Any]) -> None:
        if not state["threads"] > 0:
            raise ValueError(f"{state['threads']} threads")
        self._scale, self._index = int(state["scale"]), int(state["index"])
        self._rescued = bool(state["rescued"])
        if self._rescued:
            self.encoder = self._encoder(torch.float32)
            self._settled = None
        self._start = state["start"]
        self._surface = self._begin(self._scale)
        for parameter, saved in zip(self._surface.parameters, state["parameters"], strict=True):
            if saved.shape != parameter.shape:
                raise ValueError(f"a picture of {tuple(saved.shape)} for a canvas of {tuple(parameter.shape)}")
            parameter.data.copy_(saved)
        self._average.restore(state["average"], self.device)
        self._descent = None
        self._descent_before = copy.deepcopy(state["descent"])  # whose tensors will be changed in place
        self._weights_before = dict(state["weights"])
        self._generator.set_state(state["generator"])
        self._outcomes = {stage: Outcome(image, losses) for stage, (image, losses) in state["outcomes"].items()}

    # What follows tells the story from outside to inside: a scale, a step, a second try.

    def _descend(self, scale: Scale) -> Iterator[Step]:
        size = self._size(self._scale)
        with memory_told(size):
            objective = self._bind(size)
            if self._descent is None:
                self._descent = self._prepared(scale)
            descent = self._descent
        before = sum(s.steps for s in self.plan.schedule.scales[: self._scale])
        while self._index < scale.steps:
            note = None
            with memory_told(size):
                try:
                    reading = descent.step(objective, self._index)
                except NotFinite:
                    note = self._rescue(descent)
                    objective = self._bind(size)
                    reading = self._second_try(descent, objective)
            self._require_same_weights()
            if not reading.moves and self._index == 0:
                note = self._without_gradient(size, reading)
            self._index += 1
            if self.plan.collects and self._index == scale.steps and scale.stage is not None:
                self._outcomes[scale.stage] = self._outcome(objective)
            yield Step(
                scale=self._scale,
                size=size,
                index=self._index,
                done=before + self._index,
                total=self.plan.schedule.total,
                loss=reading.total,
                losses=reading.by_term,
                render=lambda: self.image,
                note=note,
                stage=scale.stage if self._index == scale.steps else None,
            )

    @torch.no_grad()
    def _outcome(self, objective: BoundObjective) -> Outcome:
        """The picture after the last step, and what it comes to: a step's own losses are those before it."""
        image = self.image
        shown = image.to(self.device)
        losses = objective(shown) if self._parts is None else self._parts.losses(objective, shown)
        return Outcome(image, {name: float(loss) for name, loss in losses.by_term.items()})

    def _without_gradient(self, size: tuple[int, int], reading: Reading) -> str:
        """A note; SynthesisError where nothing has been changed so far, nor would be at any size to come."""
        silent = " and ".join(name for name, loss in reading.by_term.items() if loss == 0) or "the objective"
        said = f"{silent} finds nothing to work on in this picture at {size[1]}x{size[0]} pixels: its gradient is zero"
        if self._scale == 0 and not any(self._would_move(scale) for scale in range(1, len(self.plan.objectives))):
            raise SynthesisError(
                f"{said}, here and at every size; begin with noise, name other channels, or a layer before its ReLU "
                "(conv4_2 for relu4_2)"
            )
        return said

    def _would_move(self, scale: int) -> bool:
        """Whether the start has a gradient at another scale."""
        size = self._size(scale)
        surface = self.plan.canvas.begin(size, self._generator.clone_state(), self.device)
        picture = surface.image().detach().requires_grad_()
        objective = self._bound(scale, size)
        if self._parts is None:
            objective.backward(picture)
        else:
            self._parts.backward(objective, picture)
        return picture.grad is not None and bool(picture.grad.any())

    def _prepared(self, scale: Scale) -> Descent:
        descent = Descent(self.plan, scale, self._ready(), self._average, self._generator, self._parts)
        if self._descent_before is not None:
            try:
                descent.restore(self._descent_before)
            except (KeyError, ValueError, TypeError, AttributeError, RuntimeError) as error:
                if ran_out(error):
                    raise
                raise CheckpointError(f"the checkpoint is damaged ({error}); start without it") from error
            self._descent_before = None
        return descent

    def _rescue(self, descent: Descent) -> str:
        """Back to the last picture whose loss was finite; on from there in float32 with a fresh optimiser, once."""
        descent.go_back()
        where = f"step {self._index + 1} at scale {self._scale + 1}"
        if self._rescued:
            raise SynthesisError(
                f"the loss is not finite at {where}, in float32 too; try a smaller rate or smaller weights"
            )
        self._rescued = True
        self.encoder = self._encoder(torch.float32)
        self._settled = None  # float32 takes twice the memory
        self.settle()
        return f"the loss was not finite at {where}: went back one step, and on in float32"

    def _second_try(self, descent: Descent, objective: BoundObjective) -> Reading:
        try:
            return descent.step(objective, self._index)
        except NotFinite:
            self._rescue(descent)
            raise

    def _encoder(self, precision: torch.dtype) -> Encoder:
        return Encoder(device=self.device, precision=precision, variant=self.plan.variant, **self._loading)  # type: ignore[arg-type]

    def _bind(self, size: tuple[int, int]) -> BoundObjective:
        return self._bound(self._scale, size)

    def _bound(self, scale: int, size: tuple[int, int]) -> BoundObjective:
        targets = None if self._parts is None else assembling(self.encoder, self._parts.partition)
        objective = BoundObjective(self.plan.objectives[scale], self.encoder, size, targets)
        require_parts(
            self.plan, [term for _, term in objective.parts], None if self._parts is None else self._parts.partition
        )
        return objective

    def _require_same_weights(self) -> None:
        for name, digest in self.encoder.digests.items():
            if self._weights_before.get(name, digest) != digest:
                raise CheckpointError(f"the checkpoint was computed with other weights of {name}; start without it")

    def _size(self, scale: int) -> tuple[int, int]:
        return self.plan.canvas.size(self.plan.schedule.scales[scale].size)

    def _begin(self, scale: int) -> Surface:
        canvas = self.plan.canvas if self._start is None else self.plan.canvas.starting_from(self._start)
        return canvas.begin(self._size(scale), self._generator, self.device)

    def _ready(self) -> Surface:
        if self._surface is None:
            self._surface = self._begin(self._scale)
        return self._surface

    def _enter(self, scale: int) -> None:
        surface, size = self._ready(), self._size(scale)
        carry = self.plan.schedule.scales[scale].carry
        with memory_told(size), torch.no_grad(), self._average.shown_on(surface.parameters):
            if isinstance(carry, Transition):
                self._start = carry(surface.image().detach().float().clamp(0, 1))
                self._surface = self._begin(scale)
            else:
                self._surface = surface.resized(size, carry)
        self._average = Average(self.plan.averaging)
        before, self._descent = self._descent, None
        self._scale, self._index = scale, 0
        if self.plan.keep_momentum and before is not None and not isinstance(carry, Transition):
            # Not left to the first step: a checkpoint that is taken before it must hold what is inherited.
            with memory_told(size):
                self._descent = self._prepared(self.plan.schedule.scales[scale])
                self._descent.inherit(before)


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
