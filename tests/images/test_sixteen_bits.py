"""Sixteen bits stay sixteen bits, in every way that PNG and TIFF have of storing them."""

import io
import zlib

import numpy as np
import pytest
import tifffile
import torch
from by_hand import chunks_of, grey_profile, png_of_16, png_samples_of_16, srgb_profile, swapping_profile, tiff
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from oneira.errors import ImageError
from oneira.images import ImageWarning, Picture, Recipe, encode
from oneira.images.png16 import png16


def noise(channels, height=11, width=7, seed=0):
    return np.random.default_rng(seed).integers(0, 65536, (height, width, channels), np.uint16)


def assert_samples(tensor, expected):
    got = tensor[0].permute(1, 2, 0).double().numpy() * 65535
    assert np.abs(got - expected).max() < 0.02


@pytest.mark.parametrize("interlace", [0, 1])
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_png_is_read_to_the_last_bit(channels, interlace):
    samples = noise(channels)
    picture = Picture.decode(png_of_16(samples, interlace=interlace))
    assert_samples(picture.image, samples[..., :3] if channels > 2 else samples[..., :1])
    if channels in (2, 4):
        assert_samples(picture.alpha, samples[..., -1:])
    else:
        assert picture.alpha is None


def test_grey_is_scaled_and_not_clipped():
    ramp = np.arange(0, 65536, 1000, dtype=np.uint16)[None]
    file = io.BytesIO()
    Image.fromarray(ramp).save(file, "PNG")
    assert_samples(Picture.decode(file.getvalue()).image, ramp[..., None])


@pytest.mark.parametrize("channels", [1, 3])
def test_one_colour_may_be_the_transparent_one_and_its_neighbour_is_not(channels):
    samples = noise(channels)
    samples[0, 0] = 1000
    samples[0, 1] = 1001  # the same but for its low byte
    data = png_of_16(samples, before=[(b"tRNS", (1000).to_bytes(2, "big") * channels)])
    alpha = Picture.decode(data).alpha[0, 0]
    assert alpha[0, 0] == 0
    assert alpha.sum() == alpha.numel() - 1


@given(st.integers(1, 9), st.integers(1, 9), st.sampled_from([3, 4]), st.integers(0, 2**32 - 1))
def test_what_is_written_is_what_an_independent_decoder_reads(height, width, channels, seed):
    samples = noise(channels, height, width, seed)
    assert np.array_equal(png_samples_of_16(png16(samples)), samples)


def test_sixteen_bits_survive_writing_and_reading():
    samples = noise(4)
    tensor = torch.from_numpy(samples.astype(np.float32) / 65535).permute(2, 0, 1)[None]
    data = encode(tensor[:, :3], ".png", alpha=tensor[:, 3:], depth=16, recipe=Recipe(technique="dream"))
    picture = Picture.decode(data)
    assert_samples(picture.image, samples[..., :3])
    assert_samples(picture.alpha, samples[..., 3:])
    text = dict(chunks_of(data))[b"iTXt"]
    assert text.startswith(b"oneira\0\0\0\0\0{")


def test_smooth_pictures_are_smaller_than_their_samples():
    ramp = np.broadcast_to(np.linspace(0, 65535, 256).astype(np.uint16)[:, None, None], (256, 64, 3))
    assert len(png16(ramp)) < ramp.nbytes / 20


@pytest.mark.parametrize("compression", [None, "deflate"])
@pytest.mark.parametrize("order", ["<", ">"])
class TestTiff:
    def written(self, samples, order, compression, **options):
        file = io.BytesIO()
        tifffile.imwrite(file, samples.astype(f"{order}u2"), byteorder=order, compression=compression, **options)
        return file.getvalue()

    def test_colour(self, order, compression):
        samples = noise(3)
        assert_samples(Picture.decode(self.written(samples, order, compression, photometric="rgb")).image, samples)

    def test_colour_and_alpha(self, order, compression):
        samples = noise(4)
        options = {"photometric": "rgb", "extrasamples": ["unassalpha"]}
        picture = Picture.decode(self.written(samples, order, compression, **options))
        assert_samples(picture.image, samples[..., :3])
        assert_samples(picture.alpha, samples[..., 3:])

    def test_colour_multiplied_by_alpha_is_divided_again(self, order, compression):
        samples = noise(4)
        samples[..., 3] |= 0x8000  # where alpha is tiny, nothing is left to divide
        stored = samples.copy()
        stored[..., :3] = np.round(samples[..., :3] * (samples[..., 3:] / 65535))
        options = {"photometric": "rgb", "extrasamples": ["assocalpha"]}
        image = Picture.decode(self.written(stored, order, compression, **options)).image
        assert np.abs(image[0].permute(1, 2, 0).numpy() * 65535 - samples[..., :3]).max() < 2

    def test_grey(self, order, compression):
        samples = noise(1)
        data = self.written(samples[..., 0], order, compression, photometric="minisblack")
        assert_samples(Picture.decode(data).image, samples)

    def test_grey_that_begins_with_white(self, order, compression):
        samples = noise(1)
        data = self.written(samples[..., 0], order, compression, photometric="miniswhite")
        if order == ">":
            with pytest.raises(ImageError, match="of a kind that is not read"):
                Picture.decode(data)
        else:
            assert_samples(Picture.decode(data).image, 65535 - samples)

    def test_turned(self, order, compression):
        samples = noise(3)
        data = self.written(samples, order, compression, photometric="rgb", extratags=[(274, "H", 1, 6, True)])
        assert_samples(Picture.decode(data).image, np.rot90(samples, -1))

    def test_planes_stored_apart_are_refused(self, order, compression):
        data = self.written(noise(3, 3, 7), order, compression, photometric="rgb", planarconfig="separate")
        with pytest.raises(ImageError, match="its 16-bit planes are stored apart"):
            Picture.decode(data)


def test_twelve_bits_are_stretched_to_all():
    data = tiff(2, 1, 12, 1, bytes([0xFF, 0xF8, 0x00]))  # 0xFFF, 0x800
    assert_samples(Picture.decode(data).image, np.array([[[65535], [round(0x800 / 0xFFF * 65535)]]]))


def profiled(samples, profile):
    return png_of_16(samples, before=[(b"iCCP", b"a\0\0" + zlib.compress(profile))])


def test_an_srgb_profile_costs_no_bit():
    samples = noise(3)
    assert_samples(Picture.decode(profiled(samples, srgb_profile())).image, samples)


def test_another_profile_costs_the_low_byte_and_that_is_said():
    samples = noise(3)
    with pytest.warns(ImageWarning, match="16 bits became 8"):
        image = Picture.decode(profiled(samples, swapping_profile())).image
    assert np.abs(image[0].permute(1, 2, 0).numpy() * 255 - samples[..., ::-1] / 257).max() < 2


def test_a_grey_profile_is_followed():
    ramp = np.arange(0, 65536, 257, dtype=np.uint16)[None, :, None]
    with pytest.warns(ImageWarning, match="16 bits became 8"):
        image = Picture.decode(profiled(ramp, grey_profile(1.0))).image
    assert abs(image[0, 0, 0, 55].item() - 0.5) < 0.02  # a fifth of the light is half of the way in sRGB


def test_a_broken_profile_is_said_and_nothing_lost():
    samples = noise(3)
    with pytest.warns(ImageWarning, match="broken ICC profile: sRGB assumed"):
        assert_samples(Picture.decode(profiled(samples, b"nonsense" * 30)).image, samples)
