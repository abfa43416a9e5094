"""Terms: what to minimise. They add (`+`, `-`), scale (`*`) and can be confined to a region (`Masked`)."""

from oneira.objectives.activity import Channel, Dream, Neuron, parse_place
from oneira.objectives.artwork import Artwork, StyleSource
from oneira.objectives.batches import Alignment, Diversity, Only
from oneira.objectives.caricature import Caricature
from oneira.objectives.channels import ChannelChoice
from oneira.objectives.classes import ClassLogit, SeenClass, seen_classes
from oneira.objectives.content import Content
from oneira.objectives.direction import Direction, parse_direction
from oneira.objectives.firing import Fired, Firing, Look, Region
from oneira.objectives.guidance import Guided
from oneira.objectives.logarithm import Logarithm
from oneira.objectives.pixels import PixelError
from oneira.objectives.relative import Relative
from oneira.objectives.restraint import AlphaNorm, TotalVariation
from oneira.objectives.saved_style import SavedStyle, read_style
from oneira.objectives.shades import Shades
from oneira.objectives.style import GATYS_STYLE_LAYERS, Style
from oneira.objectives.term import BoundObjective, BoundTerm, Losses, Masked, Sum, Term, View

__all__ = [
    "GATYS_STYLE_LAYERS",
    "Alignment",
    "AlphaNorm",
    "Artwork",
    "BoundObjective",
    "BoundTerm",
    "Caricature",
    "Channel",
    "ChannelChoice",
    "ClassLogit",
    "Content",
    "Direction",
    "Diversity",
    "Dream",
    "Fired",
    "Firing",
    "Guided",
    "Logarithm",
    "Look",
    "Losses",
    "Masked",
    "Neuron",
    "Only",
    "PixelError",
    "Region",
    "Relative",
    "SavedStyle",
    "SeenClass",
    "Shades",
    "Style",
    "StyleSource",
    "Sum",
    "Term",
    "TotalVariation",
    "View",
    "parse_direction",
    "parse_place",
    "read_style",
    "seen_classes",
]
