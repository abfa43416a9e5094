"""A picture drawn again in one pass of a network: the declaration, and the run that makes it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from oneira.errors import CheckpointError, PlanError
from oneira.feedforward.painter import Brush, Painter
from oneira.synthesis.fingerprint import fingerprint
from oneira.synthesis.run import Declaration, Means, Run, State, require_seed
from oneira.synthesis.steps import Step


@dataclass(frozen=True, eq=False)
class Redrawing(Declaration):
    """`picture` (1, 3, h, w), painted with `brush`."""

    picture: Tensor
    brush: Brush

    def begin(self, means: Means) -> Run:
        """A SinglePass. PlanError for other weights, or a limit of memory."""
        if means.weights:
            raise PlanError("--weights is for networks that look at pictures; what paints is told by --network")
        if means.max_memory is not None:
            raise PlanError("--max-memory is foretold for what is optimised, not for this: leave it out")
        return SinglePass(self, self.brush.painter(means.device, means.precision), seed=means.seed)


class SinglePass(Run):
    """A run of `redrawing` by its `painter`. Nothing is minimised: the one Step has a loss of 0, without terms.

    Nothing in it is random either; PlanError for a seed that no recipe can hold.
    """

    def __init__(self, redrawing: Redrawing, painter: Painter, *, seed: int = 0) -> None:
        require_seed(seed)
        self.redrawing = redrawing
        self.seed = seed
        self.device = painter.device
        self.precision = painter.precision
        self._painter = painter
        self._drawn: Tensor | None = None

    def __iter__(self) -> Iterator[Step]:
        drawn = self.image
        yield Step(
            scale=0,
            size=(drawn.shape[2], drawn.shape[3]),
            index=1,
            done=1,
            total=1,
            loss=0.0,
            losses={},
            render=lambda: self.image,
        )

    @property
    def image(self) -> Tensor:
        """The picture (1, 3, h, w), drawn when it is first asked for."""
        if self._drawn is None:
            self._drawn = self._painter(self.redrawing.picture)
        return self._drawn.clone()

    @property
    def digests(self) -> Mapping[str, str]:
        """Of the network that paints."""
        return self.redrawing.brush.digests

    def state(self) -> State:
        """Which picture it is: all else is done again, in one pass."""
        return {
            "fingerprint": fingerprint(self.redrawing),
            "precision": str(self.precision),
            "threads": torch.get_num_threads(),
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """See that `state()` was taken from the same picture; CheckpointError where it was not."""
        known = {"fingerprint": fingerprint(self.redrawing), "precision": str(self.precision)}
        if any(state.get(name) != value for name, value in known.items()):
            raise CheckpointError("the checkpoint belongs to other settings or pictures; start without it")
