"""With a real network, SqueezeNet 1.0 of ImageNet, where its weights lie beside the project."""

from pathlib import Path

import pytest
import torch

from oneira.images import sample
from oneira.objectives import BoundObjective
from oneira.synthesis.loop import Synthesis
from oneira.techniques import Style

WEIGHTS = Path(__file__).resolve().parents[2] / "shared/weights/squeezenet1_0.safetensors"

pytestmark = pytest.mark.skipif(not WEIGHTS.exists(), reason=f"no {WEIGHTS.name} beside the project")


def test_bfloat16_ends_where_float32_does():
    plan = Style(
        content=str(sample("coffee")),
        style=str(sample("night_wind")),
        model="squeezenet1_0",
        size=160,
        smallest=160,
        steps=(100,),
        optimiser="adam",
        rate=0.02,
        averaging=0.9,
    ).plan()
    weights = {"squeezenet1_0": WEIGHTS}
    judge = Synthesis(plan, precision="float32", weights=weights).encoder
    losses = {}
    for precision in ("float32", "bfloat16"):
        synthesis = Synthesis(plan, precision=precision, weights=weights)
        first = next(steps := iter(synthesis)).loss
        for _ in steps:
            pass
        image = synthesis.image
        with torch.no_grad():
            losses[precision] = BoundObjective(plan.objective, judge, tuple(image.shape[2:]))(image).total.item()
        assert losses[precision] < first / 2
    assert losses["bfloat16"] == pytest.approx(losses["float32"], rel=0.02)
