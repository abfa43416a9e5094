"""Whose settings inversion may borrow."""

from collections.abc import Mapping
from types import MappingProxyType

from oneira.techniques.presets import Preset

# Mahendran and Vedaldi's units, in ours. Their pixels run to 255; their losses are sums over pixel values, divided by
# the sum of squares that a natural picture has, of which the root of the mean is 68.9 levels (their `x0_sigma`).
BYTE, NATURAL = 255.0, 68.9
SMOOTH = (BYTE / NATURAL) ** 2 / 2  # their lambda_V of 1; the published code halves both regularisers
HELD = 8e-10 / 2 * BYTE**6 / NATURAL**2
RATE = 0.004 * (NATURAL / BYTE) ** 2

PRESETS: Mapping[str, Preset] = MappingProxyType(
    {
        "pocket": Preset(
            "Oneira 2026, for its embedded network, after Mahendran and Vedaldi 2015",
            departures=(
                "A spectrum is optimised, by Adam: large shapes come as fast as fine ones, in a fraction of the steps.",
                "Regularisers are means over pixels, so that their weights hold at any size.",
            ),
        ),
        "mahendran-vedaldi": Preset(
            "Mahendran and Vedaldi 2015, their published code: AlexNet, gradient descent with momentum, 400 steps",
            {
                "model": "alexnet",
                "size": 227,
                "canvas": "pixels",
                "start": "white-noise",
                "spread": NATURAL / BYTE,
                "unclipped": True,
                "optimiser": "sgd",
                "rate": RATE,
                "steps": (100, 200, 100),
                "rate_factors": (1.0, 0.1, 0.01),
                "prior": "natural",
                "smoothness_by_depth": (SMOOTH, 10 * SMOOTH, 100 * SMOOTH),
                "restraint": HELD,
            },
            (
                "Their network is Caffe's reference net, with local response normalisation; torchvision's AlexNet has "
                "none and other filters: their published errors cannot be reproduced with it.",
                "They halve both regularisers: lambda_V is 0.5, 5 and 50 in effect, by depth.",
                "They subtract the mean picture of ImageNet; values are held near mid-grey here.",
                "The picture keeps its proportions; theirs is made square.",
                "The noise that it begins with is clipped to [0, 1]; theirs has no bounds.",
                "Values are clipped to [0, 1] in the end; they show what they have from its darkest to its lightest.",
            ),
        ),
        "gatys": Preset(
            "Gatys, Ecker, Bethge 2016, figure 1: content reconstructions from white noise, nothing held natural",
            {
                "model": "vgg19-caffe",
                "layer": ("relu4_2",),
                "prior": "none",
                "canvas": "pixels",
                "start": "white-noise",
                "spread": 0.2,
                "optimiser": "lbfgs",
                "steps": (500,),
            },
            (
                'The paper\'s "conv4_2" is what Caffe has under that name: rectified in place, our relu4_2.',
                "The loss is relative to the target's squares, which changes nothing for this optimiser.",
                "The paper names no number of steps: 500.",
            ),
        ),
    }
)
