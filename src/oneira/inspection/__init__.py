"""Looking inside: pictures of what a network does, computed and not optimised.

A `Study` declares one; `Examination` is the run that makes it.
"""

from oneira.inspection.examination import Examination
from oneira.inspection.excitation import Excitation
from oneira.inspection.maps import FeatureMaps, Filters
from oneira.inspection.negative_control import randomised
from oneira.inspection.projection import project, smooth_gradient
from oneira.inspection.projections import Projections
from oneira.inspection.receptive_box import Box, receptive_box
from oneira.inspection.rules import Rule
from oneira.inspection.seeds import strongest, strongest_positions, unit
from oneira.inspection.showing import saliency, shown
from oneira.inspection.study import Study

__all__ = [
    "Box",
    "Examination",
    "Excitation",
    "FeatureMaps",
    "Filters",
    "Projections",
    "Rule",
    "Study",
    "project",
    "randomised",
    "receptive_box",
    "saliency",
    "shown",
    "smooth_gradient",
    "strongest",
    "strongest_positions",
    "unit",
]
