"""Where the pixels of one picture of a film have gone to in another: optical flow, and what there is to find it."""

import hashlib
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

from oneira.errors import FilmError, PlanError, nearest, one_of
from oneira.images import rgb_to_yiq
from oneira.images.notices import shown
from oneira.motion.extra import required
from oneira.motion.flow_files import read_flo, sampled, unknown_as_nan

__all__ = ["DenseInverseSearch", "Flow", "FlowFiles", "Quality", "find_flow", "flows", "register_flow"]

Quality = Literal["fine", "medium", "fast"]
SHORTEST = 64  # pixels: DIS refuses, or crashes the process on, pictures with a side of a few
NAMED = re.compile(r"(?:forward|backward)_[0-9]+_[0-9]+\.flo")


class Flow(ABC):
    """A way to find optical flow.

    `identity` tells, in one line, all that decides its results: what a job that goes on later has to find again.
    """

    identity: str

    @abstractmethod
    def __call__(self, first: Tensor, second: Tensor, numbers: tuple[int, int]) -> Tensor:
        """Where each pixel of `first` has gone to in `second`: (1, 2, h, w) float32, (dx, dy) in pixels, on the CPU.

        `first`, `second`: pictures (1, 3, h, w) of one size, sRGB in [0, 1]. `numbers`: which pictures of the film they
        are, counted from 1, for flow that was found before; `first` may be the later one. NaN: not known.
        """


@dataclass(frozen=True)
class _Settings:
    """A preset of OpenCV's, and what we set otherwise."""

    preset: str
    finest_scale: int | None = None  # each halves the size at which the search ends
    smoothness: float | None = None


# Mean end-point error, in pixels at 512 x 288, of six photographs: warped by known motions / one of them moving before
# another; then the same with noise of 2 levels; and the time for a pair on one core.
SETTINGS: Mapping[Quality, _Settings] = {
    # 0.05 / 0.14, 0.20 / 0.34; 60 ms. OpenCV ends at half the size. At the full size, its smoothness of 20 follows the
    # noise: in a film of smoke at night, edges of motion that are none took 15 % of the pixels out of the masks, not 7.
    "fine": _Settings("MEDIUM", finest_scale=0, smoothness=60.0),
    "medium": _Settings("MEDIUM"),  # 0.15 / 0.23, 0.25 / 0.38; 15 ms
    "fast": _Settings("FAST"),  # 0.39 / 0.47, 0.43 / 0.54; 3 ms
}


class DenseInverseSearch(Flow):
    """Kroeger et al., "Fast Optical Flow using Dense Inverse Search", 2016, as OpenCV has it, on the luma.

    Always refined by OpenCV's variational step: without it, errors are a tenth to two thirds larger. The same bytes
    whatever the number of threads. PlanError where `quality` is not one of SETTINGS, FilmError where OpenCV is not
    installed.
    """

    def __init__(self, quality: Quality = "fine") -> None:
        one_of("quality of optical flow", quality, SETTINGS)
        self._settings = SETTINGS[quality]
        self.identity = f"dis {quality}, opencv {required('cv2').__version__}"

    def __call__(self, first: Tensor, second: Tensor, numbers: tuple[int, int]) -> Tensor:
        """As `Flow`; which pictures they are does not matter."""
        height, width = first.shape[2:]
        pairs: npt.NDArray[np.float32] = self._search().calc(_grey(first), _grey(second), None)
        return torch.from_numpy(pairs[:height, :width]).permute(2, 0, 1)[None].contiguous()

    def _search(self) -> Any:
        """A search of its own for each pair: it holds buffers, which two threads must not share."""
        cv2, settings = required("cv2"), self._settings
        search = cv2.DISOpticalFlow_create(getattr(cv2, f"DISOPTICAL_FLOW_PRESET_{settings.preset}"))
        if settings.finest_scale is not None:
            search.setFinestScale(settings.finest_scale)
        if settings.smoothness is not None:
            search.setVariationalRefinementAlpha(settings.smoothness)
        return search


