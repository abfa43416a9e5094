"""Little films, written by PyAV in the way that a test asks for, and what they show."""

from fractions import Fraction

import av
import numpy as np
from av.video.reformatter import VideoReformatter

COLOURS = [
    (255, 0, 0),
    (0, 255, 0),
    (0, 0, 255),
    (255, 255, 255),
    (0, 0, 0),
    (128, 128, 128),
    (200, 100, 50),
    (20, 180, 90),
]
BT709, BT601 = 1, 6  # the numbers of the matrices in ITU-T H.273
LIMITED, FULL = 1, 2
LOSSLESS = {"qp": "0"}


def painted(place, size=(48, 64)):
    """Picture number `place`, (h, w, 3) levels: a bar of each colour, all of them moved on by as many bars.

    The upper half is darker, so that a picture tells which way up it is.
    """
    height, width = size
    bars = np.array(COLOURS, np.uint8)[(np.arange(width) * len(COLOURS) // width + place) % len(COLOURS)]
    levels = np.repeat(bars[None], height, 0)
    levels[: height // 2] //= 2
    return levels


def write_clip(
    path,
    *,
    codec="libx264",
    stamps=range(6),
    size=(48, 64),
    time_base=Fraction(1, 25),
    rate=25,
    pixels="yuv444p",
    matrix=BT601,
    told_matrix=None,
    value_range=LIMITED,
    told_range=None,
    turn=None,
    aspect=None,
    options=LOSSLESS,
    container=None,
    sound=None,
):
    """A film of `painted` pictures, one at each of `stamps`; `sound`: how many seconds of it, as AAC.

    `matrix` and `value_range` are used; `told_matrix` and `told_range` are written into the file.
    """
    with av.open(str(path), "w", options=container or {}) as output:
        stream = output.add_stream(codec, rate=rate, options=options)
        stream.height, stream.width = size
        stream.pix_fmt = pixels
        stream.codec_context.time_base = time_base
        if told_matrix is not None:
            stream.codec_context.colorspace = told_matrix
        if told_range is not None:
            stream.codec_context.color_range = told_range
        if turn is not None:
            stream.set_display_rotation(**turn)
        if aspect is not None:
            stream.codec_context.sample_aspect_ratio = aspect
        humming = sound and output.add_stream("aac", rate=8000, layout="mono")
        for place, stamp in enumerate(stamps):
            frame = coded(painted(place, size), pixels, matrix, value_range)
            frame.pts, frame.time_base = stamp, time_base
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
        if sound:
            hum(output, humming, sound)
    return path


def coded(levels, pixels, matrix, value_range):
    return VideoReformatter().reformat(
        av.VideoFrame.from_ndarray(levels, "rgb24"),
        format=pixels,
        dst_colorspace="ITU709" if matrix == BT709 else "ITU601",
        dst_color_range=value_range,
        interpolation="ACCURATE_RND",
    )


def hum(output, stream, seconds):
    for start in range(0, int(8000 * seconds), 1024):
        times = np.arange(start, start + 1024) / 8000
        frame = av.AudioFrame.from_ndarray(np.sin(2000 * times).astype(np.float32)[None], "fltp", "mono")
        frame.sample_rate, frame.pts, frame.time_base = 8000, start, Fraction(1, 8000)
        output.mux(stream.encode(frame))
    output.mux(stream.encode(None))
