"""Commands made from techniques: their fields are the options, so that each has one home."""

import inspect
from collections.abc import Callable
from typing import Annotated, Any

from cyclopts import Parameter
from pydantic.fields import FieldInfo

from oneira.cli.options import option_for
from oneira.cli.running import RunOptions, run_technique
from oneira.techniques import Technique


def command_for(technique: type[Technique]) -> Callable[..., int]:
    """A function whose signature is the technique's options, `--preset`, and those of every verb."""
    pictures = technique.picture_fields()

    def command(*given: Any, preset: str | None = None, run: RunOptions | None = None, **options: Any) -> int:
        chosen = {**dict(zip(pictures, given, strict=True)), **{k: v for k, v in options.items() if v is not None}}
        configured = technique.configured(preset, **chosen)
        return run_technique(configured, run or RunOptions(), getattr(configured, pictures[0]))

    parameters = [_positional(name, technique.model_fields[name]) for name in pictures]
    parameters.append(_preset(technique))
    parameters += [option_for(name, field) for name, field in technique.model_fields.items() if name not in pictures]
    parameters.append(
        inspect.Parameter("run", inspect.Parameter.KEYWORD_ONLY, annotation=RunOptions | None, default=None)
    )
    command.__signature__ = inspect.Signature(parameters, return_annotation=int)  # type: ignore[attr-defined]
    command.__name__ = technique.verb()
    command.__doc__ = technique.__doc__
    return command


def _positional(name: str, field: FieldInfo) -> inspect.Parameter:
    help_text = f"{field.description} (a file, or sample:NAME)"
    return inspect.Parameter(
        name, inspect.Parameter.POSITIONAL_ONLY, annotation=Annotated[str, Parameter(help=help_text)]
    )


def _preset(technique: type[Technique]) -> inspect.Parameter:
    help_text = f"named settings: {', '.join(technique.presets)}; options given beside it override it"
    annotation = Annotated[str | None, Parameter(help=help_text)]
    return inspect.Parameter("preset", inspect.Parameter.KEYWORD_ONLY, annotation=annotation, default=None)
