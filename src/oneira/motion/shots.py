"""Where one shot of a film ends and the next begins."""

from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor

from oneira.errors import PlanError
from oneira.images import rgb_to_lab

LONG_SIDE = 16  # pixels: of what moves from one picture to the next, little is left at this size
THRESHOLD = 0.45  # the least change that is a cut
FAINT = 3.0  # colours of Lab: a difference that is hardly seen, such as noise in the dark


@dataclass(frozen=True)
class CutFinder:
    """Tells a cut between two pictures of a film from anything that goes on within a shot.

    `threshold`: the least `change` that is a cut. PlanError unless it is above 0 and at most 2, which is never reached.

    The default was chosen by 17 photographs and paintings. Of the cuts between any two of them, 95 % change by 0.62 or
    more, and one by less than the default (0.39). Within them, from one picture to the next, a pan by 5 % of the width
    changes by up to 0.33, a zoom by 10 % by 0.23, half the light by 0.21, a flash by 0.42. A pan by 7 % reaches 0.51,
    which is taken for a cut, where little in the picture is large. A dissolve is none.
    """

    threshold: float = THRESHOLD

    def __post_init__(self) -> None:
        if not 0 < self.threshold <= 2:
            raise PlanError(f"a cut needs a threshold above 0 and at most 2, not {self.threshold:g}")

    def is_cut(self, previous: Tensor, current: Tensor) -> bool:
        """Whether `current` begins a new shot; both (1, 3, h, w) of one size, sRGB in [0, 1]."""
        return change(previous, current) >= self.threshold


def change(previous: Tensor, current: Tensor) -> float:
    """How little two pictures (1, 3, h, w) of one size share: 0 for the same, about 1 for strangers, 2 for a negative.

    One less the contrast and structure of SSIM (Wang et al., "Image Quality Assessment: From Error Visibility to
    Structural Similarity", 2004, equation 13 without the luminance), over the whole of a tiny picture in Lab.
    Detectors that compare pixels, as PySceneDetect's do, take a slow pan over fine detail for a cut; and the average
    colour, which a flash changes, is left out: one plain colour is no cut from another.
    """
    before, after = _tiny(previous), _tiny(current)
    faint = FAINT**2 * before[0, 0].numel()
    shared = 2 * (before * after).sum() + faint
    return float(1 - shared / (before.square().sum() + after.square().sum() + faint))


def _tiny(image: Tensor) -> Tensor:
    """(1, 3, h, w) of at most LONG_SIDE, in Lab, without its average colour."""
    height, width = image.shape[2:]
    scale = min(1.0, LONG_SIDE / max(height, width))
    size = (max(1, round(height * scale)), max(1, round(width * scale)))
    small = F.interpolate(image.detach(), size=size, mode="bilinear", antialias=True, align_corners=False)
    lab = rgb_to_lab(small.clamp(0, 1))
    return lab - lab.mean(dim=(2, 3), keepdim=True)
