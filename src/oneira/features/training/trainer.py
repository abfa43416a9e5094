"""Training a backbone: one generator that yields what happened, and can be stopped and resumed anywhere.

Order and augmentation depend on (seed, step) alone, so that a resumed run sees what an uninterrupted one would have
seen: on a CPU, with the same number of threads, its weights are the same to the bit.
"""

import math
from collections.abc import Iterator, Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from oneira.errors import CheckpointError, DataError, PlanError, SynthesisError
from oneira.features.preprocessing import IMAGENET
from oneira.features.training.augmentation import AS_THEY_ARE, Augmentation
from oneira.features.training.averaging import WeightAverage, measured_anew
from oneira.features.training.checkpoint import require_equal
from oneira.features.training.dataset import LabelledPictures
from oneira.features.training.evaluation import Accuracy, evaluate
from oneira.features.training.settings import TrainingSettings
from oneira.features.training.step import TrainingStep

AVERAGED_EVERY = 2  # steps between two updates of the average of the weights: half the cost, and as good
MEASURED = 24  # batches that batch norm's statistics are measured on


class Trainer:
    """Owns the network, the average of its weights and the optimiser; `run()` is the loop.

    `network` is a `pocket` with batch norm. Raises DataError where training and validation data do not belong together
    or to the network, PlanError where the settings do not go with them.
    """

    def __init__(
        self,
        network: nn.Sequential,
        settings: TrainingSettings,
        training: LabelledPictures,
        validation: LabelledPictures,
        *,
        device: torch.device,
        precision: torch.dtype,
        report_every: int = 20,
    ) -> None:
        _require_fit(network, settings, training, validation)
        self.settings = settings
        self.training = training
        self.validation = validation
        self.device = device
        self.precision = precision
        self.report_every = report_every
        self.network = network.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.average = WeightAverage(self.network, settings.average_decay)
        matrices = [weight for weight in self.network.parameters() if weight.ndim > 1]
        vectors = [weight for weight in self.network.parameters() if weight.ndim == 1]
        self.optimiser = torch.optim.SGD(
            [{"params": matrices, "weight_decay": settings.weight_decay}, {"params": vectors, "weight_decay": 0.0}],
            lr=0.0,
            momentum=settings.momentum,
            nesterov=True,
        )
        self.step = 0
        self.epochs_done = 0  # trained and validated
        self._recent = torch.zeros(2, device=device)  # sums of loss and accuracy over `_counted` steps
        self._counted = 0
        # The preprocessing's constants, moved once: sent with every batch, they would make an accelerator wait.
        black = IMAGENET(torch.zeros(1, 3, 1, 1))
        self._shift, self._gain = black.to(device), (IMAGENET(torch.ones(1, 3, 1, 1)) - black).to(device)

    @property
    def steps_per_epoch(self) -> int:
        """Whole batches in the data; what is left over comes in another epoch."""
        return len(self.training) // self.settings.batch

    @property
    def total(self) -> int:
        """Steps from the first to the last."""
        return self.steps_per_epoch * self.settings.epochs

    @property
    def validation_due(self) -> bool:
        """Whether the last step of an epoch is done and the next thing is to validate."""
        return self.step == (self.epochs_done + 1) * self.steps_per_epoch

    @property
    def finished(self) -> bool:
        """Whether all epochs are trained and validated."""
        return self.epochs_done == self.settings.epochs

    def run(self) -> Iterator[TrainingStep]:
        """Yield after every step and every validation; who consumes it keeps checkpoints and decides when to stop.

        `state()` may be taken whenever this has yielded. Raises SynthesisError where the loss stops being a number.
        """
        self.network.train()
        for epoch in range(self.epochs_done, self.settings.epochs):
            order = torch.randperm(len(self.training), generator=self.settings.generator("order", epoch))
            batches = order.split(self.settings.batch)
            for index in range(self.step - epoch * self.steps_per_epoch, self.steps_per_epoch):
                yield self._descend(epoch, batches[index])
            yield self._validate(epoch)

    def _descend(self, epoch: int, chosen: Tensor) -> TrainingStep:
        side, rate = self.settings.side(epoch), self.settings.rate(self.step / self.total)
        inputs = self._inputs(chosen, side, self.settings.generator("crops", self.step), self.settings.augmentation)
        labels = self._sent(self.training.labels[chosen])
        logits = self._logits(self.network, inputs)
        loss = F.cross_entropy(logits, labels, label_smoothing=self.settings.label_smoothing)
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        self.optimiser.step()
        right = (logits.detach().argmax(1) == labels).float().mean()
        self._recent += torch.stack([loss.detach(), right])
        self._counted += 1
        self.step += 1
        if self.step % AVERAGED_EVERY == 0:
            self.average.update(self.step // AVERAGED_EVERY)
        if self.step % self.report_every != 0:
            return TrainingStep(epoch + 1, self.step, self.total, side, rate)
        return TrainingStep(epoch + 1, self.step, self.total, side, rate, *self._report())

    def _validate(self, epoch: int) -> TrainingStep:
        side, rate = self.settings.side(epoch), self.settings.rate(self.step / self.total)
        loss, accuracy = self._report() if self._counted else (None, None)
        plain, averaged = self.check(self.network), self.check(self.averaged())
        self.epochs_done = epoch + 1
        return TrainingStep(epoch + 1, self.step, self.total, side, rate, loss, accuracy, plain, averaged)

    def _report(self) -> tuple[float, float]:
        """Mean loss and accuracy since the last report; the one place where a step waits for an accelerator."""
        loss, accuracy = (self._recent / self._counted).tolist()
        if not math.isfinite(loss):
            raise SynthesisError(
                f"the loss is no number any more at step {self.step} of {self.total}: lower the learning rate "
                f"(its peak is {self.settings.peak_rate:g}); the last checkpoint is from before"
            )
        self._recent.zero_()
        self._counted = 0
        return loss, accuracy

    def _inputs(self, chosen: Tensor, side: int, generator: torch.Generator, augmentation: Augmentation) -> Tensor:
        pictures = augmentation(self._sent(self.training.pictures[chosen]), side, generator)
        return torch.addcmul(self._shift, pictures, self._gain).contiguous(memory_format=torch.channels_last)

    def _sent(self, tensor: Tensor) -> Tensor:
        """The tensor on the device; only from pinned memory can it be on its way while the host goes on."""
        pinned = tensor.pin_memory() if self.device.type == "cuda" else tensor
        return pinned.to(self.device, non_blocking=True)

    def _logits(self, network: nn.Module, inputs: Tensor) -> Tensor:
        with torch.autocast(self.device.type, self.precision, enabled=self.precision != torch.float32):
            logits: Tensor = network(inputs)
        return logits.float()

    def check(self, network: nn.Module) -> Accuracy:
        """How often `network` is right about the validation data."""
        return evaluate(network, self.validation, precision=self.precision)

    def averaged(self) -> nn.Sequential:
        """A network of the averaged weights, in eval mode."""
        return self.measured_anew(self.average.averaged())

    def measured_anew(self, network: nn.Sequential) -> nn.Sequential:
        """`network` with batch-norm statistics of the pictures as they are, at the side of the validation data.

        Those from training are of smaller, cropped pictures: half way through a training at 40 pixels, an average of
        the weights was right about 40 % of Tiny ImageNet with them, about 44 % with these.
        """
        return measured_anew(network, self._whole_pictures(), self.precision)

    def _whole_pictures(self) -> Iterator[Tensor]:
        order = torch.randperm(len(self.training), generator=self.settings.generator("statistics"))
        for chosen in order.split(self.settings.batch)[: min(MEASURED, self.steps_per_epoch)]:
            yield self._inputs(chosen, self.validation.side, self.settings.generator("statistics"), AS_THEY_ARE)

    def state(self) -> dict[str, Any]:
        """Everything that `restore` needs. Raises SynthesisError where weights are no numbers any more."""
        network = self.network.state_dict()
        if not all(bool(value.isfinite().all()) for value in network.values()):
            raise SynthesisError(f"the weights are no numbers any more at step {self.step}: lower the learning rate")
        return {
            "network": network,
            "average": self.average.weights,
            "optimiser": self.optimiser.state_dict(),
            "step": self.step,
            "epochs_done": self.epochs_done,
            "recent": self._recent,
            "counted": self._counted,
            "settings": self._told(),
        }

    def _told(self) -> dict[str, Any]:
        data = {"pictures": len(self.training), "classes": list(self.training.classes)}
        return {**self.settings.model_dump(mode="json"), **data}

    def restore(self, state: Mapping[str, Any]) -> bool:
        """Go on from `state()`. False where it does not say its settings, so that nothing could be compared.

        Raises CheckpointError where it was made with other settings or data, saying which, or for another network.
        """
        told = "settings" in state
        if told:
            require_equal(state["settings"], self._told())
        try:
            self.network.load_state_dict(state["network"])
            self.optimiser.load_state_dict(state["optimiser"])
            # The first checkpoints kept the average as a module in a module.
            self.average.restore({name.removeprefix("module."): value for name, value in state["average"].items()})
            self.step = int(state["step"])
            self.epochs_done = int(state.get("epochs_done", self.step // self.steps_per_epoch))
            self._recent.copy_(state.get("recent", torch.zeros(2)))
            self._counted = int(state.get("counted", 0))
        except (RuntimeError, KeyError, ValueError, TypeError) as error:
            raise CheckpointError(f"not a checkpoint of this network: {str(error).splitlines()[0]}") from error
        return told


def _require_fit(
    network: nn.Sequential, settings: TrainingSettings, training: LabelledPictures, validation: LabelledPictures
) -> None:
    if settings.batch > len(training):
        raise PlanError(f"a batch of {settings.batch} is more than the {len(training)} pictures there are to train on")
    smallest = 2 ** sum(isinstance(module, nn.MaxPool2d) for module in network)
    for side in (*(phase.side for phase in settings.phases), validation.side):
        if side < smallest:
            raise PlanError(f"pictures of {side} pixels are too small for this network; at least {smallest} are needed")
    if training.classes and validation.classes and training.classes != validation.classes:
        raise DataError(
            f"training and validation data have other classes ({len(training.classes)} and {len(validation.classes)}): "
            "both need the same names in the same order"
        )
    head = network.get_submodule("fc")
    assert isinstance(head, nn.Linear)
    highest = int(torch.cat([training.labels, validation.labels]).max())
    if highest >= head.out_features:
        raise DataError(f"the data has a class {highest}, but the network tells 0 to {head.out_features - 1}")
