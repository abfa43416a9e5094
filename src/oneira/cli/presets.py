"""What presets set, and what is in force: `--preset list` and `--explain`."""

import re
import shlex
from collections.abc import Collection, Mapping
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from rich.table import Table
from rich.text import Text

from oneira.cli.run_options import NAMES, RunOptions
from oneira.cli.screen import Screen, one_line
from oneira.techniques import SAMPLE, Technique
from oneira.techniques.presets import default_preset, preset_called
from oneira.techniques.refusals import option_name

LIST = "list"  # in place of a preset's name


def list_presets(technique: type[Technique]) -> None:
    """Print a technique's presets: whose they are, and their options that differ from the defaults."""
    table = Table("preset", "whose settings", "options that differ from the defaults", box=None, pad_edge=False)
    for name, preset in technique.presets.items():
        configured = _without_pictures(technique, name, {})
        values = {option: getattr(configured, option) for option in preset.options}
        typed = [
            word
            for option, value in values.items()
            if value != technique.model_fields[option].get_default(call_default_factory=True)
            for word in _typed(option, value)
        ]
        table.add_row(name, _text(preset.source), _text(" ".join(typed) or "none: these are the defaults"))
    Screen().table(table)


def explain(technique: type[Technique], preset: str | None, given: Mapping[str, Any], running: RunOptions) -> None:
    """Print what a command would do: every option in force, and who set it; then the preset's departures.

    `given` are the technique's options, `running` are those of every verb. Raises PlanError for what is not allowed.
    """
    configured = _without_pictures(technique, preset, given)
    name = preset or default_preset(technique.presets)
    told = preset_called(name, technique.presets, technique.verb())
    table = Table("option", "value", "set by", box=None, pad_edge=False)
    _add_rows(table, configured, given, technique.borrowed(preset, given))
    table.add_row()
    _add_rows(table, running, running.model_fields_set, ())
    screen = Screen()
    screen.print(_text(f"{technique.verb()}, preset {name}: {told.source}\n"), soft_wrap=True)
    screen.table(table)
    if told.departures:
        screen.print("\nwhere this departs from the source, and why:")
    for number, departure in enumerate(told.departures, 1):
        screen.print(_text(f"{number}. {departure}"), soft_wrap=not screen.is_terminal)


def _without_pictures(technique: type[Technique], preset: str | None, given: Mapping[str, Any]) -> Technique:
    """The technique, with a sample in place of every picture that is needed and not given: none is read."""
    fields = technique.model_fields
    needed = {name: f"{SAMPLE}cat" for name in technique.picture_fields() if fields[name].is_required()}
    return technique.configured(preset, **{**needed, **given})


def _add_rows(table: Table, options: BaseModel, given: Collection[str], preset: Collection[str]) -> None:
    for name, field in type(options).model_fields.items():
        origin = "given" if name in given else "preset" if name in preset else "default"
        if field.is_required() and name not in given:
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


def _typed(name: str, value: Any) -> list[str]:
    """`--layer relu4_2 --layer relu5_1`"""
    option = option_name(name)
    if isinstance(value, bool):
        return [option if value else f"{option}=no"]
    return [f"{option} {shlex.quote(_exact(each))}" for each in (value if isinstance(value, tuple) else (value,))]


def _exact(value: Any) -> str:
    """Short, and nothing is lost: typed, it means the same."""
    return f"{value:g}" if isinstance(value, float) and float(f"{value:g}") == value else str(value)


def _text(text: str) -> Text:
    """`text` as it is: no markup in it is followed, and nothing steers the terminal."""
    return Text("\n".join(map(one_line, text.split("\n"))))
