"""From what a technique plans to the run that makes it."""

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from oneira.features.weights import Progress
from oneira.synthesis.run import Declaration, Means, Run


def begin(
    plan: Declaration,
    *,
    seed: int = 0,
    device: str = "auto",
    precision: str = "auto",
    weights: Mapping[str, Path] = MappingProxyType({}),
    offline: bool = False,
    progress: Progress | None = None,
    max_memory: int | None = None,
) -> Run:
    """A run of `plan`; the arguments are those of `Synthesis`. PlanError for those that such a plan has no use for."""
    return plan.begin(Means(seed, device, precision, weights, offline, progress, max_memory))
