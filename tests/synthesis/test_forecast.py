"""What is foretold of a run's memory and time, and runs that have to stay within a limit."""

import subprocess
import sys
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch
from networks import tiny_network
from plans import dream_plan, style_plan

from oneira import register_backbone
from oneira.errors import PlanError, SynthesisError
from oneira.features.encoder import Encoder
from oneira.features.hardware import peak_memory, resident_memory
from oneira.objectives import Dream
from oneira.synthesis import forecast as module
from oneira.synthesis.forecast import Gauge, Outlook, economise, forecast
from oneira.synthesis.loop import Synthesis
from oneira.synthesis.optimisers import OptimiserSpec
from oneira.synthesis.schedules import journey, single
from oneira.synthesis.tiling import Tiling

PICTURE = 3 * 4  # bytes of a pixel

measurable = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="other systems do not tell the peak")


class TestGauge:
    def test_it_counts_what_there_is_and_the_most_there_was(self):
        with Gauge() as gauge:
            first = torch.zeros(1000)
            second = first + 1
            assert (gauge.held, gauge.peak) == (8000, 8000)
            first.view(10, 100).mul_(2)  # neither a view nor work in place takes any
            assert (gauge.held, gauge.peak) == (8000, 8000)
            del first
            third = second.double()
        assert (gauge.held, gauge.peak) == (12000, 12000)
        del second, third
        assert (gauge.held, gauge.peak) == (0, 12000)

    def test_it_sees_what_is_done_on_the_way_back(self):
        inputs = torch.ones(1000, requires_grad=True)
        with Gauge() as gauge:
            loss = inputs.square().sum()
            before = gauge.peak
            loss.backward()
        assert gauge.peak >= before + 4000


def slope(plan, encoder=None):
    """Bytes for every further pixel."""
    outlook = Outlook.of(plan, encoder or Encoder())
    (line,) = outlook.lines.values()
    return (line.memory(2000) - line.memory(1000)) / 1000


def larger(image):
    return torch.nn.functional.interpolate(image, (160, 224))


def test_memory_grows_with_the_area_by_what_steps_hold(image):
    plan = style_plan(larger(image), schedule=single(4096, 3))
    few, many = (slope(replace(plan, optimiser=OptimiserSpec(name))) for name in ("ascent", "adam"))
    assert many - few == pytest.approx(2 * PICTURE, abs=1)  # Adam's two moments
    assert few > 4 * (6 + 6) + PICTURE  # what the first convolution and its ReLU leave, and the picture


def test_the_history_of_lbfgs_counts_in_full(image):
    plan = style_plan(larger(image), schedule=single(4096, 31), averaging=0.0)
    short, long, longer = (
        slope(replace(plan, optimiser=OptimiserSpec("lbfgs", None, {"history_size": size}))) for size in (10, 30, 90)
    )
    assert long - short == pytest.approx(20 * 2 * PICTURE, abs=1)
    assert longer == long  # 31 steps remember 30


def test_tiles_bound_what_the_network_holds(image):
    register_backbone("wide", tiny_network(channels=24))
    plan = dream_plan(larger(image), objective=Dream("wide:relu1"), schedule=single(1024, 3))
    whole, tiled = (slope(replace(plan, tiling=tiling)) for tiling in (None, Tiling(256)))
    assert whole > 2 * 24 * 4
    assert tiled < 0.6 * whole


def test_the_forecast_is_of_the_largest_size_and_the_time_of_all(image):
    outlook = Outlook.of(dream_plan(image, schedule=single(2048, 10)), Encoder())
    outlook = replace(outlook, before=0)  # what else this process has held so far would hide the difference
    assert outlook.forecast().memory > outlook.forecast(0.5).memory
    assert outlook.forecast().seconds > 3 * outlook.forecast(0.5).seconds > 0
    twice = replace(outlook, plan=dream_plan(image, schedule=single(2048, 10) + single(2048, 10)))
    twice = replace(twice, lines={id(twice.plan.objective): next(iter(outlook.lines.values()))})
    assert twice.forecast().seconds == pytest.approx(2 * outlook.forecast().seconds)
    assert twice.forecast().memory == outlook.forecast().memory


def test_every_objective_of_a_journey_is_tried_where_it_is_largest(image, monkeypatch):
    tried = []
    run = module._trial
    monkeypatch.setattr(module, "_trial", lambda *given: tried.append((given[1], given[3])) or run(*given))
    first, second = Dream("tiny:relu2"), Dream("tiny:relu3")
    legs = [
        single(size, 2).leg(objective=term) for size, term in ((40, first), (600, second), (90, first), (30, second))
    ]
    forecast(dream_plan(image, schedule=journey(legs)), Encoder())
    assert tried == [(first, 90), (first, 90), (second, 128), (second, 256)]


def test_a_trial_that_is_too_small_for_a_layer_is_made_larger(image):
    sides = []

    class Encoding(Encoder):
        def __call__(self, image, layers):
            sides.append(max(image.shape[2:]))
            if sides[-1] < 200:
                raise PlanError("too small")
            return super().__call__(image, layers)

    forecast(dream_plan(image, schedule=single(2048, 2)), Encoding())
    assert set(sides) == {128, 256, 512}
    with pytest.raises(PlanError):
        forecast(dream_plan(image, schedule=single(150, 2)), Encoding())


