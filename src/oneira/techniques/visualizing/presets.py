"""Whose settings feature visualization may borrow."""

from collections.abc import Mapping
from types import MappingProxyType

from oneira.techniques.presets import Preset

PRESETS: Mapping[str, Preset] = MappingProxyType(
    {
        "pocket": Preset(
            "Oneira 2026, for its embedded network, after Olah, Mordvintsev, Schubert 2017",
            departures=(
                "It begins at half the size, where steps cost a quarter: 80 steps in place of 512.",
                "The first steps are before the layer's ReLU: behind it, channels that noise leaves silent stay grey.",
            ),
        ),
        "lucid": Preset(
            "Olah, Mordvintsev, Schubert 2017, and lucid's defaults: GoogLeNet, 128 px, 512 steps of Adam",
            {
                "model": "googlenet",
                "layer": ("inception_4a/output",),
                "size": 128,
                "canvas": "fourier",
                "spread": 0.01,
                "transforms": "robust",
                "rate": 0.05,
                "steps": (512,),
                "waking": 0,
            },
            ("Their network is TensorFlow's Inception 5h; the weights here are torchvision's.",),
        ),
        "maco": Preset(
            "Fel et al. 2023, MACO: phases only, the magnitudes of natural pictures, 256 steps",
            {"canvas": "maco", "transforms": "shift", "rate": 1.0, "steps": (256,), "waking": 0, "optimiser": "adam"},
            ("They crop at random places and sizes and add noise; pictures are shifted here.",),
        ),
        "simonyan": Preset(
            "Simonyan, Vedaldi, Zisserman 2014: a class's score on pixels from grey, held by an L2 norm",
            {
                "canvas": "pixels",
                "transforms": "none",
                "optimiser": "sgd",
                "rate": 5.0,
                "restraint": 0.1,
                "steps": (300,),
                "waking": 0,
            },
            ("The paper names neither rates nor steps.",),
        ),
    }
)
