"""`oneira train style`, on a few pictures of noise, with networks of a few channels."""

import csv
import json
import os
import re
import shlex
import shutil
import signal
import socket
from pathlib import Path

import pytest
import torch
from noise_pictures import noise

from oneira.cli import train_style
from oneira.cli.main import main
from oneira.cli.train_style import StyleTrainOptions
from oneira.feedforward import TrainedNetwork
from oneira.feedforward.training import PRESETS, Phase, StylizerSettings, StylizerTrainer
from oneira.feedforward.training.compared import Compared
from oneira.images import load
from oneira.techniques.refusals import option_name

LAYERS = ["--model", "tiny", "--content-layer", "relu2", "--style-layer", "relu1", "--style-layer", "relu3"]
SMALL = ["--channels", "4", "4", "4", "--precision", "float32"]
NETWORK = "run/stylizer.safetensors"
STEPS = ["--phases", "16x12", "--batch", "2"]


def draw_pictures(folder):
    (folder / "photos").mkdir()
    for index in range(5):
        noise(folder / "photos" / f"{index}.png", 40, 30, seed=index)
    for index, name in enumerate(("wave", "night")):
        noise(folder / f"{name}.jpg", 24, 32, seed=10 + index)


@pytest.fixture
def photos(folder):
    draw_pictures(folder)
    return folder


@pytest.fixture
def training(photos):
    return ["train", "style", "wave.jpg", "night.jpg", "--data", "photos", *LAYERS, *SMALL, *STEPS]


def rows(path):
    with path.open() as log:
        return list(csv.DictReader(log))


class TestTraining:
    def test_it_leaves_a_network_that_stylize_paints_with(self, oneira, training, folder):
        ended = oneira(*training, "-o", "out dir/run")
        assert (ended.status, ended.out) == (0, ""), ended.err
        names = {path.name for path in (folder / "out dir/run").iterdir()}
        assert {"checkpoint.pt", "log.csv", "preview.png", "stylizer.safetensors"} <= names
        (line,) = ended.lines
        told = re.fullmatch(r"note: wrote out dir/run/stylizer\.safetensors \(0\.\d MB\); try it: oneira (.*)", line)
        words = shlex.split(told[1])
        assert words[-4:] == ["--network", "out dir/run/stylizer.safetensors", "--style", "night"]
        noise(folder / "photo.jpg")
        assert oneira(*words, "-o", "painted.png", "-q").err == ""
        assert load("painted.png").shape == load("photo.jpg").shape

    def test_a_hundred_steps_lower_the_losses(self, oneira, training, folder):
        words = [*training[: -len(STEPS)], "--phases", "16x100", "--rate", "0.02", "--warmup", "5", "--batch", "2"]
        assert oneira(*words, "-o", "run", "-q").err == ""
        losses = [float(row["loss"]) for row in rows(folder / "run/log.csv")]
        assert len(losses) == 10
        assert losses[-1] < 0.7 * losses[0]

    def test_lines_of_json_tell_what_the_log_tells(self, oneira, training, folder):
        ended = oneira(*training, "-o", "run", "--json", "-q")
        assert (ended.status, ended.err) == (0, "")
        lines = [json.loads(line) for line in ended.out.splitlines()]
        log = rows(folder / "run/log.csv")
        assert [line["step"] for line in lines] == [int(row["step"]) for row in log] == [10, 12]
        assert all(line["total"] == 12 and line["side"] == 16 for line in lines)
        assert [f"{line['losses']['style']:.6g}" for line in lines] == [row["style"] for row in log]

    def test_styles_may_be_saved_ones_and_samples(self, oneira, training, folder):
        keeping = ["save-style", "wave.jpg", "--model", "tiny", "--style-layer", "relu1", "--style-layer", "relu3"]
        assert (
            oneira(
                *keeping, "--size", 64, "--pooling", "max", "--statistics", "gram", "--statistics", "moments", "-q"
            ).err
            == ""
        )
        words = ["train", "style", "wave.style", "sample:night_wind", *training[4:], "--identity"]
        ended = oneira(*words, "-o", "run")
        assert ended.status == 0, ended.err
        kept = TrainedNetwork.load(folder / "run/stylizer.safetensors")
        assert kept.names == ("wave", "night_wind", "identity")
        assert ended.lines[-1].endswith("--style night_wind")

    def test_a_texture_comes_out_of_noise_without_data(self, oneira, photos):
        words = ["train", "style", "wave.jpg", *LAYERS, "--network", "texture", "--phases", "32x1", "--batch", "1"]
        ended = oneira(*words, "-o", "run")
        assert ended.status == 0, ended.err
        assert ended.lines[-1].endswith("run/preview.png shows pieces of it")
        assert load("run/preview.png").shape[3] > 2 * 32

    def test_another_style_is_added_and_the_others_stay(self, oneira, training, photos):
        assert oneira(*training, "-o", "run", "-q", "--content-weight", "0.3").err == ""
        noise(photos / "scream.jpg", 24, 32, seed=20)
        adding = ["train", "style", "--add-style", "scream.jpg", "--to", "run/stylizer.safetensors", "--like", "wave"]
        ended = oneira(*adding, "--data", "photos", "--phases", "16x3,24x1", "-o", "more")
        assert ended.status == 0, ended.err
        assert ended.lines[-1].endswith("--style scream")
        before, after = (TrainedNetwork.load(Path(f"{run}/stylizer.safetensors")) for run in ("run", "more"))
        assert after.names == ("wave", "night", "scream")
        # What compares is what compared before, without being told again.
        assert after.about["settings"]["model"] == "tiny"
        assert after.about["settings"]["content_weight"] == 0.3
        picture = torch.rand(1, 3, 20, 24)
        with torch.no_grad():
            old = before.network(picture, before.weights({"night": 1}))
            assert torch.equal(after.network(picture, after.weights({"night": 1})), old)
            like = before.network(picture, before.weights({"wave": 1}))
            assert not torch.equal(after.network(picture, after.weights({"scream": 1})), like)

    def test_what_the_watch_sees_is_told(self, oneira, training, monkeypatch):
        monkeypatch.setattr(StylizerTrainer, "_watched", lambda *_: "a colour is the same all over a picture")
        ended = oneira(*training, "-o", "run")
        assert ended.lines[0] == "note: at step 10, a colour is the same all over a picture"

    def test_a_loss_that_is_no_number_is_told_and_taken_back(self, oneira, training, monkeypatch):
        descend = StylizerTrainer._descend

        def spoiled(self, lessons):
            if self.step == 5:
                next(self.network.parameters()).data[0] = float("nan")
            return descend(self, lessons)

        monkeypatch.setattr(StylizerTrainer, "_descend", spoiled)
        ended = oneira(*training, "-o", "run")
        assert ended.status == 0, ended.err
        assert ended.lines[0].startswith("note: the loss is no number any more at step 10 of 12: the weights of")


