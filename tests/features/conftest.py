"""Random networks of Oneira's own families, narrow enough for milliseconds, loaded from files as the real ones are."""

from collections.abc import Callable
from functools import partial

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from oneira.features import registry
from oneira.features.backbones.backbone import Backbone
from oneira.features.backbones.vgg import vgg, vgg_aliases
from oneira.features.encoder import Encoder
from oneira.features.weights import LoadedWeights

MINI_DEPTHS = (1, 2, 3)
MINI_VGG = Backbone(
    "mini-vgg",
    partial(vgg, MINI_DEPTHS, widths=(4, 6, 8), hidden=10, classes=5),
    aliases=vgg_aliases(MINI_DEPTHS),
    logits="classifier.6",
    smallest=8,
)


@pytest.fixture
def registered(monkeypatch) -> dict[str, Backbone]:
    """The registry, which forgets after the test what the test registers."""
    names = dict(registry._REGISTERED)
    monkeypatch.setattr(registry, "_REGISTERED", names)
    return names


@pytest.fixture
def filled(registered, monkeypatch, tmp_path) -> Callable[[Backbone], nn.Module]:
    """Gives a backbone random weights in a file where they are looked for; returns the plain network that has them."""
    monkeypatch.setenv("ONEIRA_WEIGHTS", str(tmp_path))

    def fill(backbone: Backbone) -> nn.Module:
        torch.manual_seed(0)
        network = backbone.build().eval()
        save_file(network.state_dict(), tmp_path / f"{backbone.name}.safetensors")
        registered[backbone.name] = backbone
        return network

    return fill


@pytest.fixture
def mini_vgg(filled) -> nn.Module:
    """The plain network behind `mini-vgg:...`: blocks of 1, 2 and 3 convolutions, 4, 6 and 8 channels wide."""
    return filled(MINI_VGG)


@pytest.fixture
def encoder_of(registered, monkeypatch) -> Callable[..., Encoder]:
    """An Encoder for `name:...` around a network that is filled already (it takes it over)."""

    def make(backbone: Backbone, network: nn.Module, **options: object) -> Encoder:
        registered[backbone.name] = backbone
        monkeypatch.setattr("oneira.features.encoder.load_weights", lambda *_, **__: LoadedWeights(network, None, None))
        return Encoder(**options)

    return make
