"""How features are drawn: on what canvas, through which transforms, by what steps, and how many at once."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Annotated, Literal, Self

import torch
from pydantic import Field, model_validator

from oneira.synthesis.augmentation import ROBUST, Augmentation, Jitter
from oneira.synthesis.canvas import Canvas, Pixels
from oneira.synthesis.fourier import Fourier
from oneira.synthesis.maco import Maco
from oneira.synthesis.optimisers import OptimiserName, OptimiserSpec
from oneira.synthesis.schedules import Scale
from oneira.synthesis.tending import Blur, Decay, SmallContributions, SmallNorms, Tending
from oneira.techniques.refusals import option_name
from oneira.techniques.visualizing.subjects import Subjects

TRANSFORMS: Mapping[str, tuple[Augmentation, ...]] = MappingProxyType(
    {"robust": ROBUST, "shift": (Jitter(8),), "none": ()}
)
TENDED = ("decay", "blur", "clip_norm", "clip_contribution")


class Drawing(Subjects):
    """Options that say how, and the parts of a plan that they make."""

    canvas: Literal["fourier", "maco", "pixels"] = Field(
        "fourier",
        description="what is optimised: a spectrum with decorrelated colours; maco: its phases only, with natural "
        "pictures' magnitudes; pixels",
    )
    spread: float = Field(0.01, gt=0, le=10, description="standard deviation of the noise that it begins with")
    transforms: Literal["robust", "shift", "none"] = Field(
        "robust", description="what a picture goes through at each step: lucid's, so that what is seen holds; or shifts"
    )
    optimiser: OptimiserName = Field("adam", description="how the picture climbs")
    rate: float = Field(0.05, gt=0, description="learning rate")
    steps: tuple[Annotated[int, Field(ge=1, le=100_000)], ...] = Field(
        (40, 40), min_length=1, description="steps at each size, of which every one is twice the one before"
    )
    waking: int = Field(
        12, ge=0, le=1000, description="steps before all others, before the layer's ReLU, which noise may leave silent"
    )
    smoothness: float = Field(0.0, ge=0, description="weight of total variation: larger is smoother")
    restraint: float = Field(0.0, ge=0, description="weight of the squared distance from mid-grey: larger is paler")
    decay: float = Field(
        0.0, ge=0, lt=1, description="on pixels: share of the distance from mid-grey that each step takes away"
    )
    blur: float = Field(0.0, ge=0, le=100, description="on pixels: deviation of a Gaussian that blurs them")
    blur_every: int = Field(4, ge=1, le=1000, description="with --blur: steps from one blur to the next")
    clip_norm: float = Field(
        0.0, ge=0, lt=100, description="on pixels: percentage, of those nearest to mid-grey, that each step turns grey"
    )
    clip_contribution: float = Field(
        0.0, ge=0, lt=100, description="on pixels: percentage, of those that matter least, that each step turns grey"
    )
    batch: int = Field(16, ge=1, le=1024, description="pictures that are made at once")

    @model_validator(mode="after")
    def _pixels_are_tended(self) -> Self:
        told = [name for name in TENDED if getattr(self, name)]
        if told and self.canvas != "pixels":
            raise ValueError(
                f"{option_name(told[0])} is for pixels, not for --canvas {self.canvas}: add --canvas pixels"
            )
        return self

    def blank(self, side: int, count: int) -> Canvas:
        """`count` squares of `side` pixels of noise."""
        if self.canvas == "fourier":
            return Fourier(side, side, count, self.spread)
        if self.canvas == "maco":
            return Maco(side, side, count)
        return Pixels(torch.full((count, 3, side, side), 0.5), "white", self.spread)

    def sizes(self, side: int) -> list[Scale]:
        """Up to `side` pixels."""
        last = len(self.steps) - 1
        return [Scale(max(1, side >> (last - i)), steps) for i, steps in enumerate(self.steps)]

    def tending(self) -> tuple[Tending, ...]:
        """What the picture goes through behind each step, in the order of Yosinski et al. 2015."""
        every: tuple[tuple[float, Callable[[float], Tending]], ...] = (
            (self.decay, Decay),
            (self.blur, lambda width: Blur(width, self.blur_every)),
            (self.clip_norm, SmallNorms),
            (self.clip_contribution, SmallContributions),
        )
        return tuple(make(amount) for amount, make in every if amount)

    def climber(self) -> OptimiserSpec:
        """The optimiser."""
        return OptimiserSpec(self.optimiser, self.rate)
