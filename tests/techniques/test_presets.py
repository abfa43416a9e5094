"""Presets: whose they are, what they set, and that it is allowed."""

import re

import pytest

from oneira.catalogue import TECHNIQUES
from oneira.errors import PlanError
from oneira.feedforward.redrawing import Redrawing
from oneira.inspection import Study
from oneira.patches import Weave
from oneira.techniques.presets import Preset, default_preset, preset_called

EVERY = pytest.mark.parametrize(
    ("technique", "name"), [(technique, name) for technique in TECHNIQUES.values() for name in technique.presets]
)


@EVERY
def test_every_preset_is_allowed_and_makes_a_plan(technique, name):
    inputs = dict.fromkeys(technique.positional, "sample:cat")
    configured = technique.configured(name, **inputs)
    plan = configured.plan()
    # How many parts a study has is only known when the network has been asked; one pass has one.
    assert isinstance(plan, Study | Redrawing) or (plan.total if isinstance(plan, Weave) else plan.schedule.total) > 0
    assert set(technique.presets[name].options) <= configured.model_fields_set


@EVERY
def test_every_preset_says_whose_it_is_and_where_it_departs(technique, name):
    preset = technique.presets[name]
    assert re.search(r"\b(19|20)\d\d\b", preset.source)
    for departure in preset.departures:
        assert re.fullmatch(r"[A-Z][^\n]*\.", departure)
    assert len(set(preset.departures)) == len(preset.departures)


@pytest.mark.parametrize("technique", TECHNIQUES.values(), ids=TECHNIQUES)
def test_one_preset_of_every_technique_stands_for_its_defaults(technique):
    inputs = dict.fromkeys(technique.positional, "sample:cat")
    name = default_preset(technique.presets)
    assert [other for other, preset in technique.presets.items() if not preset.options] == [name]
    assert technique.configured(name, **inputs) == technique.configured(**inputs)


def test_options_of_a_preset_stay_as_they_are():
    options = {"steps": 3}
    preset = Preset("somebody, 2015", options)
    options["steps"] = 4
    assert preset.options == {"steps": 3}
    with pytest.raises(TypeError):
        preset.options["steps"] = 4


def test_an_unknown_one_is_told_with_the_nearest():
    presets = {"pocket": Preset("Oneira 2026"), "google": Preset("google/deepdream 2015", {"steps": 10})}
    assert preset_called("google", presets, "dream") is presets["google"]
    with pytest.raises(PlanError, match=r"^unknown preset 'gogle' of dream; did you mean 'google'\?: pocket, google$"):
        preset_called("gogle", presets, "dream")
