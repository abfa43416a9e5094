"""Every option that is shown is one that does something: it reaches what it is for."""

from dataclasses import fields

import pytest
import torch
from noise_pictures import noise

from oneira.catalogue import TECHNIQUES
from oneira.cli import atlas, bench, provenance, save_style, train, verbs
from oneira.cli.animate_options import AnimateRunning
from oneira.cli.atlas import AtlasOptions
from oneira.cli.batch import BatchRunning
from oneira.cli.bench import BenchOptions, BenchStyleOptions
from oneira.cli.benchmarks.comparison import Comparison
from oneira.cli.benchmarks.quality import Quality, Run
from oneira.cli.display import Display
from oneira.cli.run_options import RerunOptions, RunOptions, StylizeOptions
from oneira.cli.save_style import FIELDS, SaveOptions
from oneira.cli.stylize import WITHOUT
from oneira.cli.train import DECLARED_HERE, TrainOptions
from oneira.cli.video import VideoOptions
from oneira.features.training import Phase, TrainingSettings
from oneira.feedforward import TrainedNetwork, TransformerNetwork
from oneira.images import save
from oneira.inspection.meanings import Meanings, Push
from oneira.synthesis.fingerprint import fingerprint
from oneira.techniques import Style
from oneira.techniques.refusals import option_name

