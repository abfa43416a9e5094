"""What an optimiser knows at the end of one size, made the beginning of the next."""

from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.optim import Optimizer

from oneira.images import resize

Size = tuple[int, int]  # height, width

# Of Adam, SGD, Adagrad, Adadelta and RMSprop, by torch's names: averages of gradients; averages or sums of squares.
FIRST_MOMENTS = frozenset({"exp_avg", "momentum_buffer"})
SECOND_MOMENTS = frozenset({"exp_avg_sq", "max_exp_avg_sq", "sum", "square_avg", "acc_delta"})
COUNTS = frozenset({"step"})


@torch.no_grad()
def hand_over(before: Optimizer, after: Optimizer) -> None:
    """Give `after`, over pictures (b, c, h, w), what `before` knows of the same pictures at other sizes.

    Counts of steps stay, so that moments are not taken for ones that have just begun. Where there is anything but
    counts and moments, such as L-BFGS' history of steps, or the mean that centred RMSprop takes from the mean square,
    which must not exceed it, `after` begins anew.
    crowsonkb, style-transfer-pytorch, `scale_adam`; our bicubic is Catmull-Rom's, as in every other resizing here.
    """
    known, begun = before.state_dict()["state"], after.state_dict()
    parameters = [parameter for group in after.param_groups for parameter in group["params"]]
    inherited = {
        index: _resized(known[index], (parameter.shape[2], parameter.shape[3]))
        for index, parameter in enumerate(parameters)
        if index in known and known[index].keys() <= FIRST_MOMENTS | SECOND_MOMENTS | COUNTS
    }
    after.load_state_dict({**begun, "state": {**begun["state"], **inherited}})


def _resized(state: Mapping[str, Any], size: Size) -> dict[str, Any]:
    resized = dict(state)
    for name, moment in state.items():
        if name in FIRST_MOMENTS:
            resized[name] = resize(moment, size, bounded=False)
        elif name in SECOND_MOMENTS:
            resized[name] = _resized_squares(moment, size)
    return resized


def _resized_squares(squares: Tensor, size: Size) -> Tensor:
    """Bilinearly, not bicubically: a square below 0 has no root, and one near 0 would be a leap."""
    return F.interpolate(squares, size, mode="bilinear", align_corners=False, antialias=True).clamp(min=0)
