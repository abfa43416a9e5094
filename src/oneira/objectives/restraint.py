"""Restraints on the picture itself: smoothness and range. No network is asked."""

from dataclasses import dataclass
from typing import Any, Literal, get_args

import torch
import torch.nn.functional as F
from torch import Tensor

from oneira.errors import PlanError, one_of
from oneira.features.encoder import Encoder
from oneira.images.wrapping import wrap
from oneira.objectives.term import BoundTerm, Size, Term, View

VariationForm = Literal["beta", "l1", "l1-sum", "nine-point", "squares"]


@dataclass(frozen=True)
class TotalVariation(Term):
    """How much neighbouring pixels differ.

    `beta`: the mean of (dx^2 + dy^2)^(beta/2) (Mahendran and Vedaldi 2015, their V^beta, averaged over pixels and
    channels where they sum), beta 2 being the squares; `l1`: the mean of |dx| + |dy|; `l1-sum`: their sum over pixels
    and channels (neural-style-pt's and Hvass-Labs'), which grows with the picture; through a mask it is what it would
    be if all of the picture were as the region is. `squares`: the mean of dx^2 and that of dy^2, each over as many
    differences as there are (anishathalye's), added up. `nine-point`: 2/3 of the mean square of differences to the
    right and below, and 1/6 of that of both diagonal ones (style-transfer-pytorch's), which holds slanted edges no less
    than upright ones. On a linear slope it is the same as beta 2 and `squares`.

    Values are 0 to 1: of a picture of 0 to 255, forms of |dx| are 255 times, forms of squares 255^2 times as much.
    Beyond the border the picture repeats its last pixels; where it `wraps`, there are those of the opposite border, and
    differences over the border count like all others.

    Raises PlanError for an unknown form, and for a beta that the form has no use for.
    """

    beta: float = 2.0
    form: VariationForm = "beta"
    wraps: bool = False

    def __post_init__(self) -> None:
        one_of("form of total variation", self.form, get_args(VariationForm))
        if self.beta != 2 and self.form != "beta":
            raise PlanError(f"a beta of {self.beta} belongs to the form 'beta', not to {self.form!r}")

    @property
    def name(self) -> str:
        """`tv`, as the field calls it."""
        return "tv"

    def bind(self, encoder: Encoder, size: Size) -> BoundTerm:
        """No targets. In parts it is told where they follow the network in what lies beyond the border."""
        if self.wraps == (encoder.variant.padding == "circular"):
            return BoundTerm.by_position(self.name, self._evaluate, aligned=True)
        return BoundTerm(self.name, self._evaluate, aligned=True)

    def _evaluate(self, view: View) -> Tensor:
        if self.form == "beta" and self.beta == 2 and view.mask is None and view.places is None and not self.wraps:
            squares: Tensor = _SquaredDifferences.apply(view.image)  # type: ignore[no-untyped-call]
            return squares / view.image[0].numel()
        if self.wraps:
            right, down = (view.image.roll(-1, axis) - view.image for axis in (3, 2))
        else:
            right, down = _Differences.apply(view.image)  # type: ignore[no-untyped-call]
        if self.form == "nine-point":
            straight = torch.addcmul(right.square(), down, down)
            return view.mean(straight) * 2 / 3 + view.mean(_diagonal_squares(view.image, self.wraps)) / 6
        if self.form == "squares" and not self.wraps:
            return _mean_square(view, right[..., :-1]) + _mean_square(view, down[..., :-1, :])
        if self.form == "l1":
            variation = right.abs() + down.abs()
        elif self.form == "l1-sum":
            variation = (right.abs() + down.abs()) * view.values
        elif self.beta == 2:  # and `squares`, where there are as many differences in either direction
            variation = torch.addcmul(right.square(), down, down)
        else:
            # A root's gradient is infinite where the picture is flat.
            variation = (torch.addcmul(right.square(), down, down) + 1e-8) ** (self.beta / 2)
        return view.mean(variation)


def _mean_square(view: View, differences: Tensor) -> Tensor:
    """(b, c, h, w), on any grid -> a scalar; 0 where there are none, as across a picture of one column."""
    return view.mean(differences.square()) if differences.numel() else differences.sum()


def _diagonal_squares(image: Tensor, wraps: bool) -> Tensor:
    """(b, c, h, w) -> (b, c, h + 1, w + 1): the sum of both diagonal differences' squares, by corner.

    Of a picture that `wraps`, (b, c, h, w): there are as many corners as pixels.
    """
    if wraps:
        padded = wrap(image, (0, 1), (0, 1))
    else:
        # Not torch's padding: its gradient is added up in another order every time on accelerators.
        wide = torch.cat([image[..., :1], image, image[..., -1:]], 3)
        padded = torch.cat([wide[..., :1, :], wide, wide[..., -1:, :]], 2)
    falling = padded[..., 1:, 1:] - padded[..., :-1, :-1]
    rising = padded[..., 1:, :-1] - padded[..., :-1, 1:]
    return falling.square() + rising.square()


class _Differences(torch.autograd.Function):
    """(b, c, h, w) -> what each pixel lacks to its right and to its lower neighbour, twice (b, c, h, w).

    The border repeats itself beyond, so that the last row and column are held to the others too. The gradient of
    slices, as autograd has it, is a picture of zeros for each slice, and their sum.
    """

    @staticmethod
    def forward(ctx: Any, image: Tensor) -> tuple[Tensor, Tensor]:
        right, down = torch.zeros_like(image), torch.zeros_like(image)
        torch.sub(image[..., 1:], image[..., :-1], out=right[..., :-1])
        torch.sub(image[..., 1:, :], image[..., :-1, :], out=down[..., :-1, :])
        return right, down

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        right, down = gradients
        by_image = torch.zeros_like(right)
        by_image[..., 1:] += right[..., :-1]
        by_image[..., :-1] -= right[..., :-1]
        by_image[..., 1:, :] += down[..., :-1, :]
        by_image[..., :-1, :] -= down[..., :-1, :]
        return by_image


class _SquaredDifferences(torch.autograd.Function):
    """The sum of their squares, which most runs ask for, in a third of the passes over the picture."""

    @staticmethod
    def forward(ctx: Any, image: Tensor) -> Tensor:
        right, down = image.diff(dim=3), image.diff(dim=2)
        ctx.save_for_backward(right, down)
        return right.square().sum() + down.square().sum()

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        right, down = ctx.saved_tensors
        by_image = F.pad(right, (1, 0))
        by_image[..., :-1] -= right
        by_image[..., 1:, :] += down
        by_image[..., :-1, :] -= down
        return by_image.mul_(2 * gradients[0])


@dataclass(frozen=True)
class AlphaNorm(Term):
    """The mean of |x - 0.5|^alpha over pixels and channels: keeps values near (Mahendran and Vedaldi 2015).

    They subtract the data's mean and sum; we subtract mid-grey and average.
    """

    alpha: float = 6.0

    def bind(self, encoder: Encoder, size: Size) -> BoundTerm:
        """No targets."""
        return BoundTerm.by_position(self.name, self._evaluate, aligned=True)

    def _evaluate(self, view: View) -> Tensor:
        return view.mean(torch.abs(view.image - 0.5) ** self.alpha)
