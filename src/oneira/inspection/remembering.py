"""Pictures watched once: what was measured is kept in a file, from which who is stopped, or asks again, goes on."""

import hashlib
import json
from collections.abc import Iterator, Sequence
from pathlib import Path

from oneira.features import Address, Encoder
from oneira.features.weights.places import cache_folder
from oneira.inspection.picture_set import PictureSet
from oneira.inspection.responses import Responses, weights_identity
from oneira.inspection.watching import SIDE, TOP, watch

SAVED_EVERY = 8  # batches of pictures


def remembered(
    path: Path, encoder: Encoder, layers: Sequence[Address], pictures: PictureSet, *, side: int = SIDE, top: int = TOP
) -> Iterator[Responses]:
    """As `watch`, but beginning with what the file at `path` holds of it, and keeping there what comes.

    A file of other layers, weights or pictures is replaced. Raises as `watch` does, and ImageError where the disk
    refuses.
    """
    begun = Responses.known(path, encoder, pictures)
    if begun is not None and begun.layers.keys() != {layer.key for layer in layers}:
        begun = None
    path.parent.mkdir(parents=True, exist_ok=True)
    unsaved: Responses | None = None
    try:
        for number, found in enumerate(watch(encoder, layers, pictures, side=side, top=top, begun=begun)):
            unsaved = None if found is begun else found
            if unsaved is not None and (found.complete or number % SAVED_EVERY == 0):
                found.write(path)
                unsaved = None
            yield found
    finally:  # whoever iterates may have had enough
        if unsaved is not None:
            unsaved.write(path)


def memory_of(encoder: Encoder, layers: Sequence[Address], pictures: PictureSet, *, side: int, top: int) -> Path:
    """The file in the cache for what these layers, run like this, answer to these pictures. Loads their backbones."""
    weights = sorted({(layer.backbone, weights_identity(encoder, layer.backbone)) for layer in layers})
    keys = [layer.key for layer in layers]
    told = json.dumps([keys, weights, pictures.identity, side, top, str(encoder.precision)])
    return cache_folder().parent / "responses" / f"{hashlib.sha256(told.encode()).hexdigest()[:32]}.safetensors"
