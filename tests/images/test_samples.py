"""The pictures that come with Oneira."""

import re
from pathlib import Path

import pytest
import torch
from torch.testing import assert_close

import oneira.images
from oneira.errors import ImageError
from oneira.images import SAMPLES, Picture, load, night_wind, resize, rose_window, sample

DRAWINGS = {"night_wind": night_wind, "rose_window": rose_window}


@pytest.mark.parametrize("name", SAMPLES)
def test_a_sample_is_a_small_clean_picture_with_a_licence(name):
    path = sample(name)
    assert path.stat().st_size <= 150_000
    picture = Picture.open(path)
    assert max(picture.image.shape) <= 768
    assert picture.alpha is None
    assert picture.notes == ()
    assert f"`{path.name}`" in (path.parent / "LICENCES.md").read_text()


def test_every_picture_in_the_folder_is_a_sample():
    folder = sample(SAMPLES[0]).parent
    assert {path for path in folder.iterdir() if path.suffix in (".jpg", ".png")} == {sample(name) for name in SAMPLES}


def test_unknown_samples_are_refused():
    with pytest.raises(ImageError, match="unknown sample 'catt'; did you mean 'cat'\\?; allowed: cat, coffee, rocket"):
        sample("catt")


@pytest.mark.parametrize("name", DRAWINGS)
def test_a_drawing_is_what_its_program_draws(name):
    drawn, shipped = DRAWINGS[name](), load(sample(name))
    assert drawn.shape == shipped.shape == (1, 3, 512, 512)
    # What is left is JPEG's own loss, which is near 0.03 in textures as rough as these.
    assert (drawn - shipped).abs().mean() < 0.035
    # And no stroke has moved: a picture in which one did would differ in a whole neighbourhood.
    blurred = [torch.nn.functional.avg_pool2d(image, 16) for image in (drawn, shipped)]
    assert_close(blurred[0], blurred[1], atol=0.02, rtol=0)


@pytest.mark.parametrize("name", DRAWINGS)
def test_another_seed_gives_another_drawing_at_any_size(name):
    other = DRAWINGS[name](seed=2, size=48)
    assert other.shape == (1, 3, 48, 48)
    assert other.dtype == torch.float32
    assert 0 <= other.min() < 0.2 < 0.8 < other.max() <= 1
    assert (other - resize(load(sample(name)), (48, 48))).abs().mean() > 0.05


def test_what_is_public_is_what_is_promised():
    documented = set(oneira.images.__all__)
    assert documented == {name for name in documented if hasattr(oneira.images, name)}
    assert sorted(documented) == sorted(oneira.images.__all__)
    source = Path(oneira.images.__file__).read_text()
    imported = set(re.findall(r"^    (\w+),$", source, re.MULTILINE)) | set(
        re.findall(r"\w+", " ".join(re.findall(r"^from \S+ import ([^(\n]+)$", source, re.MULTILINE)))
    )
    assert imported == documented
