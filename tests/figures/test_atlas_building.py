"""Making an atlas: of a network of a few channels, at 32 pixels, stopped and gone on with."""

import json
from dataclasses import replace
from functools import partial

import pytest
import torch
from networks import tiny_network
from safetensors.torch import save_file
from torch import nn

from oneira import register_backbone
from oneira.errors import AddressError, DataError, ImageError, OneiraError, PlanError
from oneira.features import Encoder, find_backbone, registry, resolve
from oneira.features.weights import load_weights
from oneira.figures.atlas import AtlasBuild, AtlasPlan
from oneira.figures.atlas.building import RESPONSES
from oneira.figures.atlas.making import MADE
from oneira.images import load, save
from oneira.inspection.meanings import FILE, Meanings
from oneira.inspection.picture_set import PictureSet
from oneira.inspection.pushes import pushes
from oneira.inspection.responses import Responses
from oneira.inspection.watching import watch
from oneira.techniques import Visualization

CLASSES = ("ant", "bee", "crane", "crane")
DEAD = 2
LAYERS = ("relu1", "relu3")
PLAN = AtlasPlan("small", LAYERS, size=32, batch=4)


def small_network(seed=0):
    """The small network with a head of classes; one channel of its last convolution can never be above 0."""
    network = tiny_network(seed)
    network.add_module("average", nn.AdaptiveAvgPool2d(1))
    network.add_module("flat", nn.Flatten())
    network.add_module("fc", nn.Linear(6, len(CLASSES)))
    with torch.no_grad():
        network.conv3.bias.fill_(0.5)  # so that few steps wake all others
        network.conv3.weight[DEAD] = 0
        network.conv3.bias[DEAD] = -1
        network.fc.weight.copy_(torch.randn(len(CLASSES), 6, generator=torch.Generator().manual_seed(5)))
    return network


@pytest.fixture(autouse=True)
def small(monkeypatch):
    """Few steps: `small` may be registered anew, and is forgotten after the test."""
    monkeypatch.setattr(registry, "_REGISTERED", dict(registry._REGISTERED))
    register_backbone("small", small_network(), logits="fc", classes=CLASSES)
    fewer = {"steps": (3,), "waking": 1}
    configured = Visualization.configured
    monkeypatch.setattr(
        Visualization, "configured", lambda preset=None, **options: configured(preset, **fewer, **options)
    )


@pytest.fixture
def pictures(tmp_path, generator):
    """Three pictures, and a file that is none."""
    (folder := tmp_path / "pictures").mkdir()
    for number in range(3):
        save(folder / f"{number}.png", torch.rand(1, 3, 40, 48, generator=generator))
    (folder / "3.png").write_bytes(b"nothing")
    return folder


def build(plan, folder, **options):
    return list(AtlasBuild(plan, folder, **options))


def told(folder):
    text = (folder / "data.js").read_text(encoding="ascii")
    return json.loads(text.removeprefix("window.ATLAS = ").removesuffix(";\n"))


def files(folder):
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def one_line(raised):
    assert "\n" not in str(raised.value)
    return str(raised.value)


