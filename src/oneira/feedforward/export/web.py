"""A page that draws in the browser: a folder that is opened from the disk, asks for nothing, and sends nothing."""

import base64
import gzip
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from importlib import resources
from pathlib import Path
from typing import IO

import torch

from oneira.errors import PlanError, WeightsError
from oneira.feedforward.export import page
from oneira.feedforward.export.onnx import OnnxModel
from oneira.feedforward.export.runtime import BrowserRuntime
from oneira.feedforward.saving import TrainedNetwork
from oneira.files import write_whole
from oneira.images import encode, load, resize, sample

# The page comes last: where it is, all that it needs is there too.
_FILES = ("page.css", "page.js", "runtime.js", "LICENSE-onnxruntime.txt", "model.js", "index.html")
_THUMBNAIL_SIDE, _SAMPLE = 160, "cat"


@dataclass(frozen=True)
class WebPage:
    """The files of a page by their names, as bytes."""

    files: dict[str, bytes]

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(map(len, self.files.values()))

    def write(self, folder: Path) -> Path:
        """Into `folder`, which is made if need be; returns the page's path. Each file is written whole or not at all.

        Raises WeightsError where the disk refuses.
        """
        try:
            folder.mkdir(parents=True, exist_ok=True)
            for name, content in self.files.items():
                write_whole(folder / name, partial(_put, content))
        except OSError as error:
            raise WeightsError(f"cannot write the page into {str(folder)!r}: {error.strerror or error}") from error
        return folder / "index.html"


def require_page_folder(folder: Path) -> None:
    """Raise PlanError where `folder` holds something that is no page of these: nothing of it is to be replaced."""
    if folder.exists() and not folder.is_dir():
        raise PlanError(f"--web {str(folder)!r} is a file; name a folder")
    if folder.is_dir() and any(folder.iterdir()) and not (folder / "runtime.js").exists():
        raise PlanError(f"--web {str(folder)!r} holds other files; name a new folder, or that of an older page")


def web_page(trained: TrainedNetwork, model: OnnxModel, runtime: BrowserRuntime) -> WebPage:
    """The page of `model`, which was made from `trained`: its styles to choose and to blend, of any picture."""
    made = {"runtime.js": _runtime(runtime), "model.js": _model(trained, model)}
    return WebPage({name: made[name] if name in made else _file(name) for name in _FILES})


def _put(content: bytes, file: IO[bytes]) -> None:
    file.write(content)


def _file(name: str) -> bytes:
    return resources.files(page).joinpath(name).read_bytes()


def _runtime(runtime: BrowserRuntime) -> bytes:
    # A page that is read from the disk can load scripts, but neither modules, workers nor data: they come as text.
    told = {
        "script": runtime.script,
        "module": runtime.module,
        "worker": _file("worker.js").decode(),
        "binary": _packed(runtime.binary),
    }
    return _assigned("RUNTIME", told)


def _model(trained: TrainedNetwork, model: OnnxModel) -> bytes:
    told = {
        "styles": list(trained.names),
        "pictures": _thumbnails(trained),
        "identity": trained.identity,
        "conditional": trained.network.conditional,
        "sample": _as_url(sample(_SAMPLE).read_bytes()),
        "onnx": _packed(model.data),
    }
    return _assigned("MODEL", told)


def _thumbnails(trained: TrainedNetwork) -> list[str]:
    """A small picture in each of the styles."""
    photograph = load(sample(_SAMPLE))
    side = min(photograph.shape[2:])
    left = (photograph.shape[3] - side) // 2
    image = resize(photograph[..., :side, left : left + side], (_THUMBNAIL_SIDE, _THUMBNAIL_SIDE))
    styles = torch.eye(trained.styles).split(1) if trained.network.conditional else [None]
    with torch.inference_mode():
        return [_as_url(encode(trained.network(image, style), ".jpg", quality=85)) for style in styles]


def _as_url(jpeg: bytes) -> str:
    return f"data:image/jpeg;base64,{base64.b64encode(jpeg).decode()}"


def _packed(data: bytes) -> str:
    return base64.b64encode(gzip.compress(data, mtime=0)).decode()


def _assigned(name: str, told: Mapping[str, object]) -> bytes:
    return f"window.{name} = {json.dumps(told, separators=(',', ':'))};\n".encode("ascii")
