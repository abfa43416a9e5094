"""What projections show of a network whose weights are made random, layer by layer (Adebayo et al. 2018, figure 2)."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import ClassVar, Self

import torch
from pydantic import Field, field_validator, model_validator
from torch import Tensor

from oneira.errors import AddressError, PlanError
from oneira.features.address import Address, split_address
from oneira.features.backbones.classes import find_class
from oneira.features.description import before_relu, describe
from oneira.features.encoder import Encoder
from oneira.features.registry import find_backbone, resolve
from oneira.figures.figure import Course, Drawn, Equipment, Figure, Progress
from oneira.images import Cell, Picture, fit, resize, sheet
from oneira.inspection.negative_control import randomised, rank_correlation
from oneira.inspection.projection import project, smooth_gradient
from oneira.inspection.rules import Rule
from oneira.inspection.seeds import require_channel, unit
from oneira.inspection.showing import SILENT_GREY, magnified, shown
from oneira.objectives.classes import seen_classes
from oneira.techniques import ImagePath, located
from oneira.techniques.channel_numbers import parse_channels
from oneira.techniques.layers import every_layer

SMOOTHED = "smoothgrad"
RULES: tuple[tuple[str, Rule], ...] = (
    ("gradient", "gradient"),
    (SMOOTHED, "gradient"),
    ("guided", "guided"),
    ("deconvnet", "deconvnet"),
)
SHOWN_SIDE = 256  # pixels, about, that small pictures are enlarged to
COMPARED = "below, Spearman's rank correlation of absolute values with the trained network's picture"


@dataclass(frozen=True)
class Unit:
    """What is asked about: a class, or a channel at all its positions alike; what to call it."""

    channel: int
    name: str


class Sanity(Figure):
    """What a picture's projections owe to training: the network's weights are made random, from the last layers down.

    Departure from the paper: weights are drawn as `randomised` does, and channels may be asked about, too.
    """

    positional: ClassVar[tuple[str, ...]] = ("picture",)
    rows: ClassVar[str] = "rule"

    picture: ImagePath = Field("sample:cat", description="what the network looks at (a file, or sample:NAME)")
    # The embedded network has learned from small pictures: of the cat, larger, it makes a nail.
    size: int = Field(128, ge=16, le=4096, description="long side that the network sees, in pixels")
    model: str = Field("pocket", description="the network (oneira models)")
    class_: str | None = Field(
        None, description="ask about this class, by name or number (default: the one that the network sees most)"
    )
    layer: str | None = Field(None, description="ask about channels of this layer, not about a class")
    channels: str | None = Field(
        None, description="which of --layer, such as 17 or 3,7 (default: the one that answers most strongly)"
    )
    behind: tuple[str, ...] = Field(
        (),
        description="a column with random weights in all layers that run after this one; may be repeated (default: the "
        "last of every stride, from the last to the first)",
    )
    samples: int = Field(16, ge=0, le=1000, description="pictures with noise for SmoothGrad's row; 0: no such row")

    @field_validator("model")
    @classmethod
    def _known(cls, model: str) -> str:
        find_backbone(model)
        return model

    @model_validator(mode="after")
    def _one_question(self) -> Self:
        if self.class_ is not None and self.layer is not None:
            raise ValueError("--class and --layer ask about different things; give one of the two")
        if self.channels is not None and self.layer is None:
            raise ValueError("--channels are those of a layer: name it with --layer")
        return self

    def draw(self, equipment: Equipment) -> Course:
        """A row for every rule, a column for every depth.

        What is random stays as it is when layers are added. Every column is asked about the same channel, before its
        ReLU, behind which it might be silent, and sees the same noise. A channel is asked about as a class is, at all
        positions: what comes back from one position is 0 beyond what that sees, and so alike whatever the weights.
        """
        asked = self._asked()
        address = self._before(asked)
        depths = self._depths(address)
        numbers = self._numbers(asked)
        equipment.require_used([self.model])
        encoder = equipment.encoder()
        picture = Picture.open(located(self.picture)).image
        picture = resize(picture, fit(picture.shape[2], picture.shape[3], self.size)).to(encoder.device)
        encoder.check([address], (picture.shape[2], picture.shape[3]))
        units = self._units(encoder, picture, address, numbers)
        rules = [each for each in RULES if self.samples or each[0] != SMOOTHED]
        rows = [(each, *named) for each in units for named in rules]
        columns: list[list[Tensor]] = []
        for place, depth in enumerate((None, *depths)):
            looking = encoder if depth is None else randomised(encoder, depth, equipment.generator)
            columns.append([])
            for each, name, rule in rows:
                samples = self.samples if name == SMOOTHED else 0
                projected = _projected(looking, picture, address, each, rule, samples, equipment.generator)
                columns[-1].append(projected.cpu())
                yield Progress("projecting", place * len(rows) + len(columns[-1]), len(rows) * (1 + len(depths)))
        names = [name if len(units) == 1 else f"{name}, {each.name}" for each, name, _ in rows]
        labels = [f"random behind {_layer(depth)}" for depth in depths]
        told = ", ".join(each.name for each in units)
        about = f"{self.model}'s class {told}" if self.layer is None else f"{_layer(asked)} {told}"
        return _compared(columns, names, labels, f"{about}: {COMPARED}")

    def _asked(self) -> Address:
        """The layer that is asked about."""
        if self.layer is None:
            logits = find_backbone(self.model).logits
            if not logits:
                raise AddressError(f"{self.model} does not say which layer holds its classes' logits: name a --layer")
            return resolve(f"{self.model}:{logits}")
        return self._of_the_model(self.layer)

    def _before(self, asked: Address) -> Address:
        """What it is before what has no weights: of channels, before their ReLU; of classes, as weights give them.

        SqueezeNet rectifies and averages what its last convolution gives.
        """
        if self.layer is not None:
            before = before_relu(asked)
            return asked if before is None else resolve(before)
        backbone = find_backbone(self.model)
        with torch.device("meta"):
            parts = dict(backbone.build().named_modules())
        order = [about.layer for about in describe(backbone)]
        until = order[: order.index(asked.layer) + 1] if asked.layer in order else []
        weighing = [layer for layer in until if next(parts[layer].parameters(recurse=False), None) is not None]
        return resolve(f"{self.model}:{weighing[-1]}") if weighing else asked

    def _of_the_model(self, layer: str) -> Address:
        found = resolve(":".join(split_address(layer, self.model)))
        if found.backbone != self.model:
            raise PlanError(f"layer {found} is not of {self.model}, which is looked into: name its layers, or --model")
        return found

    def _depths(self, address: Address) -> list[Address]:
        """The layers behind which weights are random, as columns have them; all run before `address`."""
        described = describe(find_backbone(self.model))
        order = [about.layer for about in described]
        # What runs more than once has no place; the encoder tells so of what is asked about.
        earlier = order[: order.index(address.layer)] if address.layer in order else order
        if self.behind:
            depths = [self._of_the_model(layer) for layer in self.behind]
            for depth in depths:
                if depth.layer not in earlier:
                    raise PlanError(f"--behind {depth}: {address} does not run after it, and would not change")
            return list(dict.fromkeys(depths))
        strides = {about.layer: about.stride for about in described}
        usual = [self._of_the_model(layer) for layer in every_layer(self.model, positions=True)]
        last = {strides[depth.layer]: depth for depth in usual if depth.layer in earlier}
        if not last:
            raise PlanError(f"nothing that could be random runs before {address}: ask about a later layer")
        return list(reversed(last.values()))

    def _numbers(self, asked: Address) -> list[int] | None:
        """The channels, or the class, that are named; None where none is."""
        if self.channels is not None:
            return parse_channels(self.channels, str(asked))
        return None if self.class_ is None else [find_class(find_backbone(self.model), self.class_)]

    def _units(self, encoder: Encoder, picture: Tensor, address: Address, numbers: list[int] | None) -> list[Unit]:
        """What is asked about: what is named, else what the trained network answers to most strongly."""
        with torch.no_grad():
            activations = encoder(picture, [address])[address].float().cpu()
        if activations.ndim not in (2, 4):
            raise PlanError(f"{address} has no channels: its activations are {tuple(activations.shape)}; name another")
        if self.layer is None:
            numbers = numbers or seen_classes(encoder, picture, self.model)
        elif numbers is None:
            numbers = [int(activations[0].reshape(activations.shape[1], -1).amax(1).argmax())]
        names = self._classes(activations.shape[1]) if self.layer is None else None
        for number in numbers:
            require_channel(activations, number)
        return [Unit(n, str(n) if names is None else names[n].partition(",")[0]) for n in numbers]

    def _classes(self, count: int) -> Sequence[str] | None:
        """The names of the classes; None where they are not known. Weights of another size may be of other classes."""
        backbone = find_backbone(self.model)
        names = None if backbone.classes is None else backbone.classes()
        if names is None or len(names) == count:
            return names
        if self.class_ is not None and not self.class_.strip().isdecimal():
            raise AddressError(
                f"{self.model} names {len(names)} classes, but these weights have {count}; give the class's number"
            )
        return None


def _layer(address: Address) -> str:
    return split_address(str(address))[1]


def _projected(
    encoder: Encoder, picture: Tensor, address: Address, asked: Unit, rule: Rule, samples: int, noise: torch.Generator
) -> Tensor:
    """(1, 3, h, w); the mean over as many `samples` with noise, without where there are none."""
    seed = partial(unit, channel=asked.channel)
    if not samples:
        return project(encoder, picture, address, seed, rule)
    return smooth_gradient(encoder, picture, address, seed, generator=noise, rule=rule, samples=samples)


def _compared(columns: list[list[Tensor]], names: Sequence[str], labels: Sequence[str], title: str) -> Drawn:
    """Pictures by depth, the trained network's first, and then by row, as a sheet."""
    numbers: dict[str, dict[str, float]] = {}
    rows: list[list[Cell]] = []
    for name, trained, *others in zip(names, *columns, strict=True):
        alike = [rank_correlation(trained, other) for other in others]
        rows.append([_cell(trained), *(_cell(*pair) for pair in zip(others, alike, strict=True))])
        numbers[name] = {label: each for label, each in zip(labels, alike, strict=True) if not math.isnan(each)}
    return Drawn(sheet(rows, title=title, row_labels=names, column_labels=["trained", *labels]), numbers)


def _cell(projection: Tensor, alike: float | None = None) -> Cell:
    if not bool(projection.any()):
        return Cell(_enlarged(torch.full_like(projection, SILENT_GREY)), "nothing comes back")
    # Where nothing comes back from the trained network, there is nothing to be like.
    return Cell(_enlarged(shown(projection)), "" if alike is None or math.isnan(alike) else f"{alike:.2f}")


def _enlarged(picture: Tensor) -> Tensor:
    return magnified(picture, max(1, round(SHOWN_SIDE / max(picture.shape[2:]))))
