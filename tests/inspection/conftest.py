"""What the tests of looking inside may ask for."""

from collections.abc import Callable

import pytest
from networks import register_tiny
from torch import nn

from oneira.features import registry
from oneira.features.backbones.backbone import Backbone
from oneira.features.encoder import Encoder
from oneira.features.weights import LoadedWeights


@pytest.fixture(autouse=True)
def registered(monkeypatch) -> dict[str, Backbone]:
    """The registry, which forgets after the test what the test registers."""
    names = dict(registry._REGISTERED)
    monkeypatch.setattr(registry, "_REGISTERED", names)
    register_tiny()
    return names


@pytest.fixture
def encoder_of(registered, monkeypatch) -> Callable[..., Encoder]:
    """An Encoder for `name:...` around a network that is filled already (it takes it over)."""

    def make(backbone: Backbone, network: nn.Module, **options: object) -> Encoder:
        registered[backbone.name] = backbone
        monkeypatch.setattr("oneira.features.encoder.load_weights", lambda *_, **__: LoadedWeights(network, None, None))
        return Encoder(**options)

    return make
