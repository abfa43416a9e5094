"""A film that is written is read back as it was: its times to the last bit, its colours, its sound, byte by byte."""

import gc
import resource
import warnings
import weakref
from dataclasses import replace
from fractions import Fraction
from itertools import accumulate, pairwise
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from clips import painted, write_clip
from hypothesis import given, settings
from hypothesis import strategies as st

from oneira.errors import FilmError
from oneira.images import ImageWarning, from_levels
from oneira.motion.containers import CONTAINERS, clock_for
from oneira.motion.frame import Frame
from oneira.motion.look import FilmLook
from oneira.motion.reading import Clip
from oneira.motion.reel import Reel
from oneira.motion.sound import Sound
from oneira.motion.writing import FILMS, check_film, is_film, useless, write_film

SIZE = (32, 48)
CODED = [".mp4", ".m4v", ".mov", ".mkv", ".webm"]
ANIMATED = [".gif", ".webp", ".png", ".apng"]
RATE = Fraction(25)


def frames(count=4, size=SIZE, start=Fraction(0), durations=None):
    durations = durations or [1 / RATE] * count
    starts = accumulate(durations[:-1], initial=start)
    for place, (begin, duration) in enumerate(zip(starts, durations, strict=True)):
        yield Frame(from_levels(painted(place, size)), begin, duration)


def reel(count=4, size=SIZE):
    return Reel.steady([lambda place=place: from_levels(painted(place, size)) for place in range(count)], RATE)


def times_in(path):
    """(start, duration) of the frames in a file, in seconds, as PyAV reads it."""
    with av.open(str(path)) as film:
        return [(frame.pts * frame.time_base, frame.duration * frame.time_base) for frame in film.decode(video=0)]


def levels_in(path):
    with Clip.open(path).frames() as shown:
        return [(frame.image[0].permute(1, 2, 0) * 255).round().int().numpy() for frame in shown]


def alone_in(folder):
    return sorted(path.name for path in folder.iterdir())


class TestTimes:
    @settings(max_examples=12)
    @given(
        base=st.sampled_from([Fraction(1, 12288), Fraction(1001, 30000), Fraction(1, 25), Fraction(1, 90000)]),
        offset=st.integers(0, 3000),
        ticks=st.lists(st.integers(1, 3000), min_size=1, max_size=6),
        extension=st.sampled_from([".mp4", ".mov"]),
    )
    def test_of_any_film_are_kept_exactly(self, tmp_path_factory, base, offset, ticks, extension):
        path = tmp_path_factory.mktemp("film") / f"a{extension}"
        durations = [tick * base for tick in ticks]
        sent = list(frames(len(ticks), (16, 16), offset * base, durations))
        write_film(path, sent, size=(16, 16), time_base=base, look=FilmLook(quality=1))
        assert times_in(path) == [(frame.start, frame.duration) for frame in sent]

    @pytest.mark.parametrize("extension", CODED)
    def test_before_0_are_moved_to_it(self, tmp_path, extension):
        path = tmp_path / f"a{extension}"
        write_film(path, frames(3, start=Fraction(-3, 5)), size=SIZE, rate=RATE)
        assert [start for start, _ in times_in(path)] == [0, 1 / RATE, 2 / RATE]

    @pytest.mark.parametrize(
        "rate", [Fraction(24000, 1001), Fraction(7), Fraction(1, 3), Fraction(60), Fraction(999, 7)]
    )
    def test_of_a_rate_are_kept_exactly(self, tmp_path, rate):
        write_film(tmp_path / "a.mp4", frames(5, durations=[1 / rate] * 5), size=SIZE, rate=rate)
        assert times_in(tmp_path / "a.mp4") == [(place / rate, 1 / rate) for place in range(5)]

    @pytest.mark.parametrize("extension", [".mkv", ".webm"])
    def test_are_rounded_to_milliseconds_by_matroska(self, tmp_path, extension):
        path, rate = tmp_path / f"a{extension}", Fraction(30000, 1001)
        write_film(path, frames(9, durations=[1 / rate] * 9), size=SIZE, rate=rate)
        assert [start for start, _ in times_in(path)] == [
            Fraction(round(1000 * place / rate), 1000) for place in range(9)
        ]

    @given(st.fractions(Fraction(1, 100), 1000))
    def test_of_a_rate_are_whole_numbers_of_its_clock(self, rate):
        clock = clock_for(None, rate)
        assert (1 / rate / clock).denominator == 1 or rate.numerator > 200_000
        assert Fraction(1, 2**31) < clock <= Fraction(1, 10_000)

    def test_that_do_not_grow_are_refused(self, tmp_path):
        (first, *_) = frames()
        with pytest.raises(FilmError, match=r"cannot write '.*a\.mp4': the frame at 0 s is not after the last"):
            write_film(tmp_path / "a.mp4", [first, first], size=SIZE)


