"""How a texture is made from statistics: with what it begins, by what steps, and what is done in the end."""

from collections.abc import Sequence
from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor

from oneira.images import match_histogram
from oneira.synthesis.canvas import Canvas, Pixels
from oneira.synthesis.optimisers import OptimiserName, OptimiserSpec
from oneira.synthesis.schedules import Schedule, octaves
from oneira.techniques.grounds import NOISES, plain
from oneira.techniques.texturing.comparing import Comparing
from oneira.techniques.texturing.samples import Sample, toned

Start = Literal["white-noise", "pink-noise", "white", "black", "grey"]


class Making(Comparing):
    """Options that say how, and the parts of a plan that they make."""

    start: Start = Field("white-noise", description="what to begin with: noise or a plain colour")
    spread: float = Field(0.2, gt=0, le=10, description="standard deviation of the noise that it begins with")
    optimiser: OptimiserName = Field("lbfgs", description="how the picture descends; lbfgs-b keeps within 0 to 1")
    rate: float | None = Field(None, gt=0, description="learning rate (default: the optimiser's own)")
    smallest: int = Field(
        64, ge=16, description="first size, long side in pixels; `--size` or above works at one size only"
    )
    ratio: float = Field(2.0, gt=1, le=4, description="factor from one size to the next")
    steps: tuple[Annotated[int, Field(ge=1, le=100_000)], ...] = Field(
        (60, 60, 90, 40),
        min_length=1,
        description="steps at each size; repeated: one number per size, the last stays",
    )
    match_histogram: bool = Field(
        False, description="in the end, give every colour channel the sample's exact distribution"
    )

    def beginning(self, size: tuple[int, int], ground: Tensor | None, multiple: int | None) -> Canvas:
        """The canvas: noise, over `ground` (1, 3, *size) where there is one; seamless, in sides of `multiple`s."""
        start = plain(self.start, torch.empty(1, 3, *size)) if ground is None else ground
        return Pixels(
            start,
            NOISES.get(self.start),
            self.spread,
            noise_share=1.0 if ground is None else 0.5,
            wraps=multiple is not None,
            multiple=multiple or 1,
        )

    def sizes(self, largest: int) -> Schedule:
        """From small to `largest` pixels."""
        return octaves(largest, smallest=min(self.smallest, largest), ratio=self.ratio, steps=self.steps)

    def descent(self) -> OptimiserSpec:
        """The optimiser."""
        return OptimiserSpec(self.optimiser, self.rate)

    def ground(self, samples: Sequence[Sample], layout: Tensor) -> Tensor:
        """What a texture that follows `layout` (1, 3, h, w) begins with: its shades, or every place in its colour."""
        if len(samples) == 1 and self.labels is None:
            return toned(layout, samples[0])
        regions = self.regions(samples, layout)
        return sum((place * part.pixels.mean(3, keepdim=True) for part, place in regions), torch.zeros_like(layout))

    def coloured(self, image: Tensor, samples: Sequence[Sample]) -> Tensor:
        """`image` as it is kept, its histograms matched where that is asked for."""
        if not self.match_histogram:
            return image
        # Matching keeps order, so that a mean of matched pictures has the mean of the samples' quantiles.
        matched = [
            share * match_histogram(image, sample.pixels) for share, sample in zip(self.shares(), samples, strict=True)
        ]
        return sum(matched[1:], matched[0])
