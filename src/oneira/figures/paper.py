"""Paper to draw a figure's charts on: bars and words, without a plotting library."""

import torch
from torch import Tensor

from oneira.images.lettering import ink, line_width

TYPE = 13  # pixels
LINE = 18  # from one line of it to the next
INK = 0.1  # of white, as on sheets

Colour = tuple[float, float, float]


class Paper:
    """White, `height` x `width` pixels; coordinates count from the left top corner."""

    def __init__(self, height: int, width: int) -> None:
        self.picture = torch.ones(1, 3, height, width)

    def fill(self, top: int, left: int, bottom: int, right: int, colour: Colour) -> None:
        """A rectangle; the ends are not part of it."""
        self.picture[..., top:bottom, left:right] = torch.tensor(colour)[:, None, None]

    def write(self, text: str, top: int, left: int, *, aligned: float = 0.0, size: int = TYPE) -> None:
        """A line of type. `aligned`: which share of it is left of `left`."""
        drawn = ink(text, size)
        begin = max(0, left - round(aligned * line_width(text, size)))
        room = self.picture[..., top : top + drawn.shape[0], begin : begin + drawn.shape[1]]
        room -= (1 - INK) * drawn[: room.shape[2], : room.shape[3]] * room

    def lay(self, picture: Tensor, top: int, left: int) -> None:
        """A picture (1, 3, h, w) that fits."""
        self.picture[..., top : top + picture.shape[2], left : left + picture.shape[3]] = picture
