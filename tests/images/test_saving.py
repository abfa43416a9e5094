"""What is saved is what was made, to the nearest level, in a file that is whole or not there."""

import io
import os

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, features

from oneira.errors import ImageError
from oneira.images import ImageWarning, Picture, Recipe, check_output, encode, load, save, sidecar_of

EXTENSIONS = [".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff", ".bmp", ".gif", ".avif"]
LOSSLESS = [".png", ".tif", ".bmp"]


def smooth(height=24, width=32):
    return torch.linspace(0, 1, 3 * height * width).reshape(1, 3, height, width)


@pytest.mark.parametrize("extension", EXTENSIONS)
def test_every_format_gives_back_nearly_the_same(tmp_path, extension):
    path = tmp_path / f"a{extension}"
    save(path, smooth())
    assert (load(path) - smooth()).abs().mean() < 0.02
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]
    assert Picture.open(path).notes == ()


@pytest.mark.parametrize("extension", [".PNG", ".Jpg"])
def test_capitals_do_not_matter(tmp_path, extension):
    save(str(tmp_path / f"a{extension}"), smooth())
    assert load(tmp_path / f"a{extension}").shape == (1, 3, 24, 32)


@given(st.lists(st.floats(-0.5, 1.5, width=32), min_size=3, max_size=60), st.sampled_from(LOSSLESS))
def test_values_are_clamped_and_rounded_to_the_nearest_level(values, extension):
    values = torch.tensor(values[: len(values) // 3 * 3]).reshape(1, 3, 1, -1)
    back = Picture.decode(encode(values, extension)).image
    assert (back - values.clamp(0, 1)).abs().max() <= 0.5 / 255 + 1e-6


@given(st.lists(st.integers(0, 255), min_size=3, max_size=60), st.sampled_from(LOSSLESS))
def test_levels_come_back_as_they_went(values, extension):
    image = torch.tensor(values[: len(values) // 3 * 3]).reshape(1, 3, 1, -1) / 255
    assert torch.equal(Picture.decode(encode(image, extension)).image, image)


def test_infinity_is_clamped_and_nan_refused(tmp_path):
    image = smooth()
    image[0, 0, 0, 0], image[0, 1, 0, 0] = -torch.inf, torch.inf
    save(tmp_path / "a.png", image)
    assert load(tmp_path / "a.png")[0, :2, 0, 0].tolist() == [0, 1]
    image[0, 0, 0, 0] = torch.nan
    with pytest.raises(ImageError, match="picture with NaN in it; nothing was written"):
        save(tmp_path / "b.png", image)
    assert not (tmp_path / "b.png").exists()


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
def test_any_kind_of_float(dtype):
    assert Picture.decode(encode(torch.full((1, 3, 2, 2), 0.5, dtype=dtype), ".png")).image[0, 0, 0, 0] == 128 / 255


def test_a_picture_under_construction_can_be_saved():
    image = smooth().requires_grad_()
    assert len(encode(image, ".png")) > 0
    assert image.requires_grad


def test_saving_does_not_change_the_picture():
    image = smooth() * 2 - 0.5
    before = image.clone()
    encode(image, ".png", depth=16)
    assert torch.equal(image, before)


@pytest.mark.parametrize("extension", [".png", ".webp", ".tif", ".avif"])
def test_alpha_is_put_back(extension):
    alpha = torch.linspace(0, 1, 24 * 32).reshape(1, 1, 24, 32)
    picture = Picture.decode(
        encode(smooth(), extension, alpha=alpha, quality=100 if extension in (".webp", ".avif") else None)
    )
    assert (picture.alpha - alpha).abs().max() < 0.02


@pytest.mark.parametrize("extension", [".jpg", ".bmp", ".gif"])
def test_where_there_is_no_alpha_the_picture_is_laid_on_white_and_that_is_said(extension):
    red = torch.tensor([1.0, 0, 0]).reshape(1, 3, 1, 1).expand(1, 3, 16, 16)
    with pytest.warns(ImageWarning, match="holds no transparency: the picture was laid on white"):
        data = encode(red, extension, alpha=torch.full((1, 1, 16, 16), 0.25))
    seen = Picture.decode(data).image.mean(dim=(0, 2, 3))
    torch.testing.assert_close(seen, torch.tensor([1, 0.75, 0.75]), atol=0.01, rtol=0)


@pytest.mark.parametrize("extension", [".jpg", ".webp", ".avif"])
def test_quality_costs_bytes(extension):
    image = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    sizes = [len(encode(image, extension, quality=quality)) for quality in (10, 95)]
    assert sizes[0] < sizes[1] == len(encode(image, extension))


@pytest.mark.parametrize("extension", EXTENSIONS)
def test_noise_fits_into_every_encoders_buffer(extension):
    noise = torch.rand(1, 3, 300, 300, generator=torch.Generator().manual_seed(0))
    recipe = Recipe(options={"a": "x" * 60_000})
    qualities = (1, 50, 90, 94, 95, 100) if extension == ".jpg" else (None,)
    for quality in qualities:
        data = encode(noise, extension, recipe=recipe, quality=quality)
        assert Picture.decode(data).image.shape == noise.shape


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"extension": ".png", "quality": 90}, "PNG takes no quality; these do: JPEG, WebP, AVIF"),
        ({"extension": ".jpg", "quality": 0}, "quality 0; allowed: 1 to 100"),
        ({"extension": ".jpg", "quality": 101}, "quality 101; allowed: 1 to 100"),
        (
            {"extension": ".jpg", "depth": 16},
            "JPEG with 16 bits per sample cannot be written; allowed: 8, and for PNG 16",
        ),
        ({"extension": ".png", "depth": 12}, "PNG with 12 bits per sample cannot be written"),
        ({"extension": ".pngg"}, "unknown extension '.pngg'; did you mean '.png'\\?; allowed: .avif .bmp .gif .jpeg"),
        ({"extension": ".svg"}, "unknown extension '.svg'"),
        ({"extension": ""}, "no extension; allowed:"),
    ],
)
def test_options_that_do_not_go_together(tmp_path, options, message):
    extension = options.pop("extension")
    with pytest.raises(ImageError, match=message):
        encode(smooth(), extension, **options)
    with pytest.raises(ImageError, match=message):
        check_output(tmp_path / f"a{extension}", **options)
    with pytest.raises(ImageError, match=message):
        save(tmp_path / f"a{extension}", smooth(), **options)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "image", [torch.zeros(3, 4, 4), torch.zeros(2, 3, 4, 4), torch.zeros(1, 4, 4, 4), torch.zeros(1, 3, 0, 4)]
)
def test_other_shapes_are_refused(image):
    with pytest.raises(ImageError, match=r"picture of float32 \(.*\); floats of \(1, 3, height, width\) are needed"):
        encode(image, ".png")


