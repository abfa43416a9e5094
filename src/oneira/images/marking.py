"""Marks on a picture: a frame around a box, a cross at a point. White with dark edges, seen on whatever lies below."""

import torch
from torch import Tensor

from oneira.errors import ImageError

Box = tuple[float, float, float, float]  # left, top, right, bottom, in pixels from the left top corner
_OF_SIDE = 1 / 256  # of the longer side of the picture: how wide a line and each of its edges are
_DARK = 0.05
_ARM, _GAP = 12.0, 3.0  # of a cross, in widths of its lines: from where to where an arm goes


def marked(image: Tensor, box: Box) -> Tensor:
    """(b, 3, h, w) in [0, 1] -> the same with a frame around `box`, or, where it is but a point, a cross with it.

    What is in the box stays as it is: the frame lies around it; so does the point, from which the cross's arms keep
    away. What would lie outside of the picture is left out. Raises ImageError where the box is not in the picture.
    """
    height, width = image.shape[2:]
    left, top, right, bottom = box
    if not (0 <= left <= right <= width and 0 <= top <= bottom <= height):
        raise ImageError(f"a mark at {box} is not in a picture of {width} x {height}")
    line = max(1.0, round(max(height, width) * _OF_SIDE))
    across, down = torch.arange(width)[None] + 0.5, torch.arange(height)[:, None] + 0.5
    if (left, top) == (right, bottom):
        outside = _from_cross((across - left).abs(), (down - top).abs(), line)
    else:
        outside = _from_frame(
            torch.maximum(left - across, across - right), torch.maximum(top - down, down - bottom), line
        )
    edged = torch.where((outside <= line).to(image.device), _DARK, image)
    return torch.where((outside <= 0).to(image.device), 1.0, edged)


def _from_frame(across: Tensor, down: Tensor, line: float) -> Tensor:
    """(h, w): how far pixels are from a frame's line, of pixels that are `across` and `down` of a box."""
    return (torch.maximum(across, down) - 1.5 * line).abs() - line / 2


def _from_cross(across: Tensor, down: Tensor, line: float) -> Tensor:
    """(h, w): how far pixels are from a cross's arms, of pixels that are `across` and `down` of its middle."""
    arms = [
        torch.maximum(torch.maximum(_GAP * line - along, along - _ARM * line), beside - line / 2)
        for along, beside in ((across, down), (down, across))
    ]
    return torch.minimum(*arms)
