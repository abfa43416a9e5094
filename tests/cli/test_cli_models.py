"""`oneira models`."""

import re

from oneira import backbones
from oneira.features import describe, find_backbone


def test_all_networks_are_listed_with_the_place_of_their_weights(oneira, folder, monkeypatch, scrambled_pocket):
    mine = folder / "mine"
    mine.mkdir()
    (mine / "vgg16.safetensors").touch()
    monkeypatch.setenv("ONEIRA_WEIGHTS", str(mine))
    ended = oneira("models")
    assert ended.status == 0
    listed = {line.split()[0]: line for line in ended.out.splitlines()[1:]}
    assert set(backbones()) <= set(listed)
    assert listed["pocket"].rstrip().endswith("in the package")
    assert listed["vgg19"].rstrip().endswith("vgg19-dcbb9e9d.pth")  # whole, in a pipe as narrow as may be
    assert str(mine / "vgg16.safetensors") in listed["vgg16"]
    assert "registered" in listed["tiny"]


def test_a_folder_of_weights_that_is_none_is_told(oneira, monkeypatch):
    monkeypatch.setenv("ONEIRA_WEIGHTS", "/nowhere")
    ended = oneira("models")
    assert ended.status == 1
    assert "$ONEIRA_WEIGHTS" in ended.lines[0]


def test_the_layers_of_a_network_are_listed_in_order(oneira):
    ended = oneira("models", "vgg19")
    assert ended.status == 0
    title, _, *rows = ended.out.splitlines()
    assert title.startswith("vgg19: pictures of at least")
    assert [row.split()[0] for row in rows] == [layer.layer for layer in describe(find_backbone("vgg19"))]
    row = next(row for row in rows if "relu4_2" in row)
    assert re.search(r"512\s+8 px\s+\d+ px", row)
