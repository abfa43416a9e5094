"""A sample and its coarser levels, and on each the neighbourhoods that can be learned from it."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from oneira.patches.matching import eight_bits


@dataclass(frozen=True)
class Level:
    """A sample at one level of its Gaussian pyramid: `picture` (1, 3, h, w), and `inside` (h, w), what is copied."""

    picture: Tensor
    inside: Tensor

    def halved(self) -> "Level":
        """The next level, (1, 3, ceil(h / 2), ceil(w / 2)): every other pixel of a binomial blur, in 8 bits.

        A pixel is inside if all that the blur mixed is: nothing from outside is seen on any level.
        """
        values = F.pad(eight_bits(self.picture)[None], (2,) * 4, mode="reflect")
        row = torch.tensor([1.0, 4, 6, 4, 1], dtype=torch.float64)
        kernel = (row[:, None] * row).expand(3, 1, 5, 5)
        blurred = F.conv2d(values, kernel, stride=2, groups=3)  # whole numbers up to 255 * 256
        outside = F.max_pool2d((~self.inside)[None].float(), 5, 2, 2)[0]  # what is reflected is among the five
        return Level(((blurred + 128) / 256).floor().float() / 255, outside == 0)

    def taught(self, coarser: "Level | None", half: int) -> Tensor:
        """The pixels (n,), counted row by row, whose whole neighbourhood is inside, on the coarser level too.

        On this level that is what lies `half` pixels above and to either side; on the coarser one a square, for which
        the sample's edge is repeated.
        """
        height, width = self.inside.shape
        y = torch.arange(half, height).repeat_interleave(max(0, width - 2 * half))
        x = torch.arange(half, width - half).repeat(max(0, height - half))
        taught = self.inside[y, x] & self.inside.flatten()[self._near(y, x, half)].all(1)
        if coarser is not None:
            taught &= around(coarser.inside[None], parents(half), wraps=False)[y // 2, x // 2].all(1)
        return (y * width + x)[taught]

    def neighbourhoods(self, pixels: Tensor, coarser: "Level | None", half: int) -> Tensor:
        """Those of the pixels (n,), in whole numbers, (n, d)."""
        width = self.inside.shape[1]
        y, x = pixels // width, pixels % width
        values = eight_bits(self.picture).flatten(1).T[self._near(y, x, half)].flatten(1)
        if coarser is None:
            return values
        square = around(eight_bits(coarser.picture), parents(half), wraps=False)[y // 2, x // 2]
        return torch.cat((values, square), 1)

    def _near(self, y: Tensor, x: Tensor, half: int) -> Tensor:
        steps = causal(half)
        return (y[:, None] + steps[:, 0]) * self.inside.shape[1] + x[:, None] + steps[:, 1]


def causal(half: int) -> Tensor:
    """The steps (k, 2) in y and x from a pixel to those of its L-shaped neighbourhood: rows above, and to the left."""
    above = [(y, x) for y in range(-half, 0) for x in range(-half, half + 1)]
    return torch.tensor(above + [(0, x) for x in range(-half, 0)])


def parents(half: int) -> int:
    """How far the square on the coarser level reaches: about half as far."""
    return (half + 1) // 2


def around(values: Tensor, half: int, *, wraps: bool) -> Tensor:
    """The square around each pixel of (c, h, w), (h, w, d); beyond the edge, which is repeated, or around the torus."""
    height, width = values.shape[1:]
    y, x = torch.arange(-half, height + half), torch.arange(-half, width + half)
    if wraps:
        y, x = y % height, x % width
    padded = values[:, y.clamp(0, height - 1)][:, :, x.clamp(0, width - 1)]
    squares = padded.unfold(1, 2 * half + 1, 1).unfold(2, 2 * half + 1, 1)  # (c, h, w, k, k)
    return squares.permute(1, 2, 3, 4, 0).reshape(height, width, -1)
