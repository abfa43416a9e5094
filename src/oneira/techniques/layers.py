"""Which layers draw well, by backbone: the defaults where an option names none. Chosen by eye."""

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import TypeVar

from oneira.errors import PlanError
from oneira.features.description import describe
from oneira.features.registry import find_backbone

Layers = tuple[str, ...]
Chosen = TypeVar("Chosen", bound=str | Layers)

VGG_STYLE: Layers = ("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1")
VGGS = ("vgg11", "vgg13", "vgg16", "vgg19", "vgg16-caffe", "vgg19-caffe")
RESNETS = ("resnet18", "resnet50")
SQUEEZENETS = ("squeezenet1_0", "squeezenet1_1")

DREAM_LAYERS: Mapping[str, Layers] = MappingProxyType(
    {
        "pocket": ("relu4_2", "relu4_4"),
        "googlenet": ("inception_4c/output",),
        "inception_v3": ("mixed3", "mixed5"),
        "alexnet": ("relu4",),
        **dict.fromkeys(VGGS, ("relu4_2",)),
        **dict.fromkeys(RESNETS, ("layer3",)),
        **dict.fromkeys(SQUEEZENETS, ("fire8",)),
    }
)
STYLE_LAYERS: Mapping[str, Layers] = MappingProxyType(
    {
        "pocket": ("relu1_1", "relu1_2", "relu2_1", "relu2_2", "relu3_1", "relu3_3", "relu4_1"),
        "googlenet": ("conv1/7x7_s2", "conv2/3x3", "inception_3a/output", "inception_3b/output", "inception_4a/output"),
        "inception_v3": ("Conv2d_1a_3x3", "Conv2d_2b_3x3", "Conv2d_4a_3x3", "mixed0", "mixed3"),
        "alexnet": ("relu1", "relu2", "relu3", "relu4", "relu5"),
        **dict.fromkeys(VGGS, VGG_STYLE),
        **dict.fromkeys(RESNETS, ("relu", "layer1", "layer2", "layer3")),
        **dict.fromkeys(SQUEEZENETS, ("conv1", "fire2", "fire4", "fire6", "fire8")),
    }
)
# How much each of them counts, where that is not the same for all: strokes and colours more than what they make up.
STYLE_LAYER_WEIGHTS: Mapping[str, tuple[float, ...]] = MappingProxyType(
    {"pocket": (0.3, 0.25, 0.2, 0.12, 0.07, 0.04, 0.02)}
)
CONTENT_LAYERS: Mapping[str, Layers] = MappingProxyType(
    {
        "pocket": ("relu3_1",),
        "googlenet": ("inception_4a/output",),
        "inception_v3": ("mixed2",),
        "alexnet": ("relu4",),
        **dict.fromkeys(VGGS, ("relu4_2",)),
        **dict.fromkeys(RESNETS, ("layer3",)),
        **dict.fromkeys(SQUEEZENETS, ("fire6",)),
    }
)
# Where textures are compared; as for style, but for the pools that Gatys et al. 2015 take in VGG.
TEXTURE_LAYERS: Mapping[str, Layers] = MappingProxyType(
    {**STYLE_LAYERS, **dict.fromkeys(VGGS, ("relu1_1", "pool1", "pool2", "pool3", "pool4"))}
)
# Where channels are compared with themselves, shifted: deep enough to tell mortar from brick, and still sharp.
STRUCTURE_LAYERS: Mapping[str, Layers] = MappingProxyType(
    {
        "pocket": ("relu2_2",),
        "googlenet": ("conv2/3x3",),
        "inception_v3": ("Conv2d_2b_3x3",),
        "alexnet": ("relu2",),
        **dict.fromkeys(VGGS, ("relu2_1",)),
        **dict.fromkeys(RESNETS, ("layer1",)),
        **dict.fromkeys(SQUEEZENETS, ("fire2",)),
    }
)
# What `all` means, as names in the papers: every stage of a network once, as the next one sees it, and its classes.
RECTIFIED = r"relu\w+|fc|fc8"
EVERY_LAYER: Mapping[str, str] = MappingProxyType(
    {
        "pocket": RECTIFIED,
        "googlenet": r"conv1/7x7_s2|conv2/3x3|inception_\w+/output|loss3/classifier",
        "inception_v3": r"Conv2d_\w+|mixed\d+|fc",
        "alexnet": RECTIFIED,
        **dict.fromkeys(VGGS, RECTIFIED),
        **dict.fromkeys(RESNETS, r"relu1|layer\d\.\d|fc1000"),
        **dict.fromkeys(SQUEEZENETS, r"relu1|fire\d|relu10"),
    }
)


def layers_for(model: str, table: Mapping[str, Layers]) -> Layers:
    """The layers of `table` for `model`; PlanError where nobody has chosen any."""
    return _chosen(model, table)


def every_layer(model: str, *, positions: bool = False) -> Layers:
    """What `all` means in `model`, from shallow to deep; PlanError where nobody has chosen. `positions`: which have."""
    pattern = re.compile(_chosen(model, EVERY_LAYER))
    return tuple(
        name
        for layer in describe(find_backbone(model))
        for name in (*layer.aliases, layer.layer)
        if pattern.fullmatch(name) and not (positions and layer.stride is None)
    )


def meant(named: Layers, model: str, *, positions: bool = True) -> Layers:
    """The layers that are named, `all` among them as `every_layer` has it."""
    return every_layer(model, positions=positions) if named == ("all",) else named


def _chosen(model: str, table: Mapping[str, Chosen]) -> Chosen:
    if model not in table:
        raise PlanError(f"no layers are chosen for {model!r} here; name them (oneira models {model} lists them)")
    return table[model]


def texture_layers(model: str) -> tuple[Layers, tuple[float, ...] | None]:
    """Where textures are compared in `model`, and how much each layer counts; None: all alike."""
    return layers_for(model, TEXTURE_LAYERS), STYLE_LAYER_WEIGHTS.get(model)


def style_layers(model: str) -> tuple[Layers, tuple[float, ...] | None]:
    """Where manner is compared in `model`, and how much each layer counts; None: all alike."""
    return layers_for(model, STYLE_LAYERS), STYLE_LAYER_WEIGHTS.get(model)
