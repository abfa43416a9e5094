"""The algebra of objectives: terms add, scale and negate; a sum of terms is a term.

Conventions, so that weights mean the same everywhere: every term is minimised; a loss is a mean over positions (and
over layers' channels where its formula says so), never a sum, so that it does not grow with the picture; a batch is a
sum over its pictures, so that each picture's gradient is its own.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import torch
import torch.nn.functional as F
from torch import Tensor

from oneira.errors import PlanError
from oneira.features.address import Address
from oneira.features.encoder import Encoder
from oneira.objectives.place import Place, Sums, added

Size = tuple[int, int]  # height, width


@dataclass(frozen=True)
class View:
    """What a bound term looks at: the image (b, 3, h, w), activations by address, and where it may look.

    `moved` is what the image went through on its way here (None: nothing); masks go through the same.

    The view may be one of a part of the picture: `places` then says where its activations lie in the layers' maps, and
    under None where the image does, which has a pixel of its neighbours around where there are any. What is computed on
    the positions of a part adds up, over the parts, to what is computed on the whole; masks are the whole's.
    """

    image: Tensor
    activations: Mapping[Address, Tensor]
    mask: Tensor | None = None
    moved: Callable[[Tensor], Tensor] | None = None
    places: Mapping[Address | None, Place] | None = None
    # Masks that have been moved, and weights, by what they come from: one picture's parts and layers share them.
    masks: dict[Hashable, tuple[Tensor, ...]] = field(default_factory=dict, repr=False, compare=False)

    def through(self, mask: Tensor) -> "View":
        """The same view through `mask` (1, 1, h, w), in the image's own place and size before it was moved."""
        key = id(mask), id(self.mask)
        if key not in self.masks:
            placed = mask.to(self.image.device)
            if self.moved is not None:
                # Moves are affine: what they bring in from outside the picture, such as a border, is not in the mask.
                placed = self.moved(placed) - self.moved(torch.zeros_like(placed))
            placed = placed if self.mask is None else placed * self.mask
            self.masks[key] = (placed, mask)  # both kept: another tensor could come to have their number
        return replace(self, mask=self.masks[key][0])

    def weights(self, features: Tensor, address: Address | None = None) -> Tensor | None:
        """The mask on the grid of `features` (b, c, h, w), scaled to mean 1: (1, 1, h, w); None where all counts.

        `address` says whose positions those are, and that of the image None; of a part, they are its own.
        """
        if self.mask is None:
            return None
        if features.ndim != 4:
            raise PlanError("a mask cannot confine a layer that has no positions")
        place = None if self.places is None else self.places[address]
        grid = (features.shape[2], features.shape[3]) if place is None else place.grid(features)
        key = id(self.mask), grid
        if key not in self.masks:
            weights = F.interpolate(self.mask, grid, mode="area")
            self.masks[key] = (weights / weights.mean().clamp(min=1e-12), self.mask)
        weights = self.masks[key][0]
        return weights if place is None else place.own_of(weights, features)

    def mean(self, values: Tensor, address: Address | None = None) -> Tensor:
        """The mean of (b, c, ...) over channels and (masked) positions, summed over the batch.

        `address` is as for `weights`; of a part, what its own positions add to the mean over all.
        """
        weights = self.weights(values, address)
        if self.places is None:
            weighted = values if weights is None else values * weights
            return weighted.flatten(1).mean(1).sum()
        place = self.places[address]
        height, width = place.grid(values)
        own = place.trimmed(values)
        return (own if weights is None else own * weights).sum() / (values.shape[1] * height * width)

    @property
    def values(self) -> int:
        """How many numbers one picture is made of, all of it."""
        if self.places is None:
            return self.image[0].numel()
        height, width = self.places[None].grid(self.image)
        return self.image.shape[1] * height * width

    def share(self, address: Address) -> float:
        """How much of a layer's map is in view."""
        return 1.0 if self.places is None else self.places[address].share

    def alongside(self, whole: Tensor, address: Address | None = None) -> Tensor:
        """Of a map as large as the layer's, or as the image, the part that is in view."""
        return whole if self.places is None else self.places[address].held_of(whole)

    def require_no_mask(self, address: Address) -> None:
        """PlanError where a mask should confine what has one place, or none."""
        if self.mask is not None:
            raise PlanError(f"a mask cannot confine one unit of {address}; leave it out for this term")


@dataclass(frozen=True)
class BoundTerm:
    """A term with its targets computed: a pure function of a View. `aligned`: it must see the picture unmoved.

    `sums`: how the same loss comes from parts of a picture; None where it cannot.
    """

    name: str
    evaluate: Callable[[View], Tensor]  # -> a float32 scalar
    layers: frozenset[Address] = frozenset()
    aligned: bool = False
    sums: Sums | None = None

    @classmethod
    def by_position(
        cls, name: str, evaluate: Callable[[View], Tensor], layers: Iterable[Address] = (), *, aligned: bool = False
    ) -> "BoundTerm":
        """One whose loss is a mean over positions: those of the parts of a picture add up."""
        return cls(name, evaluate, frozenset(layers), aligned, Sums(lambda view: (evaluate(view),)))

    @classmethod
    def of_sums(cls, name: str, sums: Sums, layers: Iterable[Address]) -> "BoundTerm":
        """One whose loss follows from sums over positions."""
        return cls(name, lambda view: sums.loss(sums.gather(view)), frozenset(layers), sums=sums)

    def seeing(self, look: Callable[[View], View]) -> "BoundTerm":
        """The same, that sees what it sees in another way."""
        evaluate = self.evaluate
        sums = None if self.sums is None else self.sums.seeing(look)
        return replace(self, evaluate=lambda view: evaluate(look(view)), sums=sums)


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
        sums = [part.sums.times(weight) for weight, part in bound if part.sums is not None]
        return BoundTerm(
            self.name,
            lambda view: sum((weight * part.evaluate(view) for weight, part in bound), view.image.new_zeros(())),
            frozenset().union(*(part.layers for _, part in bound)),
            any(part.aligned for _, part in bound),
            added(sums) if len(sums) == len(bound) else None,
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
        return inner.seeing(lambda view: view.through(mask))


@dataclass(frozen=True)
class Losses:
    """`total`, to be minimised, and every term's own loss before its weight, by name; all scalars."""

    total: Tensor
    by_term: Mapping[str, Tensor]


class BoundObjective:
    """All terms of an objective at one size; called with a picture, it runs the network and adds the terms up."""

    def __init__(self, objective: Term, encoder: Encoder, size: Size, targets: Encoder | None = None) -> None:
        """`targets`: what targets are computed with, if that is another encoder."""
        self.encoder = encoder
        self.parts = [(weight, term.bind(targets or encoder, size)) for weight, term in as_sum(objective).parts]
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

    def backward(self, image: Tensor, augment: Callable[[Tensor], Tensor] | None = None) -> Losses:
        """The losses, without a gradient: it is added to `image.grad`."""
        losses = self(image, augment)
        losses.total.backward()
        return Losses(losses.total.detach(), losses.by_term)

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
