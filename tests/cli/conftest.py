"""The command, in this process and as one of its own; pictures to give it; networks in which something happens."""

import os
import subprocess
import sys
from dataclasses import dataclass

import pytest
from networks import tiny_network
from noise_pictures import noise
from safetensors.torch import save_file
from torch import nn
from tours import Tour

from oneira import register_backbone
from oneira.cli.main import app, main
from oneira.cli.verbs import command_for, usage_of
from oneira.features import find_backbone
from oneira.features.weights import load_weights
from oneira.techniques import TECHNIQUES


@dataclass(frozen=True)
class Ended:
    """How a command ended, and what it printed."""

    status: int
    out: str
    err: str

    @property
    def lines(self):
        return self.err.splitlines()


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """An empty folder to work in, with a cache of its own and no weights but the embedded ones."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ONEIRA_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("ONEIRA_WEIGHTS", raising=False)
    return tmp_path


@pytest.fixture
def oneira(capfd):
    """Run a command in this process."""

    def run(*words):
        capfd.readouterr()
        status = main([str(word) for word in words])
        out, err = capfd.readouterr()
        return Ended(status, out, err)

    return run


@pytest.fixture
def started(folder):
    """Start a command as a process of its own, with a shell's environment; killed in the end."""
    processes = []

    def start(*words, **options):
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "COLUMNS": "100"}
        process = subprocess.Popen(
            [sys.executable, "-m", "oneira", *map(str, words)],
            **{"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, "env": environment, **options},
        )
        processes.append(process)
        return process

    yield start
    for process in processes:
        process.kill()
        process.communicate()


@pytest.fixture
def picture(folder):
    return noise(folder / "cat.png")


@pytest.fixture
def painting(folder):
    return noise(folder / "painting.png", 24, 24, seed=1)


@pytest.fixture
def dream(picture):
    """A dream of eight steps in a network of a few channels: milliseconds."""
    return ["dream", picture, "--layer", "tiny:relu2", "--octaves", "2", "--steps", "4", "--jitter", "2"]


@pytest.fixture
def tour(monkeypatch):
    """A verb of the tests' own, of two stages, which needs no picture: milliseconds."""
    app.command(command_for(Tour), name=Tour.verb(), usage=usage_of(Tour))
    monkeypatch.setattr("oneira.cli.provenance.TECHNIQUES", {**TECHNIQUES, Tour.verb(): Tour})
    yield ["tour"]
    del app[Tour.verb()]


@pytest.fixture(scope="session")
def scrambled_pocket(tmp_path_factory):
    """Weights that fit the embedded network and are not its own."""
    state = load_weights(find_backbone("pocket")).network.state_dict()
    path = tmp_path_factory.mktemp("weights") / "scrambled.safetensors"
    save_file({name: value.flip(0).half().contiguous() for name, value in state.items()}, path)
    return path


class Happening(nn.Module):
    """Passes activations on; at the call told, something happens."""

    def __init__(self, do, at):
        super().__init__()
        self.do, self.at, self.calls = do, at, Calls()

    def forward(self, features):
        self.calls.count += 1
        return self.do(features) if self.calls.count in self.at else features


class Calls:
    """Survives the copying of the module that holds it."""

    def __init__(self):
        self.count = 0

    def __deepcopy__(self, memo):
        return self


@pytest.fixture
def happening(dream):
    """The dream, in a network in which `do(features)` is called in the steps `at`."""

    def command(do, *at):
        network = tiny_network()
        network.add_module("happening", Happening(do, at))
        register_backbone("eventful", network)
        words = list(dream)
        words[words.index("tiny:relu2")] = "eventful:happening"
        return words

    return command