class TestAtlas:
    def test_every_channel_has_its_picture_and_what_is_known_of_it(self, tmp_path, pictures):
        progress = build(replace(PLAN, data=pictures), tmp_path / "atlas")
        known = told(tmp_path / "atlas")
        assert [layer["name"] for layer in known["layers"]] == list(LAYERS)
        assert known["classes"] == list(CLASSES)
        assert known["seen"] == "3 pictures of pictures"
        measured = Responses.load(tmp_path / "atlas" / RESPONSES)
        for layer, name in zip(known["layers"], LAYERS, strict=True):
            of_layer = measured[f"small:{name}"]
            for channel in layer["channels"]:
                number = channel["index"]
                dead = name == "relu3" and number == DEAD
                assert ("picture" not in channel) == ("patches" not in channel) == ("pushes" not in channel) == dead
                assert channel["firesIn"] == pytest.approx(float(of_layer.share_of_pictures[number]), rel=1e-3)
                if not dead:
                    assert load(tmp_path / "atlas" / channel["picture"]).shape == (1, 3, 128, 128)
                    assert channel["highest"] == pytest.approx(of_layer.strongest(number)[0].value, rel=1e-3)
        (note,) = {each.note for each in progress if each.note is not None}
        assert "1 of 4 pictures cannot be read" in note
        assert "3.png" in note
        assert all(0 <= each.done <= each.total for each in progress)

    def test_pushes_are_the_weights_times_a_usual_swing_with_numbers_for_names_that_occur_twice(
        self, tmp_path, pictures
    ):
        build(replace(PLAN, data=pictures, layers=("relu3",)), tmp_path / "atlas")
        weight = small_network().fc.weight.detach()
        gains = weight - weight.mean(0)
        swing = Responses.load(tmp_path / "atlas" / RESPONSES)["small:relu3"].deviation
        (layer,) = told(tmp_path / "atlas")["layers"]
        for channel in layer["channels"]:
            if channel["index"] == DEAD:
                continue
            row = gains[:, channel["index"]]
            expected = [[int(each), float(row[each])] for each in row.argsort(descending=True) if row[each] > 0]
            assert [number for number, _ in channel["pushes"]] == [number for number, _ in expected]
            amounts = [value * float(swing[channel["index"]]) for _, value in expected]
            assert [amount for _, amount in channel["pushes"]] == pytest.approx(amounts, rel=5e-3)

    def test_what_channels_are_known_for_is_written_for_others_too(self, tmp_path, pictures):
        for data in (pictures, None):
            folder = tmp_path / f"atlas of {data is None}"
            build(replace(PLAN, data=data), folder)
            known = Meanings.load(folder / FILE)
            assert (known.model, known.classes, tuple(known.layers)) == ("small", CLASSES, LAYERS)
            assert known.weights == json.loads((folder / MADE).read_text())["settings"]["weights"]
            for layer in told(folder)["layers"]:
                for channel in layer["channels"]:
                    pushed = [[each.number, each.amount] for each in known.pushes(layer["name"], channel["index"])]
                    assert pushed == channel.get("pushes", [])
            assert known.pushes("relu3", DEAD) == ()

    def test_pushes_are_averaged_over_pictures_spread_over_the_data(self, tmp_path, pictures, monkeypatch):
        monkeypatch.setattr("oneira.figures.atlas.pushing.AVERAGED", 2)
        build(replace(PLAN, data=pictures, layers=("relu1",)), tmp_path / "atlas")
        squares = [PictureSet.open(pictures).square(number, 32) for number in (0, 2)]
        (found,) = pushes(Encoder(), ["small:relu1"], torch.cat(squares)).values()
        swing = Responses.load(tmp_path / "atlas" / RESPONSES)["small:relu1"].deviation
        known = Meanings.load(tmp_path / "atlas" / FILE)
        for channel in range(6):
            expected = {n: v * float(swing[channel]) for n, v in found.strongest_classes(channel, len(CLASSES))}
            told = {push.number: push.amount for push in known.pushes("relu1", channel)}
            assert told == pytest.approx(expected, rel=5e-3)

    def test_without_pictures_nothing_is_said_of_what_excites_channels(self, tmp_path):
        build(PLAN, tmp_path / "atlas")
        known = told(tmp_path / "atlas")
        assert known["seen"] == ""
        channel = known["layers"][0]["channels"][0]
        assert set(channel) == {"index", "picture", "pushes"}
        assert not (tmp_path / "atlas" / RESPONSES).exists()

    def test_a_channel_that_no_picture_of_the_set_excites_is_drawn_all_the_same(self, tmp_path):
        network = small_network()
        with torch.no_grad():
            network.conv1.weight[1], network.conv1.bias[1] = 0, -1.0
            network.conv1.weight[1, 0, 1, 1] = 5.0  # a red that is far from black
        register_backbone("small", network, logits="fc", classes=CLASSES)
        (tmp_path / "black").mkdir()
        save(tmp_path / "black/black.png", torch.zeros(1, 3, 32, 32))
        build(replace(PLAN, layers=("relu1",), data=tmp_path / "black"), tmp_path / "atlas")
        channel = told(tmp_path / "atlas")["layers"][0]["channels"][1]
        assert channel["fires"] == 0
        assert "picture" in channel
        assert not {"patches", "pushes", "neighbours"} & set(channel)

    def test_a_channel_that_cannot_be_woken_shows_the_patches_that_excite_it(self, tmp_path, pictures, monkeypatch):
        monkeypatch.setattr("oneira.techniques.visualization.SILENT", float("inf"))
        build(replace(PLAN, layers=("relu1",), data=pictures), tmp_path / "atlas")
        channels = told(tmp_path / "atlas")["layers"][0]["channels"]
        assert all({"patches", "pushes", "neighbours"} < set(channel) for channel in channels)
        assert all("picture" not in channel for channel in channels)

    @pytest.mark.parametrize(("logits", "classes"), [("", CLASSES), ("fc", ())])
    def test_networks_without_known_classes_push_nothing(self, tmp_path, logits, classes):
        register_backbone("small", small_network(), logits=logits, classes=classes)
        build(replace(PLAN, layers=("relu1",)), tmp_path / "atlas")
        known = told(tmp_path / "atlas")
        assert known["classes"] == []
        assert all("pushes" not in channel for channel in known["layers"][0]["channels"])

    def test_a_layer_without_positions_is_shown_with_whole_pictures(self, tmp_path, pictures):
        build(replace(PLAN, layers=("fc",), data=pictures), tmp_path / "atlas")
        (layer,) = told(tmp_path / "atlas")["layers"]
        assert (layer["stride"], layer["field"]) == (None, None)
        assert len(layer["channels"]) == len(CLASSES)
        assert any("patches" in channel for channel in layer["channels"])

    def test_weights_in_a_file_are_those_that_are_drawn(self, tmp_path):
        state = load_weights(find_backbone("pocket")).network.state_dict()
        scrambled = tmp_path / "scrambled.safetensors"
        save_file({name: value.flip(0).half().contiguous() for name, value in state.items()}, scrambled)
        plan = AtlasPlan("pocket", ("relu1_1",), size=32)
        build(plan, tmp_path / "own")
        build(plan, tmp_path / "other", weights={"pocket": scrambled})
        own, other = files(tmp_path / "own"), files(tmp_path / "other")
        drawn = [name for name in own.keys() & other.keys() if name.startswith("pictures/")]
        assert drawn
        assert all(own[name] != other[name] for name in drawn)
        assert json.loads(own[MADE])["settings"]["weights"] != json.loads(other[MADE])["settings"]["weights"]


