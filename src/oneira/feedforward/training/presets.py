"""Whose settings a training may borrow."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from oneira.feedforward.training.settings import Phase, StylizerSettings
from oneira.techniques.presets import Preset, preset_called

BYTE = 255  # their pixels run to 255, ours to 1
PUBLISHED_SIDE = 256

# What the published losses have in common, and our defaults have not: means over elements, no smoothing, Adam at 1e-3.
PLAIN: Mapping[str, Any] = MappingProxyType(
    {
        "channels": (32, 64, 128),
        "statistics": ("gram",),
        "style_weight": 1.0,
        "content_weight": 1.0,
        "smoothness": 0.0,
        "pooling": "max",
        "pooling_gain": 1.0,
        "phases": (Phase(side=PUBLISHED_SIDE, steps=40_000),),
        "batch": 4,
        "rate": 1e-3,
        "warmup": 0,
        "fall": "none",
        "clip": None,
        "average_decay": 0.0,
        "smallest_crop": 1.0,
    }
)
JOHNSON_STYLE = ("relu1_2", "relu2_2", "relu3_3", "relu4_3")
# Their total variation is half the sum of squared differences of a batch of 4, at values up to 255; ours the mean over
# the 3 x 256 x 256 values of each picture, at values up to 1; and their other losses are means over the batch.
JOHNSON_SMOOTHNESS = 1e-6 / 2 * BYTE**2 * (3 * PUBLISHED_SIDE**2) * 4

SQUARES = "Squares are cut out of the photographs at random and mirrored half of the time; they resize whole ones."
STROKES = "Style pictures keep their proportions, at the area of the squares."

PRESETS: Mapping[str, Preset] = MappingProxyType(
    {
        "pocket": Preset(
            "Oneira 2026, for its embedded network, after Dumoulin, Shlens, Kudlur 2017",
            departures=(
                "Losses are those of `oneira style`: relative to the target's own, with means and deviations.",
                "Squares begin small: a step at 128 pixels takes a quarter of the time of one at 256.",
                "A quarter fewer channels at the quarter size, where most of the time goes: it takes two thirds of it.",
                "The rate falls along a cosine, and the weights are averaged: fewer steps for the same picture.",
            ),
        ),
        "johnson": Preset(
            "Johnson, Alahi, Fei-Fei 2016 (fast-neural-style, train.lua): VGG-16, one style",
            {
                **PLAIN,
                "network": "instance",
                "model": "vgg16-caffe",
                "content_layer": ("relu3_3",),
                "content_layer_weight": (1.0,),
                "style_layer": JOHNSON_STYLE,
                "style_layer_weight": (1.0,) * 4,
                "normalization": "elements",
                "style_weight": 5.0,
                "smoothness": JOHNSON_SMOOTHNESS,
            },
            (
                "The network is pytorch/examples', which enlarges by repeating pixels; theirs transposes convolutions.",
                "Instance normalisation is what their program takes; --network batch is the paper's.",
                "Total variation counts the last row and column too, as if the picture went on as it ends.",
                SQUARES,
                STROKES,
            ),
        ),
        "pytorch-examples": Preset(
            "pytorch/examples, fast_neural_style 2017: VGG-16, instance normalisation, one style",
            {
                **PLAIN,
                "network": "instance",
                "model": "vgg16",
                "content_layer": ("relu2_2",),
                "content_layer_weight": (1.0,),
                "style_layer": JOHNSON_STYLE,
                "style_layer_weight": (1.0,) * 4,
                "normalization": "elements",
                "content_weight": 1e5,
                "style_weight": 1e10,
                "phases": (Phase(side=PUBLISHED_SIDE, steps=2 * 82_783 // 4),),
            },
            (
                "Two passes over COCO's 82,783 photographs are 41,391 steps, whatever there is to train on.",
                "Pictures end between 0 and 1, where theirs are cut when they are saved.",
                SQUARES,
                STROKES,
            ),
        ),
        "magenta": Preset(
            "Dumoulin, Shlens, Kudlur 2017 (magenta, image_stylization): VGG-16 with average pooling, many styles",
            {
                **PLAIN,
                "network": "conditional",
                "model": "vgg16-caffe",
                "content_layer": ("relu3_3",),
                "content_layer_weight": (1.0,),
                "style_layer": JOHNSON_STYLE,
                "style_layer_weight": (1e-4,) * 4,
                "normalization": "average",
                "pooling": "avg",
                "batch": 16,
                "initialisation": 0.01,
            },
            (
                "Their conv1 to conv4 are the last rectified layers of the first four stages.",
                SQUARES,
                STROKES,
            ),
        ),
        "ulyanov": Preset(
            "Ulyanov, Lebedev, Vedaldi, Lempitsky 2016 (texture_nets): VGG-19, one texture or style",
            {
                **PLAIN,
                "network": "instance",
                "model": "vgg19-caffe",
                "content_layer": ("relu4_2",),
                "content_layer_weight": (1.0,),
                "style_layer": ("relu1_1", "relu2_1", "relu3_1", "relu4_1"),
                "style_layer_weight": (1.0,) * 4,
                "normalization": "elements",
                "phases": (Phase(side=PUBLISHED_SIDE, steps=50_000),),
                "batch": 1,
                "fall": "steps",
                "fall_every": 2000,
                "fall_factor": 0.8,
            },
            (
                "Styles are drawn by Johnson's network; theirs is a pyramid that sees the photograph at every scale. "
                "--network texture is the paper's for textures.",
                SQUARES,
                STROKES,
            ),
        ),
    }
)


def settings_with(preset: str, **given: Any) -> StylizerSettings:
    """The preset's settings, and over them what is given. PlanError for an unknown preset."""
    return StylizerSettings(**{**preset_called(preset, PRESETS, "train style").options, **given})