def test_whole_numbers_and_wrong_alphas_are_refused():
    with pytest.raises(ImageError, match="picture of uint8"):
        encode(torch.zeros(1, 3, 2, 2, dtype=torch.uint8), ".png")
    with pytest.raises(ImageError, match=r"alpha of float32 \(1, 1, 2, 3\)"):
        encode(torch.zeros(1, 3, 2, 2), ".png", alpha=torch.zeros(1, 1, 2, 3))
    with pytest.raises(ImageError, match="alpha with NaN"):
        encode(torch.zeros(1, 3, 1, 1), ".png", alpha=torch.full((1, 1, 1, 1), torch.nan))


@pytest.mark.parametrize(
    ("extension", "limit"), [(".webp", 16_383), (".jpg", 65_500), (".gif", 65_535), (".avif", 65_536)]
)
def test_formats_end_somewhere(extension, limit):
    with pytest.raises(ImageError, match=f"ends at {limit} pixels a side; this picture has {limit + 1}"):
        encode(torch.zeros(1, 3, 1, limit + 1), extension)


@pytest.mark.parametrize("extension", [".webp", ".jpg", ".gif"])
def test_and_not_before(extension):
    limit = {".webp": 16_383, ".jpg": 65_500, ".gif": 65_535}[extension]
    assert Picture.decode(encode(torch.zeros(1, 3, 1, limit), extension)).image.shape == (1, 3, 1, limit)


