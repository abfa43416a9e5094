import csv
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import stylizer_toys
import torch
from stylizer_toys import PREVIEW, Drawn, changed, small_network, style_sources, toy_training

from oneira.errors import CheckpointError, DataError, PlanError, SynthesisError
from oneira.features import Encoder
from oneira.feedforward.pyramid import TextureNetwork
from oneira.feedforward.saving import TrainedNetwork
from oneira.feedforward.training import Phase, StylizerFolder, begin_adding, begin_training
from oneira.feedforward.training.ranks import Ranks, own_device
from oneira.images import load

SETTINGS = changed(batch=4)


def rows(folder):
    """The log, but for the time that it took."""
    with folder.log.open() as file:
        return [{name: value for name, value in row.items() if name != "seconds"} for row in csv.DictReader(file)]


def finished(folder, training=None, **others):
    training = toy_training(SETTINGS) if training is None else training
    for _ in folder.record(training, PREVIEW, **others):
        pass
    folder.finish(training)
    return training


@pytest.fixture
def folder(tmp_path):
    return StylizerFolder(tmp_path / "run")


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    """A training from its first to its last step, and its folder."""
    folder = StylizerFolder(tmp_path_factory.mktemp("whole") / "deep" / "run")
    return folder, finished(folder)


def started(folder, rank=0, count=1, port=0):
    where = str(Path(stylizer_toys.__file__).parent)
    environment = {**os.environ, "PYTHONPATH": f"{where}:{Path(where).parent}"}
    if count > 1:
        told = {"RANK": rank, "WORLD_SIZE": count, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "LOCAL_RANK": rank}
        environment.update({name: str(value) for name, value in told.items()})
    command = [sys.executable, "-W", "error", stylizer_toys.__file__, str(folder.path)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)


def same_files(first, second):
    return first.result.read_bytes() == second.result.read_bytes() and rows(first) == rows(second)


