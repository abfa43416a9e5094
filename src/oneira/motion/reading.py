"""Films to frames: what a clip is, and its pictures in order, none of them in memory before it is looked at."""

import hashlib
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, Self

from oneira.errors import FilmError
from oneira.images import MAX_PIXELS
from oneira.images.notices import PathLike, shown
from oneira.motion.conversion import Conversion, View, high_dynamic_range
from oneira.motion.decoding import Tally, decoded, lost, pictures_of
from oneira.motion.extra import required
from oneira.motion.frame import Frame
from oneira.motion.opening import as_film_error, open_film, opened

# Where a container tells no rate at all, which happens to damaged ones.
_USUAL_RATE = Fraction(25)
_UNDECODED = f"they are damaged, of a kind that is not read, or of more than {MAX_PIXELS:,} pixels"


@dataclass(frozen=True)
class Clip:
    """A film in a file, of which at least one frame can be decoded.

    `size`: (h, w) of its pictures, upright and with square pixels. `time_base`: seconds that all times are multiples
    of. `rate`: frames a second, on average. `count`: how many frames the container tells of, None where it does not.
    `duration`: seconds, as told, or None. `sounds`: whether there is sound. `sha256`: of the file's bytes.
    """

    path: Path
    sha256: str
    size: tuple[int, int]
    time_base: Fraction
    rate: Fraction
    count: int | None
    duration: Fraction | None
    sounds: bool
    view: View

    @classmethod
    def open(cls, path: PathLike) -> Self:
        """Read what a film file tells, and its first frame. MP4, MOV, Matroska, WebM, AVI, MPEG, FLV, Ogg, GIF.

        Raises FilmError, in one line that names the file, where it is missing, no regular file, no such film, without
        pictures, where nothing of it can be decoded, or where a frame has more than MAX_PIXELS pixels.
        """
        with open_film(path) as file, as_film_error(path):
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        with opened(path) as container, as_film_error(path):
            return cls._told(container, Path(path), digest)

    @classmethod
    def _told(cls, container: Any, path: Path, digest: str) -> Self:
        stream = pictures_of(container)
        first = next(decoded(container, stream, Tally()), None)
        if first is None:
            raise FilmError(f"{shown(path)}: no frame can be decoded; {_UNDECODED}")
        view = View.of(first, stream.sample_aspect_ratio)
        if view.size[0] * view.size[1] > MAX_PIXELS:
            raise FilmError(
                f"{shown(path)}: its frames have more than {MAX_PIXELS:,} pixels when theirs are made square"
            )
        return cls(
            path=path,
            sha256=digest,
            view=view,
            size=view.size,
            time_base=stream.time_base,
            rate=_rate(stream),
            count=_count(container, stream),
            duration=_duration(container, stream),
            sounds=bool(container.streams.audio),
        )

    def frames(self, skip: int = 0) -> "Frames":
        """One pass over the frames, without the first `skip` of them, whose times they keep."""
        return Frames(self, skip)


