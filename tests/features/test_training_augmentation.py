import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from torch.testing import assert_close

from oneira.features.training import Augmentation
from oneira.features.training.augmentation import AS_THEY_ARE


def pictures(count=4, side=16, seed=0):
    return torch.randint(0, 256, (count, 3, side, side), generator=torch.Generator().manual_seed(seed)).to(torch.uint8)


def only(**changes):
    """Whole pictures but for the changes that are named."""
    return AS_THEY_ARE.model_copy(update=changes)


def test_a_whole_picture_at_its_own_size_is_itself(generator):
    assert_close(AS_THEY_ARE(pictures(), 16, generator), pictures() / 255, atol=1e-5, rtol=0)


@given(st.integers(9, 40))
def test_a_whole_picture_at_another_size_is_the_resized_picture(side):
    seen = AS_THEY_ARE(pictures(), side, torch.Generator())
    assert_close(seen, F.interpolate(pictures() / 255, (side, side), mode="bilinear"), atol=1e-5, rtol=0)


def test_a_much_smaller_size_averages_what_it_cannot_show(generator):
    checks = (torch.arange(64)[:, None] + torch.arange(64)) % 2 * 255
    seen = AS_THEY_ARE(checks.to(torch.uint8).expand(2, 3, 64, 64), 16, generator)
    assert_close(seen, torch.full_like(seen, 0.5), atol=1e-3, rtol=0)


def test_flipping_is_a_mirror(generator):
    assert_close(only(mirror=1.0)(pictures(), 16, generator), (pictures() / 255).flip(-1), atol=1e-5, rtol=0)


def test_half_of_many_pictures_are_mirrored(generator):
    many = pictures(400, 4)
    seen = only(mirror=0.5)(many, 4, generator)
    as_they_are = ((seen - many / 255).abs().amax((1, 2, 3)) < 1e-4).float().mean()
    assert 0.4 < as_they_are < 0.6


def test_the_same_seed_gives_the_same_batch_and_another_another():
    first, second, third = (Augmentation()(pictures(), 12, torch.Generator().manual_seed(s)) for s in (1, 1, 2))
    assert torch.equal(first, second)
    assert not torch.equal(first, third)


def test_pictures_of_a_batch_are_changed_each_in_its_own_way(generator):
    seen = Augmentation()(pictures(1).expand(2, -1, -1, -1), 16, generator)
    assert not torch.equal(seen[0], seen[1])


intervals = st.tuples(st.floats(0.05, 3), st.floats(0.05, 3)).map(lambda pair: tuple(sorted(pair)))


@given(intervals, intervals, intervals, intervals, st.floats(0.01, 1), st.floats(0, 180), st.integers(1, 24))
def test_values_stay_in_range_whatever_is_drawn(aspect, brightness, contrast, saturation, area, hue, side):
    augmentation = Augmentation(
        area=(area, 1), aspect=aspect, brightness=brightness, contrast=contrast, saturation=saturation, hue=hue
    )
    seen = augmentation(pictures(), side, torch.Generator().manual_seed(0))
    assert seen.shape == (4, 3, side, side)
    assert seen.dtype == torch.float32
    assert seen.min() >= 0
    assert seen.max() <= 1


def test_a_crop_of_a_quarter_of_the_area_shows_half_of_a_ramp(generator):
    ramp = (torch.arange(128) * 2).to(torch.uint8).expand(8, 3, 128, 128)
    seen = only(area=(0.25, 0.25))(ramp, 64, generator)
    across = (seen.amax((1, 2, 3)) - seen.amin((1, 2, 3))) * 255 / 2
    assert_close(across, torch.full((8,), 63.0), atol=0.6, rtol=0)
    assert len(seen.amin((1, 2, 3)).unique()) > 1  # and not always the same half


def test_brightness_is_a_factor(generator):
    seen = only(brightness=(0.5, 0.5))(pictures(), 16, generator)
    assert_close(seen, pictures() / 510, atol=1e-5, rtol=0)


def test_no_contrast_leaves_the_mean(generator):
    seen = only(contrast=(1e-9, 1e-9))(pictures(), 16, generator)
    assert_close(seen, (pictures() / 255).mean((1, 2, 3), keepdim=True).expand_as(seen), atol=1e-5, rtol=0)


def test_no_saturation_leaves_grey(generator):
    seen = only(saturation=(1e-9, 1e-9))(pictures(), 16, generator)
    assert_close(seen, (pictures() / 255).mean(1, keepdim=True).expand_as(seen), atol=1e-5, rtol=0)


def test_turning_hues_keeps_greys_and_lightness_and_changes_colours(generator):
    turned = only(hue=90.0)
    greys = pictures()[:, :1].expand(-1, 3, -1, -1)
    assert_close(turned(greys, 16, generator), greys / 255, atol=1e-5, rtol=0)
    pale = pictures() // 8 + 112  # far from black and white, where nothing is cut off
    seen = turned(pale, 16, generator)
    assert_close(seen.mean(1), (pale / 255).mean(1), atol=1e-5, rtol=0)
    assert (seen - pale / 255).abs().amax((1, 2, 3)).max() > 0.02


@pytest.mark.parametrize(
    "wrong", [{"area": (0.5, 1.5)}, {"area": (0.0, 1.0)}, {"aspect": (2.0, 1.0)}, {"mirror": 2.0}, {"hue": -1.0}]
)
def test_what_cannot_be_drawn_is_refused(wrong):
    with pytest.raises(ValidationError):
        Augmentation(**wrong)
