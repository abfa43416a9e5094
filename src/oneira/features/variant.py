"""Small changes to a trained network that make it draw better: other pooling, other padding."""

from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Pooling = Literal["max", "avg", "l2"]
Padding = Literal["zeros", "replicate", "reflect"]

# Factors that keep the mean activation of a trained VGG where max pooling had it. Gatys et al. used 1.0.
SCALE_KEEPING_GAIN: dict[Pooling, float] = {"max": 1.0, "avg": 2.0, "l2": 0.78}


@dataclass(frozen=True)
class Variant:
    """How a backbone is run: `pooling` with its `gain` (None: the factor that keeps activations' scale), `padding`."""

    pooling: Pooling = "max"
    gain: float | None = None
    padding: Padding = "zeros"

    def apply(self, network: nn.Module) -> nn.Module:
        """Exchange the max pools and the convolutions' padding of `network`, in place; returns it."""
        gain = SCALE_KEEPING_GAIN[self.pooling] if self.gain is None else self.gain
        for parent in list(network.modules()):
            for name, child in parent.named_children():
                if isinstance(child, nn.MaxPool2d) and (self.pooling != "max" or gain != 1.0):
                    setattr(parent, name, Pool(child, self.pooling, gain))
                elif isinstance(child, nn.Conv2d) and self.padding != "zeros" and any(_amounts(child)):
                    setattr(parent, name, PaddedConv(child, self.padding))
        return network


class Pool(nn.Module):
    """The window of `original`, another statistic, times `gain`."""

    def __init__(self, original: nn.MaxPool2d, pooling: Pooling, gain: float) -> None:
        super().__init__()
        self.kernel_size, self.stride = original.kernel_size, original.stride
        self.padding, self.ceil_mode = original.padding, original.ceil_mode
        self.pooling = pooling
        self.gain = gain

    def forward(self, features: Tensor) -> Tensor:
        if self.pooling == "max":
            return self.gain * F.max_pool2d(
                features, self.kernel_size, self.stride, self.padding, ceil_mode=self.ceil_mode
            )
        squared = self.pooling == "l2"
        pooled = F.avg_pool2d(
            features.square() if squared else features,
            self.kernel_size,
            self.stride,
            self.padding,
            ceil_mode=self.ceil_mode,
            count_include_pad=False,
        )
        if not squared:
            return self.gain * pooled
        # The gradient of a root is infinite at zero, where ReLU leaves whole windows.
        window = self.kernel_size if isinstance(self.kernel_size, int) else self.kernel_size[0]
        return self.gain * window * (pooled + 1e-8).sqrt()


class PaddedConv(nn.Module):
    """A convolution whose border is filled by reflecting or repeating the picture, not by zeros.

    Reflection needs more pixels than it adds; where a feature map is too small for it, its border is repeated instead.
    """

    def __init__(self, original: nn.Conv2d, padding: Padding) -> None:
        super().__init__()
        self.original = original
        self.mode = padding
        vertical, horizontal = _amounts(original)
        self.amounts = (horizontal, horizontal, vertical, vertical)

    def forward(self, features: Tensor) -> Tensor:
        horizontal, _, vertical, _ = self.amounts
        fits = features.shape[2] > vertical and features.shape[3] > horizontal
        padded = F.pad(features, self.amounts, mode=self.mode if fits else "replicate")
        conv = self.original
        return torch.conv2d(padded, conv.weight, conv.bias, conv.stride, 0, conv.dilation, conv.groups)


def _amounts(conv: nn.Conv2d) -> tuple[int, int]:
    if isinstance(conv.padding, str):
        return (0, 0) if conv.padding == "valid" else (conv.kernel_size[0] // 2, conv.kernel_size[1] // 2)
    return conv.padding[0], conv.padding[1]
