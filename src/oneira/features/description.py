"""What is in a backbone, measured: which layers run, their channels, strides and receptive fields, how small they go.

Oneira's own networks are run on the meta device, where shapes are computed and nothing else.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.utils.weak import WeakIdKeyDictionary

from oneira.errors import AddressError, PlanError
from oneira.features.address import Address
from oneira.features.backbones.backbone import Backbone
from oneira.features.receptive_field import ReceptiveField, ReceptiveFields
from oneira.features.registry import find_backbone, resolve

SIDE = 256  # enough for all; no grid is then as large as the ones that VGG and AlexNet average onto


@dataclass(frozen=True)
class LayerDescription:
    """A layer: its address is `backbone:layer`, or an alias in place of the layer.

    `stride`: the pixels from one position to the next. `receptive_field`: the longer side, in pixels, of what one
    position depends on. Both are None where a layer has no positions, or each sees the whole picture.
    """

    layer: str
    aliases: tuple[str, ...]
    channels: int
    stride: int | None
    receptive_field: int | None


@dataclass(frozen=True)
class Visit:
    """A module that ran, the shape that it gave, and what that depends on (None: the whole picture).

    `rectifies`: the module whose activations these are, behind a ReLU and nothing else; None where there is none.
    """

    layer: str
    shape: tuple[int, ...]
    field: ReceptiveField | None
    rectifies: str | None


def describe(backbone: Backbone) -> tuple[LayerDescription, ...]:
    """All layers with an address, in the order in which they run.

    A registered module is run once, on a grey picture of 256x256. Raises AddressError where it does not take that.
    """
    visits = _visits(backbone, SIDE) if backbone.own else _visits_of_registered(backbone)
    aliases: dict[str, list[str]] = {}
    for alias, layer in backbone.aliases.items():
        aliases.setdefault(layer, []).append(alias)
    times = _counted(visits)
    return tuple(
        LayerDescription(
            visit.layer,
            tuple(aliases.get(visit.layer, ())),
            visit.shape[1],
            None if visit.field is None else visit.field.stride,
            None if visit.field is None else visit.field.extent,
        )
        for visit in visits
        if times[visit.layer] == 1 and len(visit.shape) > 1
    )


def channels_of(backbone: Backbone, layer: str) -> int | None:
    """How many channels `layer` has in one of Oneira's own networks, as declared; nothing is loaded.

    None for registered modules, which would have to be run. Weights of another size, for a network that takes such
    (`Backbone.fitting`), have channels of their own.
    """
    if not backbone.own:
        return None
    return next((visit.shape[1] for visit in _visits(backbone, SIDE) if visit.layer == layer), None)


def stride_of(address: str | Address) -> int:
    """The pixels from one position of a layer to the next, of which a seamless picture's sides are multiples.

    Of a layer without positions of its own, such as one that gives a number per class, the largest in the network
    before it. Loads nothing; a registered module is run once. Raises AddressError for what is not there, and for a
    layer of a registered module that never runs.
    """
    found = resolve(address) if isinstance(address, str) else address
    backbone = find_backbone(found.backbone)
    largest = 1
    for visit in _visits(backbone, SIDE) if backbone.own else _visits_of_registered(backbone):
        if visit.field is not None:
            largest = max(largest, visit.field.stride)
        if visit.layer == found.layer:
            return largest if visit.field is None else visit.field.stride
    raise AddressError(f"layer {found} never runs in a forward pass")


def field_of(address: str | Address) -> ReceptiveField | None:
    """What a position of a layer depends on; None where that is the whole picture.

    Loads nothing; a registered module is run once. Raises AddressError for what is not there, and for a layer of a
    registered module that never runs.
    """
    found = resolve(address) if isinstance(address, str) else address
    backbone = find_backbone(found.backbone)
    for visit in _visits(backbone, SIDE) if backbone.own else _visits_of_registered(backbone):
        if visit.layer == found.layer:
            return visit.field
    raise AddressError(f"layer {found} never runs in a forward pass")


def before_relu(address: str | Address) -> str | None:
    """The address of what a layer is, before its ReLU; None where no layer holds that, such as for several ReLUs.

    Papers' names are preferred. Loads nothing and runs nothing: of a registered module, only what stands in a plain
    `Sequential` is known. Raises AddressError for what is not there.
    """
    found = resolve(address) if isinstance(address, str) else address
    backbone = find_backbone(found.backbone)
    if backbone.own:
        visits = _visits(backbone, SIDE)
        before = next((visit.rectifies for visit in visits if visit.layer == found.layer), None)
    else:
        before = _before_in_sequence(backbone.build(), found.layer)
    if before is None:
        return None
    alias = next((alias for alias, layer in backbone.aliases.items() if layer == before), before)
    return f"{backbone.name}:{alias}"


def _before_in_sequence(network: nn.Module, layer: str) -> str | None:
    """The path before a ReLU's, where their parent runs one after the other and does nothing else."""
    path, _, name = layer.rpartition(".")
    parent = network.get_submodule(path)
    if type(parent) is not nn.Sequential:
        return None
    for (before, _), (behind, part) in pairwise(parent.named_children()):
        if behind == name and isinstance(part, nn.ReLU):
            return f"{path}.{before}".lstrip(".")
    return None


