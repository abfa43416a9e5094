"""Looking at a picture with a network, all at once or part after part."""

from collections.abc import Iterable, Iterator
from typing import Protocol, runtime_checkable

from torch import Tensor

from oneira.features.address import Address
from oneira.objectives.term import View


@runtime_checkable
class InViews(Protocol):
    """What encodes pictures part after part, where they are large."""

    def views(self, image: Tensor, layers: Iterable[str | Address]) -> Iterator[View]:
        """Of the parts, one after the other, that make up `image` (b, 3, h, w)."""