@pytest.fixture
def happening(monkeypatch):
    """Something happens before so many steps of training are done."""

    def arrange(step, do):
        before = StylizerTrainer._descend

        def descend(self, lessons):
            if self.step == step:
                do()
            return before(self, lessons)

        monkeypatch.setattr(StylizerTrainer, "_descend", descend)

    return arrange


class TestFigures:
    """What is drawn of trainings and of networks."""

    def again(self, oneira, folder, name):
        ended = oneira("rerun", f"{name}.png", "-o", "again.png", "--csv", "again.csv")
        assert ended.status == 0, ended.err
        assert len(ended.lines) == 1
        return all(
            (folder / f"again.{e}").read_bytes() == (folder / f"{name}.{e}").read_bytes() for e in ("png", "csv")
        )

    def test_normalisations_are_compared_by_their_curves(self, oneira, photos):
        for kind in ("instance", "batch"):
            words = ["train", "style", "wave.jpg", "--data", "photos", *LAYERS, *SMALL, *STEPS, "--network", kind]
            assert oneira(*words, "-o", kind, "-q").err == ""
        made = ["figure", "curves", "instance/log.csv", "batch/log.csv", "--column", "style"]
        assert oneira(*made, "-o", "curves.png", "--csv", "curves.csv").status == 0
        table = {row["training"]: row for row in rows(photos / "curves.csv")}
        for kind in ("instance", "batch"):
            assert table[kind]["last"] == rows(photos / kind / "log.csv")[-1]["style"]
        assert self.again(oneira, photos, "curves")

    def test_one_pass_is_measured_in_iterations(self, oneira, training, photos):
        assert oneira(*training, "-o", "run", "-q").err == ""
        made = ["figure", "onepass", NETWORK, "photos/1.png", "--style", "wave.jpg", "--style", "night.jpg"]
        ended = oneira(*made, "--size", 16, "--steps", 5, "-o", "onepass.png", "--csv", "onepass.csv")
        assert (ended.status, len(ended.lines)) == (0, 1), ended.err
        table = {row["style"]: row for row in rows(photos / "onepass.csv")}
        assert set(table) == {"wave", "night"}
        assert self.again(oneira, photos, "onepass")
        (photos / NETWORK).write_bytes((photos / "run/checkpoint.pt").read_bytes())
        assert "is another file" in oneira("rerun", "onepass.png", "-o", "third.png").err


