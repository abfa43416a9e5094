"""Turning and magnifying a picture about its middle."""

import math
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

Sampling = Literal["bilinear", "bicubic"]


def turn(image: Tensor, radians: float, factor: float = 1.0, *, mode: Sampling = "bilinear") -> Tensor:
    """(b, c, h, w) -> the same shape, turned counter-clockwise and magnified by `factor`; differentiable.

    What comes in from outside is the picture's own reflection. `mode`: how values between pixels are found.
    """
    height, width = image.shape[2:]
    cos, sin = math.cos(radians) / factor, math.sin(radians) / factor
    # affine_grid's coordinates run from -1 to 1 on both axes, whatever the proportions.
    rows = [[cos, -sin * height / width, 0.0], [sin * width / height, cos, 0.0]]
    theta = torch.tensor(rows, dtype=image.dtype).to(image.device)
    grid = F.affine_grid(theta.expand(len(image), 2, 3), list(image.shape), align_corners=False)
    return F.grid_sample(image, grid, mode=mode, padding_mode="reflection", align_corners=False)
