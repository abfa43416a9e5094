"""Whatever has become of a film's bytes: frames and the number of those that are lost, or one line that names it."""

import contextlib
import ctypes
import faulthandler
import functools
import os
import struct
import sys
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from clips import write_clip

from oneira.errors import FilmError
from oneira.motion import decoding, opening, reading
from oneira.motion.conversion import Conversion
from oneira.motion.reading import Clip
from oneira.motion.sound import Sound

COUNT = 24
ALLOWED = "allowed: MP4, MOV, Matroska, WebM, AVI, MPEG, FLV, Ogg, GIF"


@pytest.fixture(autouse=True)
def _no_hanging():
    # A decoder that never returns cannot be interrupted; the whole run ends, telling where.
    faulthandler.dump_traceback_later(60, exit=True, file=sys.__stderr__)
    yield
    faulthandler.cancel_dump_traceback_later()


@functools.cache
def good(name):
    """The bytes of a film of COUNT frames with a second of sound; in MP4 with its header first."""
    path = Path(os.environ["PYTEST_GOOD_CLIPS"]) / name
    options = {"pixels": "yuv420p", "stamps": range(COUNT), "options": {"crf": "20", "g": "8", "bf": "0"}, "sound": 1}
    write_clip(path, container={"movflags": "faststart"} if path.suffix == ".mp4" else {}, **options)
    return path.read_bytes()


