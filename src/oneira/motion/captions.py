"""A line of type below the frames of a film."""

import torch
from torch import Tensor

from oneira.images.lettering import MINIMUM, ink, line_height, set_type

_OF_WIDTH = 0.04  # the size of type, as a part of the picture's width
_INK = 0.9  # print is never quite black


def captioned(image: Tensor, text: str) -> Tensor:
    """`image` (1, 3, h, w) with one line of `text` in a white band below: (1, 3, h + band, w).

    The band is as high for every text, also for none, so that all frames of a film have one size. Type becomes smaller
    for a long text, which ends in an ellipsis where even that does not help. A picture that is too narrow for any type,
    which is less than 32 pixels, has an empty band.
    """
    width = image.shape[3]
    size = max(MINIMUM, round(_OF_WIDTH * width))
    gap = size // 2
    band = image.new_ones(1, 3, line_height(size) + gap, width)
    if width - 2 * gap >= 2 * size:
        (block,) = set_type([text], width=width - 2 * gap, size=size, most=1)
        for line in block.lines:
            drawn = ink(line, block.size).to(image)
            height, length = drawn.shape
            top, left = (band.shape[2] - height) // 2, (width - length) // 2
            band[..., top : top + height, left : left + length] -= _INK * drawn
    return torch.cat([image, band], dim=2)
