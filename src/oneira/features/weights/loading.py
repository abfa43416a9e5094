"""From a backbone to its network, filled with weights that have been checked."""

import hashlib
import re
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from oneira.errors import WeightsError
from oneira.features.registry import Backbone
from oneira.features.weights.downloading import Progress, download
from oneira.features.weights.places import cache_folder, locate
from oneira.features.weights.reading import read_tensors, require_file
from oneira.features.weights.sources import EMBEDDED, SOURCES, WeightsSource

# Heads that only training runs (GoogLeNet, Inception), and a counter that only training reads.
TRAINING_ONLY = re.compile(r"(^|\.)(aux\d?|AuxLogits)\.|(^|\.)num_batches_tracked$")


@dataclass(frozen=True)
class LoadedWeights:
    """`network` with its weights in float32; the file they came from and its SHA-256 (None: registered modules)."""

    network: nn.Module
    sha256: str | None
    path: Path | None


def load_weights(
    backbone: Backbone,
    *,
    file: Path | None = None,
    offline: bool = False,
    progress: Progress | None = None,
    sources: Mapping[str, WeightsSource] = SOURCES,
) -> LoadedWeights:
    """Build `backbone` and fill it.

    Its weights are, in this order: `file`; in the folder $ONEIRA_WEIGHTS, under the official name or as
    `<backbone>.safetensors` (.pth, .pt, .mat); embedded in the package (pocket); in the cache; at the official address,
    unless `offline`. A file under its official name must have its official hash, at every use.

    Raises WeightsError where no weights can be had, where they are damaged, not the official ones, hold code or numbers
    that are not finite, or do not fit the network.
    """
    if not backbone.own:
        if file is not None:
            raise WeightsError(f"{backbone.name} was registered with its weights; it cannot take {file}")
        return LoadedWeights(backbone.build(), None, None)
    path = file if file is not None else _find(backbone, offline, progress, sources)
    require_file(path)
    sha256 = _verified_hash(path, backbone.name, sources)
    with torch.device("meta"):
        network = backbone.build()
    found = read_tensors(path, network.state_dict(), backbone.preprocessing)
    if backbone.fitting is not None:
        with torch.device("meta"), suppress(KeyError):  # without a size, it is told below what does not fit
            network = backbone.fitting(found)
    expected = network.state_dict()
    state = _fitted(f"{path} does not fit {backbone.name}", _renumbered(found, expected), expected)
    _require_finite(path, state)
    network.load_state_dict(state, assign=True)
    return LoadedWeights(network, sha256, path)


def _find(backbone: Backbone, offline: bool, progress: Progress | None, sources: Mapping[str, WeightsSource]) -> Path:
    located = locate(backbone, sources)
    if located.path is not None:
        return located.path
    if located.source is None:
        raise WeightsError(f"{backbone.name} has no official weights to download; name a file that holds them")
    if offline:
        raise WeightsError(
            f"{backbone.name} has no weights here, and offline nothing is downloaded: put {located.source} "
            f"into {cache_folder()}, or use {EMBEDDED}, which needs none"
        )
    try:
        return download(located.source, cache_folder(), progress=progress)
    except WeightsError as error:
        raise WeightsError(f"{error}; fetch it by hand, or use {EMBEDDED}, which needs none") from error


def _verified_hash(path: Path, name: str, sources: Mapping[str, WeightsSource]) -> str:
    """The SHA-256 of the file, which is no other backbone's, and the official one where its name is."""
    try:
        with path.open("rb") as file:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise WeightsError(f"cannot read the weights {path}: {error.strerror}") from error
    source = sources.get(name)
    if source is not None and path.name == source.filename and not sha256.startswith(source.sha256_prefix):
        raise WeightsError(
            f"{path} is not what its name says: its SHA-256 is {sha256[:8]}..., not {source.sha256_prefix}...; "
            f"delete it and download it again from {source.url}"
        )
    for other, theirs in sources.items():
        # Same shapes, other pixels: such a file would load, and be wrong.
        if other != name and sha256.startswith(theirs.sha256_prefix):
            raise WeightsError(f"{path} holds the weights of {other}, not of {name}; ask for {other}")
    return sha256


def _renumbered(found: dict[str, Tensor], expected: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Caffe's VGGs for PyTorch count the flattening as a layer: classifier.1 and .4 are torchvision's .0 and .3."""
    theirs, ours = _classifier_numbers(found), _classifier_numbers(expected)
    if len(theirs) != len(ours):
        return found
    moved = {f"classifier.{old}.": f"classifier.{new}." for old, new in zip(theirs, ours, strict=True)}
    return {re.sub(r"^classifier\.\d+\.", lambda m: moved.get(m[0], m[0]), name): t for name, t in found.items()}


def _classifier_numbers(names: Iterable[str]) -> list[int]:
    return sorted(int(match[1]) for name in names if (match := re.fullmatch(r"classifier\.(\d+)\.weight", name)))


def _fitted(complaint: str, found: dict[str, Tensor], expected: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """What the network wants of `found`, in float32; zeros for the parts that only training uses and `found` lacks."""
    missing = [name for name in expected if name not in found and not TRAINING_ONLY.search(name)]
    if missing:
        raise WeightsError(f"{complaint}: {_first_of(missing)} missing")
    unknown = [name for name in found if name not in expected and not TRAINING_ONLY.search(name)]
    if unknown:
        raise WeightsError(f"{complaint}: {_first_of(unknown)} unknown to it")
    state = {}
    for name, wanted in expected.items():
        value = found.get(name)
        if value is None:
            state[name] = torch.zeros(wanted.shape, dtype=wanted.dtype)
            continue
        if value.shape != wanted.shape:
            raise WeightsError(f"{complaint}: {name!r} is {tuple(value.shape)}, where it wants {tuple(wanted.shape)}")
        ordinary = value.layout is torch.strided and value.device.type == "cpu"
        if not ordinary or value.is_floating_point() != wanted.is_floating_point():
            raise WeightsError(f"{complaint}: {name!r} is no plain tensor of floating-point numbers ({value.dtype})")
        state[name] = value.detach().to(wanted.dtype)
    return state


def _first_of(names: list[str]) -> str:
    return f"{names[0]!r} is" if len(names) == 1 else f"{names[0]!r} and {len(names) - 1} more are"


def _require_finite(path: Path, state: Mapping[str, Tensor]) -> None:
    for name, value in state.items():
        # The extremes are not finite where any number is not: one pass, and no second tensor as isfinite would make.
        if value.numel() and not all(bound.isfinite() for bound in value.aminmax()):
            raise WeightsError(f"{path} is damaged: not all numbers of {name!r} are finite")