class TestColours:
    @pytest.mark.parametrize("extension", CODED)
    def test_come_out_as_they_went_in(self, tmp_path, extension):
        """Bars of 16 pixels, without those beside an edge, where neighbours share their colour."""
        size, path = (32, 128), tmp_path / f"a{extension}"
        write_film(path, frames(2, size), size=size, rate=RATE, look=FilmLook(quality=100))
        for place, shown in enumerate(levels_in(path)):
            inner = np.arange(128) % 16
            kept = (inner > 3) & (inner < 12)
            assert np.abs(shown - painted(place, size))[4:12, kept].max() <= 4
            assert np.abs(shown - painted(place, size))[20:, kept].max() <= 4

    @pytest.mark.parametrize("extension", CODED)
    def test_are_those_of_the_matrix_that_players_are_told(self, tmp_path, extension):
        """ITU-R BT.709-6, 3.2 to 3.4: Y' of red, green and blue; 16 to 235."""
        for colour in [(255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255), (90, 140, 30)]:
            red, green, blue = (level / 255 for level in colour)
            luma = 0.2126 * red + 0.7152 * green + 0.0722 * blue
            wanted = [16 + 219 * luma, 128 + 224 * (blue - luma) / 1.8556, 128 + 224 * (red - luma) / 1.5748]
            image = torch.tensor(colour)[None, :, None, None].expand(1, 3, 16, 16) / 255
            path = tmp_path / f"a{extension}"
            write_film(path, [Frame(image, Fraction(0), Fraction(1))], size=(16, 16), look=FilmLook(quality=100))
            with av.open(str(path)) as film:
                frame = next(film.decode(video=0))
            found = [np.asarray(plane).reshape(-1, plane.line_size)[4, 4] for plane in frame.planes]
            assert np.abs(np.array(found, float) - wanted).max() <= 1.5
            assert (frame.colorspace, frame.color_range) == (1, 1), "BT.709, limited"
            assert (frame.color_primaries, frame.color_trc) == (1, 13), "of sRGB"

    @pytest.mark.parametrize("extension", CODED)
    def test_suffer_less_the_higher_the_quality(self, tmp_path, extension):
        noise = torch.rand(1, 3, *SIZE, generator=torch.Generator().manual_seed(0))
        sizes = []
        for quality in (1, 50, 90, 100):
            path = tmp_path / f"{quality}{extension}"
            write_film(path, [Frame(noise, Fraction(0), Fraction(1))], size=SIZE, look=FilmLook(quality=quality))
            sizes.append(path.stat().st_size)
        assert sizes == sorted(set(sizes))

    def test_outside_of_the_range_are_clamped(self, tmp_path):
        for name, image in (("far", torch.full((1, 3, 16, 16), 7.0)), ("white", torch.ones(1, 3, 16, 16))):
            write_film(tmp_path / f"{name}.mp4", [Frame(image, Fraction(0), Fraction(1))], size=(16, 16))
        assert (tmp_path / "far.mp4").read_bytes() == (tmp_path / "white.mp4").read_bytes()


