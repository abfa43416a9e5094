"""What an atlas knows: a network's layers, the channels of each, and what every channel is seen to do."""

from dataclasses import dataclass

from oneira.inspection.meanings import Push


@dataclass(frozen=True)
class Strip:
    """The strongest patches of a channel in one picture: `count` squares side by side, the strongest first.

    `path`: as `ChannelEntry.picture`.
    """

    path: str
    count: int


@dataclass(frozen=True)
class Neighbour:
    """Another channel of the same layer, by its index; `likeness` is a cosine, at most 1."""

    channel: int
    likeness: float


@dataclass(frozen=True)
class ChannelEntry:
    """A channel, by its index in the layer.

    `picture`: the file, relative to the atlas's folder, with `/` between its parts; None where no synthesis could wake
    the channel, which is dead where it is not known to fire either. `fires`, `fires_in`: the share, 0 to 1, of
    positions at which it is above 0, and of pictures that have such a position; `highest`: its highest value. These,
    `patches` and `neighbours` are absent where no pictures were given.
    """

    index: int
    picture: str | None
    patches: Strip | None = None
    fires: float | None = None
    fires_in: float | None = None
    highest: float | None = None
    neighbours: tuple[Neighbour, ...] = ()
    pushes: tuple[Push, ...] = ()


@dataclass(frozen=True)
class LayerEntry:
    """A layer as `oneira.features.LayerDescription` tells it, and its channels in the order in which they are shown."""

    name: str
    stride: int | None
    receptive_field: int | None
    channels: tuple[ChannelEntry, ...]


@dataclass(frozen=True)
class Atlas:
    """The layers of `model`, in the order in which they run, and the names of its classes, if it has such.

    `seen`: what the statistics were measured over, such as `1,000 pictures of photos/`; empty where nothing was.
    """

    model: str
    layers: tuple[LayerEntry, ...]
    classes: tuple[str, ...] = ()
    seen: str = ""
