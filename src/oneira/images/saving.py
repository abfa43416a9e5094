"""Float tensors as picture files, written whole or not at all."""

import io
import os
import stat
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torch import Tensor

from oneira.errors import ImageError
from oneira.files import write_whole
from oneira.images.embedding import KEYWORD, embedded, sidecar_of
from oneira.images.formats import FORMATS, Format, format_for
from oneira.images.notices import PathLike, notice, shown
from oneira.images.png16 import png16
from oneira.images.recipe import Recipe

_QUALITY = 95
# Chroma is never subsampled: saturated colours beside each other are what these pictures are full of.
_OPTIONS: dict[str, dict[str, Any]] = {
    "JPEG": {"subsampling": 0},  # nor "optimize": Pillow's buffer for it is too small for noise
    "WebP": {"exact": True},
    "AVIF": {"subsampling": "4:4:4"},
    "TIFF": {"compression": "tiff_adobe_deflate"},
}
# Names of temporary files and sidecars are longer than the picture's own, and file systems stop at 255 bytes.
_LONGEST_NAME = 220


def save(
    path: PathLike,
    image: Tensor,
    *,
    alpha: Tensor | None = None,
    recipe: Recipe | None = None,
    depth: int = 8,
    quality: int | None = None,
    sidecar: bool = False,
) -> None:
    """Write a picture in the format that the name's extension asks for.

    `image`: (1, 3, h, w) floats; what lies outside [0, 1] is clamped, then rounded to the nearest level.
    `alpha`: (1, 1, h, w) in [0, 1]; JPEG, BMP and GIF have none, so there the picture is laid on white, with an
    ImageWarning. `recipe` goes into the file; into a sidecar for BMP and GIF, and also into one where `sidecar` says
    so. `depth`: 8, or 16 for PNG. `quality`: 1 to 100 for JPEG, WebP, AVIF (95 if None).

    Raises ImageError as `check_output` does, and for a wrong shape, NaN, or a full disk. A sidecar that an earlier
    picture of the same name had is replaced or removed with it.
    """
    check_output(path, depth=depth, quality=quality)
    kind = format_for(path)
    data = encode(image, kind.extensions[0], alpha=alpha, recipe=recipe, depth=depth, quality=quality)
    beside = sidecar_of(path)
    try:
        write_whole(Path(path), lambda file: file.write(data))
        if recipe is not None and (sidecar or kind.recipe is None):
            text = recipe.to_json(indent=2) + "\n"
            write_whole(beside, lambda file: file.write(text.encode()))
        else:
            beside.unlink(missing_ok=True)  # it would tell of the picture that was replaced
    except OSError as error:
        raise ImageError(f"cannot write {shown(path)}: {error.strerror or error}") from error


def check_output(path: PathLike, *, depth: int = 8, quality: int | None = None) -> None:
    """See, before anything long is computed, that a picture can be written there; ImageError says why not."""
    kind = format_for(path)
    check_options(kind, depth, quality)
    obstacle = obstacle_to(Path(path))
    if obstacle is not None:
        raise ImageError(f"cannot write {shown(path)}: {obstacle}")


def encode(
    image: Tensor,
    extension: str,
    *,
    alpha: Tensor | None = None,
    recipe: Recipe | None = None,
    depth: int = 8,
    quality: int | None = None,
) -> bytes:
    """The bytes of the file that `save` would write; `extension` such as ".png". The same arguments and errors."""
    kind = format_for(f"picture{extension}")
    check_options(kind, depth, quality)
    check_picture(image, alpha, kind)
    image = image.detach().to("cpu", torch.float32)
    if alpha is not None:
        alpha = alpha.detach().to("cpu", torch.float32)
        if not kind.alpha:
            notice(f"{kind.name} holds no transparency: the picture was laid on white")
            image, alpha = image.clamp(0, 1) * alpha + (1 - alpha), None
    full = 65535 if depth == 16 else 255
    samples = samples_of(image if alpha is None else torch.cat([image, alpha], dim=1), full)
    if depth == 16:
        return png16(samples.astype(np.uint16), None if recipe is None else (KEYWORD, recipe.to_json()))
    return _encoded(Image.fromarray(samples.astype(np.uint8)), kind, recipe, quality)


def obstacle_to(path: Path) -> str | None:
    """Why no file can be put at `path`, or None."""
    if "\0" in str(path) or len(os.fsencode(path.name)) > _LONGEST_NAME:
        return f"a file name has at most {_LONGEST_NAME} bytes here, none of them 0"
    try:
        if not path.parent.is_dir():
            return f"there is no folder {shown(path.parent)}; make it first"
        if path.is_dir():
            return "it is a folder; add a file name"
        if path.exists() and not stat.S_ISREG(path.stat().st_mode):
            return "what is there is no regular file"
    except OSError as error:
        return error.strerror or str(error)
    if not os.access(path.parent, os.W_OK | os.X_OK):
        return f"the folder {shown(path.parent)} may not be written to"
    return None


def check_options(kind: Format, depth: int, quality: int | None = None) -> None:
    """See that a format has the `depth`, and takes the `quality`; ImageError says which do."""
    if depth not in (8, 16) or (depth == 16 and not kind.deep):
        raise ImageError(f"{kind.name} with {depth} bits per sample cannot be written; allowed: 8, and for PNG 16")
    if quality is not None and not kind.quality:
        takers = ", ".join(known.name for known in FORMATS if known.quality)
        raise ImageError(f"{kind.name} takes no quality; these do: {takers}")
    if quality is not None and not 1 <= quality <= 100:
        raise ImageError(f"quality {quality}; allowed: 1 to 100")


def check_picture(image: Tensor, alpha: Tensor | None, kind: Format) -> None:
    """See that a picture, and its alpha if it has one, can be written as `kind`; ImageError says why not."""
    for what, tensor, channels in (("picture", image, 3), ("alpha", alpha, 1)):
        if tensor is None:
            continue
        fits = tensor.ndim == 4 and tensor.shape[:2] == (1, channels) and tensor.shape[2:] == image.shape[2:]
        if not fits or tensor.numel() == 0 or not tensor.is_floating_point():
            came = f"{tensor.dtype} {tuple(tensor.shape)}".removeprefix("torch.")
            raise ImageError(f"{what} of {came}; floats of (1, {channels}, height, width) are needed")
        if bool(tensor.isnan().any()):
            raise ImageError(f"{what} with NaN in it; nothing was written")
    longest = max(image.shape[2:])
    if longest > kind.longest_side:
        raise ImageError(f"{kind.name} ends at {kind.longest_side} pixels a side; this picture has {longest}")


def samples_of(image: Tensor, full: int) -> npt.NDArray[np.int32]:
    """(1, c, h, w) -> (h, w, c), 0 to `full`: clamped, then rounded to the nearest level."""
    levels = image.clamp(0, 1).mul_(full).round_().to(torch.int32)
    return np.ascontiguousarray(levels[0].permute(1, 2, 0).numpy())


def _encoded(picture: Image.Image, kind: Format, recipe: Recipe | None, quality: int | None) -> bytes:
    quality = _QUALITY if quality is None else quality
    options: dict[str, Any] = {"quality": quality} if kind.quality else {}
    options |= _OPTIONS.get(kind.name, {})
    if recipe is not None:
        options |= embedded(recipe, kind)
    file = io.BytesIO()
    try:
        picture.save(file, kind.name.upper(), **options)
    except (OSError, ValueError, MemoryError, RuntimeError) as error:
        raise ImageError(f"{kind.name} cannot be encoded: {error}") from error
    return file.getvalue()
