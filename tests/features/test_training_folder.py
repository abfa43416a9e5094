import csv
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import training_toys
from safetensors import safe_open
from safetensors.torch import load_file
from training_toys import CLASSES, SETTINGS, toy_pictures, toy_trainer

from oneira.errors import CheckpointError, DataError, PlanError, SynthesisError
from oneira.features.training import LabelledPictures, TrainingFolder, evaluate
from oneira.features.training.result import folded_network, folded_state


def rows(folder):
    """The log, but for the time that it took."""
    with folder.log.open() as file:
        return [{name: value for name, value in row.items() if name != "seconds"} for row in csv.DictReader(file)]


@pytest.fixture
def folder(tmp_path):
    return TrainingFolder(tmp_path / "run")


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    """A training from its first to its last step, and its folder."""
    folder, trainer = TrainingFolder(tmp_path_factory.mktemp("whole") / "deep" / "run"), toy_trainer()
    for _ in folder.record(trainer, snapshots=(0, 1, 3)):
        pass
    folder.finish(trainer)
    return folder, trainer


def interrupted(folder, steps, save_every=0.0):
    """A training that was killed after so many yields: nothing is closed properly."""
    trainer = toy_trainer()
    running = folder.record(trainer, save_every=save_every)
    for _ in range(steps):
        next(running)
    folder.save = lambda trainer: None  # what closing would do
    running.close()
    del folder.save
    return trainer


def damage(path):
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


