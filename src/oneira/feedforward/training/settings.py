"""What decides the result of a training: declared once, stored in every checkpoint, written into the network's file."""

import math
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field

from oneira.errors import PlanError
from oneira.features.training.randomness import Seeded
from oneira.feedforward.training.compared import Compared

NetworkKind = Literal["conditional", "instance", "batch", "texture"]


class Phase(BaseModel):
    """`steps` steps on squares of `side` x `side` pixels."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    side: int = Field(ge=16, le=2048, description="side of the pictures, in pixels")
    steps: int = Field(ge=1, le=10_000_000, description="steps at that side")

    @classmethod
    def parse(cls, text: str) -> Self:
        """`128x3000` -> 3000 steps at 128 pixels; PlanError for anything else."""
        side, cross, steps = text.strip().partition("x")
        if not (
            cross and side.isdecimal() and steps.isdecimal() and 16 <= int(side) <= 2048 and 1 <= int(steps) <= 1e7
        ):
            raise PlanError(
                f"{text!r} is no phase of training; write SIDExSTEPS, such as 128x3000 (3000 steps at 128 pixels), "
                "with sides of 16 to 2048"
            )
        return cls(side=int(side), steps=int(steps))

    def __str__(self) -> str:
        return f"{self.side}x{self.steps}"


def parse_phases(text: str) -> tuple[Phase, ...]:
    """`128x3000,256x3000` -> two phases, one after the other; PlanError for anything else."""
    return tuple(Phase.parse(part) for part in text.split(","))


class StylizerSettings(Compared):
    """Adam on perceptual losses, on squares whose side may grow from phase to phase."""

    network: NetworkKind = Field(
        "conditional", description="the network, by what normalises it; texture: noise to texture"
    )
    channels: tuple[int, int, int] = Field(
        (32, 64, 96), description="its channels at the whole, half and quarter size (published: 32 64 128)"
    )
    identity: bool = Field(False, description="teach one more style, the last: the picture as it is")
    phases: tuple[Phase, ...] = Field(
        (Phase(side=128, steps=4000), Phase(side=256, steps=1000)),
        min_length=1,
        description="sides of the squares and steps at each",
    )
    batch: int = Field(4, ge=1, le=4096, description="pictures per step")
    rate: float = Field(5e-3, gt=0, le=1, description="highest learning rate")
    warmup: int = Field(100, ge=0, description="steps in which the rate rises to it")
    fall: Literal["none", "cosine", "steps"] = Field(
        "cosine", description="how the rate falls; steps: by --fall-factor"
    )
    fall_every: int = Field(2000, ge=1, description="with --fall steps: steps between two falls")
    fall_factor: float = Field(0.8, gt=0, le=1, description="with --fall steps: what each leaves")
    betas: tuple[float, float] = Field((0.9, 0.999), description="Adam's decays of mean and square")
    clip: float | None = Field(None, gt=0, description="largest norm of a step's gradient (default: any)")
    initialisation: float | None = Field(
        None, gt=0, description="deviation of normal weights to begin with (default: torch's own, uniform by fan-in)"
    )
    average_decay: float = Field(0.998, ge=0, lt=1, description="decay of the average of the weights; 0: none")
    smallest_crop: float = Field(0.6, gt=0, le=1, description="smallest square, as a share of a picture's shorter side")
    seed: int = Field(0, ge=0, lt=2**63, description="decides order, crops and the first weights")

    @property
    def steps(self) -> int:
        """Those of all phases together."""
        return sum(phase.steps for phase in self.phases)

    @property
    def largest(self) -> int:
        """The largest side, at which the styles are looked at."""
        return max(phase.side for phase in self.phases)

    @property
    def seeded(self) -> Seeded:
        """Its randomness."""
        return Seeded(self.seed)

    def side(self, step: int) -> int:
        """The side in pixels in a step, counted from 0; after the last one, the last phase's."""
        for phase in self.phases:
            if step < phase.steps:
                return phase.side
            step -= phase.steps
        return self.phases[-1].side

    def rate_at(self, step: int) -> float:
        """The learning rate in a step, counted from 0."""
        rate = self.rate * min(1.0, (step + 1) / (self.warmup + 1))
        if self.fall == "steps":
            return rate * self.fall_factor ** (step // self.fall_every)
        if self.fall == "cosine":
            return rate * (1 + math.cos(math.pi * step / self.steps)) / 2
        return rate
