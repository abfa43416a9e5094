"""How a picture is read back: on what canvas, from what beginning, by what steps."""

from collections.abc import Sequence
from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor

from oneira.errors import PlanError
from oneira.features.registry import resolve
from oneira.images import fit
from oneira.synthesis.canvas import Canvas, Pixels
from oneira.synthesis.fourier import Fourier
from oneira.synthesis.optimisers import OptimiserName, OptimiserSpec
from oneira.synthesis.schedules import Scale, Schedule
from oneira.techniques.grounds import NOISES, plain
from oneira.techniques.inverting.reading import Reading, sees

# Of adam, for layers that see less than SHALLOW pixels, and for others: any faster, and what these leave open, such as
# how light the picture is, runs away.
ADAM_RATES = (0.04, 0.02)
SHALLOW = 20

Start = Literal["white-noise", "pink-noise", "white", "black", "grey", "picture"]


class Making(Reading):
    """Options that say how, and the parts of a plan that they make."""

    canvas: Literal["fourier", "pixels"] = Field(
        "fourier", description="what is optimised: a spectrum with decorrelated colours, or pixels"
    )
    start: Start = Field("white-noise", description="what to begin with; of fourier, noise is white in the spectrum")
    spread: float = Field(0.01, gt=0, le=10, description="standard deviation of the noise that it begins with")
    unclipped: bool = Field(False, description="with pixels: let values leave 0 to 1; they are clipped in the end")
    optimiser: OptimiserName = Field("adam", description="how the picture descends")
    rate: float | None = Field(
        None,
        gt=0,
        description="learning rate; with sgd, for each pixel value (default: of adam 0.04 for layers that see less "
        "than 20 pixels and 0.02 for others; else the optimiser's own)",
    )
    steps: tuple[Annotated[int, Field(ge=1, le=100_000)], ...] = Field(
        (300,), min_length=1, description="steps, in one stretch or several; each begins without momentum"
    )
    rate_factors: tuple[Annotated[float, Field(gt=0)], ...] = Field(
        (1.0,), min_length=1, description="what multiplies the rate in each stretch of steps; the last stays"
    )

    def beginning(self, picture: Tensor) -> Canvas:
        """The canvas, in the picture's proportions."""
        noise = NOISES.get(self.start)
        ground = picture if self.start == "picture" else plain(self.start, picture)
        if self.canvas == "pixels":
            return Pixels(ground, noise, self.spread, clamp=not self.unclipped)
        if self.unclipped:
            raise PlanError("--unclipped is for --canvas pixels: a fourier canvas never leaves 0 to 1")
        height, width = picture.shape[2:]
        return Fourier(height=height, width=width, spread=self.spread, start=ground if noise is None else None)

    def stretches(self, picture: Tensor, side: int, layers: Sequence[str]) -> Schedule:
        """All steps at one size, of `side` pixels along the long side, for `layers` together."""
        # Losses are means over pixels: the gradient of each falls with their number, which plain steps follow.
        values = 3 * torch.Size(fit(picture.shape[2], picture.shape[3], side)).numel()
        unit = values if self.optimiser == "sgd" else 1.0
        if self.optimiser == "adam" and self.rate is None:
            unit = ADAM_RATES[max(sees(resolve(layer)) for layer in layers) >= SHALLOW]
        factors = [self.rate_factors[min(i, len(self.rate_factors) - 1)] for i in range(len(self.steps))]
        return Schedule(
            tuple(Scale(side, steps, rate=unit * factor) for steps, factor in zip(self.steps, factors, strict=True))
        )

    def descent(self) -> OptimiserSpec:
        """The optimiser; where its rate is decided by depth, of rate 1."""
        return OptimiserSpec(self.optimiser, 1.0 if self.rate is None and self.optimiser == "adam" else self.rate)
