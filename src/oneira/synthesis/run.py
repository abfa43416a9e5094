"""A picture in the making, however it is made: what whoever shows, saves and stops one needs to know."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeGuard

import torch
from torch import Tensor

from oneira.errors import PlanError
from oneira.features.encoder import Shelf
from oneira.features.weights import Progress
from oneira.images import current_versions
from oneira.images.opening import sha256_of
from oneira.synthesis.steps import Outcome, Step

State = dict[str, Any]

SEEDS = 2**63  # what a recipe can hold


def is_whole(value: object, least: int) -> TypeGuard[int]:
    """Whether what a checkpoint holds is a whole number of at least `least`."""
    return isinstance(value, int) and not isinstance(value, bool) and value >= least


def require_seed(seed: int) -> None:
    """PlanError for a seed that no recipe can hold."""
    if not 0 <= seed < SEEDS:
        raise PlanError(f"a seed is a whole number of at least 0 and below 2^63, not {seed}")


@dataclass(frozen=True, eq=False)
class Means:
    """What a picture is made with; the fields are the arguments of `Synthesis`."""

    seed: int = 0
    device: str = "auto"
    precision: str = "auto"
    weights: Mapping[str, Path] = field(default_factory=lambda: MappingProxyType({}))
    offline: bool = False
    progress: Progress | None = None
    max_memory: int | None = None
    shelf: Shelf | None = None

    def told(self) -> dict[str, Any]:
        """All of it that decides the bytes of what is made, as JSON: what a job that goes on later must meet again."""
        return {
            "seed": self.seed,
            "device": self.device,
            "precision": self.precision,
            "threads": torch.get_num_threads(),
            "weights": {name: sha256_of(path, "weights") for name, path in self.weights.items()},
            "versions": current_versions(),
        }


class Declaration(ABC):
    """Everything that decides a picture, as data. Declaring one computes nothing."""

    @abstractmethod
    def begin(self, means: Means) -> "Run":
        """The run that makes it. Raises PlanError for means that it has no use for."""


class Run(ABC):
    """Iterate over it once; stop iterating, or close the iterator, and nothing is left running.

    `state()` between two steps is all that is needed to go on later, to the same bytes.
    """

    seed: int
    device: torch.device
    precision: torch.dtype

    @abstractmethod
    def __iter__(self) -> Iterator[Step]:
        """Make the picture, a Step after each step."""

    @property
    @abstractmethod
    def image(self) -> Tensor:
        """The picture so far (b, 3, h, w), float32 in [0, 1], on the CPU."""

    @abstractmethod
    def state(self) -> State:
        """Everything that the steps to come depend on, until the next step is taken; `restore` takes it.

        Among it is `threads`, the number that it was computed with.
        """

    @abstractmethod
    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from where `state()` was taken. Raises CheckpointError where it is not this run's, or damaged."""

    @property
    def stages(self) -> Mapping[int, str]:
        """The names of the stages, by the scale that they end with."""
        return MappingProxyType({})

    @property
    def outcomes(self) -> Mapping[str, Outcome]:
        """What the stages that are done ended with, by name, where they are collected."""
        return MappingProxyType({})

    @property
    def digests(self) -> Mapping[str, str]:
        """SHA-256 of the weights of every backbone that the picture so far was computed with."""
        return MappingProxyType({})

    def settle(self) -> str | None:
        """Choose how to run, where there is a choice, and say how. Iterating begins with it."""
        return None
