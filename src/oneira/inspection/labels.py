"""What people call channels: words, and the channels that show what they mean."""

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Self

from oneira.errors import AddressError, DataError
from oneira.features.address import DEFAULT_BACKBONE, split_address
from oneira.features.description import channels_of
from oneira.features.registry import find_backbone, resolve
from oneira.inspection.meanings import Unit
from oneira.inspection.words import matching
from oneira.objectives.channels import require_channels

LARGEST_FILE = 2**20  # bytes
WRITTEN = 'write lines such as eyes = ["relu4_3:185", "relu4_3:17"]'


@dataclass(frozen=True)
class Labels:
    """Words, and the channels that each stands for, the best first."""

    units: Mapping[str, tuple[Unit, ...]] = field(default_factory=lambda: MappingProxyType({}))

    @classmethod
    def decode(cls, data: bytes, model: str, name: str) -> Self:
        """From a file of TOML: words, each with a list of `layer:channel`, of `model` where they name no network.

        `name` is how errors call the file. Raises DataError where it is no such file, AddressError for channels that
        are not there.
        """
        try:
            read = tomllib.loads(data.decode("utf-8"))
        except (ValueError, RecursionError) as error:
            raise DataError(f"{name} holds no labels ({_one_line(error)}); {WRITTEN}") from error
        return cls({word: tuple(_units(word, told, model, name)) for word, told in read.items()})

    def before(self, others: "Labels") -> "Labels":
        """These, and `others`; of a word in both, the channels of both, these first."""
        units = {
            word: tuple(dict.fromkeys([*self.units.get(word, ()), *others.units.get(word, ())]))
            for word in [*self.units, *others.units]
        }
        return Labels(units)

    def called(self, word: str) -> list[Unit]:
        """The channels of all labels that `word` means, in their order; none where there is no such label."""
        found = matching(word, [[label] for label in self.units])
        several = list(self.units.values())
        return list(dict.fromkeys(unit for number in found for unit in several[number]))


@cache
def pocket_labels() -> Labels:
    """Those that come with the package, of the embedded network."""
    path = Path(__file__).with_name("pocket_labels.toml")
    return Labels.decode(path.read_bytes(), DEFAULT_BACKBONE, path.name)


def _units(word: str, told: object, model: str, name: str) -> list[Unit]:
    if not isinstance(told, list) or not told:
        raise DataError(f"{name}: the label {word!r} needs a list of channels; {WRITTEN}")
    return [_unit(each, word, model, name) for each in told]


def _unit(told: object, word: str, model: str, name: str) -> Unit:
    layer, _, channel = told.rpartition(":") if isinstance(told, str) else ("", "", "")
    if not layer or re.fullmatch("[0-9]{1,6}", channel.strip()) is None:
        raise DataError(f"{name}: the label {word!r} names {told!r}, which is no LAYER:CHANNEL; {WRITTEN}")
    backbone, of_layer = split_address(layer, model)
    number = int(channel)
    try:
        address = resolve(f"{backbone}:{of_layer}")
        count = channels_of(find_backbone(backbone), address.layer)
        if count is not None:
            require_channels([number], count, address)
    except AddressError as error:
        raise AddressError(f"{name}, label {word!r}: {error}") from error
    return Unit(f"{backbone}:{of_layer}", number)


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())
