"""The algebra of objectives: terms add, scale and negate; a sum of terms is a term.

Conventions, so that weights mean the same everywhere: every term is minimised; a loss is a mean over positions (and
over layers' channels where its formula says so), never a sum, so that it does not grow with the picture; a batch is a
sum over its pictures, so that each picture's gradient is its own.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor

from oneira.errors import PlanError
from oneira.features.address import Address
from oneira.features.encoder import Encoder

Size = tuple[int, int]  # height, width


@dataclass(frozen=True)
class View:
    """What a bound term looks at: the image (b, 3, h, w), activations by address, and where it may look.

    `moved` is what the image went through on its way here (None: nothing); masks go through the same.
    """

    image: Tensor
    activations: Mapping[Address, Tensor]
    mask: Tensor | None = None
    moved: Callable[[Tensor], Tensor] | None = None

    def through(self, mask: Tensor) -> "View":
        """The same view through `mask` (1, 1, h, w), in the image's own place and size before it was moved."""
        placed = mask.to(self.image.device)
        if self.moved is not None:
            # Moves are affine: what they bring in from outside the picture, such as a border, is not in the mask.
            placed = self.moved(placed) - self.moved(torch.zeros_like(placed))
        return replace(self, mask=placed if self.mask is None else placed * self.mask)

    def weights(self, features: Tensor) -> Tensor | None:
        """The mask on the grid of `features` (b, c, h, w), scaled to mean 1: (1, 1, h, w); None where all counts."""
        if self.mask is None:
            return None
        if features.ndim != 4:
            raise PlanError("a mask cannot confine a layer that has no positions")
        weights = F.interpolate(self.mask, features.shape[2:], mode="area")
        return weights / weights.mean().clamp(min=1e-12)

    def mean(self, values: Tensor) -> Tensor:
        """The mean of (b, c, ...) over channels and (masked) positions, summed over the batch."""
        weights = self.weights(values)
        weighted = values if weights is None else values * weights
        return weighted.flatten(1).mean(1).sum()

    def require_no_mask(self, address: Address) -> None:
        """PlanError where a mask should confine what has one place, or none."""
        if self.mask is not None:
            raise PlanError(f"a mask cannot confine one unit of {address}; leave it out for this term")


@dataclass(frozen=True)
class BoundTerm:
    """A term with its targets computed: a pure function of a View. `aligned`: it must see the picture unmoved."""

    name: str
    evaluate: Callable[[View], Tensor]  # -> a float32 scalar
    layers: frozenset[Address] = frozenset()
    aligned: bool = False


class Term(ABC):
    """Something to minimise, declared by a frozen dataclass; `bind` computes its targets, once per scale."""

    @property
    def name(self) -> str:
        """Under which its loss is reported: the class's name in lower case."""
        return type(self).__name__.lower()

    @abstractmethod
    def bind(self, encoder: Encoder, size: Size) -> BoundTerm:
        """The term for pictures of `size` (height, width), its targets computed with `encoder`."""

    def __add__(self, other: "Term") -> "Sum":
        """Minimise both."""
        return Sum(as_sum(self).parts + as_sum(other).parts)

    def __sub__(self, other: "Term") -> "Sum":
        """Minimise this and maximise the other."""
        return self + (-other)

    def __mul__(self, factor: float) -> "Sum":
        """The same, `factor` times as important."""
        return Sum(tuple((weight * float(factor), term) for weight, term in as_sum(self).parts))

    __rmul__ = __mul__

    def __neg__(self) -> "Sum":
        """Maximise instead."""
        return self * -1.0


@dataclass(frozen=True)
class Sum(Term):
    """Weighted terms; `parts` holds (weight, term). `+` and `*` make it."""

    parts: tuple[tuple[float, Term], ...]

    def bind(self, encoder: Encoder, size: Size) -> BoundTerm:
        """Bind every part; only sums inside `Masked` or a wrapper are bound this way, the loop takes them apart."""
        bound = [(weight, term.bind(encoder, size)) for weight, term in self.parts]
        return BoundTerm(
            self.name,
            lambda view: sum((weight * part.evaluate(view) for weight, part in bound), view.image.new_zeros(())),
            frozenset().union(*(part.layers for _, part in bound)),
            any(part.aligned for _, part in bound),
        )