class TestOutput:
    def test_a_good_one(self, tmp_path):
        check_output(tmp_path / "a.png")
        (tmp_path / "a.png").touch()
        check_output(str(tmp_path / "a.png"), depth=16)

    def test_no_folder(self, tmp_path):
        with pytest.raises(ImageError, match=r"there is no folder .*; make it first"):
            check_output(tmp_path / "no" / "a.png")

    def test_a_folder(self, tmp_path):
        (tmp_path / "a.png").mkdir()
        with pytest.raises(ImageError, match="it is a folder; add a file name"):
            check_output(tmp_path / "a.png")

    def test_a_file_where_a_folder_should_be(self, tmp_path):
        (tmp_path / "a").touch()
        with pytest.raises(ImageError, match="there is no folder"):
            check_output(tmp_path / "a" / "b.png")

    def test_a_pipe(self, tmp_path):
        os.mkfifo(tmp_path / "a.png")
        with pytest.raises(ImageError, match="no regular file"):
            check_output(tmp_path / "a.png")

    def test_a_folder_that_may_not_be_written_to(self, tmp_path, monkeypatch):
        monkeypatch.setattr(os, "access", lambda path, mode: False)
        with pytest.raises(ImageError, match="may not be written to"):
            check_output(tmp_path / "a.png")

    @pytest.mark.parametrize("name", ["a" * 230 + ".png", "a\0.png"])
    def test_a_name_that_no_file_can_have(self, tmp_path, name):
        with pytest.raises(ImageError, match="a file name has at most 220 bytes here, none of them 0"):
            check_output(tmp_path / name)

    def test_the_longest_name_works(self, tmp_path):
        save(tmp_path / ("a" * 216 + ".png"), smooth(), recipe=Recipe(), sidecar=True)
        assert len(list(tmp_path.iterdir())) == 2


def test_a_failed_save_leaves_what_was_there(tmp_path, monkeypatch):
    path = tmp_path / "a.png"
    path.write_bytes(b"before")

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(ImageError, match=r"cannot write .*a.png': No space left on device"):
        save(path, smooth())
    assert path.read_bytes() == b"before"
    assert list(tmp_path.iterdir()) == [path]


def test_an_encoder_that_fails_writes_nothing(tmp_path, monkeypatch):
    def broken(*_, **__):
        raise OSError("encoder error -2")

    monkeypatch.setattr(Image.Image, "save", broken)
    with pytest.raises(ImageError, match="WebP cannot be encoded: encoder error -2"):
        save(tmp_path / "a.webp", smooth())
    assert list(tmp_path.iterdir()) == []


def test_the_same_picture_gives_the_same_bytes():
    for extension in EXTENSIONS:
        recipe = Recipe(technique="dream", seed=3)
        assert encode(smooth(), extension, recipe=recipe) == encode(smooth(), extension, recipe=recipe)


def test_colours_are_not_subsampled():
    stripes = torch.zeros(1, 3, 16, 16)
    stripes[:, 0, :, ::2] = 1
    stripes[:, 2, :, 1::2] = 1
    for extension in (".jpg", ".avif"):
        assert (Picture.decode(encode(stripes, extension)).image - stripes).abs().mean() < 0.06


def test_a_sidecar_tells_of_the_picture_beside_it(tmp_path):
    path = tmp_path / "a.bmp"
    save(path, smooth(), recipe=Recipe(seed=1))
    assert sidecar_of(path) == tmp_path / "a.bmp.oneira.json"
    assert sidecar_of(path).exists()
    save(path, smooth())
    assert not sidecar_of(path).exists()


def test_other_programs_read_it():
    with Image.open(io.BytesIO(encode(smooth(), ".png", depth=16))) as picture:
        picture.load()
        assert np.abs(np.array(picture).transpose(2, 0, 1)[None] / 255 - smooth().numpy()).max() < 1.01 / 255


def test_a_format_that_pillow_was_built_without_is_not_offered(monkeypatch):
    monkeypatch.setattr(features, "check", lambda feature: feature != "avif")
    data = b"\0\0\0\x18ftypavif\0\0\0\0avifmif1"
    with pytest.raises(ImageError, match="is AVIF, which this Pillow cannot read; allowed: BMP, GIF, JPEG"):
        Picture.decode(data)
    with pytest.raises(ImageError, match=r"unknown extension '\.avif'.*; allowed: \.bmp"):
        encode(smooth(), ".avif")