class TestStopping:
    @pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
    def test_interrupted_and_resumed_it_ends_in_the_same_bytes(
        self, number, status, oneira, training, folder, happening
    ):
        assert oneira(*training, "-o", "whole").status == 0
        happening(4, lambda: os.kill(os.getpid(), number))
        ended = oneira(*training, "-o", "broken")
        assert ended.status == status
        assert ended.lines == [
            "note: interrupted: broken/checkpoint.pt is kept; the same command with --resume goes on"
        ]
        assert not (folder / "broken/stylizer.safetensors").exists()
        happening(4, lambda: None)
        assert oneira(*training, "-o", "broken", "--resume").status == 0
        first, second = (folder / run / "stylizer.safetensors" for run in ("whole", "broken"))
        assert first.read_bytes() == second.read_bytes()

    def test_a_second_signal_ends_it_at_once(self, oneira, training, folder, happening):
        happening(4, lambda: [os.kill(os.getpid(), signal.SIGINT) for _ in range(2)])
        ended = oneira(*training, "-o", "out")
        assert ended.status == 130
        assert "stopped at once" in ended.lines[-1]
        assert not (folder / "out/stylizer.safetensors").exists()

    def test_killed_and_resumed_it_ends_in_the_same_bytes(self, oneira, started, photos):
        # In a process of its own, which knows no network but those that there are.
        style = ["train", "style", "wave.jpg", "--data", "photos", *SMALL, "--phases", "16x30", "--batch", "2"]
        process = started(*style, "-o", "killed", "--save-every", "0.001", "--json")
        for line in process.stdout:
            if json.loads(line)["step"] >= 10:
                process.kill()
                break
        process.wait()
        assert process.returncode == -signal.SIGKILL
        ended = oneira(*style, "-o", "killed", "--resume", "--json")
        assert ended.status == 0, ended.err
        assert json.loads(ended.out.splitlines()[0])["step"] > 10
        assert oneira(*style, "-o", "whole", "-q").err == ""
        first, second = (photos / run / "stylizer.safetensors" for run in ("whole", "killed"))
        assert first.read_bytes() == second.read_bytes()

    def test_too_little_memory_is_told_in_one_line(self, oneira, training, happening):
        def run_out():
            raise MemoryError

        happening(2, run_out)
        ended = oneira(*training, "-o", "out")
        assert (ended.status, len(ended.lines)) == (1, 1)
        assert "a smaller --batch" in ended.lines[0]


class TestSeveralProcesses:
    def test_two_train_one_network_and_stop_together(self, started, photos):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        words = ["train", "style", "wave.jpg", "--data", "photos", *SMALL, "--phases", "16x2000", "--batch", "2"]
        processes = []
        for rank in range(2):
            told = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": 2, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
            environment = {**os.environ, "OMP_NUM_THREADS": "1", **{name: str(value) for name, value in told.items()}}
            processes.append(started(*words, "-o", "run", "--json", "--device", "cpu", env=environment))
        first, second = processes
        assert json.loads(first.stdout.readline())["step"] == 10
        first.send_signal(signal.SIGTERM)  # the other one is not told, but must not wait for ever
        _, told = first.communicate(timeout=60)
        assert (first.returncode, second.wait(timeout=60)) == (143, 130), told
        assert "interrupted: run/checkpoint.pt is kept" in told
        assert second.communicate() == ("", "")
        steps = int(rows(photos / "run/log.csv")[-1]["step"])
        assert 10 <= steps < 2000


