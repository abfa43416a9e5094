"""One small module per family; FAMILIES lists what they declare."""

from types import MappingProxyType

from oneira.features.backbones.pocket import pocket
from oneira.features.registry import Backbone

FAMILIES = MappingProxyType({"pocket": Backbone("pocket", pocket, smallest=16, summary="the embedded network")})
