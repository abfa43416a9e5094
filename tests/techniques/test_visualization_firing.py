"""What fires here: the place as it is typed, the channels that are drawn for it, and the sheet that shows both."""

import pytest
import torch
from networks import TINY, tiny_network

from oneira import register_backbone
from oneira.errors import PlanError
from oneira.features.encoder import Encoder
from oneira.images import load, resize, save
from oneira.objectives import BoundObjective, Firing, Neuron, Region
from oneira.synthesis.loop import Synthesis
from oneira.techniques import visualization as module
from oneira.techniques.visualization import Visualization

LAYER = f"{TINY}:relu2"
SMALL = {"model": TINY, "layer": "relu2", "size": 16, "steps": 2, "waking": 0, "transforms": "none"}
WIDE, HIGH = 40, 30


@pytest.fixture(scope="module")
def cat(tmp_path_factory):
    """A picture of noise."""
    path = tmp_path_factory.mktemp("pictures") / "cat.png"
    save(path, torch.rand(1, 3, HIGH, WIDE, generator=torch.Generator().manual_seed(3)))
    return str(path)


@pytest.fixture
def firing(cat):
    """With other options; at a point unless they name a box."""

    def configured(**options):
        place = {} if "box" in options else {"point": "12,8"}
        return Visualization.configured(**{**SMALL, "fires": cat, **place, **options})

    return configured


@pytest.fixture
def shown(monkeypatch):
    """What is laid out, instead of a sheet of it: rows of captions, and their labels."""
    seen = {}

    def sheet(rows, *, row_labels=()):
        seen.update(rows=rows, captions=[[cell.caption for cell in row] for row in rows], labels=list(row_labels))
        return torch.zeros(1, 3, 8, 8)

    monkeypatch.setattr(module, "sheet", sheet)
    return seen


def run(technique, most=None):
    synthesis = Synthesis(technique.plan(), precision="float32")
    for step in synthesis:
        if step.done == most:
            break
    return synthesis


def region(technique):
    return technique.subjects()[0].term.look.region


def found(technique, layer=LAYER):
    """What fires, as the captions say it."""
    look = technique.look(technique.fires, technique.layers())
    return [f"{each.channel}: {each.activation:.3g}" for each in look.firing(Encoder(), layer)]


