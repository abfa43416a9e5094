"""Making an atlas: what pictures excite its channels, what they want to see, and the page that shows both.

Every picture is a file as soon as it is made; who is stopped begins again with those that are missing.
"""

from collections.abc import Generator, Iterator, Mapping
from dataclasses import replace
from functools import cached_property, partial
from pathlib import Path
from types import MappingProxyType

import torch

from oneira.features.encoder import Encoder
from oneira.features.hardware import choose_device
from oneira.features.registry import find_backbone, resolve
from oneira.features.weights import Progress as Downloading
from oneira.figures.atlas.entries import Atlas, ChannelEntry, LayerEntry, Neighbour
from oneira.figures.atlas.making import Making
from oneira.figures.atlas.pictures import picture_path, save_patches, save_picture
from oneira.figures.atlas.planning import AtlasPlan
from oneira.figures.atlas.pushing import average_pushes, require_named
from oneira.figures.atlas.writing import write_site
from oneira.figures.figure import Progress
from oneira.figures.watched import skipped
from oneira.inspection.layer_responses import LayerResponses
from oneira.inspection.meanings import FILE, Meanings
from oneira.inspection.patches import patch
from oneira.inspection.picture_set import PictureSet
from oneira.inspection.pushes import Pushes
from oneira.inspection.remembering import remembered
from oneira.inspection.responses import Responses, weights_identity
from oneira.inspection.watching import SIDE
from oneira.synthesis.steps import Outcome
from oneira.techniques.beginning import begin
from oneira.techniques.visualization import Visualization, silent

RESPONSES = "responses.safetensors"


