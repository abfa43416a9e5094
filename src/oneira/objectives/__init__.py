"""Terms: what to minimise. They add (`+`, `-`), scale (`*`) and can be confined to a region (`Masked`)."""

from oneira.objectives.activity import Channel, ClassLogit, Direction, Dream, Neuron
from oneira.objectives.content import Content
from oneira.objectives.restraint import AlphaNorm, TotalVariation
from oneira.objectives.style import GATYS_STYLE_LAYERS, Style
from oneira.objectives.term import BoundObjective, BoundTerm, Losses, Masked, Sum, Term, View

__all__ = [
    "GATYS_STYLE_LAYERS",
    "AlphaNorm",
    "BoundObjective",
    "BoundTerm",
    "Channel",
    "ClassLogit",
    "Content",
    "Direction",
    "Dream",
    "Losses",
    "Masked",
    "Neuron",
    "Style",
    "Sum",
    "Term",
    "TotalVariation",
    "View",
]
