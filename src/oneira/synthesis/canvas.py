"""Canvases: from parameters to a picture. A Canvas declares; its Surface holds the parameters while the loop runs."""

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from typing import Literal, get_args

import torch
from torch import Tensor

from oneira.errors import PlanError, one_of
from oneira.images import fit, resize
from oneira.images.wrapping import wrap
from oneira.synthesis.carrying import Blend, Carry
from oneira.synthesis.shaping import gaussian_blur

Size = tuple[int, int]  # height, width
Noise = Literal["white", "pink"]


class Surface(ABC):
    """Parameters that are a picture, at one size.

    `pixelwise`: whether they are laid out as the picture is, so that what an optimiser knows of them can be resized.
    """

    parameters: list[Tensor]
    pixelwise: bool = False

    @abstractmethod
    def image(self) -> Tensor:
        """The picture (b, 3, h, w) that the parameters stand for, differentiable."""

    @abstractmethod
    def resized(self, size: Size, carry: Carry) -> "Surface":
        """The same picture on a surface of another size."""

    def constrain(self) -> None:
        """Put the parameters back where they may be, in place; nothing for canvases that cannot leave."""


class Canvas(ABC):
    """A declaration of what is optimised: where it starts and how parameters become a picture."""

    @abstractmethod
    def size(self, long_side: int) -> Size:
        """(height, width) in the canvas's proportions."""

    @abstractmethod
    def begin(self, size: Size, generator: torch.Generator, device: torch.device) -> Surface:
        """A surface of `size` at the start of a run."""

    @abstractmethod
    def starting_from(self, image: Tensor) -> "Canvas":
        """The same canvas, beginning with `image` (b, 3, h, w) instead."""

    def going_on(self, image: Tensor) -> "Canvas":
        """The same canvas, beginning with what it, or one like it, has made: what it keeps of a picture stays."""
        return self.starting_from(image)


