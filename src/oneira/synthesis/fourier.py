"""The Fourier canvas: a picture as a spectrum in which natural pictures' frequencies and colours weigh the same.

Olah et al. 2017 ("Feature visualization", preconditioning) as in lucid: coefficients scaled by 1/frequency, colours
decorrelated, a sigmoid at the end. Steepest descent in these parameters moves coarse structure as easily as fine.
"""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from oneira.errors import PlanError
from oneira.images import fit, resize
from oneira.synthesis.canvas import Canvas, Size, Surface, nonzero_frequencies
from oneira.synthesis.carrying import Carry

# The matrix square root of the covariance of ImageNet's colours (lucid's figures), scaled to norm at most 1.
COLOUR_COVARIANCE_ROOT = ((0.26, 0.09, 0.02), (0.27, 0.00, -0.05), (0.27, -0.09, 0.03))


@dataclass(frozen=True, eq=False)
class Fourier(Canvas):
    """A spectrum per picture and decorrelated colour; begins as noise of standard deviation `spread`, or as `start`.

    `height` and `width` give the proportions; `batch` pictures are optimised at once; `decay` is the power of
    1/frequency (lucid's `decay_power`).
    """

    height: int = 1
    width: int = 1
    batch: int = 1
    spread: float = 0.01
    decay: float = 1.0
    decorrelate: bool = True
    start: Tensor | None = None

    def __post_init__(self) -> None:
        if min(self.height, self.width, self.batch) < 1:
            raise PlanError(f"a canvas of {self.batch} x {self.height} x {self.width} has no pixels")

    @classmethod
    def of(cls, image: Tensor) -> "Fourier":
        """Begin with `image` (b, 3, h, w); PlanError for another shape."""
        if image.ndim != 4 or image.shape[1] != 3:
            raise PlanError(f"a canvas starts from an image (b, 3, height, width), not {tuple(image.shape)}")
        return cls(height=image.shape[2], width=image.shape[3], batch=image.shape[0], start=image)

    def size(self, long_side: int) -> Size:
        """The declared proportions."""
        return fit(self.height, self.width, long_side)

    def begin(self, size: Size, generator: torch.Generator, device: torch.device) -> "FourierSurface":
        """Noise, or the start's spectrum."""
        if self.start is not None:
            return FourierSurface.showing(self, resize(self.start.to(device), size))
        shape = (self.batch, 3, size[0], size[1] // 2 + 1, 2)
        return FourierSurface(self, size, (self.spread * torch.randn(shape, generator=generator)).to(device))

    def starting_from(self, image: Tensor) -> "Fourier":
        """A batch of one picture begins alike."""
        return replace(self, start=image)


class FourierSurface(Surface):
    """A spectrum (b, 3, h, w // 2 + 1, 2): real and imaginary parts, whitened."""

    def __init__(self, canvas: Fourier, size: Size, spectrum: Tensor) -> None:
        self.canvas = canvas
        self._size = size
        self.parameters = [spectrum.detach().clone().requires_grad_()]

    @classmethod
    def showing(cls, canvas: Fourier, image: Tensor) -> "FourierSurface":
        """The surface whose picture is `image`: the inverse of `image()`."""
        size = (image.shape[2], image.shape[3])
        channels = channels_behind(image, decorrelate=canvas.decorrelate)
        coefficients = torch.fft.rfft2(channels * 4, norm="ortho")
        gain = _gain(canvas, size).to(image.device)
        return cls(canvas, size, torch.view_as_real(coefficients / gain).contiguous())

    def image(self) -> Tensor:
        """Spectrum -> decorrelated channels -> colours -> [0, 1] by a sigmoid."""
        gain = _gain(self.canvas, self._size).to(self.parameters[0].device)
        coefficients = torch.view_as_complex(self.parameters[0]) * gain
        # lucid divides by 4 here, "magic constant"; it keeps the first pictures within the sigmoid's middle.
        channels = torch.fft.irfft2(coefficients, s=self._size, norm="ortho") / 4
        if self.canvas.decorrelate:
            channels = torch.einsum("oc,bchw->bohw", colour_matrix(channels), channels)
        return torch.sigmoid(channels)

    def resized(self, size: Size, carry: Carry) -> "FourierSurface":
        """The picture, resized, as a new spectrum; `carry` makes no difference: there is no base."""
        with torch.no_grad():
            return FourierSurface.showing(self.canvas, resize(self.image(), size))


def _gain(canvas: Fourier, size: Size) -> Tensor:
    """How much a unit of each coefficient counts: 1/frequency^decay.

    lucid multiplies by sqrt(pixels) besides and divides by the pixels in its inverse transform: the orthonormal one.
    """
    gain: Tensor = nonzero_frequencies(*size) ** -canvas.decay
    return gain


def channels_behind(image: Tensor, *, decorrelate: bool = True) -> Tensor:
    """(b, 3, h, w) in [0, 1] -> the channels that a sigmoid, after `colour_matrix` where `decorrelate`, makes it of.

    Values count as lying between 0.005 and 0.995: the logits of 0 and 1 are infinite.
    """
    logits = torch.logit(image.clamp(0.005, 0.995))
    if not decorrelate:
        return logits
    channels: Tensor = torch.einsum("oc,bchw->bohw", torch.linalg.inv(colour_matrix(logits)), logits)
    return channels


def colour_matrix(like: Tensor) -> Tensor:
    """(3, 3), of the type and on the device of `like`: from decorrelated channels to the logits of colours."""
    root = torch.tensor(COLOUR_COVARIANCE_ROOT, dtype=like.dtype, device=like.device)
    scaled: Tensor = root / root.norm(dim=0).max()
    return scaled
