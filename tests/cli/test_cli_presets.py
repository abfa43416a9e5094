"""What a preset sets and what is in force, told without making a picture; pictures that may be left out."""

import re
import shlex

import pytest

from oneira.catalogue import TECHNIQUES
from oneira.cli import verbs
from oneira.images import Picture, read_recipe

EVERY = pytest.mark.parametrize("verb", TECHNIQUES)


def rows(text):
    """The table that was printed: (option, value, who set it), by option."""
    lines = (re.split(r"  +", line.strip()) for line in text.splitlines())
    return {words[0]: tuple(words[1:]) for words in lines if len(words) == 3}


@pytest.fixture
def configured(monkeypatch):
    """What would have been run, instead of running it."""
    seen = []
    monkeypatch.setattr(verbs, "run_technique", lambda technique, *_: seen.append(technique) or 0)
    return seen


class TestList:
    @EVERY
    def test_every_preset_is_told_with_its_source_and_without_a_picture(self, verb, oneira, folder):
        ended = oneira(verb, "--preset", "list")
        assert (ended.status, ended.err) == (0, "")
        told = [re.split(r"  +", line.strip()) for line in ended.out.splitlines()[1:]]
        assert [(name, source) for name, source, _ in told] == [
            (name, preset.source) for name, preset in TECHNIQUES[verb].presets.items()
        ]
        assert "\x1b" not in ended.out
        assert list(folder.iterdir()) == []

    def test_those_of_the_dream(self, oneira):
        sources = "google lapnorm tensorflow hvass neural-dream gordicaleksa lucid maco"
        lines = oneira("dream", "--preset", "list").out.splitlines()[1:]
        assert " ".join(line.split()[0] for line in lines) == f"pocket class {sources}"

    @EVERY
    def test_what_is_told_typed_means_the_preset(self, verb, oneira, picture, configured):
        pictures = [picture] * len(TECHNIQUES[verb].positional)
        for line in oneira(verb, "--preset", "list").out.splitlines()[1:]:
            name, _, typed = re.split(r"  +", line.strip())
            words = shlex.split(typed) if typed.startswith("--") else []
            assert oneira(verb, *pictures, *words).status == 0
            assert oneira(verb, *pictures, "--preset", name).status == 0
            assert configured[-1] == configured[-2]

    def test_only_what_differs_from_the_defaults_is_told(self, oneira, tour):
        out = oneira(*tour, "--preset", "list").out
        assert "somebody [b]else[/b], 2015  --legs 'a b' --legs c --strength 0.3333333333333333 --loud" in out
        assert "--steps" not in out

    @EVERY
    def test_list_is_the_name_of_no_preset(self, verb):
        assert "list" not in TECHNIQUES[verb].presets


