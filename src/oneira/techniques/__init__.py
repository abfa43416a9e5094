"""Techniques: each a declaration of its options and the Plan that they make."""

from collections.abc import Mapping
from types import MappingProxyType

from oneira.techniques.beginning import begin
from oneira.techniques.dream import Dream
from oneira.techniques.inversion import Inversion
from oneira.techniques.style import Style
from oneira.techniques.technique import SAMPLE, ImagePath, Technique, located
from oneira.techniques.texture import Texture

TECHNIQUES: Mapping[str, type[Technique]] = MappingProxyType({t.verb(): t for t in (Dream, Style, Texture, Inversion)})

__all__ = [
    "SAMPLE",
    "TECHNIQUES",
    "Dream",
    "ImagePath",
    "Inversion",
    "Style",
    "Technique",
    "Texture",
    "begin",
    "located",
]
