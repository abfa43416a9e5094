"""The Encoder: images in, activations by address out."""

import copy
from collections.abc import Callable, Hashable, Iterable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, Self

import torch
from torch import Tensor, nn

from oneira.errors import AddressError
from oneira.features.address import Address
from oneira.features.backbones.stack import PooledClassifier
from oneira.features.description import require_size
from oneira.features.normalising import Restoring, normalise, require_plain
from oneira.features.registry import Backbone, find_backbone, resolve
from oneira.features.trunk import Trunk
from oneira.features.variant import UNCHANGED, PaddedConv, Variant
from oneira.features.weights import Progress, load_weights

# What a ReLU that runs in place would overwrite: the activations before it.
OVERWRITTEN = (nn.Conv2d, nn.BatchNorm2d, nn.Linear, PaddedConv, Restoring)

Loaded = Callable[[str, str], None]  # told a backbone that has been loaded, and the SHA-256 of its weights
Hook = Callable[[nn.Module, tuple[Any, ...], Any], Tensor | None]


class Encoder:
    """Runs the backbones that are named, each only as deep as the deepest layer that is asked for.

    Networks are loaded when first asked for, frozen, in `precision` (weights and activations alike: casting weights
    anew at every pass, as autocast does, costs more than it gives) and channels-last. Gradients flow to the image.

    `recompute`, which may be set at any time: less memory where a gradient is wanted, and more time, for the same
    gradient (Chen et al. 2016, "Training deep nets with sublinear memory cost"). Plain stacks of convolutions can do
    that: VGG, AlexNet, `pocket`. All others, and modules of a user's own, run as they do without.

    `loaded` is told of every network that comes from a file, when it does. Encoders with one `shelf` share networks.

    >>> activations = Encoder()(image, ["pocket:relu3_4", "pocket:relu4_2"])
    """

    def __init__(
        self,
        *,
        device: torch.device | str = "cpu",
        precision: torch.dtype = torch.float32,
        variant: Variant = UNCHANGED,
        recompute: bool = False,
        weights: Mapping[str, Path] = MappingProxyType({}),
        offline: bool = False,
        progress: Progress | None = None,
        loaded: Loaded | None = None,
        shelf: "Shelf | None" = None,
    ) -> None:
        self.device = torch.device(device)
        self.precision = precision
        self.variant = variant
        self.recompute = recompute
        self._files = dict(weights)
        self._offline = offline
        self._progress = progress
        self._loaded = loaded
        self._shelf = Shelf() if shelf is None else shelf
        self._networks: dict[str, _Network] = {}

    def __call__(self, image: Tensor, layers: Iterable[str | Address]) -> dict[Address, Tensor]:
        """(b, 3, h, w) in [0, 1] -> activations (b, c, h', w') or (b, c) by address, in the encoder's precision.

        Raises AddressError for what is not there, PlanError where the image is too small for a layer, WeightsError
        where a backbone's weights cannot be had.
        """
        found = {}
        for name, addresses in _by_backbone(layers).items():
            require_size(find_backbone(name), addresses, (image.shape[2], image.shape[3]))
            paths = {address.layer for address in addresses}
            activations = self._network(name).run(image, paths, self.precision, self.recompute)
            found.update({address: activations[address.layer] for address in addresses})
        return found

    def check(self, layers: Iterable[str | Address], size: tuple[int, int]) -> None:
        """Raise, before anything is loaded, what `size` (height, width) would raise later.

        AddressError for what is not there, PlanError where such a picture is too small for a layer. What a registered
        module takes is not known before it runs.
        """
        for name, addresses in _by_backbone(layers).items():
            require_size(find_backbone(name), addresses, size)

    @property
    def digests(self) -> dict[str, str]:
        """SHA-256 of the weights of every backbone that has been loaded, for the recipe."""
        return {name: network.sha256 for name, network in self._networks.items() if network.sha256 is not None}

    def digest(self, backbone: str) -> str | None:
        """SHA-256 of the weights of one backbone, which is loaded for it; None for a registered module."""
        return self._network(backbone).sha256

    @property
    def networks(self) -> dict[str, nn.Module]:
        """The backbones that have been loaded, as they are run."""
        return {name: network.module for name, network in self._networks.items()}

    def running(self, backbone: str, network: nn.Module) -> Self:
        """One like this, that runs `network`, which is frozen for it, in place of its own for `backbone`.

        All other backbones that have been loaded are shared. It has no digest of this one: its weights are no file's.
        """
        other = copy.copy(self)
        other._networks = {**self._networks, backbone: _Network(find_backbone(backbone), None, network)}
        return other

    def _network(self, name: str) -> "_Network":
        if name not in self._networks:
            key = (name, self._files.get(name), self.variant, self.device, self.precision)
            network = self._shelf.taken(key, lambda: self._read(name))
            self._networks[name] = network
            if self._loaded is not None and network.sha256 is not None:
                self._loaded(name, network.sha256)
        return self._networks[name]

    def _read(self, name: str) -> "_Network":
        backbone = find_backbone(name)
        if self.variant.normalised:
            require_plain(backbone)
        loaded = load_weights(backbone, file=self._files.get(name), offline=self._offline, progress=self._progress)
        network = self.variant.apply(loaded.network) if backbone.own else loaded.network
        if self.variant.normalised:
            normalise(network, backbone.preprocessing)
        network.to(self.device, self.precision, memory_format=torch.channels_last)  # type: ignore[call-overload]
        return _Network(backbone, loaded.sha256, network)


