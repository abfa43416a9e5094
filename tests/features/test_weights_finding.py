"""Where weights are looked for, in which order, and what is said where there are none."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from oneira.errors import WeightsError
from oneira.features.backbones import FAMILIES
from oneira.features.registry import Backbone, find_backbone
from oneira.features.weights import SOURCES, Located, WeightsSource, cache_folder, load_weights, locate

TINY = Backbone("tiny", lambda: nn.Sequential(nn.Conv2d(3, 2, 1)))
# Port 9 discards: nothing listens there, and nothing leaves the machine.
SOURCES_OF_TINY = {"tiny": WeightsSource("tiny-abcdef12.pth", "http://127.0.0.1:9/tiny-abcdef12.pth", "abcdef12")}


@pytest.fixture(autouse=True)
def places(tmp_path, monkeypatch) -> Path:
    """`own` stands for $ONEIRA_WEIGHTS, `cache` for $ONEIRA_CACHE; nothing of the user's is seen."""
    (tmp_path / "own").mkdir()
    monkeypatch.delenv("ONEIRA_WEIGHTS", raising=False)
    monkeypatch.setenv("ONEIRA_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    return tmp_path


def put(path: Path, value: float) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file({"0.weight": torch.full((2, 3, 1, 1), float(value)), "0.bias": torch.zeros(2)}, path)
    return path


def loaded(**options) -> float:
    return load_weights(TINY, **options).network[0].weight.flatten()[0].item()


def official(path: Path, value: float) -> dict[str, WeightsSource]:
    """A file and the declaration that it is the official one."""
    digest = load_weights(TINY, file=put(path, value)).sha256
    assert digest is not None
    return {"tiny": WeightsSource(path.name, f"http://127.0.0.1:9/{path.name}", digest[:8])}


def test_the_file_given_comes_before_the_users_folder_and_that_before_the_cache(places, monkeypatch):
    sources = official(cache_folder() / "tiny-official.pth", 3)
    assert loaded(sources=sources) == 3
    assert locate(TINY, sources).where == "cache"
    monkeypatch.setenv("ONEIRA_WEIGHTS", str(places / "own"))
    assert loaded(sources=sources) == 3
    own = put(places / "own" / "tiny.safetensors", 2)
    assert loaded(sources=sources) == 2
    assert (locate(TINY, sources).where, locate(TINY, sources).path) == ("$ONEIRA_WEIGHTS", own)
    assert loaded(sources=sources, file=put(places / "given", 1)) == 1


@pytest.mark.parametrize("suffix", [".safetensors", ".pth", ".pt", ".mat"])
def test_in_the_users_folder_a_file_goes_by_the_backbones_name(places, monkeypatch, suffix):
    monkeypatch.setenv("ONEIRA_WEIGHTS", str(places / "own"))
    assert locate(TINY, SOURCES_OF_TINY).where == "to download"
    put(places / "own" / f"tiny{suffix}", 5)
    assert loaded(offline=True) == 5


def test_in_the_users_folder_the_official_name_comes_first_and_is_held_to_its_hash(places, monkeypatch):
    monkeypatch.setenv("ONEIRA_WEIGHTS", str(places / "own"))
    put(places / "own" / "tiny.safetensors", 1)
    sources = official(places / "own" / "tiny-official.pth", 2)
    assert loaded(sources=sources) == 2
    put(places / "own" / "tiny-official.pth", 3)
    with pytest.raises(WeightsError, match="not what its name says"):
        loaded(sources=sources)


def test_a_tampered_cache_is_never_used(places):
    sources = official(cache_folder() / "tiny-official.pth", 3)
    path = put(cache_folder() / "tiny-official.pth", 4)
    for _ in range(2):
        with pytest.raises(WeightsError, match=r"SHA-256.*delete it and download it again from http://127.0.0.1:9/"):
            loaded(sources=sources)
        assert path.exists()


def test_the_users_folder_must_be_a_folder(places, monkeypatch):
    for wrong in (places / "absent", put(places / "file", 1)):
        monkeypatch.setenv("ONEIRA_WEIGHTS", str(wrong))
        with pytest.raises(WeightsError, match=r"\$ONEIRA_WEIGHTS is .* not a folder"):
            loaded()
        with pytest.raises(WeightsError, match=r"\$ONEIRA_WEIGHTS"):
            locate(TINY)


def test_a_cache_that_cannot_be_looked_into(monkeypatch):
    monkeypatch.setenv("ONEIRA_CACHE", "x" * 5000)
    with pytest.raises(WeightsError, match="File name too long"):
        locate(TINY, SOURCES_OF_TINY)


def test_the_cache_is_the_users_unless_another_is_named(monkeypatch):
    monkeypatch.setenv("ONEIRA_CACHE", "~/elsewhere")
    assert cache_folder() == Path.home() / "elsewhere" / "weights"
    monkeypatch.delenv("ONEIRA_CACHE")
    assert cache_folder().name == "weights"
    assert "oneira" in str(cache_folder().parent)


# The embedded network


def test_pocket_needs_neither_files_nor_network(monkeypatch):
    pocket = find_backbone("pocket")
    located = locate(pocket)
    assert (located.where, located.source) == ("embedded", None)
    weights = load_weights(pocket, offline=True)
    assert weights.path == located.path
    assert all(p.dtype is torch.float32 for p in weights.network.parameters())


def test_the_users_folder_may_hold_another_pocket(places, monkeypatch):
    monkeypatch.setenv("ONEIRA_WEIGHTS", str(places / "own"))
    pocket = find_backbone("pocket")
    state = {name: torch.ones_like(v) for name, v in pocket.build().state_dict().items()}
    save_file(state, places / "own" / "pocket.safetensors")
    assert (load_weights(pocket).network.state_dict()["fc.bias"] == 1).all()


# Registered modules


def test_registered_modules_come_with_their_weights(places):
    module = nn.Linear(2, 2)
    registered = Backbone("mine", lambda: module, own=False)
    weights = load_weights(registered)
    assert weights.network is module
    assert (weights.sha256, weights.path) == (None, None)
    assert locate(registered).where == "registered"
    with pytest.raises(WeightsError, match="mine was registered with its weights"):
        load_weights(registered, file=put(places / "file", 1))


# Nothing there


def test_offline_without_weights_all_is_said_that_helps():
    assert locate(TINY, SOURCES_OF_TINY) == Located(None, "to download", SOURCES_OF_TINY["tiny"])
    with pytest.raises(WeightsError) as caught:
        loaded(sources=SOURCES_OF_TINY, offline=True)
    message = str(caught.value)
    assert "\n" not in message
    for part in ("tiny-abcdef12.pth", "http://127.0.0.1:9/tiny", "abcdef12...", str(cache_folder()), "pocket"):
        assert part in message
    assert not cache_folder().exists()


def test_without_a_connection_as_much_is_said():
    with pytest.raises(WeightsError) as caught:
        loaded(sources=SOURCES_OF_TINY)
    message = str(caught.value)
    assert "\n" not in message
    for part in (
        "tiny-abcdef12.pth",
        "http://127.0.0.1:9/tiny",
        "abcdef12...",
        str(cache_folder()),
        "pocket",
        "refused",
    ):
        assert part in message
    assert "refused" in message


def test_a_backbone_without_an_official_file_asks_for_one():
    assert locate(TINY).where == "nowhere"
    with pytest.raises(WeightsError, match="tiny has no official weights"):
        loaded()


# The table


def test_every_backbone_but_the_embedded_one_has_an_official_file():
    assert set(FAMILIES) - {"pocket"} <= set(SOURCES)


@pytest.mark.parametrize("name", SOURCES)
def test_sources_are_encrypted_and_carry_a_hash(name):
    source = SOURCES[name]
    assert source.url.startswith("https://")
    assert source.url.endswith(f"/{source.filename}")
    assert len(source.sha256_prefix) == 8
    assert set(source.sha256_prefix) <= set("0123456789abcdef")
    assert source.filename == f"{source.filename[:-13]}-{source.sha256_prefix}.pth"
    assert len({other.sha256_prefix for other in SOURCES.values()}) == len(SOURCES)
