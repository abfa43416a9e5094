"""What the loop yields."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class Step:
    """One step done. `image` renders the picture as it is at the moment of asking: ask before the next step.

    `scale` counts from 0, `index` from 1 within the scale; `done` of `total` steps in all; `losses` by term, before
    weights, as floats; `note`: something that the user should be told, such as a rescue from a loss that is not finite;
    `stage`: the name of the stage of a journey that ends here.
    """

    scale: int
    size: tuple[int, int]  # height, width
    index: int
    done: int
    total: int
    loss: float
    losses: Mapping[str, float]
    render: Callable[[], Tensor]
    note: str | None = None
    stage: str | None = None

    @property
    def image(self) -> Tensor:
        """(b, 3, h, w), float32 in [0, 1], on the CPU."""
        return self.render()


@dataclass(frozen=True, eq=False)
class Outcome:
    """What a stage, or a run without stages, ended with: the picture, and its losses by term, before weights."""

    image: Tensor  # (b, 3, h, w), float32 in [0, 1], on the CPU
    losses: Mapping[str, float]
