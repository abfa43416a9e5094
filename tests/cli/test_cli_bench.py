"""`oneira bench`: what is compared is the same on both sides; how long it takes is for no test to say."""

import math
import re

import pytest
import torch
from torch import nn
from torch.testing import assert_close

from oneira import Encoder, register_backbone
from oneira.cli.benchmarks.baseline import RATE, Baseline
from oneira.cli.benchmarks.clock import medians_in_turns
from oneira.cli.benchmarks.comparison import require_same
from oneira.cli.benchmarks.iteration import content_at, style_picture
from oneira.cli.benchmarks.neural_style import NeuralStyle, neural_style_plan, random_start
from oneira.cli.benchmarks.quality import Run, measure_quality
from oneira.errors import PlanError, SynthesisError
from oneira.features import CAFFE, find_backbone
from oneira.features.backbones.pocket import pocket
from oneira.objectives import BoundObjective
from oneira.synthesis.loop import Synthesis
from oneira.techniques import Style

CPU = torch.device("cpu")
SIZE = (37, 52)  # pools leave a row out


@pytest.fixture(scope="module")
def small_caffe():
    """A VGG in miniature that takes what Caffe's networks take: BGR in 0..255, without its mean."""
    torch.manual_seed(0)
    register_backbone("small-caffe", pocket(widths=(4, 5, 6, 7, 8), classes=2), CAFFE)
    return "small-caffe"


@pytest.fixture
def pictures(generator):
    """Content, style and start."""
    return [torch.rand(1, 3, *size, generator=generator) for size in (SIZE, (30, 20), SIZE)]


def both(settings, content, style, start):
    """The objective at `start`, its gradient, and the baseline's, in the picture's units."""
    baseline = Baseline(settings, content, style, start, device=CPU, weights={})
    theirs = baseline.evaluate()
    picture = start.clone().requires_grad_()
    find_backbone(settings.model).preprocessing(picture).backward(baseline.picture.grad)
    ours = start.clone().requires_grad_()
    losses = BoundObjective(settings.objective(content, style), Encoder(), SIZE)(ours)
    losses.total.backward()
    return losses, ours.grad, theirs.detach(), picture.grad, baseline


SETTINGS = {
    "pocket": NeuralStyle.of("pocket"),
    "caffe": NeuralStyle("small-caffe"),
    # A ReLU in place stands right behind what is compared; two losses stand behind one layer.
    "before the relu": NeuralStyle("pocket", ("conv3_2", "relu2_1"), ("conv1_1", "relu2_1"), unit=0.1),
}


@pytest.mark.parametrize("settings", SETTINGS.values(), ids=SETTINGS)
def test_the_baseline_has_the_losses_of_our_objective_and_its_gradient(settings, pictures, small_caffe):
    losses, gradient, theirs, their_gradient, baseline = both(settings, *pictures)
    assert_close(losses.total, theirs, rtol=1e-5, atol=0)
    assert settings.weighted(losses.by_term) == pytest.approx(baseline.losses(), rel=1e-5)
    assert_close(gradient, their_gradient, rtol=1e-4, atol=1e-5 * float(gradient.abs().max()))


@pytest.mark.parametrize("changed", ["content", "style", "variation"])
def test_every_weight_changes_its_own_loss(changed, pictures, small_caffe):
    before = both(NeuralStyle("small-caffe"), *pictures)[-1].losses()
    weights = {"content": 5.0, "style": 100.0, "variation": 1e-3}
    after = both(NeuralStyle("small-caffe", **{changed: 3 * weights[changed]}), *pictures)[-1].losses()
    own = {"variation": "tv"}.get(changed, changed)
    assert after == pytest.approx({**before, own: 3 * before[own]})


def test_the_variation_is_the_sum_of_differences_of_pixels_in_0_to_255(pictures, small_caffe):
    start = pictures[2]
    pixels = 255 * start
    summed = pixels.diff(dim=2).abs().sum() + pixels.diff(dim=3).abs().sum()
    for model in ("small-caffe", "pocket"):
        baseline = Baseline(NeuralStyle(model), *pictures, device=CPU, weights={})
        assert baseline.losses()["tv"] == pytest.approx(1e-3 * float(summed), rel=1e-5)


def test_the_baseline_takes_steps_of_adam(pictures, small_caffe):
    baseline = Baseline(NeuralStyle("small-caffe"), *pictures, device=CPU, weights={})
    before = baseline.picture.detach().clone()
    baseline.step()
    moved = (baseline.picture - before).detach()
    # Its first step is the gradient's sign, times the rate.
    assert_close(moved, -RATE * baseline.picture.grad.sign(), rtol=0, atol=1e-2)


