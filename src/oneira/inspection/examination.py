"""The run that makes a picture of what a network does."""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor

from oneira.errors import CheckpointError, SynthesisError
from oneira.features.encoder import Encoder
from oneira.features.hardware import choose_device, choose_precision
from oneira.features.weights import Progress
from oneira.inspection.study import Study
from oneira.synthesis.fingerprint import fingerprint
from oneira.synthesis.memory import memory_told
from oneira.synthesis.run import Run, State, is_whole, require_seed
from oneira.synthesis.steps import Step


class Examination(Run):
    """A run of `study`. Nothing is minimised: the loss of each Step is 0, without terms.

    The arguments are those of `Synthesis`; a `precision` of `auto` is float32, because what is looked at are small
    differences. Raises PlanError for a seed that no recipe can hold, and what `study.check` raises. Iterating raises
    SynthesisError where memory does not suffice.
    """

    def __init__(
        self,
        study: Study,
        *,
        seed: int = 0,
        device: str = "auto",
        precision: str = "auto",
        weights: Mapping[str, Path] = MappingProxyType({}),
        offline: bool = False,
        progress: Progress | None = None,
    ) -> None:
        require_seed(seed)
        self.study = study
        self.seed = seed
        self.device = choose_device(device)
        self.precision = choose_precision("float32" if precision == "auto" else precision, self.device)
        self._encoder = Encoder(
            device=self.device, precision=self.precision, weights=weights, offline=offline, progress=progress
        )
        study.check(self._encoder)
        self._fingerprint = fingerprint(study)
        self._before = 0  # parts that a checkpoint had, to be done again
        self._weights_before: Mapping[str, str] = {}
        self._begin()

    def _begin(self) -> None:
        self._pictures = self.study.pictures(self._encoder, torch.Generator().manual_seed(self.seed))
        self._done = 0
        self._total = 0
        self._draw: Callable[[], Tensor] | None = None

    def __iter__(self) -> Iterator[Step]:
        self._catch_up()
        while self._advanced():
            yield Step(
                scale=0,
                size=self.study.size,
                index=self._done,
                done=self._done,
                total=self._total,
                loss=0.0,
                losses={},
                render=lambda: self.image,
            )

    def _advanced(self) -> bool:
        """One part further; False at the end."""
        with memory_told(self.study.size):
            made = next(self._pictures, None)
        if made is None:
            return False
        self._done, self._total, self._draw = made
        for name, digest in self._encoder.digests.items():
            if self._weights_before.get(name, digest) != digest:
                raise CheckpointError(f"the checkpoint was computed with other weights of {name}; start without it")
        return True

    def _catch_up(self) -> None:
        """Do again what a checkpoint had done."""
        while self._done < self._before and self._advanced():
            pass
        if self._done < self._before:
            came = f"{self._before} parts done, of {self._done}"
            raise CheckpointError(f"the checkpoint is damaged ({came}); start without it")

    @property
    def image(self) -> Tensor:
        """The picture so far (1, 3, h, w). Raises SynthesisError before there is any."""
        self._catch_up()
        if self._draw is None:
            raise SynthesisError("nothing has been computed yet")
        return self._draw().detach().float().clamp(0, 1).cpu().clone()

    @property
    def digests(self) -> Mapping[str, str]:
        """Of the networks that were asked."""
        return {**self._weights_before, **self._encoder.digests}

    def state(self) -> State:
        """How far the run is: everything else follows from the declaration and the seed."""
        return {
            "fingerprint": self._fingerprint,
            "seed": self.seed,
            "precision": str(self.precision),
            "threads": torch.get_num_threads(),
            "weights": dict(self.digests),
            "done": max(self._done, self._before),
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from where `state()` was taken, by doing again what had been done, which is a matter of seconds.

        That is left to the first step, or to who asks for the picture: by then, as many threads compute as did before.
        Raises CheckpointError if it was taken from another declaration, seed or precision, or is damaged; iterating
        does where weights are others.
        """
        known = {"fingerprint": self._fingerprint, "seed": self.seed, "precision": str(self.precision)}
        if any(state.get(name) != value for name, value in known.items()):
            raise CheckpointError("the checkpoint belongs to other settings or pictures; start without it")
        done, threads, weights = state.get("done"), state.get("threads"), state.get("weights")
        if not (is_whole(done, 0) and is_whole(threads, 1) and isinstance(weights, Mapping)):
            raise CheckpointError(f"the checkpoint is damaged ({done!r} done, {threads!r} threads); start without it")
        self._before, self._weights_before = done, dict(weights)
        self._begin()
