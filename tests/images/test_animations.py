"""Pictures that move: what is shown when, pixel for pixel, by a reader that is not ours."""

import io
from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image, ImageSequence

from oneira.errors import ImageError
from oneira.images import ImageWarning, Recipe, encode, from_levels, levels_of
from oneira.images.animation import AnimationLook, encode_animation
from oneira.images.formats import format_for
from oneira.images.palette import Palette
from oneira.images.ticks import Ticks

GIF, WEBP, PNG = (format_for(f"a{extension}") for extension in (".gif", ".webp", ".png"))
KINDS = [GIF, WEBP, PNG]
TENTH = Fraction(1, 10)
BASIC = np.array([(0, 0, 0), (255, 255, 255), (255, 0, 0), (0, 128, 0), (0, 0, 255), (200, 200, 40)], np.uint8)


def encoded(kind, images, seconds=None, **options):
    file = io.BytesIO()
    pictures = [lambda image=image: image for image in images]
    encode_animation(file, kind, pictures, seconds or [TENTH] * len(images), **options)
    return file.getvalue()


def shown(data):
    """The frames of a file as (h, w, 3) levels, each as it stands on the screen, and its milliseconds."""
    with Image.open(io.BytesIO(data)) as film:
        return [
            (np.asarray(frame.convert("RGB")), frame.info.get("duration")) for frame in ImageSequence.Iterator(film)
        ]


def noise(count, size=(12, 17)):
    generator = torch.Generator().manual_seed(0)
    return [torch.rand(1, 3, *size, generator=generator) for _ in range(count)]


def blocks_of_gif(data):
    """The blocks of a GIF by their kinds, line by line after the specification of GIF89a."""
    flags = data[10]
    place = 13 + (3 << ((flags & 7) + 1) if flags & 128 else 0)
    while data[place : place + 1] != b";":
        kind = data[place : place + (2 if data[place] == 0x21 else 1)]
        head = b"" if kind[:1] == b"!" else data[place + 1 : place + 10]
        place += 2 if kind[:1] == b"!" else 11
        content = b""
        while data[place]:
            content += data[place + 1 : place + 1 + data[place]]
            place += 1 + data[place]
        place += 1
        yield kind, head, content
    assert place + 1 == len(data)


class TestFrames:
    def test_of_png_are_kept_to_the_last_level(self):
        images = noise(4)
        for (found, _), image in zip(shown(encoded(PNG, images)), images, strict=True):
            assert np.array_equal(found, levels_of(image))

    @pytest.mark.parametrize("quality", [10, 90])
    def test_of_webp_are_stills_of_the_same_quality(self, quality):
        images = noise(3)
        film = encoded(WEBP, images, look=AnimationLook(quality=quality))
        for (found, _), image in zip(shown(film), images, strict=True):
            still = Image.open(io.BytesIO(encode(image, ".webp", quality=quality)))
            assert np.array_equal(found, np.asarray(still.convert("RGB")))

    @given(
        arrays(np.uint8, (4, 5, 6), elements=st.integers(0, len(BASIC) - 1)),
        st.sampled_from(["ordered", "none"]),
    )
    def test_of_gif_with_few_colours_are_kept_to_the_last_level(self, indices, dither):
        """Whatever part of a frame is left as it was."""
        images = [from_levels(BASIC[frame]) for frame in indices]
        for (found, _), frame in zip(
            shown(encoded(GIF, images, look=AnimationLook(dither=dither))), indices, strict=True
        ):
            assert np.array_equal(found, BASIC[frame])

    @pytest.mark.parametrize("dither", ["ordered", "diffused", "none"])
    def test_of_gif_are_in_the_colours_of_one_palette(self, dither):
        images = noise(3, (24, 24))
        film = encoded(GIF, images, look=AnimationLook(colours=16, dither=dither))
        colours = {tuple(colour) for found, _ in shown(film) for colour in found.reshape(-1, 3)}
        assert 8 < len(colours) <= 16
        drawn = [head for kind, head, _ in blocks_of_gif(film) if kind == b","]
        assert len(drawn) == 3
        assert not any(head[8] & 128 for head in drawn), "no palette of its own"

    def test_of_gif_hold_only_what_changes(self):
        still = torch.zeros(1, 3, 40, 40)
        moved = still.clone()
        moved[..., 7:9, 20:25] = 1
        drawn = [head for kind, head, _ in blocks_of_gif(encoded(GIF, [still, moved, moved])) if kind == b","]
        boxes = [tuple(np.frombuffer(head[:8], "<u2")) for head in drawn]
        assert boxes == [(0, 0, 40, 40), (20, 7, 5, 2), (0, 0, 1, 1)]

    @pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
    def test_are_asked_for_one_after_the_other(self, kind):
        """When one is asked for, that before the last is in the file; nothing but it and the last is in memory."""
        file, asked, places = io.BytesIO(), [], []

        def picture(number):
            asked.append(number)
            places.append(file.tell())
            return torch.rand(1, 3, 16, 16, generator=torch.Generator().manual_seed(number))

        pictures = [lambda number=number: picture(number) for number in range(40)]
        encode_animation(file, kind, pictures, [TENTH] * 40)
        assert asked[-40:] == list(range(40))
        assert all(later > earlier for earlier, later in zip(places[-40:-1], places[-39:], strict=True))
        looked_at = asked[:-40]
        assert len(looked_at) == (32 if kind is GIF else 0), "for the palette"
        assert len(set(looked_at)) == len(looked_at)
        assert not looked_at or (looked_at[0], looked_at[-1]) == (0, 39)


