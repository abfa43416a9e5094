"""Two networks side by side: what their first filters look at, and which channels never answer."""

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from oneira.errors import PlanError
from oneira.features.description import describe
from oneira.features.encoder import Encoder
from oneira.features.registry import find_backbone, resolve
from oneira.features.weights.reading import require_file
from oneira.figures.figure import Course, Drawn, Equipment, Figure
from oneira.figures.networks import NamedNetwork, labels_of
from oneira.figures.portrait import DeadUnits, FirstLayer, Portrait
from oneira.figures.watched import pictures_of, watched
from oneira.images import Cell, sheet

GAP = 24  # pixels between columns, and between the parts of one
WHICH = "a network (oneira models), a file of weights of the embedded one's shape, or NETWORK=FILE"


class Compare(Figure):
    """Two networks side by side: first filters and the frequencies that they look at, and how many channels are dead.

    Zeiler and Fergus 2014, section 4.1, found by such figures what to mend in AlexNet's first layers.
    """

    positional: ClassVar[tuple[str, ...]] = ("a", "b")
    rows: ClassVar[str] = "network"

    a: str = Field(description=f"the one: {WHICH}")
    b: str = Field(description="the other, likewise")
    data: Path | None = Field(
        None,
        description="a folder of pictures, or an .npz file, over which channels are watched (default: the few that "
        "come with Oneira, to which many a channel is silent that is not dead)",
    )

    def draw(self, equipment: Equipment) -> Course:
        """A column for each. A channel is dead where no position of any picture is above 0."""
        networks = [NamedNetwork.parse(text) for text in (self.a, self.b)]
        equipment.require_used([each.backbone for each in networks if each.file is None])
        for network in networks:
            if network.file is not None:
                require_file(network.file)
        pictures = pictures_of(self.data)
        encoders = [equipment.encoder({} if each.file is None else {each.backbone: each.file}) for each in networks]
        # Both at first: weights that are not there are told before pictures are watched.
        firsts = [first_layer(encoder, each.backbone) for encoder, each in zip(encoders, networks, strict=True)]
        portraits: list[Portrait] = []
        for network, label, encoder, first in zip(networks, labels_of(networks), encoders, firsts, strict=True):
            names = rectified(encoder, network.backbone)
            addresses = [resolve(f"{network.backbone}:{name}") for name in names.values()]
            responses = yield from watched(encoder, addresses, pictures, self.size, f"watching pictures, {label}")
            layers = tuple(
                DeadUnits(name, responses[address].channels, int(responses[address].dead.sum()))
                for name, address in zip(names, addresses, strict=True)
            )
            seen = f"{responses[addresses[0]].count:,} pictures of {self.size} pixels"
            portraits.append(Portrait(label, first, layers, seen))
        return Drawn(_side_by_side(portraits), {n: row for each in portraits for n, row in each.numbers().items()})


def _side_by_side(portraits: Sequence[Portrait]) -> Tensor:
    """A column for each network, under its name, whose parts begin at the same heights."""
    highest = max(each.highest for each in portraits)
    parts = [each.parts(highest) for each in portraits]
    heights = [max(part.shape[2] for part in row) for row in zip(*parts, strict=True)]
    columns = [
        torch.cat([_on_white(part, height) for part, height in zip(column, heights, strict=True)], 2)
        for column in parts
    ]
    return sheet([[Cell(column) for column in columns]], column_labels=[each.label for each in portraits])


def _on_white(part: Tensor, height: int) -> Tensor:
    """As high as its neighbour, with white beside and below."""
    return F.pad(part, (GAP // 2, GAP // 2, 0, height - part.shape[2] + GAP), value=1.0)


def first_layer(encoder: Encoder, backbone: str) -> FirstLayer:
    """The first convolution of `backbone`, which is loaded; PlanError where it does not look at three colours."""
    encoder.digest(backbone)
    convolutions = ((n, part) for n, part in encoder.networks[backbone].named_modules() if isinstance(part, nn.Conv2d))
    name, first = next(convolutions, ("", None))
    if first is None or first.in_channels != 3:
        raise PlanError(f"{backbone} does not begin with a convolution of three colours, whose filters can be compared")
    return FirstLayer(_called(backbone, name), first.weight.detach().float().cpu(), max(first.stride))


def rectified(encoder: Encoder, backbone: str) -> dict[str, str]:
    """The layers of `backbone`, which is loaded, that are ReLUs and run once, by what papers call them.

    PlanError where there is none: what a network does by functions has no address.
    """
    encoder.digest(backbone)
    parts = dict(encoder.networks[backbone].named_modules())
    described = describe(find_backbone(backbone))
    # Weights of another size than the network is declared with may have fewer layers.
    layers = [about.layer for about in described if isinstance(parts.get(about.layer), nn.ReLU)]
    if not layers:
        raise PlanError(
            f"{backbone} has no ReLU of its own that runs once in a pass, behind which a channel can be dead"
        )
    return {_called(backbone, layer): layer for layer in layers}


def _called(backbone: str, layer: str) -> str:
    """As the papers call it, where they do."""
    aliases = find_backbone(backbone).aliases
    return next((alias for alias, name in aliases.items() if name == layer), layer)
