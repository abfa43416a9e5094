"""Command-line options made from the fields of pydantic models, where type, default, bounds and help are declared."""

import inspect
from typing import Annotated, Any

from cyclopts import Parameter
from pydantic import ValidationError
from pydantic.fields import FieldInfo

from oneira.errors import PlanError


def option_for(name: str, field: FieldInfo) -> inspect.Parameter:
    """A keyword parameter. Not given means None, so that a preset's value is not overridden; help shows the default."""
    default = field.get_default(call_default_factory=True)
    shown = "" if default is None or default == () else f" [default: {_shown(default)}]"
    parameter = Parameter(help=f"{field.description}{shown}", negative=(), show_default=False)
    kind: Any = field.annotation
    annotation = Annotated[kind | None, parameter]
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, annotation=annotation, default=None)


def refusal(error: ValidationError) -> PlanError:
    """What the first option that does not fit must hear, in one line."""
    first = error.errors()[0]
    option = "--" + str(first["loc"][0] if first["loc"] else "options").replace("_", "-")
    message = first["msg"].removeprefix("Value error, ")
    return PlanError(f"{option}: {message[0].lower()}{message[1:]}, not {first['input']!r}")


def _shown(default: Any) -> str:
    if isinstance(default, tuple):
        return " ".join(map(_shown, default))
    return f"{default:.4g}" if isinstance(default, float) else str(default)
