"""The responses of the small network's layers to a few pictures, and whether two are the same."""

import torch

from oneira.features import Encoder
from oneira.inspection.picture_set import PictureSet
from oneira.inspection.watching import watch

LAYERS = ["tiny:relu1", "tiny:conv2", "tiny:relu3"]
READABLE = [0, 1, 2, 3, 5, 6, 7, 9, 10]


def watched(path, layers=LAYERS, encoder=None, **options):
    *_, last = watch(encoder or Encoder(), layers, PictureSet.open(path), **{"side": 20, "top": 3} | options)
    return last


def same(one, other):
    assert (one.done, one.layers.keys()) == (other.done, other.layers.keys())
    for a, b in zip(one.layers.values(), other.layers.values(), strict=True):
        assert (a.grid, a.count) == (b.grid, b.count)
        first, second = a.tensors(), b.tensors()
        assert all(torch.equal(first[part], second[part]) for part in first)
    return True


def one_line(raised):
    assert "\n" not in str(raised.value)
    return str(raised.value)
