"""What the channels of an atlas push, averaged over pictures."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace

import torch
from torch import Tensor

from oneira.errors import DataError, ImageError, PlanError
from oneira.features.encoder import Encoder
from oneira.features.training.dataset import middle_square
from oneira.images import PHOTOGRAPHS, load, sample
from oneira.inspection.picture_set import PictureSet
from oneira.inspection.pushes import Pushes, pushes

AVERAGED = 32  # pictures of a data set, spread evenly over it


def require_named(encoder: Encoder, model: str, layers: Collection[str], classes: Collection[str], side: int) -> None:
    """Raise PlanError unless `model` has as many logits as `classes`, AddressError unless they depend on `layers`.

    One channel of each layer, in one grey square: known in a moment, where all of them take minutes.
    """
    for each in pushes(encoder, layers, torch.full((1, 3, side, side), 0.5), channels=(0,)).values():
        if each.matrix.shape[1] != len(classes):
            known = f"{each.matrix.shape[1]} logits, and names of {len(classes)} classes"
            raise PlanError(f"{model} has {known}: register it with a name for each")


def average_pushes(
    encoder: Encoder, layers: Collection[str], pictures: PictureSet | None, side: int
) -> Iterator[tuple[int, int, Mapping[str, Pushes]]]:
    """The pushes of all `layers`, by `backbone:layer`, averaged over the pictures so far: how many, of how many, what.

    One picture at a time: what is kept for the way back takes gigabytes for many. A picture that cannot be read is left
    out; DataError where none can.
    """
    squares = list(_squares(pictures, side))
    if not squares:
        raise DataError(f"none of {AVERAGED} pictures, spread evenly over all, can be read; leave out the damaged ones")
    sums: dict[str, Pushes] = {}
    for done, square in enumerate(squares, 1):
        for address, found in pushes(encoder, layers, square).items():
            begun = sums.get(address.key)
            matrix = found.matrix if begun is None else begun.matrix + found.matrix
            sums[address.key] = replace(found, matrix=matrix)
        yield (
            done,
            len(squares),
            {layer: replace(each, matrix=each.matrix / done) for layer, each in sums.items()},
        )


def _squares(pictures: PictureSet | None, side: int) -> Iterator[Tensor]:
    if pictures is None:
        for name in PHOTOGRAPHS:
            yield middle_square(load(sample(name)), side, 1.0)[None] / 255
        return
    count = min(AVERAGED, len(pictures))
    for number in range(count):
        try:
            yield pictures.square(number * len(pictures) // count, side)
        except ImageError:
            continue  # whoever watches them all tells of it
