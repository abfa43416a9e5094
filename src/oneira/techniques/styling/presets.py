"""Whose settings style transfer may borrow."""

from collections.abc import Mapping
from types import MappingProxyType

from oneira.techniques.presets import Preset

PRESETS: Mapping[str, Preset] = MappingProxyType(
    {
        "pocket": Preset(
            "Oneira 2026, for its embedded network, after Gatys, Ecker, Bethge 2016",
            departures=(
                "Losses are relative to the target's own, so that weights mean the same in every network.",
                "Means and deviations are compared too: Gram matrices alone leave open which of the two it is.",
                "It begins with the content, small, and grows: fewer steps than from noise at full size.",
                "Total variation is added, against grain.",
            ),
        ),
        "gatys": Preset(
            "Gatys, Ecker, Bethge 2016: VGG-19, average pooling, Gram matrices, alpha/beta 1e-3, L-BFGS from noise",
            {
                "model": "vgg19-caffe",
                # The paper's "conv4_2" is what Caffe has under that name: rectified in place.
                "content_layer": ("relu4_2",),
                "style_layer": ("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1"),
                "statistics": ("gram",),
                "normalization": "gatys",
                "content_weight": 1.0,
                "style_weight": 1000.0,
                "smoothness": 0.0,
                "pooling": "avg",
                "pooling_gain": 1.0,
                "optimiser": "lbfgs",
                "start": "white-noise",
                "smallest": 16384,
                "steps": 500,
                "averaging": 0.0,
            },
            (
                "The weights are VGG-19's as published, not scaled to mean activations of 1: only those can be "
                "fetched from an official place.",
                "The style picture keeps its proportions, at the content's area, so that strokes are not stretched.",
            ),
        ),
    }
)
