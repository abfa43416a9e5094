"""Training a backbone: one generator that yields what happened, and can be stopped and resumed anywhere.

SGD with Nesterov momentum under a one-cycle rate, batch norm, label smoothing, an exponential average of the weights,
pictures that grow from phase to phase. Order and augmentation depend on (seed, step) alone, so that a resumed run sees
what an uninterrupted one would have seen.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import save
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from oneira.errors import CheckpointError
from oneira.features.backbones.pocket import fold
from oneira.features.preprocessing import IMAGENET
from oneira.features.training.augmentation import Augmentation
from oneira.features.training.dataset import LabelledPictures
from oneira.features.training.evaluation import Accuracy, evaluate
from oneira.files import write_whole


@dataclass(frozen=True)
class Phase:
    """`epochs` passes over the data at `side` x `side` pixels."""

    side: int
    epochs: int


@dataclass(frozen=True)
class TrainingSettings:
    """What decides the result; all of it stands in the checkpoint and in the model card."""

    phases: tuple[Phase, ...] = (Phase(40, 27), Phase(48, 12), Phase(64, 6))
    batch: int = 128
    peak_rate: float = 0.15
    warmup: float = 0.2
    momentum: float = 0.9
    weight_decay: float = 5e-4
    label_smoothing: float = 0.1
    average_decay: float = 0.999
    augmentation: Augmentation = field(default_factory=Augmentation)
    seed: int = 0

    @property
    def epochs(self) -> int:
        return sum(phase.epochs for phase in self.phases)

    def side(self, epoch: int) -> int:
        for phase in self.phases:
            if epoch < phase.epochs:
                return phase.side
            epoch -= phase.epochs
        return self.phases[-1].side

    def rate(self, progress: float) -> float:
        """The learning rate at `progress` in [0, 1]: a linear rise to the peak, then a linear fall to nothing."""
        if progress < self.warmup:
            return self.peak_rate * progress / self.warmup
        return self.peak_rate * (1 - progress) / (1 - self.warmup)


@dataclass(frozen=True)
class TrainingStep:
    """What a step reports; `validation` and `averaged` (the averaged weights) only at the end of an epoch."""

    epoch: int
    step: int
    total: int
    side: int
    rate: float
    loss: float
    accuracy: float
    validation: Accuracy | None = None
    averaged: Accuracy | None = None


class Trainer:
    """Owns the network, its average and the optimiser; `run()` is the loop."""

    def __init__(
        self,
        network: nn.Sequential,
        settings: TrainingSettings,
        training: LabelledPictures,
        validation: LabelledPictures,
        *,
        device: torch.device,
        precision: torch.dtype,
    ) -> None:
        self.settings = settings
        self.training = training
        self.validation = validation
        self.device = device
        self.precision = precision
        self.network = network.to(device, memory_format=torch.channels_last)
        self.average = AveragedModel(
            self.network, multi_avg_fn=get_ema_multi_avg_fn(settings.average_decay), use_buffers=False
        )
        matrices = [p for p in network.parameters() if p.ndim > 1]
        vectors = [p for p in network.parameters() if p.ndim == 1]
        self.optimiser = torch.optim.SGD(
            [{"params": matrices, "weight_decay": settings.weight_decay}, {"params": vectors, "weight_decay": 0.0}],
            lr=0.0,
            momentum=settings.momentum,
            nesterov=True,
        )
        self.step = 0

    @property
    def steps_per_epoch(self) -> int:
        return len(self.training) // self.settings.batch

    @property
    def total(self) -> int:
        return self.steps_per_epoch * self.settings.epochs

    def run(self) -> Iterator[TrainingStep]:
        """Yield after every step; the consumer saves checkpoints, draws progress and decides when to stop."""
        self.network.train()
        while self.step < self.total:
            epoch = self.step // self.steps_per_epoch
            order = torch.randperm(len(self.training), generator=self._generator(0, epoch))
            while self.step < (epoch + 1) * self.steps_per_epoch:
                report = self._descend(epoch, order)
                self.step += 1
                if self.step == (epoch + 1) * self.steps_per_epoch:
                    report = replace(report, validation=self.check(self.network), averaged=self.check(self.averaged()))
                yield report

    def _descend(self, epoch: int, order: Tensor) -> TrainingStep:
        settings = self.settings
        start = (self.step % self.steps_per_epoch) * settings.batch
        chosen = order[start : start + settings.batch]
        side = settings.side(epoch)
        pictures = settings.augmentation(self.training.pictures[chosen], side, self._generator(1, self.step))
        inputs = IMAGENET(pictures.to(self.device)).contiguous(memory_format=torch.channels_last)
        labels = self.training.labels[chosen].to(self.device)
        rate = settings.rate(self.step / self.total)
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        with torch.autocast(self.device.type, self.precision, enabled=self.precision != torch.float32):
            logits = self.network(inputs)
        loss = F.cross_entropy(logits.float(), labels, label_smoothing=settings.label_smoothing)
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        self.optimiser.step()
        if self.step % 2 == 1:
            self.average.update_parameters(self.network)
        accuracy = (logits.argmax(1) == labels).float().mean()
        return TrainingStep(epoch, self.step + 1, self.total, side, rate, loss.item(), accuracy.item())

    def _generator(self, purpose: int, index: int) -> torch.Generator:
        return torch.Generator().manual_seed((self.settings.seed << 40) + (purpose << 32) + index)

    def check(self, network: nn.Module) -> Accuracy:
        return evaluate(network, self.validation, precision=self.precision)

    @torch.no_grad()
    def averaged(self) -> nn.Sequential:
        """The averaged weights, with batch-norm statistics measured anew: averaged statistics lag behind them."""
        network: nn.Sequential = self.average.module
        norms = [module for module in network if isinstance(module, nn.BatchNorm2d)]
        for norm in norms:
            norm.reset_running_stats()
            norm.momentum = None  # the plain mean over all batches that follow
        network.train()
        side = self.settings.side(self.step // self.steps_per_epoch)
        for index in range(24):
            chosen = torch.randperm(len(self.training), generator=self._generator(2, index))[: self.settings.batch]
            pictures = self.settings.augmentation(self.training.pictures[chosen], side, self._generator(3, index))
            inputs = IMAGENET(pictures.to(self.device)).contiguous(memory_format=torch.channels_last)
            with torch.autocast(self.device.type, self.precision, enabled=self.precision != torch.float32):
                network(inputs)
        return network.eval()

    def save(self, path: Path) -> None:
        """A checkpoint, whole or not at all."""
        state = {
            "network": self.network.state_dict(),
            "average": self.average.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "step": self.step,
        }
        write_whole(path, lambda file: torch.save(state, file))

    def load(self, path: Path) -> None:
        """Go on from a checkpoint; CheckpointError where it is damaged or of another shape."""
        try:
            state = torch.load(path, map_location=self.device, weights_only=True)
            self.network.load_state_dict(state["network"])
            self.average.load_state_dict(state["average"])
            self.optimiser.load_state_dict(state["optimiser"])
            self.step = int(state["step"])
        except (OSError, RuntimeError, KeyError, ValueError, EOFError) as error:
            raise CheckpointError(f"{path}: not a checkpoint of this training ({error})") from error


def save_folded(network: nn.Sequential, path: Path) -> None:
    """What ships: batch norm folded in, float16 safetensors."""
    state = {name: value.half().cpu().contiguous() for name, value in fold(network).items()}
    write_whole(path, lambda file: file.write(save(state)))
