"""Named settings: whose they are, what they set, and where we do otherwise."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from oneira.errors import PlanError, nearest


@dataclass(frozen=True)
class Preset:
    """Options of a technique under a name; the one without any stands for the technique's defaults.

    `source`: whose settings these are, in one line, with the year. `departures`: where we do otherwise than the source,
    and why, one sentence each.
    """

    source: str
    options: Mapping[str, Any] = field(default_factory=dict)
    departures: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "options", MappingProxyType(dict(self.options)))


def preset_called(name: str, presets: Mapping[str, Preset], verb: str) -> Preset:
    """The preset of `verb`; PlanError, which names the nearest, where there is none of that name."""
    if name not in presets:
        raise PlanError(f"unknown preset {name!r} of {verb}{nearest(name, presets)}: {', '.join(presets)}")
    return presets[name]


def default_preset(presets: Mapping[str, Preset]) -> str:
    """The name of the preset that sets nothing: what is in force where none is named."""
    return next(name for name, preset in presets.items() if not preset.options)