class TestLimits:
    @pytest.fixture
    def needs(self, monkeypatch):
        """Every run needs 400 MB, or 300 MB with what is computed twice, at any size above 100 pixels."""

        def outlook(plan, encoder):
            def forecast(shrunk=1.0):
                fits = shrunk * plan.schedule.scales[-1].size <= 100
                return module.Forecast(10**8 if fits else 3 * 10**8 if encoder.recompute else 4 * 10**8, 150.0)

            return SimpleNamespace(
                forecast=forecast, plan=plan, fitting=lambda limit: Outlook.fitting(outlook(plan, encoder), limit)
            )

        monkeypatch.setattr(module.Outlook, "of", outlook)

    @pytest.mark.usefixtures("needs")
    def test_it_takes_the_first_way_that_fits(self, image):
        plan, encoder = dream_plan(image, schedule=single(800, 2)), Encoder()
        assert economise(plan, encoder, 4 * 10**8) == "takes at most 400 MB of the 400 MB allowed, and about 2 min"
        assert not encoder.recompute
        said = economise(plan, encoder, 4 * 10**8 - 1)
        assert (
            said
            == "takes at most 300 MB of the 400 MB allowed, and about 2 min, activations computed twice instead of kept"
        )
        assert encoder.recompute

    @pytest.mark.usefixtures("needs")
    def test_what_does_not_fit_is_refused_with_the_size_that_would(self, image):
        plan, encoder = dream_plan(image, schedule=single(800, 2)), Encoder()
        with pytest.raises(SynthesisError, match=r"^800x571 pixels need up to 300 MB .* 200 MB .* a size of 100 would"):
            economise(plan, encoder, 2 * 10**8)
        with pytest.raises(SynthesisError, match="no size fits"):
            economise(plan, encoder, 10**7)

    @pytest.mark.usefixtures("needs")
    def test_a_run_is_settled_before_its_first_step_and_again_in_float32(self, image, monkeypatch):
        plan = dream_plan(image, schedule=single(28, 2))
        synthesis = Synthesis(plan, precision="float32", max_memory=4 * 10**8)
        step = iter(synthesis)
        next(step)
        assert synthesis.settle() == "takes at most 100 MB of the 400 MB allowed, and about 2 min"
        monkeypatch.setattr(synthesis, "_max_memory", 1)
        with pytest.raises(SynthesisError, match="28x20 pixels need"):
            synthesis._rescue(synthesis._descent)

    def test_without_a_limit_nothing_is_settled(self, image, monkeypatch):
        monkeypatch.delattr(module.Outlook, "of")
        synthesis = Synthesis(dream_plan(image), precision="float32")
        next(iter(synthesis))
        assert synthesis.settle() is None

    def test_a_limit_is_for_the_processor(self, image, monkeypatch):
        monkeypatch.setattr("oneira.synthesis.loop.choose_device", lambda _: torch.device("meta"))
        with pytest.raises(PlanError, match="runs on meta"):
            Synthesis(dream_plan(image), max_memory=10**9)

    @pytest.mark.parametrize("make", [style_plan, dream_plan])
    def test_the_picture_is_the_same_to_the_bit(self, make, image):
        pictures = []
        for limit in (None, 10**11):
            synthesis = Synthesis(make(image), seed=3, precision="float32", max_memory=limit)
            for _ in synthesis:
                pass
            pictures.append(synthesis.image)
        assert torch.equal(*pictures)


@measurable
def test_the_memory_of_the_process_is_what_the_system_says():
    before = resident_memory()
    held = torch.ones(20_000_000)
    assert resident_memory() >= before + 0.95 * held.nbytes
    assert peak_memory() >= resident_memory() - 10**6


# Prints the need without and with what is computed twice, then runs within a limit between them and prints the peak.
WITHIN_A_LIMIT = """
import torch
torch.set_num_threads(1)
from oneira.features.encoder import Encoder
from oneira.features.hardware import peak_memory
from oneira.objectives import Style
from oneira.synthesis.canvas import Pixels
from oneira.synthesis.forecast import forecast
from oneira.synthesis.loop import Synthesis
from oneira.synthesis.plan import Plan
from oneira.synthesis.schedules import single
image, style = torch.rand(2, 1, 3, 300, 400)
layers = ["pocket:relu1_1", "pocket:relu2_1", "pocket:pool2"]
plan = Plan(Pixels.of(image), Style(style, layers), single(512, 1))
encoder = Encoder()
plain = forecast(plan, encoder).memory
encoder.recompute = True
twice = forecast(plan, encoder).memory
del encoder
limit = (plain + twice) // 2
synthesis = Synthesis(plan, precision="float32", max_memory=limit)
list(synthesis)
print(twice, limit, plain, peak_memory(), synthesis.encoder.recompute)
"""


@measurable
def test_a_run_stays_below_its_limit():
    done = subprocess.run([sys.executable, "-c", WITHIN_A_LIMIT], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    *figures, recompute = done.stdout.split()
    twice, limit, plain, peak = map(int, figures)
    assert twice < limit < plain
    assert peak < limit
    assert recompute == "True"
    assert limit < 1.3 * peak
