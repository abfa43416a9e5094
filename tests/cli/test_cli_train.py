"""`oneira train backbone`, on a dozen pictures of noise."""

import csv
import json
import os
import re
import signal

import pytest
from noise_pictures import noise
from safetensors import safe_open

from oneira.features.training import Trainer


@pytest.fixture
def photos(folder):
    """Two folders of class folders, with pictures of 16x16."""
    for part, seed in (("train", 0), ("validation", 100)):
        for kind in ("blue", "red"):
            (folder / part / kind).mkdir(parents=True)
            for index in range(6):
                noise(folder / part / kind / f"{index}.png", 16, 16, seed=seed + index)
    return folder


@pytest.fixture
def training(photos):
    data = ["--data", "train", "--validation", "validation", "--side", 16]
    return ["train", "backbone", *data, "--batch", 4, "--phases", "16x2", "--precision", "float32"]


def about(path):
    with safe_open(path, "pt") as file:
        return json.loads(file.metadata()["oneira"])


def test_a_training_leaves_a_network_a_log_and_snapshots(oneira, training, folder):
    ended = oneira(*training, "-o", "out/first", "--snapshots", 0, 2, "--momentum", 0.5)
    assert ended.status == 0, ended.err
    assert [line.split(":")[0] for line in ended.lines[:-1]] == ["epoch 1", "epoch 2"]
    assert re.match(r"wrote out/first/pocket\.safetensors: top-1 \d+\.\d\d%", ended.lines[-1])
    names = {path.name for path in (folder / "out/first").iterdir()}
    assert {"checkpoint.pt", "log.csv", "pocket.safetensors", "epoch-000.safetensors", "epoch-002.safetensors"} <= names
    told = about(folder / "out/first/pocket.safetensors")
    assert told["classes"] == ["blue", "red"]
    assert told["settings"]["momentum"] == 0.5
    with (folder / "out/first/log.csv").open() as log:
        assert [row["epoch"] for row in csv.DictReader(log) if row["top1"]] == ["1", "2"]


def test_a_network_is_measured_by_its_file_whatever_its_classes(oneira, training):
    assert oneira(*training, "-o", "out", "-q").err == ""
    ended = oneira("train", "backbone", "--evaluate", "out/pocket.safetensors", "--data", "validation", "--side", 16)
    assert ended.status == 0, ended.err
    first, *mistakes = ended.out.splitlines()
    top1 = float(re.fullmatch(r"top-1 (\d+\.\d\d)%  top-5 100\.00%  of 12 pictures", first)[1])
    wrong = sum(int(re.fullmatch(r" *(\d+)  (red|blue) taken for (red|blue)", line)[1]) for line in mistakes)
    assert wrong == round(12 * (1 - top1 / 100))


def test_a_network_of_other_classes_can_be_dreamt_in(oneira, training):
    assert oneira(*training, "-o", "out", "-q").err == ""
    small = ("--size", 48, "--octaves", 1, "--steps", 1, "-o", "dream.png", "-q")
    ended = oneira("dream", "sample:cat", "--weights", "out/pocket.safetensors", "--layer", "relu1_1", *small)
    assert (ended.status, ended.err) == (0, "")


def test_a_network_is_measured_by_its_name(oneira, photos):
    ended = oneira("train", "backbone", "--evaluate", "pocket", "--data", "train", "--side", 16, "--resized", 16)
    assert ended.status == 0, ended.err
    assert ended.out.startswith("top-1 ")
    assert " of 12 pictures\n" in ended.out
    assert ended.err == ""


@pytest.fixture
def signalled(monkeypatch):
    """A signal after so many steps of training."""

    def arrange(number, step, times=1):
        before = Trainer._descend

        def descend(self, epoch, chosen):
            if self.step == step:
                for _ in range(times):
                    os.kill(os.getpid(), number)
            return before(self, epoch, chosen)

        monkeypatch.setattr(Trainer, "_descend", descend)

    return arrange


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_interrupted_and_resumed_it_ends_in_the_same_bytes(number, status, oneira, training, folder, signalled):
    assert oneira(*training, "-o", "whole").status == 0
    signalled(number, 4)
    ended = oneira(*training, "-o", "broken")
    assert ended.status == status
    assert ended.lines[-1].startswith("interrupted: broken/checkpoint.pt is kept")
    signalled(number, 99)
    assert oneira(*training, "-o", "broken", "--resume").status == 0
    assert (folder / "broken/pocket.safetensors").read_bytes() == (folder / "whole/pocket.safetensors").read_bytes()


def test_a_second_signal_ends_it_at_once(oneira, training, folder, signalled):
    signalled(signal.SIGINT, 4, times=2)
    ended = oneira(*training, "-o", "out")
    assert ended.status == 130
    assert "stopped at once" in ended.lines[-1]
    assert not (folder / "out/pocket.safetensors").exists()


def test_what_is_there_is_not_trained_over(oneira, training, folder):
    assert oneira(*training, "-o", "out", "-q").status == 0
    before = (folder / "out/pocket.safetensors").read_bytes()
    ended = oneira(*training, "-o", "out")
    assert ended.status == 2
    assert "holds a training already: go on with --resume" in ended.lines[0]
    ended = oneira(*training, "-o", "out", "--resume", "--momentum", 0.5)
    assert ended.status == 1
    assert "other settings" in ended.lines[0]
    assert (folder / "out/pocket.safetensors").read_bytes() == before


def test_training_goes_on_from_weights(oneira, training):
    assert oneira(*training, "-o", "first", "-q").status == 0
    words = [*training, "--start", "first/pocket.safetensors", "-o"]
    assert oneira(*words, "second", "-q").status == 0
    assert oneira(*words, "third", "-q", "--new-head").status == 0


def test_pictures_that_cannot_be_read_are_named(oneira, training, folder):
    (folder / "train/red/5.png").write_bytes(b"damaged")
    ended = oneira(*training, "-o", "out")
    assert ended.status == 0
    assert ended.lines[0].startswith("note: skipped ")
    assert "5.png" in ended.lines[0]
