"""A caption stands below the picture, and changes nothing in it."""

import pytest
import torch

from oneira.motion.captions import captioned

TEXTS = ["", "octave 3 of 4", "relu4_2 → λ", "no room for so many words " * 20, "two\nlines"]


@pytest.fixture
def picture(generator):
    return torch.rand(1, 3, 30, 200, generator=generator)


@pytest.mark.parametrize("text", TEXTS)
def test_stands_below_the_picture(picture, text):
    assert torch.equal(captioned(picture, text)[:, :, :30], picture)


def test_takes_the_same_room_whatever_it_says(picture):
    assert len({captioned(picture, text).shape for text in TEXTS}) == 1


@pytest.mark.parametrize("text", TEXTS)
def test_is_dark_on_white_and_touches_no_edge(picture, text):
    band = captioned(picture, text)[:, :, 30:]
    assert (band.min() < 0.3) == (text != "")
    assert band.max() == 1
    assert band[..., 0].min() == band[..., -1].min() == band[:, :, -1].min() == 1


def test_of_what_is_too_long_is_cut(picture):
    longest, longer = (captioned(picture, "no room for so many words " * count) for count in (20, 30))
    assert torch.equal(longest, longer)


@pytest.mark.parametrize("width", [1, 21, 31, 32, 40])
def test_may_be_below_any_picture(width):
    shown = captioned(torch.zeros(1, 3, 5, width), "words")
    assert shown.shape[3] == width
    assert (shown[:, :, 5:].min() < 0.5) == (width >= 32)
