"""How a picture comes from one scale to the next: resized, as detail, blended, or as the start of something new."""

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from oneira.errors import PlanError
from oneira.images import match_mean_covariance, resize
from oneira.synthesis.turning import turn


@dataclass(frozen=True)
class Blend:
    """The picture, resized, with `share` of the start mixed in (Hvass-Labs' recursive DeepDream: 0.2)."""

    share: float = 0.2

    def __post_init__(self) -> None:
        if not 0 <= self.share <= 1:
            raise PlanError(f"the share of the start in a blend lies between 0 and 1, not {self.share}")


class Transition(ABC):
    """Makes a new start of the picture that the scales so far have led to; a leg of a journey begins with it."""

    @abstractmethod
    def __call__(self, picture: Tensor) -> Tensor | None:
        """(b, 3, h, w) in [0, 1] -> the same shape and range; None stands for the plan's own start."""


@dataclass(frozen=True)
class Anew(Transition):
    """Nothing of the picture: the leg begins as the first one did, with noise of its own."""

    def __call__(self, picture: Tensor) -> None:
        """The plan's own start."""


@dataclass(frozen=True, eq=False)
class Mix(Transition):
    """`share` of `original` (1, 3, h, w), the rest the picture: a dream within a dream that stays near its origin."""

    original: Tensor
    share: float = 0.2

    def __post_init__(self) -> None:
        if not 0 <= self.share <= 1:
            raise PlanError(f"the share of the original in a mix lies between 0 and 1, not {self.share}")

    def __call__(self, picture: Tensor) -> Tensor:
        """The original is resized to the picture."""
        original = resize(self.original.to(picture.device), (picture.shape[2], picture.shape[3]))
        return torch.lerp(picture, original.expand_as(picture), self.share)


@dataclass(frozen=True, eq=False)
class Zoom(Transition):
    """The middle, magnified by `factor` and turned by `degrees` counter-clockwise: one frame of a dive.

    `palette` (1, 3, h, w): the mean and covariance of its colours are given to every frame; without, what dreams add
    adds up, frame by frame, until colours burn out.
    """

    factor: float = 1.02
    degrees: float = 0.0
    palette: Tensor | None = None

    def __post_init__(self) -> None:
        if not (math.isfinite(self.factor) and self.factor > 0 and math.isfinite(self.degrees)):
            raise PlanError(f"cannot zoom by {self.factor} and turn by {self.degrees} degrees")

    def __call__(self, picture: Tensor) -> Tensor:
        """What comes in from outside is the picture's own reflection."""
        # Bicubic: a dive resamples its picture hundreds of times, and bilinear sampling would blur it away.
        turned = turn(picture, math.radians(self.degrees), self.factor, mode="bicubic")
        if self.palette is not None:
            turned = match_mean_covariance(turned, self.palette.to(turned.device))
        return turned.clamp(0, 1)


# `result`: the whole picture, resized; `detail`: only what was added to the start (google/deepdream).
Carry = Literal["result", "detail"] | Blend
