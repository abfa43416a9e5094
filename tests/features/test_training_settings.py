import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from oneira.errors import PlanError
from oneira.features.training import Phase, TrainingSettings, parse_phases


def test_phases_are_written_as_side_x_epochs():
    assert parse_phases("40x27, 48x12,64x6") == (
        Phase(side=40, epochs=27),
        Phase(side=48, epochs=12),
        Phase(side=64, epochs=6),
    )


@pytest.mark.parametrize("text", ["", "40", "40x", "x3", "40x0", "0x3", "-40x3", "4000x3", "40x3,", "40x1e9", "4²x3"])
def test_what_is_no_phase_is_refused_in_one_line(text):
    with pytest.raises(PlanError, match="SIDExEPOCHS") as refused:
        parse_phases(text)
    assert "\n" not in str(refused.value)


@given(st.lists(st.tuples(st.integers(1, 64), st.integers(1, 5)), min_size=1, max_size=4))
def test_every_phase_has_its_side_for_as_many_epochs_as_it_says(phases):
    settings = TrainingSettings(phases=tuple(Phase(side=side, epochs=epochs) for side, epochs in phases))
    expected = [side for side, epochs in phases for _ in range(epochs)]
    assert [settings.side(epoch) for epoch in range(settings.epochs)] == expected
    assert settings.side(settings.epochs) == expected[-1]


@given(st.floats(0.001, 1), st.floats(0, 0.99))
def test_the_rate_rises_to_its_peak_and_falls_to_nothing(peak, warmup):
    settings = TrainingSettings(peak_rate=peak, warmup=warmup)
    rates = [settings.rate(index / 1000) for index in range(1001)]
    assert rates[0] == (0 if warmup > 0 else peak)
    assert settings.rate(warmup) == pytest.approx(peak)
    assert rates[-1] == pytest.approx(0)
    assert min(rates) >= 0
    assert max(rates) <= peak * (1 + 1e-9)
    turns = [
        index for index in range(1, 1000) if (rates[index] - rates[index - 1]) * (rates[index + 1] - rates[index]) < 0
    ]
    assert len(turns) <= 1


def test_half_way_up_and_half_way_down_the_rate_is_half():
    settings = TrainingSettings(peak_rate=0.2, warmup=0.4)
    assert settings.rate(0.2) == pytest.approx(0.1)
    assert settings.rate(0.7) == pytest.approx(0.1)


def test_randomness_depends_on_seed_purpose_and_index_alone():
    def draw(seed, purpose, index):
        return torch.rand(4, generator=TrainingSettings(seed=seed).generator(purpose, index)).tolist()

    assert draw(3, "crops", 7) == draw(3, "crops", 7)
    # torch's own generator takes the first two of these for the same seed.
    others = [(3 + 2**32, "crops", 7), (4, "crops", 7), (3, "order", 7), (3, "crops", 8)]
    assert all(draw(3, "crops", 7) != draw(*other) for other in others)


@pytest.mark.parametrize(
    "wrong", [{"phases": ()}, {"batch": 1}, {"warmup": 1.0}, {"momentum": 1.0}, {"seed": -1}, {"rate": 0.1}]
)
def test_what_cannot_be_is_refused(wrong):
    with pytest.raises(ValidationError):
        TrainingSettings(**wrong)
