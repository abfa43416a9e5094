"""The pictures of an atlas: one small file per channel, and one for all of its strongest patches."""

import re
from pathlib import Path

import torch
from torch import Tensor

from oneira.errors import ImageError
from oneira.figures.atlas.entries import Strip
from oneira.images import resize, save

PICTURE_SIDE, PATCH_SIDE = 128, 56  # pixels
# At equal error AVIF takes two thirds to nine tenths of WebP's bytes and half of JPEG's. With these, the 2240 channels
# behind the ReLUs of `pocket` take 7.6 MB of pictures and 5.8 MB of patches.
_EXTENSION = ".avif"
_PICTURE_QUALITY, _PATCH_QUALITY = 50, 40


def save_picture(folder: Path, place: int, layer: str, channel: int, picture: Tensor) -> str:
    """Write a channel's picture, (1, 3, h, w) in [0, 1], and return its path for `ChannelEntry.picture`.

    `place`: the layer's in the atlas, from 0; with it no two layers share files, however they are called. Brought to
    128x128. Raises ImageError where it cannot be written.
    """
    path = picture_path(place, layer, channel)
    _write(folder / path, resize(picture, (PICTURE_SIDE, PICTURE_SIDE)), _PICTURE_QUALITY)
    return path


def save_patches(folder: Path, place: int, layer: str, channel: int, patches: Tensor) -> Strip:
    """Write a channel's patches, (n, 3, h, w) in [0, 1] with the strongest first, as one picture of n 56x56 squares.

    `place` and errors as for `save_picture`.
    """
    path = _path("patches", place, layer, channel)
    squares = resize(patches, (PATCH_SIDE, PATCH_SIDE))
    _write(folder / path, torch.cat(list(squares.split(1)), dim=3), _PATCH_QUALITY)
    return Strip(path, len(patches))


def picture_path(place: int, layer: str, channel: int) -> str:
    """Where `save_picture` writes, relative to the atlas's folder."""
    return _path("pictures", place, layer, channel)


def _path(kind: str, place: int, layer: str, channel: int) -> str:
    # Names of layers may hold what file systems refuse, or differ only in what some of them ignore.
    return f"{kind}/{place:02d}-{re.sub('[^A-Za-z0-9_.-]', '-', layer)}/{channel}{_EXTENSION}"


def _write(path: Path, picture: Tensor, quality: int) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ImageError(f"cannot write {path}: {error.strerror}") from error
    save(path, picture, quality=quality)
