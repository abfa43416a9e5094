"""What a texture is of: samples, by which method they are alike, and a picture that says what goes where."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from oneira.errors import PlanError
from oneira.images import fit, match_mean_covariance, resize, rgb_to_lab
from oneira.objectives import Artwork
from oneira.techniques.blending import blend_shares
from oneira.techniques.grounds import mask_for
from oneira.techniques.technique import ImagePath, Technique
from oneira.techniques.texturing.extent import Extent, sides_of

Method = Literal["gram", "moments", "wasserstein", "autocorrelation", "efros-leung", "wei-levoy", "quilting"]
STATISTICAL = ("gram", "moments", "wasserstein", "autocorrelation")

USUAL_SIDE = 512  # pixels, of a result where no size is told, and of samples that are larger
# Of two colours of a labels' picture, in Lab: nearer ones are the same, blurred or compressed.
SAME_COLOUR = 15.0
FEWEST = 0.005  # of a labels' pixels are a label; what is less is a border between others
MOST_LABELS = 16
MARGIN = 32  # pixels: half of what the deepest of the usual layers sees


@dataclass(frozen=True, eq=False)
class Sample:
    """A picture (1, 3, h, w) as large as it is seen, and the part of it (1, 1, h, w) that counts; None: all of it."""

    image: Tensor
    mask: Tensor | None = None

    @property
    def pixels(self) -> Tensor:
        """Those that count, as a picture (1, 3, 1, n)."""
        flat = self.image.flatten(2)
        return (flat if self.mask is None else flat[:, :, self.mask.flatten() >= 0.5]).unsqueeze(2)

    def artwork(self, size: tuple[int, int], *, wraps: bool = False) -> Artwork:
        """As a source of statistics for a texture of `size`, in which a pixel is as large as in the sample.

        `wraps`: it is seen around a torus, on which its own borders do not fit; what lies near them does not count.
        """
        counting = self.mask
        if wraps:
            height, width = self.image.shape[2:]
            margin = min(MARGIN, min(height, width) // 8)
            inner = F.pad(torch.ones(1, 1, height - 2 * margin, width - 2 * margin), [margin] * 4)
            counting = inner if counting is None else counting * inner
        return Artwork(self.image, counting, covers=self.image[0, 0].numel() / (size[0] * size[1]))


class Samples(Technique):
    """Options that say what the texture is of."""

    sample: tuple[ImagePath, ...] = Field(min_length=1, description="the picture of the texture; several are mixed")
    method: Method = Field(
        "gram",
        description="what makes it alike: statistics of layers (gram, moments, wasserstein; autocorrelation, for "
        "regular patterns), or pixels that are copied (efros-leung, wei-levoy, quilting)",
    )
    size: Extent | None = Field(
        None,
        description="WIDTHxHEIGHT of the result in pixels, or one number for both sides, with --like the long one "
        "(default: 512)",
    )
    blend: tuple[Annotated[float, Field(ge=0)], ...] = Field(
        (), description="how much each sample counts, one number for each (default: all alike)"
    )
    sample_mask: tuple[ImagePath, ...] = Field(
        (), description="what counts of each sample, one mask for each: white there, black elsewhere"
    )
    sample_size: int | None = Field(
        None,
        ge=16,
        le=16384,
        description="long side that samples are brought to, in pixels (default: their own, at most 512)",
    )
    like: ImagePath | None = Field(
        None,
        description="a layout to follow: light and dark, with one sample; with several, or with --labels, every place "
        "takes on the sample of the nearest colour",
    )
    labels: ImagePath | None = Field(
        None, description="with --like: what the sample shows where, in the layout's colours (texture by numbers)"
    )

    def samples(self) -> list[Sample]:
        """As they are seen, in order. PlanError where options do not go with them."""
        if self.sample_mask and len(self.sample_mask) != len(self.sample):
            raise PlanError(f"--sample-mask needs one mask per sample: {len(self.sample)}, not {len(self.sample_mask)}")
        masks = self.sample_mask or (None,) * len(self.sample)
        return [self._sample(path, mask) for path, mask in zip(self.sample, masks, strict=True)]

    def shares(self) -> tuple[float, ...]:
        """How much each sample counts; they add up to 1. PlanError where --blend does not go with the samples."""
        return blend_shares(self.blend, len(self.sample), "sample")

    def result_size(self) -> tuple[int, int]:
        """(height, width) of the result. PlanError where they are not the layout's proportions."""
        width, height = (USUAL_SIDE, None) if self.size is None else sides_of(self.size)
        if self.like is None:
            return height or width, width
        rows, columns = self.picture(self.like).image.shape[2:]
        if height is None:
            return fit(rows, columns, width)
        if abs(rows * width - columns * height) > max(height, width):
            raise PlanError(
                f"--like {self.like!r} is {columns}x{rows}, the result {width}x{height}: give one number as --size, "
                "or the proportions of the layout"
            )
        return height, width

    def _sample(self, path: str, mask: str | None) -> Sample:
        picture = self.picture(path)
        size = picture.image.shape[2], picture.image.shape[3]
        seen = fit(*size, min(max(size), USUAL_SIDE) if self.sample_size is None else self.sample_size)
        counting = picture.alpha  # what is transparent is not part of the sample
        if mask is not None:
            drawn = resize(mask_for(picture.image, self.picture(mask).image, mask, "--sample-mask"), size)
            counting = drawn if counting is None else drawn * counting
        if counting is not None:
            counting = resize(counting, seen)
            if not bool((counting >= 0.5).any()):
                raise PlanError(f"nothing of the sample {path!r} would count; give another picture or mask")
        return Sample(resize(picture.image, seen), counting)


