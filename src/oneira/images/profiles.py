"""From whatever colours a file speaks of to sRGB."""

import io

import numpy as np
from PIL import Image, ImageCms

# What Little CMS and Pillow raise over a profile that is damaged or made for other colours.
_BROKEN = (ImageCms.PyCMSError, OSError, ValueError, TypeError)


def to_srgb(picture: Image.Image, profile: bytes | None) -> tuple[Image.Image, str | None]:
    """A decoded picture of mode L, RGB, CMYK or LAB as RGB in sRGB, and what there is to warn about, or None.

    Where the profile is sRGB already, no value is touched. A profile that is damaged, or made for another kind of
    picture, is left out and sRGB assumed.
    """
    if profile is None:
        return _assumed(picture), None
    try:
        return (_assumed(picture) if _is_neutral(profile, picture.mode) else _converted(picture, profile)), None
    except _BROKEN:
        return _assumed(picture), "broken ICC profile: sRGB assumed"


def is_srgb(profile: bytes | None, mode: str) -> bool:
    """Whether a profile leaves a picture of mode L or RGB as it is (or is missing)."""
    try:
        return profile is None or _is_neutral(profile, mode)
    except _BROKEN:
        return False


def _is_neutral(profile: bytes, mode: str) -> bool:
    """Whether no colour of a 9 x 9 x 9 grid, or no grey, moves by more than one level of 255."""
    if mode == "L":
        grid = Image.fromarray(np.arange(256, dtype=np.uint8)[None])
    elif mode == "RGB":
        levels = np.linspace(0, 255, 9).round().astype(np.uint8)
        grid = Image.fromarray(np.stack(np.meshgrid(levels, levels, levels), axis=-1).reshape(27, 27, 3))
    else:
        return False
    moved = np.asarray(_converted(grid, profile)).astype(int)
    return bool(np.abs(moved - np.asarray(grid.convert("RGB"))).max() <= 1)


def _converted(picture: Image.Image, profile: bytes) -> Image.Image:
    source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
    if picture.mode == "L" and source.profile.xcolor_space.strip() == "RGB":
        picture = picture.convert("RGB")  # grey pictures often carry a colour profile
    return _between(picture, source)


def _assumed(picture: Image.Image) -> Image.Image:
    if picture.mode == "LAB":
        return _between(picture, ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")))
    # CMYK without a profile: the plain complement, as browsers show it.
    return picture.convert("RGB")


def _between(picture: Image.Image, source: ImageCms.ImageCmsProfile) -> Image.Image:
    transform = ImageCms.buildTransform(source, ImageCms.createProfile("sRGB"), picture.mode, "RGB")
    converted = ImageCms.applyTransform(picture, transform)
    assert converted is not None  # only a transform in place gives nothing
    return converted
