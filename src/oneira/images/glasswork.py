"""Leaded glass: a drawing cut into small panes, each of its own piece of uneven glass, held by bars of lead."""

import numpy as np
import numpy.typing as npt

from oneira.images.texture import smooth_noise

Array = npt.NDArray[np.float64]
Indices = npt.NDArray[np.int64]

_THIN = 0.0022  # half the width of the lead between panes; the picture's side is 1


def glaze(
    generator: np.random.Generator, plane: tuple[Array, Array], field: Indices, lead: Array, fields: list[Array]
) -> Array:
    """A window (s, s, 3).

    `plane`: x and y of every pixel, (s, s) each, in [-0.5, 0.5]. `field`: which field of the drawing a pixel belongs
    to; `fields[i]` (n, 3) are the colours that glass of field i may have. `lead`: (s, s) distance to the edge of the
    drawing's own bars, negative inside of them.
    """
    size = len(field)
    pane, border, panes = _panes(generator, plane, across=26)
    depth = np.minimum(lead, border - _THIN) * size  # pixels from the nearest lead
    choice, clarity = generator.random(panes), generator.normal(1, 0.13, panes)
    hue, grain = generator.normal(0, 0.035, (panes, 3)), generator.uniform(0, np.pi, panes)
    colour = np.zeros((size, size, 3))
    for index, colours in enumerate(fields):
        picked = colours[(choice * len(colours)).astype(int)]
        colour = np.where((field == index)[..., None], picked[pane], colour)
    light = clarity[pane] * _glow(depth) * _unevenness(generator, plane, grain[pane])
    bubbles = 0.25 * np.clip(smooth_noise(generator, size, 5) - 2, 0, 1)
    glass = np.clip((colour + hue[pane]) * light[..., None] + bubbles[..., None], 0, 1) ** 0.9
    shown = np.clip(depth + 0.5, 0, 1)[..., None]
    return np.clip(glass * shown + _came(generator, depth) * (1 - shown), 0, 1)


def _glow(depth: Array) -> Array:
    """Glass is brighter away from its lead, where dirt gathers."""
    inside: Array = np.clip(depth, 0, None)
    return 0.66 + 0.62 * (1 - np.exp(-inside / 6))


def _unevenness(generator: np.random.Generator, plane: tuple[Array, Array], grain: Array) -> Array:
    """Streaks along each pane's grain, clouds, and a fine roughness, around 1."""
    size = len(grain)
    wave = (plane[0] * np.cos(grain) + plane[1] * np.sin(grain)) * size * 0.55
    streaks = np.sin(wave + 2.2 * smooth_noise(generator, size, 14))
    clouds, rough = smooth_noise(generator, size, 40), smooth_noise(generator, size, 3)
    return 1 + 0.08 * streaks + 0.10 * clouds + 0.06 * rough


def _came(generator: np.random.Generator, depth: Array) -> Array:
    """Bars of lead, rounded, with light from the upper left."""
    down, right = np.gradient(np.clip(depth, -3, 1))
    grey = 0.06 + 0.2 * np.clip(0.7 * right + 0.7 * down, 0, 1) + 0.03 * smooth_noise(generator, len(depth), 3)
    shade: Array = np.clip(grey, 0.02, 1)[..., None] * np.array([1.0, 0.97, 0.92])
    return shade


def _panes(generator: np.random.Generator, plane: tuple[Array, Array], across: int) -> tuple[Indices, Array, int]:
    """Voronoi cells of a jittered grid: each pixel's cell, its distance to the next cell, and how many there are."""
    margin, side = 3, across + 6
    jitter = generator.random((side, side, 2))
    column, row = (np.floor((axis + 0.5) * across).astype(int) for axis in plane)
    first, second = (np.full(column.shape, np.inf) for _ in range(2))
    pane, next_pane = (np.zeros(column.shape, np.int64) for _ in range(2))
    seeds = (np.stack(np.meshgrid(np.arange(side), np.arange(side)), axis=-1) - margin + jitter) / across - 0.5
    seeds = seeds.reshape(-1, 2)
    for step in range(25):  # the two nearest seeds lie in the 5 x 5 cells around
        rows, columns = row + margin + step // 5 - 2, column + margin + step % 5 - 2
        here = rows.clip(0, side - 1) * side + columns.clip(0, side - 1)
        distance = (plane[0] - seeds[here, 0]) ** 2 + (plane[1] - seeds[here, 1]) ** 2
        nearer, between = distance < first, (distance >= first) & (distance < second)
        second = np.where(nearer, first, np.where(between, distance, second))
        next_pane = np.where(nearer, pane, np.where(between, here, next_pane))
        first, pane = np.where(nearer, distance, first), np.where(nearer, here, pane)
    apart = np.hypot(*(seeds[pane] - seeds[next_pane]).transpose(2, 0, 1))
    return pane, (second - first) / (2 * apart + 1e-9), len(seeds)
