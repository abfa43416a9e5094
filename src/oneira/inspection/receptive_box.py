"""The part of a picture that one unit sees, so that a projection can be cropped beside its patch."""

from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor, nn

from oneira.errors import AddressError, PlanError
from oneira.features.address import Address
from oneira.features.backbones.backbone import Backbone
from oneira.features.description import field_of
from oneira.features.receptive_field import ReceptiveField, ReceptiveFields, Window
from oneira.features.registry import find_backbone, resolve


@dataclass(frozen=True)
class Box:
    """Rows `top` to `bottom`, columns `left` to `right`, of a picture; the ends are not part of it."""

    top: int
    left: int
    bottom: int
    right: int

    def crop(self, picture: Tensor) -> Tensor:
        """(..., h, w) -> (..., bottom - top, right - left), a view."""
        return picture[..., self.top : self.bottom, self.left : self.right]


def receptive_box(address: str | Address, y: int, x: int, size: tuple[int, int]) -> Box:
    """What the unit at row `y`, column `x` of a layer sees of a picture of `size` (height, width).

    All boxes of a layer are as large as its receptive field: where that sticks out, where the network saw its padding,
    the box is shifted inside; along a side that is shorter, it is the whole side. All of the picture where a layer has
    no positions or each sees everything. Loads nothing; a registered module is run once for a size of the picture. A
    network's own padding is taken for granted, not a `Variant`'s torus.

    Raises AddressError for what is not there, PlanError where such a position would see nothing of the picture.
    """
    found = resolve(address) if isinstance(address, str) else address
    field = _field(find_backbone(found.backbone), found, size)
    height, width = size
    if field is None:
        return Box(0, 0, height, width)
    rows, columns = _seen(field.vertical, y, height), _seen(field.horizontal, x, width)
    if rows is None or columns is None:
        raise PlanError(f"row {y}, column {x} of {found} sees nothing of a {width}x{height} picture")
    return Box(rows[0], columns[0], rows[1], columns[1])


def _seen(window: Window, index: int, side: int) -> tuple[int, int] | None:
    """From where to where along a side; None where nothing of it is seen."""
    first, last = (end + index * window.step for end in (window.first, window.last))
    if index < 0 or last < 0 or first >= side:
        return None
    extent = min(side, last - first + 1)
    start = min(max(0, first), side - extent)
    return start, start + extent


def _field(backbone: Backbone, address: Address, size: tuple[int, int]) -> ReceptiveField | None:
    # What a user's own module takes, beyond a picture that it was asked about, is not known.
    return field_of(address) if backbone.own else _measured(backbone, address.layer, size)


@lru_cache(maxsize=256)
def _measured(backbone: Backbone, layer: str, size: tuple[int, int]) -> ReceptiveField | None:
    """Of one layer of a registered module, while it runs on a picture of `size`; None where it is all of it."""
    network = backbone.build()
    first = next(network.parameters(), torch.empty(0))
    image = backbone.preprocessing(torch.full((1, 3, *size), 0.5, device=first.device)).to(first.dtype)
    found: list[ReceptiveField | None] = []

    def note(_part: nn.Module, _inputs: object, output: Tensor) -> None:
        found.append(fields.of(output))

    network.get_submodule(layer).register_forward_hook(note)
    with torch.no_grad(), ReceptiveFields(image) as fields:
        network(image)
    if len(found) != 1:
        raise AddressError(f"layer {backbone.name}:{layer} runs {len(found)} times in a forward pass, not once")
    return found[0]
