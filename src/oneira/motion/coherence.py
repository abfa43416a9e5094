"""What a frame takes over from the frame beside it, so that a film of pictures made one by one does not flicker.

Ruder, Dosovitskiy, Brox 2016, "Artistic style transfer for videos": each frame begins with the last one's result, moved
along the optical flow, and where that stays visible, stays near it. Departures: they also hold a frame to some that lie
further back; and of several passes, their first makes each frame alone, where ours goes on from frame to frame.
"""

import math
from dataclasses import dataclass, replace
from fractions import Fraction

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor

from oneira.errors import PlanError
from oneira.motion.flow import Flow
from oneira.motion.shots import THRESHOLD
from oneira.motion.warping import visible, warp
from oneira.objectives import Masked, PixelError, Term
from oneira.synthesis.carrying import Transition
from oneira.synthesis.plan import Plan
from oneira.synthesis.schedules import Scale, Schedule


@dataclass(frozen=True)
class Habit:
    """What goes on from frame to frame: how much is kept, in which share of the steps, held by which weight."""

    keep: float
    effort: float
    temporal_weight: float


# Chosen from films seen side by side. What a dream adds would grow without end: a tenth of it fades with every frame,
# and as much is dreamt anew; to hold it by a term as well only wears it out.
ANCHORED = Habit(keep=1.0, effort=0.15, temporal_weight=5.0)  # held by what pictures are to look like
GROWING = Habit(keep=0.9, effort=0.1, temporal_weight=0.0)
COMPUTED = Habit(keep=0.6, effort=1.0, temporal_weight=0.0)  # in one go, of each frame alone
# Networks that paint in one go answer to noise with other strokes. So frames are steadied before they are painted, and
# less has to be mixed afterwards, which blurs strokes: for a third of the flicker, the distance to the style grows by
# 7 % instead of 13 %.
STEADY = 0.9  # of what was there before, in the frame that is painted


class Coherence(BaseModel):
    """How firmly frames hold together."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    flow: str = Field(
        "dis",
        description="where motion comes from: dis, dis-medium and dis-fast, which are faster, a registered one, or a "
        "folder of .flo files",
    )
    temporal_weight: float | None = Field(
        None,
        ge=0,
        description="how firmly a frame stays near the one before, moved along, where that stays visible (default: 5; "
        "of dreams 0)",
    )
    keep: float | None = Field(
        None,
        ge=0,
        le=1,
        description="how much of the frame before goes on: of the picture (default: 1), of what a dream added to it "
        "(0.9), of what a network painted (0.6); 0: each frame on its own",
    )
    effort: float | None = Field(
        None,
        gt=0,
        le=1,
        description="share of its steps that a frame takes which goes on from another (default: 0.15; of dreams 0.1)",
    )
    passes: int = Field(
        1, ge=1, le=20, description="how often the film is gone through, forth and back in turns (Ruder: 10 and more)"
    )
    cut: float = Field(
        THRESHOLD, gt=0, le=1, description="how different two frames are between which a new shot begins"
    )

    def habit(self, usual: Habit) -> Habit:
        """The usual one of a technique, but for what was told."""
        told = {
            name: value for name in ("keep", "effort", "temporal_weight") if (value := getattr(self, name)) is not None
        }
        return replace(usual, **told)


@dataclass(frozen=True, eq=False)
class Neighbour:
    """A frame beside the one to be made: the film's own picture, and what was made of it, (1, 3, h, w) both.

    `steadied`: what it was made of, where that was not the film's own picture.
    """

    source: Tensor
    result: Tensor
    number: int
    steadied: Tensor | None = None


@dataclass(frozen=True, eq=False)
class Carried:
    """What a neighbour leaves, moved to where it is now: `source` and `result` (1, 3, h, w), and `mask` (1, 1, h, w).

    The mask is 1 where what is seen now was seen there, too, and 0 elsewhere.
    """

    source: Tensor
    result: Tensor
    mask: Tensor

    @classmethod
    def along(cls, flow: Flow, neighbour: Neighbour, source: Tensor, number: int) -> "Carried":
        """To the frame `number` of the film, `source` (1, 3, h, w)."""
        back = flow(source, neighbour.source, (number, neighbour.number))
        forth = flow(neighbour.source, source, (neighbour.number, number))
        source = neighbour.source if neighbour.steadied is None else neighbour.steadied
        return cls(warp(source, back), warp(neighbour.result, back), visible(forth, back))

    def result_over(self, picture: Tensor, share: float = 1.0) -> Tensor:
        """The result where it was seen, `share` of it, over `picture`."""
        return torch.lerp(picture, self.result, share * self.mask)

    def source_over(self, picture: Tensor, share: float) -> Tensor:
        """The neighbour's own picture where it was seen, `share` of it, over `picture`."""
        return torch.lerp(picture, self.source, share * self.mask)

    def result_on(self, picture: Tensor, share: float = 1.0) -> Tensor:
        """`share` of the result, the rest `picture`; also where the picture was not seen, which is to be made anew.

        What came from elsewhere is nearer to what shall be made there than the plain picture is.
        """
        return torch.lerp(picture, self.result, share)

    def added_to(self, picture: Tensor, share: float = 1.0) -> Tensor:
        """`share` of what had been added to the neighbour, added to `picture`, everywhere for the same reason."""
        return (picture + share * (self.result - self.source)).clamp(0, 1)


def require_no_journey(plan: Plan) -> None:
    """Raise PlanError for one that begins anew on its way."""
    if any(isinstance(scale.carry, Transition) for scale in plan.schedule.scales):
        raise PlanError(
            "--zoom, --through and several layers lead from picture to picture, as a film's frames do: "
            "leave them out, or make each frame on its own by --keep 0"
        )


def going_on(plan: Plan, start: Tensor, mask: Tensor, held: Tensor, habit: Habit, *, grows: bool = False) -> Plan:
    """`plan`, beginning with `start` (1, 3, h, w), in a share of its steps, kept near `held` where `mask` is 1.

    Where pictures grow, each size adds just that share of what it adds alone, though there is no part of a step. From
    size to size, only what is added to the start goes on: a whole picture would come enlarged from the smallest size.
    Ruder et al. weigh each pixel by the mask and divide by all pixels; here, as masks do everywhere, by those that
    count.
    """
    scales = plan.schedule.scales
    near: Term | None = None
    if habit.temporal_weight and bool(mask.any()):
        near = habit.temporal_weight * Masked(mask, PixelError(held))
    shorter = Schedule(tuple(_shorter(scale, habit.effort, near, grows=grows) for scale in scales))
    objective = plan.objective if near is None else plan.objective + near
    return replace(plan, canvas=plan.canvas.going_on(start), objective=objective, schedule=shorter)


def _shorter(scale: Scale, effort: float, near: Term | None, *, grows: bool) -> Scale:
    objective = scale.objective if near is None or scale.objective is None else scale.objective + near
    steps = math.ceil(Fraction(str(effort)) * scale.steps)  # as it is told: as floats, 0.07 of 100 are more than 7
    rate = scale.rate * effort * scale.steps / steps if grows and steps else scale.rate
    carry = "detail" if scale.carry == "result" else scale.carry
    return replace(scale, steps=steps, rate=rate, objective=objective, carry=carry)
