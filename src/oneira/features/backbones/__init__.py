"""One small module per family; FAMILIES lists what they declare, by name, the embedded network first."""

from collections.abc import Mapping
from types import MappingProxyType

from oneira.features.backbones.alexnet import ALEXNET
from oneira.features.backbones.backbone import Backbone
from oneira.features.backbones.classes import pocket_classes
from oneira.features.backbones.googlenet import GOOGLENET
from oneira.features.backbones.inception_v3 import INCEPTION_V3
from oneira.features.backbones.pocket import pocket, pocket_fitting
from oneira.features.backbones.resnet import resnets
from oneira.features.backbones.squeezenet import squeezenets
from oneira.features.backbones.vgg import vggs

__all__ = ["FAMILIES", "Backbone"]

POCKET = Backbone(
    "pocket",
    pocket,
    logits="fc",
    smallest=16,
    classes=pocket_classes,
    summary="the embedded network, VGG-shaped, trained on Tiny ImageNet by this project",
    fitting=pocket_fitting,
)

FAMILIES: Mapping[str, Backbone] = MappingProxyType(
    {
        backbone.name: backbone
        for backbone in (POCKET, *vggs(), ALEXNET, GOOGLENET, INCEPTION_V3, *resnets(), *squeezenets())
    }
)
