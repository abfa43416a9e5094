"""Films to frames: the pictures, the times, the colours and the turn that a file asks for, and its sound."""

import hashlib
import sys
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from clips import BT601, BT709, FULL, LIMITED, painted, write_clip
from hypothesis import given
from hypothesis import strategies as st

from oneira.errors import FilmError
from oneira.images import levels_of
from oneira.motion.conversion import Conversion, View
from oneira.motion.reading import Clip, starting
from oneira.motion.sound import Sound

PHOTOGRAPHED = Path(__file__).parents[3] / "shared" / "images" / "video" / "clip.mp4"
TICK = Fraction(1, 25)


def whole(path, skip=0):
    """All frames of a film; none may be lost."""
    with Clip.open(path).frames(skip) as frames:
        listed = list(frames)
    assert frames.lost == 0
    assert frames.notes == ()
    return listed


def shows(frame, levels, within=2):
    seen = levels_of(frame.image)
    assert seen.shape == levels.shape
    return np.abs(seen.astype(int) - levels).max() <= within


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("a.mp4", {}),
        ("a.mov", {}),
        ("a.m4v", {}),
        ("a.mkv", {}),
        ("bframes.mp4", {"options": {"qp": "0", "bf": "2"}}),
        ("fragments.mp4", {"container": {"movflags": "frag_keyframe+empty_moov"}, "options": {"qp": "0", "g": "2"}}),
        ("a.webm", {"codec": "libvpx-vp9", "options": {"lossless": "1"}}),
        ("a.avi", {"codec": "ffv1", "pixels": "bgr0", "options": {}}),
        ("ten_bits.mkv", {"codec": "ffv1", "pixels": "yuv444p10le", "options": {}}),
        ("odd.mp4", {"size": (47, 63)}),
        ("tiny.mkv", {"codec": "ffv1", "pixels": "bgr0", "options": {}, "size": (1, 8)}),
        ("misnamed.avi.mkv", {}),
    ],
)
def test_the_frames_that_were_written_are_read(tmp_path, name, options):
    path = write_clip(tmp_path / name, **options)
    size = options.get("size", (48, 64))
    frames = whole(path)
    assert len(frames) == 6
    for place, frame in enumerate(frames):
        assert shows(frame, painted(place, size))
        assert frame.start == place * TICK
        assert frame.duration == TICK


def test_a_clip_tells_what_its_container_tells(tmp_path):
    path = write_clip(tmp_path / "a.mp4", sound=1)
    clip = Clip.open(str(path))
    assert (clip.path, clip.size, clip.count, clip.sounds) == (path, (48, 64), 6, True)
    assert (clip.rate, clip.duration, clip.time_base) == (25, 6 * TICK, Fraction(1, 12800))
    assert clip.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert not Clip.open(write_clip(tmp_path / "silent.mp4")).sounds
    assert Clip.open(write_clip(tmp_path / "a.mkv")).count is None
    assert Clip.open(write_clip(tmp_path / "a.avi", codec="ffv1", pixels="bgr0", options={})).count == 6


def test_a_film_of_one_frame(tmp_path):
    (frame,) = whole(write_clip(tmp_path / "a.mp4", stamps=[0]))
    assert (frame.start, frame.duration) == (0, TICK)


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.mov"])
def test_times_are_those_of_the_file_wherever_they_begin(tmp_path, name):
    stamps = [300, 340, 500, 540, 1500, 1540]
    path = write_clip(tmp_path / name, stamps=stamps, time_base=Fraction(1, 1000))
    frames = whole(path)
    assert [frame.start for frame in frames] == [Fraction(stamp, 1000) for stamp in stamps]
    for frame, following in pairwise(frames):
        assert frame.start + frame.duration == following.start
    assert frames[-1].duration == TICK


@given(
    stamps=st.lists(st.none() | st.integers(-1000, 1000), min_size=1, max_size=30),
    pace=st.integers(1, 50),
)
def test_time_always_goes_on(stamps, pace):
    previous = None
    for stamp in stamps:
        start = starting(stamp, previous, pace)
        if previous is not None:
            assert start > previous
        if stamp is not None and (previous is None or stamp > previous):
            assert start == stamp
        previous = start


