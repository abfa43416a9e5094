"""A picture file comes in as it would be seen: upright, in sRGB, whatever its format and mode."""

import hashlib
import io

import numpy as np
import pytest
import torch
from by_hand import png, tiff
from PIL import ExifTags, Image, ImageCms, ImageOps
from torch.testing import assert_close

from oneira.images import ImageWarning, Picture, load

FEW = np.array([(0, 0, 0), (255, 0, 0), (0, 128, 255), (255, 255, 255)], np.uint8)


@pytest.fixture
def pixels():
    return np.random.default_rng(0).integers(0, 256, (9, 13, 3), np.uint8)


def file_of(picture, kind, **options):
    file = io.BytesIO()
    picture.save(file, kind, **options)
    return file.getvalue()


def levels(picture):
    return (picture.image[0].permute(1, 2, 0) * 255).numpy()


@pytest.mark.parametrize(
    ("kind", "options"),
    [("PNG", {}), ("TIFF", {}), ("TIFF", {"compression": "tiff_lzw"}), ("BMP", {}), ("WebP", {"lossless": True})],
)
def test_lossless_formats_give_every_level_exactly(pixels, kind, options):
    picture = Picture.decode(file_of(Image.fromarray(pixels), kind, **options))
    assert picture.image.shape == (1, 3, 9, 13)
    assert picture.image.dtype == torch.float32
    assert picture.image.is_contiguous()
    assert picture.alpha is None
    assert picture.notes == ()
    assert np.abs(levels(picture) - pixels).max() < 1e-4


@pytest.mark.parametrize(("kind", "options"), [("JPEG", {"subsampling": 0}), ("AVIF", {"subsampling": "4:4:4"})])
def test_lossy_formats_come_close(kind, options):
    smooth = np.linspace(0, 255, 32 * 32 * 3).reshape(32, 32, 3).astype(np.uint8)
    picture = Picture.decode(file_of(Image.fromarray(smooth), kind, quality=95, **options))
    assert np.abs(levels(picture) - smooth).mean() < 3


def test_open_knows_the_file(tmp_path, pixels):
    path = tmp_path / "a.png"
    Image.fromarray(pixels).save(path)
    picture = Picture.open(str(path))
    assert picture.path == path
    assert picture.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert torch.equal(load(path), picture.image)
    decoded = Picture.decode(path.read_bytes())
    assert torch.equal(decoded.image, picture.image)
    assert decoded.path is None
    assert decoded.sha256 == picture.sha256


def test_the_content_decides_the_format_and_the_name_is_noted(tmp_path, pixels):
    path = tmp_path / "a.png"
    path.write_bytes(file_of(Image.fromarray(pixels), "BMP"))
    picture = Picture.open(path)
    assert picture.notes == ("named .png, but it holds a BMP",)
    assert np.abs(levels(picture) - pixels).max() < 1e-4


@pytest.mark.parametrize("size", [(1, 1), (1, 5000), (5000, 1)])
def test_any_shape(size):
    assert Picture.decode(file_of(Image.new("RGB", size, "red"), "PNG")).image.shape == (1, 3, size[1], size[0])


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WebP", "TIFF", "AVIF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_pictures_stand_upright(kind, orientation):
    picture = Image.new("RGB", (48, 32))
    for box, colour in (((0, 0, 16, 16), "red"), ((32, 0, 48, 16), "lime"), ((0, 16, 16, 32), "blue")):
        picture.paste(colour, box)
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    data = file_of(picture, kind, exif=exif.tobytes())
    seen = np.array(ImageOps.exif_transpose(Image.open(io.BytesIO(data))).convert("RGB"))
    assert np.abs(levels(Picture.decode(data)) - seen).max() < 1e-4


def test_alpha_turns_with_the_picture():
    alpha = np.arange(6, dtype=np.uint8).reshape(2, 3) * 40
    picture = Image.merge("RGBA", [*Image.new("RGB", (3, 2)).split(), Image.fromarray(alpha)])
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    turned = Picture.decode(file_of(picture, "PNG", exif=exif)).alpha
    assert_close(turned[0, 0] * 255, torch.from_numpy(np.rot90(alpha, -1).astype(np.float32)))


def test_damaged_exif_is_said_and_the_picture_used(pixels):
    data = file_of(Image.fromarray(pixels), "PNG", exif=b"Exif\0\0nonsense")
    with pytest.warns(ImageWarning, match="damaged EXIF: taken to be upright"):
        assert Picture.decode(data).image.shape == (1, 3, 9, 13)


def test_grey_becomes_three_equal_channels():
    grey = np.arange(0, 256, 5, dtype=np.uint8)[None]
    picture = Picture.decode(file_of(Image.fromarray(grey), "PNG"))
    assert np.abs(levels(picture) - grey[..., None]).max() < 1e-4


def test_black_and_white():
    picture = Picture.decode(file_of(Image.fromarray(np.array([[0, 255, 255]], np.uint8)).convert("1"), "PNG"))
    assert picture.image[0, 1, 0].tolist() == [0, 1, 1]


@pytest.mark.parametrize("kind", ["PNG", "GIF", "TIFF", "BMP"])
def test_a_palette_is_looked_up(kind):
    indices = np.random.default_rng(1).integers(0, 4, (5, 7), np.uint8)
    picture = Image.fromarray(indices)
    picture.putpalette(FEW.tobytes())
    assert np.abs(levels(Picture.decode(file_of(picture, kind))) - FEW[indices]).max() < 1e-4


