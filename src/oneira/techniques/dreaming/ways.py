"""How a dream climbs: sizes, steps, what gradients go through, and what may change."""

from collections.abc import Mapping
from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor

from oneira.errors import PlanError
from oneira.synthesis.augmentation import ROBUST, Augmentation, Jitter
from oneira.synthesis.canvas import Canvas, Pixels
from oneira.synthesis.carrying import Blend, Carry
from oneira.synthesis.confined import Confined
from oneira.synthesis.fourier import Fourier
from oneira.synthesis.luminance import Luminance
from oneira.synthesis.maco import Maco, measure_spectrum
from oneira.synthesis.optimisers import OptimiserName, OptimiserSpec
from oneira.synthesis.schedules import Schedule, journey, octaves
from oneira.synthesis.shaping import GaussianCascade, LaplacianPyramid, MeanAbs, Shaping, Std
from oneira.synthesis.tiling import Offset, Tiling
from oneira.techniques.grounds import NOISES, mask_for, plain
from oneira.techniques.technique import ImagePath, Technique

Evening = Literal["none", "mean-abs", "std", "laplacian"]
Start = Literal["picture", "white-noise", "pink-noise", "white", "black", "grey"]


class Ways(Technique):
    """Options that say how, and the parts of a plan that they make."""

    start: Start = Field("picture", description="what to begin with; noise and plain colours need no picture")
    canvas: Literal["pixels", "fourier", "maco"] = Field(
        "pixels",
        description="what is optimised: pixels; fourier: a spectrum with decorrelated colours; maco: phases only",
    )
    spread: float = Field(0.2, gt=0, le=10, description="standard deviation of the noise that a dream begins with")
    spectrum: ImagePath | None = Field(
        None, description="with --canvas maco: the picture whose magnitudes are kept (default: those of photographs)"
    )
    mask: ImagePath | None = Field(None, description="where to dream: white there, black where nothing may change")
    colors: Literal["dream", "content"] = Field("dream", description="content: the picture's own colours stay")
    unclipped: bool = Field(False, description="let values leave 0 to 1 while dreaming; they are clipped in the end")
    octaves: int = Field(5, ge=1, le=20, description="how many sizes, from coarse to fine")
    octave_scale: float = Field(1.4, gt=1, le=4, description="factor from one size to the next")
    rounds: int = Field(1, ge=1, le=1000, description="how often all sizes are gone through")
    carry: Literal["detail", "result"] = Field(
        "detail", description="what goes to the next size: only what was added, or the whole picture"
    )
    recursive: bool = Field(
        False, description="at each size begin with the picture, --blend of it, over the smaller dream"
    )
    blend: float = Field(0.2, ge=0, le=1, description="share of the original, with --recursive or --through")
    preblur: float = Field(0.0, ge=0, le=16, description="blur before each halving of the picture, in pixels")
    steps: tuple[Annotated[int, Field(ge=1, le=100_000)], ...] = Field(
        (20, 16, 10, 5, 2),
        min_length=1,
        description="gradient steps, one number per octave from coarse to fine; the last stays",
    )
    step: float = Field(
        0.006, gt=0, description="step size; with mean-abs, how far a step moves a pixel on average, of 1"
    )
    strength: tuple[float, ...] = Field(
        (1.0, 1.1, 1.4, 2.2, 3.0),
        min_length=1,
        description="factor of the step size, one per octave from coarse to fine; the last stays",
    )
    optimiser: OptimiserName = Field("ascent", description="how the picture climbs; --step is its learning rate")
    jitter: int = Field(32, ge=0, le=512, description="random shift at each step, in pixels")
    transforms: Literal["shift", "robust"] = Field(
        "shift", description="robust: lucid's padding, shifts, scaling and turning, so that what is seen holds"
    )
    gradient: Evening = Field(
        "mean-abs", description="how gradients are evened out; laplacian brings larger, softer shapes"
    )
    levels: int = Field(4, ge=1, le=12, description="with laplacian: how many bands")
    level_sigma: float | None = Field(None, gt=0, le=8, description="with laplacian: sigma of the blur between bands")
    blur: float = Field(0.0, ge=0, le=64, description="sigma of a blur of the gradient, in pixels; 0: none")
    blur_growth: float = Field(0.0, ge=0, le=64, description="what is added to that sigma by the last step of a size")
    blur_factors: tuple[float, ...] = Field(
        (1.0,), min_length=1, description="several blurs, averaged: factors of sigma; may be repeated"
    )
    blur_kernel: int | None = Field(
        None, ge=3, le=129, description="odd width of the blur (default: 4 sigmas each way)"
    )
    tile: int | None = Field(
        None,
        ge=64,
        le=16384,
        description="gradients in tiles of this side that see nothing else (default: whole, exact)",
    )
    tile_offset: Offset = Field("random", description="where tiles begin in each step")
    tile_gradient: Literal["none", "mean-abs", "std"] = Field(
        "none", description="how each tile's gradient is evened out"
    )

    def sizes(self, largest: int) -> Schedule:
        """Octaves up to `largest` pixels, as often as there are rounds."""
        carry: Carry = Blend(self.blend) if self.recursive else self.carry
        once = octaves(
            largest,
            count=self.octaves,
            ratio=self.octave_scale,
            steps=self.steps,
            carry=carry,
            rates=self._strengths(),
        )
        return journey([once] * self.rounds)

    def augmentation(self) -> tuple[Augmentation, ...]:
        """What the picture goes through before the network sees it."""
        if self.transforms == "robust":
            return ROBUST
        return (Jitter(self.jitter),) if self.jitter else ()

    def climber(self) -> OptimiserSpec:
        """The optimiser."""
        return OptimiserSpec(self.optimiser, self.step)

    def shaping(self) -> tuple[Shaping, ...]:
        """Blurred first, then evened out."""
        blurs: list[Shaping] = []
        if self.blur or self.blur_growth:
            blurs.append(GaussianCascade(self.blur, self.blur_growth, self.blur_factors, self.blur_kernel))
        return (*blurs, *self._evened(self.gradient))

    def tiling(self) -> Tiling | None:
        """The classic tiles, where they are asked for."""
        return None if self.tile is None else Tiling(self.tile, self.tile_offset, self._evened(self.tile_gradient))

    def beginning(self, picture: Tensor | None, side: int) -> Canvas:
        """The canvas, begun with `picture` or without, then a square of `side` pixels, and what confines it."""
        if picture is None and self.start == "picture":
            raise PlanError("dream needs IMAGE, or a --start that is none, such as pink-noise")
        ground = torch.empty(1, 3, side, side) if picture is None else picture
        if self.start != "picture":
            # Noise lies on grey, not on the picture, whose detail would come back with every octave.
            ground = plain(self.start, ground)
        canvas = self._canvas(ground)
        if self.colors == "content":
            canvas = Luminance(canvas, self._needed(picture, "--colors content keeps"))
        if self.mask is not None:
            kept = self._needed(picture, "--mask confines")
            canvas = Confined(canvas, kept, mask_for(kept, self.picture(self.mask).image, self.mask))
        return canvas

    def _canvas(self, ground: Tensor) -> Canvas:
        height, width = ground.shape[2:]
        noise = NOISES.get(self.start)
        if self.spectrum is not None and self.canvas != "maco":
            raise PlanError(f"--spectrum belongs to --canvas maco, not to {self.canvas}: leave it out, or choose maco")
        if self.canvas == "fourier":
            return Fourier(height=height, width=width, spread=self.spread, start=ground if noise is None else None)
        if self.canvas == "maco":
            canvas = Maco(height=height, width=width, magnitude=self._magnitude())
            return canvas.starting_from(ground) if noise is None else canvas
        if noise is not None:
            return Pixels(ground, noise, self.spread, not self.unclipped, self.preblur)
        return Pixels(ground, clamp=not self.unclipped, smoothing=self.preblur)

    def _magnitude(self) -> Tensor | None:
        if self.spectrum is None:
            return None
        image = self.picture(self.spectrum).image
        return measure_spectrum([image], min(256, *image.shape[2:]))

    def _evened(self, name: Evening) -> tuple[Shaping, ...]:
        evenings: Mapping[str, tuple[Shaping, ...]] = {
            "none": (),
            "mean-abs": (MeanAbs(),),
            "std": (Std(),),
            "laplacian": (LaplacianPyramid(self.levels, self.level_sigma),),
        }
        return evenings[name]

    def _strengths(self) -> tuple[float, ...]:
        if min(self.strength) <= 0:
            raise PlanError(f"--strength cannot be {min(self.strength):g}; allowed: numbers above 0")
        return self.strength

    @staticmethod
    def _needed(picture: Tensor | None, what: str) -> Tensor:
        if picture is None:
            raise PlanError(f"{what} the picture's own; name a picture")
        return picture
