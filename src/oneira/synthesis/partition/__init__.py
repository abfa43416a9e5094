"""One huge picture in parts, none of which is cut off from the others: their gradient is the whole picture's."""

from oneira.synthesis.partition.assembling import assembling
from oneira.synthesis.partition.layout import Partition, require_fields
from oneira.synthesis.partition.passes import InParts, require_sums

__all__ = ["InParts", "Partition", "assembling", "require_fields", "require_sums"]
