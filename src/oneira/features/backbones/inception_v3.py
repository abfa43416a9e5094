"""Inception v3 (Szegedy et al. 2015), ported from TensorFlow by torchvision.

`mixed0` .. `mixed10` are Keras' names for the eleven blocks; mixed3 and mixed8 are those that halve the grid.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import torch
from torch import Tensor, nn

from oneira.features.backbones.backbone import Backbone
from oneira.features.backbones.classes import imagenet_classes
from oneira.features.backbones.google import NormedConv, to_unit_range

Kernel = int | tuple[int, int]
Step = tuple[int, Kernel, *tuple[Kernel, ...]]  # channels and kernel of a convolution; two kernels fork the branch

WIDE, TALL = (1, 7), (7, 1)
FLAT, STEEP = (1, 3), (3, 1)


@dataclass(frozen=True)
class Layout:
    """The convolutions of a block, branch by branch, and the channels onto which its pool is projected.

    0 projects nothing: then the block halves the grid, by the last convolution of each branch and by a max pool.
    """

    branches: Mapping[str, Sequence[Step]]
    projected: int = 0


def _on_35(projected: int) -> Layout:
    return Layout(
        {
            "branch1x1": [(64, 1)],
            "branch5x5": [(48, 1), (64, 5)],
            "branch3x3dbl": [(64, 1), (96, 3), (96, 3)],
        },
        projected,
    )


def _on_17(inside: int) -> Layout:
    return Layout(
        {
            "branch1x1": [(192, 1)],
            "branch7x7": [(inside, 1), (inside, WIDE), (192, TALL)],
            "branch7x7dbl": [(inside, 1), (inside, TALL), (inside, WIDE), (inside, TALL), (192, WIDE)],
        },
        192,
    )


_FROM_35_TO_17 = Layout({"branch3x3": [(384, 3)], "branch3x3dbl": [(64, 1), (96, 3), (96, 3)]})
_FROM_17_TO_8 = Layout(
    {"branch3x3": [(192, 1), (320, 3)], "branch7x7x3": [(192, 1), (192, WIDE), (192, TALL), (192, 3)]}
)
_ON_8 = Layout(
    {
        "branch1x1": [(320, 1)],
        "branch3x3": [(384, 1), (384, FLAT, STEEP)],
        "branch3x3dbl": [(448, 1), (384, 3), (384, FLAT, STEEP)],
    },
    192,
)
# Named after the sides of their grids for pictures of 299x299, for which the network was made.
BLOCKS: Mapping[str, Layout] = MappingProxyType(
    {
        "Mixed_5b": _on_35(32),
        "Mixed_5c": _on_35(64),
        "Mixed_5d": _on_35(64),
        "Mixed_6a": _FROM_35_TO_17,
        "Mixed_6b": _on_17(128),
        "Mixed_6c": _on_17(160),
        "Mixed_6d": _on_17(160),
        "Mixed_6e": _on_17(192),
        "Mixed_7a": _FROM_17_TO_8,
        "Mixed_7b": _ON_8,
        "Mixed_7c": _ON_8,
    }
)


class Mixed(nn.Module):
    """A block: branches of convolutions and a pool, their channels side by side."""

    def __init__(self, channels: int, layout: Layout) -> None:
        super().__init__()
        halving = layout.projected == 0
        self._branches = [self._add(name, steps, channels, halving) for name, steps in layout.branches.items()]
        self.pool = nn.MaxPool2d(3, 2) if halving else nn.AvgPool2d(3, 1, 1)
        self.branch_pool = None if halving else NormedConv(channels, layout.projected, 1)
        widths = [steps[-1][0] * len(steps[-1][1:]) for steps in layout.branches.values()]
        self.width = sum(widths) + (layout.projected or channels)

    def _add(self, name: str, steps: Sequence[Step], channels: int, halving: bool) -> list[list[str]]:
        """Add a branch's convolutions under torchvision's names; returns the names, step by step."""
        names: list[list[str]] = []
        for index, (width, *kernels) in enumerate(steps, start=1):
            last = index == len(steps)
            step = name if len(steps) == 1 else f"{name}_{index}"
            names.append([step] if len(kernels) == 1 else [f"{step}{letter}" for letter in "ab"])
            for module, kernel in zip(names[-1], kernels, strict=True):
                conv = (
                    NormedConv(channels, width, kernel, 2, 0)
                    if halving and last
                    else NormedConv(channels, width, kernel)
                )
                self.add_module(module, conv)
            channels = width
        return names

    def forward(self, features: Tensor) -> Tensor:
        """(b, channels, h, w) -> (b, width, h', w')."""
        outputs = []
        for *inner, ends in self._branches:
            branch = features
            for (name,) in inner:
                branch = getattr(self, name)(branch)
            outputs += [getattr(self, end)(branch) for end in ends]
        pooled = self.pool(features)
        outputs.append(pooled if self.branch_pool is None else self.branch_pool(pooled))
        return torch.cat(outputs, 1)


class InceptionV3(nn.Module):
    """Five convolutions, eleven blocks, the mean over positions, one linear layer."""

    def __init__(self) -> None:
        super().__init__()
        self.Conv2d_1a_3x3 = NormedConv(3, 32, 3, 2, 0)
        self.Conv2d_2a_3x3 = NormedConv(32, 32, 3, 1, 0)
        self.Conv2d_2b_3x3 = NormedConv(32, 64, 3)
        self.maxpool1 = nn.MaxPool2d(3, 2)
        self.Conv2d_3b_1x1 = NormedConv(64, 80, 1)
        self.Conv2d_4a_3x3 = NormedConv(80, 192, 3, 1, 0)
        self.maxpool2 = nn.MaxPool2d(3, 2)
        channels = 192
        for name, layout in BLOCKS.items():
            block = Mixed(channels, layout)
            self.add_module(name, block)
            channels = block.width
        self._trunk = tuple(name for name, _ in self.named_children())
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(channels, 1000)
        # A head that helped in training: the official file has its weights, and here it never runs.
        self.AuxLogits = nn.ModuleDict(
            {"conv0": NormedConv(768, 128, 1), "conv1": NormedConv(128, 768, 5), "fc": nn.Linear(768, 1000)}
        )

    def forward(self, image: Tensor) -> Tensor:
        """(b, 3, h, w), ImageNet-normalised -> (b, 1000) logits."""
        features = to_unit_range(image)
        for name in self._trunk:
            features = getattr(self, name)(features)
        logits: Tensor = self.fc(self.avgpool(features).flatten(1))
        return logits


INCEPTION_V3 = Backbone(
    "inception_v3",
    InceptionV3,
    aliases=MappingProxyType({f"mixed{index}": name for index, name in enumerate(BLOCKS)}),
    logits="fc",
    heads=("AuxLogits",),
    smallest=75,
    classes=imagenet_classes,
    summary="Inception v3, made for 299x299 pixels, ported from TensorFlow by torchvision",
)
