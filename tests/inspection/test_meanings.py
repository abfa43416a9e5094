"""What channels are known for: found by words, kept in files, and called by people."""

import hashlib
import json
import math
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from oneira.errors import AddressError, DataError, PlanError
from oneira.features import describe, find_backbone
from oneira.features.weights import locate
from oneira.inspection.labels import Labels, pocket_labels
from oneira.inspection.meanings import DIGITS, TOLD, Meanings, Push, Unit, pocket_meanings
from oneira.inspection.pushes import Pushes
from oneira.inspection.words import matching

CLASSES = ("tabby, tabby cat", "Egyptian cat", "golden retriever", "fly", "dragonfly, darning needle", "school bus")


def known(layers=None):
    found = {
        "relu1": ((Push(0, 0.5), Push(1, 0.2)), (Push(2, 0.9),)),
        "relu2": ((Push(1, 0.6),), (), (Push(2, 0.4), Push(0, 0.1))),
    }
    return Meanings("tiny", "0" * 64, CLASSES, found if layers is None else layers, seen="photos")


def one_line(raised):
    assert "\n" not in str(raised.value)
    return str(raised.value)


class TestWords:
    @pytest.mark.parametrize(
        ("wanted", "found"),
        [
            ("cat", [0, 1]),
            ("CATS", [0, 1]),
            ("retriever", [2]),
            ("Golden  Retrievers", [2]),
            ("fly", [3]),
            ("flies", [3]),
            ("dragonfly", [4]),
            ("needle", [4]),
            ("bus", [5]),
            ("buses", [5]),
            ("school-bus", [5]),
            ("tabby", [0]),
            ("ca", []),
            ("retriever golden", []),
            ("cat golden", []),
            ("", []),
            ("-", []),
        ],
    )
    def test_whole_words_are_found_in_any_case_one_or_many(self, wanted, found):
        assert matching(wanted, [name.split(",") for name in CLASSES]) == found

    def test_what_is_called_so_and_nothing_more_is_preferred(self):
        assert matching("lion", [["mountain lion"], ["lion", "king of beasts"], ["sea lion"]]) == [1]
        assert matching("lions", [["mountain lion"], ["sea lion"]]) == [0, 1]

    @pytest.mark.parametrize(("one", "many"), [("berry", "berries"), ("wolf", "wolves"), ("knife", "knives")])
    def test_plurals_are_found_by_either(self, one, many):
        assert matching(one, [[many]]) == matching(many, [[one]]) == [0]

    @given(st.lists(st.text("abc xyz", min_size=1, max_size=8), min_size=1, max_size=4))
    def test_every_name_finds_itself(self, names):
        for number, name in enumerate(names):
            assert not name.strip() or number in matching(name.upper(), [[each] for each in names])


class TestMeanings:
    def test_channels_are_ranked_by_what_they_push_all_classes_of_the_word_together(self):
        # cats: 0.5 + 0.2 of relu1:0, 0.6 of relu2:0, 0.1 of relu2:2
        assert list(map(str, known().ranked("cat"))) == ["tiny:relu1:0", "tiny:relu2:0", "tiny:relu2:2"]
        assert known().ranked("retriever") == [Unit("tiny:relu1", 1), Unit("tiny:relu2", 2)]

    def test_nothing_is_known_for_what_no_class_is_called_or_no_channel_pushes(self):
        assert known().ranked("banana") == known().ranked("fly") == []

    def test_amounts_are_gains_of_a_usual_swing_the_most_first(self, generator):
        gains = torch.randn(3, 9, generator=generator)
        swings = torch.tensor([2.0, 0.0, 0.5])
        names = tuple(f"class {number}" for number in range(9))
        found = Meanings.of("tiny", "0", names, {"relu1": Pushes(gains, (0, 1, 2), names)}, {"relu1": swings})
        for channel, (row, swing) in enumerate(zip(gains.tolist(), swings.tolist(), strict=True)):
            expected = sorted(((swing * gain, number) for number, gain in enumerate(row) if swing * gain > 0))[::-1]
            told = found.pushes("relu1", channel)
            assert [push.number for push in told] == [number for _, number in expected[:TOLD]]
            assert [push.amount for push in told] == pytest.approx([a for a, _ in expected[:TOLD]], rel=10**-DIGITS * 5)
        assert found.pushes("relu1", 1) == found.pushes("relu2", 0) == ()

    def test_channels_may_be_left_out(self):
        left = known().without({"relu2": {0, 1}})
        assert list(map(str, left.ranked("cat"))) == ["tiny:relu1:0", "tiny:relu2:2"]
        assert left.layers["relu1"] == known().layers["relu1"]

    @pytest.mark.parametrize("push", [Push(6, 1.0), Push(-1, 1.0), Push(0, 0.0), Push(0, math.inf), Push(0, math.nan)])
    def test_what_contradicts_itself_is_told(self, push):
        with pytest.raises(PlanError) as raised:
            known({"relu1": ((push,),)})
        assert f"relu1:0 pushes class {push.number}" in one_line(raised)


