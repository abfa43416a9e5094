"""`oneira animate`, and a verb within a verb: what its words mean, what is made, and how it ends."""

import json
import shutil

import pytest
import torch
from interrupting import interrupt
from noise_pictures import noise
from PIL import Image, ImageSequence

from oneira.catalogue import TECHNIQUES
from oneira.cli import animate
from oneira.cli.animate_options import WITHOUT, AnimateOptions, AnimateRunning
from oneira.cli.inner import apart, outer_command
from oneira.cli.main import OUTERS, app
from oneira.cli.options import argument, option
from oneira.cli.run_options import RunOptions
from oneira.feedforward import TrainedNetwork, TransformerNetwork
from oneira.images import load, save
from oneira.motion.look import FilmLook
from oneira.motion.writing import FILMS
from oneira.techniques.refusals import option_name

VERBS = ", ".join(TECHNIQUES)


@pytest.fixture
def seen(monkeypatch):
    """What an outer verb of the tests' own was given: a clip, and a verb that works on it."""
    seen = {}

    def run(placed, given, **options):
        seen.update(placed=placed, given=given, options=options)
        return 0

    own = [argument("clip", str, "the clip"), option("frames", int, "how many"), option("pair", tuple[int, int], "two")]
    outer = outer_command(run, "filmed", "Film a clip.", own, without=("stages",))
    app.command(outer)
    monkeypatch.setitem(OUTERS, "filmed", outer)
    yield seen
    del app["filmed"]


