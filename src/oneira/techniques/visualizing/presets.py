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
        "class": Preset(
            "Oneira 2026, for pictures of a --class, after lucid: smooth, and large shapes first",
            {
                "size": 256,
                "rate": 0.03,
                "steps": (160, 40, 20),
                "smoothness": 100.0,
                "class_against": 0.6,
            },
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
        "yosinski": Preset(
            "Yosinski et al. 2015, Table 1, third row: pixels in plain steps, a little decay, a blur every 4 steps",
            {
                "canvas": "pixels",
                "spread": 0.04,
                "transforms": "none",
                "optimiser": "ascent",
                "rate": 5.0,
                "decay": 0.0001,
                "blur": 1.0,
                "blur_every": 4,
                "steps": (200,),
                "waking": 0,
            },
            (
                "They take 1000 steps at a rate of 100, for values up to 255 and one unit; here it is a whole channel.",
                "Values are held around mid-grey, not around the mean of the training pictures.",
                "The table's first row clips norms below 50 %, the fourth contributions below 90 %; this one neither.",
            ),
        ),
    }
)
