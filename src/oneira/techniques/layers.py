"""Which layers draw well, by backbone: the defaults where an option names none. Chosen by eye."""

from collections.abc import Mapping
from types import MappingProxyType

from oneira.errors import PlanError

Layers = tuple[str, ...]

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


def layers_for(model: str, table: Mapping[str, Layers]) -> Layers:
    """The layers of `table` for `model`; PlanError where nobody has chosen any."""
    if model not in table:
        raise PlanError(f"no layers are chosen for {model!r} here; name them (oneira models {model} lists them)")
    return table[model]


def style_layers(model: str) -> tuple[Layers, tuple[float, ...] | None]:
    """Where manner is compared in `model`, and how much each layer counts; None: all alike."""
    return layers_for(model, STYLE_LAYERS), STYLE_LAYER_WEIGHTS.get(model)