@pytest.mark.parametrize("kind", ["PNG", "GIF"])
def test_one_colour_of_a_palette_may_be_transparent(kind):
    picture = Image.fromarray(np.array([[0, 1, 2, 3]], np.uint8))
    picture.putpalette(FEW.tobytes())
    assert Picture.decode(file_of(picture, kind, transparency=2)).alpha[0, 0, 0].tolist() == [1, 1, 0, 1]


def test_each_colour_of_a_palette_may_have_an_alpha():
    picture = Image.fromarray(np.array([[0, 1, 2, 3]], np.uint8))
    picture.putpalette(FEW.tobytes())
    alpha = Picture.decode(file_of(picture, "PNG", transparency=bytes([0, 51, 204, 255]))).alpha
    assert_close(alpha[0, 0, 0], torch.tensor([0, 0.2, 0.8, 1]))


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "WebP"])
@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_alpha_stays_beside_and_colours_stay_as_stored(kind, mode):
    bands = np.random.default_rng(2).integers(0, 256, (4, 6, len(mode)), np.uint8)
    data = file_of(Image.fromarray(bands, mode), kind, **({"lossless": True, "exact": True} if kind == "WebP" else {}))
    picture = Picture.decode(data)
    assert np.abs(picture.alpha[0, 0].numpy() * 255 - bands[..., -1]).max() < 1e-4
    assert np.abs(levels(picture) - bands[..., :-1]).max() < 1e-4


def test_an_opaque_alpha_is_none():
    assert Picture.decode(file_of(Image.new("RGBA", (3, 2), (9, 8, 7, 255)), "PNG")).alpha is None


def test_one_colour_may_be_the_transparent_one(pixels):
    pixels[0, 0] = pixels[3, 4] = (1, 2, 3)
    data = file_of(Image.fromarray(pixels), "PNG", transparency=(1, 2, 3))
    assert torch.equal(Picture.decode(data).alpha[0, 0] == 0, torch.from_numpy((pixels == (1, 2, 3)).all(axis=-1)))


@pytest.mark.parametrize(("depth", "row"), [(1, 0b01000000), (2, 0b00011011), (4, 0x1F)])
def test_one_grey_of_few_bits_may_be_the_transparent_one(depth, row):
    data = png(2, 1, depth, 0, [[row]], before=[(b"tRNS", b"\0\x01")])
    greys = [int(f"{row:08b}"[i * depth : (i + 1) * depth], 2) for i in range(2)]
    picture = Picture.decode(data)
    assert_close(picture.image[0, 0, 0], torch.tensor([grey / (2**depth - 1) for grey in greys]))
    assert picture.alpha[0, 0, 0].tolist() == [float(grey != 1) for grey in greys]


@pytest.mark.parametrize("kind", ["JPEG", "TIFF"])
def test_ink_becomes_light(kind):
    inks = Image.new("CMYK", (32, 8))
    inks.paste((255, 0, 0, 0), (8, 0, 16, 8))
    inks.paste((0, 255, 255, 0), (16, 0, 24, 8))
    inks.paste((0, 0, 0, 255), (24, 0, 32, 8))
    seen = Picture.decode(file_of(inks, kind)).image[0, :, 4, 4::8].T
    assert_close(seen, torch.tensor([[1.0, 1, 1], [0, 1, 1], [1, 0, 0], [0, 0, 0]]), atol=0.02, rtol=0)


def test_lab_becomes_rgb(pixels):
    rgb = Image.fromarray(pixels // 2 + 60)  # well inside of the gamut
    transform = ImageCms.buildTransform(ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"), "RGB", "LAB")
    picture = Picture.decode(file_of(ImageCms.applyTransform(rgb, transform), "TIFF"))
    assert np.abs(levels(picture) - np.array(rgb)).max() < 6


@pytest.mark.parametrize(
    ("kind", "said"), [("GIF", "frames"), ("PNG", "frames"), ("WebP", "frames"), ("TIFF", "pages")]
)
def test_of_several_frames_the_first_is_used_and_that_is_said(kind, said):
    frames = [Image.new("RGB", (8, 6), colour) for colour in ("red", "lime", "blue")]
    data = file_of(frames[0], kind, save_all=True, append_images=frames[1:])
    with pytest.warns(ImageWarning, match=f"{kind} with 3 {said}: only the first is used"):
        picture = Picture.decode(data)
    assert picture.notes == (f"{kind} with 3 {said}: only the first is used",)
    assert_close(picture.image.mean(dim=(0, 2, 3)), torch.tensor([1.0, 0, 0]), atol=0.02, rtol=0)


@pytest.mark.filterwarnings("ignore:Corrupt EXIF data")
def test_a_damaged_later_page_does_not_matter():
    data = tiff(2, 1, 8, 1, b"\x00\xff")
    entries = 2 + 12 * 9
    linked = data[: 8 + entries] + (len(data)).to_bytes(4, "little") + data[8 + entries + 4 :] + b"\xff\xff\1"
    with pytest.warns(ImageWarning, match="TIFF with several pages"):
        assert Picture.decode(linked).image[0, 0, 0].tolist() == [0, 1]


def test_samples_of_32_bits_are_refused(tmp_path):
    for mode in ("I", "F"):
        with pytest.raises(Exception, match=r"'x.tif': its samples have 32 bits; 8 and 16 bits are read"):
            Picture.decode(file_of(Image.new(mode, (3, 2)), "TIFF"), name="x.tif")
