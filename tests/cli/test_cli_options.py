"""Every option that is shown is one that does something: it reaches what it is for."""

import pytest
from noise_pictures import noise

from oneira.cli import bench, provenance, train, verbs
from oneira.cli.bench import BenchOptions
from oneira.cli.run_options import RerunOptions, RunOptions
from oneira.cli.train import DECLARED_HERE, TrainOptions
from oneira.features.training import Phase, TrainingSettings
from oneira.techniques import TECHNIQUES

# Words on the command line, and what they mean; one entry for every option there is, none of it a default.
RUN = {
    "output": (["-o", "other.png"], "other.png"),
    "seed": (["--seed", "7"], 7),
    "device": (["--device", "cpu"], "cpu"),
    "precision": (["--precision", "float32"], "float32"),
    "weights": (["--weights", "my.pth"], "my.pth"),
    "offline": (["--offline"], True),
    "save_every": (["--save-every", "2.5"], 2.5),
    "resume": (["--resume", "-o", "other.png"], True),
    "stages": (["--stages", "legs"], "legs"),
    "depth": (["--depth", "16"], 16),
    "sidecar": (["--sidecar"], True),
    "no_recipe": (["--no-recipe"], True),
    "quiet": (["-q"], True),
    "as_json": (["--json"], True),
}
TECHNIQUE = {
    "dream": {
        "size": (["--size", "40"], 40),
        "model": (["--model", "alexnet"], "alexnet"),
        "layer": (["--layer", "relu1_1", "--layer", "relu2_1"], ("relu1_1", "relu2_1")),
        "layer_weight": (["--layer-weight", "0.5", "--layer-weight", "-1"], (0.5, -1)),
        "loss": (["--loss", "mean"], "mean"),
        "power": (["--power", "4"], 4),
        "channels": (["--channels", "all-but:3,4"], "all-but:3,4"),
        "channels_once": (["--channels-once"], True),
        "channels_seed": (["--channels-seed", "9"], 9),
        "at": (["--at", "1,2"], "1,2"),
        "class_": (["--class", "banana", "--class", "auto"], ("banana", "auto")),
        "class_against": (["--class-against", "0.5"], 0.5),
        "direction": (["--direction", "12:1,40:-0.5"], "12:1,40:-0.5"),
        "guide_by": (["--guide-by", "mean"], "mean"),
        "style_weight": (["--style-weight", "2"], 2),
        "smoothness": (["--smoothness", "0.5"], 0.5),
        "restraint": (["--restraint", "0.5"], 0.5),
        "start": (["--start", "white"], "white"),
        "canvas": (["--canvas", "fourier"], "fourier"),
        "spread": (["--spread", "0.1"], 0.1),
        "colors": (["--colors", "content"], "content"),
        "unclipped": (["--unclipped"], True),
        "octaves": (["--octaves", "2"], 2),
        "octave_scale": (["--octave-scale", "1.5"], 1.5),
        "rounds": (["--rounds", "2"], 2),
        "carry": (["--carry", "result"], "result"),
        "recursive": (["--recursive"], True),
        "blend": (["--blend", "0.5"], 0.5),
        "preblur": (["--preblur", "0.5"], 0.5),
        "steps": (["--steps", "3", "--steps", "2"], (3, 2)),
        "step": (["--step", "0.5"], 0.5),
        "strength": (["--strength", "2", "--strength", "0.5"], (2, 0.5)),
        "optimiser": (["--optimiser", "adam"], "adam"),
        "jitter": (["--jitter", "0"], 0),
        "transforms": (["--transforms", "robust"], "robust"),
        "gradient": (["--gradient", "laplacian"], "laplacian"),
        "levels": (["--levels", "2"], 2),
        "level_sigma": (["--level-sigma", "2"], 2),
        "blur": (["--blur", "0.5"], 0.5),
        "blur_growth": (["--blur-growth", "2"], 2),
        "blur_factors": (["--blur-factors", "0.5", "--blur-factors", "2"], (0.5, 2)),
        "blur_kernel": (["--blur-kernel", "9"], 9),
        "tile": (["--tile", "64"], 64),
        "tile_offset": (["--tile-offset", "fixed"], "fixed"),
        "tile_gradient": (["--tile-gradient", "std"], "std"),
        "through": (["--through", "relu1_1..relu2_2"], "relu1_1..relu2_2"),
        "random_channels": (["--random-channels", "3"], 3),
        "from_": (["--from", "relu2_1"], "relu2_1"),
        "zoom": (["--zoom", "1.1"], 1.1),
        "rotate": (["--rotate", "-3"], -3),
        "frames": (["--frames", "2"], 2),
    },
    "style": {
        "size": (["--size", "300"], 300),
        "model": (["--model", "vgg16"], "vgg16"),
        "content_weight": (["--content-weight", "0"], 0),
        "style_weight": (["--style-weight", "2"], 2),
        "content_layer": (["--content-layer", "relu1_1"], ("relu1_1",)),
        "style_layer": (["--style-layer", "relu1_1", "--style-layer", "relu3_1"], ("relu1_1", "relu3_1")),
        "style_layer_weight": (
            [word for weight in "54321" for word in ("--style-layer-weight", weight)],
            (5, 4, 3, 2, 1),
        ),
        "statistics": (["--statistics", "wasserstein"], ("wasserstein",)),
        "normalization": (["--normalization", "average"], "average"),
        "style_scale": (["--style-scale", "2"], 2),
        "smoothness": (["--smoothness", "0"], 0),
        "pooling": (["--pooling", "l2"], "l2"),
        "pooling_gain": (["--pooling-gain", "1.25"], 1.25),
        "dream": (["--dream", "relu1_1", "--dream", "relu2_1"], ("relu1_1", "relu2_1")),
        "dream_weight": (["--dream-weight", "2"], 2),
        "padding": (["--padding", "reflect"], "reflect"),
        "optimiser": (["--optimiser", "rmsprop"], "rmsprop"),
        "rate": (["--rate", "0.5"], 0.5),
        "start": (["--start", "pink-noise"], "pink-noise"),
        "colors": (["--colors", "content-lab"], "content-lab"),
        "smallest": (["--smallest", "64"], 64),
        "ratio": (["--ratio", "2"], 2),
        "steps": (["--steps", "9", "--steps", "8"], (9, 8)),
        "averaging": (["--averaging", "0.5"], 0.5),
    },
}
# What some options are about: without it they would change nothing, or be refused.
BESIDE = {
    "dream": {
        "layer_weight": ["--layer", "relu1_1", "--layer", "relu2_1"],
        "power": ["--loss", "norm"],
        "channels_once": ["--channels", "typical:2"],
        "channels_seed": ["--channels", "random:2"],
        "at": ["--channels", "3"],
        "class_against": ["--class", "banana"],
        "guide_by": ["--guide", "other.png"],
        "style_weight": ["--style", "other.png"],
        "spread": ["--start", "pink-noise"],
        "spectrum": ["--canvas", "maco"],
        "blend": ["--recursive"],
        "levels": ["--gradient", "laplacian"],
        "level_sigma": ["--gradient", "laplacian"],
        "blur_growth": ["--blur", "1"],
        "blur_factors": ["--blur", "1"],
        "blur_kernel": ["--blur", "1"],
        "tile_offset": ["--tile", "64"],
        "tile_gradient": ["--tile", "64"],
        "random_channels": ["--through", "relu1_1..relu2_2"],
        "from_": ["--through", "relu1_1..relu2_2", "--random-channels", "3"],
        "rotate": ["--zoom", "1.1"],
        "frames": ["--zoom", "1.1"],
    },
    "style": {"dream_weight": ["--dream", "relu4_2"]},
}
TRAIN = {
    "data": (["--data", "a.npz", "b.npz"], ("a.npz", "b.npz")),
    "validation": (["--validation", "c.npz"], ("c.npz",)),
    "output": (["-o", "out"], "out"),
    "side": (["--side", "32"], 32),
    "start": (["--start", "w"], "w"),
    "new_head": (["--new-head"], True),
    "snapshots": (["--snapshots", "0", "2"], (0, 2)),
    "resume": (["--resume"], True),
    "evaluate": (["--evaluate", "vgg11"], "vgg11"),
    "resized": (["--resized", "256"], 256),
    "offline": (["--offline"], True),
    "device": (["--device", "cpu"], "cpu"),
    "precision": (["--precision", "bfloat16"], "bfloat16"),
    "quiet": (["--quiet"], True),
}
SETTINGS = {
    "phases": (["--phases", "16x2,24x1"], (Phase(side=16, epochs=2), Phase(side=24, epochs=1))),
    "batch": (["--batch", "4"], 4),
    "peak_rate": (["--peak-rate", "0.01"], 0.01),
    "warmup": (["--warmup", "0.5"], 0.5),
    "momentum": (["--momentum", "0.5"], 0.5),
    "weight_decay": (["--weight-decay", "0"], 0),
    "label_smoothing": (["--label-smoothing", "0"], 0),
    "average_decay": (["--average-decay", "0.5"], 0.5),
    "seed": (["--seed", "5"], 5),
}
BENCH = {
    "size": (["--size", "64"], 64),
    "rounds": (["--rounds", "2"], 2),
    "model": (["--model", "vgg11"], ("vgg11",)),
    "device": (["--device", "cpu"], "cpu"),
}


