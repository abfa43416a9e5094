"""AlexNet, in one column of fewer channels (Krizhevsky 2014, "One weird trick"), as torchvision trained it."""

from functools import partial
from types import MappingProxyType

from torch import nn

from oneira.features.backbones.backbone import Backbone
from oneira.features.backbones.classes import imagenet_classes
from oneira.features.backbones.stack import Layers, PooledClassifier, numbered, stack

CONVOLUTIONS = ((64, 11, 4, 2), (192, 5, 1, 2), (384, 3, 1, 1), (256, 3, 1, 1), (256, 3, 1, 1))
"""Channels, kernel, stride, padding of conv1 .. conv5."""
POOLED = (1, 2, 5)
GRID = 6


def alexnet() -> PooledClassifier:
    """(b, 3, h, w), ImageNet-normalised -> (b, 1000) logits."""
    return PooledClassifier(stack(_features()), GRID, stack(_classifier()))


def _features() -> Layers:
    channels = 3
    for index, (width, kernel, stride, padding) in enumerate(CONVOLUTIONS, start=1):
        yield f"conv{index}", partial(nn.Conv2d, channels, width, kernel, stride, padding)
        yield f"relu{index}", nn.ReLU
        if index in POOLED:
            yield f"pool{index}", partial(nn.MaxPool2d, 3, 2)
        channels = width


def _classifier() -> Layers:
    # torchvision drops out before a fully connected layer; Caffe's names, and ours, count it to the layer before.
    yield "drop5", nn.Dropout
    yield "fc6", partial(nn.Linear, CONVOLUTIONS[-1][0] * GRID * GRID, 4096)
    yield "relu6", nn.ReLU
    yield "drop6", nn.Dropout
    yield "fc7", partial(nn.Linear, 4096, 4096)
    yield "relu7", nn.ReLU
    yield "fc8", partial(nn.Linear, 4096, 1000)


_ALIASES = MappingProxyType(numbered("features", _features()) | numbered("classifier", _classifier()))

ALEXNET = Backbone(
    "alexnet",
    alexnet,
    aliases=_ALIASES,
    logits=_ALIASES["fc8"],
    smallest=63,
    classes=imagenet_classes,
    summary="AlexNet, five convolutions, the first of 11x11, trained by torchvision",
)
