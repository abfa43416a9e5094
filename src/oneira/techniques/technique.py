"""What a technique is: options, declared once, and the Plan that they make."""

import hashlib
import os
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, ClassVar, Self, get_args, get_origin

import torch
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    PlainValidator,
    PrivateAttr,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic.fields import FieldInfo
from torch import Tensor

from oneira.errors import AddressError, PlanError, RecipeError
from oneira.features.address import split_address
from oneira.features.registry import find_backbone
from oneira.images import InputFile, Picture, Recipe, current_versions, resize, sample
from oneira.images.opening import read_file
from oneira.objectives import SavedStyle, read_style
from oneira.synthesis.run import Declaration, Run
from oneira.techniques.beginning import begin
from oneira.techniques.presets import Preset, preset_called
from oneira.techniques.refusals import option_name, refusal

SAMPLE = "sample:"


def _path(value: object) -> str:
    if not isinstance(value, str | os.PathLike):
        raise ValueError("a path is needed")  # noqa: TRY004 - what pydantic understands
    return os.fsdecode(value)


# A picture by its path, or one that ships with Oneira as `sample:NAME`. pydantic's own strings have no place for names
# that are no UTF-8, which file systems do.
ImagePath = Annotated[
    str, PlainValidator(_path, json_schema_input_type=str), Field(json_schema_extra={"format": "picture"})
]
# Another file, by its path: an input as pictures are, which recipes tell with its hash.
FilePath = Annotated[
    str, PlainValidator(_path, json_schema_input_type=str), Field(json_schema_extra={"format": "file"})
]


def located(path: str) -> Path:
    """Where an ImagePath points to."""
    return sample(path.removeprefix(SAMPLE)) if path.startswith(SAMPLE) else Path(path)


def _names(field: FieldInfo, *formats: str) -> bool:
    """Whether it is an ImagePath, `picture`, or a FilePath, `file`, which may be None."""
    inner = [part for kind in get_args(field.annotation) for part in getattr(kind, "__metadata__", ())]
    extras = [part.json_schema_extra for part in (field, *inner) if isinstance(part, FieldInfo)]
    return any(isinstance(extra, dict) and extra.get("format") in formats for extra in extras)