class TestVerbWithin:
    @pytest.mark.parametrize(
        ("words", "placed", "verb", "inner", "outer"),
        [
            ("a.mp4 dream --layer relu2_1", ("a.mp4",), "dream", {"layer": ("relu2_1",)}, {}),
            ("a.mp4 style b.png c.png --size 64", ("a.mp4",), "style", {"style": ("b.png", "c.png"), "size": 64}, {}),
            ("a.mp4 --frames 3 dream --frames 7", ("a.mp4",), "dream", {"frames": 7}, {"frames": 3}),
            ("--frames=3 a.mp4 dream", ("a.mp4",), "dream", {}, {"frames": 3}),
            ("a.mp4 --pair 1 2 dream", ("a.mp4",), "dream", {}, {"pair": (1, 2)}),
            ("a.mp4 -qo style dream", ("a.mp4",), "dream", {}, {"quiet": True, "output": "style"}),
            ("a.mp4 -ostyle dream", ("a.mp4",), "dream", {}, {"output": "style"}),
            ("a.mp4 dream --seed 4 -q", ("a.mp4",), "dream", {}, {"seed": 4, "quiet": True}),
            ("a.mp4 --seed 4 dream -o b.gif", ("a.mp4",), "dream", {}, {"seed": 4, "output": "b.gif"}),
            ("./dream dream", ("./dream",), "dream", {}, {}),
            ("-- -a.mp4 dream --octaves 2", ("-a.mp4",), "dream", {"octaves": 2}, {}),
            ("a.mp4 dream --preset google", ("a.mp4",), "dream", {}, {}),
        ],
    )
    def test_words_belong_to_the_outer_verb_before_it_and_to_itself_behind(
        self, words, placed, verb, inner, outer, oneira, seen
    ):
        ended = oneira("filmed", *words.split())
        assert ended.status == 0, ended.err
        assert seen["placed"] == placed
        assert (seen["given"].technique, seen["given"].options) == (TECHNIQUES[verb], inner)
        assert {name: str(v) if name == "output" else v for name, v in seen["options"].items()} == outer
        assert seen["given"].preset == ("google" if "google" in words else None)

    def test_without_a_verb_there_is_none(self, oneira, seen):
        assert oneira("filmed", "a.mp4", "--frames", "3").status == 0
        assert (seen["placed"], seen["given"], seen["options"]) == (("a.mp4",), None, {"frames": 3})

    def test_it_works_on_the_picture_that_the_outer_verb_has(self, oneira, seen, picture):
        assert oneira("filmed", "a.mp4", "style", "sample:coffee", "--size", "64").status == 0
        made = seen["given"].of(str(picture))
        assert (made.content, made.style, made.size) == (str(picture), ("sample:coffee",), 64)

    def test_a_verb_that_works_on_no_picture_says_so(self, oneira, seen):
        assert oneira("filmed", "a.mp4", "visualize").status == 0
        with pytest.raises(Exception, match="works on none"):
            seen["given"].of("cat.png")

    @pytest.mark.parametrize("verb", TECHNIQUES)
    def test_its_help_is_its_own(self, verb, oneira, seen):
        for words in (["filmed", verb, "--help"], ["filmed", "a.mp4", "--frames", "2", verb, "-h"]):
            ended = oneira(*words)
            assert ended.status == 0
            assert ended.out.startswith(f"Usage: oneira filmed [OPTIONS OF FILMED] {verb} [OPTIONS]")
            for name in set(TECHNIQUES[verb].model_fields) - set(TECHNIQUES[verb].positional):
                assert f"{option_name(name)} " in ended.out
            assert "--pair" not in ended.out
            assert "--stages" not in ended.out
        assert not seen

    def test_the_help_of_the_outer_verb_names_the_verbs(self, oneira, seen):
        shown = " ".join(oneira("filmed", "--help").out.split())
        assert shown.startswith("Usage: oneira filmed [OPTIONS] CLIP VERB [ITS OPTIONS]")
        assert f"VERB is one of {VERBS}." in shown

    def test_presets_and_what_is_in_force_are_told_as_by_the_verb_alone(self, oneira, seen, picture):
        assert oneira("filmed", "a.mp4", "dream", "--preset", "list").out == oneira("dream", "--preset", "list").out
        within = oneira("filmed", "a.mp4", "dream", "--octaves", "2", "--explain").out
        alone = oneira("dream", "--octaves", "2", "--explain").out
        assert within.splitlines() == [line for line in alone.splitlines() if not line.startswith("--stages")]
        assert not seen

    @pytest.mark.parametrize(
        ("words", "told"),
        [
            ("a.mp4 dreem --octaves 2", f"unknown verb 'dreem'; did you mean 'dream'?: {VERBS}"),
            ("a.mp4 b.mp4 dream", "unknown verb 'b.mp4'"),
            ("dream --octaves 2", "filmed needs CLIP, before the verb 'dream'"),
            ("a.mp4 dream --octave 2", "Did you mean --octaves"),
            ("a.mp4 --bogus dream", "--bogus"),
            ("a.mp4 dream cat.png", "cat.png"),
            ("a.mp4 dream --octaves many", "many"),
            ("a.mp4 --seed 1 dream --seed 2", "--seed is given before the verb and behind it"),
            ("a.mp4 dream --stages x", "--stages"),
        ],
    )
    def test_bad_usage_is_told_in_one_line(self, words, told, oneira, seen):
        ended = oneira("filmed", *words.split())
        assert ended.status == 2
        assert len(ended.lines) == 1
        assert told in ended.lines[0]
        assert not seen

    def test_words_of_other_commands_are_left_alone(self):
        for words in ([], ["dream", "cat.png", "style"], ["animate"]):
            assert apart(words, OUTERS) == words
        assert apart(["animate", "--fade", "2", "dream", "-x"], OUTERS) == [
            "animate",
            "--fade",
            "2",
            "--",
            "dream",
            "-x",
        ]


def frames_of(path):
    with Image.open(path) as film:
        return [(frame.convert("RGB").copy(), frame.info["duration"]) for frame in ImageSequence.Iterator(film)]


def shades(path):
    return [round(sum(frame.resize((1, 1), Image.Resampling.BOX).getpixel((0, 0))) / 3) for frame, _ in frames_of(path)]


@pytest.fixture
def greys(folder):
    """Pictures of one grey each, whose names no alphabet puts in order."""
    (folder / "greys").mkdir()
    for number, level in ((2, 60), (10, 120), (1, 0)):
        save(folder / f"greys/{number}.png", torch.full((1, 3, 20, 28), level / 255))
    return folder / "greys"


