"""Trained networks in a file: weights, what kind of network they are of, and what its styles are called."""

import copy
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, Self

import torch
from safetensors.torch import load
from torch import Tensor

from oneira.errors import PlanError, WeightsError, nearest
from oneira.features.weights.reading import require_file
from oneira.feedforward.normalisation import ConditionalInstanceNorm
from oneira.feedforward.pyramid import TextureNetwork
from oneira.feedforward.stylizer import Stylizer
from oneira.feedforward.transformer import TransformerNetwork
from oneira.files import DAMAGE, packed, told_in, write_whole

KIND, VERSION = "oneira-stylizer", 1
KINDS: Mapping[str, type[TransformerNetwork | TextureNetwork]] = MappingProxyType(
    {"transformer": TransformerNetwork, "texture": TextureNetwork}
)
LARGEST_FILE = 2**28  # bytes; a network of a hundred styles takes 4 MB in float16
LARGEST_NUMBER = 2**16  # of channels, styles and what else a network is made from


@dataclass(frozen=True, eq=False)
class TrainedNetwork:
    """A network, the `names` of its styles in their order, and what a training tells `about` itself (JSON).

    Raises PlanError where names are missing or come twice.
    """

    network: TransformerNetwork | TextureNetwork
    names: tuple[str, ...]
    about: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if len(self.names) != self.styles or len(set(self.names)) != self.styles:
            raise PlanError(f"names {', '.join(self.names)}; a network of {self.styles} styles needs one for each")

    @property
    def styles(self) -> int:
        """How many it draws; a texture is one."""
        return self.network.styles if isinstance(self.network, Stylizer) else 1

    @property
    def identity(self) -> int | None:
        """The number of the style that leaves pictures as they are, where there is one."""
        return self.network.identity if isinstance(self.network, TransformerNetwork) else None

    def weights(self, shares: Mapping[str, float]) -> Tensor:
        """Weights (1, styles) for the network from shares by name. PlanError, naming the nearest, for unknown names."""
        row = torch.zeros(1, self.styles)
        for name, share in shares.items():
            row[0, self._number(name)] = share
        return row

    def with_style(self, name: str, like: str | None = None) -> Self:
        """The same with one more style, the last, that begins as `like`, or as the mean of all but the identity.

        All others are drawn as before. Raises PlanError for a network that draws a single style, and for a name that
        is taken or, as `like`, unknown.
        """
        if not isinstance(self.network, TransformerNetwork) or not self.network.conditional:
            raise PlanError("styles are added to conditional networks only; this one draws a single style")
        if name in self.names:
            raise PlanError(f"there is a style {name!r} already: {', '.join(self.names)}; take another name")
        # What the identity has at the end is each picture's own.
        begun = [n for n in range(self.styles) if n != self.identity] if like is None else [self._number(like)]
        configuration = {**self.network.configuration, "styles": self.styles + 1}
        state = copy.deepcopy(self.network.state_dict())
        for path, part in self.network.named_modules():
            if isinstance(part, ConditionalInstanceNorm):
                for key in (f"{path}.scale", f"{path}.shift"):
                    old = state[key]
                    state[key] = torch.cat([old, old[begun].mean(0, keepdim=True)])
        return replace(self, network=_built("transformer", configuration, state), names=(*self.names, name))

    def write(self, path: Path, precision: torch.dtype = torch.float16) -> None:
        """Into a file, all of it or nothing, with weights in float16 (half the size) or float32.

        Raises WeightsError where they are not finite in that precision, or the disk refuses.
        """
        tensors = {}
        for name, tensor in self.network.state_dict().items():
            kept = tensor.detach().cpu().to(precision if tensor.is_floating_point() else tensor.dtype).contiguous()
            if not kept.isfinite().all():
                raise WeightsError(f"{name} holds numbers that {precision} cannot: {path} is not written")
            tensors[name] = kept
        about = {
            "version": VERSION,
            "kind": next(kind for kind, made in KINDS.items() if isinstance(self.network, made)),
            "configuration": self.network.configuration,
            "styles": list(self.names),
            "about": dict(self.about),
        }
        data = packed(tensors, KIND, about)
        try:
            write_whole(path, lambda file: file.write(data))
        except OSError as error:
            raise WeightsError(f"cannot write the network {str(path)!r}: {error.strerror or error}") from error

    @classmethod
    def load(cls, path: Path) -> Self:
        """What `write` wrote, in float32 and eval mode.

        Raises WeightsError, in one line, where it is missing, damaged, or something else.
        """
        require_file(path)
        try:
            size = path.stat().st_size
            data = b"" if size > LARGEST_FILE else path.read_bytes()
        except OSError as error:
            raise WeightsError(f"cannot read the network {str(path)!r}: {error.strerror or error}") from error
        if size > LARGEST_FILE:
            raise WeightsError(f"{str(path)!r} has {size:,} bytes; networks of at most {LARGEST_FILE:,} are read")
        try:
            return cls._decoded(data)
        except (*DAMAGE, PlanError) as error:
            raise WeightsError(
                f"{str(path)!r} holds no image-to-image network that was trained here, or is damaged; "
                "`oneira train style` makes one"
            ) from error

    @classmethod
    def _decoded(cls, data: bytes) -> Self:
        tensors = load(data)
        told = told_in(data, KIND)
        if told["version"] != VERSION:
            raise ValueError(f"version {told['version']}")
        if not all(tensor.isfinite().all() for tensor in tensors.values()):
            raise ValueError("numbers that are not finite")
        configuration = dict(told["configuration"])
        _require_modest(configuration, len(tensors))
        network = _built(told["kind"], configuration, tensors)
        return cls(network, tuple(str(name) for name in told["styles"]), dict(told["about"]))

    def _number(self, name: str) -> int:
        if name not in self.names:
            raise PlanError(f"unknown style {name!r}{nearest(name, self.names)}: {', '.join(self.names)}")
        return self.names.index(name)


def _built(
    kind: str, configuration: Mapping[str, Any], state: Mapping[str, Tensor]
) -> TransformerNetwork | TextureNetwork:
    """The network of a kind, filled with `state` in float32, in eval mode; RuntimeError where that does not fit."""
    with torch.device("meta"):
        network = KINDS[kind](**configuration)
    network.load_state_dict(
        {name: tensor.float() if tensor.is_floating_point() else tensor for name, tensor in state.items()}, assign=True
    )
    return network.eval()


def _require_modest(configuration: Mapping[str, Any], tensors: int) -> None:
    """ValueError for numbers that would take long to build, and then not fit."""
    for name, value in configuration.items():
        if name == "identity":
            continue  # a style's number, which is looked up
        numbers = value if isinstance(value, list) else [value]
        largest = tensors if name in ("residuals", "scales") else LARGEST_NUMBER
        if any(isinstance(number, int) and not 0 < number <= largest for number in numbers):
            raise ValueError(f"{name} of {value}")
