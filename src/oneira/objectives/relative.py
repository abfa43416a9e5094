"""A term in units of what it comes to for one picture, so that a weight means the same in every network."""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from oneira.features.encoder import Encoder
from oneira.images import resize
from oneira.objectives.term import BoundObjective, BoundTerm, Size, Term


@dataclass(frozen=True, eq=False)
class Relative(Term):
    """`term`'s loss over the absolute value of its loss for `image` (1, 3, h, w), resized to the canvas.

    The activity of a layer begins at -1 in every network, where the bare one is about 0.5 in `pocket` and hundreds in
    others. Near the relative losses of content and manner, whose targets are measured in the same way.
    """

    image: Tensor
    term: Term

    @property
    def name(self) -> str:
        """The name of the term inside."""
        return self.term.name

    def bind(self, encoder: Encoder, size: Size) -> BoundTerm:
        """The term inside, and what it comes to for the picture at `size`."""
        inner = self.term.bind(encoder, size)
        picture = resize(self.image, size).to(encoder.device)
        with torch.no_grad():
            seen = BoundObjective(self.term, encoder, size)(picture).total
        unit = max(abs(float(seen)), 1e-12)
        return replace(inner, evaluate=lambda view: inner.evaluate(view) / unit)
