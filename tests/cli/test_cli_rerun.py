"""How a picture was made, and made again; recipes that somebody else wrote."""

import hashlib
import json

import numpy as np
import pytest
import torch
from noise_pictures import noise
from safetensors.torch import save_file

from oneira.features.backbones.pocket import pocket
from oneira.figures import sanity
from oneira.images import Picture, Recipe, load, read_recipe, save
from oneira.inspection.picture_set import PictureSet


@pytest.fixture
def dreamt(oneira, dream, folder):
    """A dream with its recipe, `dream.png`."""
    assert oneira(*dream, "-o", "dream.png", "--seed", 3, "--save-every", 0).status == 0
    return folder / "dream.png"


def with_recipe(path, **changes):
    """The picture in `path` with another recipe; options are merged."""
    recipe = read_recipe(path)
    options = {**recipe.options, **changes.pop("options", {})}
    save(path, load(path), recipe=recipe.model_copy(update={"options": options, **changes}))


class TestRecipe:
    def test_it_is_printed_as_json(self, oneira, dreamt):
        ended = oneira("recipe", dreamt)
        assert ended.status == 0
        assert Recipe.from_json(ended.out) == read_recipe(dreamt)

    def test_presets_are_recorded_by_what_they_mean(self, oneira, picture):
        words = ["--layer", "tiny:relu1", "--octaves", 1, "--steps", 1]
        assert oneira("dream", picture, "--preset", "google", *words, "-o", "a.png").status == 0
        options = json.loads(oneira("recipe", "a.png").out)["options"]
        assert options["step"] == pytest.approx(1.5 / 255)
        assert options["steps"] == [1]


class TestRerun:
    @pytest.mark.parametrize("name", ["out.png", "out.webp", "out.jpg", "out.bmp"])
    def test_the_same_bytes(self, name, oneira, dream, folder):
        assert oneira(*dream, "-o", name, "--seed", 5).status == 0
        ended = oneira("rerun", name)
        assert ended.status == 0
        again = folder / name.replace("out", "out-rerun")
        assert again.read_bytes() == (folder / name).read_bytes()
        assert ended.lines == [line for line in ended.lines if line.startswith("wrote")]

    def test_a_style_with_noise_and_samples_with_the_embedded_network(self, oneira, folder):
        words = ["--size", 40, "--smallest", 40, "--steps", 3, "--start", "pink-noise", "--style-layer", "relu2_1"]
        assert oneira("style", "sample:cat", "sample:night_wind", *words, "-o", "a.png", "--seed", 2).status == 0
        assert oneira("rerun", "a.png", "-o", "b.png").status == 0
        assert (folder / "a.png").read_bytes() == (folder / "b.png").read_bytes()

    def test_after_a_rescue(self, oneira, happening, folder):
        # The recipe holds the precision that was asked for; the rerun meets the same loss, and is rescued again.
        command = happening(lambda features: features * float("nan"), 3)
        assert oneira(*command, "-o", "a.png", "--precision", "bfloat16").status == 0
        happening(lambda features: features * float("nan"), 3)
        assert oneira("rerun", "a.png", "-o", "b.png").status == 0
        assert (folder / "a.png").read_bytes() == (folder / "b.png").read_bytes()

    def test_it_has_a_name_of_its_own_beside_the_picture(self, oneira, dreamt, folder, monkeypatch):
        (folder / "elsewhere").mkdir()
        monkeypatch.chdir(folder / "elsewhere")
        for _ in range(2):
            assert oneira("rerun", dreamt).status == 0
        assert {"dream-rerun.png", "dream-rerun-2.png"} <= {path.name for path in folder.iterdir()}

    def test_neither_picture_nor_input_is_written_over(self, oneira, dreamt):
        for name in ("dream.png", "cat.png"):
            ended = oneira("rerun", "dream.png", "-o", name)
            assert ended.status == 2
            assert "is the input" in ended.lines[0]

    def test_device_and_precision_may_be_others_than_the_recipes(self, oneira, dreamt):
        with_recipe(dreamt, device="cuda", precision="bfloat16")
        ended = oneira("rerun", dreamt)
        assert ended.status == 1 or torch.cuda.is_available()
        assert oneira("rerun", dreamt, "-o", "b.png", "--device", "cpu", "--precision", "float32").status == 0
        assert read_recipe("b.png").precision == "float32"

    def test_there_is_no_seed_to_choose(self, oneira, dreamt):
        assert oneira("rerun", dreamt, "--seed", 1).status == 2
        assert "--seed" not in oneira("rerun", "--help").out