class TestPlace:
    def test_a_pixel_is_where_its_middle_is(self, firing):
        assert region(firing(point="12,8")) == Region(12.5 / WIDE, 8.5 / HIGH, 12.5 / WIDE, 8.5 / HIGH)
        assert region(firing(point="39, 29")).right < 1

    def test_a_box_is_where_its_edges_are(self, firing):
        assert region(firing(box="4,3,20,30")) == Region(4 / WIDE, 3 / HIGH, 20 / WIDE, 1)
        assert region(firing(box="0,0,40,30")) == Region(0, 0, 1, 1)

    def test_shares_are_of_width_and_height(self, firing):
        assert region(firing(point="25%,12.5 %")) == Region(0.25, 0.125, 0.25, 0.125)
        assert region(firing(box="10%,0%,20,100%")) == Region(0.1, 0, 0.5, 1)

    @pytest.mark.parametrize("text", ["", "12", "12,8,3", "x,8", "-1,8", "1.5,8", "12;8", "12,%", "nan,1", "12,8,"])
    def test_what_cannot_be_read_is_told_with_what_can(self, text, firing):
        with pytest.raises(PlanError, match=r"^--point takes X,Y such as 120,80 or 30%,50%; not '") as caught:
            firing(point=text).plan()
        assert "\n" not in str(caught.value)

    @pytest.mark.parametrize("text", ["1,2,3", "1,2,3,4,5", "1,2,3,x", "5,5,5,9", "5,5,9,5", "9,5,5,9", "5,9,9,5"])
    def test_nor_is_a_box_without_an_area(self, text, firing):
        with pytest.raises(PlanError, match=r"^--box takes LEFT,TOP,RIGHT,BOTTOM such as 100,60,180,140 or 0%,"):
            firing(box=text).plan()

    @pytest.mark.parametrize(
        "place",
        [{"point": "40,8"}, {"point": "12,30"}, {"point": "101%,0%"}, {"box": "0,0,41,30"}, {"box": "0,0,9,31"}],
    )
    def test_what_lies_outside_is_told_with_the_size(self, place, firing, cat):
        (option, text), *_ = place.items()
        with pytest.raises(PlanError) as caught:
            firing(**place).plan()
        assert str(caught.value) == f"--{option} {text} lies outside of {cat!r}, which is 40 wide and 30 high"

    @pytest.mark.parametrize(
        ("options", "says"),
        [
            (
                {"point": None},
                "--fires looks at one place, --point X,Y or --box LEFT,TOP,RIGHT,BOTTOM; neither is given",
            ),
            ({"point": "1,2", "box": "1,2,3,4"}, "; both are given"),
            ({"fires": None}, "--point is a matter of --fires, and no picture is given: add --fires PICTURE"),
            ({"fires": None, "point": None, "box": "1,2,3,4"}, "--box is a matter of --fires"),
            ({"fires": None, "point": None, "top": 3}, "--top is a matter of --fires"),
            ({"channels": "3"}, "--fires stands in place of --channels; give one of the two"),
            ({"like": "banana"}, "--fires stands in place of --like; give one of the two"),
            ({"class_": "dog"}, "--fires stands in place of --class; give one of the two"),
            ({"direction": "random"}, "--fires stands in place of --direction; give one of the two"),
            ({"maps": "sample:cat"}, "--fires stands in place of --maps; give one of the two"),
            ({"filters": True}, "--fires stands in place of --filters; give one of the two"),
        ],
    )
    def test_what_does_not_go_together_is_refused_in_one_line(self, options, says, firing):
        with pytest.raises(PlanError) as caught:
            firing(**options)
        assert says in str(caught.value)
        assert "\n" not in str(caught.value)

    def test_a_large_picture_is_seen_smaller(self, tmp_path):
        save(tmp_path / "large.png", torch.rand(1, 3, 64, 1024))
        technique = Visualization.configured(**SMALL, fires=str(tmp_path / "large.png"), point="100,10")
        look = technique.subjects()[0].term.look
        assert torch.equal(look.picture, resize(load(tmp_path / "large.png"), (32, 512)))
        assert look.region == Region(100.5 / 1024, 10.5 / 64, 100.5 / 1024, 10.5 / 64)


class TestSubjects:
    def test_every_layer_has_its_strongest_and_one_look_is_enough(self, firing):
        subjects = firing(layer=("relu1", "relu2"), top=3).subjects()
        assert [(each.row, each.caption) for each in subjects] == [
            (f"{TINY}:{layer}", f"#{rank}") for layer in ("relu1", "relu2") for rank in (1, 2, 3)
        ]
        looks = {each.term.look for each in subjects}
        assert [look.layers for look in looks] == [(f"{TINY}:relu1", LAYER)]

    def test_no_more_are_asked_for_than_there_are(self, cat):
        options = {"layer": "relu1_1", "fires": cat, "point": "12,8"}
        assert len(Visualization.configured(**options, top=1000).subjects()) == 32
        assert len(Visualization.configured(**options).subjects()) == 8

    def test_what_wakes_is_of_the_same_rank(self, firing):
        for subject in firing(top=2).subjects():
            assert isinstance(subject.term, Firing)
            assert subject.waking.layer == subject.term.layer == LAYER
            assert subject.waking.grown == f"{TINY}:conv2"
            assert (subject.waking.rank, subject.waking.look) == (subject.term.rank, subject.term.look)

    def test_one_unit_of_each(self, firing):
        (subject,) = firing(top=1, at="1,2").subjects()
        encoder, image = Encoder(), torch.rand(1, 3, 16, 16)
        channel = subject.term.look.firing(encoder, LAYER)[0].channel
        for term, expected in (
            (subject.term, Neuron(LAYER, channel, 1, 2)),
            (subject.waking, Neuron(f"{TINY}:conv2", channel, 1, 2)),
        ):
            losses = [BoundObjective(each, encoder, (16, 16))(image).total for each in (term, expected)]
            assert losses[0] == losses[1]

    def test_the_pictures_are_those_of_the_channels_when_named(self, firing):
        technique = firing(top=2, waking=2, steps=3)
        numbers = ",".join(caption.partition(":")[0] for caption in found(technique)[:2])
        named = Visualization.configured(**{**SMALL, "waking": 2, "steps": 3}, channels=numbers)
        assert torch.equal(run(technique).image, run(named).image)