class TestSides:
    @pytest.mark.parametrize(("extension", "size"), [(".mp4", (8, 6)), (".mkv", (8, 6)), (".webm", (7, 5))])
    def test_that_are_odd_are_made_even_for_h264_alone(self, tmp_path, extension, size):
        path = tmp_path / f"a{extension}"
        write_film(path, frames(2, (7, 5)), size=(7, 5), look=FilmLook(quality=100))
        assert {shown.shape[:2] for shown in levels_in(path)} == {size}

    def test_are_made_even_by_the_last_row_and_column(self, tmp_path):
        image = torch.rand(1, 3, 15, 17, generator=torch.Generator().manual_seed(0))
        grown = torch.cat([image, image[:, :, -1:]], 2)
        grown = torch.cat([grown, grown[..., -1:]], 3)
        for name, some in (("odd", image), ("even", grown)):
            frame = Frame(some, Fraction(0), Fraction(1))
            write_film(tmp_path / f"{name}.mp4", [frame], size=tuple(some.shape[2:]))
        assert (tmp_path / "odd.mp4").read_bytes() == (tmp_path / "even.mp4").read_bytes()

    @pytest.mark.parametrize("extension", CODED + ANIMATED)
    def test_may_be_one_pixel(self, tmp_path, extension):
        path = tmp_path / f"a{extension}"
        write_film(path, [Frame(torch.ones(1, 3, 1, 1), Fraction(0), Fraction(1))], size=(1, 1))
        assert path.stat().st_size

    @pytest.mark.parametrize("extension", CODED)
    def test_that_no_encoder_takes_are_refused(self, tmp_path, extension):
        with pytest.raises(FilmError, match="ends at 16,384 pixels a side; this has 20,000"):
            write_film(tmp_path / f"a{extension}", [], size=(16, 20_000))

    @pytest.mark.parametrize("extension", [".mp4", ".gif"])
    @pytest.mark.parametrize("image", [torch.ones(1, 3, 8, 8), torch.ones(1, 1, *SIZE), torch.ones(1, 3, *SIZE).int()])
    def test_of_another_frame_are_refused(self, tmp_path, extension, image):
        with pytest.raises(FilmError, match=r"cannot write .* are needed$"):
            write_film(tmp_path / f"a{extension}", [Frame(image, Fraction(0), Fraction(1))], size=SIZE)
        assert alone_in(tmp_path) == []


@pytest.mark.parametrize("extension", CODED + ANIMATED)
class TestFiles:
    def test_are_the_same_bytes_every_time(self, tmp_path, extension):
        for name in ("a", "b"):
            write_film(tmp_path / f"{name}{extension}", frames(), size=SIZE, rate=RATE)
        assert (tmp_path / f"a{extension}").read_bytes() == (tmp_path / f"b{extension}").read_bytes()

    def test_may_have_any_name(self, tmp_path, extension):
        path = tmp_path / f"-i %03d: é\n{extension}"
        write_film(path, frames(), size=SIZE, rate=RATE)
        assert alone_in(tmp_path) == [path.name]

    def test_stay_as_they_were_where_frames_break_off(self, tmp_path, extension):
        def broken():
            yield from frames()
            raise OSError("the camera is gone")

        path = tmp_path / f"a{extension}"
        path.write_text("earlier")
        with pytest.raises(OSError, match="the camera is gone") as caught:
            write_film(path, broken(), size=SIZE)
        assert not isinstance(caught.value, FilmError)
        assert (alone_in(tmp_path), path.read_text()) == ([path.name], "earlier")

    @pytest.mark.parametrize("behind", [False, True], ids=["before it is in place", "right behind"])
    def test_that_are_interrupted_say_so_whenever_that_is(self, tmp_path, extension, behind, monkeypatch):
        replace_by = Path.replace

        def interrupted(path, target):
            if behind:
                replace_by(path, target)
            raise KeyboardInterrupt

        path = tmp_path / f"a{extension}"
        path.write_text("earlier")
        monkeypatch.setattr(Path, "replace", interrupted)
        with pytest.raises(KeyboardInterrupt):
            write_film(path, frames(), size=SIZE, rate=RATE)
        assert alone_in(tmp_path) == [path.name]
        assert (path.read_bytes() == b"earlier") == (not behind)

    def test_with_nan_are_refused(self, tmp_path, extension):
        (first, *_) = frames()
        wrong = replace(first, image=first.image * torch.nan)
        with pytest.raises(FilmError, match="NaN"):
            write_film(tmp_path / f"a{extension}", [first, wrong], size=SIZE)
        assert alone_in(tmp_path) == []

    def test_without_a_frame_are_refused(self, tmp_path, extension):
        with pytest.raises(FilmError, match="a film needs at least one frame"):
            write_film(tmp_path / f"a{extension}", [], size=SIZE)
        assert alone_in(tmp_path) == []

    def test_that_find_no_room_are_refused_in_one_line(self, tmp_path, extension):
        path = tmp_path / f"a{extension}"
        path.write_text("earlier")
        noise = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
        film = [Frame(noise.roll(place, 3), Fraction(place), Fraction(1)) for place in range(3)]
        limits = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (2000, limits[1]))
        try:
            with pytest.raises(FilmError, match=r"^cannot write '[^\n]*': File too large$"):
                write_film(path, film, size=(64, 64))
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        assert (alone_in(tmp_path), path.read_text()) == ([path.name], "earlier")


