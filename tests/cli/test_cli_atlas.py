"""`oneira atlas`: made, stopped, gone on with, and refused."""

import json
import os
import re
import signal

import pytest
from networks import tiny_network
from torch import nn

from oneira import register_backbone
from oneira.cli.atlas import AtlasOptions
from oneira.features import registry
from oneira.techniques import Visualization

SMALL = ["atlas", "small", "--layer", "relu1", "--size", "32", "--batch", "2", "-o", "out"]


class Signalled(nn.Module):
    """Passes activations on, and sends this process signals at the calls told."""

    def __init__(self, number=signal.SIGINT, times=1):
        super().__init__()
        self.number, self.times, self.at, self.calls = number, times, None, 0

    def __deepcopy__(self, memo):
        return self

    def forward(self, features):
        self.calls += 1
        if self.at is not None and self.calls >= self.at:
            self.at = None
            for _ in range(self.times):
                os.kill(os.getpid(), self.number)
        return features


@pytest.fixture(autouse=True)
def sender(monkeypatch):
    """Few steps, in a network that is forgotten after the test; what sends the signals."""
    monkeypatch.setattr(registry, "_REGISTERED", dict(registry._REGISTERED))
    configured = Visualization.configured
    monkeypatch.setattr(
        Visualization, "configured", lambda preset=None, **options: configured(preset, steps=(3,), waking=1, **options)
    )
    sending = Signalled()
    network = nn.Sequential()
    network.add_module("sending", sending)
    for name, part in tiny_network().named_children():
        network.add_module(name, part)
    register_backbone("small", network)
    return sending


def pictures_in(folder):
    return sorted(path.name for path in (folder / "out/pictures").rglob("*.avif"))


def test_it_writes_a_page_and_says_where(oneira, folder):
    ended = oneira(*SMALL)
    assert (ended.status, ended.out) == (0, "")
    assert ended.lines == ["note: wrote out/index.html: open it in a browser"]
    assert (folder / "out/index.html").is_file()
    assert pictures_in(folder) == [f"{channel}.avif" for channel in range(6)]


def test_the_folder_has_the_networks_name_where_none_is_told(oneira, folder):
    assert oneira(*SMALL[:-2], "-q").status == 0
    assert (folder / "atlas-small/index.html").is_file()


def test_quiet_says_nothing(oneira):
    ended = oneira(*SMALL, "--quiet")
    assert (ended.status, ended.out, ended.err) == (0, "", "")


def test_pictures_that_cannot_be_read_are_noted_once(oneira, folder, picture):
    (folder / "pictures").mkdir()
    picture.rename(folder / "pictures/good.png")
    (folder / "pictures/bad.png").write_bytes(b"nothing")
    ended = oneira(*SMALL, "--data", "pictures")
    assert ended.status == 0, ended.err
    (note,) = [line for line in ended.lines if "bad.png" in line]
    assert note.startswith("note: 1 of 2 pictures cannot be read, the first: ")


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_interrupted_it_keeps_what_is_made_and_goes_on(number, status, oneira, folder, sender):
    whole = oneira(*SMALL)
    assert whole.status == 0
    made = sender.calls
    (folder / "out").rename(folder / "whole")
    sender.number, sender.calls, sender.at = number, 0, 2 * made // 3
    ended = oneira(*SMALL)
    assert ended.status == status
    assert ended.lines == ["note: stopped: out is not whole yet; the same command goes on"]
    kept = pictures_in(folder)
    assert 0 < len(kept) < 6
    assert not (folder / "out/index.html").exists()
    sender.calls = 0
    assert oneira(*SMALL).status == 0
    assert 0 < sender.calls < made
    assert pictures_in(folder) == [f"{channel}.avif" for channel in range(6)]
    assert (folder / "out/data.js").read_bytes() == (folder / "whole/data.js").read_bytes()


def test_interrupted_twice_or_before_anything_is_made_it_stops_at_once(oneira, folder, sender):
    for times, at in ((1, 2), (2, 6)):
        sender.times, sender.calls, sender.at = times, 0, at
        ended = oneira(*SMALL)
        assert ended.status == 130
        assert ended.lines == ["note: stopped at once: out is not whole yet; the same command goes on"]
        assert sender.calls == at
    sender.times, sender.at, sender.calls = 1, 1, 0  # while the options are looked at
    # As in a terminal: a shell that started the tests in the background has them ignore it.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        ended = oneira(*SMALL)
    finally:
        signal.signal(signal.SIGINT, before)
    assert (ended.status, ended.err) == (130, "")
    assert oneira(*SMALL).status == 0


REFUSED = {
    "an unknown network": (["atlas", "vgg18"], 2, "'vgg19'"),
    "an unknown layer": (["atlas", "--layer", "relu4-2"], 2, "'relu4_2'"),
    "a layer of another network": (["atlas", "--layer", "small:relu1"], 2, "is not of pocket"),
    "a network whose layers nobody chose": (["atlas", "small"], 2, "name them"),
    "no pictures": ([*SMALL, "--data", "nowhere"], 1, "nowhere"),
    "too small": ([*SMALL, "--size", "8"], 2, "--size"),
    "a folder of something else": ([*SMALL[:-1], "."], 2, "holds something else"),
    "a file in place of the folder": ([*SMALL[:-1], "cat.png"], 1, "cat.png"),
    "no such weights": ([*SMALL, "--weights", "none.pth"], 1, "small"),
}


@pytest.mark.parametrize(("words", "status", "hint"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_is_told_in_one_line(words, status, hint, oneira, picture):
    ended = oneira(*words)
    assert (ended.status, ended.out) == (status, "")
    assert len(ended.lines) == 1
    assert hint in ended.lines[0]


def test_an_atlas_of_other_settings_is_left_alone(oneira, folder):
    assert oneira(*SMALL).status == 0
    before = (folder / "out/data.js").read_bytes()
    ended = oneira(*SMALL, "--seed", 5)
    assert ended.status == 2
    assert "(seed 0, not 5): name another folder" in ended.err
    assert (folder / "out/data.js").read_bytes() == before


def test_every_option_has_a_help_text(oneira):
    shown = oneira("atlas", "--help")
    assert shown.status == 0
    for name in AtlasOptions.model_fields:
        assert re.search(rf"--{name}\b.* \w", shown.out), name


def test_what_is_written_is_the_data_of_the_layers_asked_for(oneira, folder):
    assert oneira(*SMALL, "--layer", "conv2").status == 0
    text = (folder / "out/data.js").read_text(encoding="ascii")
    known = json.loads(text.removeprefix("window.ATLAS = ").removesuffix(";\n"))
    assert [layer["name"] for layer in known["layers"]] == ["relu1", "conv2"]
    assert known["layers"][1]["command"] == "oneira dream PICTURE --model small --layer conv2 --channels"
