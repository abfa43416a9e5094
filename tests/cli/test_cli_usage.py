"""What a command says when it is asked, and when it is asked wrongly."""

import re

import pytest
from noise_pictures import noise

import oneira as on
from oneira.catalogue import TECHNIQUES

VERBS = [
    *TECHNIQUES,
    "save-style",
    "animate",
    "video",
    "batch",
    "rerun",
    "recipe",
    "models",
    "bench",
    "bench style",
    "train backbone",
]


def test_it_tells_its_version_and_its_verbs(oneira):
    assert oneira("--version").out.strip() == on.__version__
    listed = oneira("--help").out
    for verb in VERBS:
        assert f"│ {verb.split()[0]} " in listed
    assert oneira().out == listed


@pytest.mark.parametrize("verb", VERBS)
def test_every_option_has_a_help_text(verb, oneira):
    ended = oneira(*verb.split(), "--help")
    assert ended.status == 0
    assert ended.err == ""
    assert "--debug" in ended.out
    # Further to the right stand help texts, which may name options.
    for line in re.findall(r"^│ (?:\*  |   )?(--[a-z].*?) *│$", ended.out, re.MULTILINE):
        words = re.split(r"  +", line)
        wrapped = re.fullmatch(r"--[a-z-]+", line)  # its type and help stand on the next line
        assert len(words) == 2 or wrapped, line


@pytest.mark.parametrize("verb", TECHNIQUES)
def test_a_picture_that_may_be_left_out_stands_in_brackets(verb, oneira):
    technique = TECHNIQUES[verb]
    usage = oneira(verb, "--help").out.splitlines()[0]
    for name in technique.positional:
        required = technique.model_fields[name].is_required()
        assert usage.count(f" {name.upper()}") == required
        assert usage.count(f" [{name.upper()}]") == (not required)


def test_defaults_of_the_declaration_are_those_of_the_help(oneira):
    shown = " ".join(oneira("dream", "--help").out.replace("│", " ").split())
    for name, field in TECHNIQUES["dream"].model_fields.items():
        if isinstance(field.default, int) and not isinstance(field.default, bool):
            assert f"{field.description} [default: {field.default}]" in shown, name


BAD_USAGE = {
    "an unknown verb": ("dreem cat.png", "dream"),
    "an unknown option": ("dream cat.png --octave 3", "--octaves"),
    "no picture": ("dream", "IMAGE"),
    "one picture too few": ("style cat.png", "STYLE"),
    "one picture too many": ("dream cat.png cat.png", "cat.png"),
    "no value": ("dream cat.png --octaves", "--octaves"),
    "no number": ("dream cat.png --octaves many", "many"),
    "no choice": ("dream cat.png --loss l3", '"l2", "mean"'),
    "too little": ("dream cat.png --octaves 0", "--octaves cannot be 0; allowed: at least 1 and at most 20"),
    "too much": ("dream cat.png --octaves 21", "at most 20"),
    "too few of several": ("dream cat.png --steps 0", "--steps cannot be 0; allowed: at least 1 and at most 100000"),
    "too many after good ones": ("dream cat.png --steps 9 --steps 100001", "at least 1 and at most 100000"),
    "the bound itself": ("dream cat.png --octave-scale 1", "above 1 and at most 4"),
    "not finite": ("dream cat.png --restraint inf", "--restraint cannot be inf; allowed: finite numbers"),
    "no number at all": ("dream cat.png --step nan", "finite"),
    "a negative seed": ("dream cat.png --seed -1", "--seed cannot be -1; allowed: at least 0"),
    "a seed that no recipe holds": ("dream cat.png --seed 9223372036854775808", "below 9223372036854775808"),
    "a negative interval": ("dream cat.png --save-every -1", "--save-every"),
    "an interval that is no number": ("dream cat.png --save-every nan", "--save-every"),
    "options that contradict": ("dream cat.png --sidecar --no-recipe", "choose one"),
    "an unknown preset": ("dream cat.png --preset gogle", "'google'"),
    "an unknown network": ("dream cat.png --model vgg18", "'vgg19'"),
    "an unknown layer": ("dream cat.png --layer relu4-2", "'relu4_2'"),
    "an unknown network in an address": ("dream cat.png --layer vgg18:relu4_2", "'vgg19'"),
    "an unknown class": ("dream cat.png --class bananna", "'banana'"),
    "a unit of no channel": ("dream cat.png --at 1,1", "--channels 12"),
    "two journeys": ("dream cat.png --zoom 1.1 --through relu1_1..relu2_1", "choose one"),
    "no picture to begin with": ("dream --class banana", "--start that is none, such as pink-noise"),
    "an empty address": ("dream cat.png --layer pocket:", "pocket:relu4_2"),
    "a style layer among good ones": ("style cat.png cat.png --style-layer relu1_1 --style-layer relu9_1", "relu9_1"),
    "too few weights": ("style cat.png cat.png --style-layer-weight 1", "one weight per layer"),
    "no steps back": ("style cat.png cat.png --steps -3", "steps"),
    "statistics that do not go together": ("style cat.png cat.png --normalization gatys", "Gram"),
    "the input as the output": ("dream cat.png -o cat.png", "'cat.png'"),
    "no data": ("train backbone", "--data"),
    "half of a training": ("train backbone --data cat.png", "--validation"),
    "no phase": ("train backbone --data cat.png --phases 40", "SIDExEPOCHS"),
    "a batch of one": ("train backbone --data cat.png --batch 1", "--batch cannot be 1; allowed: at least 2"),
    "a snapshot beyond the end": ("train backbone --data a --validation b -o c --snapshots 99", "0 to 45"),
    "a new head for no weights": ("train backbone --data a --validation b -o c --new-head", "--start"),
    "an unknown network to measure": ("train backbone --evaluate pockt --data cat.png", "'pocket'"),
    "no round": ("bench --rounds 0", "--rounds"),
    "an unknown network to time": ("bench --model pocket --model vgg18", "'vgg19'"),
    "an unknown network to list": ("models vgg18", "'vgg19'"),
}