def as_sum(term: Term) -> Sum:
    """Any term as a sum of weighted terms; a masked sum as a sum of masked terms, each with its own name and needs."""
    if isinstance(term, Sum):
        return term
    if isinstance(term, Masked) and isinstance(term.term, Sum):
        return Sum(tuple((weight, Masked(term.mask, part)) for weight, part in term.term.parts))
    return Sum(((1.0, term),))


@dataclass(frozen=True, eq=False)
class Masked(Term):
    """`term`, confined to a region: `mask` (1, 1, h, w) in [0, 1], resized to each layer's grid.

    Statistics become weighted means over the region, so that a term's weight does not depend on the region's area
    (Gatys et al. 2017, "Controlling perceptual factors", guided Gram matrices).
    """

    mask: Tensor
    term: Term

    def __post_init__(self) -> None:
        if self.mask.ndim != 4 or self.mask.shape[:2] != (1, 1):
            raise PlanError(f"a mask is (1, 1, height, width), not {tuple(self.mask.shape)}")
        if not float(self.mask.max()) > 0:
            raise PlanError("the mask is black everywhere: nothing would count; white marks where the term acts")

    @property
    def name(self) -> str:
        """The name of the term inside."""
        return self.term.name

    def bind(self, encoder: Encoder, size: Size) -> BoundTerm:
        """Bind the term inside; its views carry the mask (times the mask around it, if there is one)."""
        inner = self.term.bind(encoder, size)
        mask = F.interpolate(self.mask.float(), size, mode="bilinear", antialias=True).to(encoder.device)
        return replace(inner, evaluate=lambda view: inner.evaluate(view.through(mask)))


@dataclass(frozen=True)
class Losses:
    """`total`, to be minimised, and every term's own loss before its weight, by name; all scalars."""

    total: Tensor
    by_term: Mapping[str, Tensor]


class BoundObjective:
    """All terms of an objective at one size; called with a picture, it runs the network and adds the terms up."""

    def __init__(self, objective: Term, encoder: Encoder, size: Size) -> None:
        self.encoder = encoder
        self.parts = [(weight, term.bind(encoder, size)) for weight, term in as_sum(objective).parts]
        self.names = _distinct([part.name for _, part in self.parts])

    def __call__(self, image: Tensor, augment: Callable[[Tensor], Tensor] | None = None) -> Losses:
        """Losses of `image` (b, 3, h, w); aligned terms see it as it is, the others after `augment`.

        `augment` does the same to all that it is applied to, so that masks stay where they belong.
        """
        still = View(image, self._activations(image, still=True, augmented=augment is not None))
        moved = still
        if augment is not None:
            picture = augment(image)
            moved = View(picture, self._activations(picture, still=False, augmented=True), moved=augment)
        by_term: dict[str, Tensor] = {}
        total = image.new_zeros((), dtype=still.image.dtype)
        for name, (weight, part) in zip(self.names, self.parts, strict=True):
            loss = part.evaluate(still if part.aligned else moved)
            by_term[name] = loss.detach()
            total = total + weight * loss
        return Losses(total, by_term)

    def _activations(self, image: Tensor, *, still: bool, augmented: bool) -> dict[Address, Tensor]:
        layers: set[Address] = set()
        for _, part in self.parts:
            if not augmented or part.aligned == still:
                layers |= part.layers
        return self.encoder(image, layers) if layers else {}


def _distinct(names: list[str]) -> list[str]:
    """`[style, dream, style]` -> `[style, dream, style.2]`."""
    seen: dict[str, int] = {}
    distinct = []
    for name in names:
        seen[name] = seen.get(name, 0) + 1
        distinct.append(name if seen[name] == 1 else f"{name}.{seen[name]}")
    return distinct


def names_of(names: str | Sequence[str], what: str = "layer", example: str = "relu4_2") -> tuple[str, ...]:
    """One name or several -> a tuple; PlanError where there is none."""
    chosen = (names,) if isinstance(names, str) else tuple(names)
    if not chosen:
        raise PlanError(f"no {what} is named; name at least one, such as {example!r}")
    return chosen
