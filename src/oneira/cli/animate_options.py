"""What `oneira animate` takes, beside what every film takes."""

from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ByteSize, ConfigDict, Field, TypeAdapter

from oneira.cli.run_options import Memory, RunOptions
from oneira.motion.varying import FRAMES
from oneira.synthesis.run import SEEDS

# What would change nothing here: a film that was stopped goes on by itself, and its frames are kept one by one.
WITHOUT = ("save_every", "resume", "stages", "record", "every", "csv", "depth", "sidecar")


LEAST = 1024  # bytes of a film


def _not_too_little(text: str) -> str:
    if TypeAdapter(ByteSize).validate_python(text) < LEAST:
        raise ValueError(f"an amount of at least {LEAST} bytes")
    return text


class AnimateOptions(BaseModel):
    """What a film is made of, and how its pictures follow each other."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    vary: tuple[str, ...] = Field(
        (),
        description="an option of VERB that changes from frame to frame: OPTION=FROM:TO, OPTION=FROM:TO:log by equal "
        "factors, or OPTION=a,b,c with a value for each frame; may be repeated, and all change together",
    )
    between: str | None = Field(
        None, description="with stylize: from style to style, such as starry_night,great_wave,the_scream"
    )
    frames: int | None = Field(
        None,
        ge=1,
        le=100_000,
        description=f"with --vary: how many frames; with --between: from one style to the next (default: {FRAMES}, or "
        "as many as are listed)",
    )
    hold: float | None = Field(None, ge=0.01, description="seconds that each picture is seen (default: one frame)")
    fade: int = Field(0, ge=0, le=10_000, description="frames of cross-fade between two pictures")
    boomerang: bool = Field(False, description="forth, and back again")
    captions: bool = Field(False, description="below each picture, its file's name, or what the options are in it")
    size: int | None = Field(
        None, ge=16, le=16384, description="long side of the film in pixels (default: the first picture's)"
    )
    limit: Annotated[Memory, AfterValidator(_not_too_little)] | None = Field(
        None, description="of .gif, .webp, .png: the most that the file may have, such as 8MB; pictures become smaller"
    )

    @property
    def most_bytes(self) -> int | None:
        """`limit` in bytes."""
        return None if self.limit is None else int(TypeAdapter(ByteSize).validate_python(self.limit))


class AnimateRunning(RunOptions):
    """How its pictures are made, and where the film goes."""

    output: Path | None = Field(
        None,
        description="where the film goes; its extension, such as .gif, .mp4 or .webp, chooses the format "
        "(default: NAME-animate.gif in this folder, never over another)",
    )
    seed: int = Field(0, ge=0, lt=SEEDS, description="of everything random: the same seed makes the same film")
    no_recipe: bool = Field(False, description="leave the recipe out of the film")