class TestWhatHasChanged:
    def test_an_input_that_is_another_file(self, oneira, dreamt, folder):
        noise(folder / "cat.png", seed=9)
        ended = oneira("rerun", dreamt)
        assert ended.status == 1
        assert "is another file than when the picture was made" in ended.lines[0]

    def test_an_input_that_is_gone(self, oneira, dreamt, folder):
        (folder / "cat.png").unlink()
        ended = oneira("rerun", dreamt)
        assert ended.status == 1
        assert "no picture" in ended.lines[0]

    def test_weights_are_noted(self, oneira, picture, scrambled_pocket):
        words = ["dream", picture, "--layer", "relu1_2", "--octaves", 1, "--steps", 1]
        assert oneira(*words, "-o", "a.png").status == 0
        ended = oneira("rerun", "a.png", "--weights", scrambled_pocket)
        assert ended.status == 0
        assert ended.lines[0].startswith("note: the weights of pocket are others than the recipe's (SHA-256 ")

    def test_versions_are_noted(self, oneira, dreamt):
        versions = read_recipe(dreamt).versions
        with_recipe(dreamt, versions={**versions, "torch": "1.0.0", "something": "else"})
        ended = oneira("rerun", dreamt)
        assert ended.status == 0
        assert ended.lines[0] == f"note: made with torch 1.0.0 ({versions['torch']} here): the bytes may differ"

    def test_more_threads_than_there_are_is_noted_and_not_tried(self, oneira, dreamt):
        with_recipe(dreamt, threads=65_536)
        ended = oneira("rerun", dreamt)
        assert ended.status == 0
        assert "begun with 65536 threads" in ended.lines[0]
        assert torch.get_num_threads() == 1


class TestHostileRecipes:
    @pytest.mark.parametrize(
        ("changes", "hint"),
        [
            ({"technique": "sculpture"}, "which is no verb"),
            ({"technique": "dreams"}, "did you mean 'dream'"),
            ({"technique": None}, "a program of somebody's own"),
            ({"technique": "style"}, "does not fit"),
            ({"options": {"steps": 10**9}}, "--steps cannot be 1000000000; allowed: at least 1 and at most 100000"),
            ({"options": {"steps": "many"}}, "--steps"),
            ({"options": {"stepz": 3}}, "dream has no option --stepz; did you mean 'step"),
            ({"options": {"x\x1b[2J\n": 3}}, "dream has no option"),
            ({"options": {"model": "/etc/passwd"}}, "unknown backbone '/etc/passwd'"),
            ({"options": {"layer": ["tiny:relu9"]}}, "cannot be followed: unknown layer"),
            ({"options": {"image": "secret.png"}}, "names IMAGE without a hash"),
            ({"inputs": {}}, "dream needs IMAGE"),
            ({"precision": "float8"}, "--precision cannot be 'float8'"),
            ({"device": "cpu:99:1"}, "no device"),
        ],
        ids=str,
    )
    def test_they_are_refused_in_one_line(self, changes, hint, oneira, dreamt, folder):
        noise(folder / "secret.png")
        with_recipe(dreamt, **changes)
        before = sorted(folder.iterdir())
        ended = oneira("rerun", dreamt)
        assert ended.status == 1
        assert len(ended.lines) == 1
        assert hint in ended.lines[0]
        assert ended.lines[0].isprintable()
        assert sorted(folder.iterdir()) == before

    def test_a_path_needs_the_hash_of_what_is_there(self, oneira, dreamt, folder):
        noise(folder / "secret.png", seed=7)
        entry = read_recipe(dreamt).inputs["image"]
        for changed in ({"image": entry.model_copy(update={"path": "secret.png"})}, {"image": entry, "weights": entry}):
            with_recipe(dreamt, inputs=changed)
            assert oneira("rerun", dreamt).status == 1
        true = entry.model_copy(update={"path": "secret.png", "sha256": Picture.open("secret.png").sha256})
        with_recipe(dreamt, inputs={"image": true})
        assert oneira("rerun", dreamt).status == 0


