"""Command-line options made from the fields of pydantic models, where type, default, bounds and help are declared."""

import inspect
from collections.abc import Callable, Collection, Mapping, Sequence
from types import MappingProxyType
from typing import Annotated, Any, TypeVar, get_origin, get_type_hints

from cyclopts import Group, Parameter
from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from oneira.errors import PlanError
from oneira.techniques.refusals import option_name, refusal

Options = TypeVar("Options", bound=BaseModel)

NO_NAMES: Mapping[str, tuple[str, ...]] = MappingProxyType({})

OWN = Group("Options", sort_key=1)
SHARED = Group("Running and saving", sort_key=2)


def options_of(
    model: type[BaseModel],
    group: Group = OWN,
    *,
    without: Collection[str] = (),
    names: Mapping[str, tuple[str, ...]] = NO_NAMES,
    several: bool = False,
) -> list[inspect.Parameter]:
    """A keyword parameter for every field but those `without`; `names` where a field's own is not the option's.

    `several`: `--data a b` is `--data a --data b`; not for commands with arguments, which would be taken for values.
    """
    # Without the bounds of single values, which cyclopts would check, and tell in its own words.
    kinds = get_type_hints(model)
    return [
        option(name, kinds[name], _help(field), group=group, names=names.get(name, ()), several=several)
        for name, field in model.model_fields.items()
        if name not in without
    ]


def option(
    name: str,
    kind: Any,
    help_text: str,
    *,
    group: Group = OWN,
    names: tuple[str, ...] = (),
    several: bool = False,
    metavar: str | None = None,
) -> inspect.Parameter:
    """A keyword parameter. Not given means None, so that a preset's value is not overridden."""
    parameter = Parameter(
        name=names or option_name(name),
        help=help_text,
        group=group,
        negative=(),
        show_default=False,
        consume_multiple=several,
        metavar=metavar,
    )
    annotation = Annotated[kind | None, parameter]
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, annotation=annotation, default=None)


def argument(
    name: str, kind: Any, help_text: str, *, required: bool = True, several: bool = False, hyphens: bool = False
) -> inspect.Parameter:
    """A positional parameter; one that is not `required` and not given is left out of the call.

    `several`: any number of them, none included; the last one only. `hyphens`: words that begin with one come here too,
    unless they are options.
    """
    parameter = Parameter(help=help_text, show_default=False, allow_leading_hyphen=hyphens)
    if several:
        return inspect.Parameter(name, inspect.Parameter.VAR_POSITIONAL, annotation=Annotated[kind, parameter])
    where = inspect.Parameter.POSITIONAL_ONLY
    if required:
        return inspect.Parameter(name, where, annotation=Annotated[kind, parameter])
    return inspect.Parameter(name, where, annotation=Annotated[kind | None, parameter], default=None)


def placed_of(
    positional: Sequence[str], fields: Mapping[str, FieldInfo], given: Sequence[str]
) -> dict[str, str | tuple[str, ...]]:
    """What was given by its place, by field; the last of the `positional` ones may take all that is left."""
    if not given:
        return {}
    *alone, last = positional
    placed: dict[str, str | tuple[str, ...]] = dict(zip(alone, given, strict=False))
    rest = tuple(given[len(alone) :])
    if rest:
        placed[last] = rest if takes_several(fields[last]) else rest[0]
    return placed


def takes_several(field: FieldInfo) -> bool:
    """Whether a field holds any number of values."""
    return get_origin(field.annotation) is tuple


def chosen(model: type[Options], verb: str, given: dict[str, Any]) -> Options:
    """The fields of `model` among what was `given`, taken out of it. PlanError for what is not allowed."""
    own = {name: given.pop(name) for name in model.model_fields if name in given}
    try:
        return model(**own)
    except ValidationError as error:
        raise PlanError(refusal(error, model, verb)) from error


def signed(
    run: Callable[..., int], name: str, help_text: str, parameters: Sequence[inspect.Parameter]
) -> Callable[..., int]:
    """`run` as a command that takes `parameters`."""

    def command(*given: Any, **options: Any) -> int:
        told = [each for each in given if each is not None]
        return run(*told, **{option: value for option, value in options.items() if value is not None})

    command.__signature__ = inspect.Signature(parameters, return_annotation=int)  # type: ignore[attr-defined]
    command.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    command.__name__ = name
    command.__doc__ = help_text
    return command


def _help(field: FieldInfo) -> str:
    default = field.get_default(call_default_factory=True)
    told = default is None or default is False or default == ()
    return f"{field.description}" if told else f"{field.description} [default: {_shown(default)}]"


def _shown(default: Any) -> str:
    if isinstance(default, tuple):
        return " ".join(map(_shown, default))
    return f"{default:.4g}" if isinstance(default, float) else str(default)
