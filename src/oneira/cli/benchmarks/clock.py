"""Seconds, taken in turns: what slows the machine down for a while slows down all that is compared."""

import time
from collections.abc import Callable, Mapping
from statistics import median

import torch

from oneira.features.hardware import choose_device


def medians_in_turns(runs: Mapping[str, Callable[[], object]], rounds: int, device: str) -> dict[str, float]:
    """The median seconds of each of `runs`, one after the other in every one of the `rounds`."""
    taken: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(rounds):
        for name, run in runs.items():
            taken[name].append(_seconds(run, device))
    return {name: median(seconds) for name, seconds in taken.items()}


def _seconds(run: Callable[[], object], device: str) -> float:
    accelerated = choose_device(device).type != "cpu"
    if accelerated:
        torch.accelerator.synchronize()
    started = time.perf_counter()
    run()
    if accelerated:
        torch.accelerator.synchronize()
    return time.perf_counter() - started
