"""An atlas as a page that is read from the disk: no server, nothing fetched, no build step."""

import json
import math
import shlex
from collections import Counter
from collections.abc import Iterable
from importlib import resources
from pathlib import Path, PurePosixPath

from oneira.errors import ImageError, PlanError
from oneira.features import DEFAULT_BACKBONE
from oneira.figures.atlas import page
from oneira.figures.atlas.entries import Atlas, ChannelEntry, LayerEntry
from oneira.files import write_whole

# The page comes last: where it is, all that it shows is there too.
_FILES = ("atlas.css", "atlas.js", "finding.js", "data.js", "index.html")
_DIGITS = 4  # of each number; more than anybody reads, and a third of the bytes


def write_site(folder: Path, atlas: Atlas) -> Path:
    """Write the page of `atlas` into `folder`, beside the pictures that are there already, and return its path.

    A browser opens it by its `file://` address. Every file is written whole or not at all; an older page is replaced.
    Raises PlanError for an atlas that contradicts itself or names pictures that are not in `folder`, ImageError where
    the disk refuses.
    """
    _check(folder, atlas)
    contents = {name: _content(name, atlas) for name in _FILES}
    for name, content in contents.items():
        _write(folder / name, content)
    return folder / "index.html"


def _write(path: Path, content: bytes) -> None:
    try:
        write_whole(path, lambda file: file.write(content))
    except OSError as error:
        raise ImageError(f"cannot write {path}: {error.strerror or error}") from error


def _content(name: str, atlas: Atlas) -> bytes:
    if name == "data.js":
        return f"window.ATLAS = {_json(_told(atlas))};\n".encode("ascii")
    return resources.files(page).joinpath(name).read_bytes()


def _json(value: object) -> str:
    """JSON that is also JavaScript, wherever it stands: names hold anything, `</script>` and line separators too."""
    text = json.dumps(value, allow_nan=False, separators=(",", ":"))  # ASCII alone: the rest is \\u....
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _told(atlas: Atlas) -> dict[str, object]:
    return {
        "model": atlas.model,
        "seen": atlas.seen,
        "classes": atlas.classes,
        "layers": [
            {
                "name": layer.name,
                "stride": layer.stride,
                "field": layer.receptive_field,
                "command": _command(atlas.model, layer.name),
                "channels": [_told_channel(channel) for channel in layer.channels],
            }
            for layer in atlas.layers
        ],
    }


def _told_channel(channel: ChannelEntry) -> dict[str, object]:
    """What is known of a channel; what is not known is left out."""
    told = {
        "index": channel.index,
        "picture": channel.picture,
        "patches": None if channel.patches is None else [channel.patches.path, channel.patches.count],
        "fires": _rounded(channel.fires),
        "firesIn": _rounded(channel.fires_in),
        "highest": _rounded(channel.highest),
        "neighbours": [[near.channel, _rounded(near.likeness)] for near in channel.neighbours] or None,
        "pushes": [[push.number, _rounded(push.amount)] for push in channel.pushes] or None,
    }
    return {name: value for name, value in told.items() if value is not None}


def _command(model: str, layer: str) -> str:
    """The command that dreams with a channel of `layer`, but for the channel's index, which follows it."""
    chosen = "" if model == DEFAULT_BACKBONE else f" --model {shlex.quote(model)}"
    return f"oneira dream PICTURE{chosen} --layer {shlex.quote(layer)} --channels"


def _rounded(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.{_DIGITS}g}")


def _check(folder: Path, atlas: Atlas) -> None:
    if not atlas.layers:
        raise PlanError("an atlas needs at least one layer")
    if (name := _repeated(layer.name for layer in atlas.layers)) is not None:
        raise PlanError(f"layer {name!r} is in the atlas twice")
    for layer in atlas.layers:
        if (index := _repeated(channel.index for channel in layer.channels)) is not None:
            raise PlanError(f"channel {layer.name}:{index} is in the atlas twice")
        for channel in layer.channels:
            _check_channel(folder, atlas, layer, channel)


def _check_channel(folder: Path, atlas: Atlas, layer: LayerEntry, channel: ChannelEntry) -> None:
    where = f"channel {layer.name}:{channel.index}"
    for path in (channel.picture, None if channel.patches is None else channel.patches.path):
        if path is not None and not _is_inside(folder, path):
            raise PlanError(f"{where}: there is no file {path!r} in {folder}; pictures are written before the page")
    if channel.patches is not None and channel.patches.count < 1:
        raise PlanError(f"{where}: a strip of patches holds at least one, not {channel.patches.count}")
    for push in channel.pushes:
        if not 0 <= push.number < len(atlas.classes):
            raise PlanError(f"{where} pushes class {push.number}; {atlas.model} has {len(atlas.classes)} names")
    known = {other.index for other in layer.channels}
    for near in channel.neighbours:
        if near.channel not in known:
            raise PlanError(f"{where}: its neighbour {near.channel} is not in the atlas")
    amounts = [*(push.amount for push in channel.pushes), *(near.likeness for near in channel.neighbours)]
    for value in (channel.fires, channel.fires_in, channel.highest, *amounts):
        if value is not None and not math.isfinite(value):
            raise PlanError(f"{where}: {value} is not a finite number")


def _is_inside(folder: Path, path: str) -> bool:
    parts = PurePosixPath(path)
    return not parts.is_absolute() and ".." not in parts.parts and (folder / path).is_file()


def _repeated(values: Iterable[str | int]) -> str | int | None:
    return next((value for value, times in Counter(values).items() if times > 1), None)
