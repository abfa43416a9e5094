"""Textures that are copied: which of the sample's pixels follow each other, by the classics."""

from typing import Literal

from pydantic import Field
from torch import Tensor

from oneira.patches import EfrosLeung, Quilting, Weave, WeiLevoy
from oneira.techniques.texturing.samples import Sample, Samples


class Pieces(Samples):
    """Options of the methods that copy, and what they declare."""

    window: int | None = Field(
        None,
        ge=3,
        le=129,
        description="with efros-leung and wei-levoy: odd side of the neighbourhood that is compared, in pixels "
        "(default: 11 and 7)",
    )
    tolerance: float = Field(
        0.1, ge=0, le=100, description="with efros-leung and quilting: how much worse than the best a match may be"
    )
    largest_error: float = Field(
        0.3, gt=0, le=1, description="with efros-leung: mean squared error from which a pixel is left for later"
    )
    levels: int | None = Field(
        None, ge=1, le=8, description="with wei-levoy: sizes (default: as many as fit, at most 4)"
    )
    search: Literal["exact", "tree"] = Field(
        "exact", description="with wei-levoy: tree, the paper's vector quantisation, is faster on large samples"
    )
    block: int | None = Field(
        None, ge=4, le=1024, description="with quilting: side of a block in pixels (default: by the sample, at most 48)"
    )
    overlap: int | None = Field(
        None, ge=1, le=512, description="with quilting: of blocks, in pixels (default: a sixth of a block)"
    )
    passes: int = Field(
        3, ge=1, le=20, description="with quilting and --like: how often, with smaller blocks each time"
    )
    alpha: float = Field(
        0.1, ge=0, le=0.9, description="with quilting and --like: what neighbours count at first, beside the layout"
    )

    def efros_leung(self, sample: Sample, size: tuple[int, int]) -> Weave:
        """Pixel by pixel, outwards (Efros and Leung 1999)."""
        return EfrosLeung(sample.image, size, sample.mask, self.window or 11, self.tolerance, self.largest_error)

    def wei_levoy(self, sample: Sample, size: tuple[int, int]) -> Weave:
        """Pixel by pixel, in rows, from coarse to fine (Wei and Levoy 2000)."""
        return WeiLevoy(sample.image, size, sample.mask, self.window or 7, self.levels, self.search)

    def quilting(self, sample: Sample, size: tuple[int, int], layout: Tensor | None) -> Weave:
        """Block by block (Efros and Freeman 2001)."""
        return Quilting(
            sample.image, size, sample.mask, self.block, self.overlap, self.tolerance, layout, self.passes, self.alpha
        )
