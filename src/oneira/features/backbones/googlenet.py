"""GoogLeNet (Szegedy et al. 2014), DeepDream's own network, as torchvision ported it from TensorFlow.

Layers carry the names of the Caffe release that google/deepdream uses. There every ReLU runs in place, so that
`inception_4d/1x1` is after its ReLU, and so it is here; `inception4d.branch1.bn` is before it.
"""

from collections.abc import Iterator
from types import MappingProxyType

import torch
from torch import Tensor, nn

from oneira.features.backbones.backbone import Backbone
from oneira.features.backbones.classes import imagenet_classes
from oneira.features.backbones.google import NormedConv, to_unit_range

# Channels of 1x1; 3x3 reduction and 3x3; 5x5 reduction and 5x5; the projection behind the pool.
INCEPTIONS = MappingProxyType(
    {
        "3a": (64, 96, 128, 16, 32, 32),
        "3b": (128, 128, 192, 32, 96, 64),
        "4a": (192, 96, 208, 16, 48, 64),
        "4b": (160, 112, 224, 24, 64, 64),
        "4c": (128, 128, 256, 24, 64, 64),
        "4d": (112, 144, 288, 32, 64, 64),
        "4e": (256, 160, 320, 32, 128, 128),
        "5a": (256, 160, 320, 32, 128, 128),
        "5b": (384, 192, 384, 48, 128, 128),
    }
)
POOLED = MappingProxyType({"3b": 3, "4e": 2})  # behind which block there is a pool, and the side of its window

STEM_NAMES = MappingProxyType(
    {
        "conv1/7x7_s2": "conv1",
        "pool1/3x3_s2": "maxpool1",
        "conv2/3x3_reduce": "conv2",
        "conv2/3x3": "conv3",
        "pool2/3x3_s2": "maxpool2",
        "pool3/3x3_s2": "maxpool3",
        "pool4/3x3_s2": "maxpool4",  # of 2x2 in this port
        "pool5/7x7_s1": "avgpool",
        "loss3/classifier": "fc",
    }
)
BRANCH_NAMES = MappingProxyType(
    {
        "1x1": "branch1",
        "3x3_reduce": "branch2.0",
        "3x3": "branch2.1",
        "5x5_reduce": "branch3.0",
        "5x5": "branch3.1",
        "pool": "branch4.0",
        "pool_proj": "branch4.1",
    }
)


class Inception(nn.Module):
    """Four branches, their channels side by side: `widths` as in INCEPTIONS; the grid stays."""

    def __init__(self, channels: int, widths: tuple[int, int, int, int, int, int]) -> None:
        super().__init__()
        one, reduced3, three, reduced5, five, projected = widths
        self.branch1 = NormedConv(channels, one, 1)
        self.branch2 = nn.Sequential(NormedConv(channels, reduced3, 1), NormedConv(reduced3, three, 3))
        # The paper's 5x5 is 3x3 in the weights that torchvision ported, so 3x3 it must be.
        self.branch3 = nn.Sequential(NormedConv(channels, reduced5, 1), NormedConv(reduced5, five, 3))
        self.branch4 = nn.Sequential(nn.MaxPool2d(3, 1, 1, ceil_mode=True), NormedConv(channels, projected, 1))
        self.width = one + three + five + projected

    def forward(self, features: Tensor) -> Tensor:
        """(b, channels, h, w) -> (b, width, h, w)."""
        return torch.cat([branch(features) for branch in self.children()], 1)


class GoogLeNet(nn.Module):
    """Convolutions, nine Inception blocks, the mean over positions, one linear layer."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = NormedConv(3, 64, 7, 2)
        self.maxpool1 = nn.MaxPool2d(3, 2, ceil_mode=True)
        self.conv2 = NormedConv(64, 64, 1)
        self.conv3 = NormedConv(64, 192, 3)
        self.maxpool2 = nn.MaxPool2d(3, 2, ceil_mode=True)
        channels = 192
        for name, widths in INCEPTIONS.items():
            block = Inception(channels, widths)
            self.add_module(f"inception{name}", block)
            channels = block.width
            if name in POOLED:
                self.add_module(f"maxpool{int(name[0])}", nn.MaxPool2d(POOLED[name], 2, ceil_mode=True))
        self._trunk = tuple(name for name, _ in self.named_children())
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(channels, 1000)
        self.aux1 = _auxiliary(512)
        self.aux2 = _auxiliary(528)

    def forward(self, image: Tensor) -> Tensor:
        """(b, 3, h, w), ImageNet-normalised -> (b, 1000) logits."""
        features = to_unit_range(image)
        for name in self._trunk:
            features = getattr(self, name)(features)
        logits: Tensor = self.fc(self.avgpool(features).flatten(1))
        return logits


def _auxiliary(channels: int) -> nn.ModuleDict:
    """A head that helped in training: the official file has its weights, and here it never runs."""
    return nn.ModuleDict(
        {"conv": NormedConv(channels, 128, 1), "fc1": nn.Linear(2048, 1024), "fc2": nn.Linear(1024, 1000)}
    )


def _aliases() -> Iterator[tuple[str, str]]:
    yield from STEM_NAMES.items()
    for name in INCEPTIONS:
        block = f"inception{name}"
        yield f"inception_{name}/output", block
        yield f"inception_{name}", block
        yield f"mixed{name}", block  # lucid's name for it
        for paper, branch in BRANCH_NAMES.items():
            yield f"inception_{name}/{paper}", f"{block}.{branch}"


GOOGLENET = Backbone(
    "googlenet",
    GoogLeNet,
    aliases=MappingProxyType(dict(_aliases())),
    logits="fc",
    heads=("aux1", "aux2"),
    smallest=15,
    classes=imagenet_classes,
    summary="GoogLeNet (Inception v1), DeepDream's own, ported from TensorFlow by torchvision",
)
