"""The containers that films are written in with PyAV: which encoder, which options, which clock."""

from dataclasses import dataclass
from fractions import Fraction
from io import BytesIO
from typing import Any

import numpy as np

from oneira.errors import FilmError
from oneira.images.notices import shown
from oneira.motion.extra import required
from oneira.motion.reading import Clip
from oneira.motion.sound import Sound

_LONGEST_SIDE = 16_384  # where x264 ends
# FFmpeg holds both parts of a time base in 32 bits, and its MP4 refines clocks that are coarser than this.
_FINEST, _COARSEST = 2**31 - 1, 10_000
# Holds 24, 25, 30, 50 and 60 frames a second, those of television (times 1000/1001), and milliseconds, exactly.
_FINE = Fraction(1, 360_000)
_QUALITIES = (1, 50, 75, 90, 100)


@dataclass(frozen=True)
class Container:
    """A container and the encoder for the pictures in it.

    `crf`: the encoder's constant rate factor at the qualities 1, 50, 75, 90 and 100: pictures suffer about as much as
    in a JPEG of that quality. `even`: whether sides must be, as there is one sample of colour for 2 x 2 pixels.
    """

    extensions: tuple[str, ...]
    muxer: str
    encoder: str
    crf: tuple[int, ...]
    options: dict[str, str]
    even: bool
    is_mp4: bool = False

    def encoding(self, quality: int) -> dict[str, str]:
        """The encoder's options for a quality of 1 to 100."""
        return {**self.options, "crf": str(round(float(np.interp(quality, _QUALITIES, self.crf))))}

    def muxing(self, clock: Fraction) -> dict[str, str]:
        """The muxer's options for times that are told in `clock`."""
        if not self.is_mp4:
            # Sound often begins a little before 0; the pictures would be moved with it.
            return {"avoid_negative_ts": "disabled"}
        # The index first; and where a film does not start at 0, that is told in the clock of the whole movie, which
        # knows milliseconds only if nothing else is said.
        return {"movflags": "+faststart", "movie_timescale": str(_refined(clock.denominator))}

    def stored(self, size: tuple[int, int]) -> tuple[int, int]:
        """The (height, width) in the file of pictures of `size`."""
        height, width = size
        return (height + height % 2, width + width % 2) if self.even else size

    def require_size(self, name: str, size: tuple[int, int]) -> None:
        """FilmError where pictures of `size` (h, w) are too large for it; `name` of the film."""
        if max(size) > _LONGEST_SIDE:
            raise FilmError(
                f"cannot write {name}: {self.encoder} ends at {_LONGEST_SIDE:,} pixels a side; this has {max(size):,}"
            )

    def require_encoder(self, name: str) -> None:
        """FilmError where this PyAV cannot encode for it, as builds without x264 cannot; `name` of the film."""
        av = required("av")
        try:
            av.codec.Codec(self.encoder, "w")
        except av.codec.codec.UnknownCodecError:
            others = sorted({one for known in CONTAINERS if known.encoder != self.encoder for one in known.extensions})
            raise FilmError(
                f"cannot write {name}: PyAV has no encoder {self.encoder} here; allowed: {' '.join(others)} .gif .webp"
            ) from None

    def require_sound(self, name: str, clip: Clip) -> None:
        """FilmError where the sound of `clip` cannot go into it as it is; `name` of the film."""
        av = required("av")
        with Sound(clip) as sound, av.open(BytesIO(), "w", format=self.muxer) as output:
            try:
                for track in sound.templates:
                    output.add_stream_from_template(track)
                if sound.templates:
                    output.start_encoding()
            except (ValueError, av.error.FFmpegError):
                codecs = ", ".join(sorted({track.codec_context.codec.canonical_name for track in sound.templates}))
                raise FilmError(
                    f"cannot write {name}: {self.muxer} does not hold the sound of {shown(clip.path)}, which is"
                    f" {codecs}; name it {'.mkv' if self.is_mp4 else '.mp4 or .mkv'}, or leave the sound out"
                ) from None


# No B-frames: as they are stored out of order, MP4 cannot keep every duration of frames that are not steady, nor that
# of the last. Files become a fifth larger.
_H264: dict[str, Any] = {
    "encoder": "libx264",
    "crf": (51, 31, 23, 17, 1),
    "options": {"preset": "medium", "bf": "0"},
    "even": True,
}
CONTAINERS = (
    Container((".mp4", ".m4v"), "mp4", **_H264, is_mp4=True),
    Container((".mov",), "mov", **_H264, is_mp4=True),
    Container((".mkv",), "matroska", **_H264),
    Container(
        (".webm",),
        "webm",
        "libvpx-vp9",
        crf=(63, 42, 30, 18, 2),
        options={"b": "0", "deadline": "good", "cpu-used": "4", "row-mt": "1"},
        even=False,
    ),
)


def clock_for(time_base: Fraction | None, rate: Fraction | None) -> Fraction:
    """The seconds that times are told in: `time_base`, or such that `rate` frames a second start at whole numbers."""
    if time_base is not None and max(time_base.as_integer_ratio()) <= _FINEST:
        return time_base
    if time_base is None and rate is not None and rate.numerator <= _FINEST // _COARSEST:
        return Fraction(1, _refined(rate.numerator))
    return _FINE


def _refined(ticks: int) -> int:
    """The least multiple of so many ticks a second that is not coarse."""
    return ticks * -(-_COARSEST // ticks)
