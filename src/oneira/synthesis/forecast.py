"""What a run will take, known before it begins, and how to run it within a limit of memory.

What steps hold is counted at two small sizes, and drawn out to the largest: all of it grows with the picture's area.
"""

import math
import time
import weakref
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from oneira.errors import PlanError, SynthesisError
from oneira.features.encoder import Encoder
from oneira.features.hardware import peak_memory, resident_memory, return_freed_memory
from oneira.objectives import BoundObjective, Term
from oneira.synthesis.averaging import Average
from oneira.synthesis.descent import Descent, NotFinite
from oneira.synthesis.plan import Plan
from oneira.synthesis.schedules import Scale

TRIAL = 128  # long side of the smaller of two trials, in pixels; the other's is twice that
TILE = 64  # side of the tiles in a trial, at least: networks have a smallest size
STEPS = 3  # of a trial: the first is unlike the others, and the second is the first to see an optimiser's state

# Of what is counted, against what processes came to hold: operations have buffers of their own.
MARGIN = 1.1
# What does not grow with the area: libraries' buffers, and at every size the kernels that are compiled for it.
BUFFERS = 16_000_000
KERNELS = 4_000_000


@dataclass(frozen=True)
class Forecast:
    """What a run comes to: the process's memory at its peak, in bytes, and the time in seconds."""

    memory: int
    seconds: float


@dataclass(frozen=True)
class _Trial:
    """What a size of so many `pixels` takes: memory at its peak, and the `seconds` of a step."""

    pixels: int
    memory: float
    seconds: float


@dataclass(frozen=True)
class _Line:
    """Memory and time as they grow with the pixels."""

    small: _Trial
    large: _Trial

    def memory(self, pixels: int) -> float:
        return self._at(pixels, self.small.memory, self.large.memory)

    def seconds(self, pixels: int) -> float:
        return max(0.0, self._at(pixels, self.small.seconds, self.large.seconds))

    def _at(self, pixels: int, small: float, large: float) -> float:
        apart = self.large.pixels - self.small.pixels
        slope = max(0.0, large - small) / apart if apart else large / self.large.pixels
        return large + slope * (pixels - self.large.pixels)


@dataclass(frozen=True)
class Outlook:
    """How memory and time grow with the size, for every objective that a plan has."""

    plan: Plan
    lines: Mapping[int, _Line]  # by the objective's id
    held: int  # by the process, whatever the size
    before: int  # the most that it has held so far

    @classmethod
    def of(cls, plan: Plan, encoder: Encoder) -> "Outlook":
        """Try a few steps at small sizes, which reads the weights. The run to come is left as it is."""
        return_freed_memory()
        lines = {}
        for objective, scale in _largest(plan):
            small, large = _trials(plan, objective, scale, encoder)
            lines[id(objective)] = _Line(small, large)
        # What lies in gaps of the heap counts as held: whatever small blocks need may come to lie there or elsewhere.
        held = resident_memory()
        return_freed_memory()
        return cls(plan, lines, held, peak_memory())

    def forecast(self, shrunk: float = 1.0) -> Forecast:
        """For the plan, its sizes multiplied by `shrunk`."""
        most, seconds = 0.0, 0.0
        for objective, scale in zip(self.plan.objectives, self.plan.schedule.scales, strict=True):
            height, width = self.plan.canvas.size(max(1, round(shrunk * scale.size)))
            line = self.lines[id(objective)]
            most = max(most, line.memory(height * width))
            seconds += (scale.steps + 1) * line.seconds(height * width)  # targets cost about a step
        sizes = len({scale.size for scale in self.plan.schedule.scales})
        return Forecast(max(self.before, round(self.held + MARGIN * most) + BUFFERS + KERNELS * sizes), seconds)

    def fitting(self, limit: int) -> int | None:
        """The largest long side, in pixels, with which the plan stays within `limit` bytes; None where none does."""
        largest = max(scale.size for scale in self.plan.schedule.scales)
        low, high = 0, largest
        while low < high:
            middle = (low + high + 1) // 2
            if self.forecast(middle / largest).memory <= limit:
                low = middle
            else:
                high = middle - 1
        return low or None


def forecast(plan: Plan, encoder: Encoder) -> Forecast:
    """What running `plan` with `encoder` comes to. Raises as binding the plan's terms does.

    The peak is an upper bound, about a tenth above what is measured; the time is that of this machine as it is now.
    """
    return Outlook.of(plan, encoder).forecast()