def test_one_doubled_time_moves_no_other_frame():
    previous, starts = None, []
    for stamp in [0, 10, 10, 20, 30, None, 50]:
        previous = starting(stamp, previous, 10)
        starts.append(previous)
    assert starts == [0, 10, 15, 20, 30, 40, 50]


def test_a_clock_that_begins_again_goes_on_at_the_same_pace():
    previous, starts = None, []
    for stamp in [500, 510, 0, 10, 20]:
        previous = starting(stamp, previous, 10)
        starts.append(previous)
    assert starts == [500, 510, 520, 530, 540]


@pytest.mark.parametrize("quarters", [0, 1, 2, -1])
@pytest.mark.parametrize(("across", "down"), [(False, False), (True, False), (False, True)])
def test_pictures_are_upright(tmp_path, quarters, across, down):
    turn = {"degrees": 90 * quarters, "hflip": across, "vflip": down}
    path = write_clip(tmp_path / "a.mp4", turn=turn, stamps=[0])
    expected = np.rot90(painted(0), quarters)  # against the clock, as the matrix tells it
    expected = expected[:, ::-1] if across else expected
    expected = expected[::-1] if down else expected
    (frame,) = whole(path)
    assert shows(frame, expected)
    assert Clip.open(path).size == expected.shape[:2]


def test_a_frame_that_is_only_looked_up_by_others_is_not_missed(tmp_path):
    shown_bit = 16  # in the first byte of a frame of VP8 (RFC 6386, 9.1)
    written = write_clip(tmp_path / "a.webm", codec="libvpx", pixels="yuv420p", options={})
    path = tmp_path / "hiding.webm"
    with av.open(str(written)) as source, av.open(str(path), "w") as output:
        stream = output.add_stream_from_template(source.streams.video[0])
        for place, packet in enumerate(packet for packet in source.demux(video=0) if packet.size):
            data = bytearray(packet)
            data[0] &= 255 - shown_bit * (place == 3)
            copy = av.Packet(bytes(data))
            copy.pts, copy.dts, copy.duration = packet.pts, packet.dts, packet.duration
            copy.time_base, copy.stream, copy.is_keyframe = packet.time_base, stream, packet.is_keyframe
            output.mux(copy)
    assert len(whole(path)) == 5


class Laden:
    """A frame that carries what this PyAV does not know, as those of two-eyed films do: it lists nothing of it then."""

    height, width = 48, 64

    def __init__(self, rotation):
        self.rotation = rotation

    @property
    def side_data(self):
        raise ValueError("28 is not a valid Type")


@pytest.mark.parametrize("degrees", [0, 90, -90, 180, -180])
def test_pictures_are_upright_whatever_else_they_carry(tmp_path, degrees):
    path = write_clip(tmp_path / "a.mp4", turn={"degrees": degrees}, stamps=[0])
    assert View.of(Laden(degrees), None) == Clip.open(path).view


@pytest.mark.parametrize("matrix", [BT709, BT601])
@pytest.mark.parametrize("value_range", [LIMITED, FULL])
def test_colours_are_those_that_the_tags_mean(tmp_path, matrix, value_range):
    tags = {"told_matrix": matrix, "told_range": value_range}
    path = write_clip(tmp_path / "a.mp4", matrix=matrix, value_range=value_range, stamps=[0], **tags)
    assert shows(whole(path)[0], painted(0))


@pytest.mark.parametrize(
    ("size", "matrix"), [((48, 64), BT601), ((576, 16), BT601), ((578, 16), BT709), ((16, 1280), BT709)]
)
def test_untagged_colours_are_taken_as_players_take_them(tmp_path, size, matrix):
    path = write_clip(tmp_path / "a.mp4", size=size, matrix=matrix, stamps=[0])
    assert shows(whole(path)[0], painted(0, size))


def test_a_matrix_that_cannot_be_had_is_guessed(tmp_path):
    ycgco = 8
    path = write_clip(tmp_path / "a.mp4", told_matrix=ycgco, stamps=[0])
    assert shows(whole(path)[0], painted(0))


