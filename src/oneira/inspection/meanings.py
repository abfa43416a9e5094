"""What a network's channels are known for: the classes that each pushes, kept in a file."""

import json
import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any, Self

from torch import Tensor

from oneira.errors import DataError, ImageError, PlanError
from oneira.files import write_whole
from oneira.images.opening import read_file
from oneira.inspection.pushes import Pushes
from oneira.inspection.words import matching

FILE = "meanings.json"  # in the folder of an atlas
KIND, VERSION = "oneira-meanings", 1
LARGEST_FILE = 2**26  # bytes; of `pocket` it has 140 KB
TOLD = 6  # classes of a channel
DIGITS = 3  # of an amount; other pictures change the second
# What reading JSON from anywhere may raise.
DAMAGE = (ValueError, KeyError, TypeError, AttributeError, RecursionError, OverflowError)


@dataclass(frozen=True)
class Push:
    """A class, by its number, whose logit the channel raises by `amount`.

    Amounts share one unit over all layers of a network: a search ranks channels of all of them by it.
    """

    number: int
    amount: float


@dataclass(frozen=True, order=True)
class Unit:
    """A channel of a layer, which is an address, `backbone:layer`."""

    layer: str
    channel: int

    def __str__(self) -> str:
        return f"{self.layer}:{self.channel}"


@dataclass(frozen=True, eq=False)
class Meanings:
    """For the layers of `model`, by name, for each of their channels the classes that it pushes, the most first.

    `weights`: the SHA-256 of the network's weights; `seen`: the identity of the pictures that it was found out with,
    empty for the package's own; `classes`: their names, synonyms behind commas.

    Raises PlanError for a class that has no name, and for amounts that are not above 0.
    """

    model: str
    weights: str
    classes: tuple[str, ...]
    layers: Mapping[str, tuple[tuple[Push, ...], ...]]
    seen: str = ""

    def __post_init__(self) -> None:
        for layer, channels in self.layers.items():
            for channel, pushes in enumerate(channels):
                for push in pushes:
                    if not 0 <= push.number < len(self.classes):
                        told = f"{self.model} has {len(self.classes)} names"
                        raise PlanError(f"channel {layer}:{channel} pushes class {push.number}; {told}")
                    if not 0 < push.amount < math.inf:
                        raise PlanError(f"channel {layer}:{channel} pushes class {push.number} by {push.amount}")

    @classmethod
    def of(
        cls,
        model: str,
        weights: str,
        classes: tuple[str, ...],
        pushes: Mapping[str, Pushes],
        usual: Mapping[str, Tensor],
        *,
        seen: str = "",
    ) -> Self:
        """What `pushes` of layers, by name, come to for a `usual` swing of each channel (channels,), such as its
        standard deviation, so that channels of loud layers do not drown the others.

        Of a channel that never swings nothing is known.
        """
        return cls(
            model,
            weights,
            classes,
            {layer: tuple(_scaled(found, usual[layer])) for layer, found in pushes.items()},
            seen,
        )

    @classmethod
    def known(
        cls, path: Path, model: str, weights: str, classes: tuple[str, ...], layers: tuple[str, ...], seen: str
    ) -> Self | None:
        """What was found out before; None where nothing was, or of something else, or where it is damaged."""
        try:
            found = cls.load(path)
        except DataError:
            return None
        told = found.model, found.weights, found.classes, tuple(found.layers), found.seen
        return found if told == (model, weights, classes, layers, seen) else None

    def pushes(self, layer: str, channel: int) -> tuple[Push, ...]:
        """What a channel is known for, the most first; nothing of a layer that is not here."""
        return self.layers[layer][channel] if layer in self.layers else ()

    def without(self, channels: Mapping[str, Collection[int]]) -> Self:
        """The same, but that nothing is known of these channels, by layer."""
        layers = {
            layer: tuple(() if number in channels.get(layer, ()) else each for number, each in enumerate(pushes))
            for layer, pushes in self.layers.items()
        }
        return replace(self, layers=layers)

    def ranked(self, word: str) -> list[Unit]:
        """The channels that push the classes called `word`, those first that push them most, all such classes together.

        None where no class is called so.
        """
        numbers = set(matching(word, [name.split(",") for name in self.classes]))
        amounts = {
            Unit(f"{self.model}:{layer}", channel): sum(push.amount for push in pushes if push.number in numbers)
            for layer, channels in self.layers.items()
            for channel, pushes in enumerate(channels)
        }
        # Sorting is stable: of equal ones the shallower layer's comes first.
        return sorted((unit for unit, amount in amounts.items() if amount > 0), key=lambda unit: -amounts[unit])

    def write(self, path: Path) -> None:
        """Into a file, all of it or nothing. Raises DataError where it cannot be written."""
        told = {
            "kind": KIND,
            "version": VERSION,
            "model": self.model,
            "weights": self.weights,
            "seen": self.seen,
            "classes": self.classes,
            "layers": {
                layer: [[value for push in pushes for value in (push.number, push.amount)] for pushes in channels]
                for layer, channels in self.layers.items()
            },
        }
        data = json.dumps(told, allow_nan=False, separators=(",", ":")).encode("ascii")
        try:
            write_whole(path, lambda file: file.write(data))
        except OSError as error:
            raise DataError(f"cannot write the meanings {str(path)!r}: {error.strerror or error}") from error

    @classmethod
    def load(cls, path: Path) -> Self:
        """What `write` wrote. Raises DataError, in one line, where it is missing, damaged, or something else."""
        try:
            data = read_file(path, LARGEST_FILE)
        except ImageError as error:
            raise DataError(f"cannot read what channels are known for: {error}") from error
        return cls.decode(data, repr(str(path)))

    @classmethod
    def decode(cls, data: bytes, name: str) -> Self:
        """From a file's bytes; `name` is how errors call it. Raises DataError where they are something else."""
        try:
            return cls._decoded(json.loads(data))
        except (*DAMAGE, PlanError) as error:
            raise DataError(
                f"{name} does not tell what channels are known for, or is damaged; `oneira atlas` writes such a file"
            ) from error

    @classmethod
    def _decoded(cls, told: Any) -> Self:
        if (told["kind"], told["version"]) != (KIND, VERSION):
            raise ValueError(f"{told['kind']} of version {told['version']}")
        layers = {
            layer: tuple(tuple(_pairs(values)) for values in channels) for layer, channels in told["layers"].items()
        }
        texts = [_text(told[name]) for name in ("model", "weights", "seen")]
        return cls(texts[0], texts[1], tuple(map(_text, told["classes"])), layers, texts[2])


@cache
def pocket_meanings() -> Meanings:
    """What the package knows of its embedded network."""
    return Meanings.load(Path(__file__).with_name("pocket_meanings.json"))


def _scaled(found: Pushes, usual: Tensor) -> list[tuple[Push, ...]]:
    """For each channel of a layer."""
    told = []
    for channel, swing in zip(found.channels, usual.tolist(), strict=True):
        scaled = [(number, swing * value) for number, value in found.strongest_classes(channel, TOLD)]
        rounded = [Push(number, float(f"{amount:.{DIGITS}g}")) for number, amount in scaled]
        told.append(tuple(push for push in rounded if push.amount > 0))
    return told


def _pairs(values: list[Any]) -> list[Push]:
    numbers, amounts = values[::2], values[1::2]
    if not all(isinstance(number, int) for number in numbers):
        raise TypeError("the number of a class is whole")
    return [Push(number, float(amount)) for number, amount in zip(numbers, amounts, strict=True)]


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is no text")
    return value