class TestLayers:
    def test_layers_are_each_taken_once_in_the_order_in_which_they_run(self):
        assert list(replace(PLAN, layers=("relu3", "small:relu1", "relu3")).described()) == [
            "small:relu1",
            "small:relu3",
        ]

    def test_an_alias_means_its_layer(self):
        (named,) = AtlasPlan("inception_v3", ("mixed3",)).described()
        assert named == f"inception_v3:{resolve('inception_v3:mixed3').layer}" != "inception_v3:mixed3"

    def test_none_named_means_every_one_with_positions(self):
        layers = AtlasPlan().described()
        assert {"pocket:relu1_1", "pocket:relu4_3"} < layers.keys()
        assert all(about.stride is not None for about in layers.values())

    @pytest.mark.parametrize(
        ("plan", "error", "hint"),
        [
            (AtlasPlan("vgg18"), AddressError, "'vgg19'"),
            (AtlasPlan("small"), PlanError, "name them"),
            (AtlasPlan("small", ("relu9",)), AddressError, "relu9"),
            (AtlasPlan("small", ("pocket:relu1_1",)), PlanError, "is not of small"),
        ],
    )
    def test_what_is_not_there_is_told_before_anything_is_made(self, tmp_path, plan, error, hint):
        with pytest.raises(error) as raised:
            AtlasBuild(plan, tmp_path / "atlas")
        assert hint in one_line(raised)
        assert not (tmp_path / "atlas").exists()

    def test_a_layer_that_does_not_run_is_told(self, tmp_path):
        network = small_network()
        network.relu3.spare = nn.Conv2d(3, 3, 1)
        register_backbone("small", network)
        with pytest.raises(PlanError, match=r"small:relu3\.spare does not run once"):
            AtlasBuild(replace(PLAN, layers=("relu3.spare",)), tmp_path / "atlas")

    def test_too_few_names_of_classes_are_told_before_anything_is_drawn(self, tmp_path):
        register_backbone("small", small_network(), logits="fc", classes=CLASSES[:3])
        with pytest.raises(PlanError, match="4 logits, and names of 3 classes"):
            build(PLAN, tmp_path / "atlas")
        assert not (tmp_path / "atlas/pictures").exists()


