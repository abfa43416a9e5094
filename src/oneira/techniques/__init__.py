"""Techniques: each a declaration of its options and the Plan that they make."""

from collections.abc import Mapping
from types import MappingProxyType

from oneira.techniques.beginning import begin
from oneira.techniques.deconvolution import Deconvolution
from oneira.techniques.dream import Dream
from oneira.techniques.inversion import Inversion
from oneira.techniques.style import Style
from oneira.techniques.technique import SAMPLE, ImagePath, Technique, located
from oneira.techniques.texture import Texture
from oneira.techniques.visualization import Visualization

TECHNIQUES: Mapping[str, type[Technique]] = MappingProxyType(
    {t.verb(): t for t in (Dream, Style, Texture, Inversion, Visualization, Deconvolution)}
)

__all__ = [
    "SAMPLE",
    "TECHNIQUES",
    "Deconvolution",
    "Dream",
    "ImagePath",
    "Inversion",
    "Style",
    "Technique",
    "Texture",
    "Visualization",
    "begin",
    "located",
]
