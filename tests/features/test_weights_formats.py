"""Weights files of every kind, whole and damaged, into networks."""

import hashlib
import io
import json
import os
import pickle
import struct
import subprocess
import sys
import warnings
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save, save_file
from torch import Tensor, nn
from torch.testing import assert_close

from oneira.errors import WeightsError
from oneira.features.registry import Backbone
from oneira.features.weights import WeightsSource, load_weights

SQUEEZENET = Path(__file__).parents[3] / "shared" / "weights" / "squeezenet1_0.safetensors"


class Tiny(nn.Module):
    """A network with everything that weights files differ in: batch norm, a training head, a classifier."""

    def __init__(self, head: bool = True) -> None:
        super().__init__()
        self.features = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU())
        if head:
            self.aux1 = nn.Linear(4, 2)
        self.classifier = nn.Sequential(nn.Linear(4, 5), nn.ReLU(), nn.Dropout(), nn.Linear(5, 2))


TINY = Backbone("tiny", Tiny)


@pytest.fixture
def state() -> dict[str, Tensor]:
    torch.manual_seed(0)
    return {name: torch.rand_like(v) if v.is_floating_point() else v for name, v in Tiny().state_dict().items()}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "weights"


def assert_loads(file: Path, state: dict[str, Tensor], backbone: Backbone = TINY) -> nn.Module:
    network = load_weights(backbone, file=file).network
    loaded = network.state_dict()
    for name, value in loaded.items():
        assert value.dtype is (torch.float32 if value.is_floating_point() else torch.int64)
        assert not value.is_meta
        assert_close(value, state[name].to(value.dtype))
    return network


def refusal(file: Path, backbone: Backbone = TINY) -> str:
    with pytest.raises(WeightsError) as caught:
        load_weights(backbone, file=file)
    message = str(caught.value)
    assert "\n" not in message
    assert str(file) in message
    return message


# What is read


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_safetensors_of_every_precision_become_float32(file, state, dtype):
    narrow = {name: v.to(dtype) if v.is_floating_point() else v for name, v in state.items()}
    save_file(narrow, file)
    assert_loads(file, narrow)


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "before-1.6"])
@pytest.mark.parametrize(
    "wrap",
    [dict, lambda s: {"state_dict": s, "epoch": 3}, lambda s: {n: nn.Parameter(v, v.ndim > 0) for n, v in s.items()}],
    ids=["state-dict", "checkpoint", "parameters"],
)
def test_a_pth_file_is_read_in_both_of_torchs_formats_and_out_of_a_checkpoint(file, state, zipped, wrap):
    torch.save(wrap(state), file, _use_new_zipfile_serialization=zipped)
    assert_loads(file, state)


def test_names_may_carry_what_data_parallel_puts_before_them(file, state):
    torch.save({f"module.{name}": value for name, value in state.items()}, file)
    assert_loads(file, state)


def test_what_a_file_is_its_bytes_say_not_its_name(tmp_path, state):
    save_file(state, tmp_path / "really_safetensors.pth")
    torch.save(state, tmp_path / "really_torch.safetensors")
    assert_loads(tmp_path / "really_safetensors.pth", state)
    assert_loads(tmp_path / "really_torch.safetensors", state)


def test_a_safetensors_header_may_be_as_long_as_to_look_like_a_pickle(file, state):
    for padding in range(256):
        save_file(state, file, metadata={"note": "x" * padding})
        if file.read_bytes()[0] == 0x80:
            break
    assert file.read_bytes()[0] == 0x80
    assert_loads(file, state)


def test_the_hash_and_the_path_of_what_was_loaded_are_told(file, state):
    save_file(state, file)
    loaded = load_weights(TINY, file=file)
    assert loaded.sha256 == hashlib.sha256(file.read_bytes()).hexdigest()
    assert loaded.path == file


def test_heads_and_counters_of_training_may_lack_or_abound(file, state):
    without = {n: v for n, v in state.items() if not n.startswith("aux1") and not n.endswith("num_batches_tracked")}
    save_file(without, file)
    padded = {**state, **{n: torch.zeros_like(v) for n, v in state.items() if n not in without}}
    assert_loads(file, padded)
    save_file({**state, "AuxLogits.conv0.conv.weight": torch.ones(3)}, file)
    assert_loads(file, state, Backbone("headless", lambda: Tiny(head=False)))


def test_caffes_classifier_is_numbered_with_the_flattening(file, state):
    shifted = {
        name.replace("classifier.0", "classifier.1").replace("classifier.3", "classifier.4"): value
        for name, value in state.items()
    }
    assert "classifier.4.bias" in shifted
    save_file(shifted, file)
    assert_loads(file, state)


@pytest.mark.parametrize("write", [torch.save, save_file])
def test_changing_what_was_loaded_leaves_the_file_as_it_was(file, state, write):
    write(state, file)
    before = file.read_bytes()
    network = load_weights(TINY, file=file).network
    with torch.no_grad():
        network.classifier[0].weight.zero_()
    assert file.read_bytes() == before