class TestPictures:
    def test_a_folder_becomes_a_film_in_the_order_of_its_names(self, oneira, greys):
        ended = oneira("animate", "greys", "-o", "film.webp")
        assert ended.status == 0, ended.err
        assert ended.lines[-1].startswith("wrote film.webp (28x20, 3 frames, ")
        assert shades("film.webp") == pytest.approx([0, 60, 120], abs=2)
        assert sum(duration for _, duration in frames_of("film.webp")) == pytest.approx(250, abs=2)

    def test_it_is_called_after_what_it_is_made_of(self, oneira, greys, folder):
        assert oneira("animate", "greys").lines[-1].startswith("wrote greys-animate.gif")
        assert oneira("animate", "greys/2.png", "greys/1.png").lines[-1].startswith("wrote 2-animate.gif")
        assert oneira("animate", "greys").lines[-1].startswith("wrote greys-animate-2.gif")

    def test_pictures_are_held_and_fade(self, oneira, greys):
        words = ["greys", "--hold", "0.5", "--fade", "2", "--fps", "10"]
        assert oneira("animate", *words, "-o", "film.webp").status == 0
        assert shades("film.webp") == pytest.approx([0, 20, 40, 60, 80, 100, 120], abs=2)
        assert [duration for _, duration in frames_of("film.webp")] == [500, 100, 100, 500, 100, 100, 500]

    def test_a_boomerang_comes_back(self, oneira, greys):
        assert oneira("animate", "greys", "--boomerang", "-o", "film.webp").status == 0
        assert shades("film.webp") == pytest.approx([0, 60, 120, 60], abs=2)

    def test_others_are_fitted_into_the_first_ones_proportions(self, oneira, folder):
        save(folder / "wide.png", torch.ones(1, 3, 20, 40))
        save(folder / "tall.png", torch.ones(1, 3, 40, 20))
        assert oneira("animate", "wide.png", "tall.png", "--size", "80", "-o", "film.webp").status == 0
        (first, _), (second, _) = frames_of("film.webp")
        assert first.size == second.size == (80, 40)
        assert second.getpixel((5, 20)) == second.getpixel((74, 20)) == (0, 0, 0)
        assert min(second.getpixel((40, 20))) > 250

    def test_captions_are_the_names_of_the_files(self, oneira, greys):
        assert oneira("animate", "greys", "--captions", "--size", "100", "-o", "film.webp").status == 0
        (first, _), (second, _), _ = frames_of("film.webp")
        assert first.size == second.size
        assert first.size[0] == 100
        assert first.size[1] > 71
        assert first.crop((0, 72, *first.size)).tobytes() != second.crop((0, 72, *first.size)).tobytes()

    def test_the_recipe_names_them(self, oneira, greys):
        assert oneira("animate", "greys", "-o", "film.webp", "--fade", "1").status == 0
        recipe = json.loads(oneira("recipe", "film.webp").out)
        assert recipe["technique"] == "animate"
        assert recipe["options"] == {"fade": 1, "fps": 12.0}
        assert [file["path"] for file in recipe["inputs"]["pictures"]] == ["greys/1.png", "greys/2.png", "greys/10.png"]
        again = oneira("rerun", "film.webp")
        assert again.status == 1
        assert again.lines[-1].endswith("was made by animate, which rerun does not follow; oneira recipe tells how")
        assert oneira("animate", "greys", "-o", "film.webp", "--no-recipe").status == 0
        assert "holds no recipe" in oneira("recipe", "film.webp").err

    @pytest.mark.parametrize(
        ("words", "status", "told"),
        [
            ("", 2, "animate needs pictures, folders of them, or --vary and a verb"),
            ("cut.png", 1, "no picture 'cut.png'"),
            ("empty", 2, "no picture in 'empty'"),
            ("cat.png -o film.giff", 1, "did you mean '.gif'?"),
            ("cat.png -o film.jpg", 1, "unknown extension '.jpg'"),
            ("cat.png -o cat.png", 2, "is the input 'cat.png'"),
            ("cat.png --frames 3", 2, "--frames is for a verb's pictures"),
            ("cat.png --vary strength=0:1", 2, f"animate needs a verb behind its own words: {VERBS}"),
            ("cat.png --vary strength=0:1 dream", 2, "'cat.png' stands before dream"),
            ("dream cat.png", 2, "--vary OPTION=FROM:TO before dream"),
            ("--vary strenght=0:1 dream cat.png", 2, "dream has no option --strenght; did you mean '--strength'?"),
            ("--vary octaves=0:3 dream cat.png", 2, "--octaves cannot be 0; allowed: at least 1"),
            ("--vary octaves=1:3 dream cat.png --octaves 2", 2, "--octaves changes from frame to frame, and is told"),
            ("--between a,b dream cat.png", 2, "--between leads from style to style of stylize, not of dream"),
            (
                "--between starry_night,great_wav stylize cat.png",
                2,
                "unknown style 'great_wav'; did you mean 'great_wave'?",
            ),
            ("--between night_wind,rose_window stylize cat.png --style rose_window", 2, "stands in place of --style"),
            ("--vary octaves=1:3 dreem cat.png", 2, "did you mean 'dream'?"),
            ("--vary octaves=1:3 dream cut.png --octave-scale 2", 1, "'cat.png'"),
            ("cat.png --limit 8", 2, "--limit cannot be '8'"),
            ("cat.png --limit 1KB", 2, "--limit cannot be '1KB'; allowed: an amount of at least 1024 bytes"),
            ("cat.png --fps 0", 2, "--fps cannot be 0.0; allowed: at least 0.01 and at most 240"),
            ("cat.png --fps 0.0004", 2, "--fps cannot be 0.0004; allowed: at least 0.01"),
            ("cat.png --hold 0.0004", 2, "--hold cannot be 0.0004; allowed: at least 0.01"),
            ("--vary octaves=1:3 --fps 0.0004 dream cat.png", 2, "--fps cannot be 0.0004"),
            ("--vary octaves=1:3 --hold 0.0004 dream cat.png", 2, "--hold cannot be 0.0004"),
            ("--vary octaves=1:3 -o film.mp4 --plays 2 dream cat.png", 2, "--plays is nothing that a film in .mp4 can"),
            ("--vary octaves=1:3 --quality 50 dream cat.png", 2, "--quality is nothing that a film in .gif can have"),
            ("--vary octaves=1:3 dream cat.png --weights no.pth", 1, "no weights 'no.pth'"),
            ("cat.png --seed 1", 2, "--seed is for a verb's pictures, not for those that are there: leave it out"),
            ("cat.png --device cpu", 2, "--device is for a verb's pictures"),
            ("cat.png --precision float32", 2, "--precision is for a verb's pictures"),
            ("cat.png --weights cat.png", 2, "--weights is for a verb's pictures"),
            ("cat.png --offline", 2, "--offline is for a verb's pictures"),
            ("cat.png --max-memory 4GB", 2, "--max-memory is for a verb's pictures"),
        ],
    )
    def test_what_cannot_be_is_told_in_one_line(self, words, status, told, oneira, picture, folder):
        (folder / "empty").mkdir()
        before = sorted(folder.iterdir())
        ended = oneira("animate", *words.split())
        assert ended.status == status
        assert len(ended.lines) == 1
        assert told in ended.lines[0]
        assert sorted(folder.iterdir()) == before


