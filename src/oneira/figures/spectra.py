"""What frequencies a layer's filters look at, and which of them its stride cannot tell apart.

A layer that moves its filters by `stride` pixels answers on a grid that holds frequencies up to 1 / (2 stride) cycles
per pixel, along each axis; what filters let through beyond comes out as another, lower one (aliasing). Zeiler and
Fergus 2014 give this as the reason for filters of 7x7 and a stride of 2 in place of 11x11 and 4.
"""

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

PADDED = 128  # frequencies along an axis: filters are padded with zeros to as many pixels, or their own if more
RINGS = 34  # as many as are 1/48 cycle per pixel wide between 0 and the corners


@dataclass(frozen=True, eq=False)
class Spectra:
    """The power of filters by frequency, summed over colours, (filters, n, n); each filter's adds up to 1.

    Of a filter of zeros, it is 0. `stride`: pixels from one of the layer's positions to the next.
    """

    power: Tensor
    stride: int

    @classmethod
    def of(cls, filters: Tensor, stride: int) -> "Spectra":
        """Of filters (filters, colours, h, w)."""
        side = max(PADDED, *filters.shape[2:])
        power = torch.fft.fft2(filters.double(), s=(side, side)).abs().square().sum(1)
        total = power.sum((1, 2), keepdim=True)
        return cls(power / torch.where(total > 0, total, 1.0), stride)

    @property
    def nyquist(self) -> float:
        """The highest frequency along an axis that the layer's grid holds, in cycles per pixel of the picture."""
        return 1 / (2 * self.stride)

    def share_above(self, frequency: float) -> Tensor:
        """(filters,): how much of the power is above `frequency` along either axis, 0 to 1."""
        return (self.power * (self._larger > frequency)).sum((1, 2))

    @property
    def fine(self) -> Tensor:
        """(filters,): the share above half of what the picture's own pixels hold, which is 1/4 cycle per pixel."""
        return self.share_above(0.25)

    @property
    def aliased(self) -> Tensor:
        """(filters,): the share that the layer's grid cannot hold."""
        return self.share_above(self.nyquist)

    def by_radius(self) -> tuple[Tensor, Tensor]:
        """The mean power over rings around frequency 0 and over filters, (RINGS,): what the grid holds, and the rest.

        In units of what a filter of a single pixel has, whose power is the same everywhere. Ring i reaches from i / 48
        to (i + 1) / 48 cycles per pixel, as diagonals count.
        """
        mean = self.power.mean(0) * self.power[0].numel()
        rings = (self._radius * 48).long().clamp(max=RINGS - 1).flatten()
        counts = torch.bincount(rings, minlength=RINGS).double()
        beyond = mean * (self._larger > self.nyquist)
        held, rest = (
            torch.bincount(rings, part.flatten(), minlength=RINGS) / counts for part in (mean - beyond, beyond)
        )
        return held, rest

    @cached_property
    def _axes(self) -> tuple[Tensor, Tensor]:
        along = torch.fft.fftfreq(self.power.shape[-1], dtype=torch.float64).abs()
        return along[:, None], along

    @property
    def _larger(self) -> Tensor:
        return torch.maximum(*self._axes)

    @property
    def _radius(self) -> Tensor:
        return torch.hypot(*self._axes)
