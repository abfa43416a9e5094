"""The frames of a clip, one after the other, whatever has become of its bytes."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from oneira.errors import FilmError
from oneira.images import MAX_PIXELS
from oneira.images.notices import shown
from oneira.motion.extra import required

# What the title picture of a song is told to be: no film.
_COVER = "attached_pic"
# Of these codecs a packet may hold no frame that is shown.
_HIDING = ("vp8",)
# The duration of a stream of Matroska, among its tags.
_CLOCK = re.compile(r"(\d+):(\d+):(\d+(?:\.\d+)?)", re.ASCII)


@dataclass
class Tally:
    """What came of a pass over a clip, counted while it goes on.

    `packets` of the pictures came, of which `aside` were not for showing, and `refused` could not be decoded; `frames`
    came out, of which `damaged` are so in part, and `resized` have another size than the first; `bright`: any is coded
    for screens of high dynamic range. `cut`: reading ended before the file did. `lost`: how many frames did not come,
    as far as can be told at the end.
    """

    packets: int = 0
    aside: int = 0
    refused: int = 0
    frames: int = 0
    damaged: int = 0
    resized: int = 0
    bright: bool = False
    cut: bool = False
    lost: int = 0


def pictures_of(container: Any) -> Any:
    """The best video stream of PyAV's InputContainer. FilmError where there is none, or none that can be decoded."""
    dispositions = required("av.stream").Disposition
    streams = [stream for stream in container.streams.video if not stream.disposition & dispositions[_COVER]]
    best = container.streams.best("video")
    stream = best if best in streams else next(iter(streams), None)
    if stream is None:
        what = "only sound in it" if container.streams.audio else "no picture in it"
        raise FilmError(f"{shown(container.name)} has {what}; a film with pictures is needed")
    if stream.codec_context is None:
        name = shown(container.name)
        raise FilmError(f"{name} is coded in a way that this PyAV cannot decode: save it again as H.264")
    return stream


def alone(container: Any, *wanted: Any) -> None:
    """Have nothing read from the file but what is wanted."""
    nothing = required("av.stream").Discard.all
    for stream in container.streams:
        if stream not in wanted:
            stream.discard = nothing


def decoded(container: Any, stream: Any, tally: Tally) -> Iterator[Any]:
    """PyAV's VideoFrames in the order in which they are shown; none longer in memory than it is looked at.

    What cannot be decoded is counted and passed over.
    """
    alone(container, stream)
    codec = stream.codec_context
    # Several threads mend damage differently, by their number and by chance; a single one always in the same way.
    codec.thread_count = 1
    codec.options = {"max_pixels": str(MAX_PIXELS)}
    ffmpeg_error = required("av.error").FFmpegError
    try:
        for packet in container.demux(stream):
            # One without bytes shows nothing new; to a decoder it would be the end.
            if packet.size == 0:
                continue
            tally.packets += 1
            tally.aside += packet.is_discard
            yield from _frames_of(codec, packet, tally)
    except ffmpeg_error:
        tally.cut = True
    yield from _frames_of(codec, None, tally)


def lost(container: Any, stream: Any, tally: Tally, end: Fraction, rate: Fraction) -> int:
    """How many frames did not come, after a whole pass whose last frame ended at `end`, in seconds."""
    came = 0 if stream.codec_context.name in _HIDING else tally.packets
    # MP4 has a table of its packets; its count of frames has those too that are cut off by an edit.
    promised = sum(entry.size > 0 for entry in stream.index_entries) if container.format.name == "mov" else 0
    missing = max(came, promised) - tally.aside - tally.frames
    tail = (_promised_end(container, stream) or end) - end
    # Matroska rounds its times to milliseconds.
    return max(missing, tally.refused, int(tally.cut), 0) + max(0, int(tail * rate + Fraction(1, 2)))


def _promised_end(container: Any, stream: Any) -> Fraction | None:
    """When the pictures end, in seconds, by the header of a container that has no table of them; None: not told."""
    if container.format.name == "avi":
        return Fraction(stream.frames * stream.time_base)  # frames that repeat are counted, but do not come
    if container.format.name != "matroska":
        return None
    told = _CLOCK.fullmatch(stream.metadata.get("DURATION", ""))
    if told is not None:
        return 3600 * int(told[1]) + 60 * int(told[2]) + Fraction(told[3])
    told_of_all = len(container.streams) == 1 and container.duration
    return Fraction(container.duration, required("av").time_base) if told_of_all else None


def _frames_of(codec: Any, packet: Any, tally: Tally) -> Iterator[Any]:
    try:
        frames = codec.decode(packet)
    except required("av.error").FFmpegError:
        tally.refused += packet is not None
        return
    for frame in frames:
        tally.frames += 1
        tally.damaged += frame.is_corrupt
        yield frame
