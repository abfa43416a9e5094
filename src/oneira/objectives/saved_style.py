"""Styles without their pictures: the statistics of layers at several sizes, in a small file."""

import hashlib
import math
from bisect import bisect_right
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

import torch
from safetensors.torch import load
from torch import Tensor

from oneira.errors import PlanError, StyleFileError
from oneira.features.address import Address
from oneira.features.encoder import Encoder
from oneira.features.variant import Variant
from oneira.files import DAMAGE, packed, told_in, write_whole
from oneira.images.opening import read_file
from oneira.objectives.artwork import StyleSource, StyleTarget, digest_of
from oneira.objectives.histogram import resampled
from oneira.objectives.statistics import MEASURES, Summary

EXTENSION = ".style"
LARGEST_FILE = 256 * 2**20
LEVELS = 1024  # of a channel's histogram that are kept
KEPT_MEASURES = ("histogram",)  # the shifts of autocorrelations belong to one size, and are as large as activations
KIND, VERSION = "oneira-style", 1


@dataclass(frozen=True, eq=False)
class Rung:
    """What layers, by address, had where the pictures had `area` pixels."""

    area: float
    targets: Mapping[str, StyleTarget]


@dataclass(frozen=True, eq=False)
class SavedStyle(StyleSource):
    """A style as `rungs` of rising area, as networks of `weights` (SHA-256 by backbone) saw it when run as `variant`.

    Between two rungs, statistics are interpolated along the logarithm of the area; beyond the last, they are its own.
    """

    rungs: tuple[Rung, ...]
    weights: Mapping[str, str]
    variant: Variant

    @classmethod
    def of(
        cls,
        sources: Sequence[StyleSource],
        shares: Sequence[float],
        encoder: Encoder,
        addresses: Sequence[Address],
        areas: Sequence[float],
        statistics: Collection[str],
    ) -> Self:
        """What `sources`, together, look like at every one of `areas` (rising); `shares` add up to 1.

        Raises PlanError for statistics that cannot be kept.
        """
        _require_kept(statistics)
        rungs = []
        for area in areas:
            with torch.no_grad():
                seen = [source.look(encoder, addresses, area, statistics) for source in sources]
            targets = {a.key: StyleTarget.average([look[a] for look in seen], shares) for a in addresses}
            rungs.append(Rung(area, targets))
        return cls(tuple(rungs), encoder.digests, encoder.variant)

    def look(
        self, encoder: Encoder, addresses: Sequence[Address], area: float, statistics: Collection[str]
    ) -> dict[Address, StyleTarget]:
        """What was kept, interpolated; the network is asked only whether it is the same."""
        self.require(encoder, addresses, statistics)
        for backbone in sorted({address.backbone for address in addresses}):
            if encoder.digest(backbone) != self.weights.get(backbone):
                raise PlanError(f"the saved style was seen by other weights of {backbone}; save it anew with these")
        around = self._around(area)
        return {
            address: _on(
                encoder.device,
                StyleTarget.average([rung.targets[address.key] for rung, _ in around], [share for _, share in around]),
            )
            for address in addresses
        }

    @property
    def digest(self) -> str:
        """The SHA-256 of the statistics, and of what saw them."""
        targets = [target for rung in self.rungs for target in rung.targets.values()]
        tensors = [tensor for target in targets for tensor in _packed(target).values()]
        return digest_of(tensors, [rung.area for rung in self.rungs], dict(self.weights), self.variant)

    def _around(self, area: float) -> list[tuple[Rung, float]]:
        """The rungs on both sides and their shares, or the only one that counts."""
        above = bisect_right([rung.area for rung in self.rungs], area)
        if above in (0, len(self.rungs)) or self.rungs[above - 1].area == area:
            return [(self.rungs[max(above - 1, 0)], 1.0)]
        low, high = self.rungs[above - 1], self.rungs[above]
        share = math.log(area / low.area) / math.log(high.area / low.area)
        return [(low, 1 - share), (high, share)]

    def require(self, encoder: Encoder, addresses: Sequence[Address], statistics: Collection[str]) -> None:
        """Raise PlanError for layers and statistics that were not kept, and for a network that is run otherwise."""
        _require_kept(statistics)
        known = self.rungs[0].targets
        missing = [str(address) for address in addresses if address.key not in known]
        if missing:
            raise PlanError(
                f"the saved style knows nothing of {missing[0]}, but of {', '.join(known)}; name those layers "
                "(--style-layer), or save the style anew"
            )
        if "histogram" in statistics and any("histogram" not in target.measured for target in known.values()):
            raise PlanError("the saved style has no histograms; save it anew with --statistics histogram")
        if encoder.variant != self.variant:
            raise PlanError(
                f"the saved style was seen by a network with {_words(self.variant)}, not {_words(encoder.variant)}; "
                "run the network alike, or save the style anew"
            )

    def write(self, path: Path) -> None:
        """Into a file, all of it or nothing. Raises StyleFileError where it cannot be written."""
        tensors = {
            f"{number}/{layer}/{part}": tensor
            for number, rung in enumerate(self.rungs)
            for layer, target in rung.targets.items()
            for part, tensor in _packed(target).items()
        }
        about = {
            "version": VERSION,
            "areas": [rung.area for rung in self.rungs],
            "layers": list(self.rungs[0].targets),
            "weights": dict(self.weights),
            "variant": asdict(self.variant),
        }
        data = packed(tensors, KIND, about)
        try:
            write_whole(path, lambda file: file.write(data))
        except OSError as error:
            raise StyleFileError(f"cannot write the style {str(path)!r}: {error.strerror or error}") from error

    @classmethod
    def decode(cls, data: bytes, name: str) -> Self:
        """From a file's bytes; `name` is how errors call it. Raises StyleFileError where they are no style."""
        try:
            return cls._decoded(data)
        except (*DAMAGE, PlanError) as error:
            raise StyleFileError(
                f"{name} is no style that was saved here, or it is damaged; `oneira save-style` makes one"
            ) from error

    @classmethod
    def _decoded(cls, data: bytes) -> Self:
        tensors = load(data)
        about = told_in(data, KIND)
        if about["version"] != VERSION:
            raise ValueError(f"version {about['version']}")
        rungs = [
            Rung(float(area), {str(layer): _unpacked(tensors, f"{number}/{layer}/") for layer in about["layers"]})
            for number, area in enumerate(about["areas"])
        ]
        areas = [rung.area for rung in rungs]
        if not areas or not all(0 < area < math.inf for area in areas) or sorted(set(areas)) != areas:
            raise ValueError(f"areas of {areas}")
        weights = {str(backbone): str(digest) for backbone, digest in about["weights"].items()}
        return cls(tuple(rungs), weights, Variant(**about["variant"]))


