"""How a picture was made, and made again; recipes that somebody else wrote."""

import json

import pytest
import torch
from noise_pictures import noise

from oneira.images import Picture, Recipe, load, read_recipe, save


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
