"""VGG (Simonyan and Zisserman 2014): blocks of 3x3 convolutions and 2x2 max pools, then three fully connected layers.

Layers carry the names of the authors' Caffe release: conv4_2 is before its ReLU, relu4_2 after it.
"""

from collections.abc import Iterator, Sequence
from functools import partial
from types import MappingProxyType

from torch import nn

from oneira.features.backbones.backbone import Backbone
from oneira.features.backbones.classes import imagenet_classes
from oneira.features.backbones.stack import Layers, PooledClassifier, numbered, stack
from oneira.features.preprocessing import CAFFE, IMAGENET, Preprocessing

WIDTHS = (64, 128, 256, 512, 512)
DEPTHS = MappingProxyType({"11": (1, 1, 2, 2, 2), "13": (2, 2, 2, 2, 2), "16": (2, 2, 3, 3, 3), "19": (2, 2, 4, 4, 4)})
GRID = 7


def vgg(
    depths: Sequence[int], *, widths: Sequence[int] = WIDTHS, hidden: int = 4096, classes: int = 1000
) -> PooledClassifier:
    """The network with `depths[i]` convolutions of `widths[i]` channels in block i."""
    features = stack(_features(depths, widths))
    return PooledClassifier(features, GRID, stack(_classifier(widths[-1] * GRID * GRID, hidden, classes)))


def vgg_aliases(depths: Sequence[int]) -> dict[str, str]:
    """conv1_1, relu1_1, ..., pool5, fc6, relu6, ..., fc8 -> the modules' names."""
    widths = (1,) * len(depths)  # the names do not depend on them
    return numbered("features", _features(depths, widths)) | numbered("classifier", _classifier(1, 1, 1))


def _features(depths: Sequence[int], widths: Sequence[int]) -> Layers:
    channels = 3
    for block, (width, depth) in enumerate(zip(widths, depths, strict=True), start=1):
        for index in range(1, depth + 1):
            yield f"conv{block}_{index}", partial(nn.Conv2d, channels, width, 3, padding=1)
            yield f"relu{block}_{index}", nn.ReLU
            channels = width
        yield f"pool{block}", partial(nn.MaxPool2d, 2)


def _classifier(channels: int, hidden: int, classes: int) -> Layers:
    yield "fc6", partial(nn.Linear, channels, hidden)
    yield "relu6", nn.ReLU
    yield "drop6", nn.Dropout
    yield "fc7", partial(nn.Linear, hidden, hidden)
    yield "relu7", nn.ReLU
    yield "drop7", nn.Dropout
    yield "fc8", partial(nn.Linear, hidden, classes)


def _declared(layers: str, suffix: str, preprocessing: Preprocessing, trained: str) -> Backbone:
    depths = DEPTHS[layers]
    aliases = vgg_aliases(depths)
    return Backbone(
        f"vgg{layers}{suffix}",
        partial(vgg, depths),
        preprocessing,
        MappingProxyType(aliases),
        logits=aliases["fc8"],
        smallest=32,
        classes=imagenet_classes,
        summary=f"VGG with {layers} layers of weights, {trained}",
    )


def vggs() -> Iterator[Backbone]:
    """vgg11, vgg13, vgg16, vgg19; vgg16-caffe and vgg19-caffe take the authors' own weights, for BGR in 0..255."""
    for layers in DEPTHS:
        yield _declared(layers, "", IMAGENET, "trained by torchvision")
    for layers in ("16", "19"):
        yield _declared(layers, "-caffe", CAFFE, "Simonyan and Zisserman's own")
