"""What excites channels most while their network is being trained (Zeiler and Fergus 2014, figure 4)."""

import json
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import ClassVar, Self

import torch
from pydantic import Field, field_validator, model_validator
from safetensors import SafetensorError, safe_open
from torch import Tensor

from oneira.errors import AddressError, PlanError
from oneira.features.address import Address, split_address
from oneira.features.encoder import Encoder
from oneira.features.registry import find_backbone, resolve
from oneira.features.weights.reading import require_file
from oneira.figures.figure import Course, Drawn, Equipment, Figure, Progress
from oneira.figures.watched import pictures_of, watched
from oneira.images import Cell, sheet
from oneira.inspection.layer_responses import Response
from oneira.inspection.picture_set import PictureSet
from oneira.inspection.projection import project
from oneira.inspection.receptive_box import receptive_box
from oneira.inspection.responses import Responses
from oneira.inspection.rules import Rule
from oneira.inspection.seeds import answer
from oneira.inspection.showing import SILENT_GREY, magnified, shown
from oneira.techniques.channel_numbers import parse_channels
from oneira.techniques.layers import every_layer, meant

SHOWN_SIDE = 112  # pixels of each projection in the figure
GAP = 4  # pixels between a patch and its projection
SPREAD = 5  # layers, where none are named: the paper's network has five

Unit = tuple[Address, int]  # a layer, and a channel of it


class Evolution(Figure):
    """Channels while a network is trained: what of their strongest picture excites them, snapshot by snapshot."""

    rows: ClassVar[str] = "channel"

    checkpoints: tuple[Path, ...] = Field(
        (),
        description="weights of one network, as oneira train backbone --snapshots leaves them: a column for each; may "
        "be repeated",
    )
    data: Path | None = Field(
        None, description="a folder of pictures, or an .npz file (default: the pictures that come with Oneira)"
    )
    model: str = Field("pocket", description="the network that the weights are of (oneira models)")
    layer: tuple[str, ...] = Field(
        (),
        description=f"whose channels are shown; may be repeated (default: {SPREAD}, spread from the first to the last)",
    )
    channels: str | None = Field(
        None, description="these of every layer, such as 17 or 3,7,32-47 (default: --per-layer of them)"
    )
    per_layer: int = Field(
        2, ge=1, le=64, description="how many channels of each layer, drawn by --seed from those that answer in the end"
    )
    patches: bool = Field(False, description="beside each projection, the patch of the picture that it is of")
    rule: Rule = Field("deconvnet", description="what a ReLU lets through on the way back, as in oneira deconv")

    @field_validator("model")
    @classmethod
    def _known(cls, model: str) -> str:
        if not find_backbone(model).own:
            raise ValueError("a network that weights can be loaded into; a registered module has its own")
        return model

    @model_validator(mode="after")
    def _something_to_show(self) -> Self:
        if not self.checkpoints:
            raise ValueError(
                "name weights with --checkpoints, such as the files that oneira train backbone --snapshots leaves"
            )
        if self.channels is not None and self.per_layer != type(self).model_fields["per_layer"].default:
            raise ValueError("--channels stands in place of --per-layer; give one of the two")
        return self

    def draw(self, equipment: Equipment) -> Course:
        """A row for every channel, a column for every file of weights, in the order in which they are named."""
        addresses = self._addresses(equipment)
        equipment.require_used(())  # weights are what --checkpoints name
        for path in self.checkpoints:
            require_file(path)
        pictures = pictures_of(self.data)
        labels = labels_of(self.checkpoints)
        measured: list[Responses] = []
        for path, label in zip(self.checkpoints, labels, strict=True):
            encoder = equipment.encoder({self.model: path})
            stage = f"watching pictures, {label}"
            measured.append((yield from watched(encoder, addresses, pictures, self.size, stage)))
        units = self._units(addresses, measured[-1], equipment.generator)
        rows: list[list[Cell]] = [[] for _ in units]
        # A second time, so that no more than one network is in memory.
        for path, label, responses in zip(self.checkpoints, labels, measured, strict=True):
            encoder = equipment.encoder({self.model: path})
            for done, (unit, row) in enumerate(zip(units, rows, strict=True), 1):
                row.append(self._cell(encoder, pictures, unit, responses[unit[0]].strongest(unit[1])))
                yield Progress(f"projecting, {label}", done, len(units))
        numbers = {_name(unit): _numbers(unit, labels, measured) for unit in units}
        image = sheet(
            rows,
            title=f"{self.rule} of the strongest of {measured[-1][addresses[0]].count:,} pictures",
            row_labels=[_name(unit) for unit in units],
            column_labels=labels,
            cell=2 * SHOWN_SIDE + GAP if self.patches else SHOWN_SIDE,
        )
        return Drawn(image, numbers)

    def _addresses(self, equipment: Equipment) -> list[Address]:
        """Of the layers that are shown; what is wrong with them is told before anything is read."""
        named = meant(self.layer, self.model) or _spread(every_layer(self.model, positions=True))
        addresses = [resolve(":".join(split_address(name, self.model))) for name in named]
        for address in addresses:
            if address.backbone != self.model:
                raise PlanError(f"layer {address} is not of {self.model}, whose weights are compared: name its layers")
            if self.channels is not None:
                parse_channels(self.channels, str(address))
        equipment.encoder().check(addresses, (self.size, self.size))
        return list(dict.fromkeys(addresses))

    def _units(self, addresses: Sequence[Address], last: Responses, generator: torch.Generator) -> list[Unit]:
        """The channels that are shown. Departure from the paper: of those drawn, none is silent in the end."""
        units: list[Unit] = []
        for address in addresses:
            measured = last[address]
            if self.channels is None:
                order = torch.randperm(measured.channels, generator=generator)
                silent = measured.dead[order]
                numbers = sorted(torch.cat([order[~silent], order[silent]])[: self.per_layer].tolist())
            else:
                numbers = parse_channels(self.channels, str(address))
                if max(numbers) >= measured.channels:  # weights of another size than the network is declared with
                    raise AddressError(
                        f"there is no channel {max(numbers)} in {address}, which has {measured.channels}"
                    )
            units += [(address, number) for number in numbers]
        return units

    def _cell(self, encoder: Encoder, pictures: PictureSet, unit: Unit, strongest: tuple[Response, ...]) -> Cell:
        if not strongest:
            return Cell(torch.full((1, 3, SHOWN_SIDE, SHOWN_SIDE), SILENT_GREY), "silent")
        address, channel = unit
        (response,) = strongest
        square = pictures.square(response.picture, self.size).to(encoder.device)
        projection = project(encoder, square, address, partial(answer, channel=channel), self.rule)
        box = receptive_box(address, response.y, response.x, (self.size, self.size))
        drawn = _enlarged(shown(box.crop(projection).cpu()))
        if not self.patches:
            return Cell(drawn)
        patch = _enlarged(box.crop(square).cpu())
        return Cell(torch.cat([patch, torch.ones(1, 3, patch.shape[2], GAP), drawn], 3))