@pytest.fixture(autouse=True, scope="module")
def _good_clips(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTEST_GOOD_CLIPS", str(tmp_path_factory.mktemp("good")))
        good.cache_clear()
        yield


def outcome(path):
    """(frames that came, frames that are lost), or the one line that the file was refused with."""
    try:
        clip = Clip.open(path)
        with clip.frames() as frames:
            starts = []
            for frame in frames:
                assert tuple(frame.image.shape) == (1, 3, *clip.size)
                assert frame.duration > 0
                starts.append(frame.start)
        with Sound(clip) as sound:
            list(sound.until(None))
    except FilmError as error:
        message = str(error)
        assert message.isprintable()
        assert Path(path).name in message
        return message
    assert all(later > sooner for sooner, later in pairwise(starts))
    assert bool(frames.lost) == any("could not be decoded" in note for note in frames.notes)
    return len(starts), frames.lost


def refusal(path):
    message = outcome(path)
    assert isinstance(message, str)
    return message


def written(path, data):
    path.write_bytes(data)
    return path


def header_size(data):
    return data.index(b"mdat") + 4


@pytest.mark.parametrize("percent", [1, 5, 10, 20, 30, 40, 50, 60, 70, 80, 90, 95, 99])
@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.avi"])
def test_of_a_film_that_was_cut_off_the_rest_is_missed(tmp_path, name, percent):
    data = good(name)
    result = outcome(written(tmp_path / name, data[: len(data) * percent // 100]))
    if not isinstance(result, str):
        # An AVI tells no frame's time but by its place, which decoders move by one.
        assert abs(sum(result) - COUNT) <= (name == "a.avi")
        assert percent >= 95 or result[1] > 0


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.avi"])
def test_of_a_whole_film_nothing_is_missed(tmp_path, name):
    assert outcome(written(tmp_path / name, good(name))) == (COUNT, 0)


@pytest.mark.parametrize("length", [0, 1, 7, 8, 12, 31, 32, 200])
def test_hardly_anything_of_a_film(tmp_path, length):
    refusal(written(tmp_path / "a.mp4", good("a.mp4")[:length]))


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.avi"])
def test_bits_of_the_header_that_have_turned_over(tmp_path, name, seed):
    data = bytearray(good(name))
    noise = np.random.default_rng(seed)
    end = header_size(data) if name == "a.mp4" else 1000
    for place in noise.integers(0, end, 1 + seed % 6):
        data[place] ^= 1 << noise.integers(8)
    outcome(written(tmp_path / name, data))


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.avi"])
def test_bits_of_the_pictures_that_have_turned_over(tmp_path, name, seed):
    data = bytearray(good(name))
    noise = np.random.default_rng(seed)
    begin = header_size(data) if name == "a.mp4" else 3000
    for place in noise.integers(begin, len(data), 4 + 10 * (seed % 3)):
        data[place] ^= 1 << noise.integers(8)
    result = outcome(written(tmp_path / name, data))
    if name == "a.mp4":  # where the table of frames is whole, each is accounted for
        assert sum(result) == COUNT


def test_a_frame_in_the_middle_that_is_lost_is_counted(tmp_path):
    data = bytearray(good("a.mp4"))
    with av.open(str(written(tmp_path / "good.mp4", data))) as container:
        packets = [packet for packet in container.demux(video=0) if packet.size]
    data[packets[10].pos : packets[10].pos + packets[10].size] = bytes(packets[10].size)
    path = written(tmp_path / "a.mp4", data)
    assert outcome(path) == (COUNT - 1, 1)
    with Clip.open(path).frames() as frames:
        starts = [frame.start for frame in frames]
    assert [int(start * 25) for start in starts] == [place for place in range(COUNT) if place != 10]
    assert frames.notes[0] == f"{str(path)!r}: 1 of the frames could not be decoded and are left out"


def test_damage_is_mended_as_by_a_single_thread_whatever_the_machine(tmp_path):
    path = write_clip(tmp_path / "a.mp4", size=(240, 320), stamps=range(COUNT), options={"crf": "10"})
    data = bytearray(path.read_bytes())
    begin = data.index(b"mdat") + 2000
    for place in range(begin, data.index(b"moov") - 50, 997):
        data[place] ^= 16
    written(path, data)
    clip, expected = Clip.open(path), []
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        stream.codec_context.thread_count = 1
        convert = Conversion(clip.view)
        for packet in container.demux(stream):
            with contextlib.suppress(av.FFmpegError):
                expected += [convert(frame) for frame in packet.decode()]
    with clip.frames() as frames:
        seen = [frame.image for frame in frames]
    assert any("are damaged" in note for note in frames.notes)
    assert all(torch.equal(one, other) for one, other in zip(seen, expected, strict=True))


def test_a_film_that_is_damaged_all_over(tmp_path):
    data = bytearray(good("a.mp4"))
    data[header_size(data) :] = bytes(len(data) - header_size(data))
    message = refusal(written(tmp_path / "a.mp4", data))
    assert "no frame can be decoded; they are damaged" in message


def test_a_box_that_says_four_gigabytes(tmp_path):
    path = write_clip(tmp_path / "plain.mp4")  # its header comes after its pictures
    data = bytearray(path.read_bytes())
    place = data.index(b"mdat")
    data[place - 4 : place] = b"\xff\xff\xff\xff"
    refusal(written(tmp_path / "a.mp4", data))


def test_more_frames_than_a_file_can_hold(tmp_path):
    data = bytearray(good("a.mp4"))
    table = data.index(b"stsz") + 4
    data[table + 4 : table + 12] = struct.pack(">II", 1, 170_000_000)
    message = refusal(written(tmp_path / "a.mp4", data))
    assert "promises 170,0" in message
    assert f"frames and sounds in {len(data):,} bytes" in message


def test_more_frames_than_a_fragment_can_hold(tmp_path):
    options = {"movflags": "frag_keyframe+empty_moov"}
    data = bytearray(write_clip(tmp_path / "good.mp4", container=options).read_bytes())
    table = data.index(b"trun") + 4
    data[table + 4 : table + 8] = struct.pack(">I", 2**31 - 1)
    assert "frames and sounds in" in refusal(written(tmp_path / "a.mp4", data))


def test_a_header_whose_claims_cannot_be_seen(tmp_path):
    boxes = struct.pack(">I4sI4s", 24, b"moov", 16, b"cmov") + bytes(8)
    assert "has a compressed header" in refusal(written(tmp_path / "a.mov", boxes))


def test_boxes_within_boxes_without_end(tmp_path):
    count = 20_000
    boxes = b"".join(struct.pack(">I4s", 8 * (count - depth), b"moov") for depth in range(count))
    refusal(written(tmp_path / "a.mov", boxes))


def test_a_frame_that_says_it_is_larger_than_any(tmp_path):
    data = bytearray(write_clip(tmp_path / "good.avi", codec="ffv1", pixels="bgr0", options={}).read_bytes())
    place = data.index(b"strf") + 12
    for size in [(65_535, 65_535), (15_001, 10_001)]:
        data[place : place + 8] = struct.pack("<ii", *size)
        assert "of more than 150,000,000 pixels" in refusal(written(tmp_path / "a.avi", data))


def test_a_frame_that_is_larger_than_any(tmp_path, monkeypatch):
    path = write_clip(tmp_path / "a.mp4", aspect=2)
    monkeypatch.setattr(reading, "MAX_PIXELS", 2 * 48 * 64 - 1)
    assert "when theirs are made square" in refusal(path)
    monkeypatch.setattr(decoding, "MAX_PIXELS", 48 * 64 - 1)
    assert "no frame can be decoded" in refusal(path)


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"just some words, and some more", "text"),
        (b"<!doctype html><html><body>404</body></html>", "an HTML page"),
        (b"\x89PNG\r\n\x1a\n" + bytes(40), "a picture (PNG)"),
        (b"\xff\xd8\xff\xe0" + bytes(40), "a picture (JPEG)"),
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "a HEIC picture"),
        (b"\0\0\0\x18ftypavif\0\0\0\0avifmif1", "a picture (AVIF)"),
        (b"PK\x03\x04" + bytes(40), "an archive"),
        (b"ID3\x04" + bytes(40), "no film that is known here"),
    ],
)
def test_other_files_are_called_by_their_name(tmp_path, content, what):
    path = written(tmp_path / "a.mp4", content)
    assert refusal(path) == f"{str(path)!r} is {what}; {ALLOWED}"