def pink_noise(shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
    """Noise whose amplitude falls as 1/frequency, as natural pictures' does; mean 0, deviation 1 per channel."""
    height, width = shape[-2:]
    spectrum = torch.fft.rfft2(torch.randn(shape, generator=generator))
    noise = torch.fft.irfft2(spectrum / nonzero_frequencies(height, width), s=(height, width))
    noise = noise - noise.mean((-2, -1), keepdim=True)
    pink: Tensor = noise / noise.std((-2, -1), keepdim=True, unbiased=False).clamp(min=1e-12)
    return pink


def spatial_frequencies(height: int, width: int) -> Tensor:
    """(h, w // 2 + 1): cycles per pixel of each coefficient of `rfft2`."""
    return torch.hypot(torch.fft.fftfreq(height)[:, None], torch.fft.rfftfreq(width)[None, :])


def nonzero_frequencies(height: int, width: int) -> Tensor:
    """(h, w // 2 + 1): as `spatial_frequencies`, but that a picture's mean counts as its lowest frequency."""
    return spatial_frequencies(height, width).clamp(min=1 / max(height, width))


@dataclass(frozen=True, eq=False)
class Pixels(Canvas):
    """The picture itself, value by value.

    `start` (1, 3, h, w) gives the proportions, and the beginning unless `noise` is named; `spread` is the noise's
    standard deviation around mid-grey. Values stay in [0, 1] where `clamp` is set and the optimiser allows it.
    `smoothing`: deviation of a Gaussian that the start goes through before it is made smaller by about 0.7, in pixels,
    once for each such step (Hvass-Labs: 0.5). `noise_share` in [0, 1] is how much of the beginning is noise, where it
    is named, and the rest is the start (the "noise ratio" of TensorFlow's ports of Gatys et al.: 0.6).
    `wraps`: the picture is one period of a pattern without end, and goes from size to size as such. `multiple`: sides
    are multiples of so many pixels, for strides that shall divide them; see `stride_of`.
    """

    start: Tensor
    noise: Noise | None = None
    spread: float = 0.2
    clamp: bool = True
    smoothing: float = 0.0
    noise_share: float = 1.0
    wraps: bool = False
    multiple: int = 1

    def __post_init__(self) -> None:
        if self.noise is not None:
            one_of("noise", self.noise, get_args(Noise))
        if not 0 <= self.noise_share <= 1:
            raise PlanError(f"the share of noise in the beginning lies between 0 and 1, not {self.noise_share}")
        if self.multiple < 1:
            raise PlanError(f"sides are multiples of at least 1 pixel, not of {self.multiple}")
        if self.start.ndim != 4 or self.start.shape[1] != 3 or self.start.numel() == 0:
            raise PlanError(f"a canvas starts from an image (1, 3, height, width), not {tuple(self.start.shape)}")

    @classmethod
    def of(cls, image: Tensor) -> "Pixels":
        """Begin with `image` (1, 3, h, w)."""
        return cls(image)

    @classmethod
    def grey(cls, height: int, width: int, noise: Noise | None = None) -> "Pixels":
        """Begin with mid-grey, or with noise around it, in the proportions of `height` to `width`."""
        return cls(torch.full((1, 3, height, width), 0.5), noise)

    def size(self, long_side: int) -> Size:
        """The start's proportions, as nearly as multiples have them; no side falls below one."""
        height, width = fit(self.start.shape[2], self.start.shape[3], long_side)
        return self._multiple(height), self._multiple(width)

    def _multiple(self, side: int) -> int:
        # In whole numbers, halves up, as `fit` rounds.
        return max(1, (2 * side + self.multiple) // (2 * self.multiple)) * self.multiple

    def begin(self, size: Size, generator: torch.Generator, device: torch.device) -> "PixelSurface":
        """The start, resized, or noise, or a mixture."""
        base = self.base(size, device)
        values = base
        if self.noise is not None:
            drawn = _noise(self.noise, tuple(base.shape), generator).to(device)
            # lerp, because it gives either end exactly.
            values = torch.lerp(base, 0.5 + self.spread * drawn, self.noise_share).clamp(0, 1)
        return PixelSurface(self, base, values)

    def base(self, size: Size, device: torch.device) -> Tensor:
        """The start at `size`; resized on the device, as on every size to come."""
        start = self.start.to(device)
        shrinking = max(start.shape[2:]) / max(size)
        if self.smoothing and shrinking > 1:
            # What blurs before each of several steps down add up to: a geometric sum of variances.
            start = self._blurred(start, self.smoothing * math.sqrt(shrinking**2 - 1))
        return resize(start, size, wraps=self.wraps)

    def _blurred(self, image: Tensor, sigma: float) -> Tensor:
        if not self.wraps:
            return gaussian_blur(image, sigma)
        reach = math.ceil(4 * sigma) + 1
        blurred = gaussian_blur(wrap(image, (reach, reach), (reach, reach)), sigma)
        return blurred[..., reach:-reach, reach:-reach]

    def starting_from(self, image: Tensor) -> "Pixels":
        """Without noise."""
        return replace(self, start=image, noise=None)


def _noise(kind: Noise, shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
    return torch.randn(shape, generator=generator) if kind == "white" else pink_noise(shape, generator)


class PixelSurface(Surface):
    """Pixels at one size, and beside them `base`, the start at this size."""

    pixelwise = True

    def __init__(self, canvas: Pixels, base: Tensor, values: Tensor) -> None:
        self.canvas = canvas
        self.base = base
        # L-BFGS flattens what it optimises: keep it contiguous.
        self.parameters = [values.detach().clone(memory_format=torch.contiguous_format).requires_grad_()]

    def image(self) -> Tensor:
        """The parameters are the picture."""
        return self.parameters[0]

    def resized(self, size: Size, carry: Carry) -> "PixelSurface":
        """The picture, or what was added to the base, or both blended."""
        now, wraps = self.parameters[0].detach(), self.canvas.wraps
        base = self.canvas.base(size, now.device)
        if carry == "detail":
            values = base + resize(now - self.base, size, bounded=False, wraps=wraps)
        else:
            values = resize(now, size, bounded=self.canvas.clamp, wraps=wraps)
        if isinstance(carry, Blend):
            values = torch.lerp(values, base, carry.share)
        surface = PixelSurface(self.canvas, base, values)
        surface.constrain()
        return surface

    @torch.no_grad()
    def constrain(self) -> None:
        """Clamp to [0, 1]."""
        if self.canvas.clamp:
            self.parameters[0].clamp_(0, 1)
