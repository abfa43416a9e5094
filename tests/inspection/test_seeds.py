"""What is sent back."""

from functools import partial

import pytest
import torch

from oneira.errors import AddressError, PlanError
from oneira.inspection.seeds import strongest, strongest_positions, unit


@pytest.fixture
def activations(generator):
    return torch.randn(2, 3, 4, 5, generator=generator)


def test_the_strongest_keeps_its_value_and_all_else_is_zero(activations):
    seed = strongest(activations, 1)
    assert seed.count_nonzero() == 2
    for picture, answers, (row, column) in zip(seed, activations, strongest_positions(activations, 1), strict=True):
        assert picture[1, row, column] == answers[1, row, column] == answers[1].max()


def test_of_equal_ones_the_first_is_the_strongest():
    flat = torch.full((1, 2, 3, 4), 7.0)
    assert strongest_positions(flat, 0) == [(0, 0)]
    assert strongest(flat, 0).nonzero().tolist() == [[0, 0, 0, 0]]


def test_the_strongest_of_a_silent_channel_is_nothing():
    assert torch.equal(strongest(torch.zeros(1, 2, 3, 4), 1), torch.zeros(1, 2, 3, 4))


def test_a_unit_is_one_a_channel_all_its_units_and_a_class_one_number(activations):
    assert unit(activations, 2, (3, 4)).nonzero().tolist() == [[0, 2, 3, 4], [1, 2, 3, 4]]
    assert unit(activations, 2, (3, 4)).sum() == 2
    units = sum(unit(activations, 2, (row, column)) for row in range(4) for column in range(5))
    assert torch.equal(unit(activations, 2), units)
    logits = activations[:, :, 0, 0]
    assert unit(logits, 1).tolist() == [[0, 1, 0], [0, 1, 0]]
    assert torch.equal(strongest(logits, 1), unit(logits, 1) * logits)


def test_seeds_are_made_in_the_precision_of_the_activations(activations):
    for make in (partial(strongest, channel=0), partial(unit, channel=0)):
        assert make(activations.bfloat16()).dtype == torch.bfloat16


@pytest.mark.parametrize("channel", [-1, 3])
def test_there_is_no_seed_for_a_channel_that_is_not_there(activations, channel):
    for make in (strongest, strongest_positions, unit):
        with pytest.raises(AddressError, match=f"the layer has channels 0 to 2, not {channel}"):
            make(activations, channel)


def test_there_is_no_unit_where_there_is_no_position(activations):
    for at in ((4, 0), (0, 5), (-1, 0)):
        with pytest.raises(PlanError, match="the layer has 4 rows and 5 columns"):
            unit(activations, 0, at)
    with pytest.raises(PlanError, match="the layer has 0 rows and 0 columns"):
        unit(activations[:, :, 0, 0], 0, (0, 0))