REFUSED = {
    "no style": ("--data photos -o out", 2, "needs STYLE"),
    "no data": ("wave.jpg -o out", 2, "--data"),
    "no such data": ("wave.jpg --data nowhere -o out", 1, "nowhere: it is not there"),
    "no pictures": ("wave.jpg --data empty -o out", 1, "empty holds no picture"),
    "no output": ("wave.jpg --data photos", 2, "--output"),
    "a style twice": ("wave.jpg wave.jpg --data photos -o out", 2, "both called 'wave'"),
    "two styles of one name": ("wave.jpg sub/wave.png --data photos -o out", 2, "rename it"),
    "no such style": ("none.jpg --data photos -o out", 1, "none.jpg"),
    "a style that is none": ("photos/broken.style --data photos -o out", 1, "broken.style"),
    "a file as the folder": ("wave.jpg --data photos -o wave.jpg/out", 1, "cannot make the folder"),
    "a folder that holds a training": ("wave.jpg --data photos -o run", 2, "holds a training already"),
    "another training": ("night.jpg --data photos -o run --resume", 1, "cannot go on from run/checkpoint.pt"),
    "nothing to go on from": ("wave.jpg --data photos -o out --resume", 1, "there is no checkpoint in out"),
    "an unknown preset": ("wave.jpg --preset jonson --data photos -o out", 2, "did you mean 'johnson'"),
    "styles for one": ("wave.jpg night.jpg --network instance --data photos -o out", 2, "has one style, not 2"),
    "an unknown network": ("wave.jpg --network conditionel --data photos -o out", 2, "conditional"),
    "a phase that is none": ("wave.jpg --phases 16 --data photos -o out", 2, "'16' is no phase"),
    "too small a rate": ("wave.jpg --rate 0 --data photos -o out", 2, "--rate cannot be 0.0; allowed: above 0"),
    "a normalization of one size": ("wave.jpg --normalization gatys --data photos -o out", 2, "one size only"),
    "an unknown backbone": ("wave.jpg --model vgg18 --content-layer a --style-layer b --data photos -o out", 2, "vgg"),
    "weights for styles": ("wave.jpg --style-weights 1 --style-weights 2 --data photos -o out", 2, "one weight: 1"),
    "data for a texture": ("wave.jpg --network texture --data photos -o out", 2, "leave --data out"),
    "two textures": ("wave.jpg night.jpg --network texture -o out", 2, "one texture, not 2"),
    "no such device": ("wave.jpg --device cuda:99 --data photos -o out", 2, "auto or cpu"),
    "added to nothing": ("--add-style night.jpg --data photos -o out", 2, "name it with --to"),
    "like nothing": ("wave.jpg --like night --data photos -o out", 2, "--like is for a trained network"),
    "nothing to add": (f"--to {NETWORK} --data photos -o out", 2, "--add-style"),
    "added by place": (f"night.jpg --to {NETWORK} --data photos -o out", 2, "--add-style"),
    "added to no file": ("--add-style night.jpg --to none.safetensors --data photos -o out", 1, "none.safetensors"),
    "added to one style": (
        f"--add-style night.jpg --to {NETWORK} --data photos -o out",
        2,
        "conditional networks only",
    ),
    "begun with other styles": (
        f"night.jpg --start {NETWORK} --data photos -o out",
        2,
        "has the styles wave, not night",
    ),
    "begun with another kind": (f"wave.jpg --start {NETWORK} --data photos -o out", 2, "normalisation conditional"),
    "begun with no file": ("wave.jpg --start none.safetensors --data photos -o out", 1, "none.safetensors"),
    "begun and added": (f"--add-style night.jpg --to {NETWORK} --start {NETWORK} -o out", 2, "trained whole"),
    "added without data": (f"--add-style night.jpg --to {NETWORK} -o out", 2, "--data"),
    "another shape": (f"--add-style night.jpg --to {NETWORK} --channels 1 2 3 -o out", 2, "--channels is for a new"),
    "an unknown option": ("wave.jpg --data photos -o out --octaves 3", 2, "--octaves"),
}


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """The folder of a training of a network of one style."""
    folder = tmp_path_factory.mktemp("trained")
    draw_pictures(folder)
    words = ["train", "style", f"{folder}/wave.jpg", "--data", f"{folder}/photos", "--network", "instance"]
    assert main([*words, *LAYERS, *SMALL, "--phases", "16x1", "-o", f"{folder}/run", "-q"]) == 0
    return folder / "run"


