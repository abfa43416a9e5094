"""Whose settings texture synthesis may borrow."""

from collections.abc import Mapping
from types import MappingProxyType

from oneira.techniques.presets import Preset

PRESETS: Mapping[str, Preset] = MappingProxyType(
    {
        "pocket": Preset(
            "Oneira 2026, for its embedded network, after Gatys, Ecker, Bethge 2015",
            departures=(
                "Losses are relative to the target's own, so that weights mean the same in every network.",
                "Seven layers, low ones more than deep ones: by eye and by independent judge.",
                "It grows from a small size: large shapes are found there, in a fraction of the steps.",
                "Average pooling with a gain of 1.5, which keeps activations' scale.",
            ),
        ),
        "gatys": Preset(
            "Gatys, Ecker, Bethge 2015: VGG-19, average pooling, Gram matrices, L-BFGS within bounds, from noise",
            {
                "model": "vgg19-caffe",
                "normalised": True,
                "layer": ("relu1_1", "pool1", "pool2", "pool3", "pool4"),
                "normalization": "average",
                "pooling": "avg",
                "pooling_gain": 1.0,
                "size": "256",
                "sample_size": 256,
                "optimiser": "lbfgs-b",
                "smallest": 16384,
                "steps": (2000,),
                "match_histogram": True,
            },
            (
                'The paper\'s "conv1_1" is what Caffe has under that name: rectified in place, our relu1_1.',
                "Mean activations are made 1 over the sample pictures here; theirs were over ImageNet.",
                "Bounds are 0 and 1, what a file can hold; theirs were the darkest and the brightest of the sample.",
                "Gram matrices are averaged over positions, not summed, so that samples may have another size than the "
                "result. Else losses differ by a factor, as by their 1e9, which changes nothing for this optimiser.",
            ),
        ),
        "efros-leung": Preset(
            "Efros and Leung 1999: windows of 11, an error threshold of 0.1", {"method": "efros-leung", "window": 11}
        ),
        "wei-levoy": Preset(
            "Wei and Levoy 2000: four levels, tree-structured vector quantisation",
            {"method": "wei-levoy", "window": 9, "search": "tree"},
        ),
        "quilting": Preset(
            "Efros and Freeman 2001: an overlap of a sixth of a block, a tolerance of 0.1", {"method": "quilting"}
        ),
    }
)
