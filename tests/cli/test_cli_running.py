"""One picture from the command line: what is written where, what is said, and what happens when it is stopped."""

import json
import os
import signal

import pytest
import torch
from noise_pictures import noise

from oneira.cli.run_options import RunOptions
from oneira.files import write_whole
from oneira.images import Picture, load, read_recipe, sidecar_of
from oneira.synthesis import checkpoints
from oneira.synthesis.checkpoints import checkpoint_of, has_checkpoint, load_checkpoint


def pictures_in(folder):
    return sorted(path.name for path in folder.iterdir() if path.is_file())


def send(number, times=1):
    """Something that happens in a step: a signal to this process."""

    def do(features):
        for _ in range(times):
            os.kill(os.getpid(), number)
        return features

    return do


class TestOutput:
    def test_it_goes_where_it_is_told_and_holds_its_recipe(self, oneira, dream, folder):
        ended = oneira(*dream, "-o", "deep.png")
        assert ended.status == 0
        assert ended.out == ""
        assert ended.lines[-1].startswith("wrote deep.png (28x20, ")
        assert pictures_in(folder) == ["cat.png", "deep.png"]
        recipe = read_recipe("deep.png")
        assert recipe.technique == "dream"
        assert recipe.options["steps"] == [4]
        assert recipe.inputs["image"].sha256 == Picture.open("cat.png").sha256

    def test_it_has_a_name_of_its_own_by_default_and_is_put_over_no_other(self, oneira, dream, folder):
        for _ in range(3):
            assert oneira(*dream).status == 0
        assert pictures_in(folder) == ["cat-dream-2.png", "cat-dream-3.png", "cat-dream.png", "cat.png"]

    def test_a_sample_lends_its_name(self, oneira, folder):
        words = ["--layer", "tiny:relu1", "--size", "32", "--octaves", "1", "--steps", "1"]
        assert oneira("dream", "sample:cat", *words).status == 0
        assert pictures_in(folder) == ["cat-dream.png"]
        assert read_recipe("cat-dream.png").inputs["image"].path == "sample:cat"

    def test_a_picture_from_elsewhere_is_made_here(self, oneira, dream, folder, monkeypatch):
        (folder / "here").mkdir()
        monkeypatch.chdir(folder / "here")
        assert oneira(*dream).status == 0
        assert pictures_in(folder / "here") == ["cat-dream.png"]

    @pytest.mark.parametrize("name", ["cat.png", "../{}/cat.png", "link.png", "hard.png"])
    def test_an_input_is_not_written_over(self, name, oneira, dream, folder):
        (folder / "link.png").symlink_to("cat.png")
        (folder / "hard.png").hardlink_to("cat.png")
        before = (folder / "cat.png").read_bytes()
        ended = oneira(*dream, "-o", name.format(folder.name))
        assert ended.status == 2
        assert "is the input" in ended.lines[0]
        assert (folder / "cat.png").read_bytes() == before

    def test_neither_is_the_second_input(self, oneira, picture, painting):
        ended = oneira("style", picture, painting, "-o", painting)
        assert ended.status == 2
        assert "painting.png" in ended.lines[0]

    def test_transparency_is_that_of_the_input(self, oneira, dream, folder):
        noise(folder / "glass.png", channels=4)
        dream[1] = "glass.png"
        assert oneira(*dream, "-o", "out.png").status == 0
        assert torch.equal(Picture.open("out.png").alpha, Picture.open("glass.png").alpha)

    def test_names_that_are_no_utf8(self, oneira, dream, folder):
        strange = os.fsdecode(b"\xffcat.png")
        (folder / "cat.png").rename(folder / strange)
        dream[1] = strange
        ended = oneira(*dream)
        assert ended.status == 0, ended.err
        assert (folder / os.fsdecode(b"\xffcat-dream.png")).exists()

    def test_what_reading_a_picture_has_to_say_is_noted_once(self, oneira, dream, folder):
        (folder / "cat.png").rename(folder / "cat.jpg")
        dream[1] = "cat.jpg"
        notes = [line for line in oneira(*dream).lines if line.startswith("note:")]
        assert notes == ["note: 'cat.jpg': named .jpg, but it holds a PNG"]

    def test_what_writing_a_picture_costs_is_noted(self, oneira, dream, folder):
        noise(folder / "glass.png", channels=4)
        dream[1] = "glass.png"
        ended = oneira(*dream, "-o", "out.jpg")
        assert any("transparency" in line for line in ended.lines)
        assert oneira(*dream, "-o", "out.jpg", "--quiet").err == ""


