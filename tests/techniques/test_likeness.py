"""`--like`: channels by what they are known for, in dreams and in what channels want to see."""

import json

import pytest
import torch
from networks import TINY

from oneira.errors import AddressError, DataError, OneiraError, PlanError, RecipeError
from oneira.features import Encoder
from oneira.images import Recipe, check_inputs, resize, save
from oneira.inspection.meanings import FILE, Meanings, Push
from oneira.objectives import Channel
from oneira.objectives import Dream as DreamTerm
from oneira.objectives.term import as_sum
from oneira.techniques import Dream, Visualization
from oneira.techniques.beginning import begin
from oneira.techniques.likeness import FEW

CLASSES = ("tabby, tabby cat", "golden retriever")
LABELS = f'eyes = ["relu3:5", "relu1:2"]\ncat = ["relu2:1"]\nbark = ["pocket:relu4_3:7"]\nfur = {["relu2:3"] * 9}'


@pytest.fixture
def files(tmp_path, monkeypatch, image):
    """In a folder of its own: a picture, the atlas of `tiny`, and labels."""
    monkeypatch.chdir(tmp_path)
    save("cat.png", image)
    (tmp_path / "atlas").mkdir()
    layers = {
        "relu1": ((Push(0, 0.1),), (Push(1, 0.9),), *((),) * 4),
        "relu3": tuple((Push(0, 0.5 + number),) for number in range(6)),
    }
    Meanings(TINY, "", CLASSES, layers).write(tmp_path / "atlas" / FILE)
    (tmp_path / "mine.toml").write_text(LABELS)
    return tmp_path


@pytest.fixture
def likes(files):
    """What a dream with other options is about: `layer:channel`, without the network."""

    def found(*words, labels=None, atlas="atlas", layer=(), **options):
        dream = Dream.configured(image="cat.png", model=TINY, like=words, labels=labels, atlas=atlas, **options)
        return [str(unit).removeprefix(f"{TINY}:") for unit in dream.likes([dream.address(name) for name in layer])]

    return found


def small(**options):
    return Dream.configured(image="cat.png", model=TINY, size=20, octaves=1, steps=(1,), **options)


def one_line(raised):
    assert "\n" not in str(raised.value)
    return str(raised.value)


class TestFinding:
    def test_those_that_push_a_class_most_come_first_as_many_as_are_wanted(self, likes):
        assert likes("cats", like_count=3) == ["relu3:5", "relu3:4", "relu3:3"]
        assert likes("cats") == likes("cats", like_count=FEW)
        assert len(likes("cats", like_count=99)) == 7

    def test_labels_come_before_what_channels_push(self, likes):
        assert likes("cat", labels="mine.toml", like_count=2) == ["relu2:1", "relu3:5"]
        assert likes("cat", labels="mine.toml")[0] == "relu2:1"
        assert likes("eye", labels="mine.toml") == ["relu3:5", "relu1:2"]

    def test_all_of_a_label_are_taken_unless_fewer_are_wanted(self, files, likes):
        many = ", ".join(f'"relu{1 + number // 6}:{number % 6}"' for number in range(FEW + 3))
        (files / "many.toml").write_text(f"eyes = [{many}]")
        assert len(likes("eyes", labels="many.toml")) == FEW + 3
        assert likes("eyes", labels="many.toml", like_count=2) == ["relu1:0", "relu1:1"]

    def test_several_words_are_all_found_and_no_channel_twice(self, likes):
        found = likes("retriever", "eyes", "cat", labels="mine.toml", like_count=2)
        assert found == ["relu1:1", "relu3:5", "relu1:2", "relu2:1"]

    def test_only_layers_that_are_named_count(self, likes):
        assert likes("cat", layer=["relu1"]) == ["relu1:0"]
        assert likes("eyes", labels="mine.toml", layer=["relu1"]) == ["relu1:2"]

    def test_labels_may_be_of_other_networks_and_need_no_atlas(self, likes):
        assert likes("bark", labels="mine.toml", atlas=None) == ["pocket:relu4_3:7"]

    def test_the_embedded_network_is_known_without_files(self):
        dream = Dream.configured(like=("banana", "eyes"), like_count=1, start="white")
        (banana, eyes) = dream.likes()
        assert banana.layer.startswith("pocket:")
        assert str(eyes) == "pocket:relu4_3:185"

    @pytest.mark.parametrize(
        ("words", "options", "error", "hint"),
        [
            (["retreiver"], {}, AddressError, "did you mean 'golden retriever'?"),
            (["eyed"], {"labels": "mine.toml"}, AddressError, "did you mean 'eyes'?"),
            (["nose"], {}, AddressError, "the names of its 2 classes"),
            (["nose"], {"labels": "mine.toml"}, AddressError, "the labels: eyes, cat, bark, fur"),
            (["cat"], {"layer": ["relu2"]}, AddressError, "no channel of tiny:relu2 is known for 'cat'"),
            (["cat"], {"atlas": None}, PlanError, "`oneira atlas tiny`"),
            (["cat"], {"atlas": "other"}, DataError, "cannot read the atlas"),
            (["cat"], {"atlas": "cat.json"}, DataError, "cannot read the atlas"),
            (["cat"], {"labels": "other.toml"}, DataError, "cannot read the labels"),
            (["cat"], {"labels": "cat.png"}, DataError, "holds no labels"),
        ],
    )
    def test_what_is_not_there_is_told(self, likes, words, options, error, hint):
        with pytest.raises(error) as raised:
            likes(*words, **options)
        assert hint in one_line(raised)

    def test_an_atlas_of_another_network_is_told(self, files):
        with pytest.raises(PlanError, match="is of tiny, not of pocket: give --model tiny"):
            Dream.configured(image="cat.png", like="cat", atlas="atlas").plan()