class TestKilling:
    def test_killed_at_any_moment_and_resumed_it_ends_in_the_same_bytes(self, folder, uninterrupted):
        with started(folder) as process:
            for line in process.stdout:
                if int(line) >= 7:
                    os.kill(process.pid, signal.SIGKILL)
                    break
        assert process.returncode == -signal.SIGKILL
        training = toy_training(SETTINGS)
        assert folder.resume(training.trainer) == ()
        assert 6 <= training.trainer.step <= 10
        finished(folder, training)
        assert same_files(folder, uninterrupted[0])

    @pytest.mark.parametrize("steps", [1, 5, 9])
    def test_closed_and_resumed_it_ends_in_the_same_bytes(self, folder, uninterrupted, steps):
        running = folder.record(toy_training(SETTINGS), PREVIEW)
        for _ in range(steps):
            next(running)
        running.close()
        training = toy_training(SETTINGS)
        folder.resume(training.trainer)
        assert training.trainer.step == steps
        finished(folder, training)
        assert same_files(folder, uninterrupted[0])

    def test_of_a_damaged_checkpoint_the_one_before_is_taken(self, folder, uninterrupted):
        running = folder.record(toy_training(SETTINGS), PREVIEW, save_every=0)
        for _ in range(5):
            next(running)
        running.close()
        data = bytearray(folder.checkpoint.read_bytes())
        data[len(data) // 2] ^= 1
        folder.checkpoint.write_bytes(data)
        training = toy_training(SETTINGS)
        first, second = folder.resume(training.trainer)
        assert "checkpoint.pt is damaged" in first
        assert second.endswith("checkpoint.previous.pt, at step 5")
        finished(folder, training)
        assert same_files(folder, uninterrupted[0])

    def test_a_finished_one_has_nothing_left_to_do(self, uninterrupted):
        folder, _ = uninterrupted
        training = toy_training(SETTINGS)
        folder.resume(training.trainer)
        assert training.trainer.finished
        assert list(training.trainer.run()) == []

    def test_there_is_nothing_to_go_on_from(self, folder):
        with pytest.raises(CheckpointError, match="there is no checkpoint in"):
            folder.resume(toy_training().trainer)

    def test_with_other_settings_it_is_refused(self, uninterrupted):
        with pytest.raises(CheckpointError, match=r"cannot go on from .*checkpoint\.pt: .*batch was 4 and is 3"):
            uninterrupted[0].resume(toy_training().trainer)

    def test_a_folder_that_holds_a_training_is_not_written_over(self, uninterrupted):
        with pytest.raises(PlanError, match="holds a training already: resume it, or name another folder"):
            next(uninterrupted[0].record(toy_training(SETTINGS), PREVIEW))

    def test_a_file_in_the_way(self, tmp_path):
        (tmp_path / "file").write_text("")
        with pytest.raises(DataError, match="cannot make the folder"):
            next(StylizerFolder(tmp_path / "file" / "run").record(toy_training(), PREVIEW))


class TestWhatIsKept:
    def test_the_log_has_every_report(self, uninterrupted):
        folder, _ = uninterrupted
        log = rows(folder)
        assert [int(row["step"]) for row in log] == [2, 4, 6, 8, 10]
        assert [int(row["side"]) for row in log] == [16, 16, 16, 24, 24]
        assert all(float(row["style"]) > 0 and row["identity"] == "" for row in log)

    def test_the_preview_shows_every_photograph_in_every_style(self, uninterrupted):
        folder, training = uninterrupted
        expected = PREVIEW.drawn(training.trainer, training.names)
        assert (load(folder.preview) - expected).abs().max() < 1 / 255
        without = PREVIEW.drawn(training.trainer, training.names[:1])
        assert without.shape[3] < expected.shape[3]

    def test_it_comes_every_so_many_steps(self, folder):
        running = folder.record(toy_training(), PREVIEW, preview_every=3)
        seen = []
        for _ in range(7):
            step = next(running)
            if folder.preview.exists():
                seen.append(step.step)
                folder.preview.unlink()
        assert seen == [3, 6]

    def test_the_network_draws_what_the_averaged_one_draws(self, uninterrupted):
        folder, training = uninterrupted
        kept = TrainedNetwork.load(folder.result)
        assert kept.names == ("one", "two")
        assert kept.about["steps"] == 10
        assert kept.about["settings"]["batch"] == 4
        picture, style = torch.rand(1, 3, 20, 20), torch.tensor([[0.0, 1.0]])
        with torch.no_grad():
            assert (kept.network(picture, style) - training.trainer.averaged()(picture, style)).abs().max() < 0.01

    def test_pieces_of_a_texture(self, folder):
        settings = changed(network="texture", phases=(Phase(side=16, steps=2),), batch=2)
        network = TextureNetwork(scales=3, channels=2)
        training = toy_training(settings, network=network, styles=1, pictures=None)
        training = type(training)(training.trainer, ("one",))
        finished(folder, training)
        assert load(folder.preview).shape[3] > 2 * 16
        assert TrainedNetwork.load(folder.result).styles == 1

    def test_bad_weights_end_a_training_and_leave_the_checkpoint(self, folder):
        training = toy_training(changed(phases=(Phase(side=16, steps=50),)))
        running = folder.record(training, PREVIEW, save_every=0)
        for _ in range(4):
            next(running)
        kept = folder.checkpoint.read_bytes()
        folder.save = lambda trainer: None
        training.trainer._slowed = 0.3  # as if it had happened once
        next(training.trainer.network.parameters()).data[0] = float("nan")
        with pytest.raises(SynthesisError, match="second time"):
            list(running)
        assert folder.checkpoint.read_bytes() == kept


class TestBeginning:
    def begun(self, start=None, **others):
        styles = dict(zip(("red", "blue"), style_sources(), strict=True))
        return begin_training(styles, changed(**others), Drawn(), Encoder(), precision=torch.float32, start=start)

    def test_styles_keep_their_names(self):
        training = self.begun()
        assert training.names == ("red", "blue")
        assert training.trained().identity is None
        assert training.trained().names == ("red", "blue")

    def test_an_identity_comes_last(self):
        training = self.begun(identity=True)
        assert training.names == ("red", "blue", "identity")
        assert training.trained().identity == 2

    def test_its_name_is_not_to_be_had(self):
        with pytest.raises(PlanError, match="rename it"):
            begin_training(
                {"identity": style_sources()[0]}, changed(identity=True), Drawn(), Encoder(), precision=torch.float32
            )

    def test_it_begins_with_the_weights_of_another(self):
        known = self.begun(seed=5).trained()
        begun = self.begun(start=known).trainer.network
        assert all(torch.equal(value, begun.state_dict()[name]) for name, value in known.network.state_dict().items())
        with pytest.raises(PlanError, match="has the styles red, blue, not red, blue, identity"):
            self.begun(start=known, identity=True)
        with pytest.raises(PlanError, match=r"channels \[32, 64, 96\].*ask for .*channels \[4, 6, 10\]"):
            self.begun(start=known, channels=(4, 6, 10))

    def test_more_styles_for_a_trained_network(self):
        known = TrainedNetwork(small_network(2, identity=1), ("red", "blue"))
        sources = dict(zip(("green", "grey"), style_sources(), strict=True))
        training = begin_adding(known, sources, changed(), Drawn(), Encoder(), precision=torch.float32, like="red")
        assert training.names == ("red", "blue", "green", "grey")
        assert training.trained().identity == 1
        assert training.trainer._lessons(0).styles != [0, 1]
        assert {style for step in range(4) for style in training.trainer._lessons(step).styles} == {2, 3}


class TestSeveralProcesses:
    def test_two_come_to_what_one_comes_to(self, folder, uninterrupted):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        with started(folder, 0, 2, port) as first, started(folder, 1, 2, port) as second:
            told = [process.communicate(timeout=120)[0] for process in (first, second)]
        assert first.returncode == second.returncode == 0
        assert told[0] == told[1]
        alone, together = rows(uninterrupted[0]), rows(folder)
        assert [row["step"] for row in together] == [row["step"] for row in alone]
        for one, two in zip(alone, together, strict=True):
            for name in ("loss", "style", "content", "tv"):
                assert float(two[name]) == pytest.approx(float(one[name]), rel=1e-3)

    def test_a_batch_is_shared_without_rest(self):
        shares = [Ranks(rank, 3).share(10, 7) for rank in range(3)]
        assert sorted(number for share in shares for number in share) == list(range(10, 17))

    def test_each_has_a_card_of_its_own(self, monkeypatch):
        monkeypatch.setenv("LOCAL_RANK", "3")
        assert own_device(torch.device("cuda")) == torch.device("cuda", 3)
        assert own_device(torch.device("cuda", 1)) == torch.device("cuda", 1)
        assert own_device(torch.device("cpu")) == torch.device("cpu")

    def test_a_batch_too_small_for_all(self):
        with pytest.raises(PlanError, match="a batch of 3 is less than the 4 processes"):
            toy_training(ranks=Ranks(0, 4))
