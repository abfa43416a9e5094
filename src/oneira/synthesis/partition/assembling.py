"""Whole maps of activations, computed part by part: for targets, which are kept whole."""

from collections.abc import Iterable, Iterator
from typing import cast

import torch
from torch import Tensor

from oneira.features.address import Address
from oneira.features.description import field_of
from oneira.features.encoder import Encoder
from oneira.features.registry import resolve
from oneira.objectives.looking import InViews
from oneira.objectives.term import View
from oneira.synthesis.partition.layout import Layout, Partition


def assembling(encoder: Encoder, partition: Partition) -> Encoder:
    """`encoder`, for terms to compute their targets with: a large picture's activations are put together from parts.

    They are what the encoder gives for the whole, and have no gradient. What sees the whole picture at once is computed
    from it. Moments of styles are added up without any whole map.
    """
    return cast(Encoder, _Assembling(encoder, partition))


class _Assembling(InViews):
    """Looks like an Encoder to terms."""

    def __init__(self, encoder: Encoder, partition: Partition) -> None:
        self._encoder, self._partition = encoder, partition
        self.device, self.precision, self.variant = encoder.device, encoder.precision, encoder.variant

    @torch.no_grad()
    def __call__(self, image: Tensor, layers: Iterable[str | Address]) -> dict[Address, Tensor]:
        whole: dict[Address, Tensor] = {}
        for view in self.views(image, layers):
            if view.places is None:
                return dict(view.activations)
            for address, own in view.activations.items():
                rows, columns = view.places[address].rows, view.places[address].columns
                if address not in whole:
                    empty = own.new_empty(*own.shape[:2], rows.whole, columns.whole)
                    whole[address] = empty.contiguous(memory_format=torch.channels_last)
                whole[address][..., rows.first : rows.last, columns.first : columns.last] = own
        return whole

    @torch.no_grad()
    def views(self, image: Tensor, layers: Iterable[str | Address]) -> Iterator[View]:
        addresses = [resolve(layer) if isinstance(layer, str) else layer for layer in layers]
        size = (image.shape[2], image.shape[3])
        if not self._partition.cuts(size) or any(field_of(address) is None for address in addresses):
            yield View(image, self._encoder(image, addresses))
            return
        layout = Layout.of(size, addresses, self._partition, self._encoder)
        for part in layout.parts:
            cut = part.cut.held_of(image)
            seen = part.own(self._encoder(cut, addresses), layout.steps)
            yield View(part.pixels(cut), seen, places=part.places)

    @property
    def digests(self) -> dict[str, str]:
        """As the encoder has them."""
        return self._encoder.digests

    def digest(self, backbone: str) -> str | None:
        """As the encoder has it."""
        return self._encoder.digest(backbone)