class Shelf:
    """Networks that have been read, each for all encoders that run it in the same way: pictures made one by one."""

    def __init__(self) -> None:
        self._networks: dict[Hashable, _Network] = {}

    def taken(self, key: Hashable, read: "Callable[[], _Network]") -> "_Network":
        """The network of `key`, which is `read` where it is not there."""
        if key not in self._networks:
            self._networks[key] = read()
        return self._networks[key]


def _by_backbone(layers: Iterable[str | Address]) -> dict[str, list[Address]]:
    """Addresses, each once, by the backbones' names."""
    grouped: dict[str, list[Address]] = {}
    for layer in layers:
        address = resolve(layer) if isinstance(layer, str) else layer
        addresses = grouped.setdefault(address.backbone, [])
        if address not in addresses:
            addresses.append(address)
    return grouped


def _front(network: nn.Module) -> list[tuple[str, nn.Module]]:
    """The layers by path that `network` runs one after the other before anything else; none where it is no stack."""
    if isinstance(network, PooledClassifier):
        return [(f"features.{name}", layer) for name, layer in network.features.named_children()]
    return list(network.named_children()) if isinstance(network, nn.Sequential) else []


class _Captured(Exception):  # noqa: N818 - not an error: the way out of a forward pass that has gone deep enough
    pass


class _Network:
    """One loaded backbone."""

    def __init__(self, backbone: Backbone, sha256: str | None, module: nn.Module) -> None:
        self.backbone = backbone
        self.sha256 = sha256
        self.module = module.eval().requires_grad_(False)
        self.parts = dict(module.named_modules())
        self.known_to_run_once: set[str] = set()
        self.trunk = Trunk(_front(module) if backbone.own else ())
        if backbone.own:
            for part in module.modules():
                if isinstance(part, nn.ReLU):
                    part.inplace = True  # half the memory traffic of the layer; what it overwrites is kept if wanted

    def run(self, image: Tensor, paths: set[str], precision: torch.dtype, recompute: bool) -> dict[str, Tensor]:
        inputs = self.backbone.preprocessing(image).to(dtype=precision, memory_format=torch.channels_last)
        if inputs.requires_grad and self.trunk.reaches(paths, recompute):
            return self.trunk.run(inputs, paths, recompute)
        # A registered module may run one layer several times; that is looked for once, by not stopping.
        whole_pass = not self.backbone.own and not paths <= self.known_to_run_once
        found: dict[str, Tensor] = {}
        hooks = [self.parts[path].register_forward_hook(self._keep(path, found, paths, whole_pass)) for path in paths]
        try:
            self.module(inputs)
        except _Captured:
            pass
        finally:
            for hook in hooks:
                hook.remove()
        missing = paths - found.keys()
        if missing:
            raise AddressError(f"layer {self.backbone.name}:{min(missing)} never runs in a forward pass")
        self.known_to_run_once |= paths
        return found

    def _keep(self, path: str, found: dict[str, Tensor], paths: set[str], whole_pass: bool) -> Hook:
        def keep(part: nn.Module, _: tuple[Any, ...], output: Any) -> Tensor | None:
            name = f"{self.backbone.name}:{path}"
            if not isinstance(output, Tensor):
                raise AddressError(f"layer {name} gives no tensor but {type(output).__name__}; name a layer inside it")
            if path in found:
                raise AddressError(f"layer {name} runs more than once in a forward pass; name one that runs once")
            found[path] = output
            if len(found) == len(paths) and not whole_pass:
                raise _Captured
            # What is behind may work in place: in our own networks a ReLU, in a registered module anything.
            return output.clone() if not self.backbone.own or isinstance(part, OVERWRITTEN) else None

        return keep
