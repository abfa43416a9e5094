"""Where a block fits, by exact sums of squared differences, and where it is cut, by the path that crosses least."""

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor


class Differences:
    """Sums of squared differences between a block and every place in a map of whole numbers, exact.

    The sums are correlations, found through Fourier transforms and rounded to the whole numbers that they are: for
    maps of 8-bit levels the transform's own error is below a thousandth, so that no machine and no number of threads
    can change which block is the best.
    """

    # NumPy's transforms, on one thread: those of torch wait for a second one, longer than these blocks take in all.
    def __init__(self, levels: Tensor) -> None:
        """`levels`: (c, h, w) of whole numbers from 0 to 255, float64."""
        self._size = (levels.shape[1], levels.shape[2])
        self._spectrum = np.fft.rfft2(levels.numpy())
        self._square_spectrum = np.fft.rfft2(levels.square().sum(0).numpy())

    def to(self, block: Tensor, counted: Tensor) -> Tensor:
        """(c, b, b) whole numbers and (b, b), which of them count -> (h - b + 1, w - b + 1) float64."""
        height, width = self._size[0] - counted.shape[0] + 1, self._size[1] - counted.shape[1] + 1
        if not counted.any():
            return torch.zeros(height, width, dtype=torch.float64)
        wanted = block * counted
        cross = (np.fft.rfft2(wanted.numpy(), s=self._size).conj() * self._spectrum).sum(0)
        squares = np.fft.rfft2(counted.double().numpy(), s=self._size).conj() * self._square_spectrum
        # The correlation is circular; no block inside the map reaches round its edge.
        sums = np.rint(np.fft.irfft2(squares - 2 * cross, s=self._size)[:height, :width])
        return torch.from_numpy(sums) + wanted.square().sum()


def least_cut(errors: Tensor) -> Tensor:
    """(h, w) whole numbers -> (h,): the column, row by row, of the connected path whose sum is least.

    A path moves at most one column from a row to the next. Of equal paths, the one further left at the bottom.
    """
    sums = [errors[0]]
    for row in errors[1:]:
        beside = F.pad(sums[-1], (1, 1), value=torch.inf)
        sums.append(row + torch.minimum(torch.minimum(beside[:-2], beside[1:-1]), beside[2:]))
    path: list[int] = []
    near = range(errors.shape[1])
    for costs in reversed(torch.stack(sums).tolist()):
        column = min(near, key=costs.__getitem__)  # the first of equals
        path.append(column)
        near = range(max(0, column - 1), min(errors.shape[1], column + 2))
    return torch.tensor(path[::-1])
