"""Figures of many pictures: the channel atlas, and those of a lecture, each drawn by one command."""

from collections.abc import Mapping
from types import MappingProxyType

from oneira.figures.compare import Compare
from oneira.figures.curves import Curves
from oneira.figures.evolution import Evolution
from oneira.figures.figure import Drawn, Equipment, Figure, Progress
from oneira.figures.onepass import OnePass
from oneira.figures.sanity import Sanity

FIGURES: Mapping[str, type[Figure]] = MappingProxyType(
    {figure.title(): figure for figure in (Evolution, Compare, Sanity, Curves, OnePass)}
)

__all__ = ["FIGURES", "Compare", "Curves", "Drawn", "Equipment", "Evolution", "Figure", "OnePass", "Progress", "Sanity"]
