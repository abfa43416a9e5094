"""Commands made from techniques: their fields are the options, so that each has one home."""

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic.fields import FieldInfo

from oneira.cli.display import Display
from oneira.cli.options import SHARED, argument, chosen, option, options_of, placed_of, signed, takes_several
from oneira.cli.outputs import free_output, require_output
from oneira.cli.presets import LIST, explain, list_presets
from oneira.cli.recording import holds_frames
from oneira.cli.run_options import NAMES, RunOptions
from oneira.cli.running import run_technique
from oneira.errors import PlanError
from oneira.techniques import SAMPLE, Technique, located
from oneira.techniques.refusals import option_name

PICTURE = "(a file, or sample:NAME)"


@dataclass(frozen=True)
class Given:
    """What was told of a technique: a preset, and `options` by field, none of which has been checked."""

    technique: type[Technique]
    preset: str | None
    options: Mapping[str, Any]

    @property
    def place(self) -> str | None:
        """The field of the picture that is told first by its place; None where there is none."""
        return next(iter(self.technique.positional), None)

    def configured(self, **more: Any) -> Technique:
        """The technique, with `more` options over those given. Raises PlanError for what is not allowed."""
        return self.technique.configured(self.preset, **{**self.options, **more})

    def of(self, picture: str) -> Technique:
        """The same, worked on `picture`, a path. Raises PlanError where the technique works on none."""
        if self.place is None:
            raise PlanError(f"{self.technique.verb()} makes pictures out of nothing: it works on none that is given")
        return self.configured(**{self.place: picture})


def command_for(technique: type[Technique]) -> Callable[..., int]:
    """A command whose signature is the technique's options, `--preset`, `--explain`, and those of every verb."""
    fields = technique.model_fields
    assert not set(fields) & {*RunOptions.model_fields, "preset", "explain"}, "an option has one meaning"
    assert LIST not in technique.presets, "what lists the presets is the name of none"

    def run(*given: str, preset: str | None = None, **options: Any) -> int:
        if preset == LIST:
            list_presets(technique)
            return 0
        explained = options.pop("explain", False)
        running = chosen(RunOptions, technique.verb(), options)
        told = Given(technique, preset, options | placed_of(technique.positional, fields, given))
        if explained:
            explain(technique, preset, told.options, running)
            return 0
        return make_picture(told.configured(), running)

    return signed(
        run,
        technique.verb(),
        technique.__doc__ or "",
        [*parameters_for(technique, technique.positional), *options_of(RunOptions, SHARED, names=NAMES)],
    )


def parameters_for(technique: type[Technique], places: Sequence[str]) -> list[inspect.Parameter]:
    """The pictures `places`, which are told by their place, and all that `options_for` has."""
    return [*(_picture_argument(name, technique.model_fields[name]) for name in places), *options_for(technique)]


def options_for(technique: type[Technique]) -> list[inspect.Parameter]:
    """`--preset`, `--explain`, and the technique's own options."""
    fields, pictures = technique.model_fields, technique.picture_fields()
    return [
        option("preset", str, _about_presets(technique)),
        option("explain", bool, "print every option in force, and who set it, instead of making the picture"),
        *(
            option(name, _kind(fields[name]), f"{fields[name].description} {PICTURE}", metavar="FILE")
            for name in pictures
            if name not in technique.positional
        ),
        *options_of(technique, without=pictures, names=_names(technique)),
    ]


def _names(technique: type[Technique]) -> dict[str, tuple[str, ...]]:
    return {name: (option_name(name), other) for name, other in technique.also_called.items()}


def _kind(field: FieldInfo) -> Any:
    return tuple[str, ...] if takes_several(field) else str


def _picture_argument(name: str, field: FieldInfo) -> inspect.Parameter:
    # The command line itself requires none: --explain and --preset list do without.
    required = " [required]" if field.is_required() else ""
    about = f"{field.description} {PICTURE}{required}"
    return argument(name, str, about, required=False, several=takes_several(field))


def usage_of(technique: type[Technique]) -> str:
    """How its command is written; what may be left out stands in brackets."""
    return usage_with("oneira", technique, technique.positional)


def usage_with(before: str, technique: type[Technique], places: Sequence[str]) -> str:
    """The same behind the words `before`, of the pictures `places` only."""
    fields = technique.model_fields
    names = {n: f"{n.upper()}..." if takes_several(fields[n]) else n.upper() for n in places}
    words = [word if fields[n].is_required() else f"[{word}]" for n, word in names.items()]
    return " ".join(["Usage:", before, technique.verb(), "[OPTIONS]", *words]) + "\n"


def make_picture(technique: Technique, running: RunOptions) -> int:
    """Make the picture, into a file that is named or free; the exit status."""
    verb, first = technique.verb(), technique.worked_on
    stem = verb if first is None else f"{Path(first.removeprefix(SAMPLE)).stem}-{verb}"
    output = running.output or free_output(Path(), stem, ".png", resume=running.resume)
    inputs = list(map(located, technique.input_paths))
    require_output(output, inputs, running.depth, film=holds_frames(technique, output))
    return run_technique(technique, running, output, Display(quiet=running.quiet, json=running.as_json))


def _about_presets(technique: type[Technique]) -> str:
    named = f"named settings: {', '.join(technique.presets)}; options given beside it override it"
    return f"{named}; {LIST} tells what each sets"
