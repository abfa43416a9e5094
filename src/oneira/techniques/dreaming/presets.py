"""Whose settings a dream may borrow. Sources count pixels from 0 to 255 or in a network's own units; we from 0 to 1."""

from collections.abc import Mapping
from types import MappingProxyType

from oneira.techniques.presets import Preset

AVERAGED = "Objectives are means over positions where the source sums; its gradient is normalised, so nothing changes."
HALF = "Half the mean of squares, where the source has the whole; its gradient is normalised, so nothing changes."
WEIGHTS = "The weights are torchvision's, not the source's own: only those can be fetched as a PyTorch file."
ENLARGED = "A larger picture is dreamt at 1024 pixels, because time and memory grow with its area."
RESIZED = "Octaves are resized with antialiased bicubic sampling."
UNTILED = "Gradients are exact, of the whole picture; the source's tiles come back with --tile 512."

PRESETS: Mapping[str, Preset] = MappingProxyType(
    {
        "pocket": Preset(
            "Oneira 2026, for its embedded network, after Mordvintsev, Olah, Tyka 2015",
            departures=(
                "Two layers instead of one, and five octaves of 16 steps instead of four of 10: chosen by eye.",
                ENLARGED,
            ),
        ),
        "google": Preset(
            "google/deepdream's notebook (Mordvintsev, Olah, Tyka 2015)",
            {
                "model": "googlenet",
                "layer": ("inception_4c/output",),
                "octaves": 4,
                "octave_scale": 1.4,
                "steps": 10,
                "step": 1.5 / 255,
                "jitter": 32,
                "gradient": "mean-abs",
            },
            (
                AVERAGED,
                "Octaves are resized with antialiased bicubic sampling, where the notebook samples linearly.",
                "Octaves are measured from the largest, rounded to whole pixels.",
                WEIGHTS,
                "Values are clipped to [0, 1], which is the notebook's clipping to the range of its data.",
            ),
        ),
        "lapnorm": Preset(
            "TensorFlow's first DeepDream tutorial (Mordvintsev 2016), render_lapnorm",
            {
                "model": "googlenet",
                "layer": ("inception_4d/3x3_reduce",),
                "channels": "139",
                "loss": "mean",
                "octaves": 3,
                "octave_scale": 1.4,
                "steps": 10,
                "step": 1.0 / 255,
                "jitter": 256,
                "gradient": "laplacian",
                "levels": 4,
                "carry": "result",
            },
            (
                "The tutorial begins with noise of 224 pixels; name --start white-noise and a --size for that.",
                "The layer is taken after its ReLU, the tutorial's before it: the channel must fire somewhere.",
                WEIGHTS,
                UNTILED,
                RESIZED,
            ),
        ),
        "tensorflow": Preset(
            "TensorFlow 2's DeepDream tutorial, 2019 (Keras)",
            {
                "model": "inception_v3",
                "layer": ("mixed3", "mixed5"),
                "loss": "mean",
                "octaves": 5,
                "octave_scale": 1.3,
                "steps": 50,
                "step": 0.01 / 2,
                "jitter": 512,
                "gradient": "std",
                "carry": "result",
            },
            (
                "Octaves end at the size asked for; the tutorial goes on to 1.69 times it, and then back.",
                WEIGHTS,
                "The step of 0.01 is of a range of 2 (-1 to 1): 0.005 of ours.",
                UNTILED,
                RESIZED,
            ),
        ),
        "hvass": Preset(
            "Hvass-Labs, TensorFlow tutorial 14 (2016), recursive_optimize",
            {
                "model": "googlenet",
                "layer": ("inception_4c/output",),
                "loss": "l2",
                "octaves": 5,
                "octave_scale": 1 / 0.7,
                "recursive": True,
                "blend": 0.2,
                "preblur": 0.5,
                "steps": 10,
                "step": 3.0 / 255,
                "jitter": 0,
                "gradient": "std",
                "blur": 0.5,
                "blur_growth": 4.0,
                "blur_factors": (1.0, 2.0, 0.5),
                "tile": 400,
                "tile_offset": "random",
                "tile_gradient": "std",
            },
            (
                HALF,
                WEIGHTS,
                "The three blurs are averaged, where the tutorial adds them; the sum is normalised.",
                "The blur before downscaling is applied at once, with the width that its repetitions add up to.",
                "Pieces below a quarter of a tile are joined to their neighbours; a picture of one tile has no offset.",
                "Values are clipped to [0, 1] at each step.",
            ),
        ),
        "neural-dream": Preset(
            "ProGamerGov/neural-dream (2020), its defaults",
            {
                "model": "googlenet",
                "layer": ("inception_4d/3x3_reduce",),
                "loss": "norm",
                "power": 2.0,
                "optimiser": "adam",
                "step": 1.5 / 255,
                "gradient": "none",
                "rounds": 10,
                "octaves": 2,
                "octave_scale": 1 / 0.6,
                "steps": 50,
                "jitter": 32,
                "carry": "result",
                "size": 512,
            },
            (
                "The norm is divided by the root of the number of values; Adam does not see the difference.",
                "Adam's second moment decays by 0.99, and values are clipped to [0, 1].",
                RESIZED,
            ),
        ),
        "gordicaleksa": Preset(
            "gordicaleksa/pytorch-deepdream (2020), its defaults",
            {
                "model": "vgg16",
                "layer": ("relu4_3",),
                "loss": "l2",
                "octaves": 4,
                "octave_scale": 1.8,
                "steps": 10,
                "step": 0.09 * 0.225,
                "jitter": 32,
                "gradient": "std",
                "blur": 0.5 + 2.0 / 10,
                "blur_growth": 2.0,
                "blur_factors": (0.5, 1.0, 2.0),
                "blur_kernel": 9,
                "carry": "result",
                "size": 600,
            },
            (
                "The rate of 0.09 is in units of the network's input, whose deviation is about 0.225: 0.02 of ours.",
                "The size is the long side's, where the source names the width.",
                HALF,
                RESIZED,
            ),
        ),
        "lucid": Preset(
            "tensorflow/lucid (Olah, Mordvintsev, Schubert 2017), its defaults",
            {
                "model": "googlenet",
                "layer": ("inception_4a/output",),
                "channels": "476",
                "loss": "mean",
                "start": "white-noise",
                "canvas": "fourier",
                "spread": 0.01,
                "optimiser": "adam",
                "step": 0.05,
                "gradient": "none",
                "transforms": "robust",
                "octaves": 1,
                "steps": 512,
                "size": 224,
            },
            (
                "The picture has 224 pixels, where lucid's default is 128.",
                "Angles and scales are drawn evenly from their ranges, where lucid draws from lists.",
                "Channel 476 is lucid's first example, mixed4a_pre_relu:476; in other weights it is another feature.",
                WEIGHTS,
                "Adam's second moment decays by 0.99.",
            ),
        ),
        "maco": Preset(
            "Fel et al. 2023, magnitude constrained optimization",
            {
                "loss": "mean",
                "layer": ("relu4_2",),
                "channels": "strongest:1",
                "start": "white-noise",
                "canvas": "maco",
                "optimiser": "adam",
                "step": 1.0,
                "gradient": "none",
                "transforms": "robust",
                "octaves": 1,
                "steps": 256,
            },
            (
                "Magnitudes are those of a thousand photographs, or of one by --spectrum.",
                "Lucid's padding, shifts, scales and turns make it hold, where the paper cuts random crops.",
                "Adam at their rate of 1, where the paper takes NAdam.",
            ),
        ),
    }
)