def test_networks_that_the_baseline_cannot_be_written_for_are_refused(pictures):
    with pytest.raises(PlanError, match="no stack of layers"):
        Baseline(NeuralStyle("flat", ("0",), ("0.inner",)), *pictures, device=CPU, weights=flat())
    register_backbone("unknown-units", nn.Sequential(nn.Conv2d(3, 4, 3)), lambda image: image)
    with pytest.raises(PlanError, match="in what units unknown-units takes pictures"):
        Baseline(NeuralStyle("unknown-units", ("0",), ("0",)), *pictures, device=CPU, weights={})


def flat():
    inner = nn.Sequential()
    inner.add_module("inner", nn.Conv2d(3, 4, 3))
    register_backbone("flat", nn.Sequential(inner))
    return {}


def test_losses_that_differ_are_told_with_both():
    require_same({"style": 1.0}, {"style": 1.00009})
    with pytest.raises(SynthesisError, match=r"the first tv loss is 2 here and 2\.001 as"):
        require_same({"style": 1.0, "tv": 2.0}, {"style": 1.0, "tv": 2.001})
    with pytest.raises(SynthesisError, match="the first style loss is nan"):
        require_same({"style": math.nan}, {"style": 1.0})


def test_no_times_are_compared_where_losses_differ(oneira, monkeypatch):
    monkeypatch.setattr(Baseline, "losses", lambda self: {"content": 1.0, "style": 1.0, "tv": 1.0})
    ended = oneira("bench", "style", "--size", 48, "--rounds", 1, "--model", "pocket", "--iterations", 0)
    assert ended.status == 1
    assert len(ended.lines) == 1
    assert "their times are not compared" in ended.lines[0]
    assert "ms" not in ended.out


def test_runs_are_timed_in_turns():
    order = []
    runs = {name: lambda name=name: order.append(name) for name in "ab"}
    medians = medians_in_turns(runs, 3, "cpu")
    assert order == list("ababab")
    assert all(seconds >= 0 for seconds in medians.values())


def test_the_single_size_does_as_many_iterations_as_are_asked_for_unclamped(pictures):
    content, style, start = pictures
    settings = NeuralStyle("pocket", ("relu1_1",), ("relu1_1",))
    plan = neural_style_plan(settings, content, style, start=start)
    assert plan.schedule.total == 1000
    assert plan.schedule.scales[0].size == max(SIZE)
    assert plan.optimiser.options["history_size"] == 100
    assert {plan.optimiser.options[name] for name in ("tolerance_grad", "tolerance_change")} == {-1}
    still = neural_style_plan(settings, content, content, start=content + 2)
    surface = still.canvas.begin(SIZE, torch.Generator(), CPU)
    assert surface.image().max() > 2


@pytest.fixture(scope="module")
def quality():
    """What is measured on `pocket` at a size at which the pyramid has one scale, and the two runs."""
    runs = []

    class Kept(Synthesis):
        def __init__(self, *given, **options):
            super().__init__(*given, **options)
            runs.append(self)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("oneira.cli.benchmarks.quality.Synthesis", Kept)
        return measure_quality(NeuralStyle.of("pocket"), 32, 2, steps=(3,), device="cpu"), runs


def baseline_loss(image):
    content, style = content_at(32), style_picture()
    baseline = Baseline(NeuralStyle.of("pocket"), content, style, image, device=CPU, weights={})
    return sum(baseline.losses().values())


def test_a_random_start_is_the_mean_colour_of_what_caffe_takes(generator):
    start = random_start(*SIZE, generator)
    taken = CAFFE(start)
    assert taken.std() == pytest.approx(0.001, rel=0.05)
    assert taken.abs().max() < 0.01


def test_time_to_quality_is_measured_under_one_objective(quality):
    measured, (one_size, pyramid) = quality
    begun = baseline_loss(one_size.plan.canvas.start)  # with which both begin
    assert measured.one_size.seen[0][1] == pytest.approx(begun, rel=1e-4)
    assert measured.pyramid.seen[0][1] == pytest.approx(begun, rel=0.05)  # in bfloat16, where there is
    assert one_size.plan.objective is pyramid.plan.objective
    assert one_size.plan.variant == pyramid.plan.variant
    assert measured.one_size.precision == "float32"
    assert measured.picture == "32x24"


