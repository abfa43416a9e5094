"""A photograph and a trained network, in files."""

import pytest
import torch
from small_networks import conditional

from oneira.feedforward import TrainedNetwork
from oneira.images import save


@pytest.fixture(scope="session")
def styles():
    """A network of random weights: two styles, and the identity."""
    return TrainedNetwork(conditional(identity=2).float(), ("starry", "wave", "itself"))


@pytest.fixture
def network(styles, tmp_path):
    styles.write(tmp_path / "net.safetensors", torch.float32)
    return tmp_path / "net.safetensors"


@pytest.fixture
def photo(image, tmp_path):
    save(tmp_path / "cat.png", image)
    return tmp_path / "cat.png"


@pytest.fixture
def mask(tmp_path):
    """Write a mask of these values (1, 1, h, w)."""

    def write(values):
        save(tmp_path / "mask.png", values.expand(1, 3, -1, -1))
        return tmp_path / "mask.png"

    return write
