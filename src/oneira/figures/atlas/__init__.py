"""The atlas of a network: every channel with its picture, what excites it and what it speaks for, as a static page."""

from oneira.figures.atlas.building import AtlasBuild
from oneira.figures.atlas.planning import AtlasPlan

__all__ = ["AtlasBuild", "AtlasPlan"]
