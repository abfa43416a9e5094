"""What a figure is: options, declared once, and the drawing that they make of networks and pictures."""

from abc import ABC, abstractmethod
from collections.abc import Collection, Generator, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import ClassVar, Self

import torch
from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError
from torch import Tensor

from oneira.errors import AddressError, PlanError, RecipeError
from oneira.features.encoder import Encoder
from oneira.features.hardware import choose_device, choose_precision
from oneira.features.weights import Progress as Downloading
from oneira.images import InputFile, Recipe, current_versions
from oneira.images.opening import sha256_of
from oneira.inspection.picture_set import PictureSet
from oneira.techniques import located
from oneira.techniques.refusals import refusal

FILES = frozenset({"path", "picture", "file"})  # formats of fields that name files
WEIGHTS = "weights"  # the inputs of a recipe that networks are loaded from, and the option that names some of them

# By row and by column.
Numbers = Mapping[str, Mapping[str, float]]
Inputs = Mapping[str, InputFile | tuple[InputFile, ...]]


@dataclass(frozen=True)
class Progress:
    """`done` of `total` parts of what `stage` says; `note`: something that the user should know."""

    stage: str
    done: int
    total: int
    note: str | None = None


@dataclass(frozen=True, eq=False)
class Drawn:
    """A finished figure (1, 3, h, w), sRGB in [0, 1], and the `numbers` that it shows."""

    image: Tensor
    numbers: Numbers


Course = Generator[Progress, None, Drawn]


@dataclass(frozen=True)
class Equipment:
    """What a figure is made with; the fields are as those of `Synthesis`.

    A `precision` of `auto` is float32 here, because what is looked at are small differences. `weights`: files in place
    of the usual ones, by backbone. `recorded`: the only files that weights may be taken from; None: any. `loaded` holds
    the SHA-256 of all weights that have been, by backbone and file, None for the usual one.
    """

    seed: int = 0
    device: str = "auto"
    precision: str = "auto"
    weights: Mapping[str, Path] = field(default_factory=lambda: MappingProxyType({}))
    offline: bool = False
    progress: Downloading | None = None
    recorded: Collection[Path] | None = None
    loaded: dict[tuple[str, Path | None], str] = field(default_factory=dict, init=False, compare=False)

    def encoder(self, weights: Mapping[str, Path] = MappingProxyType({})) -> Encoder:
        """A new one, with `weights` before the equipment's own.

        Raises PlanError for a device that is not there, RecipeError for a file that is not among the `recorded`.
        """
        files = {**self.weights, **weights}
        for file in files.values():
            if self.recorded is not None and file not in self.recorded:
                raise RecipeError(f"the recipe names {str(file)!r} without a hash; what it means cannot be known")
        device, precision = self.chosen
        return Encoder(
            device=device,
            precision=precision,
            weights=files,
            offline=self.offline,
            progress=self.progress,
            loaded=partial(self._note, files),
        )

    def _note(self, files: Mapping[str, Path], backbone: str, sha256: str) -> None:
        self.loaded[backbone, files.get(backbone)] = sha256

    @property
    def chosen(self) -> tuple[torch.device, torch.dtype]:
        """What is computed on, and in; PlanError for a device that is not there."""
        device = choose_device(self.device)
        return device, choose_precision("float32" if self.precision == "auto" else self.precision, device)

    def require_used(self, backbones: Collection[str]) -> None:
        """Raise PlanError where there are weights of another network than those that are run with the usual ones."""
        for name in self.weights:
            if name not in backbones:
                raise PlanError(f"--weights name a file for {name}, but the figure takes none for it from there")

    @property
    def generator(self) -> torch.Generator:
        """A new one, of the seed."""
        return torch.Generator().manual_seed(self.seed)


