"""What the documents show is run: Python as it stands, commands at small sizes."""

import re
import shlex
from fractions import Fraction
from pathlib import Path

import pytest
import torch

from oneira.cli.main import main
from oneira.images import load, resize, sample, save
from oneira.motion import Reel, write_film
from oneira.techniques import TECHNIQUES

ROOT = Path(__file__).resolve().parent.parent
DOCUMENTS = [ROOT / name for name in ("README.md", "CONTRIBUTING.md")] + [
    ROOT / "docs" / f"{name}.md"
    for name in ("dream", "style", "feedforward", "texture", "inversion", "inside", "motion", "scale", "pocket")
]
# Shown at the size that users want; run at one that takes a second. Nothing else about a command is changed.
SMALL = {
    "dream": ["--size", "48", "--octaves", "2", "--steps", "1"],
    "style": ["--size", "48", "--smallest", "48", "--steps", "2"],
    "texture": ["--size", "64", "--sample-size", "32"],
    "invert": ["--size", "48", "--steps", "1"],
    "visualize": ["--size", "32", "--steps", "1"],
    "deconv": ["--size", "64"],
    "atlas": ["--size", "32"],
    "stylize": ["--size", "48"],
    "save-style": ["--size", "64"],
    "train": ["--phases", "16x1", "--batch", "4"],
    "bench": ["--size", "48", "--rounds", "1", "--model", "pocket"],
}
# Networks that style trainings shown before have left behind: the file, and options beside the styles and the data.
STYLE_TRAININGS = {
    "run/stylizer.safetensors": [],
    "instance/log.csv": ["--network", "instance"],
    "batch/log.csv": ["--network", "batch"],
}
OUTERS = {"video", "animate", "batch"}  # which take a verb within
COPYING = {"efros-leung", "wei-levoy", "quilting"}  # methods without steps


def blocks(document, language):
    return re.findall(rf"```{language}\n(.*?)```", document.read_text(encoding="utf-8"), re.DOTALL)


def shown_commands():
    for document in DOCUMENTS:
        for block in blocks(document, "console"):
            for line in block.splitlines():
                if line.startswith("$ oneira "):
                    yield line.removeprefix("$ oneira ")


def reduced(command):
    """The command with the options of SMALL in place of its own of those names."""
    words = shlex.split(command)
    verb = next((word for word in words[1:] if word in SMALL), words[0]) if words[0] in OUTERS else words[0]
    small = [] if "--data" in words and words[0] == "deconv" else SMALL.get(verb, [])
    for option in small[::2]:
        while option in words:
            at = words.index(option)
            del words[at : at + 2]
    if words[:2] == ["figure", "onepass"]:
        small = ["--size", "48", "--steps", "2"]
    if words[0] == "texture" and not COPYING & set(words):
        small = [*small, "--steps", "2"]
    if "--frames" in words:
        words[words.index("--frames") + 1] = "2"
    return [*words, *small]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Where the documents' pictures lie: pictures, masks, labels and a layout, and two folders of class folders."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ONEIRA_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("ONEIRA_WEIGHTS", raising=False)
    for name, source in (
        ("cat", "cat"),
        ("sky", "rocket"),
        ("starry_night", "night_wind"),
        ("water_lilies", "rose_window"),
        ("gravel", "coffee"),
        ("brick", "rose_window"),
    ):
        save(f"{name}.jpg", resize(load(sample(source)), (36, 48)))
    for name, white in (("mask", slice(12, 36)), ("left", slice(24)), ("right", slice(24, 48))):
        mask = torch.zeros(1, 3, 36, 48)
        mask[..., white] = 1
        save(f"{name}.png", mask)
    for name, white in (("labels", slice(24)), ("layout", slice(12))):
        flat = torch.tensor([0.1, 0.2, 0.7])[None, :, None, None].repeat(1, 1, 36, 48)
        flat[..., white, :] = torch.tensor([0.9, 0.8, 0.1])[:, None, None]
        save(f"{name}.png", flat)
    (tmp_path / "mine.toml").write_text('stripes = ["relu3_1:17", "relu4_2:5"]')
    generator = torch.Generator().manual_seed(0)
    for part in ("train", "validation"):
        for kind in ("red", "blue"):
            place = tmp_path / "photos" / part / kind
            place.mkdir(parents=True)
            for index in range(6):
                save(place / f"{index}.png", torch.rand(1, 3, 16, 16, generator=generator))
    write_film("clip.mp4", Reel.steady([lambda: load(sample("cat"))[..., :48, :64]] * 3, Fraction(12)), size=(48, 64))
    return tmp_path


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda document: document.name)
def test_the_python_in_a_document_runs(document, folder, capsys):
    names = {}
    for block in blocks(document, "python"):
        exec(compile(block, str(document), "exec"), names)


NEEDS_WEIGHTS = ("google", "vgg19", "squeezenet", "gatys", "mahendran-vedaldi")


@pytest.mark.parametrize("command", sorted(set(shown_commands())))
def test_a_command_in_a_document_runs(command, folder, capsys):
    words = reduced(command)
    if words[0] == "recipe" or words[0] == "rerun":
        assert main(["style", "cat.jpg", "starry_night.jpg", "-o", "cat-style.png", *SMALL["style"], "-q"]) == 0
    if "starry.mp4" in words and words[0] in ("recipe", "rerun"):
        assert main(["video", "clip.mp4", "-o", "starry.mp4", "stylize", *SMALL["stylize"], "-q"]) == 0
    if "--report" in words:
        assert main(["batch", "photos", "-o", "painted", "stylize", *SMALL["stylize"], "-q"]) == 0
    if "--evaluate" in words:
        pytest.skip("needs the validation data of Tiny ImageNet, which is not shipped")
    if "--resume" in words:
        assert main([*words[: words.index("--resume")], "--size", "48"]) == 0
        return  # a finished run leaves nothing to resume; resuming is tested with the commands
    if "--web" in words:
        assert main([*words, "--offline"]) == 1  # a page needs a package of npm's; it is tested with the page
        assert "onnxruntime-web" in capsys.readouterr().err
        return
    if words[0] == "export":
        pytest.importorskip("onnxruntime", reason="the extra `export` is not installed")
    if words[0] == "style" and "starry_night.style" in words:
        assert main(["save-style", "starry_night.jpg", *SMALL["save-style"]]) == 0
    for needed, options in STYLE_TRAININGS.items():
        if needed in command:
            styles = ["starry_night.jpg", "water_lilies.jpg"][: 1 if options else 2]
            place = str(Path(needed).parent)
            assert main(["train", "style", *styles, "--data", "photos", *options, "-o", place, *SMALL["train"]]) == 0
    if words[0] == "figure" and ("run/epoch" in command or "run/pocket" in command):
        photos = ["--data", "photos/train", "--validation", "photos/validation"]
        assert main(["train", "backbone", *photos, "-o", "run", "--snapshots", "0", "1", *SMALL["train"]]) == 0
    makes_a_picture = words[0] in (*TECHNIQUES, "figure") and "--explain" not in words
    if makes_a_picture and any(name in command for name in NEEDS_WEIGHTS):
        assert main([*words, "--offline"]) == 1
        assert "pocket" in capsys.readouterr().err  # which needs none
        return
    assert main(words) == 0
