"""Networks as instruments: which there are, what their layers are called, and activations by address."""

from oneira.features.address import DEFAULT_BACKBONE, Address, split_address
from oneira.features.backbones.backbone import Backbone
from oneira.features.backbones.classes import find_class
from oneira.features.description import LayerDescription, describe, smallest_side, stride_of
from oneira.features.encoder import Encoder
from oneira.features.preprocessing import CAFFE, IMAGENET, Preprocessing
from oneira.features.registry import find_backbone, register_backbone, resolve
from oneira.features.variant import Padding, Pooling, Variant

__all__ = [
    "CAFFE",
    "DEFAULT_BACKBONE",
    "IMAGENET",
    "Address",
    "Backbone",
    "Encoder",
    "LayerDescription",
    "Padding",
    "Pooling",
    "Preprocessing",
    "Variant",
    "describe",
    "find_backbone",
    "find_class",
    "register_backbone",
    "resolve",
    "smallest_side",
    "split_address",
    "stride_of",
]
