"""Where a backbone's weights are on this machine."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from platformdirs import user_cache_path

from oneira.errors import WeightsError
from oneira.features.registry import Backbone
from oneira.features.weights.sources import EMBEDDED, SOURCES, WeightsSource

SUFFIXES = (".safetensors", ".pth", ".pt", ".mat")

Where = Literal["registered", "$ONEIRA_WEIGHTS", "embedded", "cache", "to download", "nowhere"]


@dataclass(frozen=True)
class Located:
    """Where a backbone's weights are: the file (None: not here), the kind of place, the official file if there is one.

    `registered` weights came with the user's own module; `nowhere`: no file, and no official one to download.
    """

    path: Path | None
    where: Where
    source: WeightsSource | None


def cache_folder() -> Path:
    """Where downloaded weights are kept: `weights` in $ONEIRA_CACHE, else in the user's cache folder for Oneira."""
    chosen = os.environ.get("ONEIRA_CACHE")
    return (Path(chosen).expanduser() if chosen else user_cache_path("oneira")) / "weights"


def locate(backbone: Backbone, sources: Mapping[str, WeightsSource] = SOURCES) -> Located:
    """Find the file that `load_weights` would take, without opening it.

    Raises WeightsError where $ONEIRA_WEIGHTS names no folder.
    """
    source = sources.get(backbone.name)
    if not backbone.own:
        return Located(None, "registered", None)
    if (path := _in_own_folder(backbone.name, source)) is not None:
        return Located(path, "$ONEIRA_WEIGHTS", source)
    if backbone.name == EMBEDDED:
        return Located(embedded_file(), "embedded", None)
    if source is None:
        return Located(None, "nowhere", None)
    if _exists(path := cache_folder() / source.filename):
        return Located(path, "cache", source)
    return Located(None, "to download", source)


def embedded_file() -> Path:
    """The weights that ship in the package."""
    return Path(__file__).parents[1] / "embedded" / f"{EMBEDDED}.safetensors"


def _in_own_folder(name: str, source: WeightsSource | None) -> Path | None:
    """$ONEIRA_WEIGHTS is a folder; a file in it goes by its official name, or by the backbone's and a known suffix."""
    chosen = os.environ.get("ONEIRA_WEIGHTS")
    if not chosen:
        return None
    folder = Path(chosen).expanduser()
    if not folder.is_dir():
        raise WeightsError(f"$ONEIRA_WEIGHTS is {chosen!r}, which is not a folder; it names one that holds weights")
    official = [source.filename] if source is not None else []
    names = [*official, *(name + suffix for suffix in SUFFIXES)]
    return next((folder / file for file in names if _exists(folder / file)), None)


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except OSError as error:
        raise WeightsError(f"cannot look for {path}: {error.strerror}") from error