def read_style(path: Path) -> tuple[SavedStyle, str]:
    """The style in a file, and the SHA-256 of its bytes. Raises ImageError or StyleFileError where there is none."""
    data = read_file(path, LARGEST_FILE)
    return SavedStyle.decode(data, repr(str(path))), hashlib.sha256(data).hexdigest()


def _require_kept(statistics: Collection[str]) -> None:
    """PlanError for what no saved style holds."""
    lost = [name for name in statistics if name in MEASURES and name not in KEPT_MEASURES]
    if lost:
        raise PlanError(
            f"a saved style cannot hold {lost[0]}, which belongs to one size; "
            "take the picture itself for it, or leave this statistic out"
        )


def _packed(target: StyleTarget) -> dict[str, Tensor]:
    """The covariance as deviations and correlations, which lose nothing that can be seen in half precision."""
    mean, covariance = target.summary.mean[0], target.summary.covariance[0]
    deviation = covariance.diagonal().clamp(min=0).sqrt()
    correlations = covariance / (deviation[:, None] * deviation).clamp(min=1e-12)
    rows, columns = torch.triu_indices(len(mean), len(mean), 1)
    packed = {
        "mean": mean,
        "deviation": deviation,
        "correlations": correlations[rows, columns].clamp(-1, 1).half(),
        "positions": torch.tensor(float(target.positions)),
    }
    if "histogram" in target.measured:
        packed["quantiles"] = resampled(target.measured["histogram"], LEVELS)[0]
    return {part: tensor.cpu().contiguous() for part, tensor in packed.items()}


def _unpacked(tensors: Mapping[str, Tensor], prefix: str) -> StyleTarget:
    mean, deviation = (tensors[prefix + part].float() for part in ("mean", "deviation"))
    (channels,) = mean.shape
    correlations = torch.eye(channels)
    rows, columns = torch.triu_indices(channels, channels, 1)
    correlations[rows, columns] = correlations[columns, rows] = tensors[prefix + "correlations"].float()
    covariance = correlations * deviation[:, None] * deviation
    levels = tensors.get(prefix + "quantiles")
    if levels is not None and (levels.ndim != 2 or len(levels) != channels):
        raise ValueError(f"histograms of {tuple(levels.shape)} for {channels} channels")
    positions = float(tensors[prefix + "positions"])
    if not (covariance.isfinite().all() and mean.isfinite().all() and positions > 0):
        raise ValueError("numbers that are not finite")
    summary = Summary(mean[None], (covariance + mean[:, None] * mean)[None])
    return StyleTarget(summary, {} if levels is None else {"histogram": levels[None]}, positions)


def _on(device: torch.device, target: StyleTarget) -> StyleTarget:
    summary = Summary(target.summary.mean.to(device), target.summary.second.to(device))
    measured = {name: tensor.to(device) for name, tensor in target.measured.items()}
    return StyleTarget(summary, measured, target.positions)


def _words(variant: Variant) -> str:
    """`pooling avg, gain 1.5, padding zeros`"""
    return ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in asdict(variant).items())