class AtlasBuild:
    """An atlas of `plan` in `folder`. Iterate once; what was made before is kept where it is of the same settings.

    `device`, `precision`, `weights`, `offline` and `progress` are those of `Synthesis`; what is measured is computed in
    float32. Raises AddressError, PlanError and DataError, before anything is loaded, for layers and pictures that are
    not there. Iterating raises PlanError for a folder that holds something else, ImageError where the disk refuses, and
    what `watch` and `Synthesis` raise.
    """

    def __init__(
        self,
        plan: AtlasPlan,
        folder: Path,
        *,
        device: str = "auto",
        precision: str = "auto",
        weights: Mapping[str, Path] = MappingProxyType({}),
        offline: bool = False,
        progress: Downloading | None = None,
    ) -> None:
        self._plan = plan
        self._folder = folder
        self._layers = plan.described()
        self._pictures = None if plan.data is None else PictureSet.open(plan.data)
        self._encoder = Encoder(device=choose_device(device), weights=weights, offline=offline, progress=progress)
        self._begin = partial(
            begin, device=device, precision=precision, weights=weights, offline=offline, progress=progress
        )

    def __iter__(self) -> Iterator[Progress]:
        making = Making(self._folder, self._settings())
        if self._classes:  # whether what they hang on can be said is known before hours are spent
            require_named(self._encoder, self._plan.model, self._layers, self._classes, self._side)
        responses: Responses | None = None
        if self._pictures is not None:
            for responses in self._watched(self._pictures):
                yield Progress("watching pictures", responses.done, len(self._pictures), skipped(responses))
        meanings = yield from self._meant(responses)
        for place, layer in enumerate(self._layers):
            yield from self._drawn(making, place, layer)
        if responses is None:  # all that is known of a channel's swing is whether it has any
            meanings = meanings.without({self._name(layer): making.silent(layer) for layer in self._layers})
        meanings.write(self._folder / FILE)
        entries = []
        for place, layer in enumerate(self._layers):
            measured = None if responses is None else responses[layer]
            channels = []
            for channel in self._channels(place, layer, making.silent(layer), measured, meanings):
                channels.append(channel)
                yield Progress(f"writing {self._layers[layer].layer}", len(channels), self._layers[layer].channels)
            entries.append(self._entry(layer, channels))
        write_site(self._folder, Atlas(self._plan.model, tuple(entries), self._classes, self._seen(responses)))

    @cached_property
    def _classes(self) -> tuple[str, ...]:
        """The names of those that channels can be said to push: none where it is not known which layer holds logits."""
        backbone = find_backbone(self._plan.model)
        return backbone.classes() if backbone.logits and backbone.classes is not None else ()

    @property
    def _side(self) -> int:
        """Of the squares of which it is asked what channels do to the classes."""
        return max(self._plan.size, find_backbone(self._plan.model).smallest)

    def _settings(self) -> dict[str, object]:
        return {
            "model": self._plan.model,
            "weights": weights_identity(self._encoder, self._plan.model),
            "layers": list(self._layers),
            "size": self._plan.size,
            "seed": self._plan.seed,
        }

    def _watched(self, pictures: PictureSet) -> Iterator[Responses]:
        return remembered(self._folder / RESPONSES, self._encoder, [resolve(layer) for layer in self._layers], pictures)

    def _drawn(self, making: Making, place: int, layer: str) -> Iterator[Progress]:
        """A picture for every channel that has none yet, but for those that never answer."""
        count = self._layers[layer].channels
        never = making.silent(layer)
        missing = [
            number
            for number in range(count)
            if number not in never and not (self._folder / picture_path(place, layer, number)).is_file()
        ]
        if not missing:
            return
        technique = Visualization.configured(
            model=self._plan.model,
            layer=layer,
            channels=",".join(map(str, missing)),
            size=self._plan.size,
            batch=self._plan.batch,
        )
        run = self._begin(technique.plan(), seed=self._plan.seed + place)
        done = count - len(missing)
        for step in run:
            if step.stage is not None:
                numbers = [int(subject.caption) for subject in technique.group(step.stage)]
                self._keep(making, place, layer, numbers, run.outcomes[step.stage])
                done += len(numbers)
            yield Progress(f"drawing {self._layers[layer].layer}", done, count)

    def _keep(self, making: Making, place: int, layer: str, channels: list[int], outcome: Outcome) -> None:
        """The pictures of `channels`, and which of them never answered."""
        never = []
        for index, channel in enumerate(channels):
            # What photographs leave silent may be rare; what cannot be woken either has nothing to show.
            if silent(outcome, index):
                never.append(channel)
            else:
                save_picture(self._folder, place, layer, channel, outcome.image[index : index + 1])
        making.tell_silent(layer, never)

    def _entry(self, layer: str, channels: list[ChannelEntry]) -> LayerEntry:
        about = self._layers[layer]
        return LayerEntry(self._name(layer), about.stride, about.receptive_field, tuple(channels))

    def _channels(
        self, place: int, layer: str, never: frozenset[int], measured: LayerResponses | None, meanings: Meanings
    ) -> Iterator[ChannelEntry]:
        for number in range(self._layers[layer].channels):
            picture = None if number in never else picture_path(place, layer, number)
            entry = ChannelEntry(number, picture, pushes=meanings.pushes(self._name(layer), number))
            yield entry if measured is None else self._excited(place, layer, entry, measured)

    def _excited(self, place: int, layer: str, entry: ChannelEntry, measured: LayerResponses) -> ChannelEntry:
        """The same with what excites the channel."""
        number = entry.index
        strongest = measured.strongest(number)
        patches = None
        if strongest and self._pictures is not None:
            squares = [patch(self._pictures.square(each.picture, SIDE), layer, each.y, each.x) for each in strongest]
            patches = save_patches(self._folder, place, layer, number, torch.cat(squares))
        return replace(
            entry,
            patches=patches,
            fires=float(measured.share_of_positions[number]),
            fires_in=float(measured.share_of_pictures[number]),
            highest=float(measured.highest[number]),
            neighbours=tuple(Neighbour(other, likeness) for other, likeness in measured.neighbours(number)),
        )

    def _meant(self, responses: Responses | None) -> Generator[Progress, None, Meanings]:
        """What channels are known for; where pictures were watched, kept at once: it takes minutes to find out."""
        about = self._plan.model, weights_identity(self._encoder, self._plan.model), self._classes
        if not self._classes:
            return Meanings(*about, {})
        seen = "" if self._pictures is None else self._pictures.identity
        names = {self._name(layer): layer for layer in self._layers}
        if responses is not None and (known := Meanings.known(self._folder / FILE, *about, tuple(names), seen)):
            return known
        found: Mapping[str, Pushes] = {}
        for done, total, average in average_pushes(self._encoder, self._layers, self._pictures, self._side):
            found = average
            yield Progress("asking what classes hang on", done, total)
        usual = {
            layer: torch.ones(about.channels) if responses is None else responses[layer].deviation
            for layer, about in self._layers.items()
        }
        pushed = {name: found[layer] for name, layer in names.items()}
        meanings = Meanings.of(*about, pushed, {name: usual[layer] for name, layer in names.items()}, seen=seen)
        if responses is not None:
            meanings.write(self._folder / FILE)
        return meanings

    def _name(self, layer: str) -> str:
        """As the papers call it."""
        about = self._layers[layer]
        return about.aliases[0] if about.aliases else about.layer

    def _seen(self, responses: Responses | None) -> str:
        if responses is None or self._plan.data is None:
            return ""
        return f"{responses.done - len(responses.skipped):,} pictures of {self._plan.data.resolve().name}"