def smallest_side(backbone: Backbone, layer: str) -> int:
    """The shortest side, in pixels, of a picture for which one of Oneira's own networks gets as far as `layer`."""
    low, high = 1, backbone.smallest
    while low < high:
        middle = (low + high) // 2
        if any(visit.layer == layer for visit in _visits(backbone, middle)):
            high = middle
        else:
            low = middle + 1
    return low


def require_size(backbone: Backbone, addresses: Iterable[Address], size: tuple[int, int]) -> None:
    """Raise PlanError where a picture of `size` (height, width) is too small for one of the addresses in `backbone`.

    Registered modules pass: what they take is theirs to say.
    """
    height, width = size
    if not backbone.own or min(size) >= backbone.smallest:
        return
    for address in addresses:
        smallest = smallest_side(backbone, address.layer)
        if min(size) < smallest:
            raise PlanError(
                f"a {width}x{height} picture is too small for {address}; the shortest side must be at least {smallest}"
            )


@lru_cache(maxsize=64)
def _blueprint(backbone: Backbone) -> nn.Module:
    with torch.device("meta"):
        return backbone.build().eval()


@lru_cache(maxsize=256)
def _visits(backbone: Backbone, side: int) -> tuple[Visit, ...]:
    """What runs for a `side` x `side` picture; it ends where the picture is too small to go on."""
    visits: list[Visit] = []
    try:
        _run(_blueprint(backbone), torch.empty(1, 3, side, side, device="meta"), visits)
    except RuntimeError:
        # A kernel is larger than what it should slide over; only torch knows the rules of each, so it is asked.
        if side >= backbone.smallest:
            raise
    return tuple(visits)


def _visits_of_registered(backbone: Backbone) -> list[Visit]:
    network = backbone.build()
    first = next(network.parameters(), torch.empty(0))
    grey = torch.full((1, 3, SIDE, SIDE), 0.5, device=first.device)
    visits: list[Visit] = []
    try:
        _run(network, backbone.preprocessing(grey).to(first.dtype), visits)
    except Exception as error:  # a user's own code may raise anything
        reason = (str(error) or type(error).__name__).partition("\n")[0]
        raise AddressError(
            f"cannot describe {backbone.name}: it fails on a {SIDE}x{SIDE} picture ({reason})"
        ) from error
    return visits


def _run(network: nn.Module, image: Tensor, visits: list[Visit]) -> None:
    """Run `network` on `image`, adding every module that gives a tensor to `visits` as it is done."""

    givers, rectified = WeakIdKeyDictionary(), WeakIdKeyDictionary()

    def note(layer: str, part: nn.Module, inputs: tuple[object, ...], output: object) -> None:
        if isinstance(output, Tensor):
            if isinstance(part, nn.ReLU) and inputs and isinstance(inputs[0], Tensor):
                rectified[output] = givers.get(inputs[0])
            givers.setdefault(output, layer)  # of modules inside each other, the innermost
            visits.append(Visit(layer, tuple(output.shape), fields.of(output), rectified.get(output)))

    with torch.no_grad(), ReceptiveFields(image) as fields:
        hooks = [
            part.register_forward_hook(lambda *call, layer=layer: note(layer, *call))
            for layer, part in network.named_modules()
            if layer
        ]
        try:
            network(image)
        finally:
            for hook in hooks:
                hook.remove()


def _counted(visits: Iterable[Visit]) -> dict[str, int]:
    times: dict[str, int] = {}
    for visit in visits:
        times[visit.layer] = times.get(visit.layer, 0) + 1
    return times
