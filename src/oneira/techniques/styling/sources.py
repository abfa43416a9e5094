"""What is painted, and where the manner comes from: pictures, parts of them, and styles that were kept in files."""

from collections.abc import Callable
from typing import Annotated

from pydantic import Field
from torch import Tensor

from oneira.errors import PlanError
from oneira.images import resize
from oneira.objectives import Artwork, StyleSource
from oneira.objectives.saved_style import EXTENSION
from oneira.techniques.blending import blend_shares
from oneira.techniques.grounds import mask_for
from oneira.techniques.technique import ImagePath, Technique


class Sources(Technique):
    """Options that say what is painted, whose manner it is, and how much of each."""

    content: ImagePath = Field(description="the picture that is painted")
    style: tuple[ImagePath, ...] = Field(
        min_length=1,
        description="the picture whose manner it takes on, or a .style file (oneira save-style); several are blended",
    )
    blend: tuple[Annotated[float, Field(ge=0)], ...] = Field(
        (), description="how much each style counts, one number for each (default: all alike)"
    )
    place: tuple[ImagePath, ...] = Field(
        (), description="where each style is painted, one picture for each style: white there, black elsewhere"
    )
    style_mask: tuple[ImagePath, ...] = Field(
        (), description="what counts of each style picture, one mask for each: white there, black elsewhere"
    )
    style_scale: float = Field(1.0, gt=0, le=8, description="size of the style picture: larger brings larger strokes")
    style_size: int | None = Field(
        None, ge=16, le=16384, description="long side of the style picture, in pixels (default: the result's area)"
    )

    def sources(self, dyed: Callable[[Tensor], Tensor] = lambda picture: picture) -> list[StyleSource]:
        """The styles in order, pictures through `dyed`. PlanError where options do not go with them."""
        if self.style_mask and len(self.style_mask) != len(self.style):
            raise PlanError(f"--style-mask needs one mask per style: {len(self.style)}, not {len(self.style_mask)}")
        masks = self.style_mask or (None,) * len(self.style)
        return [self._source(style, mask, dyed) for style, mask in zip(self.style, masks, strict=True)]

    def places(self, content: Tensor) -> list[Tensor]:
        """Where each style goes, masks (1, 1, h, w) for `content`; none where all of them go everywhere."""
        if self.place and len(self.place) != len(self.style):
            raise PlanError(f"--place needs one picture per style: {len(self.style)}, not {len(self.place)}")
        return [self._marked(content, path, "--place") for path in self.place]

    def shares(self) -> tuple[float, ...]:
        """How much each style counts; they add up to 1. PlanError where --blend does not go with the styles."""
        return blend_shares(self.blend, len(self.style), "style")

    def _source(self, style: str, mask: str | None, dyed: Callable[[Tensor], Tensor]) -> StyleSource:
        if is_saved(style):
            if mask is not None or self.style_size is not None:
                option = "--style-size" if mask is None else "--style-mask"
                raise PlanError(f"{option} is for pictures; {style!r} holds statistics only")
            return self.saved_style(style)
        picture = self.picture(style)
        counting = picture.alpha  # what is transparent is not part of the artwork
        if mask is not None:
            drawn = self._marked(picture.image, mask, "--style-mask")
            counting = drawn if counting is None else resize(drawn, (counting.shape[2], counting.shape[3])) * counting
        if counting is not None and not float(counting.max()) > 0:
            raise PlanError(f"all of the style {style!r} that would count is transparent; give another picture or mask")
        return Artwork(dyed(picture.image), counting, self.style_size)

    def _marked(self, picture: Tensor, path: str, option: str) -> Tensor:
        """The mask at `path`, which `option` named; PlanError where it does not fit `picture`, or marks nothing."""
        drawn = mask_for(picture, self.picture(path).image, path, option)
        if not float(drawn.max()) > 0:
            raise PlanError(f"{option} {path!r} is black everywhere: white marks what counts")
        return drawn


def is_saved(style: str) -> bool:
    """Whether it names a style in a file, not a picture."""
    return style.lower().endswith(EXTENSION)
