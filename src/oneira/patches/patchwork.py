"""The run that makes a picture of a sample's own pixels."""

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor

from oneira.errors import CheckpointError
from oneira.patches.weave import Look, Weave
from oneira.synthesis.fingerprint import fingerprint
from oneira.synthesis.run import Run, State, is_whole, require_seed
from oneira.synthesis.steps import Step


class Patchwork(Run):
    """A run of `weave`, on the processor. Nothing is minimised: the loss of each Step is 0, without terms.

    `done` and `total` of a Step count pixels, see `Weave.total`; `scale` is the level. Raises PlanError for a seed that
    no recipe can hold.
    """

    def __init__(self, weave: Weave, *, seed: int = 0) -> None:
        require_seed(seed)
        self.weave = weave
        self.seed = seed
        self.device = torch.device("cpu")
        self.precision = torch.float32
        self._fingerprint = fingerprint(weave)
        self._begin()

    def _begin(self) -> None:
        self._looks = self.weave.looks(torch.Generator().manual_seed(self.seed))
        self._look = Look(0, torch.zeros(1, 3, *self.weave.size), self.weave.size)
        self._index = 0

    def __iter__(self) -> Iterator[Step]:
        while self._advanced():
            yield Step(
                scale=self._look.level,
                size=self._look.size,
                index=self._index,
                done=self._look.done,
                total=self.weave.total,
                loss=0.0,
                losses={},
                render=lambda: self.image,
            )

    def _advanced(self) -> bool:
        """One look further; False at the end."""
        look = next(self._looks, None)
        if look is None:
            return False
        self._index = self._index + 1 if look.level == self._look.level else 1
        self._look = look
        return True

    @property
    def image(self) -> Tensor:
        """The picture so far (1, 3, h, w), always at the size of the result; black where nothing is yet."""
        return self._look.picture.clone()

    def state(self) -> State:
        """How far the run is: everything else follows from the declaration and the seed."""
        return {
            "fingerprint": self._fingerprint,
            "seed": self.seed,
            "threads": torch.get_num_threads(),
            "done": self._look.done,
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from where `state()` was taken, by doing again, here and now, what had been done.

        The seed decides every pixel and no network is asked, so that this ends in the same bytes; it takes as long as
        it took, and a checkpoint of a few numbers cannot disagree with itself. Raises CheckpointError if it was taken
        from another declaration or seed, or is damaged.
        """
        if state.get("fingerprint") != self._fingerprint or state.get("seed") != self.seed:
            raise CheckpointError("the checkpoint belongs to other settings or pictures; start without it")
        done, threads = state.get("done"), state.get("threads")
        if not (is_whole(threads, 1) and is_whole(done, 0) and done <= self.weave.total):
            raise CheckpointError(f"the checkpoint is damaged ({done!r} done, {threads!r} threads); start without it")
        self._begin()
        while self._look.done < done and self._advanced():
            pass
        if self._look.done != done:
            raise CheckpointError(f"the checkpoint is damaged (no step ends at {done} pixels); start without it")
