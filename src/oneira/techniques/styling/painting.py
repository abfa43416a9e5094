"""How a picture is painted: on what, in which colours, where, and by what steps."""

from collections.abc import Sequence
from typing import Annotated, Any, Literal

from pydantic import Field
from torch import Tensor

from oneira.errors import PlanError
from oneira.images import lab_to_rgb, match_histogram, match_mean_covariance, resize, rgb_to_lab
from oneira.objectives import Artwork, StyleSource
from oneira.synthesis.canvas import Canvas, Pixels
from oneira.synthesis.confined import Confined
from oneira.synthesis.luminance import Luminance
from oneira.synthesis.optimisers import OptimiserName, OptimiserSpec
from oneira.synthesis.schedules import Schedule, octaves
from oneira.synthesis.shaping import Shaping, Std
from oneira.techniques.grounds import NOISES, mask_for, plain
from oneira.techniques.technique import ImagePath, Technique

# Options, whose setting each is, and how torch calls it.
SETTINGS = {"history": ("lbfgs", "history_size"), "betas": ("adam", "betas"), "epsilon": ("adam", "eps")}
# Lab in units of about 1, for which the floor of covariances is made.
LAB_UNIT = 100.0

Start = Literal["content", "style", "white-noise", "pink-noise", "white", "black", "grey"]
Colours = Literal["style", "content-luma", "content-mean-cov", "content-histogram", "content-lab"]
DYES_FIRST = ("content-mean-cov", "content-histogram", "content-lab")


class Painting(Technique):
    """Options that say how, and the parts of a plan that they make."""

    start: Start = Field("content", description="what to begin with: one of the two pictures, noise or a plain colour")
    start_picture: ImagePath | None = Field(None, description="another picture to begin with")
    start_noise: float = Field(0.0, ge=0, le=1, description="share of white noise in what it begins with")
    colors: Colours = Field(
        "style",
        description="content-mean-cov: the style picture is dyed in the content's colours first, by mean and "
        "covariance; content-histogram: channel by channel; content-lab: by mean and covariance in Lab; content-luma: "
        "by mean and covariance, and every pixel keeps the content's chroma",
    )
    mask: ImagePath | None = Field(None, description="where to paint: white there, black where nothing may change")
    optimiser: OptimiserName = Field("lbfgs", description="how the picture descends")
    rate: float | None = Field(None, gt=0, description="learning rate (default: the optimiser's own)")
    history: int | None = Field(None, ge=1, le=1000, description="with lbfgs: steps that are remembered (default: 10)")
    betas: tuple[Annotated[float, Field(ge=0, lt=1)], ...] = Field(
        (), max_length=2, description="with adam: decays of the mean gradient and of its square (default: 0.9 0.99)"
    )
    epsilon: float | None = Field(
        None, gt=0, le=1, description="with adam: what is added to what it divides by (default: 1e-8)"
    )
    gradient: Literal["none", "std"] = Field("none", description="std: divided by its standard deviation in every step")
    keep_momentum: bool = Field(
        False, description="the optimiser goes on at the next size with what it knew, resized, instead of anew"
    )
    smallest: int = Field(
        128, ge=16, description="first size, long side in pixels; `--size` or above works at one size only"
    )
    ratio: float = Field(2**0.5, gt=1, le=4, description="factor from one size to the next")
    steps: tuple[Annotated[int, Field(ge=1, le=100_000)], ...] = Field(
        (120, 80, 45, 22, 8),
        min_length=1,
        description="steps at each size; repeated: one number per size, the last stays",
    )
    carry: Literal["detail", "result"] = Field(
        "detail",
        description="what goes on to the next size: what was added to the start there, or the whole picture",
    )
    averaging: float = Field(
        0.0, ge=0, lt=1, description="decay of the average over iterates, which is the result; 0: none"
    )

    def dyed(self, style: Tensor, content: Tensor) -> Tensor:
        """The style picture in the colours that are wanted of it (Gatys et al. 2016, "Preserving Color", section 3).

        Clamped to [0, 1]: statistics that no display shows would be strived for in vain.
        """
        # For content-luma, section 4 matches the lumas of two grey pictures. Our network sees the content's chroma, so
        # the style is dyed whole: luma would otherwise make up for colours that cannot come.
        if self.colors in ("content-luma", "content-mean-cov"):
            return match_mean_covariance(style, content).clamp(0, 1)
        if self.colors == "content-histogram":
            return match_histogram(style, content)
        if self.colors == "content-lab":
            wanted = match_mean_covariance(rgb_to_lab(style) / LAB_UNIT, rgb_to_lab(content) / LAB_UNIT)
            return lab_to_rgb(wanted * LAB_UNIT).clamp(0, 1)
        return style

    def mask_on(self, content: Tensor) -> Tensor | None:
        """Where to paint (1, 1, h, w); PlanError where it does not fit the content."""
        return None if self.mask is None else mask_for(content, self.picture(self.mask).image, self.mask)

    def require_pictures(self, styles: Sequence[StyleSource]) -> None:
        """PlanError where an option needs a style's pixels, and it was saved without."""
        if all(isinstance(style, Artwork) for style in styles):
            return
        if self.colors in DYES_FIRST:
            raise PlanError(f"--colors {self.colors} dyes a style picture; a saved style has none: try content-luma")
        if self.start == "style":
            raise PlanError("--start style begins with a style picture; a saved style has none")

    def beginning(self, content: Tensor, styles: Sequence[StyleSource], mask: Tensor | None) -> Canvas:
        """The canvas, in the content's proportions, and what keeps colours or confines it."""
        noise = NOISES.get(self.start)
        if self.start_noise and noise is None:
            canvas: Canvas = Pixels(self._ground(content, styles), "white", noise_share=self.start_noise)
        else:
            canvas = Pixels(self._ground(content, styles), noise)
        if self.colors == "content-luma":
            canvas = Luminance(canvas, content)
        return canvas if mask is None else Confined(canvas, content, mask)

    def sizes(self, largest: int) -> Schedule:
        """From small to `largest` pixels."""
        return octaves(
            largest, smallest=min(self.smallest, largest), ratio=self.ratio, steps=self.steps, carry=self.carry
        )

    def descent(self) -> OptimiserSpec:
        """The optimiser. PlanError where its settings belong to another."""
        if len(self.betas) == 1:
            raise PlanError("--betas are two numbers; give both, such as --betas 0.9 --betas 0.999")
        settings: dict[str, Any] = {}
        for option, (owner, name) in SETTINGS.items():
            value = getattr(self, option)
            if value not in (None, ()):
                if owner not in self.optimiser:
                    raise PlanError(f"--{option} is a setting of {owner}, not of {self.optimiser}")
                settings[name] = value
        return OptimiserSpec(self.optimiser, self.rate, settings)

    def shaping(self) -> tuple[Shaping, ...]:
        """What the gradient goes through."""
        return (Std(),) if self.gradient == "std" else ()

    def _ground(self, content: Tensor, styles: Sequence[StyleSource]) -> Tensor:
        height, width = content.shape[2:]
        if self.start_picture is not None:
            return resize(self.picture(self.start_picture).image, (height, width))
        if self.start == "style" and isinstance(styles[0], Artwork):
            return resize(styles[0].image, (height, width))
        return content if self.start == "content" else plain(self.start, content)
