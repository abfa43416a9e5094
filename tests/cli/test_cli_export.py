"""`oneira export` writes what it says, measured, or nothing and why."""

import json
import sys
from pathlib import Path

import pytest
import torch

from oneira.cli import export
from oneira.cli.export import ExportOptions
from oneira.cli.main import main
from oneira.feedforward import TextureNetwork, TrainedNetwork, TransformerNetwork
from oneira.feedforward.export import BrowserRuntime, Departure, OnnxModel
from oneira.feedforward.shipped import POCKET_STYLES

NAMES = ("wave", "itself")


@pytest.fixture
def network(tmp_path, monkeypatch):
    """A file of a small network, in the folder that the command runs in."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ONEIRA_CACHE", str(tmp_path / "cache"))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        small = TransformerNetwork(styles=2, identity=1, channels=(4, 6, 8), residuals=1)
    TrainedNetwork(small.eval(), NAMES).write(tmp_path / "net.safetensors")
    return "net.safetensors"


@pytest.fixture
def made(monkeypatch):
    """What a model would have been made of: making one takes seconds, and is tested where it is done."""
    asked = []

    def model(trained, precision):
        asked.append((trained.names, precision))
        return OnnxModel(b"a model", precision, Departure(2e-6, 3e-7, 120.4))

    monkeypatch.setattr(export, "onnx_model", model)
    return asked


@pytest.fixture
def runtime(monkeypatch):
    """A stand-in for npm's package; how it was asked for."""
    asked = []

    def have(*, offline, progress):
        asked.append(offline)
        return BrowserRuntime("var ort;", "export {};", b"\0asm")

    monkeypatch.setattr(export, "browser_runtime", have)
    return asked


def test_a_model_is_written_and_its_error_told(network, tmp_path, capsys):
    onnxruntime = pytest.importorskip("onnxruntime", reason="the extra `export` is not installed")
    assert main(["export", network, "-o", "net.onnx"]) == 0
    told = capsys.readouterr()
    assert told.out == ""
    assert "note: wrote net.onnx (0.1 MB, float32)\n" in told.err
    assert "colours from 0 to 1: largest difference " in told.err
    session = onnxruntime.InferenceSession((tmp_path / "net.onnx").read_bytes(), providers=["CPUExecutionProvider"])
    assert json.loads(session.get_modelmeta().custom_metadata_map["styles"]) == list(NAMES)


def test_every_option_does_something(network, made, runtime, tmp_path, capsys):
    told = {
        "output": ["-o", "net.onnx"],
        "web": ["--web", "page"],
        "precision": ["--precision", "int8"],
        "offline": ["--offline"],
        "quiet": ["-q"],
    }
    assert set(told) == set(ExportOptions.model_fields)
    assert main(["export", network, *(word for words in told.values() for word in words)]) == 0
    assert made == [(NAMES, "int8")]
    assert runtime == [True]
    assert (tmp_path / "net.onnx").read_bytes() == b"a model"
    assert "connect-src" not in (tmp_path / "page" / "index.html").read_text()
    assert capsys.readouterr() == ("", "")


def test_the_size_of_a_page_is_told(network, made, runtime, tmp_path, capsys):
    assert main(["export", network, "--web", "page"]) == 0
    size = sum(file.stat().st_size for file in (tmp_path / "page").iterdir())
    assert (
        f"note: wrote page/index.html: open it in a browser ({size / 1e6:.1f} MB, float32)" in capsys.readouterr().err
    )
    assert runtime == [False]


def test_the_network_that_ships_goes_by_its_name(made, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert main(["export", POCKET_STYLES, "-o", "net.onnx"]) == 0
    assert len(made) == 1


@pytest.mark.parametrize(
    ("words", "status", "told"),
    [
        ([], 2, "say where to: --output NAME.onnx, or --web FOLDER"),
        (["-o", "net.pb"], 2, "--output 'net.pb' has to end in .onnx"),
        (["-o", "folder.onnx"], 1, "cannot write the model 'folder.onnx': it is a folder; add a file name"),
        (["-o", "nowhere/net.onnx"], 1, "'nowhere' is no folder that may be written to"),
        (["--web", "."], 2, "--web '.' holds other files; name a new folder"),
        (["--web", "net.safetensors"], 2, "--web 'net.safetensors' is a file; name a folder"),
        (["-o", "net.onnx", "--precision", "int4"], 2, "int4"),
    ],
)
def test_what_cannot_be_written_is_told_before_anything_is_computed(words, status, told, network, made, capsys):
    Path("folder.onnx").mkdir()
    assert main(["export", network, *words]) == status
    error = capsys.readouterr().err
    assert told in error
    assert error.count("\n") == 1
    assert made == []


def test_without_the_registry_a_page_is_refused_in_one_line(network, made, capsys, tmp_path):
    assert main(["export", network, "--web", "page", "--offline"]) == 1
    error = capsys.readouterr().err
    assert "--offline forbids to fetch it from http" in error
    assert error.count("\n") == 1
    assert not (tmp_path / "page").exists()


def test_without_the_extra_it_is_named(network, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "onnx", None)
    assert main(["export", network, "-o", "net.onnx"]) == 1
    assert capsys.readouterr().err == "oneira: exporting needs onnx: pip install 'oneira[export]'\n"


def test_a_network_that_is_none_is_told(network, tmp_path, capsys):
    (tmp_path / "bad.safetensors").write_bytes(b"nothing of the kind")
    assert main(["export", "bad.safetensors", "-o", "net.onnx"]) == 1
    assert "holds no image-to-image network" in capsys.readouterr().err
    TrainedNetwork(TextureNetwork(scales=2, channels=2).eval(), ("gravel",)).write(tmp_path / "texture.safetensors")
    assert main(["export", "texture.safetensors", "-o", "net.onnx"]) == 2
    assert "draws a texture out of noise" in capsys.readouterr().err
    assert not (tmp_path / "net.onnx").exists()
