"""Painting with strokes: bristles that follow a flow, layer over layer, lit from one side like thick oil paint."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float32]

_POINTS = 6  # of the polyline that a stroke is


@dataclass(frozen=True)
class Brush:
    """Half of a stroke's width, how far apart strokes start, and their length; in 512ths of the picture's side."""

    width: float
    spacing: float
    length: float


def paint(generator: np.random.Generator, colour: Array, flow: Array, brushes: Iterable[Brush]) -> Array:
    """A painting (s, s, 3) of `colour` (s, s, 3), along the unit vectors `flow` (s, s, 2: x, y), brush after brush."""
    size = len(flow)
    canvas, thickness = colour.astype(np.float32), np.zeros((size, size), np.float32)
    for brush in brushes:
        for start in _starts(generator, size, brush.spacing * size / 512):
            length, width = generator.uniform(0.6, 1.2) * brush.length, generator.uniform(0.7, 1.25) * brush.width
            path = _follow(flow, start, length * size / 512)
            _stroke(generator, canvas, thickness, colour, path, width * size / 512)
    down, right = np.gradient(thickness)
    light = np.clip(1 - 0.3 * (right + down), 0.6, 1.45)
    lit: Array = np.clip(canvas * light[..., None], 0, 1)
    return lit


def _starts(generator: np.random.Generator, size: int, spacing: float) -> npt.NDArray[np.float64]:
    """Points (n, 2: x, y) of a jittered grid that begins outside of the picture, in a random order."""
    cells = np.arange(-3, int(size / spacing) + 3)
    grid = np.stack(np.meshgrid(cells, cells), axis=-1).reshape(-1, 2)
    starts = (grid + generator.random(grid.shape)) * spacing
    generator.shuffle(starts)
    return starts


def _follow(flow: Array, start: npt.NDArray[np.float64], length: float) -> Array:
    """Points (n, 2: x, y) from `start` down the flow."""
    path = [start]
    for _ in range(_POINTS - 1):
        column, row = np.clip(path[-1].astype(int), 0, len(flow) - 1)
        path.append(path[-1] + flow[row, column] * (length / _POINTS))
    return np.array(path, np.float32)


def _stroke(
    generator: np.random.Generator, canvas: Array, thickness: Array, colour: Array, path: Array, width: float
) -> None:
    """Lay one stroke on the canvas, in the colour a third of the way along it."""
    bristles = generator.standard_normal(int(5 + 1.4 * width))
    tint, lightness = generator.normal(0, 0.018, 3), generator.uniform(0.84, 1.14)
    left, top = np.maximum(np.floor(path.min(axis=0) - width).astype(int), 0)
    right, bottom = np.minimum(np.ceil(path.max(axis=0) + width).astype(int) + 1, len(canvas))
    if left >= right or top >= bottom:
        return
    along, across = _coordinates(np.arange(left, right), np.arange(top, bottom), path, width)
    touched = np.nonzero(np.abs(across) * width < width + 1)
    along, across = along[touched], across[touched]
    hair = np.interp(across, np.linspace(-1, 1, len(bristles)), bristles).astype(np.float32)
    middle = np.square(2 * along - 1)
    taper = np.sqrt(np.clip(1 - middle * middle * middle, 0, 1)) * (1 - 0.4 * along)
    dry = np.clip(1.5 - 1.2 * along + 0.5 * hair, 0, 1)  # the brush runs out of paint, hair by hair
    cover = 0.95 * dry * np.clip((taper - np.abs(across)) * width + 0.5, 0, 1)
    column, row = np.clip(path[_POINTS // 3].astype(int), 0, len(canvas) - 1)
    mixed = (colour[row, column] * lightness + tint).astype(np.float32)
    shaded = mixed * (1 + 0.11 * hair - 0.15 * across)[:, None]
    ridge = 0.5 * np.clip(1 - across * across, 0, 1) + 0.35 * hair + 0.5 * (np.abs(across) > 0.7)
    here = (touched[0] + top, touched[1] + left)
    canvas[here] += cover[:, None] * (shaded - canvas[here])
    thickness[here] += cover * (ridge - thickness[here])


def _coordinates(
    columns: npt.NDArray[np.int64], rows: npt.NDArray[np.int64], path: Array, width: float
) -> tuple[Array, Array]:
    """Where pixels lie on a stroke: along it in [0, 1], and across it, where -1 and 1 are its edges."""
    legs = np.diff(path, axis=0)
    right = columns.astype(np.float32)[None, :, None] - path[:-1, 0]
    down = rows.astype(np.float32)[:, None, None] - path[:-1, 1]
    along = np.clip((right * legs[:, 0] + down * legs[:, 1]) / (legs**2).sum(axis=-1), 0, 1)
    right, down = right - along * legs[:, 0], down - along * legs[:, 1]
    distance = right * right + down * down
    nearest = distance.argmin(axis=-1)
    here = (*np.indices(nearest.shape, sparse=True), nearest)
    side = np.sign(legs[nearest, 0] * down[here] - legs[nearest, 1] * right[here])
    return (nearest + along[here]) / np.float32(len(legs)), np.sqrt(distance[here]) * side / np.float32(width)
