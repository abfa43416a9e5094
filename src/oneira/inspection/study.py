"""The noun of this package: a picture of what a network does, computed and not optimised, declared."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from oneira.features.encoder import Encoder


@dataclass(frozen=True, eq=False)
class Study(ABC):
    """Declaring one computes nothing."""

    @property
    @abstractmethod
    def size(self) -> tuple[int, int]:
        """(height, width) of what the network sees; (0, 0) where it sees nothing."""

    @abstractmethod
    def check(self, encoder: Encoder) -> None:
        """Raise AddressError or PlanError for what cannot be, before any weights are read."""

    @abstractmethod
    def pictures(self, encoder: Encoder, generator: torch.Generator) -> Iterator[tuple[int, int, Callable[[], Tensor]]]:
        """Make it: (done, of how many, what draws the picture so far (1, 3, h, w) in [0, 1]); the last is the whole.

        The number of parts may only be known when the network has been asked. Drawing may cost more than a part does,
        so that it is left to who wants to see it.
        """
