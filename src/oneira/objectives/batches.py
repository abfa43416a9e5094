"""Several pictures at once: what each of them is to be, and how they are to differ or to lead from one to the next."""

from dataclasses import dataclass, replace

import torch.nn.functional as F
from torch import Tensor

from oneira.errors import PlanError
from oneira.features.encoder import Encoder
from oneira.features.registry import resolve
from oneira.objectives.term import BoundTerm, Size, Term, View


@dataclass(frozen=True)
class Only(Term):
    """`term`, for the picture number `picture` of a batch, counted from 0, alone.

    A batch whose pictures all have terms of their own is as many runs, at once. Raises PlanError for a number below 0,
    and, when first evaluated, for one that the batch does not have.
    """

    picture: int
    term: Term

    def __post_init__(self) -> None:
        if self.picture < 0:
            raise PlanError(f"pictures of a batch are counted from 0; there is no picture {self.picture}")

    @property
    def name(self) -> str:
        """The name of the term inside, and the picture's number."""
        return self._numbered(self.term.name)

    def bind(self, encoder: Encoder, size: Size) -> BoundTerm:
        """The term inside, under the name that it has once it is bound; what it sees is a batch of one."""
        inner = self.term.bind(encoder, size)
        return replace(inner.seeing(self._of), name=self._numbered(inner.name))

    def _numbered(self, name: str) -> str:
        return f"{name}@{self.picture}"

    def _of(self, view: View) -> View:
        if self.picture >= len(view.image):
            raise PlanError(f"there is no picture {self.picture} in a batch of {len(view.image)}")
        here = slice(self.picture, self.picture + 1)
        return replace(view, image=view.image[here], activations={a: f[here] for a, f in view.activations.items()})


@dataclass(frozen=True)
class Diversity(Term):
    """How alike the pictures of a batch are in a layer: the mean cosine of each one's Gram matrix with the others'.

    Minimised beside a channel's term, it brings different pictures of one channel (Olah et al. 2017, "Diversity"). They
    sum the cosines; we average over the others, so that a weight means the same for any number of pictures, and sum
    over the pictures as all terms do. A batch of one comes to 0.
    """

    layer: str = "relu4_3"

    def bind(self, encoder: Encoder, size: Size) -> BoundTerm:
        """No targets."""
        address = resolve(self.layer)
        return BoundTerm(self.name, lambda view: _likeness(view.activations[address]), frozenset([address]))


def _likeness(features: Tensor) -> Tensor:
    count = len(features)
    if count < 2:
        return _nothing(features)
    # A layer without positions counts as one.
    positions = features.float().reshape(count, features.shape[1], -1)
    grams = F.normalize((positions @ positions.mT).flatten(1), dim=1, eps=1e-12)
    cosines = grams @ grams.T
    return (cosines.sum() - cosines.diagonal().sum()) / (count - 1)


@dataclass(frozen=True)
class Alignment(Term):
    """How far neighbours in a batch are apart in a layer: the mean squared difference, relative to the activations.

    Minimised beside terms that lead from one objective to another, it keeps what the pictures share in its place (Olah
    et al. 2017, "alignment interpolation"). `reach` neighbours to each side count, each half as much as the one before.
    """

    layer: str = "relu4_3"
    reach: int = 2

    def __post_init__(self) -> None:
        if self.reach < 1:
            raise PlanError(f"at least the next picture is a neighbour, not {self.reach}")

    def bind(self, encoder: Encoder, size: Size) -> BoundTerm:
        """No targets."""
        address = resolve(self.layer)
        return BoundTerm(self.name, lambda view: self._apart(view.activations[address].float()), frozenset([address]))

    def _apart(self, features: Tensor) -> Tensor:
        unit = features.detach().square().mean().clamp(min=1e-12)
        total = _nothing(features)
        for distance in range(1, min(self.reach, len(features) - 1) + 1):
            difference = features[distance:] - features[:-distance]
            total = total + difference.square().flatten(1).mean(1).sum() / 2 ** (distance - 1)
        return total / unit


def _nothing(features: Tensor) -> Tensor:
    """0, with a gradient of 0: a batch of one may have no other term."""
    return features[:0].float().sum()
