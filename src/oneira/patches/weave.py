"""The noun of this package: a picture made of a sample's own pixels, declared."""

from abc import abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from oneira.errors import PlanError
from oneira.images import resize
from oneira.patches.matching import check_picture, largest_square
from oneira.synthesis.run import Declaration, Means, Run


@dataclass(frozen=True)
class Look:
    """The picture so far (1, 3, h, w), always at the size of the result.

    `done`: how many pixels have been set, of the `total` of the Weave. `level` counts from 0, the coarsest; `size` is
    the (height, width) that is worked at there.
    """

    done: int
    picture: Tensor
    size: tuple[int, int]
    level: int = 0


@dataclass(frozen=True, eq=False)
class Weave(Declaration):
    """A picture of `size` (height, width) of which every pixel is one of the sample's. Declaring one makes nothing.

    `sample`: (1, 3, h, w) in [0, 1]. `mask`: (1, 1, h', w') in [0, 1], resized to the sample; what is copied comes from
    where it is 0.5 or more. Everything that cannot be is refused here, by a PlanError, before anything is computed.
    """

    sample: Tensor
    size: tuple[int, int]
    mask: Tensor | None = None

    def __post_init__(self) -> None:
        check_picture("sample", self.sample)
        if min(self.size) < 1:
            raise PlanError(f"a picture has at least 1x1 pixels, not {self.size[1]}x{self.size[0]}")
        if self.mask is not None:
            _check_mask(self.mask)
            if self.room == 0:
                raise PlanError("the mask is black everywhere: nothing could be copied; white marks what may")

    @property
    @abstractmethod
    def total(self) -> int:
        """How many pixels are set in all; those of coarser levels and of earlier passes count as well."""

    @abstractmethod
    def looks(self, generator: torch.Generator) -> Iterator[Look]:
        """Make the picture, with a Look now and then, one at the end among them.

        The generator alone decides: the same bytes on any machine, for any number of threads.
        """

    def begin(self, means: Means) -> Run:
        """A Patchwork. It asks no network: PlanError for a device, precision, weights or limit of memory."""
        from oneira.patches.patchwork import Patchwork  # which reads weaves

        told = {
            "--device": means.device not in ("auto", "cpu"),
            "--precision": means.precision not in ("auto", "float32"),
            "--weights": bool(means.weights),
            "--max-memory": means.max_memory is not None,
        }
        for option, wrong in told.items():
            if wrong:
                raise PlanError(f"{option} is for networks, and this method copies pixels without one: leave it out")
        return Patchwork(self, seed=means.seed)

    @cached_property
    def inside(self) -> Tensor:
        """(h, w): which of the sample's pixels may be copied."""
        height, width = self.sample.shape[2:]
        if self.mask is None:
            return torch.ones(height, width, dtype=torch.bool)
        return resize(self.mask, (height, width))[0, 0] >= 0.5

    @cached_property
    def room(self) -> int:
        """The side of the largest square that may be copied."""
        return largest_square(self.inside)

    def require_room(self, what: str, side: int, smallest: int) -> None:
        """Raise PlanError unless squares of `side` pixels, at least `smallest`, lie in what may be copied."""
        if not smallest <= side <= self.room:
            most = f": {smallest} to {self.room} do" if self.room >= smallest else f", nor does any from {smallest}"
            raise PlanError(f"a {what} of {side} pixels does not fit {self.ground}{most}")

    @property
    def ground(self) -> str:
        """What is copied from, for errors."""
        sample = f"a sample of {self.sample.shape[3]}x{self.sample.shape[2]} pixels"
        return sample if self.mask is None else f"inside the mask of {sample}"


def _check_mask(mask: Tensor) -> None:
    if mask.ndim != 4 or mask.shape[:2] != (1, 1) or mask.numel() == 0:
        raise PlanError(f"a mask is (1, 1, height, width), not {tuple(mask.shape)}")
    darkest, brightest = float(mask.min()), float(mask.max())
    if not (darkest >= 0 and brightest <= 1):
        raise PlanError(f"a mask lies between 0 and 1, not between {darkest:g} and {brightest:g}")