@pytest.mark.parametrize("extension", CODED + ANIMATED)
def test_frames_are_let_go_of(tmp_path, extension):
    """What is held back are encoded pictures; of the frames themselves no more than one is there."""
    alive, most = weakref.WeakSet(), 0

    def watched():
        nonlocal most
        for frame in frames(60, (16, 16)):
            gc.collect(0)
            most = max(most, len(alive))
            alive.add(frame.image)
            yield frame
            del frame

    write_film(tmp_path / f"a{extension}", watched(), size=(16, 16), rate=RATE, look=FilmLook(quality=50))
    assert most <= 2


def test_the_index_of_mp4_comes_before_the_pictures(tmp_path):
    """So that a browser can begin to play what it has not yet got the whole of."""
    write_film(tmp_path / "a.mp4", frames(), size=SIZE, rate=RATE)
    data = (tmp_path / "a.mp4").read_bytes()
    assert 0 < data.index(b"moov") < data.index(b"mdat")


class TestSounds:
    @pytest.fixture
    def clip(self, tmp_path):
        return Clip.open(write_clip(tmp_path / "clip.mp4", stamps=range(25), sound=1.0))

    @staticmethod
    def packets(clip):
        with Sound(clip) as sound:
            return [(bytes(packet), packet.pts * packet.time_base) for packet in sound.until(None)]

    @pytest.mark.parametrize("extension", [".mp4", ".mov", ".mkv"])
    def test_are_copied_bit_for_bit(self, tmp_path, clip, extension):
        path = tmp_path / f"a{extension}"
        with clip.frames() as shown:
            write_film(path, shown, size=clip.size, time_base=clip.time_base, rate=clip.rate, sound=clip)
        (sent, sent_times), (found, times) = (zip(*self.packets(some), strict=True) for some in (clip, Clip.open(path)))
        assert found == sent
        tolerance = Fraction(1, 2000) if extension == ".mkv" else 0
        assert all(abs(one - other) <= tolerance for one, other in zip(times, sent_times, strict=True))

    def test_are_moved_with_pictures_that_begin_before_0(self, tmp_path, clip):
        with clip.frames() as shown:
            early = (replace(frame, start=frame.start - 1) for frame in shown)
            write_film(tmp_path / "a.mkv", early, size=clip.size, rate=clip.rate, sound=clip)
        (before, after) = (self.packets(some) for some in (clip, Clip.open(tmp_path / "a.mkv")))
        assert all(abs(one - other - 1) < Fraction(1, 1000) for (_, one), (_, other) in zip(after, before, strict=True))

    def test_lie_beside_the_pictures_that_are_seen_meanwhile(self, tmp_path, clip):
        with clip.frames() as shown:
            write_film(tmp_path / "a.mkv", shown, size=clip.size, rate=clip.rate, sound=clip)
        with av.open(str(tmp_path / "a.mkv")) as film:
            times = [packet.pts * packet.time_base for packet in film.demux() if packet.size]
        assert all(later > earlier - Fraction(1, 4) for earlier, later in pairwise(times))

    def test_that_the_container_cannot_hold_are_refused_before_a_frame_is_asked_for(self, tmp_path, clip):
        def unasked():
            pytest.fail("a frame was asked for")
            yield

        problem = (
            r"^cannot write '.*\.webm': webm does not hold the sound of '.*clip\.mp4', which is aac;"
            r" name it \.mp4 or \.mkv, or leave the sound out$"
        )
        with pytest.raises(FilmError, match=problem):
            write_film(tmp_path / "a.webm", unasked(), size=clip.size, sound=clip)
        with pytest.raises(FilmError, match=problem):
            check_film(tmp_path / "a.webm", sound=clip)
        check_film(tmp_path / "a.webm")
        check_film(tmp_path / "a.mkv", sound=clip)

    @pytest.mark.parametrize("extension", CODED)
    def test_need_not_be_there(self, tmp_path, extension):
        clip = Clip.open(write_clip(tmp_path / "silent.mp4"))
        write_film(tmp_path / f"a{extension}", frames(), size=SIZE, rate=RATE, sound=clip)
        write_film(tmp_path / f"b{extension}", frames(), size=SIZE, rate=RATE)
        assert (tmp_path / f"a{extension}").read_bytes() == (tmp_path / f"b{extension}").read_bytes()

    def test_that_cannot_be_begun_are_told_by_their_kind(self, tmp_path):
        """MOV takes the stream of a FLAC, and refuses it only when it writes the header."""
        path = tmp_path / "clip.mkv"
        with av.open(str(path), "w") as output:
            pictures, tone = output.add_stream("libx264", rate=25), output.add_stream("flac", rate=8000, layout="mono")
            pictures.height, pictures.width = SIZE
            tone.format = "s16"
            output.mux(
                pictures.encode(av.VideoFrame.from_ndarray(painted(0, SIZE), "rgb24").reformat(format="yuv420p"))
            )
            output.mux(pictures.encode(None))
            silence = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.int16), "s16", "mono")
            silence.sample_rate, silence.pts, silence.time_base = 8000, 0, Fraction(1, 8000)
            output.mux(tone.encode(silence))
            output.mux(tone.encode(None))
        with pytest.raises(FilmError, match=r"mov does not hold the sound of '.*', which is flac; name it \.mkv"):
            check_film(tmp_path / "a.mov", sound=Clip.open(path))

    @pytest.mark.parametrize("extension", ANIMATED)
    def test_are_left_out_of_animations(self, tmp_path, clip, extension):
        with pytest.warns(ImageWarning, match="can hold no sound"):
            write_film(tmp_path / f"a{extension}", reel(), size=SIZE, sound=clip)

    def test_end_a_second_after_the_pictures(self, tmp_path):
        clip = Clip.open(write_clip(tmp_path / "clip.mp4", stamps=range(25), sound=4.0))
        with clip.frames() as shown, pytest.warns(ImageWarning, match="the sound goes on for longer than the film"):
            write_film(tmp_path / "a.mp4", shown, size=clip.size, rate=clip.rate, sound=clip)
        end = self.packets(Clip.open(tmp_path / "a.mp4"))[-1][1]
        assert 1.7 < end < 2


