"""Whatever happens to the bytes of a picture file: a picture comes out, or an ImageError."""

import contextlib
import functools
import io

import numpy as np
import pytest
import torch
from by_hand import grey_profile, png_of_16, srgb_profile
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from oneira.errors import ImageError
from oneira.images import Picture, Recipe, encode, read_recipe

FORMATS = [".png", ".jpg", ".webp", ".tif", ".bmp", ".gif", ".avif"]
RECIPE = Recipe(technique="dream", options={"layer": "relu4_2"})


@functools.cache
def whole(kind):
    """A small file with as many parts as the format has."""
    noise = np.random.default_rng(0)
    if kind == "deep":
        return png_of_16(noise.integers(0, 65536, (5, 6, 4), np.uint16), interlace=1)
    if kind in (".png", ".jpg", ".webp", ".tif", ".avif"):
        pixels = torch.rand(1, 3, 9, 12, generator=torch.Generator().manual_seed(0))
        return encode(pixels, kind, alpha=pixels[:, :1] if kind in (".png", ".webp") else None, recipe=RECIPE)
    frames = [Image.fromarray(noise.integers(0, 256, (9, 12), np.uint8)) for _ in range(2)]
    file = io.BytesIO()
    frames[0].save(file, kind[1:], **({"save_all": True, "append_images": frames[1:]} if kind == ".gif" else {}))
    return file.getvalue()


def mutated(draw, data):
    data = bytearray(data)
    for _ in range(draw(st.integers(1, 6))):
        place = draw(st.integers(0, len(data) - 1)) if data else 0
        match draw(st.sampled_from(["flip", "flip", "set", "cut", "insert", "repeat"])):
            case "flip" if data:
                data[place] ^= 1 << draw(st.integers(0, 7))
            case "set" if data:
                data[place] = draw(st.sampled_from([0, 1, 127, 128, 255]))
            case "cut":
                del data[place : place + draw(st.integers(1, 8))]
            case "insert":
                data[place:place] = draw(st.binary(max_size=8))
            case "repeat":
                data += data[place : place + 40]
    return bytes(data)


# What Pillow itself warns about is neither here nor there.
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", [*FORMATS, "deep"])
@settings(max_examples=300)
@given(data=st.data())
def test_a_picture_or_an_image_error(kind, data):
    mutant = mutated(data.draw, whole(kind))
    with contextlib.suppress(ImageError):
        check(Picture.decode(mutant, max_pixels=100_000))


def check(picture):
    assert picture.image.shape[:2] == (1, 3)
    assert picture.image.min() >= 0
    assert picture.image.max() <= 1
    assert picture.alpha is None or picture.alpha.shape[2:] == picture.image.shape[2:]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", [".png", ".jpg", ".tif"])
@settings(max_examples=200)
@given(data=st.data())
def test_a_recipe_or_an_image_error(tmp_path_factory, kind, data):
    path = tmp_path_factory.getbasetemp() / f"hostile{kind}"
    path.write_bytes(mutated(data.draw, whole(kind)))
    with contextlib.suppress(ImageError):
        assert isinstance(read_recipe(path), Recipe)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("profile", [srgb_profile(), grey_profile(2.2)])
@settings(max_examples=60)
@given(data=st.data())
def test_a_picture_whatever_its_profile(profile, data):
    file = io.BytesIO()
    Image.new("L", (3, 2), 100).save(file, "PNG", icc_profile=mutated(data.draw, profile))
    assert Picture.decode(file.getvalue()).image.shape == (1, 3, 2, 3)