class TestDreams:
    def test_every_channel_counts_alike_whatever_its_layer(self, files, image):
        plan = small(like="eyes", labels="mine.toml").plan()
        other = small(like=("cat", "eyes"), labels="mine.toml", like_count=3, atlas="atlas").plan()
        assert [(weight, term.layers, term.channels.numbers) for weight, term in as_sum(plan.objective).parts] == [
            (0.5, "tiny:relu3", [5]),
            (0.5, "tiny:relu1", [2]),
        ]
        weights = {term.layers: weight for weight, term in as_sum(other.objective).parts}
        assert weights == pytest.approx({"tiny:relu2": 1 / 4, "tiny:relu3": 2 / 4, "tiny:relu1": 1 / 4})
        assert all(isinstance(term, DreamTerm) for _, term in as_sum(other.objective).parts)

    def test_what_is_liked_grows(self, files, image):
        run = begin(small(like="eyes", labels="mine.toml", loss="mean").plan(), seed=0)
        for _ in run:
            pass
        assert run.image.shape[3] == 20
        before, after = (
            [features[:, 5].mean() for features in Encoder()(picture, ["tiny:relu3"]).values()]
            for picture in (resize(image, run.image.shape[2:]), run.image)
        )
        assert after > before

    def test_a_class_may_be_wished_for_beside_it(self, files):
        plan = Dream.configured(image="cat.png", size=32, like="eyes", class_="banana", layer="relu4_3").plan()
        names = [type(term).__name__ for _, term in as_sum(plan.objective).parts]
        assert names.count("ClassLogit") == 1
        assert names.count("Dream") == 1

    @pytest.mark.parametrize(
        ("options", "hint"),
        [
            ({"channels": "3"}, "leave out --channels"),
            ({"direction": "3:1"}, "leave out --direction"),
            ({"at": "middle"}, "leave out --at"),
            ({"layer": "relu1", "layer_weight": (2.0,)}, "leave out --layer-weight"),
            ({"through": "relu1..relu3"}, "--through leads from one to another"),
        ],
    )
    def test_what_also_chooses_channels_is_refused(self, options, hint):
        with pytest.raises(PlanError) as raised:
            Dream.configured(like="eyes", model=TINY, labels="mine.toml", **options)
        assert hint in one_line(raised)

    @pytest.mark.parametrize("options", [{"like_count": 3}, {"labels": "mine.toml"}, {"atlas": "atlas"}])
    def test_what_belongs_to_it_is_refused_without_it(self, options):
        for technique in (Dream, Visualization):
            with pytest.raises(PlanError) as raised:
                technique.configured(**options)
            assert "belongs to --like" in one_line(raised)