@pytest.mark.skipif(not SQUEEZENET.exists(), reason="the real SqueezeNet lies beside the project, not in it")
def test_a_real_squeezenet_loads(tmp_path):
    class Fire(nn.Module):
        def __init__(self, before: int, squeeze: int, expand: int) -> None:
            super().__init__()
            self.squeeze = nn.Conv2d(before, squeeze, 1)
            self.expand1x1 = nn.Conv2d(squeeze, expand, 1)
            self.expand3x3 = nn.Conv2d(squeeze, expand, 3, padding=1)

    fires = {3: (96, 16, 64), 4: (128, 16, 64), 5: (128, 32, 128), 7: (256, 32, 128), 8: (256, 48, 192)}
    fires |= {9: (384, 48, 192), 10: (384, 64, 256), 12: (512, 64, 256)}

    def squeezenet() -> nn.Module:
        parts = [Fire(*fires[i]) if i in fires else nn.Identity() for i in range(13)]
        parts[0] = nn.Conv2d(3, 96, 7, stride=2)
        return nn.ModuleDict(
            {"features": nn.Sequential(*parts), "classifier": nn.Sequential(nn.Dropout(), nn.Conv2d(512, 1000, 1))}
        )

    assert_loads(SQUEEZENET, load_file(SQUEEZENET), Backbone("squeezenet1_0", squeezenet))


# What is refused


def test_a_missing_file_a_folder_and_an_empty_file(tmp_path):
    assert "No such file" in refusal(tmp_path / "absent.pth")
    assert "folder" in refusal(tmp_path)
    (tmp_path / "empty").touch()
    assert "empty" in refusal(tmp_path / "empty")
    with pytest.raises(WeightsError, match="null"):
        load_weights(TINY, file=Path("a\0b"))


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes with names on this system")
def test_a_fifo_is_refused_and_not_waited_for(file):
    os.mkfifo(file)
    assert "not an ordinary file" in refusal(file)


@pytest.mark.parametrize("content", [b"<html>404</html>", b"x", b"\x89HDF\r\n\x1a\n and more", b"{}", b"PK"])
def test_other_files(file, content):
    file.write_bytes(content)
    assert "neither safetensors" in refusal(file)


@pytest.mark.parametrize(
    "content",
    [
        struct.pack("<Q", 1 << 60) + b"{}",
        struct.pack("<Q", (1 << 64) - 1) + b"{" * 30,
        struct.pack("<Q", 200) + b'{"a":',
        struct.pack("<Q", 40) + b"{" * 40,
        struct.pack("<Q", 2) + b"{}" + b"left over",
    ],
    ids=["2^60", "2^64-1", "header-cut", "not-json", "bytes-of-nothing"],
)
def test_absurd_safetensors_headers(file, content):
    file.write_bytes(content)
    assert "damaged safetensors" in refusal(file)


def test_a_safetensors_header_that_lies_about_sizes(file, state):
    for entry in [
        {"dtype": "F32", "shape": [1 << 62, 1 << 62], "data_offsets": [0, 4]},
        {"dtype": "F32", "shape": [1], "data_offsets": [0, 1 << 60]},
        {"dtype": "F32", "shape": [2], "data_offsets": [0, 4]},
        {"dtype": "PICKLE", "shape": [1], "data_offsets": [0, 4]},
    ]:
        header = json.dumps({"features.0.weight": entry}).encode()
        file.write_bytes(struct.pack("<Q", len(header)) + header + b"\0" * 4)
        assert "damaged safetensors" in refusal(file)


class Code:
    def __reduce__(self):
        return os.system, ("touch pwned",)


