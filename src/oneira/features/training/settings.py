"""What decides the result of a training: declared once, stored in every checkpoint, written into the network's file."""

from typing import Self

import torch
from pydantic import BaseModel, ConfigDict, Field

from oneira.errors import PlanError
from oneira.features.training.augmentation import Augmentation
from oneira.features.training.randomness import Seeded


class Phase(BaseModel):
    """`epochs` passes over the data at `side` x `side` pixels."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    side: int = Field(ge=1, le=1024, description="side of the pictures, in pixels")
    epochs: int = Field(ge=1, le=100_000, description="passes over the data")

    @classmethod
    def parse(cls, text: str) -> Self:
        """`40x27` -> 27 epochs at 40 pixels; PlanError for anything else."""
        side, cross, epochs = text.strip().partition("x")
        if not (cross and side.isdecimal() and epochs.isdecimal() and 1 <= int(side) <= 1024 and 0 < int(epochs) < 1e5):
            raise PlanError(f"{text!r} is no phase of training; write SIDExEPOCHS, such as 40x27 (27 epochs at 40 px)")
        return cls(side=int(side), epochs=int(epochs))


def parse_phases(text: str) -> tuple[Phase, ...]:
    """`40x27,48x12,64x6` -> three phases, one after the other; PlanError for anything else."""
    return tuple(Phase.parse(part) for part in text.split(","))


class TrainingSettings(BaseModel):
    """SGD with Nesterov momentum under a one-cycle rate, on pictures that grow from phase to phase."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    phases: tuple[Phase, ...] = Field(
        (Phase(side=40, epochs=27), Phase(side=48, epochs=12), Phase(side=64, epochs=6)),
        min_length=1,
        description="sides of the pictures and epochs at each",
    )
    batch: int = Field(128, ge=2, le=65_536, description="pictures per step")
    peak_rate: float = Field(0.15, gt=0, le=10, description="highest learning rate")
    warmup: float = Field(0.2, ge=0, lt=1, description="share of the training in which the rate rises")
    momentum: float = Field(0.9, gt=0, lt=1, description="Nesterov momentum")
    weight_decay: float = Field(5e-4, ge=0, lt=1, description="pull of convolutions and head towards zero")
    label_smoothing: float = Field(0.1, ge=0, lt=1, description="share of the label spread over all classes")
    average_decay: float = Field(0.999, ge=0, lt=1, description="decay of the average of the weights, per two steps")
    augmentation: Augmentation = Field(Augmentation(), description="what is done to the pictures")
    seed: int = Field(0, ge=0, lt=2**63, description="decides order, crops and the first weights")

    @property
    def epochs(self) -> int:
        """Passes over the data in all phases together."""
        return sum(phase.epochs for phase in self.phases)

    def side(self, epoch: int) -> int:
        """The side in pixels in an epoch, counted from 0; after the last one, the last phase's."""
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

    def generator(self, purpose: str, index: int = 0) -> torch.Generator:
        """The randomness of one thing that training does, such as the crops of step 17."""
        return Seeded(self.seed).generator(purpose, index)