def plain(value):
    """Paths as text, to compare with what was typed."""
    if isinstance(value, tuple):
        return tuple(map(plain, value))
    return value if isinstance(value, str | int | float | Phase) else str(value)


@pytest.fixture
def given(monkeypatch):
    """What would have been run, instead of running it."""
    seen = {}

    def picture(technique, run, *_, **__):
        seen.update(technique=technique, run=run)
        return 0

    def training(_, options, *settings):
        seen.update(options=options, settings=settings)
        return 0

    def measure(name, precision, options):
        seen["options"] = options
        return 1.0, 2.0, "1x1"

    monkeypatch.setattr(verbs, "run_technique", picture)
    monkeypatch.setattr(provenance, "run_technique", picture)
    monkeypatch.setattr(train, "_trained", training)
    monkeypatch.setattr(train, "_evaluated", training)
    monkeypatch.setattr(bench, "_measure", measure)
    return seen


@pytest.fixture
def command(picture, painting, folder):
    noise(folder / "other.png", seed=2)
    return {"dream": ["dream", picture], "style": ["style", picture, painting]}


EVERY = [(verb, name) for verb, options in TECHNIQUE.items() for name in options]
NAMED_PICTURES = [(v, n) for v, t in TECHNIQUES.items() for n in t.picture_fields() if n not in t.positional]