@pytest.mark.parametrize("protocol", [2, 4, 5])
@pytest.mark.parametrize("way", ["zip", "before-1.6", "plain"])
def test_a_pickle_with_code_is_refused_and_not_run(file, state, way, protocol, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    content = {**state, "classifier.0.bias": Code()}
    if way == "plain":
        file.write_bytes(pickle.dumps(Code(), protocol))
    else:
        torch.save(content, file, pickle_protocol=protocol, _use_new_zipfile_serialization=way == "zip")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        assert "refused" in refusal(file)
    assert not caught
    assert not (tmp_path / "pwned").exists()


def test_the_code_in_a_pickle_is_named(file):
    torch.save(Tiny(), file)
    assert "save its state_dict() instead" in refusal(file)
    torch.save({"a": Code()}, file)
    assert f"{os.system.__module__}.system" in refusal(file)


@pytest.mark.parametrize(
    "content", [[1, 2], {}, {"a": 3}, {3: torch.ones(2)}, {"state_dict": {"a": "b"}}, torch.ones(2)]
)
def test_what_is_no_state_dict(file, content):
    torch.save(content, file)
    assert "no state dict" in refusal(file)


def test_names_that_lack_abound_or_have_another_shape_are_told_with_their_number(file, state):
    save_file({n: v for n, v in state.items() if not n.startswith("classifier")}, file)
    assert "does not fit tiny: 'classifier.0.weight' and 3 more are missing" in refusal(file)
    save_file({n: v for n, v in state.items() if n != "features.0.bias"}, file)
    assert "'features.0.bias' is missing" in refusal(file)
    save_file({**state, "head.weight": torch.ones(1)}, file)
    assert "'head.weight' is unknown" in refusal(file)
    save_file({**state, "classifier.3.weight": torch.ones(3, 5)}, file)
    assert "'classifier.3.weight' is (3, 5), where it wants (2, 5)" in refusal(file)


@pytest.mark.parametrize(
    "value",
    [
        torch.ones(5, dtype=torch.int32),
        torch.ones(5, dtype=torch.complex64),
        torch.ones(5).to_sparse(),
        torch.ones(5, device="meta"),
    ],
    ids=["integer", "complex", "sparse", "meta"],
)
def test_tensors_that_are_no_plain_numbers(file, state, value):
    torch.save({**state, "classifier.0.bias": value}, file)
    assert "'classifier.0.bias'" in refusal(file)


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("dtype", [torch.float16, torch.float32])
def test_numbers_that_are_not_finite_are_refused_with_their_tensors_name(file, state, bad, dtype):
    state = {name: v.to(dtype) if v.is_floating_point() else v for name, v in state.items()}
    state["features.1.running_var"][2] = bad
    save_file(state, file)
    assert "'features.1.running_var'" in refusal(file)


def test_float64_numbers_too_large_for_float32_are_not_finite(file, state):
    save_file({**state, "classifier.0.bias": torch.full((5,), 1e300, dtype=torch.float64)}, file)
    assert "finite" in refusal(file)


def _bytes_of(way: str) -> bytes:
    torch.manual_seed(1)
    state = Tiny().state_dict()
    if way == "safetensors":
        return save(state)
    buffer = io.BytesIO()
    torch.save(state, buffer, _use_new_zipfile_serialization=way == "zip")
    return buffer.getvalue()


DAMAGED = {way: _bytes_of(way) for way in ("safetensors", "zip", "before-1.6")}


@pytest.mark.parametrize("way", DAMAGED)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_damaged_file_loads_or_is_refused_in_one_line(file, way, data):
    content = bytearray(DAMAGED[way])
    if data.draw(st.booleans(), "cut"):
        del content[data.draw(st.integers(1, len(content) - 1)) :]
    for _ in range(data.draw(st.integers(0, 4), "flips")):
        # Most of a file is numbers; its structure is at its ends.
        at = data.draw(st.integers(0, min(600, len(content) - 1)))
        content[at if data.draw(st.booleans()) else -1 - at] ^= 1 << data.draw(st.integers(0, 7))
    file.write_bytes(content)
    try:
        load_weights(TINY, file=file)
    except WeightsError as error:
        assert "\n" not in str(error)  # noqa: PT017 - loading may as well succeed
        assert len(str(error)) < 2000  # noqa: PT017 - as above


# A file under an official name


def test_a_file_under_an_official_name_must_have_the_official_hash(tmp_path, state):
    source = WeightsSource("tiny-12345678.pth", "http://127.0.0.1:9/tiny-12345678.pth", "12345678")
    file = tmp_path / source.filename
    torch.save(state, file)
    with pytest.raises(WeightsError, match=r"not 12345678\.\.\.; delete it and download it again"):
        load_weights(TINY, file=file, sources={"tiny": source})
    other = file.rename(tmp_path / "tuned.pth")
    assert load_weights(TINY, file=other, sources={"tiny": source}).path == other


def test_weights_of_another_backbone_are_refused_by_their_hash(file, state):
    save_file(state, file)
    digest = load_weights(TINY, file=file).sha256
    assert digest is not None
    sources = {"tiny-caffe": WeightsSource("caffe.pth", "http://127.0.0.1:9/caffe.pth", digest[:8])}
    with pytest.raises(WeightsError, match="holds the weights of tiny-caffe, not of tiny"):
        load_weights(TINY, file=file, sources=sources)


@pytest.mark.skipif(sys.platform != "linux", reason="reads Linux' own account of memory")
def test_loading_takes_no_more_memory_than_the_weights(tmp_path):
    code = """
import resource, sys, torch
from pathlib import Path
from oneira.features.registry import Backbone
from oneira.features.weights import load_weights
from torch import nn
large = Backbone("large", lambda: nn.Sequential(nn.Linear(4096, 8192), nn.Linear(4096, 4096)))
with torch.device("meta"):
    large.build()
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
network = load_weights(large, file=Path(sys.argv[1])).network
grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
weights = sum(p.numel() * 4 for p in network.parameters()) / 2**20
assert grown < 1.3 * weights, (grown, weights)
"""
    file = tmp_path / "large.pth"
    torch.save(nn.Sequential(nn.Linear(4096, 8192), nn.Linear(4096, 4096)).state_dict(), file)
    subprocess.run([sys.executable, "-c", code, str(file)], check=True, timeout=60)
