"""The nearest of many vectors of whole numbers: exhaustively, or by tree-structured vector quantisation.

The vectors hold whole numbers 0..255 in float64, so that every distance, sum and mean below is exact.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

REFINEMENTS = 4  # of the two means of each split: more change little
MIDDLE = 128  # subtracted from all, it leaves distances as they are and halves the numbers


class Search(Protocol):
    """Finds, for each of b vectors (b, d), the index (b,) of a close one among those it was made of."""

    def nearest(self, wanted: Tensor) -> Tensor:
        """The index for each of `wanted`."""


@dataclass(frozen=True)
class Exhaustive:
    """All the vectors, each looked at."""

    vectors: Tensor  # (d, n), around 0
    squares: Tensor  # (n,)

    @classmethod
    def of(cls, vectors: Tensor) -> "Exhaustive":
        """Of vectors (n, d)."""
        centred = vectors.to(_exact(vectors.shape[1])) - MIDDLE
        return cls(centred.T.contiguous(), centred.square().sum(1))

    def nearest(self, wanted: Tensor) -> Tensor:
        """The index of the vector nearest to each of `wanted` (b, d), the first of those equally near."""
        centred = wanted.to(self.vectors.dtype) - MIDDLE
        return torch.addmm(self.squares, centred, self.vectors, alpha=-2).argmin(1)


def _exact(width: int) -> torch.dtype:
    """In which distances of vectors of this width are exact: float32, twice as fast, holds whole numbers to 2^24.

    A distance but for its constant is a square less twice a product, each at most MIDDLE^2 for each coordinate.
    """
    return torch.float32 if 3 * MIDDLE**2 * width <= 2**24 else torch.float64


@dataclass(frozen=True)
class Tree:
    """A binary tree of planes, each between two means, down to single vectors.

    A search goes from the root to the side of the nearer mean, without coming back: what it finds is close, not always
    the closest; but each of the tree's own vectors finds itself, or its equal. Source: the codebook of Wei and Levoy
    2000 (section 3.2), with as many codewords as there are vectors. Departures: a split begins at the mean of the
    coordinate that varies most, and means are rounded to whole numbers, so that the tree is the same everywhere.
    """

    normals: Tensor  # (m, d); node 0 is the root, a leaf is its own child
    offsets: Tensor  # (m,): the second child is meant where 2 normal . wanted > offset
    children: Tensor  # (m, 2)
    vector: Tensor  # (m,): the first of the vectors in the node
    depth: int

    @classmethod
    def of(cls, vectors: Tensor) -> "Tree":
        """Of vectors (n, d). All the nodes of one depth are split at once."""
        inside, node = torch.arange(len(vectors)), torch.zeros(len(vectors), dtype=torch.long)
        base, count = 0, 1
        normals, offsets, children, first = [], [], [], []
        while count:
            planes = _Planes.between(vectors[inside], node, count)
            spread = planes.normals.any(1)
            following = 2 * (spread.cumsum(0) - 1)  # the first child of a node that is split, counted in the next depth
            pair = base + count + following[:, None] + torch.tensor([0, 1])
            itself = base + torch.arange(count)
            children.append(torch.where(spread[:, None], pair, itself[:, None]))
            normals.append(planes.normals)
            offsets.append(planes.offsets)
            first.append(torch.full((count,), len(vectors)).scatter_reduce(0, node, inside, "amin"))
            stay = spread[node]
            node = (following[node] + planes.sides(vectors[inside], node).long())[stay]
            inside, base, count = inside[stay], base + count, 2 * int(spread.sum())
        return cls(torch.cat(normals), torch.cat(offsets), torch.cat(children), torch.cat(first), len(normals) - 1)

    def nearest(self, wanted: Tensor) -> Tensor:
        """The index of a vector near each of `wanted` (b, d)."""
        node = torch.zeros(len(wanted), dtype=torch.long)
        for _ in range(self.depth):
            second = 2 * (self.normals[node] * wanted).sum(1) > self.offsets[node]
            node = self.children[node, second.long()]
        return self.vector[node]


@dataclass(frozen=True)
class _Planes:
    """One plane for each node; the normal is 0 where all the vectors of the node are equal."""

    normals: Tensor  # (count, d)
    offsets: Tensor  # (count,)

    @classmethod
    def between(cls, vectors: Tensor, node: Tensor, count: int) -> "_Planes":
        """The planes that part each node's vectors in two: at the widest coordinate's mean, then between the means."""
        planes = cls._at_the_widest(vectors, node, count)
        for _ in range(REFINEMENTS):
            side = planes.sides(vectors, node).long()
            means = _means(vectors, 2 * node + side, 2 * count).reshape(count, 2, -1)
            squares = means.square().sum(2)
            refined = cls(means[:, 1] - means[:, 0], squares[:, 1] - squares[:, 0])
            sides = torch.bincount(2 * node + refined.sides(vectors, node).long(), minlength=2 * count)
            both = (sides.reshape(count, 2) > 0).all(1)  # rounded means may put all on one side
            planes = cls(
                torch.where(both[:, None], refined.normals, planes.normals),
                torch.where(both, refined.offsets, planes.offsets),
            )
        return planes

    @classmethod
    def _at_the_widest(cls, vectors: Tensor, node: Tensor, count: int) -> "_Planes":
        number = torch.bincount(node, minlength=count).double()[:, None]
        sums = _sums(vectors, node, count)
        variances = number * _sums(vectors.square(), node, count) - sums.square()  # times number squared: whole
        widest = variances.argmax(1, keepdim=True)
        varies = variances.gather(1, widest) > 0
        normals = torch.zeros_like(sums).scatter(1, widest, number * varies)
        return cls(normals, (2 * sums.gather(1, widest) * varies)[:, 0])

    def sides(self, vectors: Tensor, node: Tensor) -> Tensor:
        """Whether each vector (n, d) lies on the second side of its node's plane, (n,)."""
        return 2 * (self.normals[node] * vectors).sum(1) > self.offsets[node]


def _sums(vectors: Tensor, group: Tensor, count: int) -> Tensor:
    """The sum of the vectors of each group, (count, d)."""
    return vectors.new_zeros(count, vectors.shape[1]).index_add(0, group, vectors)


def _means(vectors: Tensor, group: Tensor, count: int) -> Tensor:
    """The mean of each group, (count, d), rounded to whole numbers; 0 for one that is empty."""
    number = torch.bincount(group, minlength=count).clamp(min=1).double()[:, None]
    return ((2 * _sums(vectors, group, count) + number) / (2 * number)).floor()


SEARCHES: dict[str, Callable[[Tensor], Search]] = {"exact": Exhaustive.of, "tree": Tree.of}
