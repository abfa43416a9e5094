"""`oneira save-style`: the statistics of pictures in a small file, to be painted with when they are not at hand."""

import os
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from oneira.cli.display import Display
from oneira.cli.options import SHARED, argument, chosen, option, options_of, signed
from oneira.cli.run_options import NAMES
from oneira.cli.verbs import PICTURE
from oneira.errors import PlanError, StyleFileError
from oneira.features.encoder import Encoder
from oneira.features.hardware import choose_device
from oneira.objectives.saved_style import EXTENSION
from oneira.techniques import SAMPLE, Style

# What of `oneira style` decides the statistics. The content is not looked at.
FIELDS = (
    "model",
    "blend",
    "style_size",
    "style_layer",
    "statistics",
    "pooling",
    "pooling_gain",
    "padding",
    "normalised",
)


class SaveOptions(BaseModel):
    """Where the style goes, and how it is looked at."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    output: Path | None = Field(None, description=f"the file to write (default: NAME{EXTENSION} in this folder)")
    size: int = Field(1024, ge=64, le=8192, description="long side of the largest result that it is meant for")
    device: str = Field("auto", description="what to compute on: auto, cpu, cuda ...")
    weights: Path | None = Field(None, description="a file of weights for --model, instead of looking for them")
    offline: bool = Field(False, description="never touch the network; weights that are not here are an error")
    quiet: bool = Field(False, description="print nothing but errors")


def _save_style(*styles: str, preset: str | None = None, **given: Any) -> int:
    options = chosen(SaveOptions, "save-style", given)
    placed = {} if not styles else {"style": styles}
    technique = Style.configured(preset, content=f"{SAMPLE}cat", **placed, **given)
    output = options.output or Path(f"{Path(styles[0].removeprefix(SAMPLE)).stem}{EXTENSION}")
    if output.suffix.lower() != EXTENSION:
        raise PlanError(f"--output {str(output)!r} has to end in {EXTENSION}, by which it is known")
    if options.output is None and output.exists():
        raise PlanError(f"{str(output)!r} is there already; name the file by --output, and it will be replaced")
    _require_writable(output)
    display = Display(quiet=options.quiet)
    encoder = Encoder(
        device=choose_device(options.device),
        variant=technique.variant(),
        weights={} if options.weights is None else {technique.model: options.weights},
        offline=options.offline,
        progress=display.download,
    )
    with display.progress():
        style = technique.kept(encoder, options.size)
    style.write(output)
    for note in technique.notes:
        display.note(note)
    display.note(f"wrote {output} ({output.stat().st_size / 1e6:.1f} MB), for results of up to {options.size} pixels")
    return 0


def _require_writable(output: Path) -> None:
    """See, before anything is computed, that a file can be put there."""
    if output.is_dir():
        raise StyleFileError(f"cannot write the style {str(output)!r}: it is a folder; add a file name")
    if not (output.parent.is_dir() and os.access(output.parent, os.W_OK | os.X_OK)):
        folder = str(output.parent)
        raise StyleFileError(f"cannot write the style {str(output)!r}: {folder!r} is no folder that may be written to")


save_style = signed(
    _save_style,
    "save-style",
    """Keep a style in a small file, and paint with it where the artwork is not at hand: oneira style CONTENT NAME.style

    The file holds statistics of a network's layers, not the picture. It goes with this network, run as it is here.
    """,
    [
        argument("style", str, f"a picture; several are blended {PICTURE} [required]", several=True),
        option("preset", str, "named settings of oneira style"),
        option(
            "style_mask",
            tuple[str, ...],
            f"{Style.model_fields['style_mask'].description} {PICTURE}",
            metavar="FILE",
        ),
        *options_of(Style, without=set(Style.model_fields) - set(FIELDS)),
        *options_of(SaveOptions, SHARED, names=NAMES),
    ],
)