def test_every_option_of_every_technique_is_listed_here():
    assert set(TECHNIQUE) == set(TECHNIQUES)
    for verb, technique in TECHNIQUES.items():
        assert set(TECHNIQUE[verb]) == set(technique.model_fields) - set(technique.picture_fields())


@pytest.mark.parametrize(("verb", "name"), EVERY)
def test_an_option_reaches_its_technique_and_changes_the_plan(verb, name, oneira, command, given):
    words, meaning = TECHNIQUE[verb][name]
    beside = BESIDE.get(verb, {}).get(name, [])
    ended = oneira(*command[verb], *beside)
    assert ended.status == 0, ended.err
    default = given["technique"]
    ended = oneira(*command[verb], *beside, *words)
    assert ended.status == 0, ended.err
    changed = given["technique"]
    assert getattr(changed, name) == meaning
    assert {n for n in type(changed).model_fields if getattr(changed, n) != getattr(default, n)} == {name}
    assert changed.plan().fingerprint != default.plan().fingerprint


@pytest.mark.parametrize(("verb", "name"), NAMED_PICTURES)
def test_a_picture_by_name_reaches_its_technique_and_changes_the_plan(verb, name, oneira, command, given):
    beside = BESIDE.get(verb, {}).get(name, [])
    ended = oneira(*command[verb], *beside, f"--{name}", "other.png")
    assert ended.status == 0, ended.err
    assert given["technique"].inputs[name] == "other.png"
    changed = given["technique"].plan().fingerprint
    assert oneira(*command[verb], *beside).status == 0
    assert given["technique"].plan().fingerprint != changed


