"""What a technique is: options, declared once, and the Plan that they make."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, ClassVar, Self

import torch
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PrivateAttr, ValidationError
from torch import Tensor

from oneira.errors import PlanError, RecipeError, nearest
from oneira.features.address import split_address
from oneira.images import InputFile, Picture, Recipe, current_versions, sample
from oneira.synthesis.loop import Synthesis
from oneira.synthesis.plan import Plan

# A picture by its path, or one that ships with Oneira as `sample:NAME`.
ImagePath = Annotated[str, BeforeValidator(str), Field(json_schema_extra={"format": "picture"})]


SAMPLE = "sample:"


def located(path: str) -> Path:
    """Where an ImagePath points to."""
    return sample(path.removeprefix(SAMPLE)) if path.startswith(SAMPLE) else Path(path)


class Technique(BaseModel, ABC):
    """The options of one way to make pictures. Fields are the options: type, default, bounds and help, declared once.

    `presets` holds named sets of options, each after its source. Options given beside a preset override it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=False)
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = MappingProxyType({})

    size: int | None = Field(512, ge=16, le=16384, description="long side of the result, in pixels")
    model: str = Field("pocket", description="backbone whose layers are meant where none is named (oneira models)")

    _pictures: dict[str, Picture] = PrivateAttr(default_factory=dict)

    @classmethod
    def verb(cls) -> str:
        """Its name on the command line and in recipes."""
        return cls.__name__.lower()

    @classmethod
    def configured(cls, preset: str | None = None, **options: Any) -> Self:
        """A preset, overridden by `options`. Raises PlanError, in one line, for what is not allowed."""
        chosen: Mapping[str, Any] = {}
        if preset is not None:
            if preset not in cls.presets:
                known = ", ".join(cls.presets)
                raise PlanError(f"unknown preset {preset!r} of {cls.verb()}{nearest(preset, cls.presets)}: {known}")
            chosen = cls.presets[preset]
        try:
            return cls(**{**chosen, **options})
        except ValidationError as error:
            raise PlanError(_one_line(error, cls)) from error

    @abstractmethod
    def plan(self) -> Plan:
        """The Plan that these options make. Reads the pictures; computes nothing else."""

    def run(self, *, seed: int = 0, device: str = "auto", precision: str = "auto") -> Tensor:
        """The finished image (1, 3, h, w), sRGB in [0, 1]."""
        synthesis = Synthesis(self.plan(), seed=seed, device=device, precision=precision)
        for _ in synthesis:
            pass
        return synthesis.image

    def picture(self, path: str) -> Picture:
        """An input, read once."""
        if path not in self._pictures:
            self._pictures[path] = Picture.open(located(path))
        return self._pictures[path]

    def _input(self, path: str) -> InputFile:
        # A sample is recorded by its name, which means the same on every machine.
        recorded = InputFile.of(self.picture(path))
        return recorded if located(path) == Path(path) else recorded.model_copy(update={"path": path})

    def address(self, layer: str) -> str:
        """`layer`, of `model` where it names no backbone."""
        return ":".join(split_address(layer, self.model))

    @classmethod
    def picture_fields(cls) -> tuple[str, ...]:
        """The fields that name input pictures."""
        return tuple(
            name
            for name, field in cls.model_fields.items()
            if isinstance(field.json_schema_extra, dict) and field.json_schema_extra.get("format") == "picture"
        )

    def recipe(self, synthesis: Synthesis) -> Recipe:
        """All that made the picture of `synthesis`."""
        inputs = {name: self._input(getattr(self, name)) for name in self.picture_fields() if getattr(self, name)}
        return Recipe(
            technique=self.verb(),
            options=self.model_dump(mode="json", exclude=set(inputs)),
            seed=synthesis.seed,
            threads=torch.get_num_threads(),
            device=synthesis.device.type,
            precision=str(synthesis.encoder.precision).removeprefix("torch."),
            inputs=inputs,
            weights=synthesis.encoder.digests,
            versions=current_versions(),
        )

    @classmethod
    def from_recipe(cls, recipe: Recipe) -> Self:
        """The technique as the recipe has it. Raises RecipeError where its options are not this technique's."""
        try:
            inputs = {name: entry.path for name, entry in recipe.inputs.items() if isinstance(entry, InputFile)}
            return cls(**{**recipe.options, **inputs})
        except (ValidationError, TypeError) as error:
            reason = _one_line(error, cls) if isinstance(error, ValidationError) else str(error)
            raise RecipeError(f"the recipe does not fit {cls.verb()}: {reason}") from error


def _one_line(error: ValidationError, technique: type[Technique]) -> str:
    """The first problem, with what came and what is allowed."""
    first = error.errors()[0]
    name = str(first["loc"][0]) if first["loc"] else technique.verb()
    option = "--" + name.replace("_", "-")
    if first["type"] == "extra_forbidden":
        return f"{technique.verb()} has no option {option}{nearest(name, technique.model_fields)}"
    if first["type"] == "missing":
        return f"{technique.verb()} needs {name.upper()}"
    message = first["msg"].removeprefix("Value error, ")
    return f"{option}: {message[0].lower()}{message[1:]}, not {first['input']!r}"