def test_the_pyramid_has_the_schedule_and_optimiser_of_style(quality):
    measured, (_, pyramid) = quality
    style = Style(content="sample:coffee", style="sample:night_wind", size=32, steps=3).plan()
    assert (pyramid.plan.schedule, pyramid.plan.optimiser) == (style.schedule, style.optimiser)
    assert len(measured.one_size.seen) == 2
    assert len(measured.pyramid.seen) == style.schedule.total


def test_what_is_left_in_the_end_is_measured_again(quality):
    measured, runs = quality
    for run, synthesis in zip((measured.one_size, measured.pyramid), runs, strict=True):
        (pixels,) = synthesis.state()["parameters"]
        assert run.loss == pytest.approx(baseline_loss(pixels), rel=1e-4)
        assert run.saved_loss == pytest.approx(baseline_loss(synthesis.image), rel=1e-4)


def test_when_a_loss_was_reached():
    run = Run("float32", ((1.0, 8.0), (2.0, 4.0), (3.0, 5.0), (4.0, 2.0)), 5.0, 1.0, 1.5)
    assert run.reaching(8.0) == (0, 1.0)
    assert run.reaching(4.5) == (1, 2.0)
    assert run.reaching(2.0) == (3, 4.0)
    assert run.reaching(1.0) is None


@pytest.mark.parametrize("command", [["bench"], ["bench", "iteration"]], ids=" ".join)
def test_bench_prints_a_ratio_for_each_precision(command, oneira):
    ended = oneira(*command, "--size", 48, "--rounds", 1, "--model", "pocket")
    assert ended.status == 0
    assert "1 threads" in ended.out
    for precision in ("float32", "bfloat16"):
        assert re.search(rf"pocket +│ {precision} +│ 48x36 +│ +\d+ ms +│ +\d+ ms +│ +\d+\.\d\d ", ended.out)


@pytest.mark.parametrize("model", ["squeezenet1_1", "resnet18"])  # the latter has statistics of batch norm
def test_bench_measures_networks_without_weights_with_random_ones(model, oneira):
    ended = oneira("bench", "--size", 48, "--rounds", 1, "--model", model)
    assert ended.status == 0, ended.err
    assert ended.out.count(model) == 2


def test_bench_style_prints_ratios_for_an_iteration_and_for_a_picture(oneira):
    words = ["--size", 32, "--rounds", 1, "--model", "pocket", "--iterations", 2, "--steps", 2]
    ended = oneira("bench", "style", *words)
    assert ended.status == 0, ended.err
    assert "an iteration with Adam, pocket, 32x24" in ended.out
    for precision in ("float32", "bfloat16"):
        row = rf"{precision} +│ \d+ ms +│ \d+ ms +│ \d+\.\d\d +│ \d+ ms +│ \d+\.\d\d +│ [\de.+]+ "
        assert re.search(row, ended.out)
    assert "time to quality, pocket, 32x24" in ended.out
    number = r"[\de.+]+"
    assert re.search(
        rf"one size, as neural-style-pt +│ float32 +│ 2 +│ {number} +│ 1.000 +│ {number} +│ 1.000", ended.out
    )
    assert re.search(rf"oneira style, growing +│ \w+ +│ \d+ +│ {number} +│ {number} +│ {number} +│ {number}", ended.out)
    assert "squeezenet1_0: its weights are not here" in ended.out


def test_bench_style_can_leave_the_picture_out(oneira):
    ended = oneira("bench", "style", "--size", 32, "--rounds", 1, "--model", "pocket", "--iterations", 0)
    assert ended.status == 0, ended.err
    assert "quality" not in ended.out


BAD_USAGE = {
    "no round": ("--rounds 0", "--rounds"),
    "an unknown network": ("--model vgg18", "'vgg19'"),
    "an unknown network for pictures": ("--model pocket --quality-model pokcet", "'pocket'"),
    "a network that is no stack": ("--model googlenet --iterations 0 --size 64", "no stack of layers"),
}


@pytest.mark.parametrize(("words", "hint"), BAD_USAGE.values(), ids=BAD_USAGE)
def test_bad_usage_of_bench_style_is_told_in_one_line(words, hint, oneira):
    ended = oneira("bench", "style", *words.split())
    assert ended.status == 2
    assert len(ended.lines) == 1
    assert hint in ended.lines[0]


def test_every_option_of_bench_style_has_a_help_text(oneira):
    shown = oneira("bench", "style", "--help")
    assert shown.status == 0
    for words in (
        "--size INT",
        "--rounds INT",
        "--model STR",
        "--quality-model STR",
        "--iterations INT",
        "--device STR",
    ):
        assert re.search(rf"{words}(\.\.\.)? +\w", shown.out)