class TestKilling:
    def test_killed_at_any_moment_and_resumed_it_ends_in_the_same_bytes(self, folder, uninterrupted):
        whole, _ = uninterrupted
        environment = {**os.environ, "PYTHONPATH": str(Path(training_toys.__file__).parent)}
        command = [sys.executable, training_toys.__file__, str(folder.path)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
            for line in process.stdout:
                if int(line) >= 8:
                    os.kill(process.pid, signal.SIGKILL)
                    break
        assert process.returncode == -signal.SIGKILL
        trainer = toy_trainer()
        folder.resume(trainer)
        assert trainer.step >= 7
        for _ in folder.record(trainer, snapshots=(0, 1, 3)):
            pass
        folder.finish(trainer)
        assert folder.result.read_bytes() == whole.result.read_bytes()
        assert folder.snapshot(3).read_bytes() == whole.snapshot(3).read_bytes()
        assert rows(folder) == rows(whole)

    @pytest.mark.parametrize("steps", [3, 6, 7, 14, 20])
    def test_rows_after_the_checkpoint_are_not_written_twice(self, folder, uninterrupted, steps):
        whole, _ = uninterrupted
        interrupted(folder, steps, save_every=1e9)
        before = rows(folder)
        folder.log.write_text(folder.log.read_text() + "1,9", newline="")  # a row cut short
        trainer = toy_trainer()
        if folder.checkpoint.exists():
            folder.resume(trainer)
        list(folder.record(trainer))
        assert len(before) <= len(rows(folder))
        assert rows(folder) == rows(whole)

    def test_closing_saves_where_it_is(self, folder):
        trainer = toy_trainer()
        running = folder.record(trainer, save_every=1e9)
        for _ in range(4):
            next(running)
        assert not folder.checkpoint.exists()
        running.close()
        again = toy_trainer()
        folder.resume(again)
        assert again.step == 4

    def test_the_end_of_an_epoch_is_saved_before_it_is_validated(self, folder):
        interrupted(folder, 6, save_every=1e9)
        again = toy_trainer()
        folder.resume(again)
        assert (again.step, again.epochs_done) == (6, 0)
        assert again.validation_due
        assert next(again.run()).validation is not None

    def test_a_finished_training_stays_finished(self, uninterrupted):
        folder, _ = uninterrupted
        trainer = toy_trainer()
        folder.resume(trainer)
        assert trainer.finished
        assert list(trainer.run()) == []


class TestDamage:
    def test_the_one_before_is_taken_and_it_is_said(self, folder, uninterrupted):
        interrupted(folder, 5)
        damage(folder.checkpoint)
        trainer = toy_trainer()
        first, second = folder.resume(trainer)
        assert "checkpoint.pt is damaged" in first
        assert second.endswith("checkpoint.previous.pt, at step 4")
        list(folder.record(trainer))
        assert rows(folder) == rows(uninterrupted[0])

    def test_a_damaged_one_never_takes_the_place_of_the_good_one(self, folder):
        interrupted(folder, 5)
        damage(folder.checkpoint)
        trainer = toy_trainer()
        folder.resume(trainer)
        folder.save(trainer)
        damage(folder.checkpoint)
        again = toy_trainer()
        folder.resume(again)
        assert again.step == 4

    def test_where_all_are_damaged_that_is_said(self, folder):
        interrupted(folder, 5)
        folder.checkpoint.write_bytes(b"")
        folder.previous.write_bytes(folder.previous.read_bytes()[:1000])
        with pytest.raises(CheckpointError, match=r"checkpoint\.pt is damaged.*previous\.pt is damaged") as raised:
            folder.resume(toy_trainer())
        assert "\n" not in str(raised.value)

    def test_where_there_is_none_that_is_said(self, folder):
        with pytest.raises(CheckpointError, match="there is no checkpoint"):
            folder.resume(toy_trainer())

    def test_something_else_in_its_place_is_no_checkpoint(self, folder):
        folder.path.mkdir()
        torch.save([1, 2], folder.checkpoint)
        with pytest.raises(CheckpointError, match="it holds list"):
            folder.resume(toy_trainer())

    def test_code_in_it_is_not_run(self, folder):
        folder.path.mkdir()
        torch.save({"step": Path("x")}, folder.checkpoint)
        with pytest.raises(CheckpointError, match="is damaged"):
            folder.resume(toy_trainer())

    def test_other_settings_do_not_fall_back_to_the_one_before(self, folder):
        interrupted(folder, 5)
        other = toy_trainer(SETTINGS.model_copy(update={"peak_rate": 0.01}))
        with pytest.raises(CheckpointError, match=r"checkpoint\.pt: .*peak_rate was 0\.05 and is 0\.01"):
            folder.resume(other)

    def test_a_loss_that_is_no_number_keeps_the_last_checkpoint(self, folder):
        trainer = toy_trainer()
        running = folder.record(trainer, save_every=0)
        next(running)
        before = folder.checkpoint.read_bytes()
        trainer.network.fc.weight.data[0, 0] = float("nan")
        with pytest.raises(SynthesisError):
            next(running)
        assert folder.checkpoint.read_bytes() == before

    def test_a_disk_that_refuses_keeps_the_one_before(self, folder, monkeypatch):
        interrupted(folder, 2)

        def full(state, file):
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(torch, "save", full)
        with pytest.raises(CheckpointError, match=r"cannot write .*No space left"):
            folder.save(toy_trainer())
        monkeypatch.undo()
        again = toy_trainer()
        folder.resume(again)
        assert again.step == 2


class TestFolder:
    def test_a_folder_in_use_is_not_started_in(self, folder):
        interrupted(folder, 2)
        with pytest.raises(PlanError, match="holds a training already"):
            next(folder.record(toy_trainer()))

    def test_a_folder_that_cannot_be_made_is_told(self, tmp_path):
        (tmp_path / "file").write_text("")
        with pytest.raises(DataError, match="cannot make the folder"):
            next(TrainingFolder(tmp_path / "file" / "run").record(toy_trainer()))

    def test_the_log_tells_the_course(self, uninterrupted):
        folder, trainer = uninterrupted
        table = rows(folder)
        assert [int(row["step"]) for row in table] == [2, 4, 6, 6, 8, 10, 12, 12, 14, 16, 18, 18]
        assert [row["top1"] != "" for row in table] == [False, False, False, True] * 3
        assert float(table[-1]["top1"]) == pytest.approx(trainer.check(trainer.network).top1, abs=1e-4)
        assert float(table[-1]["averaged_top1"]) == pytest.approx(trainer.check(trainer.averaged()).top1, abs=1e-4)

    def test_chosen_epochs_are_kept_folded(self, uninterrupted):
        folder, trainer = uninterrupted
        assert {path.name for path in folder.path.glob("epoch-*")} == {f"epoch-00{n}.safetensors" for n in (0, 1, 3)}
        first, last = load_file(folder.snapshot(0)), load_file(folder.snapshot(3))
        assert torch.equal(first["conv1_1.weight"], folded_state(toy_trainer().network)["conv1_1.weight"])
        assert torch.equal(last["conv2_2.bias"], folded_state(trainer.network)["conv2_2.bias"])


class TestFinishing:
    def test_the_best_candidate_is_written_as_it_was_measured(self, uninterrupted):
        folder, trainer = uninterrupted
        choice = folder.finish(trainer)
        assert set(choice.candidates) == {"plain", "remeasured", "averaged"}
        assert choice.accuracy.top1 == max(accuracy.top1 for accuracy in choice.candidates.values())
        written = folded_network(load_file(folder.result))
        assert evaluate(written, trainer.validation) == choice.accuracy
        assert {value.dtype for value in load_file(folder.result).values()} == {torch.float16}

    def test_other_data_can_decide(self, uninterrupted):
        folder, trainer = uninterrupted
        told = []
        choice = folder.finish(trainer, toy_pictures(seed=2, count=12), lambda *pair: told.append(pair))
        assert choice.accuracy.count == 12
        assert told == [(12, 36), (24, 36), (36, 36)]

    def test_whichever_is_better_is_kept(self, uninterrupted):
        folder, trainer = uninterrupted
        good = trainer.averaged()
        spoiled = LabelledPictures(trainer.validation.pictures, good(_inputs(trainer)).argmax(1), CLASSES)
        assert folder.finish(trainer, spoiled).candidates["averaged"].top1 == 1
        assert folder.finish(trainer, spoiled).kept == "averaged"

    def test_the_file_says_what_it_is(self, uninterrupted):
        folder, trainer = uninterrupted
        choice = folder.finish(trainer)
        with safe_open(folder.result, "pt") as file:
            told = json.loads(file.metadata()["oneira"])
        assert told["classes"] == list(CLASSES)
        assert told["settings"] == SETTINGS.model_dump(mode="json")
        assert (told["weights"], told["top1"], told["epochs"]) == (choice.kept, choice.accuracy.top1, 3)


def _inputs(trainer):
    return trainer._shift + trainer._gain * trainer.validation.pictures / 255