class TestFiles:
    def test_what_is_written_is_read_and_the_same_is_written_again(self, tmp_path):
        known().write(tmp_path / "one.json")
        read = Meanings.load(tmp_path / "one.json")
        assert vars(read) == vars(known())
        read.write(tmp_path / "other.json")
        assert (tmp_path / "one.json").read_bytes() == (tmp_path / "other.json").read_bytes()

    def test_it_is_known_again_only_where_all_is_the_same(self, tmp_path):
        same = {
            "model": "tiny",
            "weights": "0" * 64,
            "classes": CLASSES,
            "layers": ("relu1", "relu2"),
            "seen": "photos",
        }
        path = tmp_path / "meanings.json"
        assert Meanings.known(path, **same) is None
        known().write(path)
        assert vars(Meanings.known(path, **same)) == vars(known())
        for name, other in (("model", "vgg"), ("weights", ""), ("classes", ()), ("layers", ("relu1",)), ("seen", "")):
            assert Meanings.known(path, **{**same, name: other}) is None
        path.write_bytes(b"{")
        assert Meanings.known(path, **same) is None

    @pytest.mark.parametrize(
        "changes",
        [
            {"kind": "atlas"},
            {"version": 2},
            {"model": 3},
            {"classes": 3},
            {"classes": [1]},
            {"layers": []},
            {"layers": {"relu1": [[9, 0.5]]}},
            {"layers": {"relu1": [[0.5, 0.5]]}},
            {"layers": {"relu1": [[0]]}},
            {"layers": {"relu1": [[0, -1]]}},
            {"layers": {"relu1": [[0, "x"]]}},
            {"layers": {"relu1": [3]}},
        ],
        ids=str,
    )
    def test_what_is_damaged_is_told(self, tmp_path, changes):
        known().write(tmp_path / "meanings.json")
        told = json.loads((tmp_path / "meanings.json").read_text()) | changes
        with pytest.raises(DataError) as raised:
            Meanings.decode(json.dumps(told).encode(), "'file'")
        assert one_line(raised).startswith("'file' does not tell what channels are known for")

    @pytest.mark.parametrize("data", [b"", b"[]", b"null", b"\xff", b"[" * 100_000])
    def test_what_is_something_else_is_told(self, data):
        with pytest.raises(DataError) as raised:
            Meanings.decode(data, "'file'")
        assert "`oneira atlas` writes such a file" in one_line(raised)

    def test_files_that_are_not_there_are_told(self, tmp_path):
        with pytest.raises(DataError, match=r"meanings\.json"):
            Meanings.load(tmp_path / "meanings.json")
        with pytest.raises(DataError, match="cannot write"):
            known().write(tmp_path / "none/meanings.json")


class TestLabels:
    def test_words_stand_for_channels_in_their_order(self):
        told = b'eyes = ["relu2:3", "relu1:5"]\n"fish scales" = ["pocket:relu4_3:7"]\n"old eyes" = ["relu1:5"]'
        labels = Labels.decode(told, "tiny", "'mine'")
        assert labels.called("Eye") == [Unit("tiny:relu2", 3), Unit("tiny:relu1", 5)]
        assert labels.called("scales") == [Unit("pocket:relu4_3", 7)]
        assert labels.called("nose") == []

    def test_ones_own_come_before_those_of_others(self):
        own, others = (Labels({"eyes": (Unit("tiny:relu1", number), Unit("tiny:relu1", 3))}) for number in (1, 2))
        assert [unit.channel for unit in own.before(others).called("eyes")] == [1, 3, 2]
        assert own.before(Labels({"fur": (Unit("tiny:relu1", 4),)})).called("fur") == [Unit("tiny:relu1", 4)]

    @pytest.mark.parametrize(
        ("told", "error", "hint"),
        [
            ("eyes = ", DataError, "holds no labels"),
            ("eyes", DataError, "write lines such as"),
            ('eyes = "relu1:3"', DataError, "needs a list"),
            ("eyes = []", DataError, "needs a list"),
            ("eyes = [3]", DataError, "is no LAYER:CHANNEL"),
            ('eyes = ["relu1"]', DataError, "is no LAYER:CHANNEL"),
            ('eyes = ["relu1:-3"]', DataError, "is no LAYER:CHANNEL"),
            ('[eyes]\nleft = ["relu1:3"]', DataError, "needs a list"),
            ('eyes = ["relu9:3"]', AddressError, "'mine', label 'eyes': unknown layer 'relu9'"),
            ('eyes = ["pocket:relu1_1:32"]', AddressError, "channels 0 to 31, not 32"),
        ],
    )
    def test_what_is_none_is_told(self, told, error, hint):
        with pytest.raises(error) as raised:
            Labels.decode(told.encode(), "tiny", "'mine'")
        assert hint in one_line(raised)
        assert "'mine'" in str(raised.value)


class TestShipped:
    def test_what_is_known_of_the_embedded_network_was_found_out_with_the_weights_that_come_with_it(self):
        weights = locate(find_backbone("pocket")).path
        assert pocket_meanings().weights == hashlib.sha256(Path(weights).read_bytes()).hexdigest()
        assert pocket_meanings().classes == find_backbone("pocket").classes()

    def test_it_tells_of_every_channel_that_is_there(self):
        channels = {name: each.channels for each in describe(find_backbone("pocket")) for name in (each.layer,)}
        for layer, known_of in pocket_meanings().layers.items():
            assert len(known_of) == channels[layer]

    def test_every_class_has_channels(self):
        known_of = [channel for channels in pocket_meanings().layers.values() for channel in channels]
        assert {push.number for channel in known_of for push in channel} == set(range(200))
        assert all(pocket_meanings().ranked(name.partition(",")[0]) for name in pocket_meanings().classes)

    def test_labels_name_channels_that_are_there(self):
        assert Unit("pocket:relu4_3", 185) in pocket_labels().called("eyes")