class TestOptionsOfEveryVerb:
    def test_seed(self, oneira, dream):
        for seed in (0, 0, 1):
            assert oneira(*dream, "--seed", seed).status == 0
        first, second, other = (load(f"cat-dream{end}.png") for end in ("", "-2", "-3"))
        assert torch.equal(first, second)
        assert not torch.equal(first, other)
        assert read_recipe("cat-dream-3.png").seed == 1

    def test_device_and_precision_are_in_the_recipe(self, oneira, dream):
        for precision in ("float32", "bfloat16"):
            assert oneira(*dream, "-o", "out.png", "--device", "cpu", "--precision", precision).status == 0
            assert read_recipe("out.png").precision == precision
            assert read_recipe("out.png").device == "cpu"

    def test_weights_of_another_file_are_used_and_told(self, oneira, picture, folder, scrambled_pocket):
        words = ["dream", picture, "--layer", "relu1_2", "--octaves", 1, "--steps", 2]
        assert oneira(*words, "-o", "own.png").status == 0
        assert oneira(*words, "-o", "other.png", "--weights", scrambled_pocket).status == 0
        own, other = (read_recipe(name).weights["pocket"] for name in ("own.png", "other.png"))
        assert own != other
        assert not torch.equal(load("own.png"), load("other.png"))

    def test_weights_that_no_layer_uses_are_noted(self, oneira, dream, scrambled_pocket):
        ended = oneira(*dream, "--weights", scrambled_pocket)
        assert ended.status == 0
        assert any("no layer of pocket is used" in line for line in ended.lines)

    def test_offline_asks_nobody(self, oneira, picture, monkeypatch):
        def never(*_):
            raise AssertionError

        monkeypatch.setattr("socket.socket.connect", never)
        ended = oneira("dream", picture, "--layer", "vgg19:relu1_1", "--octaves", 1, "--offline")
        assert ended.status == 1
        assert "offline" in ended.lines[0]

    def test_save_every_leaves_nothing_behind_in_the_end(self, oneira, dream, folder, monkeypatch):
        written = []
        monkeypatch.setattr("oneira.cli.running.save_checkpoint", lambda path, state: written.append(state["index"]))
        assert oneira(*dream, "--save-every", "0").status == 0
        assert written == []
        assert oneira(*dream, "--save-every", "1e-9").status == 0
        assert written == [1, 2, 3, 4, 1, 2, 3, 4]

    def test_depth(self, oneira, dream):
        assert oneira(*dream, "-o", "deep.png", "--depth", 16).status == 0
        assert oneira(*dream, "-o", "flat.png").status == 0
        deep, flat = load("deep.png"), load("flat.png")
        assert 0 < (deep - flat).abs().max() <= 0.5 / 255 + 1e-6

    def test_sidecar_and_no_recipe(self, oneira, dream, folder):
        assert oneira(*dream, "-o", "a.png", "--sidecar").status == 0
        assert json.loads(sidecar_of("a.png").read_text())["technique"] == "dream"
        assert oneira(*dream, "-o", "b.png", "--no-recipe").status == 0
        assert oneira("recipe", "b.png").status == 1

    def test_quiet_is_quiet(self, oneira, dream):
        ended = oneira(*dream, "-q")
        assert (ended.status, ended.out, ended.err) == (0, "", "")

    def test_json_is_one_line_per_step(self, oneira, dream):
        ended = oneira(*dream, "--json", "--quiet")
        assert ended.err == ""
        steps = [json.loads(line) for line in ended.out.splitlines()]
        assert [step["done"] for step in steps] == list(range(1, 9))
        assert {step["total"] for step in steps} == {8}
        assert steps[0] | {"loss": 0, "losses": 0} == {
            "scale": 0,
            "height": 14,
            "width": 20,
            "index": 1,
            "done": 1,
            "total": 8,
            "stage": None,
            "loss": 0,
            "losses": 0,
            "note": None,
        }
        assert steps[0]["losses"] == {"dream": pytest.approx(steps[0]["loss"])}
        assert steps[-1]["loss"] < steps[-4]["loss"] < 0

    def test_resume(self, oneira, happening, dream):
        assert oneira(*happening(send(signal.SIGINT), 3), "-o", "a.png").status == 130
        assert oneira(*happening(None), "-o", "a.png", "--resume").status == 0
        assert oneira(*happening(None), "-o", "b.png").status == 0
        assert torch.equal(load("a.png"), load("b.png"))

    def test_stages(self, oneira, tour, folder):
        assert oneira(*tour, "--stages", "legs").status == 0
        assert pictures_in(folder / "legs") == ["0001-first-leg.png", "0002-second.png"]

    def test_record_every_and_fps(self, oneira, dream, folder):
        assert oneira(*dream, "--record", "making.mp4", "--every", 3, "--fps", 24).status == 0
        assert pictures_in(folder) == ["cat-dream.png", "cat.png", "making.mp4"]
        assert list(folder.glob("*.frames")) == []

    def test_csv_is_a_table_of_losses(self, oneira, dream, folder):
        assert oneira(*dream, "--csv", "losses.csv").status == 0
        assert (folder / "losses.csv").read_text().startswith("stage,dream\ndream,-")

    def test_max_memory_is_told_and_refused_where_it_is_too_little(self, oneira, dream, folder):
        ended = oneira(*dream, "--max-memory", "1TB")
        assert ended.status == 0
        assert "of the 1000.00 GB allowed, and about " in ended.lines[0]
        ended = oneira(*dream, "-o", "other.png", "--max-memory", "1MB")
        assert ended.status == 1
        assert ended.lines[-1].endswith("and 1 MB is the most that is allowed; no size fits")
        assert not (folder / "other.png").exists()

    def test_every_option_is_tested_here(self):
        tested = {
            "output": TestOutput.test_it_goes_where_it_is_told_and_holds_its_recipe,
            "seed": self.test_seed,
            "device": self.test_device_and_precision_are_in_the_recipe,
            "precision": self.test_device_and_precision_are_in_the_recipe,
            "weights": self.test_weights_of_another_file_are_used_and_told,
            "offline": self.test_offline_asks_nobody,
            "max_memory": self.test_max_memory_is_told_and_refused_where_it_is_too_little,
            "save_every": self.test_save_every_leaves_nothing_behind_in_the_end,
            "resume": self.test_resume,
            "stages": self.test_stages,
            "record": self.test_record_every_and_fps,
            "every": self.test_record_every_and_fps,
            "fps": self.test_record_every_and_fps,
            "csv": self.test_csv_is_a_table_of_losses,
            "depth": self.test_depth,
            "sidecar": self.test_sidecar_and_no_recipe,
            "no_recipe": self.test_sidecar_and_no_recipe,
            "quiet": self.test_quiet_is_quiet,
            "as_json": self.test_json_is_one_line_per_step,
        }
        assert set(tested) == set(RunOptions.model_fields)


