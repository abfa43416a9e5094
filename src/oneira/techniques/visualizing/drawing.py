"""How features are drawn: on what canvas, through which transforms, by what steps, and how many at once."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, Literal

import torch
from pydantic import Field

from oneira.synthesis.augmentation import ROBUST, Augmentation, Jitter
from oneira.synthesis.canvas import Canvas, Pixels
from oneira.synthesis.fourier import Fourier
from oneira.synthesis.maco import Maco
from oneira.synthesis.optimisers import OptimiserName, OptimiserSpec
from oneira.synthesis.schedules import Scale
from oneira.techniques.visualizing.subjects import Subjects

TRANSFORMS: Mapping[str, tuple[Augmentation, ...]] = MappingProxyType(
    {"robust": ROBUST, "shift": (Jitter(8),), "none": ()}
)


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
    batch: int = Field(16, ge=1, le=1024, description="pictures that are made at once")

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

    def climber(self) -> OptimiserSpec:
        """The optimiser."""
        return OptimiserSpec(self.optimiser, self.rate)
