"""Dreams from the command line that are more than one picture dreamt in: from nothing, confined, and in stages."""

import pytest
import torch
from noise_pictures import noise

from oneira.images import load, read_recipe, save

SHORT = ["--octaves", 1, "--steps", 1]
LAYERS = "tiny:relu1,tiny:relu2,tiny:relu3"


def stages_in(folder):
    return sorted(path.name for path in (folder / "legs").iterdir())


@pytest.fixture
def mask(folder):
    """`mask.png`: white on the left half, where to dream."""
    values = torch.zeros(1, 3, 20, 28)
    values[..., :14] = 1
    save(folder / "mask.png", values)
    return folder / "mask.png"


class TestWithoutAPicture:
    WORDS = ("dream", "--start", "pink-noise", "--class", "banana", "--size", 64, *SHORT)

    def test_a_class_from_noise(self, oneira, folder):
        ended = oneira(*self.WORDS)
        assert ended.status == 0, ended.err
        assert [path.name for path in folder.iterdir()] == ["dream.png"]
        assert load("dream.png").shape == (1, 3, 64, 64)
        assert read_recipe("dream.png").inputs == {}
        assert oneira("rerun", "dream.png").status == 0
        assert (folder / "dream-rerun.png").read_bytes() == (folder / "dream.png").read_bytes()

    def test_the_seed_is_that_of_the_noise(self, oneira):
        for seed in (0, 1):
            assert oneira(*self.WORDS, "--seed", seed, "-o", f"{seed}.png").status == 0
        assert (load("0.png") - load("1.png")).abs().mean() > 0.05

    def test_the_preset_for_classes_needs_none(self, oneira):
        words = ["dream", "--preset", "class", "--class", "goldfish", "--size", 64, *SHORT]
        ended = oneira(*words, "-o", "out.png")
        assert ended.status == 0, ended.err
        options = read_recipe("out.png").options
        assert (options["class_"], options["start"], options["steps"]) == (["goldfish"], "white-noise", [1])


class TestStages:
    def test_every_layer_of_a_way_is_one(self, oneira, picture, folder):
        words = ["dream", picture, *SHORT, "--depth", 16]
        assert oneira(*words, "--through", LAYERS, "--stages", "legs", "-o", "all.png").status == 0
        assert stages_in(folder) == ["0001-tiny-relu1.png", "0002-tiny-relu2.png", "0003-tiny-relu3.png"]
        assert torch.equal(load("legs/0003-tiny-relu3.png"), load("all.png"))
        assert oneira(*words, "--layer", "tiny:relu1", "-o", "one.png").status == 0
        assert torch.equal(load("legs/0001-tiny-relu1.png"), load("one.png"))

    def test_every_frame_of_a_dive_is_one(self, oneira, picture, folder):
        words = ["dream", picture, *SHORT, "--layer", "tiny:relu2", "--depth", 16]
        assert oneira(*words, "--zoom", 1.2, "--frames", 3, "--stages", "legs", "-o", "dive.png").status == 0
        assert stages_in(folder) == ["0001-frame.png", "0002-frame.png", "0003-frame.png"]
        frames = [load(f"legs/{name}") for name in stages_in(folder)]
        assert torch.equal(frames[2], load("dive.png"))
        assert not torch.equal(frames[1], frames[2])
        assert oneira(*words, "-o", "still.png").status == 0
        assert torch.equal(frames[0], load("still.png"))


def test_outside_the_mask_the_file_holds_what_it_held(oneira, dream, mask, folder):
    assert oneira(*dream, "--mask", mask, "-o", "out.png").status == 0
    before, after = load("cat.png"), load("out.png")
    assert torch.equal(after[..., 14:], before[..., 14:])
    assert not torch.equal(after[..., :14], before[..., :14])


@pytest.mark.parametrize("journey", [[], ["--through", LAYERS], ["--zoom", 1.1, "--frames", 3]], ids=str)
def test_with_a_guide_and_a_mask_it_is_made_again_to_the_same_bytes(journey, oneira, dream, mask, folder):
    noise(folder / "guide.png", 32, 24, seed=4)
    ended = oneira(*dream, "--guide", "guide.png", "--mask", mask, *journey, "-o", "a.png", "--seed", 5)
    assert ended.status == 0, ended.err
    assert set(read_recipe("a.png").inputs) == {"image", "guide", "mask"}
    assert oneira("rerun", "a.png", "-o", "b.png").status == 0
    assert (folder / "b.png").read_bytes() == (folder / "a.png").read_bytes()


@pytest.mark.parametrize("name", ["guide.png", "mask.png"])
def test_it_is_not_made_again_with_another_guide_or_mask(name, oneira, dream, mask, folder):
    noise(folder / "guide.png", seed=4)
    assert oneira(*dream, "--guide", "guide.png", "--mask", "mask.png", "-o", "a.png").status == 0
    noise(folder / name, seed=6)
    ended = oneira("rerun", "a.png")
    assert ended.status == 1
    assert f"'{name}', input '{name[:-4]}', is another file" in ended.lines[0]


@pytest.mark.parametrize("name", ["guide.png", "mask.png"])
def test_no_picture_that_goes_in_by_name_is_written_over(name, oneira, dream, mask, folder):
    noise(folder / "guide.png", seed=4)
    before = (folder / name).read_bytes()
    ended = oneira(*dream, "--guide", "guide.png", "--mask", "mask.png", "-o", name)
    assert ended.status == 2
    assert f"is the input '{name}'" in ended.lines[0]
    assert (folder / name).read_bytes() == before


class TestLikeness:
    WORDS = ("dream", "cat.png", "--like", "banana", "--like", "my eyes", "--labels", "mine.toml", "--size", 64, *SHORT)

    @pytest.fixture(autouse=True)
    def labels(self, folder, picture):
        (folder / "mine.toml").write_text('"my eyes" = ["relu3_1:17"]')

    def test_words_stand_for_channels_and_the_recipe_for_the_file(self, oneira, folder):
        ended = oneira(*self.WORDS, "-o", "one.png")
        assert ended.status == 0, ended.err
        assert {path.name for path in folder.iterdir()} == {"cat.png", "mine.toml", "one.png"}
        assert read_recipe("one.png").inputs["labels"].path == "mine.toml"
        assert oneira("rerun", "one.png").status == 0
        assert (folder / "one-rerun.png").read_bytes() == (folder / "one.png").read_bytes()
        (folder / "mine.toml").write_text('"my eyes" = ["relu3_1:18"]')
        ended = oneira("rerun", "one.png")
        assert ended.status == 1
        assert "'labels', is another file" in ended.err

    @pytest.mark.parametrize(
        ("words", "status", "hint"),
        [
            (["--like", "bananna"], 2, "did you mean 'banana'?"),
            (["--like", "banana", "--layer", "fc"], 2, "no channel of pocket:fc is known for 'banana'"),
            (["--like", "banana", "--model", "vgg19"], 2, "give --atlas atlas-vgg19"),
            (["--like", "banana", "--labels", "your.toml"], 1, "your.toml"),
            (["--labels", "mine.toml"], 2, "--labels belongs to --like"),
        ],
    )
    def test_what_cannot_be_is_told_in_one_line(self, oneira, words, status, hint):
        ended = oneira("dream", "cat.png", *words)
        assert ended.status == status
        assert len(ended.lines) == 1
        assert hint in ended.lines[0]
