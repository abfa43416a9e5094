"""Staying near a picture, pixel by pixel. No network is asked."""

from dataclasses import dataclass

import torch
from torch import Tensor

from oneira.errors import PlanError
from oneira.features.encoder import Encoder
from oneira.images import resize
from oneira.objectives.term import BoundTerm, Size, Term, View


@dataclass(frozen=True, eq=False)
class PixelError(Term):
    """The mean squared difference to `image` (1, 3, h, w), resized to the canvas, over pixels and channels.

    With a weight of 0 it pulls at nothing and is told all the same: how far a picture that was made without seeing
    `image` is from it. Raises PlanError for another shape.
    """

    image: Tensor

    def __post_init__(self) -> None:
        if self.image.ndim != 4 or self.image.shape[:2] != (1, 3):
            raise PlanError(f"the picture to compare with is (1, 3, height, width), not {tuple(self.image.shape)}")

    @property
    def name(self) -> str:
        """What is compared."""
        return "pixels"

    def bind(self, encoder: Encoder, size: Size) -> BoundTerm:
        """The picture at `size`."""
        with torch.no_grad():
            target = resize(self.image, size).to(encoder.device)

        def evaluate(view: View) -> Tensor:
            return view.mean((view.image - view.alongside(target)).square())

        return BoundTerm.by_position(self.name, evaluate, aligned=True)
