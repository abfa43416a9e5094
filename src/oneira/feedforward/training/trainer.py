"""Training an image-to-image network: one generator of steps that can be stopped and resumed anywhere.

Order, crops and styles depend on (seed, step) alone, so that a resumed run sees what an uninterrupted one would have
seen: on a CPU, with the same number of threads, its weights are the same to the bit.
"""

import copy
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from oneira.errors import CheckpointError, PlanError, SynthesisError
from oneira.features.encoder import Encoder
from oneira.features.training.averaging import WeightAverage
from oneira.features.training.checkpoint import require_equal
from oneira.feedforward.training.adding import new_styles_alone
from oneira.feedforward.training.crops import ahead
from oneira.feedforward.training.losses import TERMS, Lessons, PerceptualLosses
from oneira.feedforward.training.pictures import Pictures
from oneira.feedforward.training.ranks import Ranks
from oneira.feedforward.training.settings import StylizerSettings
from oneira.feedforward.training.step import StylizerStep
from oneira.feedforward.training.tasks import Trained, called, styles_of, task_of
from oneira.feedforward.training.watching import Watch
from oneira.objectives import StyleSource

SLOWER = 0.3  # what is left of the rate after weights were taken back


class StylizerTrainer:
    """Owns the network, the average of its weights and the optimiser; `run()` is the loop.

    `styles` in the order of the network's; with an identity, the network has one more. With `adding`, they are the last
    ones of a conditional network, and all that draws the others stays as it is (Dumoulin et al. 2017, section 3.2).
    `pictures` are None for a texture network. `encoder` compares. Of several processes (`ranks`), each takes its share
    of every batch. Raises PlanError where these do not go together.
    """

    def __init__(
        self,
        network: Trained,
        settings: StylizerSettings,
        pictures: Pictures | None,
        styles: Sequence[StyleSource],
        encoder: Encoder,
        *,
        precision: torch.dtype,
        report_every: int = 10,
        ranks: Ranks | None = None,
        adding: bool = False,
    ) -> None:
        self.ranks = Ranks() if ranks is None else ranks
        _require_fit(network, settings, len(styles), self.ranks, adding)
        self.settings = settings
        self.device = encoder.device
        self.precision = precision
        self.report_every = report_every
        self.network = network.to(self.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        first = styles_of(network) - len(styles) if adding else 0
        parameters = new_styles_alone(self.network, first) if adding else list(self.network.parameters())
        self.average = WeightAverage(self.network, settings.average_decay)
        self.optimiser = torch.optim.Adam(parameters, lr=settings.rate, betas=settings.betas)
        self.losses = PerceptualLosses(encoder, settings, dict(enumerate(styles, first)), settings.largest)
        self._digests = [source.digest for source in styles]
        self.task = task_of(network, settings, pictures, range(first, styles_of(network)))
        self.watch = Watch()
        self.step = 0
        self._together = self.ranks.together(self.network)
        self._recent = torch.zeros(1 + 2 * len(TERMS), device=self.device)  # sums since the last report
        self._counted = 0
        self._slowed = 1.0  # factor of the rate
        self._good = self._weights()

    @property
    def total(self) -> int:
        """Steps from the first to the last."""
        return self.settings.steps

    @property
    def finished(self) -> bool:
        """Whether all steps are done."""
        return self.step >= self.total

    def run(self) -> Iterator[StylizerStep]:
        """Yield after every step; who consumes it keeps checkpoints and decides when to stop.

        `state()` may be taken whenever this has yielded. Raises SynthesisError where losses stop being numbers for the
        second time, and where pictures go bad for good (see `Watch`).
        """
        self.network.train()
        with ahead(self._lessons, iter(range(self.step, self.total))) as coming:
            for lessons in coming:
                yield self._descend(lessons.on(self.device))

    def _lessons(self, step: int) -> Lessons:
        """This process's share of a step."""
        batch = self.settings.batch
        return self.task.lessons(self.ranks.share(step * batch, batch), self.settings.side(step))

    def _descend(self, lessons: Lessons) -> StylizerStep:
        side, rate = self.settings.side(self.step), self.settings.rate_at(self.step) * self._slowed
        outputs = called(self._together, self.task.inputs(lessons, self.device), self.device, self.precision)
        # The picture's own gradient comes first: what compares runs in its own precision, the picture in float32.
        pictures = outputs.detach().requires_grad_()
        losses = self.losses(pictures, lessons)
        # Gradients become the processes' mean, and should be their sum.
        (losses.total * (self.ranks.count / self.settings.batch)).backward()
        self.optimiser.zero_grad(set_to_none=True)
        outputs.backward(pictures.grad)
        if self.settings.clip is not None:
            torch.nn.utils.clip_grad_norm_(self.network.parameters(), self.settings.clip)
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        self.optimiser.step()
        self.step += 1
        self.average.update(self.step)
        self._recent += torch.cat([losses.total.detach()[None], losses.sums, losses.counts.to(self.device)])
        self._counted += self.settings.batch
        if self.step % self.report_every and not self.finished:
            return StylizerStep(self.step, self.total, side, rate)
        return self._report(lessons, side, rate)

    def _report(self, lessons: Lessons, side: int, rate: float) -> StylizerStep:
        """Means since the last report; the one place where a step waits for an accelerator."""
        self.ranks.add_up(self._recent)
        total, *rest = self._recent.tolist()
        sums, counts = rest[: len(TERMS)], rest[len(TERMS) :]
        loss = total / self._counted
        self._recent.zero_()
        self._counted = 0
        weights = self._weights()
        if not math.isfinite(loss) or not _finite(weights["network"]):
            return StylizerStep(self.step, self.total, side, rate, note=self._go_back())
        self._good = weights
        by_term = {name: added / n for name, added, n in zip(TERMS, sums, counts, strict=True) if n}
        return StylizerStep(self.step, self.total, side, rate, loss, by_term, self._watched(lessons))

    def _watched(self, lessons: Lessons) -> str:
        inputs = self.task.inputs(lessons, self.device)
        return self.watch.look(self.network, lessons, lambda: called(self.network, inputs, self.device, self.precision))

    def _go_back(self) -> str:
        """To the weights of the last good report; SynthesisError where that was done before."""
        told = f"the loss is no number any more at step {self.step} of {self.total}"
        if self._slowed < 1:
            raise SynthesisError(f"{told}, for the second time: lower the learning rate ({self.settings.rate:g})")
        self._slowed = SLOWER
        self._restore_weights(self._good)
        return f"{told}: the weights of the report before are taken back, and the rate is {SLOWER:g} of what it was"

    def _weights(self) -> dict[str, Any]:
        """A copy of what a step changes."""
        return copy.deepcopy(
            {
                "network": self.network.state_dict(),
                "average": self.average.weights,
                "optimiser": self.optimiser.state_dict(),
            }
        )

    def _restore_weights(self, weights: Mapping[str, Any]) -> None:
        self.network.load_state_dict(weights["network"])
        self.average.restore(weights["average"])
        self.optimiser.load_state_dict(copy.deepcopy(weights["optimiser"]))

    def averaged(self) -> Trained:
        """A network of the averaged weights, in eval mode."""
        network: Trained = self.average.averaged()
        return network.eval()

    def state(self) -> dict[str, Any]:
        """Everything that `restore` needs."""
        return {
            **self._weights(),
            "good": self._good,
            "step": self.step,
            "recent": self._recent.clone(),
            "counted": self._counted,
            "slowed": self._slowed,
            "watch": self.watch.state(),
            "settings": self._told(),
        }

    def _told(self) -> dict[str, Any]:
        return {**self.settings.model_dump(mode="json"), "data": self.task.identity, "styles": self._digests}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from `state()`.

        Raises CheckpointError where it was made with other settings or data, saying which, or for another network.
        """
        try:
            require_equal(state["settings"], self._told())
            self._restore_weights(state)
            self._good = state["good"]
            self.step = int(state["step"])
            self._recent.copy_(state["recent"])
            self._counted = int(state["counted"])
            self._slowed = float(state["slowed"])
            self.watch.restore(state["watch"])
        except (RuntimeError, KeyError, ValueError, TypeError) as error:
            raise CheckpointError(f"not a checkpoint of this network: {str(error).splitlines()[0]}") from error


def _finite(weights: Mapping[str, Tensor]) -> bool:
    return all(bool(value.isfinite().all()) for value in weights.values())


def _require_fit(network: Trained, settings: StylizerSettings, styles: int, ranks: Ranks, adding: bool) -> None:
    known, taught = styles_of(network), styles + settings.identity
    if adding and settings.identity:
        raise PlanError("an identity style is taught from the beginning; it cannot be added to a trained network")
    if known != taught and not (adding and 0 < styles < known):
        raise PlanError(f"the network has {known} styles, and {taught} are to be taught, an identity counted")
    if settings.style_weights and len(settings.style_weights) != styles:
        raise PlanError(f"every style needs one weight: {styles}, not {len(settings.style_weights)}")
    if settings.batch < ranks.count:
        raise PlanError(f"a batch of {settings.batch} is less than the {ranks.count} processes that share it")