class TestExplain:
    @EVERY
    def test_every_option_is_told_and_nothing_is_made(self, verb, oneira, folder):
        ended = oneira(verb, "--explain")
        assert (ended.status, ended.err) == (0, "")
        technique = TECHNIQUES[verb]
        default = next(name for name, preset in technique.presets.items() if not preset.options)
        assert ended.out.splitlines()[0] == f"{verb}, preset {default}: {technique.presets[default].source}"
        listed = {line.split()[0] for line in ended.out.splitlines() if line.strip()}
        wanted = {name.upper() if name in technique.positional else name for name in technique.model_fields}
        assert {name.lstrip("-").replace("-", "_") for name in listed} >= {name.rstrip("_") for name in wanted}
        assert {"--output", "--device", "--json"} <= listed
        assert ({"--seed", "--stages"} <= listed) == (verb != "stylize")
        assert "\x1b" not in ended.out
        assert list(folder.iterdir()) == []

    def test_a_needed_picture_is_yet_to_be_given(self, oneira, picture, folder):
        for given, told in (([], "to be given"), ([picture], f"{picture} +given")):
            out = oneira("style", *given, "--explain").out
            assert re.search(rf"^CONTENT +{told}", out, re.MULTILINE)
            assert re.search(r"^STYLE +to be given", out, re.MULTILINE)

    def test_it_marks_who_set_what(self, oneira, tour):
        table = rows(oneira(*tour, "--explain", "--preset", "long", "--legs", "x", "--seed", 3, "--depth", 8).out)
        assert table["--legs"] == ("x", "given")
        assert table["--strength"] == ("0.3333333333333333", "preset")
        assert table["--steps"] == ("2", "preset")  # which is the default, too
        assert table["--loud"] == ("yes", "preset")
        assert table["--size"] == ("28", "default")
        assert table["IMAGE"] == ("noise", "default")
        assert table["--mask"] == ("none", "default")
        assert table["--seed"] == ("3", "given")
        assert table["--depth"] == ("8", "given")
        assert table["--quiet"] == ("no", "default")

    @EVERY
    def test_every_departure_of_every_preset_is_told(self, verb, oneira):
        for name, preset in TECHNIQUES[verb].presets.items():
            ended = oneira(verb, "--explain", "--preset", name)
            assert (ended.status, ended.err) == (0, "")
            assert ended.out.splitlines()[0] == f"{verb}, preset {name}: {preset.source}"
            told = [f"{number}. {departure}" for number, departure in enumerate(preset.departures, 1)]
            assert [line for line in ended.out.splitlines() if re.match(r"\d+\. ", line)] == told

    def test_departures_are_numbered(self, oneira, tour):
        out = oneira(*tour, "--explain").out
        assert out.splitlines()[-2:] == ["1. It [b]is[/b] short, because tests are.", "2. It ends."]
        assert "depart" not in oneira(*tour, "--explain", "--preset", "long").out

    @pytest.mark.parametrize(
        ("words", "hint"),
        [
            (["--preset", "gogle"], "did you mean 'google'?: pocket, class, google, "),
            (["--steps", "0"], "--steps cannot be 0; allowed: at least 1 and at most 100000"),
            (["--steps", "3", "--steps", "-1"], "--steps cannot be -1; allowed: at least 1 and at most 100000"),
            (["--step", "0"], "--step cannot be 0.0; allowed: above 0"),
            (["--seed", "-1"], "--seed cannot be -1"),
        ],
    )
    def test_what_is_not_allowed_is_told_as_in_a_run(self, words, hint, oneira):
        ended = oneira("dream", "--explain", *words)
        assert (ended.status, ended.out) == (2, "")
        assert len(ended.lines) == 1
        assert hint in ended.lines[0]

    def test_nothing_in_a_name_steers_the_terminal(self, oneira):
        out = oneira("style", "\x1b[2J[red].png", "--explain").out
        assert "\\x1b[2J[red].png" in out
        assert "\x1b" not in out


class TestPicturesThatMayBeLeftOut:
    def test_usage(self, oneira, tour):
        shown = oneira(*tour, "--help").out
        assert shown.splitlines()[0] == "Usage: oneira tour [OPTIONS] [IMAGE]"
        assert "--mask FILE" in shown
        assert "MASK " not in shown.replace("--mask", "")
        assert "required" not in shown
        assert "[required]" in oneira("style", "--help").out

    def test_without_any(self, oneira, tour, folder):
        assert oneira(*tour).status == 0
        assert [path.name for path in folder.iterdir()] == ["tour.png"]
        assert read_recipe("tour.png").inputs == {}
        assert oneira("rerun", "tour.png").status == 0
        assert (folder / "tour-rerun.png").read_bytes() == (folder / "tour.png").read_bytes()

    def test_those_by_name_and_those_by_place_are_recorded(self, oneira, tour, picture, painting, folder):
        assert oneira(*tour, "--mask", painting).status == 0
        assert set(read_recipe("tour.png").inputs) == {"mask"}
        assert oneira(*tour, picture, "--mask", painting).status == 0
        inputs = read_recipe("cat-tour.png").inputs
        assert {name: entry.sha256 for name, entry in inputs.items()} == {
            "image": Picture.open(picture).sha256,
            "mask": Picture.open(painting).sha256,
        }
        assert oneira("rerun", "cat-tour.png").status == 0
        painting.write_bytes(picture.read_bytes())
        assert "another file" in oneira("rerun", "cat-tour.png").err

    @pytest.mark.parametrize("name", ["cat.png", "painting.png"])
    def test_none_is_written_over(self, name, oneira, tour, picture, painting):
        ended = oneira(*tour, picture, "--mask", painting, "-o", name)
        assert ended.status == 2
        assert f"is the input '{picture.with_name(name)}'" in ended.lines[0]

    def test_what_is_needed_is_named(self, oneira, picture):
        assert oneira("style").lines == ["oneira: style needs CONTENT"]
        assert oneira("style", picture).lines == ["oneira: style needs STYLE"]
