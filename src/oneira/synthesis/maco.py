"""The MACO canvas: a picture whose spectrum has the magnitudes of natural pictures, and only its phase is optimised.

Fel et al. 2023, "Unlocking feature visualization for deeper networks with magnitude constrained optimization". Neither
noise of high frequency nor empty low ones can grow, so no regularisation has to hold them back.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import Tensor

from oneira.errors import PlanError
from oneira.images import fit, resize
from oneira.synthesis.canvas import Canvas, Size, Surface, nonzero_frequencies
from oneira.synthesis.carrying import Carry
from oneira.synthesis.fourier import channels_behind, colour_matrix

# What `measure_spectrum` gives at 128 pixels for 990 photographs of ImageNet, each of another class.
NATURAL = Path(__file__).with_name("natural_spectrum.safetensors")


@dataclass(frozen=True, eq=False)
class Maco(Canvas):
    """Phases in [-pi, pi], with magnitudes that do not change; begins with random phases, or with those of `start`.

    `height` and `width` give the proportions; `batch` pictures are optimised at once. `magnitude`: (3, n, n // 2 + 1),
    from `measure_spectrum` over pictures of the user's own; natural pictures' without. A phase is an angle, so rates
    are too: 0.1 and more with adam (the authors' is 1). Raises PlanError for no pixels, or another shape of spectrum.
    """

    height: int = 1
    width: int = 1
    batch: int = 1
    magnitude: Tensor | None = None
    start: Tensor | None = None

    def __post_init__(self) -> None:
        if min(self.height, self.width, self.batch) < 1:
            raise PlanError(f"a canvas of {self.batch} x {self.height} x {self.width} has no pixels")
        if self.start is not None and (self.start.ndim != 4 or self.start.shape[1] != 3):
            raise PlanError(f"a canvas starts from an image (b, 3, height, width), not {tuple(self.start.shape)}")
        if self.magnitude is not None:
            _require_spectrum(self.magnitude)

    @classmethod
    def of(cls, image: Tensor) -> "Maco":
        """Begin with the phases of `image` (b, 3, h, w); PlanError for another shape."""
        if image.ndim != 4:
            raise PlanError(f"a canvas starts from an image (b, 3, height, width), not {tuple(image.shape)}")
        return cls(image.shape[2], image.shape[3], len(image), start=image)

    def size(self, long_side: int) -> Size:
        """The declared proportions."""
        return fit(self.height, self.width, long_side)

    def begin(self, size: Size, generator: torch.Generator, device: torch.device) -> "MacoSurface":
        """The phases of white noise, all equally likely, or the start's."""
        if self.start is not None:
            start = resize(self.start.to(device), size)
            return MacoSurface(self, size, _phase(channels_behind(start)))
        # Not drawn one by one: in a real picture's spectrum, pairs of phases mirror each other.
        noise = torch.randn((self.batch, 3, *size), generator=generator)
        return MacoSurface(self, size, _phase(noise).to(device))

    def starting_from(self, image: Tensor) -> "Maco":
        """With the phases of `image`; magnitudes and proportions stay."""
        return replace(self, start=image)

    def spectrum(self, size: Size, device: torch.device) -> Tensor:
        """The magnitudes (3, h, w // 2 + 1) of pictures of `size`."""
        return spectrum_at(_natural() if self.magnitude is None else self.magnitude, size).to(device)


class MacoSurface(Surface):
    """A phase (b, 3, h, w // 2 + 1) for every coefficient of `rfft2`, and the magnitudes at this size."""

    def __init__(self, canvas: Maco, size: Size, phase: Tensor) -> None:
        self.canvas = canvas
        self._size = size
        self._magnitude = canvas.spectrum(size, phase.device)
        self.parameters = [phase.detach().clone(memory_format=torch.contiguous_format).requires_grad_()]

    def image(self) -> Tensor:
        """Spectrum -> decorrelated channels of deviation 1 -> colours -> [0, 1] by a sigmoid."""
        channels = self.channels()
        # As the authors' code has it: one mean and one deviation over the three channels together.
        channels = channels - channels.mean((1, 2, 3), keepdim=True)
        channels = channels / channels.std((1, 2, 3), keepdim=True, unbiased=False).clamp(min=1e-5)
        return torch.sigmoid(torch.einsum("oc,bchw->bohw", colour_matrix(channels), channels))

    def channels(self) -> Tensor:
        """(b, 3, h, w): what the spectrum is the spectrum of, before anything is done to it."""
        # The authors standardise the phases, too; we do not: an angle has no scale, and theirs would depend on all
        # others.
        phase = self.parameters[0]
        coefficients = torch.complex(self._magnitude * phase.cos(), self._magnitude * phase.sin())
        channels: Tensor = torch.fft.irfft2(coefficients, s=self._size, norm="ortho")
        return channels

    def resized(self, size: Size, carry: Carry) -> "MacoSurface":
        """The phases of the channels, resized; `carry` makes no difference: there is no base."""
        # Of frequencies that the smaller picture cannot have, bicubic resizing has traces, in phase with its edges:
        # they make better fine structure than phases drawn at random.
        with torch.no_grad():
            return MacoSurface(self.canvas, size, _phase(resize(self.channels(), size, bounded=False)))


def measure_spectrum(images: Iterable[Tensor], side: int) -> Tensor:
    """The mean magnitudes (3, side, side // 2 + 1) of the spectra of `images`, each (b, 3, h, w) in [0, 1].

    Of each picture the largest square in its middle counts, resized to `side` pixels, its colours decorrelated as on
    the canvas. Raises PlanError where there are no pictures, or where one is smaller than `side`: its fine structure
    would be missing.
    """
    if side < 1:
        raise PlanError(f"a spectrum is measured at a side of at least 1 px, not {side}")
    total, count = torch.zeros(3, side, side // 2 + 1, dtype=torch.float64), 0
    for image in images:
        height, width = image.shape[2:]
        square = min(height, width)
        if square < side:
            raise PlanError(f"a picture of {width} x {height} px is smaller than {side} px; leave it out, or name less")
        top, left = (height - square) // 2, (width - square) // 2
        middle = resize(image[:, :, top : top + square, left : left + square], (side, side))
        spectra = torch.fft.rfft2(channels_behind(middle), norm="ortho").abs()
        total += spectra.double().sum(0).cpu()
        count += len(image)
    if count == 0:
        raise PlanError("there are no pictures to measure a spectrum of")
    return (total / count).float()


def spectrum_at(magnitude: Tensor, size: Size) -> Tensor:
    """Magnitudes (3, n, n // 2 + 1) as they would be in pictures of `size`: (3, h, w // 2 + 1).

    Natural pictures look the same at any scale, their magnitudes falling as 1/frequency. So what is interpolated, over
    cycles per pixel, is the logarithm of how far they are from that, and larger pictures get larger forms.
    """
    # The authors interpolate the magnitudes themselves, whose steep peak at the lowest frequencies that flattens.
    side = magnitude.shape[1]
    deviation = (magnitude.float().clamp(min=1e-12) * nonzero_frequencies(side, side)).log()
    # From the lowest vertical frequency to the highest, which is the lowest again where `side` is even.
    deviation = deviation.roll(side // 2, dims=1)
    deviation = torch.cat([deviation, deviation[:, :1]], dim=1)
    height, width = size
    row = torch.fft.fftfreq(height) * side + side // 2
    column = torch.fft.rfftfreq(width) * side
    last_row, last_column = deviation.shape[1] - 1, max(1, deviation.shape[2] - 1)
    down, right = torch.meshgrid(2 * row / last_row - 1, 2 * column / last_column - 1, indexing="ij")
    grid = torch.stack([right, down], dim=-1)[None]
    there = F.grid_sample(deviation[None], grid, padding_mode="border", align_corners=True)[0]
    return there.exp() / nonzero_frequencies(*size)


def _phase(channels: Tensor) -> Tensor:
    phase: Tensor = torch.fft.rfft2(channels).angle()
    return phase


@lru_cache(maxsize=1)
def _natural() -> Tensor:
    return load_file(NATURAL)["magnitude"].float()


def _require_spectrum(magnitude: Tensor) -> None:
    shape = tuple(magnitude.shape)
    if len(shape) != 3 or shape[0] != 3 or shape[1] < 1 or shape[2] != shape[1] // 2 + 1:
        raise PlanError(f"a spectrum is (3, n, n // 2 + 1), as measure_spectrum gives it, not {shape}")
    if not (bool(magnitude.isfinite().all()) and float(magnitude.min()) >= 0 and float(magnitude.max()) > 0):
        raise PlanError("magnitudes are finite numbers of at least 0, and not all of them 0")