@pytest.mark.parametrize(("command", "hint"), BAD_USAGE.values(), ids=BAD_USAGE)
def test_bad_usage_is_told_in_one_line_with_what_is_allowed(command, hint, oneira, picture, folder):
    before = sorted(folder.iterdir())
    ended = oneira(*command.split())
    assert ended.status == 2
    assert len(ended.lines) == 1
    assert ended.lines[0].startswith("oneira: ")
    assert hint in ended.lines[0]
    assert ended.out == ""
    assert sorted(folder.iterdir()) == before


TROUBLE = {
    "no such picture": ("dream cut.png", "'cat.png'"),
    "no such sample": ("dream sample:dog", "rocket"),
    "a folder": ("dream .", "folder"),
    "an empty file": ("dream empty.png", "'empty.png'"),
    "text": ("dream notes.txt", "'notes.txt'"),
    "a picture too small": ("dream dot.png", "a 1x1 picture is too small for"),
    "no such folder for the output": ("dream cat.png -o nowhere/dream.png", "'nowhere'"),
    "an unknown format": ("dream cat.png -o dream.xyz", ".png"),
    "a folder as the output": ("dream cat.png -o .", "extension"),
    "stages into a file": ("dream cat.png --stages cat.png", "'cat.png' is no folder"),
    "stages below a file": ("dream cat.png --stages cat.png/legs", "'cat.png' is no folder that may be written to"),
    "16 bits of a JPEG": ("dream cat.png -o dream.jpg --depth 16", "PNG 16"),
    "no such device": ("dream cat.png --device cuda:99", "auto or cpu"),
    "no such weights": ("dream cat.png --octaves 1 --layer relu1_1 --weights nofile.pth", "nofile.pth"),
    "a picture as weights": ("dream cat.png --octaves 1 --layer relu1_1 --weights cat.png", "safetensors"),
    "no weights offline": ("dream cat.png --octaves 1 --layer vgg19:relu1_1 --offline", "vgg19-dcbb9e9d.pth"),
    "nothing to resume": ("dream cat.png --resume", "no checkpoint"),
    "nothing to resume there": ("dream cat.png --resume -o dream.png", "dream.png.checkpoint"),
    "no recipe": ("recipe cat.png", "holds no recipe"),
    "nothing to make again": ("rerun cat.png", "holds no recipe"),
    "no picture to make again": ("rerun cut.png", "'cat.png'"),
    "no data to train on": ("train backbone --data nofile --validation nofile -o out", "nofile"),
    "nothing to measure on": ("train backbone --evaluate pocket --data nofile", "nofile"),
    "nothing to measure": ("train backbone --evaluate nofile.pth --data cat.png", "nofile.pth"),
    "a picture as a network": ("train backbone --evaluate cat.png --data cat.png", "safetensors"),
    "no training to go on with": ("train backbone --data a --validation b -o out --resume", "no checkpoint"),
    "a training into a file": ("train backbone --data a --validation b -o cat.png", "no folder"),
    "no weights to start from": ("train backbone --data a --validation b -o out --start nofile", "nofile"),
}


@pytest.mark.parametrize(("command", "hint"), TROUBLE.values(), ids=TROUBLE)
def test_trouble_with_input_or_machine_is_told_in_one_line(command, hint, oneira, picture, folder):
    (folder / "empty.png").touch()
    (folder / "notes.txt").write_text("notes\n")
    noise(folder / "dot.png", 1, 1)
    before = sorted(folder.iterdir())
    ended = oneira(*command.split())
    assert ended.status == 1
    assert len(ended.lines) == 1
    assert ended.lines[0].startswith("oneira: ")
    assert hint in ended.lines[0]
    assert ended.out == ""
    assert sorted(folder.iterdir()) == before


def test_debug_shows_where_an_error_came_from(oneira):
    ended = oneira("dream", "cut.png", "--debug")
    assert ended.status == 1
    assert ended.lines[0] == "Traceback (most recent call last):"
    assert ended.lines[-1].startswith("oneira: no picture")


def test_what_nobody_foresaw_is_told_in_one_line(oneira, happening):
    def fail(features):
        raise ZeroDivisionError("of a kind\nthat nobody foresaw")

    ended = oneira(*happening(fail, 1))
    assert ended.status == 1
    assert ended.lines == ["oneira: unexpected ZeroDivisionError: of a kind (--debug shows where)"]


def test_nothing_in_a_message_can_steer_a_terminal(oneira):
    ended = oneira("dream", "\x1b[2J\r\nsecond line\x07.png")
    assert ended.status == 1
    assert len(ended.lines) == 1
    assert ended.lines[0].isprintable()
