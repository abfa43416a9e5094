"""Techniques: each a declaration of its options and the Plan that they make."""

from collections.abc import Mapping
from types import MappingProxyType

from oneira.techniques.dream import Dream
from oneira.techniques.style import Style
from oneira.techniques.technique import SAMPLE, ImagePath, Technique, located

TECHNIQUES: Mapping[str, type[Technique]] = MappingProxyType({t.verb(): t for t in (Dream, Style)})

__all__ = ["SAMPLE", "TECHNIQUES", "Dream", "ImagePath", "Style", "Technique", "located"]