@pytest.mark.parametrize(
    ("aspect", "size"), [(Fraction(3, 2), (48, 96)), (Fraction(1, 2), (96, 64)), (Fraction(9), (48, 64))]
)
def test_pixels_become_square_by_more_of_them(tmp_path, aspect, size):
    path = write_clip(tmp_path / "a.mp4", aspect=aspect, stamps=[0])
    seen = levels_of(whole(path)[0].image)
    assert Clip.open(path).size == seen.shape[:2] == size
    # In the middle of each bar nothing of its neighbours is seen.
    rows, bars = [size[0] // 4, 3 * size[0] // 4], (np.arange(8) * 2 + 1) * size[1] // 16
    there = painted(0)[[12, 36]][:, 4::8].astype(int)
    assert np.abs(seen[rows][:, bars] - there).max() <= 2


def test_high_dynamic_range_is_noted(tmp_path):
    path = write_clip(tmp_path / "a.mkv", options={"qp": "0", "x264-params": "transfer=smpte2084"}, stamps=[0])
    with Clip.open(path).frames() as frames:
        list(frames)
    assert frames.notes == (
        f"{str(path)!r}: made for screens of high dynamic range: its colours come out paler than they are",
    )


def test_frames_that_are_skipped_keep_their_times_and_are_not_made_into_pictures(tmp_path, monkeypatch):
    path = write_clip(tmp_path / "a.mp4")
    every, made = whole(path), []
    convert = Conversion.__call__
    monkeypatch.setattr(Conversion, "__call__", lambda self, frame: made.append(1) or convert(self, frame))
    rest = whole(path, skip=4)
    assert len(made) == 2
    assert [frame.start for frame in rest] == [4 * TICK, 5 * TICK]
    assert all(torch.equal(a.image, b.image) for a, b in zip(rest, every[4:], strict=True))
    assert whole(path, skip=6) == whole(path, skip=60) == []


def test_a_frame_is_made_only_when_it_is_asked_for(tmp_path, monkeypatch):
    made = []
    convert = Conversion.__call__
    monkeypatch.setattr(Conversion, "__call__", lambda self, frame: made.append(1) or convert(self, frame))
    with Clip.open(write_clip(tmp_path / "a.mp4", stamps=range(50))).frames() as frames:
        next(frames)
        next(frames)
    assert len(made) == 2


def test_two_passes_give_the_same_bytes(tmp_path):
    path = write_clip(tmp_path / "a.mp4", pixels="yuv420p", stamps=range(30), options={"crf": "30"})
    for one, other in zip(whole(path), whole(path), strict=True):
        assert torch.equal(one.image, other.image)


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="open files can be listed only on Linux")
def test_the_file_is_closed_however_a_pass_ends(tmp_path):
    path = write_clip(tmp_path / "a.mp4")

    def still_open():
        return any(link.exists() and link.resolve() == path for link in list(Path("/proc/self/fd").iterdir()))

    clip = Clip.open(path)
    assert not still_open()
    ended = clip.frames()
    assert next(ended) is not None
    assert still_open()
    assert len(list(ended)) == 5
    assert not still_open()
    closed = clip.frames()
    next(closed)
    closed.close()
    assert not still_open()
    assert list(closed) == []
    forgotten = clip.frames()
    next(forgotten)
    del forgotten
    assert not still_open()
    with clip.frames() as left:
        next(left)
    assert not still_open()


def edited(path, box, place, value):
    """The film with another number, of 4 bytes, at a place of a box's content."""
    data = bytearray(path.read_bytes())
    place += data.index(box) + 4
    data[place : place + 4] = value.to_bytes(4, "big")
    path.write_bytes(data)
    return path


def test_frames_that_an_edit_cuts_off_are_neither_shown_nor_missed(tmp_path):
    path = write_clip(tmp_path / "a.mp4", options={"qp": "0", "bf": "0"})
    frames = whole(edited(path, b"elst", 12, 2 * 512))  # begins two frames later
    assert len(frames) == Clip.open(path).count == 4
    assert frames[0].start == 0
    assert all(shows(frame, painted(place + 2)) for place, frame in enumerate(frames))


def test_a_frame_without_bytes_is_neither_shown_nor_missed(tmp_path):
    path = write_clip(tmp_path / "a.mp4", options={"qp": "0", "bf": "0"})
    frames = whole(edited(path, b"stsz", 12 + 4 * 5, 0))
    assert len(frames) == Clip.open(path).count == 5


