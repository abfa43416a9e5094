"""An exponential average of the iterates: calmer than the last one, at no cost."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor


class Average:
    """`decay` 0 means no average. The start is corrected for, as in Adam, so that a short run is not pulled to zero."""

    def __init__(self, decay: float) -> None:
        self.decay = decay
        self._count = 0
        self._sums: list[Tensor] = []

    @torch.no_grad()
    def add(self, parameters: Sequence[Tensor]) -> None:
        """Take the parameters' present values into the average."""
        if not self.decay:
            return
        if not self._sums:
            self._sums = [torch.zeros_like(p) for p in parameters]
        for total, parameter in zip(self._sums, parameters, strict=True):
            total.lerp_(parameter.detach(), 1 - self.decay)
        self._count += 1

    @contextmanager
    def shown_on(self, parameters: Sequence[Tensor]) -> Iterator[None]:
        """Within, `parameters` hold the average; afterwards, what they held."""
        if not self._count:
            yield
            return
        held = [p.detach().clone() for p in parameters]
        correction = 1 - self.decay**self._count
        with torch.no_grad():
            for parameter, total in zip(parameters, self._sums, strict=True):
                parameter.copy_(total / correction)
        try:
            yield
        finally:
            with torch.no_grad():
                for parameter, value in zip(parameters, held, strict=True):
                    parameter.copy_(value)

    def state(self, *, copy: bool = False) -> dict[str, Any]:
        """For a checkpoint; where the average may go on before it is written, a `copy`."""
        sums = [total.clone() if copy else total.cpu() for total in self._sums]
        return {"count": self._count, "sums": sums}

    def restore(self, state: Mapping[str, Any], device: torch.device) -> None:
        """From a checkpoint."""
        self._count = int(state["count"])
        self._sums = [total.to(device, copy=True) for total in state["sums"]]