@pytest.fixture
def network(folder):
    network = TransformerNetwork(styles=3, channels=(4, 6, 8), residuals=1, identity=2)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.3 * torch.randn(parameter.shape, generator=generator))
    TrainedNetwork(network, ("starry", "wave", "itself")).write(folder / "net.safetensors")
    return ["--network", "net.safetensors"]


class TestVerbsPictures:
    def test_each_frame_has_a_value(self, oneira, picture, network, folder):
        words = ["stylize", picture, *network, "--style", "wave"]
        ended = oneira("animate", "--vary", "strength=0:1", "--frames", 3, "-o", "film.png", *words)
        assert ended.status == 0, ended.err
        assert ended.lines[-1].startswith("wrote film.png (28x20, 3 frames, ")
        assert not (folder / "film.png.frames").exists()
        for (frame, _), strength in zip(frames_of("film.png"), ("0", "0.5", "1"), strict=True):
            assert oneira(*words, "--strength", strength, "-o", "alone.png").status == 0
            with Image.open("alone.png") as alone:
                assert frame.tobytes() == alone.convert("RGB").tobytes()

    def test_it_goes_from_style_to_style(self, oneira, picture, network):
        words = ["stylize", picture, *network]
        ended = oneira("animate", "--between", "starry,wave,itself", "--frames", 2, "-o", "film.png", *words)
        assert ended.status == 0, ended.err
        frames = frames_of("film.png")
        blends = ("starry=1", "starry=0.5,wave=0.5", "wave=1", "wave=0.5,itself=0.5", "itself=1")
        for (frame, _), blend in zip(frames, blends, strict=True):
            assert oneira(*words, "--blend", blend, "-o", "alone.png").status == 0
            with Image.open("alone.png") as alone:
                assert frame.tobytes() == alone.convert("RGB").tobytes()

    def test_several_options_change_together(self, oneira, picture, network):
        words = [
            "--vary",
            "strength=0:1",
            "--vary",
            "style=starry,wave",
            "-o",
            "film.png",
            "stylize",
            picture,
            *network,
        ]
        assert oneira("animate", *words).status == 0
        recipe = json.loads(oneira("recipe", "film.png").out)
        assert recipe["options"]["verb"] == "stylize"
        assert recipe["options"]["vary"] == ["strength=0:1", "style=starry,wave"]
        assert list(recipe["weights"]) == ["network"]
        assert recipe["inputs"]["image"]["path"] == str(picture)

    def test_where_the_size_changes_the_film_is_as_large_as_the_largest(self, oneira, picture, network):
        words = ["--vary", "size=28,56,16", "-o", "film.png", "stylize", picture, *network]
        assert oneira("animate", *words).status == 0
        assert [frame.size for frame, _ in frames_of("film.png")] == [(56, 40)] * 3

    def test_progress_is_told_as_json(self, oneira, picture, network):
        ended = oneira("animate", "--vary", "strength=0,1", "--json", "stylize", picture, *network)
        assert [json.loads(line) for line in ended.out.splitlines()] == [
            {"done": done, "total": 2} for done in (0, 1, 2)
        ]

    @pytest.mark.parametrize(("at", "kept"), [(2, 0), (13, 1), (22, 2)])
    def test_interrupted_it_goes_on_to_the_same_film(self, at, kept, oneira, happening, folder):
        def film(command, output):
            return oneira("animate", "--vary", "step=0.01:0.02", "--frames", 3, "-o", output, *command)

        assert film(happening(None), "whole.png").status == 0
        ended = film(happening(interrupt, at), "broken.png")
        assert ended.status == 130
        assert not (folder / "broken.png").exists()
        assert (folder / "broken.png.frames").exists() == bool(kept)
        told = f"{kept} of 3 frames are kept; the same command goes on" if kept else "no frame was done"
        assert told in ended.lines[-1]
        assert film(happening(None), "broken.png").status == 0
        assert (folder / "broken.png").read_bytes() == (folder / "whole.png").read_bytes()
        assert not (folder / "broken.png.frames").exists()

    def test_killed_it_goes_on_too(self, oneira, happening, folder):
        def film(command, output):
            return oneira("animate", "--vary", "step=0.01:0.02", "--frames", 3, "-o", output, *command)

        def copied(features):
            shutil.copytree(folder / "whole.png.frames", folder / "broken.png.frames")  # all that a kill leaves
            return features

        assert film(happening(copied, 13), "whole.png").status == 0
        assert [path.name for path in (folder / "broken.png.frames").glob("*.png")] == ["000001.png"]
        assert film(happening(None), "broken.png").status == 0
        assert (folder / "broken.png").read_bytes() == (folder / "whole.png").read_bytes()

    def test_another_command_does_not_go_on_there(self, oneira, happening, folder):
        words = ["animate", "-o", "film.png", "--frames", 3, "--vary"]
        assert oneira(*words, "step=0.01:0.02", *happening(interrupt, 13)).status == 130
        ended = oneira(*words, "step=0.01:0.03", *happening(None))
        assert ended.status == 1
        assert "another job" in ended.lines[-1]

    def test_a_frame_that_fails_leaves_those_before_it(self, oneira, picture, folder):
        (folder / "broken.png").write_text("no picture")
        words = ["--vary", "image=cat.png,broken.png", "-o", "film.gif", "dream"]
        ended = oneira("animate", *words, "--layer", "tiny:relu2", "--octaves", 1, "--steps", 1)
        assert ended.status == 1
        assert "'broken.png'" in ended.lines[-1]
        assert not (folder / "film.gif").exists()
        assert [path.name for path in (folder / "film.gif.frames").glob("*.png")] == ["000001.png"]


