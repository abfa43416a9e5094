"""A canvas that changes how light a picture is, and leaves its colours."""

from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from oneira.errors import PlanError
from oneira.images import fit, resize, rgb_to_yiq
from oneira.synthesis.canvas import Canvas, Size, Surface
from oneira.synthesis.carrying import Carry


@dataclass(frozen=True, eq=False)
class Luminance(Canvas):
    """The luma of what `canvas` shows on the chroma of `picture` (1, 3, h, w): I and Q of YIQ do not change.

    Gatys et al. 2016, "Preserving Color in Neural Artistic Style Transfer", section 4, within the optimisation instead
    of after it: red, green and blue move by the same amount, and only as far as all three stay in [0, 1]. Sizes keep
    the picture's proportions. Raises PlanError for another shape.
    """

    canvas: Canvas
    picture: Tensor

    def __post_init__(self) -> None:
        if self.picture.ndim != 4 or self.picture.shape[1] != 3 or self.picture.numel() == 0:
            raise PlanError(f"colours come from an image (1, 3, height, width), not {tuple(self.picture.shape)}")

    def size(self, long_side: int) -> Size:
        """The picture's proportions."""
        return fit(self.picture.shape[2], self.picture.shape[3], long_side)

    def begin(self, size: Size, generator: torch.Generator, device: torch.device) -> "LuminanceSurface":
        """The inner canvas begins as it would alone."""
        return LuminanceSurface(self, self.canvas.begin(size, generator, device), size)

    def starting_from(self, image: Tensor) -> "Luminance":
        """From then on, the colours are those of `image`."""
        return replace(self, canvas=self.canvas.starting_from(image), picture=image)

    def going_on(self, image: Tensor) -> "Luminance":
        """The colours stay the picture's."""
        return replace(self, canvas=self.canvas.going_on(image))


class LuminanceSurface(Surface):
    """The inner surface's luma and the picture's chroma, at one size."""

    def __init__(self, canvas: Luminance, inner: Surface, size: Size) -> None:
        self.canvas = canvas
        self.inner = inner
        self.parameters = inner.parameters
        self.pixelwise = inner.pixelwise
        self._base = resize(canvas.picture.to(inner.parameters[0].device), size)
        # The luma of the three primaries: what each channel weighs. Computed once, as in every step it would make an
        # accelerator wait for the numbers.
        primaries = torch.eye(3, dtype=self._base.dtype, device=self._base.device)[:, :, None, None]
        self._weights = rgb_to_yiq(primaries)[:, :1].mT.reshape(1, 3, 1, 1)
        self._luma = self._luma_of(self._base)
        self._lowest = -self._base.amin(1, keepdim=True)
        self._highest = 1 - self._base.amax(1, keepdim=True)

    def image(self) -> Tensor:
        """The base, every pixel shifted towards white or black."""
        offset = self._luma_of(self.inner.image()) - self._luma
        limited: Tensor = _Limited.apply(offset, self._lowest, self._highest)  # type: ignore[no-untyped-call]
        return self._base + limited

    def resized(self, size: Size, carry: Carry) -> "LuminanceSurface":
        """The inner surface, resized, and the picture anew."""
        return LuminanceSurface(self.canvas, self.inner.resized(size, carry), size)

    def constrain(self) -> None:
        """As the inner surface has it."""
        self.inner.constrain()

    def _luma_of(self, image: Tensor) -> Tensor:
        return (image * self._weights).sum(1, keepdim=True)


class _Limited(torch.autograd.Function):
    """A clamp from which there is a way back: beyond a limit, the gradient passes where descent leads inwards.

    torch's clamp has none there, and a pixel that once went too far would stay for good.
    """

    @staticmethod
    def forward(ctx: Any, offset: Tensor, lowest: Tensor, highest: Tensor) -> Tensor:
        limited = offset.clamp(lowest, highest)
        ctx.save_for_backward(offset - limited)
        return limited

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        (excess,) = ctx.saved_tensors
        (gradient,) = gradients
        return gradient * (gradient * excess >= 0), None, None
