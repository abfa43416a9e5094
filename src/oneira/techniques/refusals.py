"""Options that pydantic refuses, told in one line: what came, and what is allowed."""

from typing import get_args

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from oneira.errors import nearest

# How the bounds of a field are said; annotated_types names them as its attributes.
BOUNDS = {"ge": "at least", "gt": "above", "le": "at most", "lt": "below", "min_length": "at least this many:"}
LONGEST = 80  # what came may come from a hostile file


def refusal(error: ValidationError, model: type[BaseModel], verb: str) -> str:
    """The first problem that `model`, whose options `verb` takes, has with what it was given."""
    first = error.errors(include_url=False)[0]
    name = str(first["loc"][0]) if first["loc"] else ""
    option = option_name(name)
    if first["type"] == "extra_forbidden":
        return f"{verb} has no option {_short(option)}{nearest(name, model.model_fields)}"
    if first["type"] == "missing":
        return f"{verb} needs {name.upper()}"
    message = first["msg"].removeprefix("Value error, ")
    if not name:
        return message
    field = model.model_fields[name]
    # Of several numbers, one is refused: by bounds of its own, which are not those of the field.
    bounds = bounds_of(_each(field) if len(first["loc"]) > 1 else field)
    if first["type"] == "finite_number":
        bounds = "finite numbers"
    elif first["type"] not in ("greater_than", "greater_than_equal", "less_than", "less_than_equal", "too_short"):
        bounds = f"{message[0].lower()}{message[1:]}"
    return f"{option} cannot be {_short(repr(first['input']))}; allowed: {bounds}"


def option_name(field: str) -> str:
    """`octave_scale` -> `--octave-scale`; `class_`, which Python keeps for itself -> `--class`."""
    return "--" + field.rstrip("_").replace("_", "-")


def bounds_of(field: FieldInfo) -> str:
    """`at least 1 and at most 20`; empty where there are none."""
    said = [
        f"{word} {getattr(bound, key)}"
        for bound in field.metadata
        for key, word in BOUNDS.items()
        if getattr(bound, key, None) is not None
    ]
    return " and ".join(said)


def _each(field: FieldInfo) -> FieldInfo:
    """What every value of a field of several has to be."""
    return FieldInfo.from_annotation(get_args(field.annotation)[0])


def _short(text: str) -> str:
    printable = ascii(text)[1:-1]
    return printable if len(printable) <= LONGEST else f"{printable[:LONGEST]}..."
