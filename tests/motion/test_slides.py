"""Pictures that follow each other, all in one size."""

from fractions import Fraction
from functools import partial

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.testing import assert_close

from oneira.errors import ImageError, PlanError
from oneira.images import ImageWarning, resize, save
from oneira.motion.slides import frame_size, letterboxed, opaque, paced, pictures_in, shown_at

SIDES = st.integers(1, 24)
SIZES = st.tuples(SIDES, SIDES)
RATE = Fraction(12)


def shade(value, size=(4, 6)):
    return torch.full((1, 3, *size), float(value))


def stills(count):
    return [partial(shade, number / 10) for number in range(count)]


class TestPicturesIn:
    def test_a_folder_is_read_as_people_count(self, tmp_path):
        for name in ("frame10.png", "frame2.PNG", "Frame1.jpg", ".hidden.png", "notes.txt"):
            (tmp_path / name).touch()
        (tmp_path / "folder.png").mkdir()
        assert [path.name for path in pictures_in([tmp_path])] == ["Frame1.jpg", "frame2.PNG", "frame10.png"]

    def test_pictures_stay_where_they_are_told(self, tmp_path):
        (tmp_path / "some").mkdir()
        for name in ("some/2.png", "some/1.png", "z.png", "a.png"):
            (tmp_path / name).touch()
        told = [tmp_path / "z.png", tmp_path / "some", tmp_path / "a.png"]
        found = [path.relative_to(tmp_path).as_posix() for path in pictures_in(told)]
        assert found == ["z.png", "some/1.png", "some/2.png", "a.png"]

    def test_an_empty_folder_is_told(self, tmp_path):
        with pytest.raises(PlanError, match="; name a folder that holds some"):
            pictures_in([tmp_path])


class TestLetterboxed:
    @given(SIZES, SIZES)
    def test_a_white_picture_fills_the_frame_in_one_direction_and_stands_in_its_middle(self, size, frame):
        page = letterboxed(torch.ones(1, 3, *size), frame)
        assert page.shape == (1, 3, *frame)
        lit = page[0, 0] > 0.5
        rows, columns = int(lit.any(1).sum()), int(lit.any(0).sum())
        assert int(lit.sum()) == rows * columns
        assert rows == frame[0] or columns == frame[1]
        for axis, along in ((1, frame[0] - rows), (0, frame[1] - columns)):
            before = int(lit.any(axis).int().argmax())
            assert before in (along // 2, (along + 1) // 2)

    @given(SIZES, SIZES)
    def test_proportions_stay_within_a_pixel(self, size, frame):
        page = letterboxed(torch.ones(1, 3, *size), frame)[0, 0] > 0.5
        rows, columns = int(page.any(1).sum()), int(page.any(0).sum())
        height, width = size
        scale = min(frame[0] / height, frame[1] / width)
        assert abs(rows - max(1, height * scale)) <= 0.5
        assert abs(columns - max(1, width * scale)) <= 0.5

    @given(SIZES, SIZES, st.integers(0, 9))
    def test_it_does_the_same_along_either_side(self, size, frame, seed):
        image = torch.rand(1, 3, *size, generator=torch.Generator().manual_seed(seed))
        turned = letterboxed(image.mT, frame[::-1]).mT
        if frame[0] * size[1] != frame[1] * size[0]:  # where both sides fit exactly, nothing is letterboxed
            assert_close(letterboxed(image, frame), turned, atol=1e-5, rtol=0)

    def test_the_same_proportions_are_resized(self, image):
        assert_close(letterboxed(image, (10, 14)), resize(image, (10, 14)))
        assert letterboxed(image, (20, 28)) is image


class TestShownAt:
    def test_a_picture_is_read_in_the_size_of_the_film(self, tmp_path, image):
        save(tmp_path / "a.png", image)
        assert shown_at(tmp_path / "a.png").shape == (1, 3, 20, 28)
        assert_close(shown_at(tmp_path / "a.png", (40, 30)), letterboxed(shown_at(tmp_path / "a.png"), (40, 30)))

    def test_what_is_transparent_becomes_white(self, image):
        alpha = torch.zeros(1, 1, 20, 28)
        alpha[..., :10] = 1
        with pytest.warns(ImageWarning, match="laid on white"):
            shown = opaque(image, alpha)
        assert_close(shown[..., :10], image[..., :10])
        assert_close(shown[..., 10:], torch.ones(1, 3, 20, 18))
        assert opaque(image, None) is image

    def test_what_is_no_picture_is_told(self, tmp_path):
        with pytest.raises(ImageError):
            shown_at(tmp_path / "none.png")

    def test_the_frame_has_the_long_side_that_is_told(self, image):
        assert frame_size(image, None) == (20, 28)
        assert frame_size(image, 14) == (10, 14)


class TestPaced:
    @given(st.integers(1, 6), st.integers(0, 4), st.one_of(st.none(), st.fractions("1/100", 5)))
    def test_pictures_are_held_and_what_lies_between_is_faded(self, count, fade, hold):
        reel = paced(stills(count), RATE, hold=hold, fade=fade)
        frames = list(reel)
        assert len(frames) == count + (count - 1) * fade
        seen = 1 / RATE if hold is None else hold
        assert frames[-1].start + frames[-1].duration == count * seen + (count - 1) * fade / RATE
        for number, frame in enumerate(frames):
            held, mixed = divmod(number, fade + 1)
            assert frame.duration == (1 / RATE if mixed else seen)
            assert_close(frame.image, shade((held + mixed / (fade + 1)) / 10))

    def test_a_fade_looks_at_each_picture_once(self):
        looked = []

        def still(number):
            looked.append(number)
            return shade(number / 10)

        for _ in paced([partial(still, number) for number in range(4)], RATE, fade=5):
            pass
        assert looked == [0, 1, 2, 3]

    @pytest.mark.parametrize(("rate", "fade"), [(Fraction(0), 0), (RATE, -1)])
    def test_what_is_no_pace_is_told(self, rate, fade):
        with pytest.raises(PlanError, match="a rate above 0 and a fade of at least 0"):
            paced(stills(2), rate, fade=fade)

    def test_no_picture_is_told(self):
        with pytest.raises(PlanError, match="at least one picture"):
            paced([], RATE)
