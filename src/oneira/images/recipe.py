"""The recipe: everything that it takes to make a picture again, as data."""

import json
import os
import platform
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any, NoReturn, Self

import torch
from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError, model_validator

from oneira.errors import RecipeError
from oneira.images.notices import shown
from oneira.images.opening import sha256_of
from oneira.images.picture import Picture

# An EXIF segment of a JPEG holds 65,533 bytes; this leaves room for what stands around the recipe in it.
MAX_BYTES = 60 * 1024
MAX_DEPTH = 16
VERSION = 1

Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Word = Annotated[str, Field(pattern=r"^[A-Za-z0-9_.:+-]{1,64}$")]


class InputFile(BaseModel):
    """A file that went into a picture."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    path: str = Field(min_length=1, max_length=4096, description="as it was given; not resolved")
    sha256: Sha256 = Field(description="of the file's bytes")

    @classmethod
    def of(cls, picture: Picture) -> Self:
        """The file that a picture came from; RecipeError where it came from none."""
        if picture.path is None or picture.sha256 is None:
            raise RecipeError("a picture without a file cannot be recorded as an input")
        return cls.at(picture.path, picture.sha256)

    @classmethod
    def at(cls, path: str | Path, sha256: str) -> Self:
        """The file at `path`, whose bytes have been hashed."""
        # JSON has no way to write a name that is no UTF-8; it is recorded as one would see it.
        return cls(path=os.fsencode(path).decode("utf-8", "backslashreplace"), sha256=sha256)


class Recipe(BaseModel):
    """What made a picture. One that exists fits into any file: at most MAX_BYTES of JSON, finite numbers only.

    Raises pydantic's ValidationError for fields that do not fit, RecipeError for too much of them.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: int = Field(VERSION, ge=VERSION, le=VERSION, description="of this schema")
    technique: Word | None = Field(None, description="the technique's name; None for a plan made by hand")
    options: dict[str, JsonValue] = Field(default_factory=dict, description="the technique's fields")
    seed: int = Field(0, ge=0, lt=2**63)
    threads: int = Field(1, ge=1, le=65_536, description="the sum of floats depends on how many threads there are")
    precision: Word = "float32"
    device: Word = "cpu"
    inputs: dict[str, InputFile | tuple[InputFile, ...]] = Field(default_factory=dict, description="by option")
    weights: dict[Word, Sha256] = Field(default_factory=dict, description="by backbone")
    versions: dict[Word, str] = Field(default_factory=dict, description="of Oneira and of what it ran on")

    @model_validator(mode="after")
    def _fits(self) -> Self:
        _refuse_deep([self.options])
        size = len(self.to_json())
        if size > MAX_BYTES:
            raise RecipeError(f"a recipe of {size:,} bytes; at most {MAX_BYTES:,} are kept")
        return self

    @property
    def input_files(self) -> dict[str, tuple[InputFile, ...]]:
        """`inputs`, one file as one of several."""
        return {option: files if isinstance(files, tuple) else (files,) for option, files in self.inputs.items()}

    def to_json(self, indent: int | None = None) -> str:
        """The recipe as JSON of printable ASCII only, so that no name in it can steer a terminal."""
        try:
            text = json.dumps(self.model_dump(mode="json"), indent=indent, allow_nan=False)
        except ValueError:
            raise RecipeError("a recipe holds finite numbers only; an option is not finite") from None
        return text.replace("\x7f", "\\u007f")

    @classmethod
    def from_json(cls, text: str | bytes, *, source: str = "recipe") -> Self:
        """Read and validate what may come from anybody; `source` names it in errors.

        Raises RecipeError, in one line, where it is too long, too deep, no JSON, from a later version, or does not
        fit the schema.
        """
        if len(text) > MAX_BYTES:
            raise RecipeError(f"{source} has a recipe of {len(text):,} bytes; at most {MAX_BYTES:,} are read")
        try:
            found = json.loads(text, parse_constant=_refuse_constant)
            _refuse_deep(found)
        except RecursionError:
            raise RecipeError(f"{source} has a recipe nested too deep; at most {MAX_DEPTH} levels are read") from None
        except (ValueError, RecipeError) as error:
            raise RecipeError(f"{source} has a damaged recipe: {error}") from None
        _refuse_later(found, source)
        try:
            return cls.model_validate_json(text, strict=True)
        except ValidationError as error:
            raise RecipeError(f"{source} has an invalid recipe: {_first(error)}") from None
        except RecipeError as error:
            raise RecipeError(f"{source}: {error}") from None


def check_inputs(recipe: Recipe) -> None:
    """See that every input is still the file that the recipe means; RecipeError for the first that is not."""
    for option, files in recipe.input_files.items():
        for file in files:
            found = sha256_of(Path(file.path))
            if found != file.sha256:
                raise RecipeError(
                    f"{shown(file.path)}, input {option!r}, is another file than when the picture was made:"
                    f" sha256 {found[:12]}, recorded {file.sha256[:12]}"
                )


def current_versions() -> dict[str, str]:
    """What a picture made here and now depends on, for `Recipe.versions`."""
    return {
        "oneira": version("oneira"),
        "torch": torch.__version__,
        "python": platform.python_version(),
        "platform": f"{platform.system()} {platform.machine()}",
        "processor": torch.backends.cpu.get_cpu_capability(),
    }


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number of JSON")


def _refuse_deep(value: Any) -> None:
    level = [value]
    for _ in range(MAX_DEPTH):
        level = [inner for outer in level if isinstance(outer, dict | list | tuple) for inner in _inside(outer)]
        if not level:
            return
    raise RecipeError(f"nested too deep; at most {MAX_DEPTH} levels are kept")


def _inside(value: dict[str, Any] | list[Any] | tuple[Any, ...]) -> list[Any]:
    return list(value.values()) if isinstance(value, dict) else list(value)


def _refuse_later(found: object, source: str) -> None:
    came = found.get("version") if isinstance(found, dict) else None
    if isinstance(came, int) and came > VERSION:
        newer = f"versions up to {VERSION} are read here: a newer Oneira is needed"
        raise RecipeError(f"{source} has a recipe of version {str(came)[:12]}; {newer}")


def _first(error: ValidationError) -> str:
    """The first complaint, as `field: message`, on one line of printable characters."""
    first = error.errors(include_url=False, include_input=False, include_context=False)[0]
    where = ".".join(str(part) for part in first["loc"]) or "recipe"
    more = f" (and {error.error_count() - 1} more)" if error.error_count() > 1 else ""
    return f"{ascii(where[:200])[1:-1]}: {ascii(first['msg'][:200])[1:-1]}{more}"