class TestSignals:
    @pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
    def test_the_picture_so_far_is_saved(self, number, status, oneira, happening, folder):
        ended = oneira(*happening(send(number), 3))
        assert ended.status == status
        assert ended.lines[-1] == ("interrupted: wrote cat-dream.png as it was; the same command with --resume goes on")
        assert pictures_in(folder) == ["cat-dream.png", "cat-dream.png.checkpoint", "cat.png"]
        assert load_checkpoint(checkpoint_of(folder / "cat-dream.png"))[0]["index"] == 3
        assert not torch.equal(load("cat-dream.png"), load("cat.png"))
        assert "holds no recipe" in oneira("recipe", "cat-dream.png").err  # a rerun would give another picture

    def test_a_second_one_ends_it_at_once(self, oneira, happening, folder):
        ended = oneira(*happening(send(signal.SIGINT, 2), 3))
        assert ended.status == 130
        assert "stopped at once" in ended.lines[-1]
        assert pictures_in(folder) == ["cat.png"]

    def test_before_the_first_step_there_is_nothing_to_save(self, oneira, happening, folder):
        ended = oneira(*happening(send(signal.SIGTERM), 1))
        assert ended.status == 143
        assert "not written" in ended.lines[-1]
        assert pictures_in(folder) == ["cat.png"]

    def test_in_the_last_step_the_picture_is_complete(self, oneira, happening, folder):
        assert oneira(*happening(send(signal.SIGINT), 8)).status == 130
        assert pictures_in(folder) == ["cat-dream.png", "cat.png"]
        assert oneira("recipe", "cat-dream.png").status == 0

    def test_while_the_picture_is_written_it_is_still_written(self, oneira, dream, folder, monkeypatch):
        def interrupted(path, write):
            os.kill(os.getpid(), signal.SIGINT)
            write_whole(path, write)

        monkeypatch.setattr("oneira.images.saving.write_whole", interrupted)
        assert oneira(*dream).status == 130
        assert oneira("recipe", "cat-dream.png").status == 0

    def test_without_checkpoints_there_is_nothing_to_resume(self, oneira, happening, folder):
        ended = oneira(*happening(send(signal.SIGINT), 3), "--save-every", "0")
        assert ended.status == 130
        assert "--resume" not in ended.err
        assert pictures_in(folder) == ["cat-dream.png", "cat.png"]

    def test_handlers_are_put_back(self, oneira, dream):
        before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
        oneira(*dream)
        assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before