class TestRecipes:
    def test_files_are_recorded_and_read_again(self, files):
        made = small(like=("cat", "eyes"), like_count=2, labels="mine.toml", atlas="atlas")
        run = begin(made.plan(), seed=0)
        recipe = Recipe.from_json(made.recipe(run).to_json())
        assert {name: file.path for name, file in recipe.inputs.items()} == {
            "image": "cat.png",
            "labels": "mine.toml",
            "atlas": f"atlas/{FILE}",
        }
        check_inputs(recipe)
        again = Dream.from_recipe(recipe)
        assert again.model_dump() == made.model_dump()
        assert again.likes() == made.likes()

    def test_a_file_that_was_changed_is_told(self, files):
        made = small(like="eyes", labels="mine.toml")
        recipe = made.recipe(begin(made.plan(), seed=0))
        (files / "mine.toml").write_text('eyes = ["relu1:1"]')
        with pytest.raises(RecipeError, match="'labels', is another file"):
            check_inputs(recipe)

    def test_a_recipe_without_files_has_none(self, files):
        made = small(layer="relu1")
        assert set(made.recipe(begin(made.plan(), seed=0)).inputs) == {"image"}

    def test_a_file_without_its_hash_is_refused(self, files):
        made = small(like="eyes", labels="mine.toml")
        told = json.loads(made.recipe(begin(made.plan(), seed=0)).to_json())
        told["options"]["labels"] = told["inputs"].pop("labels")["path"]
        with pytest.raises(OneiraError, match="LABELS without a hash"):
            Dream.from_recipe(Recipe.model_validate(told))


class TestWhatChannelsWant:
    def test_each_is_seen_in_its_layer(self, files):
        files = {"labels": "mine.toml", "atlas": "atlas"}
        seen = Visualization.configured(like=("cat", "eyes"), like_count=2, model=TINY, **files)
        found = [(subject.row, subject.caption) for subject in seen.subjects()]
        assert found == [("tiny:relu2", "1"), ("tiny:relu3", "5"), ("tiny:relu1", "2")]
        assert all(isinstance(subject.term, Channel) for subject in seen.subjects())

    def test_only_layers_that_are_named_count(self):
        rows = {each.row for each in Visualization.configured(like="banana", layer="relu4_3").subjects()}
        assert rows == {"pocket:relu4_3"}
        everywhere = Visualization.configured(like="banana").subjects()
        named = Visualization.configured(like="banana", layer="all").subjects()
        assert [each.row for each in everywhere] == [each.row for each in named]
        assert len({each.row for each in everywhere}) > 1

    def test_silent_ones_are_woken_before_their_relu(self):
        for subject in Visualization.configured(like="banana").subjects():
            assert subject.waking.layer == subject.row.replace("relu", "conv")
            assert subject.waking.channels == subject.term.channels

    def test_a_class_may_stand_beside_it(self):
        rows = [each.row for each in Visualization.configured(like="eyes", class_="banana").subjects()]
        assert rows[0] == "classes"
        assert "pocket:relu4_3" in rows

    @pytest.mark.parametrize(
        "options",
        [{"channels": "3"}, {"direction": "3:1"}, {"maps": "cat.png"}, {"filters": True}],
        ids=lambda options: next(iter(options)),
    )
    def test_what_also_says_what_is_seen_is_refused(self, options):
        with pytest.raises(PlanError) as raised:
            Visualization.configured(like="eyes", **options)
        assert f"leave out --{next(iter(options))}" in one_line(raised)


def test_pictures_are_the_same_for_the_same_words(files):
    one, other = (small(like="eyes", labels="mine.toml").run(seed=3) for _ in range(2))
    assert torch.equal(one, other)
