"""Where a manner comes from: pictures, or what was kept of them."""

import hashlib
import math
from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor

from oneira.errors import PlanError
from oneira.features.address import Address
from oneira.features.encoder import Encoder
from oneira.images import fit, fit_area, resize
from oneira.objectives.looking import InViews
from oneira.objectives.statistics import DISTANCES, MEASURES, Summary, average, summarise
from oneira.objectives.term import View


@dataclass(frozen=True, eq=False)
class StyleTarget:
    """What one layer's statistics should become: `measured` by name in MEASURES, where it was asked for.

    `positions` of the pictures, on average.
    """

    summary: Summary
    measured: Mapping[str, Tensor]
    positions: float

    @classmethod
    def average(cls, targets: Sequence["StyleTarget"], shares: Sequence[float]) -> "StyleTarget":
        """Of several pictures, by their shares, which add up to 1; what was not measured in all of them is left out."""
        known = [name for name in MEASURES if all(name in target.measured for target in targets)]
        return cls(
            average([target.summary for target in targets], shares),
            {name: MEASURES[name].average([target.measured[name] for target in targets], shares) for name in known},
            sum(share * target.positions for share, target in zip(shares, targets, strict=True)),
        )

    def size(self, statistic: str) -> float:
        """What makes a distance relative; never 0."""
        if statistic in MEASURES:
            size = MEASURES[statistic].size(self.measured[statistic])
        else:
            size = DISTANCES[statistic].size(self.summary)
        return max(float(size), 1e-12)


class StyleSource(ABC):
    """What has a manner."""

    @abstractmethod
    def look(
        self, encoder: Encoder, addresses: Sequence[Address], area: float, statistics: Collection[str]
    ) -> Mapping[Address, StyleTarget]:
        """The statistics of its layers where it has `area` pixels.

        Raises PlanError for what it does not have.
        """

    @property
    @abstractmethod
    def digest(self) -> str:
        """The SHA-256 of all that decides what `look` finds."""

    def require(self, encoder: Encoder, addresses: Sequence[Address], statistics: Collection[str]) -> None:
        """Raise PlanError for what is known to be missing before a network is loaded; a picture lacks nothing."""


def digest_of(tensors: Iterable[Tensor], *numbers: object) -> str:
    """The SHA-256 of tensors and plain numbers."""
    digest = hashlib.sha256(repr(numbers).encode())
    for tensor in tensors:
        digest.update(f"{tuple(tensor.shape)} {tensor.dtype}".encode() + tensor.cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


@dataclass(frozen=True, eq=False)
class Artwork(StyleSource):
    """A picture (1, 3, h, w), or the part of it that `mask` (1, 1, h', w') in [0, 1] marks, in its own proportions.

    `long_side`: its size in pixels, whatever the canvas's (style-transfer-pytorch's `--style-size`); without, it has
    the canvas's area times `covers`: how many of the canvas's pixels the picture has at the same scale, above 0. A
    sample that is to be continued at its own size has its own area over that of the full canvas, and is then looked at
    as it is, pixel by pixel, where the canvas is full.

    Raises PlanError for other shapes, for a mask that is black everywhere, and for sizes that there are none of.
    """

    image: Tensor
    mask: Tensor | None = None
    long_side: int | None = None
    covers: float = 1.0

    def __post_init__(self) -> None:
        if self.image.ndim != 4 or self.image.shape[:2] != (1, 3):
            raise PlanError(f"a style picture is (1, 3, height, width), not {tuple(self.image.shape)}")
        if self.mask is not None:
            if self.mask.ndim != 4 or self.mask.shape[:2] != (1, 1):
                raise PlanError(f"a style picture's mask is (1, 1, height, width), not {tuple(self.mask.shape)}")
            if not float(self.mask.max()) > 0:
                raise PlanError("the style picture's mask is black everywhere: white marks what counts")
        if self.long_side is not None and self.long_side < 1:
            raise PlanError(f"a style picture's long side has at least 1 pixel, not {self.long_side}")
        if not 0 < self.covers < math.inf:
            raise PlanError(f"a style picture covers a finite part of the canvas above 0, not {self.covers}")

    @property
    def digest(self) -> str:
        """The SHA-256 of the picture, its mask and its size."""
        return digest_of([self.image, *(() if self.mask is None else (self.mask,))], self.long_side, self.covers)

    def look(
        self, encoder: Encoder, addresses: Sequence[Address], area: float, statistics: Collection[str]
    ) -> dict[Address, StyleTarget]:
        """What the network sees in it."""
        height, width = self.image.shape[2:]
        if self.long_side is None:
            size = fit_area(height, width, area * self.covers)
        else:
            size = fit(height, width, self.long_side)
        picture = resize(self.image, size).to(encoder.device)
        if isinstance(encoder, InViews) and self.mask is None and not MEASURES.keys() & statistics:
            return _added(encoder.views(picture, addresses), addresses, precise="wasserstein" in statistics)
        seen = encoder(picture, addresses)
        return {address: self._target(seen[address], address, statistics) for address in addresses}

    def _target(self, features: Tensor, address: Address, statistics: Collection[str]) -> StyleTarget:
        features = _with_positions(features, address)
        if "wasserstein" in statistics:
            features = features.float()  # its root of covariances magnifies what bfloat16 rounds away
        weights = self._weights(features, address)
        measured = {name: measure.of(features, weights) for name, measure in MEASURES.items() if name in statistics}
        return StyleTarget(summarise(features, weights), measured, features.shape[2:].numel())

    def _weights(self, features: Tensor, address: Address) -> Tensor | None:
        """The mask on the grid of `features`, scaled to mean 1 (Gatys et al. 2017, guided Gram matrices)."""
        if self.mask is None:
            return None
        weights = F.interpolate(self.mask.to(features.device), features.shape[2:], mode="area")
        mean = weights.mean()
        if not float(mean) > 0:
            raise PlanError(f"what the style picture's mask marks is too small for {address}; mark more of it")
        return weights / mean


def _added(views: Iterable[View], addresses: Sequence[Address], *, precise: bool) -> dict[Address, StyleTarget]:
    """Raw moments of a picture from those of its parts: no map is ever whole. `precise`: of activations in float32."""
    found: dict[Address, list[tuple[float, Summary, int]]] = {address: [] for address in addresses}
    for view in views:
        for address in addresses:
            features = _with_positions(view.activations[address], address)
            summary = summarise(features.float() if precise else features)
            found[address].append((view.share(address), summary, features.shape[2:].numel()))
    return {
        address: StyleTarget(
            average([summary for _, summary, _ in parts], [share for share, _, _ in parts]),
            {},
            sum(positions for _, _, positions in parts),
        )
        for address, parts in found.items()
    }


def _with_positions(features: Tensor, address: Address) -> Tensor:
    if features.ndim != 4:
        raise PlanError(f"{address} has no positions; style needs a layer that has")
    return features


def sources_of(style: Tensor | StyleSource | Sequence[Tensor | StyleSource]) -> tuple[StyleSource, ...]:
    """One or several, pictures (1, 3, h, w) among them, as sources. Raises PlanError where there is none."""
    several = (style,) if isinstance(style, Tensor | StyleSource) else tuple(style)
    if not several:
        raise PlanError("no style picture is given; give at least one")
    return tuple(each if isinstance(each, StyleSource) else Artwork(each) for each in several)
