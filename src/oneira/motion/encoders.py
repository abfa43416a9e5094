"""Frames into .mp4, .mov, .mkv and .webm: the one place that encodes with PyAV."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from oneira.errors import FilmError
from oneira.images.notices import notice
from oneira.motion.containers import Container
from oneira.motion.extra import required
from oneira.motion.reading import Clip
from oneira.motion.sound import Sound

# Always so many: an encoder's bytes depend on it.
_THREADS = 4
# Seconds. Sound that goes on for longer after the last picture belongs to pictures that are not in the film.
_TAIL = Fraction(1)
_USUAL_RATE = Fraction(25)
_MATRIX_OF_BT709 = 1  # AVCOL_SPC_BT709


@dataclass(frozen=True)
class FilmPlan:
    """What a film is before it has a frame: `size` (h, w), seconds of its `clock`, `rate` as players are told."""

    name: str
    container: Container
    size: tuple[int, int]
    clock: Fraction
    rate: Fraction | None
    quality: int
    comment: str | None
    sound: Clip | None


class FilmEncoder:
    """The file of a film, as a context: `add` frames, then `finish`; what is left without that is a stump.

    To begin raises FilmError, in one line, for all that could be refused before there is a frame.
    """

    def __init__(self, path: Path, plan: FilmPlan) -> None:
        self._path, self._plan = path, plan
        self._open = ExitStack()
        self._av = required("av")
        self._durations: dict[int, int] = {}
        self._last: int | None = None
        self._end = self._later = Fraction(0)

    def __enter__(self) -> Self:
        plan = self._plan
        try:
            with self._refusals():
                # By its name, as the index can be put first only by reading the file again; as a URL, so that no name
                # is taken for a protocol.
                output = self._av.open(
                    f"file:{self._path}", "w", format=plan.container.muxer, options=plan.container.muxing(plan.clock)
                )
                self._output = self._open.enter_context(output)
                # No random numbers, no dates.
                self._output.flags |= self._av.container.Flags.bitexact.value
                if plan.comment is not None:
                    self._output.metadata["comment"] = plan.comment
                self._pictures = self._picture_stream()
                self._open_sound()
                self._output.start_encoding()
        except BaseException:
            self._close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._close()

    def add(self, levels: npt.NDArray[np.uint8], start: Fraction, duration: Fraction) -> None:
        """The next frame, (h, w, 3). Raises FilmError where it does not come after the last, or cannot be written."""
        if self._last is None:
            # What is before 0 would not be seen.
            self._later = max(Fraction(0), -start)
        begin, end = (round((time + self._later) / self._plan.clock) for time in (start, start + duration))
        if self._last is not None and begin <= self._last:
            raise FilmError(
                f"cannot write {self._plan.name}: the frame at {float(start):g} s is not after the last one"
            )
        self._last, self._end = begin, start + duration
        self._durations[begin] = max(1, end - begin)
        with self._refusals():
            self._copy_sound(start)
            picture = self._converted(levels)
            picture.pts, picture.time_base = begin, self._plan.clock
            self._write(self._pictures.encode(picture))

    def finish(self) -> None:
        """Write what the encoder kept back, the rest of the sound, and the end of the file."""
        if self._last is None:
            raise FilmError(f"cannot write {self._plan.name}: a film needs at least one frame")
        with self._refusals():
            self._write(self._pictures.encode(None))
            self._copy_sound(self._end + _TAIL)
            if self._sound is not None and next(self._sound.until(None), None) is not None:
                notice(f"{self._plan.name}: the sound goes on for longer than the film, and was cut")
            self._open.close()

    def _picture_stream(self) -> Any:
        plan = self._plan
        plan.container.require_size(plan.name, plan.size)
        plan.container.require_encoder(plan.name)
        stream = self._output.add_stream(plan.container.encoder, rate=plan.rate or _USUAL_RATE)
        stream.height, stream.width = plan.container.stored(plan.size)
        stream.pix_fmt = "yuv420p"  # all that most players know
        stream.time_base = stream.codec_context.time_base = plan.clock
        stream.codec_context.thread_count = _THREADS
        stream.codec_context.options = plan.container.encoding(plan.quality)
        self._tag(stream.codec_context)
        return stream

    def _tag(self, tagged: Any) -> None:
        """Say what the numbers mean: primaries of BT.709, which sRGB shares, its curve, BT.709's matrix, 16 to 235."""
        video = self._av.video.reformatter
        tagged.colorspace, tagged.color_range = _MATRIX_OF_BT709, video.ColorRange.MPEG
        tagged.color_primaries, tagged.color_trc = video.ColorPrimaries.BT709, video.ColorTrc.IEC61966_2_1

    def _converted(self, levels: npt.NDArray[np.uint8]) -> Any:
        height, width = levels.shape[:2]
        below, beside = self._pictures.height - height, self._pictures.width - width
        padded = np.pad(levels, ((0, below), (0, beside), (0, 0)), mode="edge")
        video = self._av.video.reformatter
        ways = video.Interpolation
        picture = self._av.VideoFrame.from_ndarray(padded, format="rgb24").reformat(
            format="yuv420p",
            dst_colorspace=video.Colorspace.ITU709,
            dst_color_range=video.ColorRange.MPEG,
            # Of the colours of all pixels, and the same on every processor.
            interpolation=ways.BICUBIC | ways.FULL_CHR_H_INP | ways.ACCURATE_RND | ways.BITEXACT,
            threads=1,
        )
        self._tag(picture)
        return picture

    def _write(self, packets: list[Any]) -> None:
        for packet in packets:
            packet.duration = self._durations.pop(packet.pts)
            self._output.mux(packet)

    def _open_sound(self) -> None:
        plan, self._sound = self._plan, None
        if plan.sound is not None:
            sound = self._open.enter_context(Sound(plan.sound))
            add = self._output.add_stream_from_template
            self._tracks = {track.index: add(track) for track in sound.templates}
            self._sound = sound

    def _copy_sound(self, until: Fraction) -> None:
        if self._sound is not None:
            for packet in self._sound.until(until):
                later = round(self._later / packet.time_base)
                packet.pts, packet.dts = (None if at is None else at + later for at in (packet.pts, packet.dts))
                packet.stream = self._tracks[packet.stream.index]
                self._output.mux(packet)

    def _close(self) -> None:
        """After an error: that the file is no film then is no news."""
        with suppress(self._av.error.FFmpegError, OSError, ValueError):
            self._open.close()

    @contextmanager
    def _refusals(self) -> Iterator[None]:
        try:
            yield
        except (self._av.error.FFmpegError, OSError, ValueError, MemoryError) as error:
            reason = getattr(error, "strerror", None) or str(error) or "no memory"
            raise FilmError(f"cannot write {self._plan.name}: {reason}") from error
