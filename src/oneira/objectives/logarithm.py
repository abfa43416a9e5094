"""The logarithm of a term, so that every term moves the picture by its own proportion at every step."""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from oneira.features.encoder import Encoder
from oneira.objectives.term import BoundTerm, Size, Term, View

# Hvass-Labs': what is added to a loss, which may be 0, before anything is divided by it.
LEAST_LOSS = 1e-10


@dataclass(frozen=True)
class Logarithm(Term):
    """The natural logarithm of `term`'s loss plus 1e-10: its gradient is that of the loss, over the loss as it is now.

    Hvass-Labs' normalization (TensorFlow tutorial 15): a weight is how much of the change a term asks for, in whatever
    units the term is, however far it has come. They divide by the loss in every iteration and report the loss itself;
    we report the logarithm, of which that gradient is the true one, so that optimisers that compare losses work.
    `relative` losses and `Relative` are over one number, chosen before the first step.

    For terms that are never negative, as distances are and activity is not: the logarithm of what is below 0 is not a
    number, at which a run ends. Of a batch, the sum over its pictures.
    """

    term: Term

    @property
    def name(self) -> str:
        """The name of the term inside."""
        return self.term.name

    def bind(self, encoder: Encoder, size: Size) -> BoundTerm:
        """The term inside, its targets computed."""
        inner = self.term.bind(encoder, size)

        def evaluate(view: View) -> Tensor:
            losses = [inner.evaluate(picture) for picture in _pictures(view)]
            return _logarithm(torch.stack(losses)).sum()

        # Only single pictures are looked at in parts.
        return replace(inner, evaluate=evaluate, sums=None if inner.sums is None else inner.sums.then(_logarithm))


def _logarithm(losses: Tensor) -> Tensor:
    return (losses + LEAST_LOSS).log()


def _pictures(view: View) -> list[View]:
    """One view for each picture of a batch: the logarithm of their sum would make them depend on each other."""
    if view.image.shape[0] == 1:
        return [view]
    return [
        replace(
            view,
            image=view.image[index : index + 1],
            activations={address: features[index : index + 1] for address, features in view.activations.items()},
        )
        for index in range(view.image.shape[0])
    ]