@pytest.mark.parametrize("verb", TECHNIQUE)
def test_every_picture_by_place_changes_the_plan(verb, oneira, command, given):
    assert oneira(*command[verb]).status == 0
    default = given["technique"].plan().fingerprint
    for place in range(1, len(command[verb])):
        words = list(command[verb])
        words[place] = "sample:coffee"
        assert oneira(*words).status == 0
        assert given["technique"].plan().fingerprint != default


@pytest.mark.parametrize(("verb", "preset"), [(v, p) for v, t in TECHNIQUES.items() for p in t.presets])
def test_presets_are_chosen_by_name_and_overridden_by_options(verb, preset, oneira, command, given):
    assert oneira(*command[verb], "--preset", preset, "--steps", 3).status == 0
    chosen = given["technique"]
    for name, value in type(chosen).presets[preset].options.items():
        if name != "steps":
            assert getattr(chosen, name) == value
    assert chosen.steps == (3,)
    chosen.plan()


@pytest.mark.parametrize("name", RUN)
@pytest.mark.parametrize("verb", TECHNIQUE)
def test_an_option_of_every_verb_reaches_the_run(verb, name, oneira, command, given):
    words, meaning = RUN[name]
    ended = oneira(*command[verb], *words)
    assert ended.status == 0, ended.err
    assert plain(getattr(given["run"], name)) == meaning


@pytest.mark.parametrize("name", sorted(set(RUN) - {"seed"}))  # the recipe's
def test_an_option_of_rerun_reaches_the_run(name, oneira, dream, request):
    assert oneira(*dream, "-o", "dream.png").status == 0
    given = request.getfixturevalue("given")  # from here on nothing is run
    words, meaning = RUN[name]
    ended = oneira("rerun", "dream.png", *words)
    assert ended.status == 0, ended.err
    assert plain(getattr(given["run"], name)) == meaning


def test_every_option_of_a_run_is_listed_here():
    assert set(RUN) == set(RunOptions.model_fields) == set(RerunOptions.model_fields)


@pytest.mark.parametrize("name", TRAIN)
def test_an_option_of_training_reaches_it(name, oneira, given):
    words, meaning = TRAIN[name]
    ended = oneira("train", "backbone", *(["--data", "a"] if name != "data" else []), *words)
    assert ended.status == 0, ended.err
    assert plain(getattr(given["options"], name)) == meaning


@pytest.mark.parametrize("name", SETTINGS)
def test_a_setting_of_training_reaches_it(name, oneira, given):
    words, meaning = SETTINGS[name]
    ended = oneira("train", "backbone", "--data", "a", *words)
    assert ended.status == 0, ended.err
    assert given["settings"][0] == TrainingSettings(**{name: meaning})


def test_every_option_of_training_is_listed_here():
    assert set(TRAIN) == set(TrainOptions.model_fields)
    assert set(SETTINGS) == set(TrainingSettings.model_fields) - {"augmentation"}
    assert set(DECLARED_HERE) == {"phases", "augmentation"}


@pytest.mark.parametrize("name", BENCH)
def test_an_option_of_bench_reaches_it(name, oneira, given):
    assert set(BENCH) == set(BenchOptions.model_fields)
    words, meaning = BENCH[name]
    assert oneira("bench", *words).status == 0
    assert getattr(given["options"], name) == meaning