class Layouts(Samples):
    """What goes where, from the layout."""

    def layout(self, size: tuple[int, int]) -> Tensor | None:
        """The layout (1, 3, *size), where there is one. PlanError for labels without it, or for several samples."""
        if self.labels is not None and (self.like is None or len(self.sample) > 1):
            raise PlanError("--labels say what one sample shows, for a --like to follow: give one of each")
        return None if self.like is None else resize(self.picture(self.like).image, size)

    def regions(self, samples: Sequence[Sample], layout: Tensor) -> list[tuple[Sample, Tensor]]:
        """What goes where: samples, or the labelled parts of one, each with its place (1, 1, h, w); places add up to 1.

        Every pixel of `layout` (1, 3, h, w) belongs to the nearest colour in Lab: of labels, or of samples' means.
        """
        parts, keys = list(samples), torch.cat([part.pixels.mean(3, keepdim=True) for part in samples])
        if self.labels is not None:
            parts, keys = self._labelled(samples[0])
        nearest = _nearest(layout, keys)
        placed = [(part, (nearest == index).float()[None, None]) for index, part in enumerate(parts)]
        return [(part, place) for part, place in placed if bool(place.any())]

    def _labelled(self, sample: Sample) -> tuple[list[Sample], Tensor]:
        """The parts of the sample, by label, and their colours (k, 3, 1, 1)."""
        assert self.labels is not None
        drawn = self.picture(self.labels).image
        mask_for(sample.image, drawn, self.labels, "--labels")
        keys = _distinct(drawn)
        size = sample.image.shape[2], sample.image.shape[3]
        nearest = _nearest(resize(drawn, size), keys)
        masks = [(nearest == index).float()[None, None] for index in range(len(keys))]
        if sample.mask is not None:
            masks = [mask * sample.mask for mask in masks]
        kept = [index for index, mask in enumerate(masks) if bool((mask >= 0.5).any())]
        return [Sample(sample.image, masks[index]) for index in kept], keys[kept]


def toned(layout: Tensor, sample: Sample) -> Tensor:
    """A layout (1, 3, h, w) in the sample's colours, by how light it is: same mean, same deviation."""
    grey = layout.mean(1, keepdim=True).expand(-1, 3, -1, -1)
    return match_mean_covariance(grey, sample.pixels).clamp(0, 1)


def _nearest(picture: Tensor, keys: Tensor) -> Tensor:
    """(1, 3, h, w) and colours (k, 3, 1, 1) -> (h, w): which of them is nearest, in Lab."""
    return (rgb_to_lab(picture) - rgb_to_lab(keys)).square().sum(1).argmin(0)


def _distinct(labels: Tensor) -> Tensor:
    """The colours (k, 3, 1, 1) of a picture of flat areas, the most frequent first; PlanError for too many."""
    colours, counts = (labels[0].flatten(1).T * 255).round().unique(dim=0, return_counts=True)
    left = torch.ones(len(colours), dtype=torch.bool)
    lab = rgb_to_lab(colours.T[None, :, None] / 255)[0, :, 0]  # (3, n)
    keys: list[Tensor] = []
    while bool(left.any()):
        first = int((counts * left).argmax())
        near = left & ((lab - lab[:, first, None]).square().sum(0) < SAME_COLOUR**2)
        left &= ~near
        if int(counts[near].sum()) >= FEWEST * int(counts.sum()):
            keys.append(colours[first] / 255)
    if not 1 <= len(keys) <= MOST_LABELS:
        raise PlanError(
            f"--labels are flat areas of up to {MOST_LABELS} colours, not of {len(keys)}: draw them plainly"
        )
    return torch.stack(keys)[:, :, None, None]
