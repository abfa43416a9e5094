"""Weights: where they are, whether they are the right ones, and into which network they go."""

from dataclasses import dataclass
from importlib import resources
from pathlib import Path
import hashlib

from safetensors.torch import load
from torch import nn

from oneira.features.registry import Backbone


@dataclass(frozen=True)
class LoadedWeights:
    """`network` with its weights in float32; the SHA-256 of the file they came from (None: registered modules)."""

    network: nn.Module
    sha256: str | None


def load_weights(backbone: Backbone, *, file: Path | None = None, offline: bool = False) -> LoadedWeights:
    """Provisional: only what ships in the package."""
    data = (resources.files("oneira.features") / "embedded" / "pocket.safetensors").read_bytes()
    network = backbone.build()
    network.load_state_dict({name: value.float() for name, value in load(data).items()})
    return LoadedWeights(network, hashlib.sha256(data).hexdigest())
