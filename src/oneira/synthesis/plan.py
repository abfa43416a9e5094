"""The Plan: everything that decides a picture, as data."""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, is_dataclass
from functools import cached_property

import torch
from torch import Tensor

from oneira.errors import PlanError
from oneira.features.variant import Variant
from oneira.objectives import Term
from oneira.synthesis.augmentation import Augmentation
from oneira.synthesis.canvas import Canvas
from oneira.synthesis.optimisers import OptimiserSpec
from oneira.synthesis.schedules import Schedule
from oneira.synthesis.shaping import Shaping
from oneira.synthesis.tiling import Tiling


@dataclass(frozen=True)
class Plan:
    """A canvas, optimised under an objective, along a schedule. Building one runs nothing.

    `averaging` in [0, 1): the decay of an exponential average of the iterates, which then is the result (0: the last
    iterate is). `shaping` is what gradients go through, one after the other; `tiling` cuts the picture into pieces of
    which each has a gradient of its own. `variant`: how networks are run, see `oneira.features.Variant`.
    `keep_momentum`: each size begins with the optimiser's moments at the end of the one before, resized; L-BFGS,
    canvases that are no pixels, and legs of a journey begin anew all the same.
    """

    canvas: Canvas
    objective: Term
    schedule: Schedule
    augmentation: tuple[Augmentation, ...] = ()
    optimiser: OptimiserSpec = OptimiserSpec()
    shaping: tuple[Shaping, ...] = ()
    tiling: Tiling | None = None
    averaging: float = 0.0
    variant: Variant = Variant()
    keep_momentum: bool = False

    def __post_init__(self) -> None:
        if not 0 <= self.averaging < 1:
            raise PlanError(f"averaging is a decay of at least 0 and below 1, not {self.averaging}")
        if self.optimiser.searches and (self.augmentation or self.tiling is not None):
            raise PlanError("lbfgs compares losses of one and the same picture, without jitter or tiles: use adam")

    @property
    def objectives(self) -> tuple[Term, ...]:
        """What is minimised, scale by scale."""
        return tuple(scale.objective or self.objective for scale in self.schedule.scales)

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 over everything in the plan, pictures included: what a checkpoint must agree with.

        Computed once: a picture of 50 megapixels takes a second, and every checkpoint asks.
        """
        digest = hashlib.sha256()
        for part in _parts(self):
            digest.update(part)
        return digest.hexdigest()


def _parts(value: object) -> Iterator[bytes | memoryview]:
    """The bytes of `value`; each part says where it ends, so that no two values have the same parts."""
    if isinstance(value, Tensor):
        yield f"{value.dtype}{tuple(value.shape)}".encode()
        yield value.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data
    elif is_dataclass(value) and not isinstance(value, type):
        yield f"{type(value).__name__}(".encode()
        yield from _parts({field.name: getattr(value, field.name) for field in fields(value)})
    elif isinstance(value, Mapping):
        for key in sorted(value):
            yield f"{key}=".encode()
            yield from _parts(value[key])
        yield b")"
    elif isinstance(value, list | tuple):
        yield b"["
        for item in value:
            yield from _parts(item)
        yield b"]"
    else:
        yield f"{value!r};".encode()
