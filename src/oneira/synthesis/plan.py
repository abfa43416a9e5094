"""The Plan: everything that decides a picture, as data."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass

from torch import Tensor

from oneira.errors import PlanError
from oneira.features.variant import Variant
from oneira.objectives import Term
from oneira.synthesis.augmentation import Augmentation
from oneira.synthesis.canvas import Canvas
from oneira.synthesis.optimisers import OptimiserSpec
from oneira.synthesis.schedules import Schedule
from oneira.synthesis.shaping import Shaping


@dataclass(frozen=True)
class Plan:
    """A canvas, optimised under an objective, along a schedule. Building one runs nothing.

    `averaging` in [0, 1): the decay of an exponential average of the iterates, which then is the result (0: the last
    iterate is). `variant`: how networks are run, see `oneira.features.Variant`.
    """

    canvas: Canvas
    objective: Term
    schedule: Schedule
    augmentation: tuple[Augmentation, ...] = ()
    optimiser: OptimiserSpec = OptimiserSpec()
    shaping: Shaping | None = None
    averaging: float = 0.0
    variant: Variant = Variant()

    def __post_init__(self) -> None:
        if not 0 <= self.averaging < 1:
            raise PlanError(f"averaging is a decay of at least 0 and below 1, not {self.averaging}")
        if self.optimiser.searches and self.augmentation:
            raise PlanError("lbfgs compares losses of one and the same picture; it goes with no jitter: use adam")

    @property
    def fingerprint(self) -> str:
        """SHA-256 over everything in the plan, pictures included: what a checkpoint must agree with."""
        digest = hashlib.sha256()
        for part in _parts(self):
            digest.update(part)
        return digest.hexdigest()


def _parts(value: object) -> list[bytes]:
    if isinstance(value, Tensor):
        return [str(tuple(value.shape)).encode(), value.detach().cpu().contiguous().numpy().tobytes()]
    if is_dataclass(value) and not isinstance(value, type):
        named = [part for f in fields(value) for part in (f.name.encode(), *_parts(getattr(value, f.name)))]
        return [type(value).__name__.encode(), *named]
    if isinstance(value, Mapping):
        return [part for key in sorted(value) for part in (str(key).encode(), *_parts(value[key]))]
    if isinstance(value, list | tuple):
        return [b"[", *(part for item in value for part in _parts(item)), b"]"]
    return [repr(value).encode(), b";"]
