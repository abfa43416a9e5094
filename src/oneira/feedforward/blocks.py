"""What the networks are built of: convolutions with their normalisation, and residual blocks of two."""

from collections.abc import Callable

import torch.nn.functional as F
from torch import Tensor, nn

from oneira.feedforward.convolution import ReflectedConvolution
from oneira.feedforward.normalisation import BatchNorm, ConditionalInstanceNorm, InstanceNorm, Own

Normalisation = InstanceNorm | BatchNorm | ConditionalInstanceNorm
Normaliser = Callable[[int], Normalisation]  # makes one for so many channels
NORMALISERS: dict[str, Normaliser] = {"instance": InstanceNorm, "batch": BatchNorm}


class Normed(nn.Module):
    """A convolution, its normalisation if any, and a ReLU if `rectified`."""

    def __init__(
        self, convolution: ReflectedConvolution, normaliser: Normaliser | None, *, rectified: bool = True
    ) -> None:
        super().__init__()
        self.convolution = convolution
        self.normalisation = normaliser(convolution.out_channels) if normaliser is not None else None
        self.rectified = rectified

    def forward(self, values: Tensor, style: Tensor | None, own: Own | None = None) -> Tensor:
        """Values (b, inputs, h, w) to (b, outputs, ...), on the grid that the convolution leaves."""
        values = self.convolution(values)
        if self.normalisation is not None:
            values = self.normalisation(values, style, own)
        return F.relu_(values) if self.rectified else values


class Residual(nn.Module):
    """Two 3x3 convolutions whose result is added to what came; nothing rectifies the sum (Gross and Wilber 2016)."""

    def __init__(self, channels: int, normaliser: Normaliser, *, bias: bool) -> None:
        super().__init__()
        self.first = Normed(ReflectedConvolution(channels, channels, 3, bias=bias), normaliser)
        self.second = Normed(ReflectedConvolution(channels, channels, 3, bias=bias), normaliser, rectified=False)

    def forward(self, values: Tensor, style: Tensor | None) -> Tensor:
        """Values (b, channels, h, w) to the same shape."""
        changed: Tensor = self.second(self.first(values, style), style)
        return changed.add_(values)