def labels_of(paths: Sequence[Path]) -> list[str]:
    """What to call files of weights: by the epoch that they tell, else by their names; by their paths, if need be."""
    short = {path: _short(path) for path in paths}
    names = list(short.values())
    return [str(path) if names.count(short[path]) > 1 else short[path] for path in paths]


def _short(path: Path) -> str:
    epoch = _epoch(path)
    return path.stem if epoch is None else f"epoch {epoch}"


def _epoch(path: Path) -> int | None:
    """After how many epochs a network was kept, as the file's metadata have it; None where they do not tell."""
    try:
        with safe_open(path, "pt") as file:
            told = json.loads((file.metadata() or {}).get("oneira", "{}"))
    except (SafetensorError, OSError, ValueError, RecursionError):
        return None
    epoch = told.get("epochs") if isinstance(told, dict) else None
    return epoch if isinstance(epoch, int) and not isinstance(epoch, bool) else None


def _spread(layers: Sequence[str]) -> list[str]:
    """At most SPREAD of them, the first and the last among them."""
    count = min(SPREAD, len(layers))
    return [layers[place * (len(layers) - 1) // max(1, count - 1)] for place in range(count)]


def _name(unit: Unit) -> str:
    address, channel = unit
    return f"{split_address(str(address))[1]} {channel}"


def _numbers(unit: Unit, labels: Sequence[str], measured: Sequence[Responses]) -> dict[str, float]:
    """How strong each snapshot's strongest response is, and which picture it is to; 0 and none where it is silent."""
    numbers: dict[str, float] = {}
    for label, responses in zip(labels, measured, strict=True):
        strongest = responses[unit[0]].strongest(unit[1])
        numbers[f"{label} response"] = strongest[0].value if strongest else 0.0
        if strongest:
            numbers[f"{label} picture"] = float(strongest[0].picture)
    return numbers


def _enlarged(picture: Tensor) -> Tensor:
    """At least as large as it is shown, by a whole number: its pixels stay squares."""
    return magnified(picture, max(1, -(-SHOWN_SIDE // max(picture.shape[2:]))))
