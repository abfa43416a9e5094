"""What presets set, and what is in force: `--preset list` and `--explain`."""

import re
import shlex
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from rich.table import Table
from rich.text import Text

from oneira.cli.run_options import NAMES, RunOptions
from oneira.cli.screen import Screen, one_line
from oneira.techniques import SAMPLE, Technique
from oneira.techniques.presets import Preset, default_preset, preset_called
from oneira.techniques.refusals import option_name

LIST = "list"  # in place of a preset's name


@dataclass(frozen=True)
class InForce:
    """`options`, but for those `without` that a command has not; `origins`: who set one, where it is no default."""

    options: BaseModel
    origins: Mapping[str, str]
    without: Collection[str] = ()


def list_presets(technique: type[Technique]) -> None:
    """Print a technique's presets: whose they are, and their options that differ from the defaults."""
    tell_presets(technique.presets, lambda name: _without_pictures(technique, name, {}))


def tell_presets(presets: Mapping[str, Preset], configured: Callable[[str], BaseModel]) -> None:
    """The same of any presets; `configured(name)` are the options that one sets, all others at their defaults."""
    table = Table("preset", "whose settings", "options that differ from the defaults", box=None, pad_edge=False)
    for name, preset in presets.items():
        options = configured(name)
        fields = type(options).model_fields
        values = {option: getattr(options, option) for option in preset.options}
        typed = [
            word
            for option, value in values.items()
            if value != fields[option].get_default(call_default_factory=True)
            for word in _typed(option, value, fields[option])
        ]
        table.add_row(name, _text(preset.source), _text(" ".join(typed) or "none: these are the defaults"))
    Screen().table(table)


def explain(
    technique: type[Technique],
    preset: str | None,
    given: Mapping[str, Any],
    running: RunOptions,
    without: Collection[str] = (),
) -> None:
    """Print what a command would do: every option in force, and who set it; then the preset's departures.

    `given` are the technique's options, `running` are those of every verb, `without` those of them that this one has
    not. Raises PlanError for what is not allowed.
    """
    configured = _without_pictures(technique, preset, given)
    name = preset or default_preset(technique.presets)
    told = preset_called(name, technique.presets, technique.verb())
    own = {**dict.fromkeys(technique.borrowed(preset, given), "preset"), **dict.fromkeys(given, "given")}
    shared = dict.fromkeys(running.model_fields_set, "given")
    tell_in_force(
        f"{technique.verb()}, preset {name}", told, InForce(configured, own), InForce(running, shared, without)
    )


def tell_in_force(title: str, preset: Preset, *parts: InForce) -> None:
    """Print options, who set them, and where `preset` departs from its source."""
    table = Table("option", "value", "set by", box=None, pad_edge=False)
    for number, part in enumerate(parts):
        if number:
            table.add_row()
        _add_rows(table, part)
    screen = Screen()
    screen.print(_text(f"{title}: {preset.source}\n"), soft_wrap=True)
    screen.table(table)
    if preset.departures:
        screen.print("\nwhere this departs from the source, and why:")
    for number, departure in enumerate(preset.departures, 1):
        screen.print(_text(f"{number}. {departure}"), soft_wrap=not screen.is_terminal)


def _without_pictures(technique: type[Technique], preset: str | None, given: Mapping[str, Any]) -> Technique:
    """The technique, with a sample in place of every picture that is needed and not given: none is read."""
    fields = technique.model_fields
    needed = {name: f"{SAMPLE}cat" for name in technique.picture_fields() if fields[name].is_required()}
    return technique.configured(preset, **{**needed, **given})


def _add_rows(table: Table, part: InForce) -> None:
    options = part.options
    for name, field in type(options).model_fields.items():
        if name in part.without:
            continue
        origin = part.origins.get(name, "default")
        if field.is_required() and origin != "given":
            value, origin = "to be given", ""
        else:
            value = _value(getattr(options, name), field)
        label = name.upper() if name in _positional(options) else NAMES.get(name, (option_name(name),))[0]
        table.add_row(label, _text(value), origin)


def _positional(options: BaseModel) -> tuple[str, ...]:
    return options.positional if isinstance(options, Technique) else ()


def _value(value: Any, field: FieldInfo) -> str:
    """As it is typed; where it is left open, what stands in for it, which the help text tells."""
    if value is None or value == ():
        default = re.search(r"\(default: (.*)\)$", field.description or "")
        return "none" if default is None else default[1]
    if isinstance(value, bool):
        return "yes" if value else "no"
    return " ".join(map(_exact, value)) if isinstance(value, tuple) else _exact(value)


def _typed(name: str, value: Any, field: FieldInfo) -> list[str]:
    """`--layer relu4_2 --layer relu5_1`, but `--channels 32 64 128` where so many values are needed."""
    option = option_name(name)
    if isinstance(value, bool):
        return [option if value else f"{option}=no"]
    if get_origin(field.annotation) is tuple and ... not in get_args(field.annotation):
        return [" ".join([option, *map(_exact, value)])]
    return [f"{option} {shlex.quote(_exact(each))}" for each in (value if isinstance(value, tuple) else (value,))]


def _exact(value: Any) -> str:
    """Short, and nothing is lost: typed, it means the same."""
    return f"{value:g}" if isinstance(value, float) and float(f"{value:g}") == value else str(value)


def _text(text: str) -> Text:
    """`text` as it is: no markup in it is followed, and nothing steers the terminal."""
    return Text("\n".join(map(one_line, text.split("\n"))))
