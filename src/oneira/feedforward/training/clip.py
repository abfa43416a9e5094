"""The frames of a clip as pictures to train on: a network for films learns on what it will see."""

import hashlib
import importlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from oneira.errors import DataError
from oneira.features.training.dataset import require_memory
from oneira.feedforward.training.pictures import Files, Pictures
from oneira.images import resize
from oneira.inspection.picture_set import PictureSet

SHORT_SIDE = 384  # pixels to which larger frames are brought
MOST = 400  # frames that are kept, or at least half as many, evenly spaced
EXTENSIONS = (".mp4", ".mov", ".mkv", ".webm", ".avi", ".m4v")


class Frames(Pictures):
    """`frames` uint8 (3, h, w), decoded once; neighbours in a clip are nearly alike, so not all are kept."""

    def __init__(self, frames: list[Tensor], identity: str) -> None:
        self._frames = frames
        self.identity = identity

    @classmethod
    def open(cls, path: Path) -> "Frames":
        """Frames of a clip, for which PyAV is needed. Raises DataError where it or the clip cannot be had."""
        av = _av(path)
        try:
            with av.open(str(path)) as clip:
                frames = _thinned(_small(frame) for frame in clip.decode(video=0))
        except (OSError, IndexError, ValueError) as error:
            reason = getattr(error, "strerror", None) or str(error).splitlines()[0]
            raise DataError(f"{path} cannot be read as a clip: {reason}") from error
        if not frames:
            raise DataError(f"{path} has no frames")
        digest = hashlib.sha256()
        for frame in frames:
            digest.update(frame.numpy().tobytes())
        return cls(frames, digest.hexdigest())

    def __len__(self) -> int:
        """How many frames were kept."""
        return len(self._frames)

    def picture(self, index: int) -> Tensor:
        """A frame."""
        return self._frames[index][None].to(torch.float32).div_(255)


def open_pictures(path: Path) -> Pictures:
    """What to train on: a folder of pictures, an .npz file (`jpeg`, `offset`, `label`), or a clip. Raises DataError."""
    return Frames.open(path) if path.suffix.lower() in EXTENSIONS else Files(PictureSet.open(path))


def _thinned(frames: Iterable[Tensor]) -> list[Tensor]:
    """At most so many, evenly spaced; how many will come is not known."""
    kept: list[Tensor] = []
    every = 1
    for index, frame in enumerate(frames):
        if index % every == 0:
            kept.append(frame)
        if len(kept) > MOST:
            kept = kept[::2]
            every *= 2
    return kept


def _small(frame: Any) -> Tensor:
    picture = torch.from_numpy(frame.to_ndarray(format="rgb24")).permute(2, 0, 1)
    height, width = picture.shape[1:]
    shorter = min(height, width)
    if shorter <= SHORT_SIDE:
        return picture.contiguous()
    size = (round(height * SHORT_SIDE / shorter), round(width * SHORT_SIDE / shorter))
    require_memory(MOST * 3 * size[0] * size[1], f"{MOST} frames of {size[1]} x {size[0]} pixels")
    return resize(picture[None].float().div(255), size)[0].mul(255).round_().to(torch.uint8)


def _av(path: Path) -> Any:
    try:
        return importlib.import_module("av")
    except ImportError as error:
        raise DataError(f"{path} is a clip, which PyAV reads: pip install 'oneira[video]'") from error
