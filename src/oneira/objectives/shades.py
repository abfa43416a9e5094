"""Following where a picture is light and where dark, and nothing finer."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from oneira.errors import PlanError
from oneira.features.encoder import Encoder
from oneira.images import fit, resize, rgb_to_yiq
from oneira.objectives.term import BoundTerm, Size, Term, View


@dataclass(frozen=True, eq=False)
class Shades(Term):
    """The distance between the lumas of the canvas and of `image` (1, 3, h, w), averaged over cells.

    There are `cells` of them along the canvas's long side, and as many along the other as are about square. The mean
    squared difference is divided by the variance of the target, so that a flat canvas of its mean comes to 1 (where the
    target is not flat itself). Through a mask, cells count by how much of them it marks.

    Raises PlanError for another shape, or fewer than one cell.
    """

    image: Tensor
    cells: int = 48

    def __post_init__(self) -> None:
        if self.image.ndim != 4 or self.image.shape[:2] != (1, 3):
            raise PlanError(f"the picture to follow is (1, 3, height, width), not {tuple(self.image.shape)}")
        if self.cells < 1:
            raise PlanError(f"there is at least 1 cell, not {self.cells}")

    def bind(self, encoder: Encoder, size: Size) -> BoundTerm:
        """The lumas of the picture's cells."""
        grid = fit(*size, min(self.cells, max(size)))
        with torch.no_grad():
            target = _lumas(resize(self.image, size).to(encoder.device), grid)
        unit = max(float(target.var(unbiased=False)), 1e-4)  # a flat picture has none
        return BoundTerm(self.name, lambda view: _distance(view, target, grid) / unit, aligned=True)


def _distance(view: View, target: Tensor, grid: Size) -> Tensor:
    return view.mean((_lumas(view.image, grid) - target).square())


def _lumas(image: Tensor, grid: Size) -> Tensor:
    """(b, 3, h, w) -> (b, 1, *grid)."""
    return F.adaptive_avg_pool2d(rgb_to_yiq(image)[:, :1], grid)
