"""How a picture is painted: on what, in which colours, where, and by what steps."""

from typing import Annotated, Literal

from pydantic import Field
from torch import Tensor

from oneira.features.variant import Padding, Pooling, Variant
from oneira.images import lab_to_rgb, match_mean_covariance, resize, rgb_to_lab
from oneira.synthesis.canvas import Canvas, Pixels
from oneira.synthesis.confined import Confined
from oneira.synthesis.luminance import Luminance
from oneira.synthesis.optimisers import OptimiserName, OptimiserSpec
from oneira.synthesis.schedules import Schedule, octaves
from oneira.techniques.grounds import NOISES, mask_for, plain
from oneira.techniques.technique import ImagePath, Technique

# Average pooling needs a factor that keeps activations' scale. For `pocket` this one was found by eye and by judge.
POCKET_GAIN = 1.5
# Lab in units of about 1, for which the floor of covariances is made.
LAB_UNIT = 100.0

Start = Literal["content", "style", "white-noise", "pink-noise", "white", "black", "grey"]
Colours = Literal["style", "content-luma", "content-mean-cov", "content-lab"]


class Painting(Technique):
    """Options that say how, and the parts of a plan that they make."""

    start: Start = Field("content", description="what to begin with: one of the two pictures, noise or a plain colour")
    colors: Colours = Field(
        "style",
        description="content-mean-cov: the style picture is dyed in the content's colours first, by mean and "
        "covariance; content-luma: so dyed, and every pixel keeps the content's chroma; content-lab: dyed in Lab",
    )
    mask: ImagePath | None = Field(None, description="where to paint: white there, black where nothing may change")
    pooling: Pooling = Field("avg", description="how the network pools; avg paints cleaner than max")
    pooling_gain: float | None = Field(
        None, gt=0, description="factor behind each pool (default: keeps activations' scale)"
    )
    padding: Padding = Field("zeros", description="what the network sees beyond the picture's border")
    optimiser: OptimiserName = Field("lbfgs", description="how the picture descends")
    rate: float | None = Field(None, gt=0, description="learning rate (default: the optimiser's own)")
    smallest: int = Field(
        128, ge=16, description="first size, long side in pixels; `--size` or above works at one size only"
    )
    ratio: float = Field(2**0.5, gt=1, le=4, description="factor from one size to the next")
    steps: tuple[Annotated[int, Field(ge=1, le=100_000)], ...] = Field(
        (60, 60, 50, 50, 40),
        min_length=1,
        description="steps at each size; repeated: one number per size, the last stays",
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
        if self.colors == "content-lab":
            wanted = match_mean_covariance(rgb_to_lab(style) / LAB_UNIT, rgb_to_lab(content) / LAB_UNIT)
            return lab_to_rgb(wanted * LAB_UNIT).clamp(0, 1)
        return style

    def mask_on(self, content: Tensor) -> Tensor | None:
        """Where to paint (1, 1, h, w); PlanError where it does not fit the content."""
        return None if self.mask is None else mask_for(content, self.picture(self.mask).image, self.mask)

    def beginning(self, content: Tensor, style: Tensor, mask: Tensor | None) -> Canvas:
        """The canvas, in the content's proportions, and what keeps colours or confines it."""
        canvas: Canvas = Pixels(self._ground(content, style), NOISES.get(self.start))
        if self.colors == "content-luma":
            canvas = Luminance(canvas, content)
        return canvas if mask is None else Confined(canvas, content, mask)

    def sizes(self, largest: int) -> Schedule:
        """From small to `largest` pixels."""
        return octaves(largest, smallest=min(self.smallest, largest), ratio=self.ratio, steps=self.steps)

    def descent(self) -> OptimiserSpec:
        """The optimiser."""
        return OptimiserSpec(self.optimiser, self.rate)

    def variant(self) -> Variant:
        """How the network pools and pads."""
        gain = self.pooling_gain
        if gain is None and self.pooling == "avg" and self.model == "pocket":
            gain = POCKET_GAIN
        return Variant(self.pooling, gain, self.padding)

    def _ground(self, content: Tensor, style: Tensor) -> Tensor:
        if self.start == "content":
            return content
        if self.start == "style":
            height, width = content.shape[2:]
            return resize(style, (height, width))
        return plain(self.start, content)
