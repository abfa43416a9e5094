"""Whatever colours a file speaks of, sRGB comes out."""

import io

import numpy as np
import pytest
from by_hand import grey_profile, srgb_profile, swapping_profile
from PIL import Image

from oneira.images import ImageWarning, Picture


@pytest.fixture
def pixels():
    return np.random.default_rng(0).integers(0, 256, (8, 8, 3), np.uint8)


def read(picture, profile, kind="PNG", **options):
    file = io.BytesIO()
    picture.save(file, kind, icc_profile=profile, **options)
    decoded = Picture.decode(file.getvalue())
    return decoded, (decoded.image[0].permute(1, 2, 0) * 255).numpy()


def test_srgb_pictures_keep_every_level(pixels):
    picture, levels = read(Image.fromarray(pixels), srgb_profile())
    assert np.abs(levels - pixels).max() < 1e-4
    assert picture.notes == ()


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("PNG", {}),
        ("TIFF", {}),
        ("WebP", {"lossless": True}),
        ("JPEG", {"quality": 100, "subsampling": 0}),
        ("AVIF", {}),
    ],
)
def test_a_profile_is_followed_in_every_format(kind, options):
    picture = Image.new("RGB", (16, 16), (200, 90, 30))
    _, levels = read(picture, swapping_profile(), kind, **options)
    assert np.abs(levels - (30, 90, 200)).max() < 6


def test_alpha_has_no_colour_and_stays(pixels):
    alpha = np.arange(64, dtype=np.uint8).reshape(8, 8)
    picture, levels = read(Image.fromarray(np.dstack([pixels, alpha])), swapping_profile())
    assert np.abs(levels - pixels[..., ::-1]).max() < 2
    assert np.abs(picture.alpha[0, 0].numpy() * 255 - alpha).max() < 1e-4


def test_palettes_too():
    picture = Image.fromarray(np.zeros((2, 2), np.uint8))
    picture.putpalette([200, 90, 30])
    _, levels = read(picture, swapping_profile())
    assert np.abs(levels - (30, 90, 200)).max() < 2


@pytest.mark.parametrize("mode", ["L", "LA", "1"])
def test_grey_pictures_follow_grey_profiles(mode):
    picture = Image.new("L", (2, 2), 55).convert(mode) if mode != "1" else Image.new("1", (2, 2), 1)
    _, levels = read(picture, grey_profile(1.0))
    assert np.abs(levels - (255 if mode == "1" else 127.5)).max() < 3  # 55/255 of the light is half of the way in sRGB


def test_grey_pictures_may_carry_colour_profiles():
    picture, levels = read(Image.new("L", (2, 2), 55), srgb_profile())
    assert np.abs(levels - 55).max() < 1e-4
    assert picture.notes == ()


@pytest.mark.parametrize("profile", [b"x", b"nonsense" * 40, grey_profile(2.2), srgb_profile()[:200]])
def test_a_broken_profile_is_said_and_srgb_assumed(pixels, profile):
    with pytest.warns(ImageWarning, match="broken ICC profile: sRGB assumed"):
        picture, levels = read(Image.fromarray(pixels), profile)
    assert picture.notes == ("broken ICC profile: sRGB assumed",)
    assert np.abs(levels - pixels).max() < 1e-4


def test_a_profile_for_other_inks_is_broken():
    with pytest.warns(ImageWarning, match="broken ICC profile"):
        _, levels = read(Image.new("CMYK", (8, 8)), srgb_profile(), "JPEG")
    assert levels.min() > 250