class Technique(BaseModel, ABC):
    """The options of one way to make pictures. Fields are the options: type, default, bounds and help, declared once.

    `presets` holds named sets of options, each after its source; one of them sets nothing. Options given beside a
    preset override it. `positional` names the pictures that are told by their place, not by name, of which the last may
    be several; a picture whose field has a default, None, may be left out. `stands_for` names fields, None unless told,
    that stand in place of another, which then may not be told too. `grows`: whether what it made of a picture would
    grow if it were made again of that, without end.
    """

    # Neither infinity nor NaN: a recipe could not hold them.
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)
    presets: ClassVar[Mapping[str, Preset]] = MappingProxyType({"default": Preset("the defaults of the technique")})
    positional: ClassVar[tuple[str, ...]] = ()
    stands_for: ClassVar[Mapping[str, str]] = MappingProxyType({})
    also_called: ClassVar[Mapping[str, str]] = MappingProxyType({})
    grows: ClassVar[bool] = False

    size: int | str | None = Field(512, ge=16, le=16384, description="long side of the result, in pixels")
    model: str = Field("pocket", description="backbone whose layers are meant where none is named (oneira models)")

    _pictures: dict[str, Picture] = PrivateAttr(default_factory=dict)
    _styles: dict[str, tuple[SavedStyle, str]] = PrivateAttr(default_factory=dict)
    _files: dict[str, tuple[bytes, str]] = PrivateAttr(default_factory=dict)

    @model_validator(mode="before")
    @classmethod
    def _one_may_stand_for_several(cls, options: Any) -> Any:
        """`layer="relu4_2"` means `layer=("relu4_2",)`."""
        if not isinstance(options, Mapping):
            return options
        several = {name for name, field in cls.model_fields.items() if get_origin(field.annotation) is tuple}
        return {
            name: (value,) if name in several and isinstance(value, str | int | float | os.PathLike) else value
            for name, value in options.items()
        }

    @field_validator("model")
    @classmethod
    def _known(cls, model: str) -> str:
        find_backbone(model)
        return model

    @model_validator(mode="after")
    def _one_of_two(self) -> Self:
        for name, other in self.stands_for.items():
            # A recipe names every option: one that is at its default was not told.
            if getattr(self, name) is not None and getattr(self, other) != type(self).model_fields[other].default:
                raise ValueError(f"{option_name(name)} stands in place of {option_name(other)}; give one of the two")
        return self

    @classmethod
    def _replaced(cls, options: Mapping[str, Any]) -> set[str]:
        """The fields in whose place others of `options` stand."""
        return {other for name, other in cls.stands_for.items() if options.get(name) is not None}

    @classmethod
    def verb(cls) -> str:
        """Its name on the command line and in recipes."""
        return cls.__name__.lower()

    @classmethod
    def borrowed(cls, preset: str | None, told: Mapping[str, Any]) -> dict[str, Any]:
        """What the preset sets, but for what `told` options stand for, or are stood for by."""
        chosen = {} if preset is None else preset_called(preset, cls.presets, cls.verb()).options
        replaced = cls._replaced(told) | {name for name, other in cls.stands_for.items() if other in told}
        return {name: value for name, value in chosen.items() if name not in replaced}

    @classmethod
    def configured(cls, preset: str | None = None, **options: Any) -> Self:
        """A preset, overridden by `options`. Raises PlanError, in one line, for what is not allowed."""
        try:
            return cls(**{**cls.borrowed(preset, options), **options})
        except ValidationError as error:
            raise PlanError(refusal(error, cls, cls.verb())) from error

    @abstractmethod
    def plan(self) -> Declaration:
        """What is to be optimised, copied or computed. Reads the pictures; computes nothing else."""

    def finished(self, run: Run) -> Tensor:
        """The picture (1, 3, h, w) that is kept of a run that is done, or was stopped."""
        return run.image

    def transparency(self, image: Tensor) -> Tensor | None:
        """The alpha (1, 1, h, w) that `image` (1, 3, h, w) is saved with: that of the picture that is worked on."""
        alpha = None if self.worked_on is None else self.picture(self.worked_on).alpha
        return None if alpha is None else resize(alpha, (image.shape[2], image.shape[3]))

    def run(
        self,
        *,
        seed: int = 0,
        device: str = "auto",
        precision: str = "auto",
        weights: Mapping[str, Path] = MappingProxyType({}),
        offline: bool = False,
    ) -> Tensor:
        """The finished image (1, 3, h, w), sRGB in [0, 1]; the arguments are those of `Synthesis`."""
        run = begin(self.plan(), seed=seed, device=device, precision=precision, weights=weights, offline=offline)
        for _ in run:
            pass
        return self.finished(run)

    def picture(self, path: str) -> Picture:
        """An input, read once."""
        if path not in self._pictures:
            self._pictures[path] = Picture.open(located(path))
        return self._pictures[path]

    def of(self, path: str, picture: Picture | None = None) -> Self:
        """The same at work on another picture: the file at `path`, or `picture`, which is called so.

        All else that it has read is shared. Raises PlanError where it works on no picture.
        """
        name, before = self._place_of_work()
        other = self.model_copy(update={name: (path,) if isinstance(getattr(self, name), tuple) else path})
        other._pictures = {read: each for read, each in self._pictures.items() if read != before}
        if picture is not None:
            other._pictures[path] = picture
        return other

    @property
    def notes(self) -> tuple[str, ...]:
        """What a person may want to know about the pictures that have been read."""
        return tuple(f"{path!r}: {note}" for path, picture in self._pictures.items() for note in picture.notes)

    def saved_style(self, path: str) -> SavedStyle:
        """An input that is no picture but what was kept of some, read once."""
        if path not in self._styles:
            self._styles[path] = read_style(Path(path))
        return self._styles[path][0]

    def file(self, path: str, limit: int) -> bytes:
        """The bytes of an input that is neither, read once; ImageError where there are none, or more than `limit`."""
        if path not in self._files:
            data = read_file(path, limit)
            self._files[path] = data, hashlib.sha256(data).hexdigest()
        return self._files[path][0]

    def _input(self, name: str, path: str) -> InputFile:
        if path in self._styles:
            return InputFile.at(path, self._styles[path][1])
        if name not in self.picture_fields():
            return InputFile.at(path, self._files[path][1])
        # A sample is recorded by its name, which means the same on every machine.
        recorded = InputFile.of(self.picture(path))
        return recorded if located(path) == Path(path) else recorded.model_copy(update={"path": path})

    def address(self, layer: str) -> str:
        """`layer`, of `model` where it names no backbone."""
        return ":".join(split_address(layer, self.model))

    @classmethod
    def picture_fields(cls) -> tuple[str, ...]:
        """The fields that name input pictures."""
        return tuple(name for name, field in cls.model_fields.items() if _names(field, "picture"))

    @classmethod
    def input_fields(cls) -> tuple[str, ...]:
        """The fields that name input pictures, or other input files."""
        return tuple(name for name, field in cls.model_fields.items() if _names(field, "picture", "file"))

    @property
    def inputs(self) -> dict[str, tuple[str, ...]]:
        """The pictures and other files that go into it, by field; no entry for a field that names none."""
        given = {name: getattr(self, name) for name in self.input_fields()}
        several = {name: paths if isinstance(paths, tuple) else (paths,) for name, paths in given.items()}
        return {name: paths for name, paths in several.items() if paths not in ((), (None,))}

    @property
    def input_paths(self) -> tuple[str, ...]:
        """All of them."""
        return tuple(path for paths in self.inputs.values() for path in paths)

    @property
    def worked_on(self) -> str | None:
        """The picture that is told first by its place; None where none is."""
        return next((self.inputs[name][0] for name in self.positional if name in self.inputs), None)

    def _place_of_work(self) -> tuple[str, str]:
        """The field that names the picture that is worked on, and that picture."""
        for name in self.positional:
            if name in self.inputs:
                return name, self.inputs[name][0]
        raise PlanError(f"{self.verb()} works on no picture here: name one")

    def recipe(self, run: Run) -> Recipe:
        """All that made the picture of `run`."""
        return Recipe(
            technique=self.verb(),
            options=self.model_dump(mode="json", exclude=set(self.input_fields())),
            seed=run.seed,
            threads=torch.get_num_threads(),
            device=run.device.type,
            precision=str(run.precision).removeprefix("torch."),
            inputs={name: self._recorded(name, paths) for name, paths in self.inputs.items()},
            weights=dict(run.digests),
            versions=current_versions(),
        )

    def _recorded(self, name: str, paths: Sequence[str]) -> InputFile | tuple[InputFile, ...]:
        files = tuple(self._input(name, path) for path in paths)
        return files if isinstance(getattr(self, name), tuple) else files[0]

    @classmethod
    def from_recipe(cls, recipe: Recipe) -> Self:
        """The technique as the recipe has it.

        Raises RecipeError where its options are not this technique's, or name a picture without its hash.
        """
        files = cls.input_fields()
        for name in recipe.options:
            if name in files:
                raise RecipeError(f"the recipe names {name.upper()} without a hash; what it means cannot be known")
        inputs = {
            name: tuple(entry.path for entry in entries) if isinstance(entries, tuple) else entries.path
            for name, entries in recipe.inputs.items()
        }
        if set(recipe.inputs) - set(files):
            raise RecipeError(f"the recipe does not fit {cls.verb()}, whose pictures are {', '.join(files)}")
        # A recipe names every option. One whose place another takes is at its default, but that of another version.
        told = {**recipe.options, **inputs}
        kept = {name: value for name, value in told.items() if name not in cls._replaced(told)}
        try:
            return cls(**kept)
        except ValidationError as error:
            raise RecipeError(f"the recipe does not fit {cls.verb()}: {refusal(error, cls, cls.verb())}") from error
        except AddressError as error:
            raise RecipeError(f"the recipe does not fit {cls.verb()}: {error}") from error