@pytest.fixture
def places(photos, trained):
    """Beside the pictures, an empty folder, a damaged style, and a training of a network of one style."""
    (photos / "empty").mkdir()
    (photos / "sub").mkdir()
    noise(photos / "sub/wave.png")
    (photos / "photos/broken.style").write_bytes(b"nothing")
    shutil.copytree(trained, photos / "run")


@pytest.mark.usefixtures("places")
@pytest.mark.parametrize(("command", "status", "hint"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_is_told_in_one_line(command, status, hint, oneira, folder):
    own = [] if "--to" in command or "--model" in command else LAYERS
    ended = oneira("train", "style", *command.split(), *own)
    assert (ended.status, ended.out, len(ended.lines)) == (status, "", 1), ended.err
    assert hint in ended.lines[0]
    assert not (folder / "out").exists()


def test_presets_are_listed_with_what_they_set(oneira):
    ended = oneira("train", "style", "--preset", "list")
    assert (ended.status, ended.err) == (0, "")
    lines = {line.split()[0]: line for line in ended.out.splitlines()[1:]}
    assert set(lines) == set(PRESETS)
    assert "none: these are the defaults" in lines["pocket"]
    assert "--phases 256x40000" in lines["johnson"]
    assert "--pooling avg" in lines["magenta"]


@pytest.mark.parametrize("preset", PRESETS)
def test_what_is_told_of_a_preset_means_it_when_typed(preset, oneira, given):
    for line in oneira("train", "style", "--preset", "list").out.splitlines()[1:]:
        name, _, typed = re.split(r"  +", line.strip())
        if name == preset:
            words = shlex.split(typed) if typed.startswith("--") else []
            ended = oneira("train", "style", "a.jpg", *words)
            assert ended.status == 0, ended.err
            assert given["settings"] == StylizerSettings(**PRESETS[preset].options)


def test_what_is_in_force_is_told_with_who_set_it(oneira):
    ended = oneira("train", "style", "--preset", "johnson", "--batch", "8", "--explain", "-o", "run")
    assert (ended.status, ended.err) == (0, "")
    told = {line.split()[0]: line.split()[1:] for line in ended.out.splitlines() if line.startswith("--")}
    assert told["--batch"] == ["8", "given"]
    assert told["--network"] == ["instance", "preset"]
    assert told["--seed"] == ["0", "default"]
    assert told["--output"] == ["run", "given"]
    assert PRESETS["johnson"].departures[0] in ended.out


def test_what_a_network_brings_is_told_too(oneira, training):
    assert oneira(*training, "-o", "run", "-q").err == ""
    ended = oneira("train", "style", "--add-style", "x.jpg", "--to", NETWORK, "--explain", "--style-weight", "2")
    assert ended.status == 0, ended.err
    told = {line.split()[0]: line.split()[1:] for line in ended.out.splitlines() if line.startswith("--")}
    assert told["--model"] == ["tiny", "network"]
    assert told["--style-weight"] == ["2", "given"]


OPTIONS = {
    "data": (["--data", "a"], Path("a")),
    "output": (["-o", "out"], Path("out")),
    "add_style": (["--add-style", "a.jpg", "--add-style", "b.jpg", "--to", "x.pt"], ("a.jpg", "b.jpg")),
    "to": (["--add-style", "a.jpg", "--to", "x.pt"], "x.pt"),
    "like": (["--add-style", "a.jpg", "--to", "x.pt", "--like", "wave"], "wave"),
    "start": (["--start", "pocket-styles"], "pocket-styles"),
    "resume": (["--resume"], True),
    "save_every": (["--save-every", "5"], 5.0),
    "weights": (["--weights", "a.pth"], Path("a.pth")),
    "offline": (["--offline"], True),
    "device": (["--device", "cpu"], "cpu"),
    "precision": (["--precision", "bfloat16"], "bfloat16"),
    "quiet": (["-q"], True),
    "as_json": (["--json"], True),
}
SETTINGS = {
    "model": (["--model", "vgg19"], "vgg19"),
    "content_weight": (["--content-weight", "2"], 2.0),
    "style_weight": (["--style-weight", "2"], 2.0),
    "style_weights": (["--style-weights", "1", "--style-weights", "2"], (1.0, 2.0)),
    "content_layer": (["--content-layer", "relu2_1"], ("relu2_1",)),
    "content_layer_weight": (["--content-layer-weight", "2"], (2.0,)),
    "style_layer": (["--style-layer", "relu2_1"], ("relu2_1",)),
    "style_layer_weight": (["--style-layer-weight", "2"], (2.0,)),
    "statistics": (["--statistics", "histogram"], ("histogram",)),
    "normalization": (["--normalization", "elements"], "elements"),
    "smoothness": (["--smoothness", "2"], 2.0),
    "variation": (["--variation", "l1"], "l1"),
    "style_scale": (["--style-scale", "2"], 2.0),
    "pooling": (["--pooling", "avg"], "avg"),
    "pooling_gain": (["--pooling-gain", "2"], 2.0),
    "identity_weight": (["--identity-weight", "2"], 2.0),
    "network": (["--network", "batch"], "batch"),
    "channels": (["--channels", "1", "2", "3"], (1, 2, 3)),
    "identity": (["--identity"], True),
    "phases": (["--phases", "16x2,32x4", "--phases", "48x6"], tuple(map(Phase.parse, ("16x2", "32x4", "48x6")))),
    "batch": (["--batch", "2"], 2),
    "rate": (["--rate", "0.5"], 0.5),
    "warmup": (["--warmup", "2"], 2),
    "fall": (["--fall", "steps"], "steps"),
    "fall_every": (["--fall-every", "2"], 2),
    "fall_factor": (["--fall-factor", "0.5"], 0.5),
    "betas": (["--betas", "0.1", "0.2"], (0.1, 0.2)),
    "clip": (["--clip", "2"], 2.0),
    "initialisation": (["--initialisation", "2"], 2.0),
    "average_decay": (["--average-decay", "0.5"], 0.5),
    "smallest_crop": (["--smallest-crop", "0.5"], 0.5),
    "seed": (["--seed", "2"], 2),
}


@pytest.fixture
def given(monkeypatch):
    """What would have been trained, and how."""
    seen = {}

    def trained(styles, options, settings, grown, device, ranks):
        seen.update(styles=styles, options=options, settings=settings, grown=grown, device=device)
        return 0

    monkeypatch.setattr(train_style, "_trained", trained)
    monkeypatch.setattr(train_style, "_network_to_grow", lambda options, *_: None)
    return seen


def test_every_option_is_listed_here(oneira):
    assert set(OPTIONS) == set(StyleTrainOptions.model_fields)
    assert set(SETTINGS) == set(StylizerSettings.model_fields)
    shown = oneira("train", "style", "--help").out
    for name in {*OPTIONS, *SETTINGS} - {"as_json"}:
        assert re.search(rf"{option_name(name)}\b.* \w", shown), name


@pytest.mark.parametrize("name", OPTIONS)
def test_an_option_reaches_the_training(name, oneira, given):
    words, meaning = OPTIONS[name]
    assert oneira("train", "style", "wave.jpg", *words).status == 0
    assert getattr(given["options"], name) == meaning != StyleTrainOptions.model_fields[name].default
    assert given["styles"] == ("wave.jpg",)


@pytest.mark.parametrize("name", SETTINGS)
def test_a_setting_reaches_the_training(name, oneira, given):
    words, meaning = SETTINGS[name]
    ended = oneira("train", "style", "wave.jpg", *words)
    assert ended.status == 0, ended.err
    assert given["settings"] == StylizerSettings(**{name: meaning}) != StylizerSettings()


@pytest.mark.parametrize("preset", PRESETS)
def test_presets_are_overridden_by_options(preset, oneira, given):
    assert oneira("train", "style", "a.jpg", "--preset", preset, "--batch", 7).status == 0
    assert given["settings"] == StylizerSettings(**{**PRESETS[preset].options, "batch": 7})


def test_what_a_network_tells_is_what_it_was_compared_with():
    settings = StylizerSettings(model="vgg16", style_weight=3, statistics=("gram",))
    told = json.loads(json.dumps({"settings": settings.model_dump(mode="json")}))
    assert Compared.told_by(told) == Compared(model="vgg16", style_weight=3, statistics=("gram",))
    for about in ({}, {"settings": 5}, {"settings": {"style_weight": -1}}):
        assert Compared.told_by(about) is None