class Frames(Iterator[Frame]):
    """One pass over a clip: its frames in order, each made into a picture when it is asked for.

    Times are the clip's own, exact, from its own zero. A frame is seen until the next one; the last for as long as it
    says, else for as long as the others are on average. A frame without a time, or with that of a frame that is long
    past, follows after one frame's time; one whose time is not after that of the frame before it, after half of it.

    A frame that cannot be decoded is left out, and the one before it is seen until the next. Closes the file at the
    end, by `close`, or as a context. Raises FilmError where the file cannot be opened any more.
    """

    def __init__(self, clip: Clip, skip: int = 0) -> None:
        self._path = clip.path
        self._tally = Tally()
        # A function, not a method: one that is forgotten half-way is closed at once only if nothing goes round in it.
        self._pass = _frames(clip, skip, self._tally)

    def __next__(self) -> Frame:
        return next(self._pass)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the pass: nothing more comes, and the file is closed."""
        self._pass.close()

    @property
    def lost(self) -> int:
        """How many frames could not be decoded, as far as can be told; after a whole pass, 0 before its end."""
        return self._tally.lost

    @property
    def notes(self) -> tuple[str, ...]:
        """What a person may want to know of the pass so far, one line each."""
        tally = self._tally
        told = (
            (tally.lost, f"{tally.lost} of the frames could not be decoded and are left out"),
            (tally.damaged, f"{tally.damaged} of the frames are damaged, and kept as far as they could be decoded"),
            (tally.resized, f"{tally.resized} of the frames have another size, and are fitted to that of the first"),
            (tally.bright, "made for screens of high dynamic range: its colours come out paler than they are"),
        )
        return tuple(f"{shown(self._path)}: {note}" for holds, note in told if holds)


def _frames(clip: Clip, skip: int, tally: Tally) -> Generator[Frame, None, None]:
    with opened(clip.path) as container, as_film_error(clip.path):
        stream, conversion = pictures_of(container), Conversion(clip.view)
        end = Fraction(0)
        raws = _looked_at(decoded(container, stream, tally), tally)
        for place, (raw, start, duration) in enumerate(_timed(raws, clip.time_base, clip.rate)):
            end = start + duration
            if place >= skip:
                yield Frame(conversion(raw), start, duration)
        tally.lost = lost(container, stream, tally, end, clip.rate)


def _looked_at(frames: Iterator[Any], tally: Tally) -> Iterator[Any]:
    """The same frames of PyAV; what a person may want to know of them is counted."""
    size = None
    for frame in frames:
        size = size or (frame.width, frame.height)
        tally.resized += (frame.width, frame.height) != size
        tally.bright = tally.bright or high_dynamic_range(frame)
        yield frame


def _timed(frames: Iterator[Any], tick: Fraction, rate: Fraction) -> Iterator[tuple[Any, Fraction, Fraction]]:
    """Each of PyAV's frames, with its start and its duration in seconds."""
    seen = next(frames, None)
    if seen is None:
        return
    pace = max(1, round(1 / (rate * tick)))
    first = start = starting(_stamp(seen), None, pace)
    count = 1
    for frame in frames:
        following = starting(_stamp(frame), start, pace)
        yield seen, start * tick, (following - start) * tick
        seen, start, count = frame, following, count + 1
    mean = Fraction(start - first, count - 1) if count > 1 else pace
    yield seen, start * tick, (seen.duration if seen.duration > 0 else mean) * tick


def starting(stamp: int | None, previous: int | None, pace: int) -> int:
    """The tick at which a frame starts that is stamped so, after one that started at `previous`: always a later one.

    `pace`: ticks from frame to frame. A stamp that is after `previous` stands as it is.
    """
    if previous is None:
        return stamp or 0
    if stamp is None or stamp < previous - pace:
        return previous + pace
    # Half a step lets the times of the frames that follow be right again.
    return stamp if stamp > previous else previous + max(1, pace // 2)


def _stamp(frame: Any) -> int | None:
    stamp: int | None = frame.dts if frame.pts is None else frame.pts
    return stamp


def _rate(stream: Any) -> Fraction:
    told = (stream.average_rate, stream.guessed_rate)
    return next((rate for rate in told if rate is not None and rate > 0), _USUAL_RATE)


def _count(container: Any, stream: Any) -> int | None:
    listed = len([entry for entry in stream.index_entries if entry.size > 0 and not entry.is_discard])
    if container.format.name == "mov":
        return listed or None
    # An AVI counts repeated frames too, which do not come; the others only count what has been read of them.
    return listed if container.format.name == "avi" and listed == stream.frames else None


def _duration(container: Any, stream: Any) -> Fraction | None:
    if stream.duration is not None and stream.duration > 0:
        return Fraction(stream.duration * stream.time_base)
    if container.duration is not None and container.duration > 0:
        return Fraction(container.duration, required("av").time_base)
    return None