class TestTimes:
    @given(st.lists(st.fractions(Fraction(1, 100), 3), min_size=1, max_size=40))
    def test_never_drift(self, durations):
        clock, exact, told = Ticks(100, 10_000), Fraction(0), 0
        for duration in durations:
            count = clock.of(duration)
            exact, told = exact + duration, told + count
            assert count >= 1
            assert abs(told - 100 * exact) <= Fraction(1, 2)

    @given(st.lists(st.fractions(Fraction(1, 10_000), Fraction(1, 50)), min_size=1, max_size=40))
    def test_too_short_for_the_clock_make_the_film_longer(self, durations):
        clock = Ticks(100, 10_000)
        counts = [clock.of(duration) for duration in durations]
        assert min(counts) >= 1
        assert sum(counts) >= round(100 * sum(durations))

    @pytest.mark.parametrize(("kind", "wanted"), [(GIF, [40, 40, 40, 260]), (WEBP, [42, 41, 42, 250])])
    def test_are_rounded_where_frames_end(self, kind, wanted):
        seconds = [Fraction(1, 24)] * 3 + [Fraction(1, 4)]
        assert [time for _, time in shown(encoded(kind, noise(4), seconds))] == wanted

    @given(st.fractions(Fraction(1, 60_000), 60_000, max_denominator=60_000))
    def test_of_png_are_fractions(self, duration):
        (control,) = (
            content for kind, content in chunks(encoded(PNG, noise(1, (2, 2)), [duration])) if kind == b"fcTL"
        )
        above, below = np.frombuffer(control[20:24], ">u2").tolist()
        error = abs(Fraction(above, below) - duration)
        assert error == 0 or (duration.numerator > 65_535 and error < duration / 60_000)

    def test_that_players_make_longer_are_told(self):
        with pytest.warns(ImageWarning, match="5 frames are seen for less than 2 hundredths of a second"):
            encoded(GIF, noise(5), [Fraction(1, 100)] * 5)

    @pytest.mark.parametrize(("kind", "seconds"), [(GIF, 656), (WEBP, 16_778), (PNG, 65_536)])
    def test_that_no_file_can_tell_are_refused(self, kind, seconds):
        with pytest.raises(ImageError, match=rf"a frame is seen for {seconds:,} s; at most .* s are allowed here"):
            encoded(kind, noise(1), [Fraction(seconds)])

    @pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
    @pytest.mark.parametrize("plays", [0, 1, 2, 65_535])
    def test_that_it_plays(self, kind, plays):
        film = Image.open(io.BytesIO(encoded(kind, noise(2), look=AnimationLook(plays=plays))))
        if kind is GIF:  # which tells how often it is played again
            assert film.info.get("loop") == {0: 0, 1: None}.get(plays, plays - 1)
        else:
            assert film.info["loop"] == plays


