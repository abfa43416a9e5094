"""A canvas of which only a part may change."""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from oneira.errors import PlanError
from oneira.images import fit, resize
from oneira.synthesis.canvas import Canvas, Size, Surface
from oneira.synthesis.carrying import Carry


@dataclass(frozen=True, eq=False)
class Confined(Canvas):
    """`picture` (1, 3, h, w) everywhere but where `mask` (1, 1, h, w) in [0, 1] is white: there, what `canvas` shows.

    Grey mixes the two. Where the mask, resized, is black, the picture stays the same to the bit, whatever the
    optimiser does: unlike `Masked`, which confines a term, this confines the result. Sizes keep the picture's
    proportions. Raises PlanError for other shapes, and for a mask that leaves [0, 1] or is black everywhere.
    """

    canvas: Canvas
    picture: Tensor
    mask: Tensor

    def __post_init__(self) -> None:
        if self.picture.ndim != 4 or self.picture.shape[1] != 3 or self.picture.numel() == 0:
            raise PlanError(f"what is kept is an image (1, 3, height, width), not {tuple(self.picture.shape)}")
        if self.mask.ndim != 4 or self.mask.shape[:2] != (1, 1) or self.mask.numel() == 0:
            raise PlanError(f"a mask is (1, 1, height, width), not {tuple(self.mask.shape)}")
        darkest, brightest = float(self.mask.min()), float(self.mask.max())
        if not (darkest >= 0 and brightest <= 1):
            raise PlanError(f"a mask lies between 0 and 1, not between {darkest:g} and {brightest:g}")
        if brightest == 0:
            raise PlanError("the mask is black everywhere: nothing could change; white marks what may")

    def size(self, long_side: int) -> Size:
        """The picture's proportions."""
        return fit(self.picture.shape[2], self.picture.shape[3], long_side)

    def begin(self, size: Size, generator: torch.Generator, device: torch.device) -> "ConfinedSurface":
        """The inner canvas begins as it would alone."""
        return ConfinedSurface(self, self.canvas.begin(size, generator, device), size)

    def starting_from(self, image: Tensor) -> "Confined":
        """From then on, `image` is what is kept."""
        return replace(self, canvas=self.canvas.starting_from(image), picture=image)

    def going_on(self, image: Tensor) -> "Confined":
        """What is kept stays the picture."""
        return replace(self, canvas=self.canvas.going_on(image))


class ConfinedSurface(Surface):
    """The inner surface seen through the mask, both at one size."""

    def __init__(self, canvas: Confined, inner: Surface, size: Size) -> None:
        self.canvas = canvas
        self.inner = inner
        self.parameters = inner.parameters
        self.pixelwise = inner.pixelwise
        self._base = resize(canvas.picture.to(inner.parameters[0].device), size)
        self._mask = resize(canvas.mask.to(self._base), size)

    def image(self) -> Tensor:
        """Base and inner picture, mixed by the mask."""
        # lerp, because it gives either end exactly.
        return torch.lerp(self._base, self.inner.image(), self._mask)

    def resized(self, size: Size, carry: Carry) -> "ConfinedSurface":
        """The inner surface, resized, and the picture and the mask anew."""
        return ConfinedSurface(self.canvas, self.inner.resized(size, carry), size)

    def constrain(self) -> None:
        """As the inner surface has it."""
        self.inner.constrain()
