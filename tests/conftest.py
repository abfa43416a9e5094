"""What every test may ask for."""

import pytest
import torch
from hypothesis import settings
from networks import register_tiny

# A shared machine stalls now and then; a deadline would fail tests for it. Seeds are fixed: a failure repeats itself.
settings.register_profile("oneira", deadline=None, derandomize=True)
settings.load_profile("oneira")


@pytest.fixture(scope="session", autouse=True)
def _one_thread():
    # Small tensors gain nothing from threads, and results stay the same whatever machine runs the tests.
    torch.set_num_threads(1)


@pytest.fixture(scope="session", autouse=True)
def _tiny_backbone():
    register_tiny()


@pytest.fixture
def generator():
    return torch.Generator().manual_seed(0)


@pytest.fixture
def image(generator):
    """A picture of random colours, (1, 3, 20, 28)."""
    return torch.rand(1, 3, 20, 28, generator=generator)