class TestAnimations:
    @pytest.mark.parametrize("extension", ANIMATED)
    def test_of_frames_that_come_once_are_those_of_a_reel(self, tmp_path, extension):
        write_film(tmp_path / f"once{extension}", frames(), size=SIZE)
        write_film(tmp_path / f"reel{extension}", reel(), size=SIZE)
        assert (tmp_path / f"once{extension}").read_bytes() == (tmp_path / f"reel{extension}").read_bytes()

    @pytest.mark.parametrize("extension", ANIMATED)
    def test_become_smaller_until_they_fit(self, tmp_path, extension):
        noise = torch.rand(1, 3, 96, 128, generator=torch.Generator().manual_seed(0))
        film = Reel.steady([lambda place=place: noise.roll(place, 3) for place in range(3)], RATE)
        free, bound = tmp_path / f"free{extension}", tmp_path / f"bound{extension}"
        write_film(free, film, size=(96, 128))
        most = free.stat().st_size // 2
        with pytest.warns(ImageWarning, match=r"x \d+ pixels instead of 128 x 96, so as to have at most"):
            write_film(bound, film, size=(96, 128), look=FilmLook(most_bytes=most))
        assert most // 2 < bound.stat().st_size <= most

    @pytest.mark.parametrize("extension", ANIMATED)
    def test_are_left_alone_where_they_fit(self, tmp_path, extension):
        write_film(tmp_path / f"free{extension}", reel(), size=SIZE)
        most = (tmp_path / f"free{extension}").stat().st_size
        write_film(tmp_path / f"bound{extension}", reel(), size=SIZE, look=FilmLook(most_bytes=max(1024, most)))
        assert (tmp_path / f"free{extension}").read_bytes() == (tmp_path / f"bound{extension}").read_bytes()

    def test_that_cannot_become_small_enough_are_refused(self, tmp_path):
        noise = torch.rand(1, 3, 96, 128, generator=torch.Generator().manual_seed(0))
        with pytest.raises(FilmError, match=r"bytes even at 64 x 48 pixels; allow more than 1,024"):
            write_film(
                tmp_path / "a.png",
                [Frame(noise, Fraction(0), Fraction(1))],
                size=(96, 128),
                look=FilmLook(most_bytes=1024),
            )
        assert alone_in(tmp_path) == []