def test_what_is_no_file(tmp_path):
    os.mkfifo(tmp_path / "pipe.mp4")
    assert "is a pipe; a film file is needed" in refusal(tmp_path / "pipe.mp4")
    assert "is a folder; a film file is needed" in refusal(tmp_path)
    written(tmp_path / "cat.mp4", b"")
    assert refusal(tmp_path / "cta.mp4").startswith("no film ")
    assert refusal(tmp_path / "cta.mp4").endswith("did you mean 'cat.mp4'?")
    assert refusal(tmp_path / "cat.mp4").endswith("is empty (0 bytes); a film is needed")


def test_only_sound(tmp_path):
    path = tmp_path / "a.mp4"
    with av.open(str(path), "w") as output:
        stream = output.add_stream("aac", rate=8000, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), "fltp", "mono")
        frame.sample_rate = 8000
        output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    assert refusal(path).endswith("has only sound in it; a film with pictures is needed")


class Watch:
    """Whether anybody has opened a file, as the kernel tells it: FFmpeg's own reading goes past Python."""

    IN_OPEN = 0x20

    def __init__(self, path):
        self.libc = ctypes.CDLL(None, use_errno=True)
        self.descriptor = self.libc.inotify_init1(os.O_NONBLOCK)
        assert self.libc.inotify_add_watch(self.descriptor, os.fsencode(path), self.IN_OPEN) >= 0

    def opened(self):
        try:
            return bool(os.read(self.descriptor, 4096))
        except BlockingIOError:
            return False

    def close(self):
        os.close(self.descriptor)


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "inotify_init1"), reason="only Linux tells who opens a file")
@pytest.mark.parametrize(
    "content",
    [
        "ffconcat version 1.0\nfile other.mp4\n",
        "#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nother.mp4\n#EXT-X-ENDLIST\n",
        "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nt=0 0\nm=video 5004 RTP/AVP 96\na=rtpmap:96 H264/90000\n",
        '<?xml version="1.0"?>\n<MPD><Period><BaseURL>other.mp4</BaseURL></Period></MPD>',
    ],
    ids=["concat", "hls", "sdp", "dash"],
)
def test_no_text_makes_another_file_be_opened(tmp_path, content):
    other = written(tmp_path / "other.mp4", good("a.mp4"))
    path = written(tmp_path / "a.mp4", content.encode())
    watch = Watch(other)
    message = refusal(path)
    assert not watch.opened()
    assert " is text; allowed" in message
    if content.startswith("ffconcat"):  # as it would, and as the watch would see
        with av.open(str(path)) as container:
            next(container.decode(video=0))
        assert watch.opened()
    watch.close()


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "inotify_init1"), reason="only Linux tells who opens a file")
@pytest.mark.parametrize(
    ("reader", "content"),
    [
        ("concat", "ffconcat version 1.0\nfile other.mp4\n"),
        ("hls", "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nother.mp4\n#EXT-X-ENDLIST\n"),
    ],
)
def test_not_even_a_reader_of_lists_could_open_another_file(tmp_path, monkeypatch, reader, content):
    monkeypatch.setattr(opening, "_READERS", ((reader, b"ffconcat|#EXTM3U"),))
    other = written(tmp_path / "other.mp4", good("a.mp4"))
    watch = Watch(other)
    refusal(written(tmp_path / "a.mp4", content.encode()))
    assert not watch.opened()
    watch.close()


@pytest.mark.parametrize(
    "name", ["concat:other.mp4", "file:other.mp4", "subfile,,start,0,end,0,,:other.mp4", "frame%02d.png"]
)
def test_no_name_is_an_address(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    written(tmp_path / "other.mp4", good("a.mp4"))
    assert refusal(name).startswith("no film ")
    written(tmp_path / "named", good("a.mp4")).rename(tmp_path / name)
    assert outcome(name) == (COUNT, 0)