def chunks(data):
    place = 8
    while place < len(data):
        length = int.from_bytes(data[place : place + 4], "big")
        yield data[place + 4 : place + 8], data[place + 8 : place + 8 + length]
        place += 12 + length


class TestPalettes:
    RAMP = np.broadcast_to(np.linspace(20, 230, 96).round().astype(np.uint8)[None, :, None], (32, 96, 3)).copy()

    @pytest.fixture
    def few(self):
        return Palette(np.array([(0, 0, 0), (90, 80, 100), (170, 180, 160), (255, 255, 255)], np.uint8))

    def test_hold_all_colours_where_there_are_few(self):
        pictures = [np.tile(BASIC[place : place + 2], (8, 8, 1)) for place in (0, 2, 4)]
        found = Palette.of(pictures, 3, 255).colours
        assert {tuple(colour) for colour in BASIC} <= {tuple(colour) for colour in found}

    @pytest.mark.parametrize("most", [2, 3, 17, 255])
    def test_have_so_many_colours_at_most(self, most):
        pictures = [levels_of(image) for image in noise(3, (40, 40))]
        palette = Palette.of(pictures, 3, most)
        assert len(palette.colours) == most
        for dither in ("ordered", "diffused", "none"):
            assert palette.nearest(pictures[0], dither).max() < most

    @pytest.mark.parametrize("dither", ["ordered", "diffused"])
    def test_make_shades_of_few_colours(self, few, dither):
        """Means over 8 x 8 pixels come closer to the picture's than those of the nearest colours."""

        def far(way):
            error = few.colours[few.nearest(self.RAMP, way)].astype(float) - self.RAMP
            return np.abs(error.reshape(4, 8, 12, 8, 3).mean((1, 3))).mean()

        assert far(dither) < far("none") / 2

    def test_dithered_in_order_leave_alone_what_rests(self, few):
        """A pixel depends on nothing but itself and its place; with diffusion, on all before it."""
        changed = self.RAMP.copy()
        changed[:3] = 255 - changed[:3]
        before, after = (few.nearest(levels, "ordered")[3:] for levels in (self.RAMP, changed))
        assert np.array_equal(before, after)
        before, after = (few.nearest(levels, "diffused")[3:] for levels in (self.RAMP, changed))
        assert not np.array_equal(before, after)

    def test_are_made_of_all_rows_and_columns(self):
        """Also where a picture is as wide as every so manieth pixel."""
        width = 256
        levels = np.zeros((512, width, 3), np.uint8)
        levels[:, 1::2] = 255
        assert {0, 255} <= set(Palette.of([levels], 1, 2).colours.ravel().tolist())


class TestRefusals:
    @pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
    def test_are_one_line(self, kind):
        sizes = [torch.rand(1, 3, 4, 5), torch.rand(1, 3, 4, 6)]
        for images, problem in (
            ([], f"a {kind.name} needs at least one frame"),
            (sizes, "frame 2 has 6 x 4 pixels; the first has 5 x 4, and all must have the same"),
            ([torch.rand(1, 1, 4, 4)], r"floats of \(1, 3, height, width\) are needed"),
            ([torch.full((1, 3, 4, 4), torch.nan)], "NaN"),
        ):
            with pytest.raises(ImageError, match=problem) as caught:
                encoded(kind, images)
            assert "\n" not in str(caught.value)

    def test_of_sides_that_do_not_fit(self):
        with pytest.raises(ImageError, match="WebP ends at 16383 pixels a side"):
            encoded(WEBP, [torch.zeros(1, 3, 1, 16_384)])


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_a_recipe_changes_no_pixel(kind):
    with_it, without = (shown(encoded(kind, noise(3), recipe=recipe)) for recipe in (Recipe(technique="dream"), None))
    assert all(np.array_equal(one, other) for (one, _), (other, _) in zip(with_it, without, strict=True))
