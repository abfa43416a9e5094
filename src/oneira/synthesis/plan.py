"""The Plan: everything that decides a picture, as data."""

from dataclasses import dataclass
from functools import cached_property

from oneira.errors import PlanError
from oneira.features.variant import Variant
from oneira.objectives import Term
from oneira.synthesis.augmentation import Augmentation
from oneira.synthesis.canvas import Canvas, Pixels
from oneira.synthesis.confined import Confined
from oneira.synthesis.fingerprint import fingerprint
from oneira.synthesis.luminance import Luminance
from oneira.synthesis.optimisers import OptimiserSpec
from oneira.synthesis.run import Declaration, Means, Run
from oneira.synthesis.schedules import Schedule
from oneira.synthesis.shaping import Shaping
from oneira.synthesis.tending import Tending
from oneira.synthesis.tiling import Tiling


@dataclass(frozen=True)
class Plan(Declaration):
    """A canvas, optimised under an objective, along a schedule. Building one runs nothing.

    `averaging` in [0, 1): the decay of an exponential average of the iterates, which then is the result (0: the last
    iterate is). `shaping` is what gradients go through, one after the other; `tiling` cuts the picture into pieces of
    which each has a gradient of its own. `variant`: how networks are run, see `oneira.features.Variant`.
    `keep_momentum`: each size begins with the optimiser's moments at the end of the one before, resized; L-BFGS,
    canvases that are no pixels, and legs of a journey begin anew all the same. `collects`: what every stage ends with
    is kept, for whoever lays the pictures side by side. `tending` is what the picture goes through behind each step,
    one after the other: for canvases of clamped pixels, and optimisers that do not search.
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
    collects: bool = False
    tending: tuple[Tending, ...] = ()

    def __post_init__(self) -> None:
        if not 0 <= self.averaging < 1:
            raise PlanError(f"averaging is a decay of at least 0 and below 1, not {self.averaging}")
        names = [scale.stage for scale in self.schedule.scales if scale.stage is not None]
        if self.collects and len(set(names)) < len(names):
            twice = next(name for name in names if names.count(name) > 1)
            raise PlanError(f"what a stage ends with is kept by its name, and two are called {twice!r}: name each once")
        if self.optimiser.searches and (self.augmentation or self.tiling is not None):
            name = self.optimiser.name
            raise PlanError(f"{name} compares losses of one and the same picture, without jitter or tiles: use adam")
        if self.optimiser.bounds and not _holds_values(self.canvas):
            kind = type(self.canvas).__name__
            raise PlanError(
                f"lbfgs-b bounds the values of clamped Pixels, not what a canvas of {kind} holds: use lbfgs"
            )
        if self.tending:
            self._require_tended_values()

    @property
    def objectives(self) -> tuple[Term, ...]:
        """What is minimised, scale by scale."""
        return tuple(scale.objective or self.objective for scale in self.schedule.scales)

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 over everything in the plan, pictures included: what a checkpoint must agree with.

        Computed once: a picture of 50 megapixels takes a second, and every checkpoint asks.
        """
        return fingerprint(self)

    def begin(self, means: Means) -> Run:
        """A Synthesis."""
        from oneira.synthesis.loop import Synthesis  # which reads plans

        return Synthesis(
            self,
            seed=means.seed,
            device=means.device,
            precision=means.precision,
            weights=means.weights,
            offline=means.offline,
            progress=means.progress,
            max_memory=means.max_memory,
            shelf=means.shelf,
        )

    def _require_tended_values(self) -> None:
        if self.optimiser.searches:
            name = self.optimiser.name
            raise PlanError(f"{name} compares one step with the next; decay, blurs and clips come between: use adam")
        if not _holds_values(self.canvas):
            kind = type(self.canvas).__name__
            raise PlanError(f"tending is for the values of clamped Pixels, not for what a canvas of {kind} holds")


def _holds_values(canvas: Canvas) -> bool:
    """Whether the parameters are a picture's values in [0, 1]; those of a canvas inside another are the inner one's."""
    if isinstance(canvas, Confined | Luminance):
        return _holds_values(canvas.canvas)
    return isinstance(canvas, Pixels) and canvas.clamp
