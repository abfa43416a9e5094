"""A term in units of what it comes to for one picture, so that a weight means the same in every network."""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from oneira.features.encoder import Encoder
from oneira.images import resize
from oneira.objectives.term import BoundTerm, Size, Term, View


@dataclass(frozen=True, eq=False)
class Relative(Term):
    """`term`'s loss over the absolute value of its loss, or of `by`'s, for `image` (1, 3, h, w) at the canvas's size.

    The activity of a layer begins at -1 in every network, where the bare one is about 0.1 in `pocket` and hundreds in
    others. Near the relative losses of content and manner, whose targets are measured in the same way.
    """

    image: Tensor
    term: Term
    by: Term | None = None

    @property
    def name(self) -> str:
        """The name of the term inside."""
        return self.term.name

    def bind(self, encoder: Encoder, size: Size) -> BoundTerm:
        """The term inside, and what it comes to for the picture at `size`."""
        inner = self.term.bind(encoder, size)
        measured = inner if self.by is None else self.by.bind(encoder, size)
        picture = resize(self.image, size).to(encoder.device)
        with torch.no_grad():
            seen = measured.evaluate(View(picture, encoder(picture, measured.layers) if measured.layers else {}))
        unit = max(abs(float(seen)), 1e-12)
        sums = None if inner.sums is None else inner.sums.times(1 / unit)
        return replace(inner, evaluate=lambda view: inner.evaluate(view) / unit, sums=sums)
