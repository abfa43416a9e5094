"""From what a technique plans to the run that makes it."""

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from oneira.errors import PlanError
from oneira.features.weights import Progress
from oneira.inspection import Examination, Study
from oneira.patches import Patchwork, Weave
from oneira.synthesis.loop import Synthesis
from oneira.synthesis.plan import Plan
from oneira.synthesis.run import Run


def begin(
    plan: Plan | Weave | Study,
    *,
    seed: int = 0,
    device: str = "auto",
    precision: str = "auto",
    weights: Mapping[str, Path] = MappingProxyType({}),
    offline: bool = False,
    progress: Progress | None = None,
    max_memory: int | None = None,
) -> Run:
    """A run of `plan`; the arguments are those of `Synthesis`.

    What is copied asks no network: PlanError for a device, precision, weights or limit of memory that is told.
    """
    if isinstance(plan, Weave):
        told = {"--device": device not in ("auto", "cpu"), "--precision": precision not in ("auto", "float32")}
        for option, wrong in (told | {"--weights": bool(weights), "--max-memory": max_memory is not None}).items():
            if wrong:
                raise PlanError(f"{option} is for networks, and this method copies pixels without one: leave it out")
        return Patchwork(plan, seed=seed)
    if isinstance(plan, Study):
        if max_memory is not None:
            raise PlanError("--max-memory is foretold for what is optimised, not for this: leave it out")
        return Examination(
            plan, seed=seed, device=device, precision=precision, weights=weights, offline=offline, progress=progress
        )
    return Synthesis(
        plan,
        seed=seed,
        device=device,
        precision=precision,
        weights=weights,
        offline=offline,
        progress=progress,
        max_memory=max_memory,
    )
