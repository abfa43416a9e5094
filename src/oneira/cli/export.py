"""`oneira export`: a trained network as an ONNX model, or as a page that draws in a browser."""

import os
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from oneira.cli.display import Display
from oneira.cli.options import argument, chosen, options_of, signed
from oneira.cli.run_options import NAMES
from oneira.errors import PlanError, WeightsError
from oneira.feedforward import TrainedNetwork
from oneira.feedforward.export import browser_runtime, onnx_model, require_page_folder, web_page
from oneira.feedforward.shipped import POCKET_STYLES, network_file

EXTENSION = ".onnx"


class ExportOptions(BaseModel):
    """What is written, and where."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    output: Path | None = Field(None, description=f"the model to write, which ends in {EXTENSION}")
    web: Path | None = Field(
        None, description="the folder of a page to write: it draws in the browser, opened from the disk, offline"
    )
    precision: Literal["float32", "float16", "int8"] = Field(
        "float32",
        description="of the model: float16 is half the size, for graphics cards; int8 a quarter, and twice as fast on "
        "processors, a little further from the network",
    )
    offline: bool = Field(False, description="never touch the network; --web needs ONNX Runtime Web in the cache then")
    quiet: bool = Field(False, description="print nothing but errors")


def _export(network: str, **given: Any) -> int:
    options = chosen(ExportOptions, "export", given)
    _require_places(options)
    trained = TrainedNetwork.load(network_file(network))
    display = Display(quiet=options.quiet)
    with display.progress():
        runtime = None
        if options.web is not None:
            runtime = browser_runtime(offline=options.offline, progress=display.download)
        model = onnx_model(trained, options.precision)
        if options.output is not None:
            model.write(options.output)
            display.note(f"wrote {options.output} ({len(model.data) / 1e6:.1f} MB, {model.precision})")
        if runtime is not None and options.web is not None:
            page = web_page(trained, model, runtime)
            place = page.write(options.web)
            display.note(f"wrote {place}: open it in a browser ({page.size / 1e6:.1f} MB, {model.precision})")
    display.note(f"ONNX Runtime's pictures beside the network's, colours from 0 to 1: {model.departure}")
    return 0


def _require_places(options: ExportOptions) -> None:
    """See, before anything is computed, that there is something to write, and that it can be written there."""
    output = options.output
    if output is None and options.web is None:
        raise PlanError(f"say where to: --output NAME{EXTENSION}, or --web FOLDER")
    if options.web is not None:
        require_page_folder(options.web)
    if output is None:
        return
    if output.suffix.lower() != EXTENSION:
        raise PlanError(f"--output {str(output)!r} has to end in {EXTENSION}, by which runtimes know it")
    if output.is_dir():
        raise WeightsError(f"cannot write the model {str(output)!r}: it is a folder; add a file name")
    if not (output.parent.is_dir() and os.access(output.parent, os.W_OK | os.X_OK)):
        folder = str(output.parent)
        raise WeightsError(f"cannot write the model {str(output)!r}: {folder!r} is no folder that may be written to")


export = signed(
    _export,
    "export",
    """Take a trained network elsewhere: as an ONNX model, or as a page that draws in a browser.

    The model takes `image` (1, 3, height, width) in [0, 1], of any size, and `style`, a weight for each style; it is
    measured against the network before it is written.
    """,
    [
        argument("network", str, f"a file that `oneira train style` wrote, or {POCKET_STYLES}, which ships"),
        *options_of(ExportOptions, names=NAMES),
    ],
)
