"""The whole picture's gradient, from parts of which one at a time is in memory.

After Galerne, Raad, Lezama and Morel 2023, "Scaling Painting Style Transfer": what the loss is made of is summed over
all parts without a gradient; then the loss is differentiated by those sums, and each part's activations are pushed by
what they add to them. They know Gram matrices and moments of VGG; here every term says which sums it needs, and one
that is a mean over positions needs none, so that its only pass is the second.
"""

from collections.abc import Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from oneira.errors import PlanError
from oneira.features.address import Address
from oneira.features.encoder import Encoder
from oneira.objectives import BoundObjective, BoundTerm, Losses
from oneira.objectives.place import Sums
from oneira.objectives.term import View
from oneira.synthesis.augmentation import Move
from oneira.synthesis.partition.layout import Layout, Part, Partition, Size


class InParts:
    """Computes gradients in the parts of a `partition`."""

    def __init__(self, partition: Partition) -> None:
        self.partition = partition
        self._layouts: dict[tuple[Size, frozenset[Address]], Layout] = {}

    def backward(self, objective: BoundObjective, picture: Tensor, move: Move | None = None) -> Losses:
        """Add the gradient to `picture.grad`; the losses of `picture` (1, 3, h, w), without one.

        `move`: what those terms see that are not aligned. Small pictures are one part, and as without a partition.
        Raises PlanError for terms that are not sums over positions, and for several pictures at once.
        """
        moved = picture if move is None else move(picture)
        if not any(self.partition.cuts(_size(image)) for image in (picture, moved)):
            return objective.backward(picture, move)
        require_sums(term for _, term in objective.parts)
        if len(picture) > 1:
            raise PlanError(f"one picture at a time is computed in parts, not {len(picture)}; make them one by one")
        found: dict[int, Tensor] = {}
        for image, there, still in ((picture, None, True), (moved, move, False)):
            terms = {i: t for i, t in enumerate(objective.parts) if still == (move is None or t[1].aligned)}
            if terms:
                scene = _Scene(image.detach(), there, objective.encoder, list(terms.values()))
                losses_here, gradient = scene.descended(self._layout(scene))
                image.backward(gradient)
                found.update(zip(terms, losses_here, strict=True))
        by_term = {name: found[index] for index, name in enumerate(objective.names)}
        total = picture.new_zeros(())
        for index, (weight, _) in enumerate(objective.parts):
            total = total + weight * found[index]
        return Losses(total, by_term)

    @torch.enable_grad()
    def losses(self, objective: BoundObjective, picture: Tensor) -> Losses:
        """Without a gradient."""
        # It costs the second pass, where some terms do without; asked for once, when a stage is done.
        return self.backward(objective, picture.detach().requires_grad_())

    def _layout(self, scene: "_Scene") -> Layout:
        key = _size(scene.picture), scene.layers
        if key not in self._layouts:
            self._layouts[key] = Layout.of(*key, self.partition, scene.encoder)
        return self._layouts[key]


def require_sums(terms: Iterable[BoundTerm]) -> None:
    """PlanError where one of them cannot be computed in parts of a picture."""
    for term in terms:
        if term.sums is None:
            raise PlanError(
                f"{term.name} cannot be computed in parts of a picture: what it compares, such as a histogram, a class "
                "or a single unit, is one of the whole; leave it out, or the parts"
            )


def _size(picture: Tensor) -> Size:
    return picture.shape[2], picture.shape[3]


@dataclass(frozen=True, eq=False)
class _Needs:
    """One term: its weight, and what it needs of the parts."""

    weight: float
    sums: Sums
    layers: frozenset[Address]

    def pushed(self, total: Sequence[Tensor]) -> tuple[Tensor, list[Tensor | None]]:
        """The sums of the whole picture -> the loss of them, and the derivative of the weighted loss by each."""
        with torch.enable_grad():
            known = tuple(tensor.detach().requires_grad_() for tensor in total)
            loss = self.sums.loss(known)
            pushes = torch.autograd.grad(self.weight * loss, known, allow_unused=True)
        return loss.detach(), list(pushes)


class _Scene:
    """A picture as some of the terms see it."""

    def __init__(
        self, picture: Tensor, move: Move | None, encoder: Encoder, terms: Sequence[tuple[float, BoundTerm]]
    ) -> None:
        self.picture, self.encoder = picture, encoder
        self._move = move
        self._terms = [_Needs(weight, term.sums, term.layers) for weight, term in terms if term.sums is not None]
        self.layers = _layers(self._terms)
        self._masks: dict[Hashable, tuple[Tensor, ...]] = {}

    def descended(self, layout: Layout) -> tuple[list[Tensor], Tensor]:
        """The terms' losses, and the gradient of their weighted sum to the picture."""
        first = [term for term in self._terms if term.sums.conclude is not None]
        known = {id(term): term.pushed(total) for term, total in zip(first, self._totals(layout, first), strict=True)}
        losses = {id(term): known[id(term)][0] if term in first else self.picture.new_zeros(()) for term in self._terms}
        gradient = torch.zeros_like(self.picture)
        for part, cut, view in self._views(layout, self.layers, differentiable=True):
            pushed = self.picture.new_zeros(())
            for term in self._terms:
                added = term.sums.gather(view)
                if term in first:
                    for push, tensor in zip(known[id(term)][1], added, strict=True):
                        pushed = pushed if push is None else pushed + (push * tensor).sum()
                else:
                    losses[id(term)] += added[0].detach()
                    pushed = pushed + term.weight * added[0]
            pushed.backward()
            if cut.grad is not None:
                part.add(cut.grad, to=gradient)
            del view, added, pushed  # before the next part's activations come to be
        return [losses[id(term)] for term in self._terms], gradient

    @torch.no_grad()
    def _totals(self, layout: Layout, terms: Sequence[_Needs]) -> list[list[Tensor]]:
        """What each of `terms` has to know of the whole picture; added up in float64, as there may be many parts."""
        totals: list[list[Tensor]] = []
        kinds: list[list[torch.dtype]] = []
        for _, _, view in self._views(layout, _layers(terms), differentiable=False) if terms else ():
            added = [term.sums.gather(view) for term in terms]
            if not totals:
                kinds = [[tensor.dtype for tensor in tensors] for tensors in added]
                totals = [[torch.zeros_like(tensor, dtype=torch.float64) for tensor in tensors] for tensors in added]
            for total, tensors in zip(totals, added, strict=True):
                for so_far, tensor in zip(total, tensors, strict=True):
                    so_far += tensor
            del view
        return [
            [tensor.to(kind) for tensor, kind in zip(total, of, strict=True)]
            for total, of in zip(totals, kinds, strict=True)
        ]

    def _views(
        self, layout: Layout, layers: frozenset[Address], *, differentiable: bool
    ) -> Iterator[tuple[Part, Tensor, View]]:
        """Every part, what is cut out of the picture for it, and the view of it."""
        for part in layout.parts:
            cut = part.cut.held_of(self.picture).clone().requires_grad_(differentiable)
            activations = part.own(self.encoder(cut, layers) if layers else {}, layout.steps)
            view = View(part.pixels(cut), activations, moved=self._move, places=part.places, masks=self._masks)
            del activations
            yield part, cut, view
            del view


def _layers(terms: Sequence[_Needs]) -> frozenset[Address]:
    return frozenset().union(*(term.layers for term in terms))
