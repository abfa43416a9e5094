"""Pictures as levels of 8 bits, (h, w, 3): what films and pipes are made of."""

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from oneira.images.saving import samples_of

FULL = 255


def levels_of(image: Tensor) -> npt.NDArray[np.uint8]:
    """`image` (1, 3, h, w): what lies outside [0, 1] is clamped, then rounded to the nearest level."""
    return samples_of(image, FULL).astype(np.uint8)


def from_levels(levels: npt.NDArray[np.uint8]) -> Tensor:
    """(1, 3, h, w) in [0, 1]: the same numbers, to the last bit, that a picture file of these levels is read as."""
    samples = levels.astype(np.float32)
    return torch.from_numpy(samples).div_(FULL).permute(2, 0, 1)[None].contiguous()