class FlowFiles(Flow):
    """Flow that another program found: .flo files in a folder.

    They are named as the scripts of Ruder et al.'s artistic-videos name them, by the numbers of the film's pictures,
    from 1 and without leading zeros: `forward_1_2.flo` tells where the pixels of picture 1 have gone to in picture 2,
    `backward_2_1.flo` where those of picture 2 came from in picture 1. Flow of another size than the pictures is
    resized, and its lengths with it. `identity` holds the names and sizes of all files, and a sample of each: the flow
    of a film is gigabytes. Raises FilmError where the folder cannot be read, or holds no such file.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        try:
            files = sorted(path for path in folder.iterdir() if NAMED.fullmatch(path.name))
        except OSError as error:
            raise FilmError(f"cannot read optical flow in {shown(folder)}: {error.strerror or error}") from error
        if not files:
            raise FilmError(f"{shown(folder)} holds no optical flow: name it forward_1_2.flo, backward_2_1.flo, ...")
        told = hashlib.sha256()
        for path in files:
            size, sample = sampled(path)
            told.update(f"{path.name} {size} {sample.hex()}\n".encode())
        self.identity = f"files {told.hexdigest()}"

    def __call__(self, first: Tensor, second: Tensor, numbers: tuple[int, int]) -> Tensor:
        """As `Flow`. Raises FilmError where there is no file for these two pictures, or where it is damaged."""
        before, after = numbers
        direction = "forward" if before < after else "backward"
        return _resized(read_flo(self._folder / f"{direction}_{before}_{after}.flo"), first.shape[2:])


def flows() -> tuple[str, ...]:
    """What `find_flow` knows by name, the default first."""
    return (*BUILT_IN, *_REGISTERED)


def find_flow(text: str) -> Flow:
    """The flow that `text` names: one of `flows()`, or a folder of .flo files (`./dis`, where it is called as one is).

    Raises PlanError, naming the nearest, where it is neither, and FilmError as the flow itself.
    """
    known = {**_REGISTERED, **BUILT_IN}
    if text in known:
        return known[text]()
    if Path(text).is_dir():
        return FlowFiles(Path(text))
    raise PlanError(
        f"unknown optical flow {text!r}{nearest(text, known)}: {', '.join(flows())}, or a folder of .flo files"
    )


def register_flow(name: str, maker: Callable[[], Flow]) -> None:
    """Let `find_flow(name)` give what `maker` makes, such as a network that was trained to find flow.

    A name that was registered before now means the new one. Raises PlanError where the name is taken by one of
    Oneira's own, is empty, or could be a folder's path.
    """
    if name in BUILT_IN or not name.strip() or "/" in name or "\\" in name:
        raise PlanError(f"cannot register optical flow as {name!r}: choose a name without '/' that is not built in")
    _REGISTERED[name] = maker


def _grey(image: Tensor) -> npt.NDArray[np.uint8]:
    """The luma (h, w) as levels of 8 bits, no side below SHORTEST: beyond its edges the picture goes on as there."""
    luma = rgb_to_yiq(image.detach().float().cpu())[:, :1]
    height, width = luma.shape[2:]
    whole = F.pad(luma, (0, max(0, SHORTEST - width), 0, max(0, SHORTEST - height)), mode="replicate")
    levels: npt.NDArray[np.uint8] = whole[0, 0].clamp(0, 1).mul(255).round().byte().numpy()
    return levels


def _resized(flow: Tensor, size: tuple[int, ...]) -> Tensor:
    """Flow for pictures of `size`; what lies beside the unknown is unknown."""
    if flow.shape[2:] == size:
        return flow
    height, width = flow.shape[2:]
    factors = flow.new_tensor([size[1] / width, size[0] / height])[:, None, None]
    return unknown_as_nan(F.interpolate(flow, size=size, mode="bilinear", align_corners=False) * factors)


BUILT_IN: Mapping[str, Callable[[], Flow]] = {
    "dis": DenseInverseSearch,
    "dis-medium": lambda: DenseInverseSearch("medium"),
    "dis-fast": lambda: DenseInverseSearch("fast"),
}
_REGISTERED: dict[str, Callable[[], Flow]] = {}  # the one mutable module state: a program's own flows, by name
