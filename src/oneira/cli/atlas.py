"""`oneira atlas`: every channel of a network as a page to browse."""

from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from oneira.cli.display import Display
from oneira.cli.interrupts import Interrupts
from oneira.cli.options import argument, chosen, options_of, signed
from oneira.cli.run_options import NAMES
from oneira.features.hardware import Precision
from oneira.figures.atlas import AtlasBuild, AtlasPlan


class AtlasOptions(BaseModel):
    """What the atlas is of, how it is made, and where it goes."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    output: Path | None = Field(None, description="the folder to write (default: atlas-MODEL in this folder)")
    layer: tuple[str, ...] = Field((), description="a layer; may be repeated (default: every one with positions)")
    data: Path | None = Field(
        None, description="a folder of pictures, or an .npz file of them: what excites channels is told and shown"
    )
    size: int = Field(128, ge=32, le=1024, description="side of each picture as it is made, in pixels")
    batch: int = Field(16, ge=1, le=1024, description="pictures that are made at once")
    seed: int = Field(0, ge=0, lt=2**62, description="of the noise that pictures begin with")
    device: str = Field("auto", description="what to compute on: auto, cpu, cuda ...")
    precision: Precision = Field("auto", description="what to compute in")
    weights: Path | None = Field(None, description="a file of weights for MODEL, instead of looking for them")
    offline: bool = Field(False, description="never touch the network; weights that are not here are an error")
    quiet: bool = Field(False, description="print nothing but errors")


def _atlas(model: str = "pocket", **given: Any) -> int:
    options = chosen(AtlasOptions, "atlas", given)
    display = Display(quiet=options.quiet)
    plan = AtlasPlan(model, options.layer, options.size, options.data, options.seed, options.batch)
    folder = options.output or Path(f"atlas-{model}")
    build = AtlasBuild(
        plan,
        folder,
        device=options.device,
        precision=options.precision,
        weights={} if options.weights is None else {model: options.weights},
        offline=options.offline,
        progress=display.download,
    )
    interrupts = Interrupts()
    with interrupts.caught(), display.notices(), display.progress():
        try:
            for progress in build:
                interrupts.patient = True
                display.work(progress.stage, progress.done, progress.total)
                display.note(progress.note)
                if interrupts.received is not None:
                    display.note(f"stopped: {folder} is not whole yet; the same command goes on")
                    return interrupts.status
        except KeyboardInterrupt:
            display.note(f"stopped at once: {folder} is not whole yet; the same command goes on")
            return interrupts.status
    display.note(f"wrote {folder / 'index.html'}: open it in a browser")
    return 0


atlas = signed(
    _atlas,
    "atlas",
    """Browse a network: every channel's picture, what excites it, and what it speaks for, as one page without a server.

    Stopped at any time, the same command goes on with what is missing.
    """,
    [
        argument("model", str, "a network (oneira models lists them) [default: pocket]", required=False),
        *options_of(AtlasOptions, names=NAMES),
    ],
)
