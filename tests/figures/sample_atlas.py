"""An atlas of three layers of patterns, with a dead channel in each, and classes that channels push."""

from pathlib import Path

import numpy as np
import torch

from oneira.features.backbones.classes import pocket_classes
from oneira.figures.atlas.entries import Atlas, ChannelEntry, LayerEntry, Neighbour, Push, Strip
from oneira.figures.atlas.pictures import save_patches, save_picture

CHANNELS, DEAD, PUSHED = 40, 11, 5
GOLDFISH = 0
LAYERS = (("relu2_2", 2, 14), ("relu3_4", 4, 48), ("odd <b>layer</b> 100%/?#:1", None, None))


def texture(number: int, side: int) -> torch.Tensor:
    """Two waves in two colours, (1, 3, side, side)."""
    random = np.random.default_rng(number)
    across, down = np.meshgrid(np.linspace(0, 1, side), np.linspace(0, 1, side))
    waves = [np.sin(30 * random.random() * across + 30 * random.random() * down) for _ in range(2)]
    colours = random.random((2, 3))
    mixed = 0.5 + 0.25 * sum(wave[None] * colour[:, None, None] for wave, colour in zip(waves, colours, strict=True))
    return torch.from_numpy(np.asarray(mixed)).float()[None]


def layer_entry(folder: Path, place: int, name: str, stride: int | None, field: int | None) -> LayerEntry:
    """A few files serve all channels."""
    pictures = [save_picture(folder, place, name, index, texture(10 * place + index, 40)) for index in range(4)]
    strip = save_patches(folder, place, name, 0, torch.cat([texture(at, 20) for at in range(9)]))
    entries = tuple(channel_entry(place, index, pictures[index % 4], strip) for index in range(CHANNELS))
    return LayerEntry(name, stride, field, entries)


def channel_entry(place: int, index: int, picture: str, strip: Strip) -> ChannelEntry:
    if index == DEAD:
        return ChannelEntry(index, None, fires=0.0, fires_in=0.0, highest=0.0)
    return ChannelEntry(
        index,
        picture,
        strip,
        fires=(index + 1) / 100,
        fires_in=0.75,
        highest=3.5 + index,
        neighbours=tuple(Neighbour((index + step) % 10, 1 - step / 10) for step in range(1, 6)),
        pushes=pushes(place, index),
    )


def pushes(place: int, index: int) -> tuple[Push, ...]:
    """Every fifth channel pushes the goldfish most, the later the harder."""
    others = [1 + (7 * index + 3 * at) % 60 for at in range(PUSHED)]
    numbers = [GOLDFISH, *others[1:]] if index % 5 == 0 else others
    return tuple(Push(number, index + 0.01 * place + 1 / (at + 1)) for at, number in enumerate(numbers))


def sample_atlas(site_folder: Path) -> Atlas:
    """Its pictures are written into `site_folder`."""
    layers = tuple(layer_entry(site_folder, place, *layer) for place, layer in enumerate(LAYERS))
    return Atlas("pocket", layers, pocket_classes(), "9 <i>pictures</i>")