OPTIONS = {
    "vary": (["--vary", "a=1", "--vary", "b=2"], ("a=1", "b=2")),
    "between": (["--between", "a,b"], "a,b"),
    "frames": (["--frames", "3"], 3),
    "hold": (["--hold", "0.5"], 0.5),
    "fade": (["--fade", "2"], 2),
    "boomerang": (["--boomerang"], True),
    "captions": (["--captions"], True),
    "size": (["--size", "64"], 64),
    "limit": (["--limit", "8MB"], "8MB"),
}
LOOK = {
    "quality": (["--quality", "50"], 50),
    "plays": (["--plays", "2"], 2),
    "colours": (["--colors", "16"], 16),
    "dither": (["--dither", "none"], "none"),
    "most_bytes": (["--limit", "8MB"], 8_000_000),
}


def test_every_option_is_listed_here():
    assert set(OPTIONS) == set(AnimateOptions.model_fields)
    assert set(LOOK) == set(FilmLook.model_fields)
    assert set(AnimateRunning.model_fields) == set(RunOptions.model_fields) > set(WITHOUT)


@pytest.mark.parametrize(
    ("part", "name", "words", "meaning"),
    [("options", name, *told) for name, told in OPTIONS.items()]
    + [("look", name, *told) for name, told in LOOK.items()],
)
def test_an_option_reaches_the_film(part, name, words, meaning, oneira, picture, monkeypatch):
    made = {}
    monkeypatch.setattr(animate, "_of_verb", lambda given, making: made.update(making=making) or 0)
    beside = [] if name in ("vary", "between") else ["--vary", "octaves=1:2"]
    assert oneira("animate", *beside, *words, "dream", picture).status == 0
    assert getattr(getattr(made["making"], part), name) == meaning


