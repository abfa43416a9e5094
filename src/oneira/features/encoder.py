"""The Encoder: images in, activations by address out."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor, nn

from oneira.errors import AddressError
from oneira.features.address import Address
from oneira.features.registry import Backbone, find_backbone, resolve
from oneira.features.variant import PaddedConv, Variant
from oneira.features.weights import LoadedWeights, load_weights

# What a ReLU that runs in place would overwrite: the activations before it.
OVERWRITTEN = (nn.Conv2d, nn.BatchNorm2d, nn.Linear, PaddedConv)


class Encoder:
    """Runs the backbones that are named, each only as deep as the deepest layer that is asked for.

    Networks are loaded when first asked for, frozen, in `precision` (weights and activations alike: casting weights
    anew at every pass, as autocast does, costs more than it gives) and channels-last. Gradients flow to the image.

    >>> activations = Encoder()(image, ["pocket:relu3_4", "pocket:relu4_2"])
    """

    def __init__(
        self,
        *,
        device: torch.device | str = "cpu",
        precision: torch.dtype = torch.float32,
        variant: Variant = Variant(),
        weights: Mapping[str, Path] = MappingProxyType({}),
        offline: bool = False,
    ) -> None:
        self.device = torch.device(device)
        self.precision = precision
        self.variant = variant
        self._files = dict(weights)
        self._offline = offline
        self._networks: dict[str, _Network] = {}

    def __call__(self, image: Tensor, layers: Iterable[str | Address]) -> dict[Address, Tensor]:
        """(b, 3, h, w) in [0, 1] -> activations (b, c, h', w') or (b, c) by address, in the encoder's precision.

        Raises AddressError for what is not there, WeightsError where a backbone's weights cannot be had.
        """
        wanted: dict[str, set[str]] = {}
        for layer in layers:
            address = resolve(layer) if isinstance(layer, str) else layer
            wanted.setdefault(address.backbone, set()).add(address.layer)
        found = {}
        for name, paths in wanted.items():
            network = self._network(name)
            for path, activation in network.run(image, paths, self.precision).items():
                found[Address(name, path)] = activation
        return found

    @property
    def digests(self) -> dict[str, str]:
        """SHA-256 of the weights of every backbone that has been loaded, for the recipe."""
        return {name: network.sha256 for name, network in self._networks.items() if network.sha256 is not None}

    def _network(self, name: str) -> "_Network":
        if name not in self._networks:
            backbone = find_backbone(name)
            loaded = load_weights(backbone, file=self._files.get(name), offline=self._offline)
            network = self.variant.apply(loaded.network) if backbone.own else loaded.network
            network.to(self.device, self.precision, memory_format=torch.channels_last)
            self._networks[name] = _Network(backbone, loaded, network)
        return self._networks[name]


class _Captured(Exception):  # noqa: N818 - not an error: the way out of a forward pass that has gone deep enough
    pass


class _Network:
    """One loaded backbone."""

    def __init__(self, backbone: Backbone, loaded: LoadedWeights, module: nn.Module) -> None:
        self.backbone = backbone
        self.sha256 = loaded.sha256
        self.module = module.eval().requires_grad_(False)
        self.parts = dict(module.named_modules())
        self.counted: set[str] = set()
        if backbone.own:
            for part in module.modules():
                if isinstance(part, nn.ReLU):
                    part.inplace = True  # half the memory traffic of the layer; what it overwrites is kept if wanted

    def run(self, image: Tensor, paths: set[str], precision: torch.dtype) -> dict[str, Tensor]:
        inputs = self.backbone.preprocessing(image).to(dtype=precision, memory_format=torch.channels_last)
        # A foreign module may run one layer several times; that is looked for once, by not stopping.
        whole_pass = not self.backbone.own and not paths <= self.counted
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
            raise AddressError(f"layer {min(missing)!r} of {self.backbone.name} never runs in a forward pass")
        self.counted |= paths
        return found

    def _keep(self, path: str, found: dict[str, Tensor], paths: set[str], whole_pass: bool) -> Any:
        def keep(part: nn.Module, _: tuple[Any, ...], output: Any) -> Tensor | None:
            name = f"{self.backbone.name}:{path}"
            if not isinstance(output, Tensor):
                raise AddressError(f"layer {name} gives no tensor but {type(output).__name__}; name a layer inside it")
            if path in found:
                raise AddressError(f"layer {name} runs more than once in a forward pass; name one that runs once")
            found[path] = output
            if len(found) == len(paths) and not whole_pass:
                raise _Captured
            if not self.backbone.own or isinstance(part, OVERWRITTEN):
                return output.clone()
            return None

        return keep
