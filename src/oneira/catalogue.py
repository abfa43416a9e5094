"""Every technique there is, of whichever layer, by its verb."""

from collections.abc import Mapping
from types import MappingProxyType

from oneira import techniques
from oneira.feedforward.stylization import Stylization
from oneira.techniques import Technique

TECHNIQUES: Mapping[str, type[Technique]] = MappingProxyType({**techniques.TECHNIQUES, Stylization.verb(): Stylization})