class TestGoingOn:
    @pytest.mark.parametrize(
        "stop", ["watching pictures", "asking what classes hang on", "drawing relu1", "drawing relu3", "writing relu3"]
    )
    def test_stopped_anywhere_it_goes_on_to_the_same_atlas(self, tmp_path, pictures, stop):
        plan = replace(PLAN, data=pictures)
        build(plan, tmp_path / "whole")
        begun = iter(AtlasBuild(plan, tmp_path / "parts"))
        draws = stop.startswith(("drawing", "writing"))
        next(each for each in begun if each.stage == stop and (each.done >= PLAN.batch or not draws))
        begun.close()
        before = files(tmp_path / "parts")
        assert "index.html" not in before
        build(plan, tmp_path / "parts")
        after, whole = files(tmp_path / "parts"), files(tmp_path / "whole")
        assert after.keys() == whole.keys()
        made = [name for name in before if name.startswith("pictures/")]
        assert bool(made) == draws
        assert all(after[name] == before[name] for name in made)
        assert {name for name in whole if after[name] != whole[name]} <= {n for n in whole if n.startswith("pictures/")}

    def test_no_picture_is_looked_at_twice(self, tmp_path, pictures, monkeypatch):
        monkeypatch.setattr("oneira.inspection.remembering.watch", partial(watch, batch=1))
        plan = replace(PLAN, data=pictures)
        begun = iter(AtlasBuild(plan, tmp_path / "atlas"))
        assert [next(begun).done for _ in range(3)] == [1, 2, 3]
        begun.close()
        assert next(iter(AtlasBuild(plan, tmp_path / "atlas"))).done == 4

    def test_what_channels_push_is_asked_once_unless_the_pictures_are_others(self, tmp_path, pictures):
        plan = replace(PLAN, data=pictures, layers=("relu1",))
        asked = []
        for change in (lambda: None, lambda: None, (pictures / "2.png").unlink, (tmp_path / "atlas" / FILE).unlink):
            change()
            asked.append("asking what classes hang on" in {each.stage for each in build(plan, tmp_path / "atlas")})
        assert asked == [True, False, True, True]

    def test_channels_that_never_answer_are_tried_once(self, tmp_path):
        build(PLAN, tmp_path / "atlas")
        assert json.loads((tmp_path / "atlas" / MADE).read_text())["silent"] == {"small:relu3": [DEAD]}
        assert not [each for each in build(PLAN, tmp_path / "atlas") if each.stage.startswith("drawing")]

    def test_what_is_whole_is_not_made_again(self, tmp_path, pictures, monkeypatch):
        plan = replace(PLAN, data=pictures)
        build(plan, tmp_path / "atlas")
        before = files(tmp_path / "atlas")
        monkeypatch.setattr(Visualization, "plan", lambda self: pytest.fail("drawn again"))
        stages = {each.stage for each in build(plan, tmp_path / "atlas")}
        assert stages == {"watching pictures", "writing relu1", "writing relu3"}
        assert files(tmp_path / "atlas") == before

    def test_only_what_is_missing_is_made(self, tmp_path):
        build(PLAN, tmp_path / "atlas")
        before = files(tmp_path / "atlas")
        gone = [name for name in before if name.startswith("pictures/00-") and name.endswith(("/1.avif", "/4.avif"))]
        for name in gone:
            (tmp_path / "atlas" / name).unlink()
        stages = {each.stage for each in build(PLAN, tmp_path / "atlas")}
        assert stages == {"asking what classes hang on", "drawing relu1", "writing relu1", "writing relu3"}
        after = files(tmp_path / "atlas")
        assert after.keys() == before.keys()
        assert {name for name in after if after[name] != before[name]} <= set(gone)

    def test_pictures_may_be_looked_through_later_and_others_instead(self, tmp_path, pictures):
        build(PLAN, tmp_path / "atlas")
        drawn = {name: data for name, data in files(tmp_path / "atlas").items() if name.startswith("pictures/")}
        for count in (3, 2):
            build(replace(PLAN, data=pictures), tmp_path / "atlas")
            assert told(tmp_path / "atlas")["seen"] == f"{count} pictures of pictures"
            (pictures / "2.png").unlink(missing_ok=True)
        after = files(tmp_path / "atlas")
        assert all(after[name] == data for name, data in drawn.items())

    def test_responses_that_are_damaged_or_of_other_layers_are_measured_again(self, tmp_path, pictures):
        plan = replace(PLAN, data=pictures)
        build(plan, tmp_path / "atlas")
        before = files(tmp_path / "atlas")
        build(replace(plan, layers=("relu1",)), tmp_path / "other")
        for wrong in (before[RESPONSES][:100], files(tmp_path / "other")[RESPONSES]):
            (tmp_path / "atlas" / RESPONSES).write_bytes(wrong)
            build(plan, tmp_path / "atlas")
            assert files(tmp_path / "atlas") == before


