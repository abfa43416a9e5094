"""What every channel answers most strongly to, of many pictures (Zeiler and Fergus 2014), kept in a file."""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

import torch
from safetensors.torch import load

from oneira.errors import AddressError, DataError, ImageError, PlanError
from oneira.features import Address, Encoder, resolve
from oneira.features.variant import Variant
from oneira.files import DAMAGE, packed, told_in, write_whole
from oneira.images.opening import read_file
from oneira.inspection.layer_responses import LayerResponses
from oneira.inspection.picture_set import PictureSet

LARGEST_FILE = 2**30  # bytes; all layers of `pocket` take 4 MB, half a number for every two channels of a layer
KIND, VERSION = "oneira-responses", 1


@dataclass(frozen=True)
class Seen:
    """What was looked at, and by whom; where any of it differs, so do the responses.

    `weights`: what tells each backbone's weights from others; `variant`, `precision`: how the networks were run;
    `pictures`: the identity of the picture set, `total`: how many there are in it; `side`: of the squares, in pixels.
    """

    weights: Mapping[str, str]
    variant: Variant
    precision: str
    pictures: str
    total: int
    side: int

    @classmethod
    def by(cls, encoder: Encoder, backbones: Iterable[str], pictures: PictureSet, side: int) -> Self:
        """Loads the backbones."""
        weights = {name: weights_identity(encoder, name) for name in sorted(set(backbones))}
        precision = str(encoder.precision).removeprefix("torch.")
        return cls(weights, encoder.variant, precision, pictures.identity, len(pictures), side)


@dataclass(frozen=True, eq=False)
class Responses:
    """What the layers of `layers`, by `backbone:layer`, answered to the first `done` pictures of a set.

    `skipped`: one line for every one of them that could not be read.
    """

    seen: Seen
    layers: Mapping[str, LayerResponses]
    done: int = 0
    skipped: tuple[str, ...] = ()

    @property
    def complete(self) -> bool:
        """Whether every picture has been looked at."""
        return self.done == self.seen.total

    def __getitem__(self, address: str | Address) -> LayerResponses:
        """The responses of a layer; AddressError, naming those there are, where it was not measured."""
        found = resolve(address) if isinstance(address, str) else address
        if found.key not in self.layers:
            raise AddressError(f"responses of {found} were not measured, only of {', '.join(self.layers)}")
        return self.layers[found.key]

    def require(self, encoder: Encoder, pictures: PictureSet, *, side: int | None = None) -> None:
        """Raise PlanError, in one line, unless this network, run alike, would answer alike to these pictures.

        `side`: as it shall be; None: as it is.
        """
        here = Seen.by(encoder, self.seen.weights, pictures, self.seen.side if side is None else side)
        for what, theirs, ours in (
            ("other pictures", self.seen.pictures, here.pictures),
            ("another number of pictures", self.seen.total, here.total),
            (f"squares of {self.seen.side} pixels, not {here.side}", self.seen.side, here.side),
            (f"networks with {_words(self.seen.variant)}", self.seen.variant, here.variant),
            (f"{self.seen.precision}, not {here.precision}", self.seen.precision, here.precision),
            *((f"other weights of {name}", digest, here.weights[name]) for name, digest in self.seen.weights.items()),
        ):
            if theirs != ours:
                raise PlanError(f"these responses were measured with {what}; measure them anew")

    def fits(self, encoder: Encoder, pictures: PictureSet, *, side: int | None = None) -> bool:
        """Whether `require` lets it pass: then nothing needs to be measured again."""
        try:
            self.require(encoder, pictures, side=side)
        except PlanError:
            return False
        return True

    def write(self, path: Path) -> None:
        """Into a file, all of it or nothing. Raises DataError where it cannot be written."""
        tensors = {
            f"{number}/{part}": tensor
            for number, layer in enumerate(self.layers.values())
            for part, tensor in layer.tensors().items()
        }
        about = {
            "version": VERSION,
            "seen": asdict(self.seen),
            "done": self.done,
            "skipped": self.skipped,
            "layers": [[name, *layer.grid] for name, layer in self.layers.items()],
        }
        data = packed(tensors, KIND, about)
        try:
            write_whole(path, lambda file: file.write(data))
        except OSError as error:
            raise DataError(f"cannot write the responses {str(path)!r}: {error.strerror or error}") from error

    @classmethod
    def load(cls, path: Path) -> Self:
        """What `write` wrote. Raises DataError, in one line, where it is missing, damaged, or something else."""
        try:
            data = read_file(path, LARGEST_FILE)
        except ImageError as error:
            raise DataError(f"cannot read the responses: {error}") from error
        try:
            return cls._decoded(data)
        except (*DAMAGE, PlanError) as error:
            raise DataError(f"{str(path)!r} holds no responses that were saved here, or is damaged") from error

    @classmethod
    def known(cls, path: Path, encoder: Encoder, pictures: PictureSet) -> Self | None:
        """What was measured before; None where nothing was, or of something else, or where it is damaged."""
        try:
            begun = cls.load(path)
        except DataError:
            return None
        return begun if begun.fits(encoder, pictures) else None

    @classmethod
    def _decoded(cls, data: bytes) -> Self:
        tensors = load(data)
        about = told_in(data, KIND)
        if about["version"] != VERSION:
            raise ValueError(f"version {about['version']}")
        told = about["seen"]
        weights = {str(name): str(digest) for name, digest in told["weights"].items()}
        total, side, done = (_whole(number) for number in (told["total"], told["side"], about["done"]))
        skipped = tuple(str(line) for line in about["skipped"])
        if not len(skipped) <= done <= total:
            raise ValueError(f"{done} of {total} pictures, {len(skipped)} skipped")
        seen = Seen(weights, Variant(**told["variant"]), str(told["precision"]), str(told["pictures"]), total, side)
        layers = {}
        for number, (name, height, width) in enumerate(about["layers"]):
            prefix = f"{number}/"
            parts = {key.removeprefix(prefix): each for key, each in tensors.items() if key.startswith(prefix)}
            grid = (_whole(height), _whole(width))
            layers[str(name)] = LayerResponses.of_tensors(parts, grid, done - len(skipped), done)
        return cls(seen, layers, done, skipped)


def weights_identity(encoder: Encoder, backbone: str) -> str:
    """The SHA-256 of a backbone's file of weights; of a registered module, which has none, of its numbers.

    Loads the backbone.
    """
    digest = encoder.digest(backbone)
    if digest is not None:
        return digest
    told = hashlib.sha256()
    for name, tensor in encoder.networks[backbone].state_dict().items():
        told.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        told.update(tensor.cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes())
    return told.hexdigest()


def _whole(number: Any) -> int:
    if not isinstance(number, int) or isinstance(number, bool) or not 0 <= number < 2**53:
        raise ValueError(f"{number!r} is no count")
    return number


def _words(variant: Variant) -> str:
    """`pooling avg, gain 1.5, padding zeros`"""
    return ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in asdict(variant).items())
