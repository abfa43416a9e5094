"""What is sent back to the picture: the answer of one unit, a whole channel, a class.

Each is like the activations (b, c, h, w) or (b, c) that it is made of, in their precision. As functions of activations
alone, for `project`: `partial(strongest, channel=17)`.
"""

import torch
from torch import Tensor

from oneira.errors import AddressError, PlanError

Position = tuple[int, int]  # row, column


def strongest(activations: Tensor, channel: int) -> Tensor:
    """Zero but for the strongest activation of `channel` in each picture, which keeps its value (Zeiler and Fergus).

    Of equal ones, the first, row by row. All zero where a channel behind a ReLU is silent. Raises AddressError where
    there is no such channel.
    """
    require_channel(activations, channel)
    answers = activations[:, channel]
    by_picture = answers.reshape(len(answers), -1)
    highest = by_picture.argmax(1, keepdim=True)
    seed = torch.zeros_like(activations)
    seed[:, channel] = torch.zeros_like(by_picture).scatter(1, highest, by_picture.gather(1, highest)).view_as(answers)
    return seed


def answer(activations: Tensor, channel: int) -> Tensor:
    """What a channel is asked about: its strongest position, as it is; where there are no positions, itself, as 1."""
    return strongest(activations, channel) if activations.ndim == 4 else unit(activations, channel)


def strongest_positions(activations: Tensor, channel: int) -> list[Position]:
    """(b, c, h, w) -> where `channel` is strongest in each picture; raises as `strongest` does."""
    require_channel(activations, channel)
    width = activations.shape[3]
    return [divmod(int(place), width) for place in activations[:, channel].flatten(1).argmax(1)]


def unit(activations: Tensor, channel: int, at: Position | None = None) -> Tensor:
    """Zero but for a 1 in `channel`: at one position, or, without `at`, at all; of logits (b, c), a class.

    Raises AddressError where there is no such channel or class, PlanError where there is no such position.
    """
    require_channel(activations, channel)
    seed = torch.zeros_like(activations)
    if at is None:
        seed[:, channel] = 1
        return seed
    height, width = activations.shape[2:] if activations.ndim == 4 else (0, 0)
    if not (0 <= at[0] < height and 0 <= at[1] < width):
        raise PlanError(f"there is no position {at}: the layer has {height} rows and {width} columns")
    seed[:, channel, at[0], at[1]] = 1
    return seed


def require_channel(activations: Tensor, channel: int) -> None:
    """Raise AddressError unless `activations` have such a channel, or class."""
    if not 0 <= channel < activations.shape[1]:
        raise AddressError(f"the layer has channels 0 to {activations.shape[1] - 1}, not {channel}")
