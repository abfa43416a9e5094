"""The part of a picture that a position of a layer sees."""

from torch import Tensor

from oneira.features import Address
from oneira.inspection.receptive_box import receptive_box


def patch(picture: Tensor, address: str | Address, y: int, x: int) -> Tensor:
    """What position (y, x) of a layer sees of `picture` (b, 3, h, w) -> (b, 3, h', w'); a view.

    The picture is the one that the network saw, at that size. Raises as `receptive_box`, whose box it is.
    """
    return receptive_box(address, y, x, (picture.shape[2], picture.shape[3])).crop(picture)
