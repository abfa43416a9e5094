"""What every verb that makes a picture takes besides its technique's own options."""

from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    ByteSize,
    ConfigDict,
    Field,
    TypeAdapter,
    ValidationError,
    model_validator,
)

from oneira.features.hardware import Precision
from oneira.features.weights import Progress
from oneira.synthesis.run import SEEDS, Means

# Where an option's name is not its field's; `json` would hide a method of pydantic's.
NAMES = MappingProxyType({"output": ("--output", "-o"), "quiet": ("--quiet", "-q"), "as_json": ("--json",)})


def _amount(text: str) -> str:
    try:
        count = TypeAdapter(ByteSize).validate_python(text)
    except ValidationError:
        count = ByteSize(0)
    # A number alone would be bytes, which nobody means.
    if count == 0 or not text.strip()[-1:].isalpha():
        raise ValueError("an amount of memory with its unit, such as 900MB, 4GB or 1.5GiB")
    return text


Memory = Annotated[str, AfterValidator(_amount)]  # as it is typed


class RunOptions(BaseModel):
    """How a picture is made, and where it goes."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    output: Path | None = Field(
        None,
        description="where the picture goes; its extension chooses the format "
        "(default: NAME-VERB.png in this folder, never over another)",
    )
    seed: int = Field(0, ge=0, lt=SEEDS, description="of everything random: the same seed makes the same picture")
    device: str = Field("auto", description="what to compute on: auto, cpu, cuda, cuda:1, mps ...")
    precision: Precision = Field(
        "auto", description="what to compute in; auto takes bfloat16 where the machine has instructions for it"
    )
    max_memory: Memory | None = Field(
        None,
        description="memory that the whole process may take, such as 900MB or 1.5GiB: what the run will need is "
        "foretold, and where it is too much, activations are computed twice instead of kept",
    )
    weights: Path | None = Field(None, description="a file of weights for --model, instead of looking for them")
    offline: bool = Field(False, description="never touch the network; weights that are not here are an error")
    save_every: float = Field(
        30.0, ge=0, description="seconds between checkpoints, which lie beside the picture until it is done; 0: none"
    )
    resume: bool = Field(False, description="go on from the checkpoint of a run that was stopped, to the same bytes")
    stages: Path | None = Field(None, description="save every stage's picture into this folder")
    record: Path | None = Field(
        None,
        description="a film of how the picture comes about; its extension, such as .mp4 or .gif, chooses the format",
    )
    every: int | None = Field(
        None,
        ge=1,
        description="with --record: steps from frame to frame (default: each stage's end, or so that some 100 come)",
    )
    fps: float | None = Field(None, ge=0.01, le=240, description="frames a second of films (default: 12)")
    csv: Path | None = Field(
        None, description="write the losses in the end, of every stage that a figure shows, into this table"
    )
    depth: Literal[8, 16] = Field(8, description="bits per colour; 16 for PNG only")
    sidecar: bool = Field(False, description="write the recipe into a file beside the picture, too")
    no_recipe: bool = Field(False, description="leave the recipe out of the picture")
    quiet: bool = Field(False, description="print nothing but errors")
    as_json: bool = Field(False, description="print one line of JSON per step on standard output")

    @property
    def memory_limit(self) -> int | None:
        """`max_memory` in bytes."""
        return None if self.max_memory is None else int(TypeAdapter(ByteSize).validate_python(self.max_memory))

    def means(self, model: str, progress: Progress | None = None) -> Means:
        """What a picture is made with; `--weights` are those of `model`."""
        weights = {} if self.weights is None else {model: self.weights}
        return Means(self.seed, self.device, self.precision, weights, self.offline, progress, self.memory_limit)

    @model_validator(mode="after")
    def _recipe_or_none(self) -> Self:
        if self.sidecar and self.no_recipe:
            raise ValueError("--sidecar writes the recipe that --no-recipe leaves out: choose one")
        return self

    @model_validator(mode="after")
    def _every_step_of_a_film(self) -> Self:
        if self.every is not None and self.record is None:
            raise ValueError("--every counts the steps between frames of --record: name a film, such as making.mp4")
        return self


class StylizeOptions(RunOptions):
    """The same for one picture, or many, each made in one pass."""

    output: Path | None = Field(
        None,
        description="where the picture goes; its extension chooses the format; of several pictures, the folder "
        "(default: NAME-stylize.png or NAME-stylize in this folder, never over another)",
    )
    resume: bool = Field(False, description="of several pictures, paint only those that are not there yet")


class RerunOptions(RunOptions):
    """The same for a picture that is made again; the recipe knows the rest."""

    output: Path | None = Field(
        None, description="where the picture goes (default: NAME-rerun beside PICTURE, never over another)"
    )
    device: str = Field("recipe", description="what to compute on, such as cpu; recipe: what the recipe says")
    precision: Literal["recipe", "auto", "float32", "bfloat16"] = Field(  # type: ignore[assignment]
        "recipe", description="what to compute in; recipe: what the recipe says"
    )