class TestResuming:
    @pytest.fixture
    def stopped(self, oneira, happening, folder):
        assert oneira(*happening(send(signal.SIGINT), 3)).status == 130
        return happening(None)

    def test_it_finds_what_was_stopped_under_its_default_name(self, stopped, oneira, folder):
        ended = oneira(*stopped, "--resume", "--json", "-q")
        assert ended.status == 0
        assert [json.loads(line)["done"] for line in ended.out.splitlines()] == [4, 5, 6, 7, 8]
        assert pictures_in(folder) == ["cat-dream.png", "cat.png"]

    def test_a_new_run_beside_it_takes_another_name(self, stopped, oneira, folder):
        assert oneira(*stopped).status == 0
        assert pictures_in(folder) == ["cat-dream-2.png", "cat-dream.png", "cat-dream.png.checkpoint", "cat.png"]

    def test_beginning_anew_in_its_place_is_noted(self, stopped, oneira, folder):
        ended = oneira(*stopped, "-o", "cat-dream.png")
        assert ended.status == 0
        assert "cat-dream.png.checkpoint is of a run that was stopped" in ended.lines[0]
        assert pictures_in(folder) == ["cat-dream.png", "cat.png"]

    @pytest.mark.parametrize("change", [["--step", "0.02"], ["--seed", "1"], ["--size", "27"]])
    def test_other_options_are_refused_and_what_is_there_stays(self, change, stopped, oneira, folder):
        before = (folder / "cat-dream.png.checkpoint").read_bytes()
        ended = oneira(*stopped, "--resume", *change)
        assert ended.status == 1
        assert "other settings or pictures" in ended.lines[0]
        assert (folder / "cat-dream.png.checkpoint").read_bytes() == before

    def test_so_is_another_precision(self, stopped, oneira):
        ended = [oneira(*stopped, "--resume", "--precision", p) for p in ("float32", "bfloat16")]
        assert sorted(e.status for e in ended) == [0, 1]  # one of the two is what auto chose
        assert any("was computed in" in e.err for e in ended)

    def test_so_is_another_input(self, stopped, oneira, folder):
        noise(folder / "cat.png", seed=9)
        ended = oneira(*stopped, "--resume")
        assert ended.status == 1
        assert "other settings or pictures" in ended.lines[0]

    def test_so_are_other_weights(self, oneira, picture, folder, scrambled_pocket, monkeypatch):
        words = ["dream", picture, "--layer", "relu1_2", "--octaves", 1, "--steps", 3]
        with monkeypatch.context() as patched:
            patched.setattr("oneira.cli.running._PictureRun._finish", lambda *_: None)  # as if killed in the end
            assert oneira(*words, "--save-every", "1e-9").status == 0
        (folder / "cat-dream.png.checkpoint").unlink()  # the one before it has a step to go
        ended = oneira(*words, "--resume", "--weights", scrambled_pocket)
        assert ended.status == 1
        assert "other weights of pocket" in ended.lines[0]
        assert oneira(*words, "--resume").status == 0

    def test_a_damaged_checkpoint_gives_way_to_the_one_before(self, stopped, oneira, folder):
        path = folder / "cat-dream.png.checkpoint"
        path.rename(folder / "cat-dream.png.checkpoint.before")
        path.write_bytes(b"damaged")
        ended = oneira(*stopped, "--resume")
        assert ended.status == 0
        assert "going on from the one before" in ended.lines[0]
        assert pictures_in(folder) == ["cat-dream.png", "cat.png"]

    def test_killed_while_writing_only_the_one_before_is_there(self, stopped, oneira, folder):
        path = folder / "cat-dream.png.checkpoint"
        path.rename(folder / "cat-dream.png.checkpoint.before")
        (folder / ".cat-dream.png.checkpoint.abc123.part").write_bytes(b"half")
        assert has_checkpoint(path)
        assert oneira(*stopped, "--resume").status == 0
        assert pictures_in(folder) == ["cat-dream.png", "cat.png"]

    def test_the_number_of_threads_is_that_of_the_beginning(self, stopped, oneira, folder):
        path = folder / "cat-dream.png.checkpoint"
        state, _ = load_checkpoint(path)
        checkpoints.save_checkpoint(path, {**state, "threads": 70_000})
        ended = oneira(*stopped, "--resume")
        assert ended.status == 0
        assert "begun with 70000 threads" in ended.err
        assert torch.get_num_threads() == 1