class TestSheet:
    def test_channels_come_in_order_with_their_numbers_and_what_they_answered(self, firing, shown):
        technique = firing(layer=("relu2", "relu1"), top=2)
        synthesis = run(technique)
        technique.finished(synthesis)
        assert shown["captions"] == [found(technique)[:2], found(technique, f"{TINY}:relu1")[:2]]
        assert shown["labels"] == ["relu2", "relu1"]
        images = [cell.image for row in shown["rows"] for cell in row]
        assert torch.equal(torch.cat(images), synthesis.image)

    def test_eight_stand_beside_each_other_and_a_single_layer_is_named(self, cat, shown):
        place = {"fires": cat, "point": "12,8", "layer": "relu1_1"}
        technique = Visualization.configured(**{**SMALL, "model": "pocket", "steps": 1, **place, "top": 10})
        technique.finished(run(technique))
        assert [len(row) for row in shown["captions"]] == [8, 2]
        assert shown["labels"] == ["relu1_1", ""]

    def test_where_fewer_fire_it_says_so_and_shows_no_more(self, firing, shown):
        technique = firing(top=6, batch=2)
        expected = found(technique)
        assert 0 < len(expected) < 6
        technique.finished(run(technique))
        assert shown["captions"] == [expected]
        assert shown["labels"] == [f"relu2: {len(expected)} fire"]

    def test_what_fires_but_is_not_woken_is_a_plain_tile_that_says_so(self, firing, shown, monkeypatch):
        monkeypatch.setattr(module, "SILENT", float("inf"))
        technique = firing(top=1)
        technique.finished(run(technique))
        assert shown["captions"] == [[f"{found(technique)[0]} (not woken)"]]
        assert len(shown["rows"][0][0].image.unique()) == 1

    def test_where_nothing_fires_it_is_told_before_anything_is_drawn(self, cat):
        network = tiny_network()
        with torch.no_grad():
            network.conv2.weight.zero_()
            network.conv2.bias.fill_(-1)
        register_backbone("mute", network)
        technique = Visualization.configured(**{**SMALL, "model": "mute"}, fires=cat, point="3,4")
        with pytest.raises(PlanError, match=r"^no channel of mute:relu2 fires there; name another place"):
            next(iter(Synthesis(technique.plan())))

    @pytest.mark.parametrize("place", [{"point": "12,8"}, {"box": "4,3,20,30"}])
    def test_the_picture_with_the_place_marked_stands_above(self, place, firing, cat):
        technique = firing(**place, top=1)
        page, above = technique.finished(run(technique)), technique.marked_picture(cat)
        left = (page.shape[3] - above.shape[3]) // 2
        assert torch.equal(page[..., : above.shape[2], left : left + above.shape[3]], above)
        # It stands in a margin of its sheet, and is 512 pixels wide.
        margin = (above.shape[3] - 512) // 2
        picture = above[..., margin : margin + 384, margin : margin + 512]
        rows, columns = (picture != resize(load(cat), (384, 512))).any(1)[0].nonzero().unbind(1)
        assert 0 < len(rows) < 0.1 * 384 * 512
        there = region(technique)
        assert (columns.min() + columns.max()).item() / 1024 == pytest.approx((there.left + there.right) / 2, abs=0.01)
        assert (rows.min() + rows.max()).item() / 768 == pytest.approx((there.top + there.bottom) / 2, abs=0.01)

    def test_before_the_first_batch_is_done_there_are_the_pictures_so_far(self, firing, shown):
        technique = firing(top=2, steps=4)
        technique.finished(run(technique, most=2))
        assert shown["captions"] == [["", ""]]

    def test_several_of_each_and_the_way_between_two(self, firing, shown):
        technique = firing(top=2, diversity=3)
        technique.finished(run(technique))
        first, second = found(technique)[:2]
        assert shown["captions"] == [[first] * 3 + [second] * 3]
        technique = firing(top=2, interpolate=3)
        technique.finished(run(technique))
        assert shown["captions"] == [["0%", "50%", "100%"]]

    @pytest.mark.parametrize("most", [1, 3, 4])
    def test_resumed_it_ends_in_the_same_sheet(self, most, firing):
        technique = firing(top=3, batch=2)
        whole = technique.finished(run(technique))
        again = Synthesis(technique.plan(), precision="float32")
        again.restore(run(technique, most=most).state())
        for _ in again:
            pass
        assert torch.equal(technique.finished(again), whole)