@pytest.mark.parametrize("name", WITHOUT)
def test_what_would_change_nothing_is_no_option(name, oneira, picture):
    ended = oneira("animate", picture, option_name(name))
    assert ended.status == 2
    assert option_name(name) in ended.lines[0]


WORDS_OF_LOOK = {name: words for name, (words, _) in LOOK.items()}
ANIMATED = {"plays", "most_bytes"}
TAKES = {
    ".gif": ANIMATED | {"colours", "dither"},
    ".webp": ANIMATED | {"quality"},
    ".png": ANIMATED,
    ".apng": ANIMATED,
    **{extension: {"quality"} for extension in (".mp4", ".m4v", ".mov", ".mkv", ".webm")},
}


def test_every_extension_is_listed_here():
    assert set(TAKES) == set(FILMS)


@pytest.mark.parametrize("name", LOOK)
@pytest.mark.parametrize("extension", TAKES)
def test_a_look_that_a_film_cannot_have_is_refused(extension, name, oneira, picture, folder):
    words, film = WORDS_OF_LOOK[name], folder / f"film{extension}"
    ended = oneira("animate", picture, *words, "-o", film.name)
    if name in TAKES[extension]:
        assert ended.status == 0, ended.err
    else:
        told = f"oneira: {words[0]} is nothing that a film in {extension} can have: leave it out"
        assert (ended.status, ended.lines) == (2, [told])
    assert film.exists() == (name in TAKES[extension])


def test_what_pictures_that_are_there_may_be_told_is_what_films_take(oneira, picture):
    words = {"output": ["-o", "a.gif"], "fps": ["--fps", 24], "no_recipe": ["--no-recipe"], "quiet": ["-q"]}
    words["as_json"] = ["--json"]
    assert set(words) == animate.OF_FILMS
    for told in words.values():
        assert oneira("animate", picture, *told).status == 0


def test_a_film_of_its_own_container_tells_its_recipe_too(oneira, picture):
    pytest.importorskip("av", reason="films in containers need PyAV")
    assert oneira("animate", picture, "-o", "film.mp4").status == 0
    assert json.loads(oneira("recipe", "film.mp4").out)["inputs"]["pictures"][0]["path"].endswith("cat.png")


def test_a_look_reaches_the_file(oneira, folder):
    noise(folder / "noise.png", 200, 200)
    for name, words in {"fine": [], "coarse": ["--colors", "4"], "small": ["--limit", "30KB"]}.items():
        assert oneira("animate", "noise.png", "-o", f"{name}.gif", *words).status == 0
    assert len(frames_of("coarse.gif")[0][0].getcolors()) <= 4 < len(frames_of("fine.gif")[0][0].getcolors(40_000))
    assert (folder / "small.gif").stat().st_size <= 30_000 < (folder / "fine.gif").stat().st_size
    assert load("small.gif").shape[2] < 200