class Figure(BaseModel, ABC):
    """The options of one figure. Fields are the options: type, default, bounds and help, declared once.

    `positional` names those that are told by their place. The first line of a figure's own docstring is what the list
    of figures says of it, and `rows` what each row of its numbers is of. Fields that are paths, and pictures, name what
    a recipe tells with its hash.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)
    positional: ClassVar[tuple[str, ...]] = ()
    rows: ClassVar[str]

    size: int = Field(256, ge=16, le=4096, description="side of the squares that networks look at, in pixels")

    @classmethod
    def title(cls) -> str:
        """Its name on the command line."""
        return cls.__name__.lower()

    @classmethod
    def recipe_name(cls) -> str:
        """Its name in recipes, which is that of no technique."""
        return f"figure:{cls.title()}"

    @abstractmethod
    def draw(self, equipment: Equipment) -> Course:
        """Compute it: what has been done so far, and in the end the figure.

        Raises what can be known before anything is computed at the first step.
        """

    @classmethod
    def input_fields(cls) -> tuple[str, ...]:
        """The fields that name files, and folders of pictures."""
        declared = cls.model_json_schema()["properties"]
        return tuple(name for name, about in declared.items() if FILES & _formats(about))

    @property
    def inputs(self) -> dict[str, tuple[str, ...]]:
        """What goes into it, by field; no entry for a field that names nothing."""
        given = {name: getattr(self, name) for name in self.input_fields()}
        several = {name: value if isinstance(value, tuple) else (value,) for name, value in given.items()}
        return {name: tuple(map(str, paths)) for name, paths in several.items() if paths not in ((), (None,))}

    def recorded(self) -> Inputs:
        """What goes into it, for a recipe; ImageError and DataError where it cannot be read."""
        found: dict[str, InputFile | tuple[InputFile, ...]] = {}
        for name, paths in self.inputs.items():
            files = tuple(InputFile.at(path, identity_of(located(path))) for path in paths)
            found[name] = files if isinstance(getattr(self, name), tuple) else files[0]
        return found

    def recipe(self, equipment: Equipment, recorded: Inputs) -> Recipe:
        """All that made the figure that was drawn with `equipment`, of inputs as they were `recorded`.

        Usual weights are told by backbone. Files of weights are inputs: those that no field names as a path stand under
        `weights`, as do, among the options, those that the equipment has in place of the usual ones.
        """
        named = {path for paths in self.inputs.values() for path in paths}
        files = {str(file): sha256 for (_, file), sha256 in equipment.loaded.items() if file is not None}
        others = tuple(InputFile.at(path, sha256) for path, sha256 in files.items() if path not in named)
        options: dict[str, JsonValue] = self.model_dump(mode="json", exclude=set(self.input_fields()))
        if equipment.weights:
            options[WEIGHTS] = [f"{backbone}={file}" for backbone, file in equipment.weights.items()]
        device, precision = equipment.chosen
        return Recipe(
            technique=self.recipe_name(),
            options=options,
            seed=equipment.seed,
            threads=torch.get_num_threads(),
            device=device.type,
            precision=str(precision).removeprefix("torch."),
            inputs={**recorded, **({WEIGHTS: others} if others else {})},
            weights={backbone: sha256 for (backbone, file), sha256 in equipment.loaded.items() if file is None},
            versions=current_versions(),
        )

    @classmethod
    def from_recipe(cls, recipe: Recipe) -> Self:
        """The figure as the recipe has it.

        Raises RecipeError where its options are not this figure's, or name a file without its hash.
        """
        files, verb = cls.input_fields(), f"figure {cls.title()}"
        options = {name: value for name, value in recipe.options.items() if name != WEIGHTS}
        for name in files:
            if name in options:
                raise RecipeError(f"the recipe names {name.upper()} without a hash; what it means cannot be known")
        entries = {name: each for name, each in recipe.inputs.items() if name != WEIGHTS}
        if set(entries) - set(files):
            raise RecipeError(f"the recipe does not fit {verb}, whose files are {', '.join((*files, WEIGHTS))}")
        inputs = {n: tuple(each.path for each in e) if isinstance(e, tuple) else e.path for n, e in entries.items()}
        try:
            return cls(**{**options, **inputs})
        except ValidationError as error:
            raise RecipeError(f"the recipe does not fit {verb}: {refusal(error, cls, verb)}") from error
        except AddressError as error:
            raise RecipeError(f"the recipe does not fit {verb}: {error}") from error


def identity_of(path: Path) -> str:
    """The SHA-256 of a file's bytes; of a folder, what tells its pictures from others (see `PictureSet`).

    Raises ImageError and DataError where there is neither.
    """
    return PictureSet.open(path).identity if path.is_dir() else sha256_of(path)


def _formats(declared: object) -> set[str]:
    """The formats of a field, of what it may be, and of its items."""
    if isinstance(declared, dict):
        own = {declared["format"]} if isinstance(declared.get("format"), str) else set()
        return own.union(*map(_formats, declared.values()))
    return set().union(*map(_formats, declared)) if isinstance(declared, list) else set()