def test_frames_of_another_size_are_fitted_and_clocks_that_begin_again_go_on(tmp_path):
    options = {"codec": "mpeg2video", "pixels": "yuv420p", "options": {"b": "5000000"}, "stamps": range(5)}
    first = write_clip(tmp_path / "a.ts", **options)
    second = write_clip(tmp_path / "b.ts", size=(96, 128), **options)
    joined = tmp_path / "joined.ts"
    joined.write_bytes(first.read_bytes() + second.read_bytes())
    with Clip.open(joined).frames() as frames:
        listed = list(frames)
    assert len(listed) + frames.lost == 10
    assert {tuple(frame.image.shape) for frame in listed} == {(1, 3, 48, 64)}
    assert "have another size" in "".join(frames.notes)
    starts = [frame.start for frame in listed]
    assert all(later > sooner for sooner, later in pairwise(starts))


def test_the_title_picture_of_a_song_is_no_film(tmp_path):
    path = tmp_path / "song.mp4"
    with av.open(str(path), "w") as output:
        sound = output.add_stream("aac", rate=8000, layout="mono")
        cover = output.add_stream("mjpeg", rate=25)
        cover.height, cover.width, cover.pix_fmt = 48, 64, "yuvj420p"
        cover.disposition = av.stream.Disposition.attached_pic
        output.mux(cover.encode(av.VideoFrame.from_ndarray(painted(0), "rgb24").reformat(format="yuvj420p")))
        output.mux(cover.encode(None))
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), "fltp", "mono")
        frame.sample_rate = 8000
        output.mux(sound.encode(frame))
        output.mux(sound.encode(None))
    with pytest.raises(FilmError) as caught:
        Clip.open(path)
    assert str(caught.value) == f"{str(path)!r} has only sound in it; a film with pictures is needed"


def test_films_need_a_package_of_their_own(tmp_path, monkeypatch):
    path = write_clip(tmp_path / "a.mp4")
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(FilmError, match="films need av, which is not here: pip install"):
        Clip.open(path)


def packets_of(path):
    with av.open(str(path)) as container:
        return [told(packet) for packet in container.demux(container.streams.audio) if packet.size]


def told(packet):
    sides = tuple((side.data_type, bytes(side)) for side in packet.iter_sidedata())
    return bytes(packet), packet.pts, packet.dts, packet.duration, packet.time_base, sides


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.mov"])
def test_sound_is_copied_as_it_is(tmp_path, name):
    path = write_clip(tmp_path / name, sound=1)
    expected = packets_of(path)
    assert len(expected) > 5
    with Sound(Clip.open(path)) as sound:
        (template,) = sound.templates
        assert template.codec_context.name == "aac"
        packets = list(sound.until(None))
        assert all(packet.stream is template for packet in packets)
        assert [told(packet) for packet in packets] == expected
        assert list(sound.until(None)) == []


@given(limits=st.lists(st.fractions(-1, 2), max_size=4).map(sorted))
def test_sound_comes_up_to_the_time_that_is_asked_for(tmp_path_factory, limits):
    path = tmp_path_factory.getbasetemp() / "sounding.mp4"
    if not path.exists():
        write_clip(path, sound=1)
    gathered = []
    with Sound(Clip.open(path)) as sound:
        for limit in limits:
            some = list(sound.until(limit))
            assert all(packet.pts * packet.time_base < limit for packet in some)
            gathered += some
        rest = list(sound.until(None))
        assert not limits or all(packet.pts * packet.time_base >= limits[-1] for packet in rest)
        assert [told(packet) for packet in gathered + rest] == packets_of(path)


def test_a_silent_clip_has_no_sound(tmp_path):
    with Sound(Clip.open(write_clip(tmp_path / "a.mp4"))) as sound:
        assert sound.templates == []
        assert list(sound.until(None)) == []


@pytest.mark.skipif(not PHOTOGRAPHED.exists(), reason="the clip beside the project is not here")
def test_a_photographed_clip():
    clip = Clip.open(PHOTOGRAPHED)
    assert (clip.size, clip.count, clip.rate, clip.duration) == ((720, 1280), 100, 24, Fraction(100, 24))
    with clip.frames() as frames:
        starts = [frame.start for frame in frames]
    assert starts == [Fraction(place * 512, 12288) for place in range(100)]
    assert frames.lost == 0
