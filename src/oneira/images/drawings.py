"""Two pictures drawn by program, so that there is always something to take a style from.

Both are functions of a seed: the same seed gives the same picture, to within rounding, on every machine.
"""

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from oneira.images.brushwork import Brush, paint
from oneira.images.glasswork import glaze
from oneira.images.texture import smooth_noise

Array = npt.NDArray[np.float64]

# From the depth of the night to the heart of a star.
_NIGHT = np.array(
    [
        (0.03, 0.04, 0.15),
        (0.05, 0.11, 0.36),
        (0.09, 0.25, 0.62),
        (0.17, 0.47, 0.76),
        (0.47, 0.74, 0.78),
        (0.93, 0.92, 0.70),
        (0.99, 0.80, 0.22),
        (0.95, 0.52, 0.09),
        (0.80, 0.22, 0.08),
    ]
)
_ACCENTS = np.array([(0.80, 0.25, 0.12), (0.10, 0.42, 0.34), (0.36, 0.20, 0.52), (0.96, 0.70, 0.20)])
# x, y, radius, and which way it turns; the picture's side is 1.
_STARS = (
    (0.70, 0.27, 0.150, 1),
    (0.25, 0.36, 0.115, -1),
    (0.58, 0.70, 0.100, -1),
    (0.88, 0.90, 0.085, 1),
    (0.12, 0.78, 0.075, 1),
    (0.90, 0.60, 0.060, 1),
    (0.33, 0.90, 0.060, -1),
    (0.40, 0.09, 0.050, 1),
    (0.08, 0.10, 0.050, -1),
)
_BRUSHES = (Brush(width=14, spacing=13, length=90), Brush(width=8, spacing=8, length=66), Brush(4.6, 8, 46))

_GLASS = {
    "ruby": (0.84, 0.06, 0.10),
    "amber": (0.97, 0.56, 0.05),
    "gold": (1.00, 0.84, 0.30),
    "emerald": (0.05, 0.48, 0.30),
    "cobalt": (0.04, 0.24, 0.68),
    "violet": (0.40, 0.09, 0.50),
    "sky": (0.12, 0.62, 0.76),
}
# The fields of the rose, by how many of its twelve circles cover them (0 to 6), then heart, star, rim and surround.
_ROSE = (
    "cobalt cobalt violet",
    "ruby ruby violet",
    "amber gold",
    "cobalt sky",
    "ruby violet",
    "emerald emerald sky",
    "gold amber",
    "cobalt sky",
    "gold amber",
    "gold amber",
    "cobalt violet cobalt emerald",
)
_HEART, _STAR, _RIM, _SURROUND = range(7, 11)


def night_wind(seed: int = 7, size: int = 512) -> Tensor:
    """A night sky in thick oil paint, (1, 3, size, size): the wind turns round every star, and strokes follow it."""
    generator = np.random.default_rng(seed)
    y, x = np.mgrid[:size, :size] / size
    # The wind blows along the lines on which `stream` is constant, as it does in every flow without springs.
    stream = 0.30 * y + 0.045 * smooth_noise(generator, size, 0.30 * size)
    stream += 0.011 * smooth_noise(generator, size, 0.11 * size)
    tone = 0.27 + 0.12 * smooth_noise(generator, size, 0.22 * size)
    for across, down, radius, turn in _STARS:
        distance = np.hypot(x - across, y - down) / radius
        stream += turn * 2.6 * radius * np.exp(-((distance / 1.25) ** 2))
        glow = np.exp(-(distance**2.4))
        tone = tone * (1 - glow) + glow * (0.93 - 0.42 * distance + 0.10 * np.cos(7 * distance))
    bands = 0.11 * np.sin(62 * stream) + 0.06 * np.sin(151 * stream)
    tone += bands * np.where(tone < 0.55, 1, 0.5) + 0.03 * generator.standard_normal(tone.shape)
    flow = np.stack([np.gradient(stream, axis=0), -np.gradient(stream, axis=1)], axis=-1)
    flow /= np.linalg.norm(flow, axis=-1, keepdims=True) + 1e-9
    colour = _with_accents(generator, _between(_NIGHT, tone))
    return _image(paint(generator, colour.astype(np.float32), flow.astype(np.float32), _BRUSHES))


def rose_window(seed: int = 11, size: int = 512) -> Tensor:
    """A round church window of leaded glass, (1, 3, size, size): twelve circles through one point, cut into panes."""
    generator = np.random.default_rng(seed)
    y, x = np.mgrid[:size, :size] / size - 0.5
    # No line that a hand drew is straight.
    x = x + 0.0035 * smooth_noise(generator, size, 0.08 * size)
    y = y + 0.0035 * smooth_noise(generator, size, 0.08 * size)
    radius, angle = np.hypot(x, y), np.arctan2(y, x)
    twelfths = np.arange(12) * (np.pi / 6)
    petals = np.hypot(x - 0.235 * np.cos(twelfths)[:, None, None], y - 0.235 * np.sin(twelfths)[:, None, None]) - 0.235
    star = radius - (0.075 + 0.035 * np.cos(8 * angle))
    heart, rim = radius < 0.115, radius > 0.47
    field = (petals < 0).sum(axis=0)
    field = np.where(heart, np.where(star < 0, _STAR, _HEART), field)
    field = np.where(rim, np.where(radius > 0.5, _SURROUND, _RIM), field)
    lead = np.where(heart, 0.8 * np.abs(star), np.abs(petals).min(axis=0))
    lead = np.where(rim, np.abs(radius - 0.5), lead)
    lead = np.minimum(np.minimum(lead, np.abs(radius - 0.115)), np.abs(radius - 0.47)) - 0.0045
    fields = [np.array([_GLASS[glass] for glass in names.split()]) for names in _ROSE]
    window = glaze(generator, (x, y), field, lead, fields)
    return _image(np.clip(window * (1.15 - 0.4 * radius)[..., None], 0, 1))


def _between(colours: Array, tone: Array) -> Array:
    """Colours (n, 3) read off at `tone` (h, w), where 0 is the first of them and 1 the last: (h, w, 3)."""
    place = np.clip(tone, 0, 1) * (len(colours) - 1)
    return np.stack([np.interp(place, np.arange(len(colours)), channel) for channel in colours.T], axis=-1)


def _with_accents(generator: np.random.Generator, colour: Array) -> Array:
    """Here and there a stroke of another colour altogether, in flocks."""
    size = len(colour)
    flocks = smooth_noise(generator, size, 0.06 * size) > 0.3
    chosen = _ACCENTS[generator.integers(0, len(_ACCENTS), (size, size))]
    return np.where((flocks & (generator.random((size, size)) < 0.05))[..., None], chosen, colour)


def _image(pixels: npt.NDArray[np.floating]) -> Tensor:
    """(h, w, 3) -> (1, 3, h, w)."""
    return torch.from_numpy(np.ascontiguousarray(pixels.astype(np.float32).transpose(2, 0, 1))[None])