# Words on the command line, and what they mean; one entry for every option there is, none of it a default.
RUN = {
    "output": (["-o", "other.png"], "other.png"),
    "seed": (["--seed", "7"], 7),
    "device": (["--device", "cpu"], "cpu"),
    "precision": (["--precision", "float32"], "float32"),
    "max_memory": (["--max-memory", "1.5 GiB"], "1.5 GiB"),
    "weights": (["--weights", "my.pth"], "my.pth"),
    "offline": (["--offline"], True),
    "save_every": (["--save-every", "2.5"], 2.5),
    "resume": (["--resume", "-o", "other.png"], True),
    "stages": (["--stages", "legs"], "legs"),
    "record": (["--record", "making.mp4"], "making.mp4"),
    "every": (["--every", "5", "--record", "making.mp4"], 5),
    "fps": (["--fps", "24"], 24),
    "csv": (["--csv", "losses.csv"], "losses.csv"),
    "depth": (["--depth", "16"], 16),
    "sidecar": (["--sidecar"], True),
    "no_recipe": (["--no-recipe"], True),
    "quiet": (["-q"], True),
    "as_json": (["--json"], True),
}
TECHNIQUE = {
    "deconv": {
        "size": (["--size", "40"], 40),
        "model": (["--model", "alexnet"], "alexnet"),
        "layer": (["--layer", "relu2_1"], "relu2_1"),
        "data": (["--data", "photos"], "photos"),
        "top": (["--top", "3"], 3),
        "channels": (["--channels", "3,7-9"], "3,7-9"),
        "rule": (["--rule", "guided"], "guided"),
        "whole": (["--whole"], True),
        "samples": (["--samples", "3"], 3),
        "spread": (["--spread", "0.1"], 0.1),
        "luminous": (["--luminous"], True),
    },
    "dream": {
        "size": (["--size", "40"], 40),
        "model": (["--model", "alexnet"], "alexnet"),
        "layer": (["--layer", "relu1_1", "--layer", "relu2_1"], ("relu1_1", "relu2_1")),
        "layer_weight": (["--layer-weight", "0.5", "--layer-weight", "-1"], (0.5, -1)),
        "loss": (["--loss", "mean"], "mean"),
        "power": (["--power", "4"], 4),
        "channels": (["--channels", "all-but:3,4"], "all-but:3,4"),
        "channels_once": (["--channels-once"], True),
        "like": (["--like", "banana", "--like", "eyes"], ("banana", "eyes")),
        "like_count": (["--like-count", "2"], 2),
        "labels": (["--labels", "mine.toml"], "mine.toml"),
        "atlas": (["--atlas", "atlas"], "atlas/meanings.json"),
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
        "loop": (["--loop"], True),
    },
    "style": {
        "size": (["--size", "300"], 300),
        "model": (["--model", "vgg16"], "vgg16"),
        "blend": (["--blend", "3", "--blend", "1"], (3, 1)),
        "style_size": (["--style-size", "100"], 100),
        "strength": (["--strength", "0.5"], 0.5),
        "content_weight": (["--content-weight", "0"], 0),
        "style_weight": (["--style-weight", "2"], 2),
        "content_layer": (["--content-layer", "relu1_1"], ("relu1_1",)),
        "content_layer_weight": (["--content-layer-weight", "2"], (2,)),
        "style_layer": (["--style-layer", "relu1_1", "--style-layer", "relu3_1"], ("relu1_1", "relu3_1")),
        "style_layer_weight": (
            [word for weight in "7654321" for word in ("--style-layer-weight", weight)],
            (7, 6, 5, 4, 3, 2, 1),
        ),
        "statistics": (["--statistics", "wasserstein"], ("wasserstein",)),
        "normalization": (["--normalization", "average"], "average"),
        "balance": (["--balance", "logarithms"], "logarithms"),
        "style_scale": (["--style-scale", "2"], 2),
        "smoothness": (["--smoothness", "0"], 0),
        "variation": (["--variation", "nine-point"], "nine-point"),
        "pooling": (["--pooling", "l2"], "l2"),
        "pooling_gain": (["--pooling-gain", "1.25"], 1.25),
        "dream": (["--dream", "relu1_1", "--dream", "relu2_1"], ("relu1_1", "relu2_1")),
        "dream_weight": (["--dream-weight", "2"], 2),
        "padding": (["--padding", "replicate-first"], "replicate-first"),
        "normalised": (["--normalised"], True),
        "optimiser": (["--optimiser", "rmsprop"], "rmsprop"),
        "rate": (["--rate", "0.5"], 0.5),
        "history": (["--history", "20"], 20),
        "betas": (["--betas", "0.5", "--betas", "0.75"], (0.5, 0.75)),
        "epsilon": (["--epsilon", "0.001"], 0.001),
        "gradient": (["--gradient", "std"], "std"),
        "keep_momentum": (["--keep-momentum"], True),
        "start": (["--start", "pink-noise"], "pink-noise"),
        "start_noise": (["--start-noise", "0.5"], 0.5),
        "colors": (["--colors", "content-lab"], "content-lab"),
        "smallest": (["--smallest", "64"], 64),
        "ratio": (["--ratio", "2"], 2),
        "steps": (["--steps", "9", "--steps", "8"], (9, 8)),
        "carry": (["--carry", "result"], "result"),
        "averaging": (["--averaging", "0.5"], 0.5),
    },
    "stylize": {
        "size": (["--size", "300"], 300),
        "model": (["--network", "net.safetensors"], "net.safetensors"),
        "style": (["--style", "night_wind"], "night_wind"),
        "blend": (["--blend", "night_wind=3,rose_window"], "night_wind=3,rose_window"),
        "strength": (["--strength", "0.5"], 0.5),
        "elsewhere": (["--elsewhere", "rose_window"], "rose_window"),
        "colors": (["--colors", "content"], "content"),
    },
    "texture": {
        "size": (["--size", "64x48"], "64x48"),
        "model": (["--model", "vgg16"], "vgg16"),
        "method": (["--method", "moments"], "moments"),
        "blend": (["--blend", "3", "--blend", "1"], (3, 1)),
        "sample_size": (["--sample-size", "40"], 40),
        "layer": (["--layers", "relu1_1", "--layer", "relu3_1"], ("relu1_1", "relu3_1")),
        "layer_weight": ([word for weight in "7654321" for word in ("--layer-weight", weight)], (7, 6, 5, 4, 3, 2, 1)),
        "normalization": (["--normalization", "average"], "average"),
        "structure_layer": (["--structure-layer", "relu1_1"], ("relu1_1",)),
        "structure": (["--structure", "7"], 7),
        "like_weight": (["--like-weight", "7"], 7),
        "like_detail": (["--like-detail", "9"], 9),
        "smoothness": (["--smoothness", "0.5"], 0.5),
        "pooling": (["--pooling", "max"], "max"),
        "pooling_gain": (["--pooling-gain", "1.25"], 1.25),
        "padding": (["--padding", "reflect"], "reflect"),
        "normalised": (["--normalised"], True),
        "start": (["--start", "grey"], "grey"),
        "spread": (["--spread", "0.1"], 0.1),
        "optimiser": (["--optimiser", "adam"], "adam"),
        "rate": (["--rate", "0.5"], 0.5),
        "smallest": (["--smallest", "300"], 300),
        "ratio": (["--ratio", "3"], 3),
        "steps": (["--steps", "9", "--steps", "8"], (9, 8)),
        "match_histogram": (["--match-histogram"], True),
        "window": (["--window", "5"], 5),
        "tolerance": (["--tolerance", "0.5"], 0.5),
        "largest_error": (["--largest-error", "0.5"], 0.5),
        "levels": (["--levels", "1"], 1),
        "search": (["--search", "tree"], "tree"),
        "block": (["--block", "8"], 8),
        "overlap": (["--overlap", "3"], 3),
        "passes": (["--passes", "2"], 2),
        "alpha": (["--alpha", "0.5"], 0.5),
        "seamless": (["--seamless"], True),
        "sheet": (["--sheet"], True),
    },
    "invert": {
        "size": (["--size", "40"], 40),
        "model": (["--model", "alexnet"], "alexnet"),
        "layer": (["--layers", "relu1_1", "--layer", "relu2_1"], ("relu1_1", "relu2_1")),
        "read": (["--read", "style"], "style"),
        "prior": (["--prior", "none"], "none"),
        "smoothness": (["--smoothness", "0.5"], (0.5,)),
        "smoothness_by_depth": (
            ["--smoothness-by-depth", "1", "--smoothness-by-depth", "2", "--smoothness-by-depth", "3"],
            (1, 2, 3),
        ),
        "restraint": (["--restraint", "0.5"], 0.5),
        "caricature_power": (["--caricature-power", "2"], 2),
        "canvas": (["--canvas", "pixels"], "pixels"),
        "start": (["--start", "white"], "white"),
        "spread": (["--spread", "0.1"], 0.1),
        "unclipped": (["--unclipped"], True),
        "optimiser": (["--optimiser", "rmsprop"], "rmsprop"),
        "rate": (["--rate", "0.5"], 0.5),
        "steps": (["--steps", "9", "--steps", "8"], (9, 8)),
        "rate_factors": (["--rate-factors", "0.5"], (0.5,)),
        "sheet": (["--sheet"], True),
    },
    "visualize": {
        "size": (["--size", "40"], 40),
        "model": (["--model", "alexnet"], "alexnet"),
        "layer": (["--layers", "relu1_1", "--layer", "relu2_1"], ("relu1_1", "relu2_1")),
        "channels": (["--channels", "3,7-9"], "3,7-9"),
        "at": (["--at", "1,2"], "1,2"),
        "class_": (["--class", "banana", "--class", "3"], ("banana", "3")),
        "class_against": (["--class-against", "0.5"], 0.5),
        "direction": (["--direction", "12:1,40:-0.5"], ("12:1,40:-0.5",)),
        "random_seed": (["--random-seed", "9"], 9),
        "like": (["--like", "banana", "--like", "eyes"], ("banana", "eyes")),
        "like_count": (["--like-count", "2"], 2),
        "labels": (["--labels", "mine.toml"], "mine.toml"),
        "atlas": (["--atlas", "atlas"], "atlas/meanings.json"),
        "canvas": (["--canvas", "pixels"], "pixels"),
        "spread": (["--spread", "0.1"], 0.1),
        "transforms": (["--transforms", "shift"], "shift"),
        "optimiser": (["--optimiser", "sgd"], "sgd"),
        "rate": (["--rate", "0.5"], 0.5),
        "steps": (["--steps", "9", "--steps", "8"], (9, 8)),
        "waking": (["--waking", "3"], 3),
        "smoothness": (["--smoothness", "0.5"], 0.5),
        "restraint": (["--restraint", "0.5"], 0.5),
        "decay": (["--decay", "0.1"], 0.1),
        "blur": (["--blur", "0.5"], 0.5),
        "blur_every": (["--blur-every", "3"], 3),
        "clip_norm": (["--clip-norm", "50"], 50),
        "clip_contribution": (["--clip-contribution", "90"], 90),
        "batch": (["--batch", "4"], 4),
        "filters": (["--filters"], True),
        "diversity": (["--diversity", "3"], 3),
        "diversity_weight": (["--diversity-weight", "3"], 3),
        "interpolate": (["--interpolate", "5"], 5),
        "alignment": (["--alignment", "2"], 2),
        "point": (["--point", "3,4"], "3,4"),
        "box": (["--box", "3,4,50%,50%"], "3,4,50%,50%"),
        "top": (["--top", "3"], 3),
    },
}
# What some options are about: without it they would change nothing, or be refused.
BESIDE = {
    "deconv": {"spread": ["--samples", "3"]},
    "dream": {
        "layer_weight": ["--layer", "relu1_1", "--layer", "relu2_1"],
        "power": ["--loss", "norm"],
        "channels_once": ["--channels", "typical:2"],
        "like_count": ["--like", "banana"],
        "labels": ["--like", "eyes"],
        "atlas": ["--like", "banana"],
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
        "loop": ["--zoom", "1.1"],
    },
    "style": {
        "dream_weight": ["--dream", "relu4_2"],
        "blend": ["other.png"],
        "betas": ["--optimiser", "adam"],
        "epsilon": ["--optimiser", "adam"],
    },
    "stylize": {"elsewhere": ["--mask", "flat.png"]},
    "texture": {
        "blend": ["other.png"],
        "structure_layer": ["--method", "autocorrelation"],
        "structure": ["--method", "autocorrelation"],
        "like_weight": ["--like", "other.png"],
        "like_detail": ["--like", "other.png"],
        "labels": ["--like", "other.png"],
        "window": ["--method", "efros-leung"],
        "tolerance": ["--method", "quilting"],
        "largest_error": ["--method", "efros-leung"],
        "levels": ["--method", "wei-levoy"],
        "search": ["--method", "wei-levoy"],
        "block": ["--method", "quilting"],
        "overlap": ["--method", "quilting", "--block", "8"],
        "passes": ["--method", "quilting", "--like", "other.png"],
        "alpha": ["--method", "quilting", "--like", "other.png"],
    },
    "invert": {
        "caricature_power": ["--read", "caricature"],
        "unclipped": ["--canvas", "pixels"],
        "sheet": ["--layer", "relu1_1", "--layer", "relu2_1"],
    },
    "visualize": {
        "at": ["--transforms", "shift", "--steps", "3"],
        "class_against": ["--class", "banana"],
        "random_seed": ["--direction", "random"],
        "decay": ["--canvas", "pixels"],
        "blur": ["--canvas", "pixels"],
        "blur_every": ["--canvas", "pixels", "--blur", "1"],
        "clip_norm": ["--canvas", "pixels"],
        "clip_contribution": ["--canvas", "pixels"],
        "diversity_weight": ["--diversity", "2"],
        "like_count": ["--like", "banana"],
        "labels": ["--like", "eyes"],
        "atlas": ["--like", "banana"],
        "interpolate": ["--channels", "1,2"],
        "alignment": ["--channels", "1,2", "--interpolate", "3"],
        "top": ["--fires", "other.png", "--point", "3,4"],
    },
}
# A mask has the proportions of what it is for.
FITTING = {
    ("style", "style_mask"): "square.png",
    ("stylize", "mask"): "flat.png",
    ("texture", "labels"): "flat.png",
}
# What is done to a picture, or film, that is made, which the plan knows nothing of; their own tests do.
IN_THE_END = {("texture", "match_histogram"), ("dream", "loop")}
SAVE_STYLE = {
    "output": (["-o", "my.style"], "my.style"),
    "size": (["--size", "300"], 300),
    "device": (["--device", "cpu"], "cpu"),
    "weights": (["--weights", "my.pth"], {"pocket": "my.pth"}),
    "offline": (["--offline"], True),
    "quiet": (["-q"], True),
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
ATLAS = {
    "output": (["-o", "out"], "out"),
    "layer": (["--layer", "relu1_1", "--layer", "relu2_1"], ("relu1_1", "relu2_1")),
    "data": (["--data", "photos"], "photos"),
    "size": (["--size", "64"], 64),
    "batch": (["--batch", "4"], 4),
    "seed": (["--seed", "5"], 5),
    "device": (["--device", "cpu"], "cpu"),
    "precision": (["--precision", "bfloat16"], "bfloat16"),
    "weights": (["--weights", "my.pth"], {"pocket": "my.pth"}),
    "offline": (["--offline"], True),
    "quiet": (["--quiet"], True),
}
BENCH = {
    "size": (["--size", "64"], 64),
    "rounds": (["--rounds", "2"], 2),
    "model": (["--model", "vgg11"], ("vgg11",)),
    "device": (["--device", "cpu"], "cpu"),
}
BENCH_STYLE = {
    "size": (["--size", "64"], 64),
    "rounds": (["--rounds", "2"], 2),
    "model": (["--model", "vgg11"], "vgg11"),
    "quality_model": (["--quality-model", "pocket"], ("pocket",)),
    "iterations": (["--iterations", "3"], 3),
    "steps": (["--steps", "9", "--steps", "8"], (9, 8)),
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

    def compare(settings, size, rounds, device):
        seen.update(model=settings.model, size=size, rounds=rounds, device=device)
        each = {"float32": 1.0, "bfloat16": 1.0}
        return Comparison("1x1", each, each, 1.0, each)

    def quality(settings, size, iterations, *, steps, device):
        seen.setdefault("quality_model", []).append(settings.model)
        seen.update(iterations=iterations, steps=steps)
        assert (size, device) == (seen["size"], seen["device"])
        run = Run("float32", ((1.0, 1.0),), 1.0, 1.0, 1.0)
        return Quality("1x1", run, run)

    monkeypatch.setattr(verbs, "run_technique", picture)
    monkeypatch.setattr(provenance, "run_technique", picture)
    monkeypatch.setattr(train, "_trained", training)
    monkeypatch.setattr(train, "_evaluated", training)
    monkeypatch.setattr(bench, "_measure", measure)
    monkeypatch.setattr(bench, "compare", compare)
    monkeypatch.setattr(bench, "measure_quality", quality)
    return seen


@pytest.fixture
def command(picture, painting, folder):
    noise(folder / "other.png", seed=2)
    noise(folder / "square.png", 24, 24, seed=3)
    save(folder / "flat.png", torch.linspace(0, 1, 2).repeat_interleave(14).expand(1, 3, 20, 28))
    (folder / "mine.toml").write_text('eyes = ["relu2_1:3"]')
    (folder / "atlas").mkdir()
    TrainedNetwork(TransformerNetwork(channels=(2, 2, 2), residuals=1), ("wave",)).write(folder / "net.safetensors")
    known = {"relu4_2": ((Push(0, 1.0),), (Push(0, 0.5),))}
    Meanings("pocket", "", ("banana",), known).write(folder / "atlas/meanings.json")
    return {
        "deconv": ["deconv", picture],
        "invert": ["invert", picture],
        "dream": ["dream", picture],
        "style": ["style", picture, painting],
        "stylize": ["stylize", picture],
        "texture": ["texture", picture],
        "visualize": ["visualize"],
    }


# Options that cannot be given beside the same words: those with another value, or without, and those with it.
FIRES = ["visualize", "--fires", "other.png"]
INSTEAD = {
    ("deconv", "data"): (["deconv", "--data", "others"], ["deconv", "--data", "photos"]),
    ("visualize", "point"): ([*FIRES, "--point", "5,6"], [*FIRES, "--point", "3,4"]),
    ("visualize", "box"): ([*FIRES, "--box", "0,0,3,4"], [*FIRES, "--box", "3,4,50%,50%"]),
    ("visualize", "fires"): (["visualize"], [*FIRES, "--point", "3,4"]),
}
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
    without, with_it = INSTEAD.get((verb, name), ([*command[verb], *beside], [*command[verb], *beside, *words]))
    ended = oneira(*without)
    assert ended.status == 0, ended.err
    default = given["technique"]
    ended = oneira(*with_it)
    assert ended.status == 0, ended.err
    changed = given["technique"]
    assert getattr(changed, name) == meaning
    assert {n for n in type(changed).model_fields if getattr(changed, n) != getattr(default, n)} == {name}
    changes = fingerprint(changed.plan()) != fingerprint(default.plan())
    assert changes != ((verb, name) in IN_THE_END)


@pytest.mark.parametrize(("verb", "name"), NAMED_PICTURES)
def test_a_picture_by_name_reaches_its_technique_and_changes_the_plan(verb, name, oneira, command, given):
    beside = BESIDE.get(verb, {}).get(name, [])
    path = FITTING.get((verb, name), "other.png")
    plain = [*command[verb], *beside]
    without, with_it = INSTEAD.get((verb, name), (plain, [*plain, option_name(name), path]))
    ended = oneira(*with_it)
    assert ended.status == 0, ended.err
    assert given["technique"].inputs[name] == (path,)
    changed = fingerprint(given["technique"].plan())
    assert oneira(*without).status == 0
    assert fingerprint(given["technique"].plan()) != changed


@pytest.mark.parametrize("verb", TECHNIQUE)
def test_every_picture_by_place_changes_the_plan(verb, oneira, command, given):
    assert oneira(*command[verb]).status == 0
    default = fingerprint(given["technique"].plan())
    for place in range(1, len(command[verb])):
        words = list(command[verb])
        words[place] = "sample:coffee"
        assert oneira(*words).status == 0
        assert fingerprint(given["technique"].plan()) != default


@pytest.mark.parametrize(("verb", "preset"), [(v, p) for v, t in TECHNIQUES.items() for p in t.presets])
def test_presets_are_chosen_by_name_and_overridden_by_options(verb, preset, oneira, command, given):
    assert oneira(*command[verb], "--preset", preset, "--size", 48).status == 0
    chosen = given["technique"]
    for name, value in type(chosen).presets[preset].options.items():
        if name != "size":
            assert getattr(chosen, name) in (value, (value,))
    assert chosen.size in (48, "48")
    chosen.plan()


@pytest.mark.parametrize(
    ("verb", "name"), [(v, n) for v in TECHNIQUE for n in RUN if v != "stylize" or n not in WITHOUT]
)
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
    for options in (RunOptions, RerunOptions, StylizeOptions, VideoOptions, AnimateRunning, BatchRunning):
        assert set(RUN) == set(options.model_fields)


@pytest.mark.parametrize("name", WITHOUT)
def test_what_would_change_nothing_in_one_pass_is_no_option(name, oneira, command, given):
    ended = oneira(*command["stylize"], *RUN[name][0])
    assert ended.status == 2
    assert f"no option {option_name(name)}" in ended.lines[0]


@pytest.fixture
def saved(monkeypatch):
    """What would have been saved, instead of looking at it."""
    seen = {}

    class Kept:
        def write(self, path):
            path.touch()
            seen["output"] = str(path)

    def encoder(**told):
        weights = {name: str(path) for name, path in told["weights"].items()}
        seen.update(told, device=str(told["device"]), weights=weights)

    def displayed(*, quiet):
        seen["quiet"] = quiet
        return Display(quiet=quiet)

    def kept(technique, _, size):
        seen.update(technique=technique, size=size)
        return Kept()

    monkeypatch.setattr(save_style, "Encoder", encoder)
    monkeypatch.setattr(save_style, "Display", displayed)
    monkeypatch.setattr(Style, "kept", kept)
    return seen


@pytest.mark.parametrize("name", SAVE_STYLE)
def test_an_option_of_saving_a_style_reaches_it(name, oneira, painting, saved):
    assert set(SAVE_STYLE) == set(SaveOptions.model_fields)
    words, meaning = SAVE_STYLE[name]
    ended = oneira("save-style", painting, *words)
    assert ended.status == 0, ended.err
    assert saved[name] == meaning


@pytest.mark.parametrize("name", FIELDS)
def test_what_decides_the_statistics_is_an_option_of_saving_a_style(name, oneira, command, saved):
    words, meaning = TECHNIQUE["style"][name]
    beside = BESIDE["style"].get(name, [])
    ended = oneira("save-style", "other.png", *beside, *words)
    assert ended.status == 0, ended.err
    assert getattr(saved["technique"], name) == meaning
    assert saved["variant"] == saved["technique"].variant()


def test_masks_and_presets_reach_the_style_that_is_saved(oneira, command, saved):
    masks = ["--style-mask", "square.png", "--style-mask", "other.png"]
    ended = oneira("save-style", "square.png", "other.png", *masks, "--preset", "crowsonkb")
    assert ended.status == 0, ended.err
    technique = saved["technique"]
    assert (technique.style, technique.style_mask) == (("square.png", "other.png"),) * 2
    assert technique.padding == "replicate-first"
    assert saved["output"] == "square.style"


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


@pytest.mark.parametrize("name", ATLAS)
def test_an_option_of_atlas_reaches_it(name, oneira, monkeypatch):
    assert set(ATLAS) == set(AtlasOptions.model_fields)
    seen = {}

    class Shown(Display):
        def __init__(self, *, quiet):
            super().__init__(quiet=quiet)
            seen["quiet"] = quiet

    def build(plan, folder, *, weights, progress, **running):
        of_plan = {field.name.removesuffix("s"): getattr(plan, field.name) for field in fields(plan)}
        paths = {"output": str(folder), "data": plan.data and str(plan.data)}
        seen.update(of_plan, **running, **paths, weights={model: str(file) for model, file in weights.items()})
        return []

    monkeypatch.setattr(atlas, "AtlasBuild", build)
    monkeypatch.setattr(atlas, "Display", Shown)
    assert oneira("atlas").status == 0
    default = dict(seen)
    words, meaning = ATLAS[name]
    assert oneira("atlas", *words).status == 0
    assert seen == default | {name: meaning} != default


@pytest.mark.parametrize("name", BENCH)
def test_an_option_of_bench_reaches_it(name, oneira, given):
    assert set(BENCH) == set(BenchOptions.model_fields)
    words, meaning = BENCH[name]
    assert oneira("bench", *words).status == 0
    assert getattr(given["options"], name) == meaning


@pytest.mark.parametrize("name", BENCH_STYLE)
def test_an_option_of_bench_style_reaches_it(name, oneira, folder, monkeypatch, given):
    assert set(BENCH_STYLE) == set(BenchStyleOptions.model_fields)
    (folder / "squeezenet1_0.safetensors").touch()
    monkeypatch.setenv("ONEIRA_WEIGHTS", str(folder))
    words, meaning = BENCH_STYLE[name]
    assert oneira("bench", "style", *words).status == 0
    expected = {each: BenchStyleOptions.model_fields[each].default for each in BENCH_STYLE} | {name: meaning}
    assert {**given, "quality_model": tuple(given["quality_model"])} == expected