def economise(plan: Plan, encoder: Encoder, limit: int) -> str:
    """Have `encoder` run so that the process stays below `limit` bytes, and say how.

    Raises SynthesisError, with the size that would fit, where none does.
    """
    for recompute in (False, True):
        encoder.recompute = recompute
        outlook = Outlook.of(plan, encoder)
        expected = outlook.forecast()
        if expected.memory <= limit:
            way = ", activations computed twice instead of kept" if recompute else ""
            needed, time_needed = _bytes(expected.memory), _duration(expected.seconds)
            return f"takes at most {needed} of the {_bytes(limit)} allowed, and about {time_needed}{way}"
    largest = max(scale.size for scale in plan.schedule.scales)
    height, width = plan.canvas.size(largest)
    fits = outlook.fitting(limit)
    advice = "no size fits" if fits is None else f"a size of {fits} would fit"
    raise SynthesisError(
        f"{width}x{height} pixels need up to {_bytes(expected.memory)} of memory, and {_bytes(limit)} is the most that "
        f"is allowed; {advice}"
    )


def _largest(plan: Plan) -> list[tuple[Term, Scale]]:
    """Every objective once, with the largest scale it is for; of several, the one of the most steps."""
    found: dict[int, tuple[Term, Scale]] = {}
    for objective, scale in zip(plan.objectives, plan.schedule.scales, strict=True):
        _, known = found.get(id(objective), (objective, scale))
        if (scale.size, scale.steps) >= (known.size, known.steps):
            found[id(objective)] = (objective, scale)
    return list(found.values())


def _trials(plan: Plan, objective: Term, scale: Scale, encoder: Encoder) -> Sequence[_Trial]:
    """Two sizes, the larger no more than twice the other; one, twice, where the plan has no larger one."""
    small = TRIAL if plan.tiling is None else max(TRIAL, math.ceil(TILE * scale.size / plan.tiling.side))
    small = min(small, scale.size)
    while True:
        try:
            _take(*_begun(plan, objective, scale, small, encoder), steps=1)  # the first reads weights, which stay
            return [_trial(plan, objective, scale, size, encoder) for size in (small, min(2 * small, scale.size))]
        except PlanError:
            if small == scale.size:
                raise
            small = min(2 * small, scale.size)  # too small for a layer


def _trial(plan: Plan, objective: Term, scale: Scale, long_side: int, encoder: Encoder) -> _Trial:
    with Gauge() as gauge:
        descent, bound = _begun(plan, objective, scale, long_side, encoder)
        _take(descent, bound, steps=STEPS)
    seconds = min(_take(descent, bound, steps=STEPS), default=0.0)
    height, width = plan.canvas.size(long_side)
    return _Trial(height * width, gauge.peak + _remembered(descent, scale.steps), seconds)


def _begun(
    plan: Plan, objective: Term, scale: Scale, long_side: int, encoder: Encoder
) -> tuple[Descent, BoundObjective]:
    """What the loop begins a scale with, at another size."""
    size = plan.canvas.size(long_side)
    if plan.tiling is not None:  # as many tiles as at the scale itself
        side = math.ceil(plan.tiling.side * long_side / scale.size)
        plan = replace(plan, tiling=replace(plan.tiling, side=side))
    generator = torch.Generator().manual_seed(0)
    surface = plan.canvas.begin(size, generator, encoder.device)
    descent = Descent(plan, replace(scale, steps=STEPS), surface, Average(plan.averaging), generator)
    return descent, BoundObjective(objective, encoder, size)


def _take(descent: Descent, bound: BoundObjective, *, steps: int) -> list[float]:
    """Take steps; the seconds of each. None beyond a loss that is not finite, which is the run's own affair."""
    seconds = []
    with suppress(NotFinite):
        for index in range(steps):
            started = time.perf_counter()
            descent.step(bound, index)
            seconds.append(time.perf_counter() - started)
    return seconds


def _remembered(descent: Descent, steps: int) -> int:
    """What L-BFGS will hold besides in so many steps: two pictures for each but the first, while its history lasts."""
    history: int = descent.optimiser.param_groups[0].get("history_size", 0)
    picture = sum(parameter.nbytes for parameter in descent.surface.parameters)
    return 2 * max(0, min(history, steps - 1) - (STEPS - 1)) * picture


class Gauge(TorchDispatchMode):
    """Bytes of all tensors that come to be while it is on: those that there are, and the most that there were."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.held = 0
        self.peak = 0
        self._known: weakref.WeakSet[torch.UntypedStorage] = weakref.WeakSet()

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = function(*args, **(kwargs or {}))
        for value in tree_leaves(result):
            if isinstance(value, Tensor):
                self._add(value.untyped_storage())
        return result

    def _add(self, storage: torch.UntypedStorage) -> None:
        if storage not in self._known:
            self._known.add(storage)
            weakref.finalize(storage, self._drop, storage.nbytes())
            self.held += storage.nbytes()
            self.peak = max(self.peak, self.held)

    def _drop(self, size: int) -> None:
        self.held -= size


def _bytes(count: int) -> str:
    return f"{count / 1e9:.2f} GB" if count >= 1e9 else f"{count / 1e6:.0f} MB"


def _duration(seconds: float) -> str:
    return f"{seconds / 60:.0f} min" if seconds >= 120 else f"{max(1.0, seconds):.0f} s"
