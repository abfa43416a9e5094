"""SqueezeNet (Iandola et al. 2016): AlexNet's accuracy in 5 MB, out of `fire` modules.

Layers carry the names of the authors' Caffe release: fire2/expand3x3 is before its ReLU, fire2/relu_expand3x3 after it,
fire2 (or fire2/concat) is both expansions, after their ReLUs, side by side.
"""

from collections.abc import Collection, Iterator, Mapping
from functools import partial
from types import MappingProxyType

import torch
from torch import Tensor, nn

from oneira.features.backbones.backbone import Backbone
from oneira.features.backbones.classes import imagenet_classes
from oneira.features.backbones.stack import Layers, numbered, stack

FIRES = ((16, 64), (16, 64), (32, 128), (32, 128), (48, 192), (48, 192), (64, 256), (64, 256))
"""Channels of the squeeze and of each of the two expansions, of fire2 .. fire9."""


class Fire(nn.Module):
    """(b, channels, h, w) -> (b, 2 * expanded, h, w): a 1x1 squeeze, then 1x1 and 3x3 expansions side by side."""

    def __init__(self, channels: int, squeezed: int, expanded: int) -> None:
        super().__init__()
        self.squeeze = nn.Conv2d(channels, squeezed, 1)
        self.squeeze_activation = nn.ReLU()
        self.expand1x1 = nn.Conv2d(squeezed, expanded, 1)
        self.expand1x1_activation = nn.ReLU()
        self.expand3x3 = nn.Conv2d(squeezed, expanded, 3, padding=1)
        self.expand3x3_activation = nn.ReLU()

    def forward(self, features: Tensor) -> Tensor:
        """(b, channels, h, w) -> (b, 2 * expanded, h, w)."""
        squeezed = self.squeeze_activation(self.squeeze(features))
        small = self.expand1x1_activation(self.expand1x1(squeezed))
        large = self.expand3x3_activation(self.expand3x3(squeezed))
        return torch.cat([small, large], 1)


class SqueezeNet(nn.Module):
    """`width` channels and a kernel of `kernel` pixels in conv1; a max pool behind conv1 (1) and fires in `pooled`."""

    def __init__(self, width: int, kernel: int, pooled: Collection[int]) -> None:
        super().__init__()
        self.features = stack(_features(width, kernel, pooled))
        self.classifier = stack(_classifier())

    def forward(self, image: Tensor) -> Tensor:
        """(b, 3, h, w), ImageNet-normalised -> (b, 1000), activations of the classes, after a ReLU."""
        averages: Tensor = self.classifier(self.features(image))
        return averages.flatten(1)


def _features(width: int, kernel: int, pooled: Collection[int]) -> Layers:
    yield "conv1", partial(nn.Conv2d, 3, width, kernel, 2)
    yield "relu1", nn.ReLU
    yield "pool1", partial(nn.MaxPool2d, 3, 2, ceil_mode=True)
    channels = width
    for index, (squeezed, expanded) in enumerate(FIRES, start=2):
        yield f"fire{index}", partial(Fire, channels, squeezed, expanded)
        channels = 2 * expanded
        if index in pooled:
            yield f"pool{index}", partial(nn.MaxPool2d, 3, 2, ceil_mode=True)


def _classifier() -> Layers:
    yield "drop9", nn.Dropout
    yield "conv10", partial(nn.Conv2d, 2 * FIRES[-1][1], 1000, 1)
    yield "relu10", nn.ReLU
    yield "pool10", partial(nn.AdaptiveAvgPool2d, 1)


def _aliases(features: Layers) -> Iterator[tuple[str, str]]:
    for name, module in numbered("features", features).items():
        yield name, module
        if name.startswith("fire"):
            yield f"{name}/concat", module
            for paper, part in (("squeeze1x1", "squeeze"), ("expand1x1", "expand1x1"), ("expand3x3", "expand3x3")):
                yield f"{name}/{paper}", f"{module}.{part}"
                yield f"{name}/relu_{paper}", f"{module}.{part}_activation"
    yield from numbered("classifier", _classifier()).items()


def _declared(version: str, width: int, kernel: int, pooled: Collection[int], smallest: int, summary: str) -> Backbone:
    aliases: Mapping[str, str] = MappingProxyType(dict(_aliases(_features(width, kernel, pooled))))
    return Backbone(
        f"squeezenet{version}",
        partial(SqueezeNet, width, kernel, pooled),
        aliases=aliases,
        logits=aliases["pool10"],
        smallest=smallest,
        classes=imagenet_classes,
        summary=summary,
    )


def squeezenets() -> Iterator[Backbone]:
    """squeezenet1_0 and squeezenet1_1."""
    yield _declared("1_0", 96, 7, (4, 8), 21, "SqueezeNet 1.0, AlexNet's accuracy in 5 MB")
    yield _declared("1_1", 64, 3, (3, 5), 17, "SqueezeNet 1.1, as accurate as 1.0 at 2.4 times the speed")