class TestFigures:
    @pytest.fixture(autouse=True)
    def _inputs(self, folder):
        """Pictures in a folder and in a file, and weights of two small networks of the embedded one's shape."""
        (folder / "photos").mkdir()
        for number in range(3):
            noise(folder / f"photos/{number}.png", 32, 32, seed=number)
        packed = [(folder / f"photos/{number}.png").read_bytes() for number in range(3)]
        ends = np.cumsum([0, *map(len, packed)])
        np.savez("photos.npz", jpeg=np.frombuffer(b"".join(packed), np.uint8), offset=ends, label=np.zeros(3, np.int64))
        for number in range(2):
            torch.manual_seed(number)
            save_file(pocket(widths=(4, 4, 4, 4, 4)).state_dict(), folder / f"{number}.safetensors")

    FIGURES = (
        "compare tiny tiny --data photos --size 32",
        "compare tiny 0.safetensors --data photos.npz --size 32",
        "compare pocket tiny --weights 1.safetensors --data photos --size 32",
        "evolution --checkpoints 0.safetensors 1.safetensors --data photos --size 32 --layer relu1_2 --seed 3",
        "sanity photos/1.png --model tiny --layer relu3 --behind relu1 --samples 2 --size 32 --seed 4",
        "sanity --class 3 --behind relu2_1 --samples 0 --size 32",
    )

    @pytest.mark.parametrize("command", FIGURES)
    def test_the_same_bytes_and_the_same_numbers(self, command, oneira, folder):
        assert oneira("figure", *command.split(), "-o", "a.png", "--csv", "a.csv").status == 0
        assert Recipe.from_json(oneira("recipe", "a.png").out).technique == f"figure:{command.split()[0]}"
        ended = oneira("rerun", "a.png", "--csv", "b.csv")
        assert ended.status == 0, ended.err
        assert ended.lines == [line for line in ended.lines if line.startswith("wrote a-rerun.png")]
        assert (folder / "a-rerun.png").read_bytes() == (folder / "a.png").read_bytes()
        assert (folder / "a.csv").read_bytes() == (folder / "b.csv").read_bytes()

    def made(self, oneira, number, *more):
        assert oneira("figure", *self.FIGURES[number].split(), "-o", "a.png", *more).status == 0
        return read_recipe("a.png")

    def sha256(self, path):
        return hashlib.sha256(path.read_bytes()).hexdigest()

    def test_what_is_recorded_is_what_was_looked_at(self, oneira, folder):
        photos = PictureSet.open(folder / "photos").identity
        evolution = self.made(oneira, 3)
        assert evolution.inputs["data"].sha256 == photos
        assert [file.path for file in evolution.inputs["checkpoints"]] == ["0.safetensors", "1.safetensors"]
        assert [file.sha256 for file in evolution.inputs["checkpoints"]] == [
            self.sha256(folder / f"{number}.safetensors") for number in range(2)
        ]
        assert set(evolution.inputs) == {"data", "checkpoints"}
        assert (evolution.seed, evolution.precision, evolution.device, evolution.weights) == (3, "float32", "cpu", {})
        assert evolution.options["layer"] == ["relu1_2"]
        asked = self.made(oneira, 4)
        assert (asked.inputs["picture"].path, set(asked.inputs)) == ("photos/1.png", {"picture"})
        assert asked.inputs["picture"].sha256 == Picture.open("photos/1.png").sha256
        assert self.made(oneira, 1).inputs["data"].sha256 == self.sha256(folder / "photos.npz")

    def test_weights_are_told_by_their_files_or_by_the_networks_that_have_usual_ones(self, oneira, folder):
        weights = [self.sha256(folder / f"{number}.safetensors") for number in range(2)]
        named = self.made(oneira, 1)
        assert [(file.path, file.sha256) for file in named.inputs["weights"]] == [("0.safetensors", weights[0])]
        assert named.options["b"] == "0.safetensors"
        assert "weights" not in named.options
        instead = self.made(oneira, 2)
        assert [(file.path, file.sha256) for file in instead.inputs["weights"]] == [("1.safetensors", weights[1])]
        assert instead.options["weights"] == ["pocket=1.safetensors"]
        assert (named.weights, instead.weights) == ({}, {})
        usual = self.made(oneira, 5)
        assert usual.weights == {"pocket": read_recipe("a.png").weights["pocket"]}
        assert "weights" not in usual.inputs

    CHANGES = (
        (0, lambda folder: noise(folder / "photos/3.png"), "'photos', input 'data', holds other pictures than when"),
        (0, lambda folder: noise(folder / "photos/1.png", 9, 9), "'photos', input 'data', holds other pictures than"),
        (1, lambda folder: (folder / "photos.npz").write_bytes(b"other"), "'photos.npz', input 'data', is another"),
        (1, lambda folder: (folder / "0.safetensors").write_bytes(b"other"), "'0.safetensors', input 'weights', is an"),
        (2, lambda folder: (folder / "1.safetensors").unlink(), "'1.safetensors'"),
        (3, lambda folder: (folder / "1.safetensors").write_bytes(b"other"), "input 'checkpoints', is another file"),
        (4, lambda folder: noise(folder / "photos/1.png", seed=9), "'photos/1.png', input 'picture', is another file"),
    )

    @pytest.mark.parametrize(("number", "change", "says"), CHANGES)
    def test_changed_inputs_are_refused(self, number, change, says, oneira, folder):
        self.made(oneira, number)
        change(folder)
        ended = oneira("rerun", "a.png", "-o", "b.png")
        assert (ended.status, len(ended.lines)) == (1, 1)
        assert says in ended.lines[0]
        assert not (folder / "b.png").exists()

    def test_the_seed_is_the_recipes(self, oneira, folder):
        self.made(oneira, 4)
        assert oneira("rerun", "a.png", "-o", "b.png").status == 0
        with_recipe(folder / "a.png", seed=5)
        assert oneira("rerun", "a.png", "-o", "c.png").status == 0
        assert not torch.equal(load("b.png"), load("c.png"))

    def test_other_weights_are_noted_and_taken(self, oneira, folder):
        recipe = self.made(oneira, 5)
        ended = oneira("rerun", "a.png", "-o", "b.png", "--weights", "1.safetensors")
        assert (ended.status, len(ended.lines)) == (0, 2)
        assert ended.lines[0].startswith(
            "note: the weights of pocket are others than the recipe's "
            f"(SHA-256 {self.sha256(folder / '1.safetensors')[:8]}..., not {recipe.weights['pocket'][:8]}...)"
        )
        assert read_recipe("b.png").options["weights"] == ["pocket=1.safetensors"]
        assert oneira("rerun", "b.png", "-o", "c.png").status == 0
        assert (folder / "b.png").read_bytes() == (folder / "c.png").read_bytes()

    def test_a_network_that_an_option_names_by_its_file_is_none_of_the_usual_ones(self, oneira, folder):
        command = "compare pocket 0.safetensors --data photos --size 32"
        assert oneira("figure", *command.split(), "-o", "a.png").status == 0
        assert len(oneira("rerun", "a.png").lines) == 1  # no note of weights that are not pocket's

    def test_device_and_precision_may_be_others(self, oneira, folder):
        self.made(oneira, 4)
        with_recipe(folder / "a.png", device="cuda", precision="bfloat16")
        assert oneira("rerun", "a.png", "-o", "b.png", "--device", "cpu", "--precision", "float32").status == 0
        assert read_recipe("b.png").precision == "float32"

    @pytest.mark.parametrize("words", ["--stages x", "--resume", "--json", "--depth 16", "--max-memory 2GB"])
    def test_what_only_runs_have_is_refused(self, words, oneira, folder):
        self.made(oneira, 4)
        ended = oneira("rerun", "a.png", *words.split())
        assert (ended.status, ended.lines) == (2, [f"oneira: a figure has no {words.split()[0]}: leave it out"])

    def test_none_of_its_inputs_is_written_over(self, oneira, folder):
        self.made(oneira, 4)
        for name in ("a.png", "photos/1.png"):
            ended = oneira("rerun", "a.png", "-o", name)
            assert ended.status == 2
            assert "is the input" in ended.lines[0]

    HOSTILE = (
        (0, {"technique": "figure:compar"}, "did you mean 'figure:compare'"),
        (0, {"technique": "figure:evolution"}, "does not fit figure evolution"),
        (0, {"technique": "dream"}, "does not fit dream"),
        (0, {"options": {"a": "1.safetensors"}}, "names '1.safetensors' without a hash"),
        (0, {"options": {"weights": ["vgg19=1.safetensors"]}}, "cannot be followed: --weights name a file for vgg19"),
        (0, {"options": {"weights": ["tiny=1.safetensors"]}}, "names '1.safetensors' without a hash"),
        (2, {"options": {"weights": ["pocket=0.safetensors"]}}, "names '0.safetensors' without a hash"),
        (2, {"options": {"weights": "1.safetensors"}}, "--weights"),
        (2, {"options": {"weights": ["pocket"]}}, "cannot be followed: --weights 'pocket' names no file"),
        (1, {"inputs": {}}, "names '0.safetensors' without a hash"),
        (0, {"options": {"data": "/"}}, "names DATA without a hash"),
        (0, {"options": {"a": "vgg18"}}, "cannot be followed: unknown backbone 'vgg18'"),
        (0, {"options": {"size": 10**9}}, "--size cannot be 1000000000; allowed: at least 16 and at most 4096"),
        (0, {"options": {"x\x1b[2J\n": 3}}, "figure compare has no option"),
        (4, {"inputs": {}, "options": {"class_": "3"}}, "give one of the two"),
        (4, {"options": {"model": "/etc/passwd"}}, "unknown backbone '/etc/passwd'"),
        (4, {"precision": "float8"}, "--precision cannot be 'float8'"),
    )

    @pytest.mark.parametrize(("number", "changes", "says"), HOSTILE, ids=str)
    def test_hostile_recipes_are_refused_in_one_line(self, number, changes, says, oneira, folder):
        self.made(oneira, number)
        with_recipe(folder / "a.png", **changes)
        before = sorted(folder.iterdir())
        ended = oneira("rerun", "a.png")
        assert (ended.status, len(ended.lines)) == (1, 1)
        assert says in ended.lines[0]
        assert ended.lines[0].isprintable()
        assert sorted(folder.iterdir()) == before

    def test_files_need_the_fields_that_name_them(self, oneira, folder):
        entry = self.made(oneira, 4).inputs["picture"]
        with_recipe(folder / "a.png", inputs={"picture": entry, "brush": entry})
        ended = oneira("rerun", "a.png")
        assert ended.status == 1
        assert "does not fit figure sanity, whose files are picture, weights" in ended.lines[0]

    def test_a_recipe_that_cannot_be_written_is_known_of_before_long(self, oneira, folder, monkeypatch):
        projected = []
        one = sanity.project
        monkeypatch.setattr(sanity, "project", lambda *given: projected.append(given) or one(*given))
        monkeypatch.setattr("oneira.images.recipe.MAX_BYTES", 300)
        ended = oneira("figure", *self.FIGURES[4].split(), "-o", "a.png")
        assert (ended.status, len(ended.lines)) == (1, 1)
        assert "at most 300 are kept" in ended.lines[0]
        assert len(projected) == 1
        assert not (folder / "a.png").exists()