class TestFailures:
    def refuse(self, *_):
        raise OSError(28, "No space left on device")

    def test_a_checkpoint_that_cannot_be_written_is_noted_and_the_run_goes_on(self, oneira, dream, monkeypatch):
        monkeypatch.setattr("oneira.checkpoints.write_whole", self.refuse)
        ended = oneira(*dream, "--save-every", "1e-9")
        assert ended.status == 0
        assert ended.lines[0] == (
            "note: cannot write the checkpoint cat-dream.png.checkpoint (No space left on device)"
        )
        assert len(ended.lines) == 2

    def test_interrupted_without_a_checkpoint_promises_nothing(self, oneira, happening, monkeypatch):
        monkeypatch.setattr("oneira.checkpoints.write_whole", self.refuse)
        ended = oneira(*happening(send(signal.SIGINT), 3))
        assert ended.status == 130
        assert ended.lines[-1] == "interrupted: wrote cat-dream.png as it was"

    def test_a_picture_that_cannot_be_written_can_be_had_later(self, oneira, dream, folder, monkeypatch):
        with monkeypatch.context() as patched:
            patched.setattr("oneira.images.saving.write_whole", self.refuse)
            ended = oneira(*dream)
        assert ended.status == 1
        assert ended.lines[-1] == "oneira: cannot write 'cat-dream.png': No space left on device"
        assert "--resume" in ended.lines[0]
        ended = oneira(*dream, "--resume", "--json")
        assert (ended.status, ended.out) == (0, "")
        assert oneira("rerun", "cat-dream.png").status == 0
        assert (folder / "cat-dream-rerun.png").read_bytes() == (folder / "cat-dream.png").read_bytes()

    def test_no_memory_is_told_in_one_line_and_the_picture_so_far_is_kept(self, oneira, happening, folder):
        ended = oneira(*happening(lambda features: torch.empty(1 << 60), 6))
        assert ended.status == 1
        assert ended.lines[-1] == "oneira: not enough memory for 28x20 pixels; a smaller size needs less"
        assert ended.lines[0] == "note: wrote cat-dream.png as it was before what follows"
        assert pictures_in(folder) == ["cat-dream.png", "cat.png"]

    def test_no_memory_at_the_first_step_leaves_nothing(self, oneira, happening, folder):
        ended = oneira(*happening(lambda features: torch.empty(1 << 60), 1))
        assert ended.status == 1
        assert len(ended.lines) == 1
        assert pictures_in(folder) == ["cat.png"]

    def test_no_memory_for_the_picture_itself(self, oneira, dream, monkeypatch):
        def full(*_, **__):
            raise MemoryError

        monkeypatch.setattr("oneira.techniques.Dream.plan", full)
        assert oneira(*dream).lines == ["oneira: not enough memory; try a smaller --size"]

    def test_a_loss_that_is_not_finite_once_is_noted_in_words_and_json(self, oneira, happening):
        ended = oneira(*happening(lambda features: features * float("nan"), 3), "--json")
        assert ended.status == 0
        notes = [json.loads(line)["note"] for line in ended.out.splitlines()]
        assert [index for index, note in enumerate(notes) if note] == [2]
        assert f"note: {notes[2]}" in ended.lines

    def test_a_loss_that_stays_not_finite_ends_with_the_last_good_picture(self, oneira, happening, folder):
        ended = oneira(*happening(lambda features: features * float("nan"), *range(3, 99)))
        assert ended.status == 1
        assert "smaller rate" in ended.lines[-1]
        assert pictures_in(folder) == ["cat-dream.png", "cat.png"]

    def test_a_recipe_that_cannot_be_written_is_known_of_before_the_work(self, oneira, happening, monkeypatch):
        def worked(features):
            raise AssertionError

        monkeypatch.setattr("oneira.images.recipe.MAX_BYTES", 10)
        ended = oneira(*happening(worked, 1))
        assert ended.status == 1
        assert "a recipe of" in ended.lines[0]
