"""What every image-to-image network is: a picture and a manner in, a picture of the same size out."""

from abc import ABC, abstractmethod

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from oneira.errors import PlanError


class Stylizer(nn.Module, ABC):
    """A network that redraws a picture in one of its `styles` manners, or in a blend of them.

    An unconditional network has one style, which cannot be weakened: its weights are 1, and may be left out.
    """

    styles: int
    conditional: bool
    multiple: int  # what the sides that `stylized` is given are divisible by
    smallest: int  # and what they have at least

    def forward(self, image: Tensor, style: Tensor | None = None) -> Tensor:
        """Redraw `image` (b, 3, h, w) in [0, 1], of any size; the result is the same size and in [0, 1].

        `style`: weights (b, styles), or maps of weights (b, styles, any, any) that are stretched over the picture.
        One-hot weights draw one style, others blend, a row that adds up to less than 1 is weaker. Raises PlanError
        where the shapes do not fit.
        """
        self._require(image, style)
        if not self.conditional:
            style = None
        elif style is None:
            style = image.new_ones(len(image), 1)
        height, width = image.shape[-2:]
        grown = tuple(max(-(-side // self.multiple) * self.multiple, self.smallest) for side in (height, width))
        if style is not None and style.ndim == 4:
            style = reflected(resized_maps(style, (height, width)), *grown)
        return self.stylized(reflected(image, *grown), style)[..., :height, :width]

    @abstractmethod
    def stylized(self, image: Tensor, style: Tensor | None) -> Tensor:
        """As `forward`, for sides that are divisible by `multiple` and not below `smallest`.

        `style` is None for unconditional networks, and only for them.
        """

    def _require(self, image: Tensor, style: Tensor | None) -> None:
        if image.ndim != 4 or image.shape[1] != 3:
            raise PlanError(f"a picture of shape {tuple(image.shape)}; it must be (batch, 3, height, width)")
        if style is None and self.styles > 1:
            raise PlanError(f"this network has {self.styles} styles; say which, as weights (batch, {self.styles})")
        if style is not None and (style.ndim not in (2, 4) or style.shape[:2] != (len(image), self.styles)):
            wanted = f"({len(image)}, {self.styles})"
            raise PlanError(
                f"style weights of shape {tuple(style.shape)}; they must be {wanted}, or maps {wanted[:-1]}, h, w)"
            )
        if style is not None and not self.conditional and not torch.equal(style, torch.ones_like(style)):
            raise PlanError("this network draws in one style, at full strength; it takes no other weight than 1")


def resized_maps(maps: Tensor, size: tuple[int, int]) -> Tensor:
    """Maps of weights (b, n, any, any) on another grid; what adds up to 1 still does."""
    if tuple(maps.shape[-2:]) == size:
        return maps
    return F.interpolate(maps, size, mode="bilinear", antialias=True)


def reflected(image: Tensor, height: int, width: int) -> Tensor:
    """`image` grown to (height, width) on the right and below, mirrored there as often as it takes."""
    if image.shape[-2] != height:
        image = image.index_select(-2, _mirror(image.shape[-2], height, image.device))
    if image.shape[-1] != width:
        image = image.index_select(-1, _mirror(image.shape[-1], width, image.device))
    return image


def _mirror(size: int, grown: int, device: torch.device) -> Tensor:
    """Indices 0 1 2 1 0 1 2 ...: unlike F.pad, for any growth, and for a single row too."""
    period = max(2 * (size - 1), 1)
    phase = torch.arange(grown, device=device) % period
    return torch.minimum(phase, period - phase)
