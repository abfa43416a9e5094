"""How far a network's pictures are from what they should be: the terms of style transfer, for a batch at once."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from oneira.features.address import Address
from oneira.features.encoder import Encoder
from oneira.feedforward.training.compared import Compared
from oneira.objectives import PixelError, StyleSource
from oneira.objectives.term import BoundTerm, View

Weighted = tuple[float, BoundTerm]
IDENTITY = "identity"
TERMS = ("style", "content", "tv", IDENTITY)  # all that there may be, as they are called in the log


@dataclass(frozen=True, eq=False)
class Lessons:
    """What each picture of a batch should become: in the style of its number, `contents` (b, 3, h, w) in [0, 1].

    A number that is no style's stands for the picture itself. Without contents, textures are made of `noise`, and
    styles alone count.
    """

    styles: Sequence[int]
    contents: Tensor | None = None
    noise: Sequence[Tensor] = ()

    def on(self, device: torch.device) -> "Lessons":
        """The same on a device."""
        contents = None if self.contents is None else self.contents.to(device, memory_format=torch.channels_last)
        return Lessons(self.styles, contents, [scale.to(device) for scale in self.noise])


@dataclass(frozen=True)
class BatchLosses:
    """`total`, to be minimised, summed over the pictures; of `TERMS`, before their weights, sums and pictures."""

    total: Tensor
    sums: Tensor  # (terms,)
    counts: Tensor  # (terms,): how many pictures each term was for


class PerceptualLosses:
    """Manner, content and smoothness of each picture (Johnson et al. 2016), added up over the batch.

    It is what a sum of `Only(i, ...)` bound as a BoundObjective comes to, with one look at the batch. The styles' own
    statistics are computed once, at `side` pixels a side, so that strokes stay as large whatever side is trained at.
    """

    def __init__(self, encoder: Encoder, compared: Compared, styles: Mapping[int, StyleSource], side: int) -> None:
        self.encoder = encoder
        self.compared = compared
        weights = compared.style_weights or (1.0,) * len(styles)
        self._styles: dict[int, Weighted] = {
            number: (compared.style_weight * weight, compared.style(source).bind(encoder, (side, side)))
            for weight, (number, source) in zip(weights, styles.items(), strict=True)
        }
        self._smooth: Weighted = (compared.smoothness, compared.smooth().bind(encoder, (side, side)))

    def __call__(self, outputs: Tensor, lessons: Lessons) -> BatchLosses:
        """Losses of `outputs` (b, 3, h, w) in [0, 1]."""
        contents = self._contents(lessons)
        parts = [self._parts(lessons, index, contents) for index in range(len(outputs))]
        layers: set[Address] = set().union(*(part.layers for terms in parts for _, part in terms))
        # Split once: a slice for every term would have a gradient of the whole batch's size.
        activations = _pieces(self.encoder(outputs, layers) if layers else {})
        total = outputs.new_zeros(())
        seen: dict[str, list[Tensor]] = {name: [] for name in TERMS}
        for index, (image, terms) in enumerate(zip(outputs.split(1), parts, strict=True)):
            view = View(image, {address: pieces[index] for address, pieces in activations.items()})
            for weight, part in terms:
                loss = part.evaluate(view)
                seen[part.name].append(loss.detach())
                total = total + weight * loss
        none = outputs.new_zeros(())
        sums = torch.stack([torch.stack([none, *losses]).sum() for losses in seen.values()])
        return BatchLosses(total, sums, torch.tensor([float(len(losses)) for losses in seen.values()]))

    def _parts(self, lessons: Lessons, index: int, contents: Mapping[Address, Sequence[Tensor]]) -> list[Weighted]:
        """What counts for one picture."""
        own = None if lessons.contents is None else lessons.contents[index : index + 1]
        style = lessons.styles[index]
        if style not in self._styles:
            assert own is not None
            pixels = PixelError(own).bind(self.encoder, (own.shape[2], own.shape[3]))
            return [(self.compared.identity_weight, replace(pixels, name=IDENTITY))]
        parts = [self._styles[style]]
        if own is not None and self.compared.content_weight:
            seen = {address: pieces[index] for address, pieces in contents.items()}
            parts.append((self.compared.content_weight, self.compared.content(own).toward(seen)))
        return [*parts, self._smooth] if self.compared.smoothness else parts

    @torch.no_grad()
    def _contents(self, lessons: Lessons) -> Mapping[Address, Sequence[Tensor]]:
        if lessons.contents is None or not self.compared.content_weight:
            return {}
        return _pieces(self.encoder(lessons.contents, self.compared.content(lessons.contents).addresses))


def _pieces(activations: Mapping[Address, Tensor]) -> dict[Address, Sequence[Tensor]]:
    return {address: features.split(1) for address, features in activations.items()}
