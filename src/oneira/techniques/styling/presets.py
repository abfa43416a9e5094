"""Whose settings style transfer may borrow."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from oneira.techniques.layers import VGG_STYLE
from oneira.techniques.presets import Preset

BYTE = 255  # their pixels run to 255, ours to 1

# What the classics have in common, and our defaults have not.
PLAIN: Mapping[str, Any] = MappingProxyType(
    {
        "content_layer": ("relu4_2",),
        "content_layer_weight": (),
        "style_layer": VGG_STYLE,
        "style_layer_weight": (),
        "statistics": ("gram",),
        "style_weight": 1.0,
        "balance": "losses",
        "smoothness": 0.0,
        "pooling": "max",
        "pooling_gain": 1.0,
        "padding": "zeros",
        "start": "content",
        "smallest": 16384,
        "carry": "result",
        "averaging": 0.0,
    }
)
VGG_13 = tuple(
    f"relu{stage}_{layer}" for stage, layers in enumerate((2, 2, 3, 3, 3), 1) for layer in range(1, layers + 1)
)

UNCLAMPED = "Pixels are kept within [0, 1], which a file can hold: they clip only what they save."
AREA = "The style picture keeps its proportions, at the content's area, so that strokes are as large in both."
GREY = "It begins with mid-grey and noise of their deviation; theirs lies on ImageNet's mean colour."

PRESETS: Mapping[str, Preset] = MappingProxyType(
    {
        "pocket": Preset(
            "Oneira 2026, for its embedded network, after Gatys, Ecker, Bethge 2016",
            departures=(
                "Losses are relative to the target's own, so that weights mean the same in every network.",
                "Means and deviations are compared too: Gram matrices alone leave open which of the two it is.",
                "Seven layers, low ones more than deep ones, and content in relu3_1: by eye and by independent judge.",
                "It begins with the content, small, and grows: fewer steps than from noise at full size.",
                "What was painted is carried on to the content at the next size, so that what is fine in it stays.",
                "Total variation is added, against grain.",
            ),
        ),
        "gatys": Preset(
            "Gatys, Ecker, Bethge 2016: VGG-19, average pooling, Gram matrices, alpha/beta 1e-3, L-BFGS from noise",
            {
                **PLAIN,
                "model": "vgg19-caffe",
                "normalised": True,
                "normalization": "gatys",
                "content_weight": 1.0,
                "style_weight": 1000.0,
                "pooling": "avg",
                "optimiser": "lbfgs",
                "start": "white-noise",
                "steps": 500,
            },
            (
                'The paper\'s "conv4_2" is what Caffe has under that name: rectified in place, our relu4_2.',
                "Mean activations are made 1 over the sample pictures here; theirs were over ImageNet.",
                "The paper names no number of steps: 500.",
                AREA,
            ),
        ),
        "neural-style-pt": Preset(
            "neural-style-pt 2017, after Johnson 2015: VGG-19, Gram matrices over all elements, L-BFGS, 1000 steps",
            {
                **PLAIN,
                "model": "vgg19-caffe",
                "normalization": "elements",
                "content_weight": 5.0,
                "style_weight": 100.0,
                "style_layer_weight": (1.0,) * 5,
                "variation": "l1-sum",
                "smoothness": 1e-3 * 256,
                "optimiser": "lbfgs",
                "history": 100,
                "rate": 1.0,
                "start": "grey",
                "start_noise": 0.001 / 256 / 0.2,
                "steps": 1000,
            },
            (
                "Their pixels run to 256: total variation's weight of 0.001 is 0.256 for ours, which run to 1.",
                "The network sees pixels up to 255, for which it was trained; theirs up to 256.",
                GREY,
                AREA,
            ),
        ),
        "crowsonkb": Preset(
            "Crowson, style-transfer-pytorch 2021: VGG-19, Wasserstein-2 distances, Adam, sizes by the root of 2",
            {
                **PLAIN,
                "model": "vgg19",
                "normalization": "average",
                "statistics": ("wasserstein",),
                "content_weight": 0.015,
                "style_layer_weight": tuple(weight / 341 for weight in (256.0, 64.0, 16.0, 4.0, 1.0)),
                "variation": "nine-point",
                "smoothness": 2.0,
                "padding": "replicate-first",
                "optimiser": "adam",
                "rate": 0.02,
                "betas": (0.9, 0.99),
                "averaging": 0.99,
                "keep_momentum": True,
                "smallest": 128,
                "ratio": 2**0.5,
                "steps": (1000, 500),
            },
            (
                "Square roots of matrices are exact, from eigenvalues; theirs are iterated by Newton and Schulz.",
                "The style picture has the content's area; theirs its long side. --style-size sets one size for all.",
            ),
        ),
        "hvass": Preset(
            "Hvass Pedersen, TensorFlow tutorial 15, 2016: VGG-16, all 13 layers, losses divided by themselves",
            {
                **PLAIN,
                "model": "vgg16-caffe",
                "content_layer": ("relu3_1",),
                "style_layer": VGG_13,
                "normalization": "sums",
                "balance": "logarithms",
                "content_weight": 1.5,
                "style_weight": 10.0,
                "variation": "l1-sum",
                "smoothness": 0.3,
                "optimiser": "ascent",
                "rate": 10 / BYTE,
                "gradient": "std",
                "start": "grey",
                "start_noise": 12**-0.5 / BYTE / 0.2,
                "style_size": 300,
                "steps": 120,
            },
            (
                "A loss divided by itself has the gradient of its logarithm, which is what is minimised here.",
                "Content layer 5 is relu3_1; layers are taken after their ReLU.",
                "It begins with Gaussian noise around mid-grey of the same deviation as their uniform noise.",
            ),
        ),
        "anishathalye": Preset(
            "Athalye, neural-style 2015: VGG-19, Gram matrices over all elements, Adam, 1000 steps",
            {
                **PLAIN,
                "model": "vgg19-caffe",
                "normalization": "elements",
                "content_weight": 5.0,
                "style_weight": 500.0,
                "variation": "squares",
                "smoothness": 100.0 * BYTE**2,
                "optimiser": "adam",
                "rate": 10 / BYTE,
                "betas": (0.9, 0.999),
                "epsilon": 1e-8,
                "start": "grey",
                "start_noise": 0.256 / BYTE / 0.2,
                "steps": 1000,
            },
            (
                "Content may be blended from relu4_2 towards relu5_2 (--content-layer, --content-layer-weight); as in "
                "theirs, it is not.",
                "Several styles are averaged, not their distances.",
                "A rate of 10 for pixels up to 255 is 10/255 for ours; their squared differences are 255^2 times ours.",
                UNCLAMPED,
                GREY,
                AREA,
            ),
        ),
    }
)
