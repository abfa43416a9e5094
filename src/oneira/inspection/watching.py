"""Looking through many pictures for what excites every channel."""

import os
import warnings
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import torch
from torch import Tensor

from oneira.errors import AddressError, DataError, ImageError, PlanError
from oneira.features import Address, Encoder, resolve
from oneira.images import ImageWarning
from oneira.inspection.layer_responses import Glances, LayerResponses
from oneira.inspection.picture_set import PictureSet
from oneira.inspection.responses import Responses, Seen

SIDE = 256  # pixels: the custom of ImageNet
TOP = 9  # Zeiler and Fergus (2014) show nine
BATCH = 32  # pictures between two results


def watch(
    encoder: Encoder,
    layers: Iterable[str | Address],
    pictures: PictureSet,
    *,
    side: int = SIDE,
    top: int = TOP,
    batch: int = BATCH,
    begun: Responses | None = None,
) -> Iterator[Responses]:
    """The responses of all `layers` to the pictures so far, after every `batch` of them; the last is complete.

    One pass for all layers. Pictures are decoded `batch` at a time and go through the network one at a time: kernels
    may add up in another order for another number of pictures, and so the result does not depend on `batch`, to the
    bit. A picture that cannot be read is skipped. `begun`: an earlier result to go on from, which `Responses.load` may
    have read; what then comes is what would have come without the interruption.

    Raises AddressError and PlanError as the encoder does, and AddressError for a layer that gives neither (b, c, h, w)
    nor (b, c); PlanError where `begun` does not fit; DataError where no picture can be read, or where activations are
    not finite.
    """
    if min(side, top, batch) < 1:
        raise PlanError(f"sides, strongest responses and batches are at least 1, not {side}, {top} and {batch}")
    addresses = list(dict.fromkeys(resolve(layer) if isinstance(layer, str) else layer for layer in layers))
    state = _blank(encoder, addresses, pictures, side, top)
    if begun is not None:
        _require_same(begun, state, encoder, pictures)
        state = begun
    if state.complete:
        yield state
    while not state.complete:
        state = _after_batch(state, encoder, addresses, pictures, range(state.done, len(pictures))[:batch])
        if state.complete and len(state.skipped) == len(pictures):
            raise DataError(f"none of {len(pictures)} pictures can be read, the first: {state.skipped[0]}")
        yield state


def _blank(encoder: Encoder, addresses: Sequence[Address], pictures: PictureSet, side: int, top: int) -> Responses:
    with torch.no_grad():
        features = encoder(torch.full((1, 3, side, side), 0.5, device=encoder.device), addresses)
    for address, each in features.items():
        if each.ndim not in (2, 4):
            raise AddressError(f"layer {address} gives {tuple(each.shape)}; channels need (b, c, h, w) or (b, c)")
    seen = Seen.by(encoder, (address.backbone for address in addresses), pictures, side)
    return Responses(seen, {address.key: LayerResponses.none(features[address], top) for address in addresses})


def _require_same(begun: Responses, blank: Responses, encoder: Encoder, pictures: PictureSet) -> None:
    """PlanError unless `begun` is what `blank` becomes."""
    begun.require(encoder, pictures, side=blank.seen.side)
    for name in sorted(begun.layers.keys() ^ blank.layers.keys()):
        raise PlanError(f"these responses were begun with other layers ({name} is one); name the same, or begin anew")
    for name, layer in blank.layers.items():
        there = begun.layers[name]
        if there.values.shape != layer.values.shape or there.grid != layer.grid:
            raise PlanError(
                f"these responses of {name} were begun with the {there.values.shape[1]} strongest of {there.channels} "
                f"channels, not the {layer.values.shape[1]} of {layer.channels}; ask for the same, or begin anew"
            )


def _after_batch(
    state: Responses, encoder: Encoder, addresses: Sequence[Address], pictures: PictureSet, numbers: Sequence[int]
) -> Responses:
    glances = {name: Glances.room(len(numbers), layer.channels) for name, layer in state.layers.items()}
    read: list[int] = []
    skipped: list[str] = []
    for number, decoded in zip(numbers, _decoded(pictures, numbers, state.seen.side), strict=True):
        if isinstance(decoded, ImageError):
            skipped.append(str(decoded))
            continue
        with torch.no_grad():
            features = encoder(decoded.to(encoder.device), addresses)
        for address in addresses:
            seen = glances[address.key]
            seen.note(len(read), features[address], state[address].floor)
            if not seen.finite(len(read)):
                raise DataError(f"{pictures.name(number)} makes activations of {address} that are not finite")
        read.append(number)
    layers = {name: layer.after(read, glances[name]) for name, layer in state.layers.items()}
    return Responses(state.seen, layers, state.done + len(numbers), (*state.skipped, *skipped))


def _decoded(pictures: PictureSet, numbers: Sequence[int], side: int) -> list[Tensor | ImageError]:
    """The squares (1, 3, side, side), or what is wrong with a picture."""

    def decode(number: int) -> Tensor | ImageError:
        try:
            return pictures.square(number, side)
        except ImageError as error:
            return error

    with warnings.catch_warnings(), ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
        warnings.simplefilter("ignore", ImageWarning)  # such as an odd colour profile, a thousand times over
        return list(pool.map(decode, numbers))