OTHER = {"quality": 10, "plays": 3, "colours": 4, "dither": "none", "most_bytes": None}


class TestLooks:
    @pytest.mark.parametrize("name", OTHER)
    @pytest.mark.parametrize("extension", FILMS)
    def test_are_of_use_where_they_change_the_file(self, tmp_path, extension, name):
        size = (96, 128)
        noise = torch.rand(1, 3, *size, generator=torch.Generator().manual_seed(0))
        film = Reel.steady([lambda place=place: noise.roll(place, 3) for place in range(2)], RATE)
        plain, other = tmp_path / f"plain{extension}", tmp_path / f"other{extension}"
        write_film(plain, film, size=size, rate=RATE)
        value = plain.stat().st_size // 2 if name == "most_bytes" else OTHER[name]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ImageWarning)  # that it has become smaller
            write_film(other, film, size=size, rate=RATE, look=FilmLook(**{name: value}))
        changes = other.read_bytes() != plain.read_bytes()
        for path in (other, f"A{extension.upper()}"):
            assert useless(path, [name]) == ([] if changes else [name])

    def test_that_were_not_told_are_not_in_question(self):
        assert set(OTHER) == set(FilmLook.model_fields)
        for extension in FILMS:
            assert useless(f"a{extension}", []) == []
        assert useless("a.gif", ["dither", "quality", "plays"]) == ["quality"]


class TestNames:
    def test_tell_the_container(self, tmp_path):
        assert all(is_film(f"A{extension.upper()}") for extension in FILMS)
        assert not is_film("a.jpg")
        for extension in FILMS:
            check_film(tmp_path / f"a{extension}")

    @pytest.mark.parametrize(
        ("name", "problem"),
        [
            ("a.mp5", "unknown extension '.mp5'; did you mean '.mp4'?; allowed: .mp4 .m4v"),
            ("a", "no extension; allowed: .mp4"),
            ("missing/a.mp4", "there is no folder"),
            ("folder.mp4", "it is a folder"),
            ("a" * 230 + ".mp4", "a file name has at most 220 bytes"),
        ],
    )
    def test_that_cannot_be_are_refused(self, tmp_path, name, problem):
        (tmp_path / "folder.mp4").mkdir()
        for refuse in (check_film, lambda path: write_film(path, [], size=SIZE)):
            with pytest.raises(FilmError) as caught:
                refuse(tmp_path / name)
            assert problem in str(caught.value)
            assert "\n" not in str(caught.value)

    def test_need_an_encoder(self):
        lacking = replace(CONTAINERS[0], encoder="libnone")
        with pytest.raises(FilmError, match=r"PyAV has no encoder libnone here; allowed: .*\.webm"):
            lacking.require_encoder("'a.mp4'")
