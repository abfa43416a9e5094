"""The texture network: noise at several scales in, a new patch of its one texture out (Ulyanov et al. 2016)."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from oneira.errors import PlanError, one_of
from oneira.feedforward.blocks import NORMALISERS, Normaliser

SLOPE = 0.01  # of the leaky ReLU


class TextureNetwork(nn.Module):
    """A pyramid of small convolutions; its patches tile, for all of them wrap around.

    `scales` tensors of noise, of `noise_channels` each, pass through blocks of `channels`. From the coarsest on, what
    is there is enlarged, set beside the next, and mixed by a block that is `channels` wider than the one before.

    Departure: the paper leaves the output unbounded and cuts it when saving; here a sigmoid ends in [0, 1].
    """

    def __init__(
        self, normalisation: str = "instance", scales: int = 5, channels: int = 8, noise_channels: int = 3
    ) -> None:
        super().__init__()
        one_of("normalisation", normalisation, NORMALISERS)
        self.configuration = {
            "normalisation": normalisation,
            "scales": scales,
            "channels": channels,
            "noise_channels": noise_channels,
        }
        self.scales = scales
        self.noise_channels = noise_channels
        normaliser = NORMALISERS[normalisation]
        self.branches = nn.ModuleList([_block(noise_channels, channels, normaliser) for _ in range(scales)])
        self.joins = nn.ModuleList([_Join(channels * below, channels, normaliser) for below in range(1, scales)])
        self.draw = nn.Conv2d(channels * scales, 3, 1)

    def noise(self, batch: int, height: int, width: int, generator: torch.Generator) -> list[Tensor]:
        """What `forward` takes for pictures of (height, width): uniform in [0, 1], the coarsest scale first.

        Raises PlanError where the sides cannot be halved scales - 1 times.
        """
        finest = 2 ** (self.scales - 1)
        if height % finest or width % finest or min(height, width) < finest:
            raise PlanError(f"a texture of {width}x{height} pixels; both sides must be multiples of {finest}")
        sizes = [(height // 2**scale, width // 2**scale) for scale in reversed(range(self.scales))]
        return [torch.rand(batch, self.noise_channels, *size, generator=generator) for size in sizes]

    def forward(self, noise: Sequence[Tensor]) -> Tensor:
        """Noise (b, noise_channels, h, w) at every scale, each twice the size of the one before, to (b, 3, h, w).

        The texture is as large as the last of them, and in [0, 1].
        """
        values = self.branches[0](noise[0])
        for branch, join, finer in zip(self.branches[1:], self.joins, noise[1:], strict=True):
            values = join(values, branch(finer))
        return torch.sigmoid(self.draw(values))


class _Join(nn.Module):
    """What is coarse, enlarged, beside what is fine, both normalised first, or the one would drown the other."""

    def __init__(self, coarse: int, fine: int, normaliser: Normaliser) -> None:
        super().__init__()
        self.coarse = normaliser(coarse)
        self.fine = normaliser(fine)
        self.mixing = _block(coarse + fine, coarse + fine, normaliser)

    def forward(self, coarse: Tensor, fine: Tensor) -> Tensor:
        enlarged = F.interpolate(coarse, scale_factor=2, mode="nearest")
        mixed: Tensor = self.mixing(torch.cat([self.coarse(enlarged), self.fine(fine)], dim=1))
        return mixed


def _block(inputs: int, outputs: int, normaliser: Normaliser) -> nn.Sequential:
    """Convolutions of 3x3, 3x3 and 1x1, around the edges, each normalised and rectified."""
    layers: list[nn.Module] = []
    for size in (3, 3, 1):
        layers += [
            nn.Conv2d(inputs, outputs, size, padding=size // 2, padding_mode="circular"),
            normaliser(outputs),
            nn.LeakyReLU(SLOPE),
        ]
        inputs = outputs
    return nn.Sequential(*layers)