class TestFolders:
    @pytest.mark.parametrize(
        ("changes", "hint"),
        [
            ({"size": 48}, "size 32, not 48"),
            ({"seed": 3}, "seed 0, not 3"),
            ({"layers": ("relu1",)}, "layers small:relu1, small:relu3, not small:relu1"),
        ],
    )
    def test_another_atlas_is_not_written_over(self, tmp_path, changes, hint):
        next(iter(AtlasBuild(PLAN, tmp_path / "atlas")))
        before = files(tmp_path / "atlas")
        with pytest.raises(PlanError) as raised:
            build(replace(PLAN, **changes), tmp_path / "atlas")
        assert hint in one_line(raised)
        assert files(tmp_path / "atlas") == before

    def test_an_atlas_of_other_weights_is_not_gone_on_with_though_they_are_called_alike(self, tmp_path):
        next(iter(AtlasBuild(PLAN, tmp_path / "atlas")))
        register_backbone("small", small_network(seed=1), logits="fc", classes=CLASSES)
        with pytest.raises(PlanError, match=r"other settings \(weights .*, not .*\): name another folder"):
            build(PLAN, tmp_path / "atlas")

    def test_a_folder_that_holds_something_else_is_left_alone(self, tmp_path):
        (tmp_path / "notes.txt").write_text("mine")
        with pytest.raises(PlanError, match="holds something else than an atlas"):
            build(PLAN, tmp_path)
        assert list(files(tmp_path)) == ["notes.txt"]

    @pytest.mark.parametrize("text", ["", "[]", "{}", '{"settings": {}, "silent": {"a": ["b"]}}', "\udcff"])
    def test_settings_that_are_none_are_told(self, tmp_path, text):
        (tmp_path / MADE).write_bytes(text.encode(errors="surrogateescape"))
        with pytest.raises(PlanError, match="name another folder") as raised:
            build(PLAN, tmp_path)
        one_line(raised)

    def test_a_file_in_place_of_the_folder_is_told(self, tmp_path):
        (tmp_path / "atlas").touch()
        for folder in (tmp_path / "atlas", tmp_path / "atlas/within"):
            with pytest.raises(ImageError) as raised:
                build(PLAN, folder)
            assert "cannot write into" in one_line(raised)

    @pytest.mark.parametrize("name", ["oneira.figures.atlas.making", "oneira.figures.atlas.writing"])
    def test_a_full_disk_is_told(self, tmp_path, monkeypatch, name):
        def full(path, write):
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(f"{name}.write_whole", full)
        with pytest.raises(OneiraError) as raised:
            build(replace(PLAN, layers=("relu1",)), tmp_path / "atlas")
        assert "No space left" in one_line(raised)
        assert not isinstance(raised.value, PlanError)

    @pytest.mark.parametrize("data", ["none", "empty", "none.npz"])
    def test_pictures_that_are_not_there_are_told_before_anything_is_made(self, tmp_path, data):
        (tmp_path / "empty").mkdir()
        with pytest.raises(DataError) as raised:
            AtlasBuild(replace(PLAN, data=tmp_path / data), tmp_path / "atlas")
        assert data in one_line(raised)
        assert not (tmp_path / "atlas").exists()
