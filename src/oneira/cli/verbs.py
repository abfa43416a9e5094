"""Commands made from techniques: their fields are the options, so that each has one home."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from oneira.cli.display import Display
from oneira.cli.options import SHARED, argument, chosen, option, options_of, signed
from oneira.cli.outputs import free_output, require_output
from oneira.cli.run_options import NAMES, RunOptions
from oneira.cli.running import run_technique
from oneira.techniques import SAMPLE, Technique, located


def command_for(technique: type[Technique]) -> Callable[..., int]:
    """A command whose signature is the technique's options, `--preset`, and those of every verb."""
    pictures = technique.picture_fields()
    assert not set(technique.model_fields) & {*RunOptions.model_fields, "preset"}, "an option has one meaning"

    def run(*given: str, preset: str | None = None, **options: Any) -> int:
        running = chosen(RunOptions, technique.verb(), options)
        configured = technique.configured(preset, **dict(zip(pictures, given, strict=True)), **options)
        name = Path(given[0].removeprefix(SAMPLE)).stem if given else technique.verb()
        output = running.output or free_output(Path(), f"{name}-{technique.verb()}", ".png", resume=running.resume)
        require_output(output, [located(path) for path in given], running.depth)
        return run_technique(configured, running, output, Display(quiet=running.quiet, json=running.as_json))

    fields = technique.model_fields
    return signed(
        run,
        technique.verb(),
        technique.__doc__ or "",
        [
            *(argument(name, str, f"{fields[name].description} (a file, or sample:NAME)") for name in pictures),
            option("preset", str, _about_presets(technique)),
            *options_of(technique, without=pictures),
            *options_of(RunOptions, SHARED, names=NAMES),
        ],
    )


def _about_presets(technique: type[Technique]) -> str:
    return f"named settings: {', '.join(technique.presets)}; options given beside it override it"
