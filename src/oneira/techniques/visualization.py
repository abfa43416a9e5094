"""Feature visualization: what a channel, a unit, a class or a direction wants to see (Olah et al. 2017)."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import islice
from types import MappingProxyType
from typing import ClassVar, Self

import torch
from pydantic import Field, model_validator
from torch import Tensor

from oneira.errors import PlanError
from oneira.features.address import split_address
from oneira.images import Cell, in_rows, sheet, stacked
from oneira.inspection import FeatureMaps, Filters, Study
from oneira.inspection.showing import SILENT_GREY
from oneira.objectives import Alignment, AlphaNorm, Diversity, Only, Sum, Term, TotalVariation, parse_place
from oneira.objectives.firing import NOTHING
from oneira.synthesis.carrying import Anew
from oneira.synthesis.plan import Plan
from oneira.synthesis.run import Run
from oneira.synthesis.schedules import Scale, Schedule, journey
from oneira.synthesis.steps import Outcome
from oneira.techniques.channel_numbers import parse_channels
from oneira.techniques.presets import Preset
from oneira.techniques.refusals import option_name
from oneira.techniques.technique import ImagePath
from oneira.techniques.visualizing.drawing import TRANSFORMS, Drawing
from oneira.techniques.visualizing.presets import PRESETS
from oneira.techniques.visualizing.subjects import CLASSES, Subject

SILENT = 1e-4  # of the activation after all steps: a channel that stays as near to 0 is dead
DEAD = " (dead)"  # after its caption
ASLEEP = " (not woken)"  # after that of one that is not: it fired in a picture
ACROSS = 8  # pictures beside each other of channels that fire, so that their order is seen
FOUND_OTHERWISE = ("channels", "class_", "direction", "like", "maps", "filters")  # what --fires stands in place of


class Visualization(Drawing):
    """Draw what parts of a network want to see: channels, units, classes, directions."""

    presets: ClassVar[Mapping[str, Preset]] = PRESETS
    also_called: ClassVar[Mapping[str, str]] = MappingProxyType({"layer": "--layers"})

    size: int = Field(128, ge=16, le=4096, description="side of each picture, in pixels")
    maps: ImagePath | None = Field(
        None, description="a picture: show where channels answer to it (those that do most), in place of what they want"
    )
    filters: bool = Field(False, description="show the filters of the network's first layer as they are, instead")
    diversity: int = Field(1, ge=1, le=64, description="how many pictures of each, as different as can be")
    diversity_weight: float = Field(
        2.0, gt=0, description="with --diversity: how much they differ; louder layers take more, faint ones less"
    )

    interpolate: int | None = Field(
        None, ge=3, le=64, description="this many pictures that lead from the first of two subjects to the second"
    )
    alignment: float = Field(
        0.3, ge=0, description="with --interpolate: how much neighbours keep in place what they share"
    )

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if self.interpolate is not None and self.diversity > 1:
            raise ValueError("--interpolate leads from one subject to another, --diversity away from one: choose one")
        somewhere = self.at is not None and parse_place(self.at) != (None, None)
        if somewhere and (self.transforms == "robust" or len(self.steps) > 1):
            raise ValueError(
                "--at ROW,COLUMN is a place in one grid, which robust transforms and smaller sizes change: "
                "give --transforms shift and one number of --steps, or --at middle"
            )
        return self

    @model_validator(mode="after")
    def _by_likeness(self) -> Self:
        self.require_alone("channels", "direction", "maps", "filters")
        return self

    @model_validator(mode="after")
    def _found_by_looking(self) -> Self:
        for name in FOUND_OTHERWISE if self.fires is not None else ():
            if getattr(self, name) != type(self).model_fields[name].default:
                raise ValueError(f"--fires stands in place of {option_name(name)}; give one of the two")
        return self

    @classmethod
    def verb(cls) -> str:
        """What is done, as for all verbs."""
        return "visualize"

    def plan(self) -> Plan | Study:
        """As many pictures at once as a batch holds, one batch after the other; or what is there to be shown."""
        if self.filters:
            return Filters(self.model)
        if self.maps is not None:
            return self._maps(self.maps)
        groups = list(self._groups())
        count = max(len(group) for _, group in groups)
        legs = [self._leg(name, group, count, anew=bool(number)) for number, (name, group) in enumerate(groups)]
        return Plan(
            self.blank(self.size, count),
            self._objective(groups[0][1], count),
            journey(legs),
            TRANSFORMS[self.transforms],
            self.climber(),
            collects=True,
            tending=self.tending(),
        )

    def finished(self, run: Run) -> Tensor:
        """The picture, or all of them as a sheet, those of channels that never answered as plain tiles."""
        if self.filters or self.maps is not None:
            return run.image
        if not run.outcomes:
            if len(run.image) == 1:
                return run.image
            return sheet(in_rows([Cell(each) for each in run.image.split(1)]))
        cells = [
            (subject, self._cell(index, subject, run.outcomes[name]))
            for name, group in self._groups()
            if name in run.outcomes
            for index, subject in enumerate(group)
        ]
        if self.fires is not None:
            return stacked(self.marked_picture(self.fires), self._sheet(cells))
        if len(cells) == 1 and (only := cells[0][1]).image is not None and not only.caption.endswith(DEAD):
            return only.image
        return self._sheet(cells)

    def group(self, stage: str) -> list[Subject]:
        """What the pictures of the batch that ends as `stage` are of, in order."""
        return dict(self._groups())[stage]

    def _sheet(self, cells: Sequence[tuple[Subject, Cell]]) -> Tensor:
        """Every layer's pictures, with its name; of channels that fire, how many do, where more are asked for."""
        rows: list[list[Cell]] = []
        labels: list[str] = []
        for row in dict.fromkeys(subject.row for subject, _ in cells):
            every = [cell for subject, cell in cells if subject.row == row]
            shown = [cell for cell in every if cell.image is not None]
            lines = in_rows(shown, self._columns(len(shown)))
            few = f": {len(shown) // self.diversity} fire" if len(shown) < len(every) else ""
            rows += lines
            labels += [f"{_short(row, self.model)}{few}", *[""] * (len(lines) - 1)]
        told = self.fires is not None or len(set(labels)) > 1
        return sheet(rows, row_labels=labels if told else ())

    def _columns(self, count: int) -> int:
        """About as many as rows; the pictures of one subject stay together."""
        if self.fires is not None:
            return max(1, ACROSS // self.diversity) * self.diversity
        return math.ceil(math.ceil(math.sqrt(count)) / self.diversity) * self.diversity

    def _maps(self, path: str) -> FeatureMaps:
        layers = self.layers()
        channels = () if self.channels is None else tuple(parse_channels(self.channels, layers[0]))
        return FeatureMaps(self.seen(path), layers, channels)

    def _groups(self) -> Iterator[tuple[str, list[Subject]]]:
        """What is drawn at once, and its name: of one subject, the pictures that are to differ; of two, the way."""
        if self.interpolate is not None:
            yield self._way(self.subjects(), self.interpolate)
            return
        if self.diversity > 1:
            for subject in self.subjects():
                yield f"{_short(subject.row, self.model)} {subject.caption}", [subject] * self.diversity
            return
        subjects = iter(self.subjects())
        while group := list(islice(subjects, self.batch)):
            first, last = group[0], group[-1]
            name = f"{_short(first.row, self.model)} {first.caption}"
            if last is not first:
                rest = "" if last.row == first.row else f"{_short(last.row, self.model)} "
                name = f"{name} to {rest}{last.caption}"
            yield name, group

    def _way(self, subjects: Sequence[Subject], count: int) -> tuple[str, list[Subject]]:
        if len(subjects) != 2:
            raise PlanError(f"--interpolate leads from one subject to another: name two, not {len(subjects)}")
        one, other = subjects
        wakes = one.waking is not None or other.waking is not None
        between = [
            Subject(
                one.row,
                f"{share:.0%}",
                (1 - share) * one.term + share * other.term,
                (1 - share) * (one.waking or one.term) + share * (other.waking or other.term) if wakes else None,
            )
            for share in (step / (count - 1) for step in range(count))
        ]
        return f"{one.caption} to {other.caption}", between

    def _leg(self, name: str, group: Sequence[Subject], count: int, *, anew: bool) -> Schedule:
        sizes = self.sizes(self.size)
        objective = self._objective(group, count)
        scales = [Scale(each.size, each.steps, objective=objective) for each in sizes]
        if self.waking and any(subject.waking is not None for subject in group):
            scales.insert(0, Scale(sizes[0].size, self.waking, objective=self._objective(group, count, waking=True)))
        if anew:
            scales[0] = replace(scales[0], carry=Anew())
        scales[-1] = replace(scales[-1], stage=name)
        return Schedule(tuple(scales))

    def _objective(self, group: Sequence[Subject], count: int, *, waking: bool = False) -> Term:
        """Each of `count` pictures has a subject of its own; where there are fewer subjects, the last has several."""
        filled = [*group, *[group[-1]] * (count - len(group))]
        terms = [(subject.waking or subject.term) if waking else subject.term for subject in filled]
        parts: list[tuple[float, Term]] = [(1.0, Only(index, term)) for index, term in enumerate(terms)]
        # They wake first: a picture that is only unlike the others, where the channel is silent, stays there for good.
        if self.diversity > 1 and not waking:
            parts.append((self.diversity_weight, Diversity(self._compared(group))))
        if self.interpolate is not None and self.alignment:
            parts.append((self.alignment, Alignment(self._compared(group))))
        for weight, term in ((self.smoothness, TotalVariation()), (self.restraint, AlphaNorm(2.0))):
            if weight:
                parts.append((weight, term))
        return Sum(tuple(parts))

    def _compared(self, group: Sequence[Subject]) -> str:
        """The layer that pictures are compared in: their own; of classes, which have none, where features are seen."""
        return self.layers()[0] if group[0].row == CLASSES else group[0].row

    def _cell(self, index: int, subject: Subject, outcome: Outcome) -> Cell:
        name = _answer(outcome, index)[0]
        if subject.found and name == NOTHING:
            return Cell(None)
        caption = name if subject.found else subject.caption
        # A class that is certain has a log-probability of 0.
        if subject.row != CLASSES and silent(outcome, index):
            grey = torch.full((1, 3, self.size, self.size), SILENT_GREY)
            return Cell(grey, f"{caption}{ASLEEP if subject.found else DEAD}")
        return Cell(outcome.image[index : index + 1], caption)


def silent(outcome: Outcome, place: int) -> bool:
    """Whether what the picture at `place` of a batch was made to excite has not answered to it."""
    return abs(_answer(outcome, place)[1]) < SILENT  # logits and what has no ReLU may end below 0


def _answer(outcome: Outcome, place: int) -> tuple[str, float]:
    """What the picture at `place` of a batch was made to excite is called, and its loss in the end."""
    end = f"@{place}"
    return next((name.removesuffix(end), loss) for name, loss in outcome.losses.items() if name.endswith(end))


def _short(address: str, model: str) -> str:
    """Without the network, where it is the one that is meant."""
    if ":" not in address:
        return address
    backbone, layer = split_address(address)
    return layer if backbone == model else address
