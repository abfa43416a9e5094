"""The files of an atlas: what they say, and what they refuse to say."""

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from sample_atlas import texture
from torch.testing import assert_close

from oneira.errors import ImageError, PlanError
from oneira.figures.atlas.entries import Atlas, ChannelEntry, LayerEntry, Neighbour, Push
from oneira.figures.atlas.pictures import PATCH_SIDE, PICTURE_SIDE, save_patches, save_picture
from oneira.figures.atlas.writing import write_site
from oneira.images import load
from oneira.techniques import Dream


def small(**changes: Any) -> Atlas:
    channel = ChannelEntry(3, None)
    return Atlas("pocket", (LayerEntry("relu1_1", 1, 3, (replace(channel, **changes),)),), ("goldfish",))


def told(folder: Path) -> Any:
    text = (folder / "data.js").read_text(encoding="ascii")
    return json.loads(text.removeprefix("window.ATLAS = ").removesuffix(";\n"))


def test_what_is_written_is_what_is_known(tmp_path):
    known = small(fires=0.123456, highest=7.0, pushes=(Push(0, 2.5),), neighbours=(Neighbour(3, 1.0),))
    assert write_site(tmp_path, known) == tmp_path / "index.html"
    (layer,) = told(tmp_path)["layers"]
    expected = {"index": 3, "fires": 0.1235, "highest": 7.0, "neighbours": [[3, 1.0]], "pushes": [[0, 2.5]]}
    assert layer["channels"] == [expected]
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "atlas.css",
        "atlas.js",
        "data.js",
        "finding.js",
        "index.html",
    ]


@pytest.mark.parametrize(
    "name", ["</script><script>alert(1)</script>", "\u2028 & ]]> <!--", 'a"\\u0022', "\ud800 é 金"]
)
def test_any_name_is_data_that_no_markup_can_end(tmp_path, name):
    write_site(tmp_path, replace(small(), classes=(name,), seen=name))
    assert told(tmp_path)["classes"] == [name]
    assert not set("<>&\u2028") & set((tmp_path / "data.js").read_text(encoding="ascii"))


def test_the_page_names_no_address_outside_of_its_folder(tmp_path):
    write_site(tmp_path, small())
    page = "".join((tmp_path / name).read_text() for name in ("index.html", "atlas.css", "atlas.js", "finding.js"))
    assert "//" not in re.sub(r"^\s*//.*| // .*", "", page, flags=re.M)
    assert not re.search(r"fetch\(|XMLHttp|innerHTML|\bimport\b|@font-face|url\(", page)


@pytest.mark.parametrize(
    ("model", "expected"), [("pocket", ""), ("vgg19", " --model vgg19"), ("my net", " --model 'my net'")]
)
def test_the_command_dreams_with_that_channel_of_that_network(tmp_path, model, expected):
    write_site(tmp_path, replace(small(), model=model))
    assert told(tmp_path)["layers"][0]["command"] == f"oneira dream PICTURE{expected} --layer relu1_1 --channels"
    assert {"model", "layer", "channels"} <= set(Dream.model_fields)


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"picture": "3.avif"}, "there is no file '3.avif'"),
        ({"picture": "../outside.avif"}, "there is no file '../outside.avif'"),
        ({"pushes": (Push(1, 1.0),)}, "pushes class 1; pocket has 1 names"),
        ({"pushes": (Push(0, float("nan")),)}, "nan is not a finite number"),
        ({"neighbours": (Neighbour(4, 0.5),)}, "its neighbour 4 is not in the atlas"),
    ],
)
def test_a_channel_that_contradicts_itself_is_refused_and_nothing_written(tmp_path, changes, complaint):
    (tmp_path / "outside.avif").touch()
    (folder := tmp_path / "atlas").mkdir()
    with pytest.raises(PlanError, match=re.escape("relu1_1:3")) as refusal:
        write_site(folder, small(**changes))
    assert complaint in str(refusal.value)
    assert not list(folder.iterdir())


def test_an_atlas_has_layers_and_each_thing_once(tmp_path):
    (layer,) = small().layers
    with pytest.raises(PlanError, match="at least one layer"):
        write_site(tmp_path, Atlas("pocket", ()))
    with pytest.raises(PlanError, match="layer 'relu1_1' is in the atlas twice"):
        write_site(tmp_path, replace(small(), layers=(layer, layer)))
    with pytest.raises(PlanError, match="channel relu1_1:3 is in the atlas twice"):
        write_site(tmp_path, replace(small(), layers=(replace(layer, channels=layer.channels * 2),)))


def test_a_folder_that_is_not_there_is_told(tmp_path):
    with pytest.raises(ImageError, match=r"cannot write .*No such file"):
        write_site(tmp_path / "absent", small())


def test_patches_stand_side_by_side_in_their_order(tmp_path):
    greys = torch.linspace(0, 1, 5)
    strip = save_patches(tmp_path, 0, "relu1_1", 3, greys[:, None, None, None].expand(5, 3, 9, 9))
    shown = load(tmp_path / strip.path)
    assert (strip.count, tuple(shown.shape)) == (5, (1, 3, PATCH_SIDE, 5 * PATCH_SIDE))
    middles = shown.mean((0, 1)).unflatten(1, (5, PATCH_SIDE)).mean((0, 2))
    assert_close(middles, greys, atol=0.02, rtol=0)


def test_layers_share_no_files_whatever_they_are_called(tmp_path):
    names = ["a/b", "a-b", "A-b", "..", "a" * 50]
    paths = [save_picture(tmp_path, place, name, 0, texture(place, 30)) for place, name in enumerate(names)]
    assert len({path.lower() for path in paths}) == len(names)
    assert all((tmp_path / path).resolve().is_relative_to(tmp_path.resolve()) for path in paths)
    assert tuple(load(tmp_path / paths[0]).shape) == (1, 3, PICTURE_SIDE, PICTURE_SIDE)


def test_a_place_where_no_folder_can_be_made_is_told(tmp_path):
    (tmp_path / "pictures").touch()
    with pytest.raises(ImageError, match="cannot write"):
        save_picture(tmp_path, 0, "relu1_1", 0, texture(0, 30))
