"""The noun of this package: a picture of what a network does, computed and not optimised, declared."""

from abc import abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from oneira.errors import PlanError
from oneira.features.encoder import Encoder
from oneira.synthesis.run import Declaration, Means, Run


@dataclass(frozen=True, eq=False)
class Study(Declaration):
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

    def begin(self, means: Means) -> Run:
        """An Examination. Its memory is not foretold: PlanError where a limit is told."""
        from oneira.inspection.examination import Examination  # which reads studies

        if means.max_memory is not None:
            raise PlanError("--max-memory is foretold for what is optimised, not for this: leave it out")
        return Examination(
            self,
            seed=means.seed,
            device=means.device,
            precision=means.precision,
            weights=means.weights,
            offline=means.offline,
            progress=means.progress,
        )
