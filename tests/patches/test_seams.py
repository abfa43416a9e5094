"""Where blocks fit, exactly, and where they are cut."""

import itertools

import torch
from hypothesis import given
from hypothesis import strategies as st
from weaving import levels

from oneira.patches.seams import Differences, least_cut


@given(st.integers(1, 5), st.integers(1, 4), st.integers(0, 1000), st.sampled_from([2, 255]))
def test_the_cut_costs_what_the_best_of_all_paths_costs(height, width, seed, most):
    errors = levels(height, width, seed=seed, most=most)
    connected = [
        path
        for path in itertools.product(range(width), repeat=height)
        if all(abs(a - b) <= 1 for a, b in itertools.pairwise(path))
    ]
    cut = tuple(least_cut(errors).tolist())
    assert cut in connected
    cost = {path: sum(int(errors[row, column]) for row, column in enumerate(path)) for path in connected}
    assert cost[cut] == min(cost.values())


def test_of_equal_cuts_the_leftmost_is_taken():
    assert least_cut(torch.zeros(4, 3)).tolist() == [0, 0, 0, 0]


@given(st.integers(4, 11), st.integers(4, 11), st.integers(1, 4), st.integers(0, 1000))
def test_differences_are_those_of_plain_loops(height, width, side, seed):
    sample, block = levels(3, height, width, seed=seed), levels(3, side, side, seed=seed + 1)
    counted = levels(side, side, seed=seed + 2, most=1).bool()
    found = Differences(sample).to(block, counted)
    assert found.shape == (height - side + 1, width - side + 1)
    for y, x in itertools.product(range(height - side + 1), range(width - side + 1)):
        plain = 0
        for c, i, j in itertools.product(range(3), range(side), range(side)):
            if counted[i, j]:
                plain += (int(sample[c, y + i, x + j]) - int(block[c, i, j])) ** 2
        assert found[y, x] == plain


def test_differences_stay_whole_and_exact_for_large_samples():
    sample = levels(3, 251, 257, most=1) * 255
    block = sample[:, 200:248, 130:178]
    found = Differences(sample).to(block, torch.ones(48, 48, dtype=torch.bool))
    assert found[200, 130] == 0
    plain = (sample.unfold(1, 48, 1).unfold(2, 48, 1)[:, ::50, ::50] - block[:, None, None]).square().sum((0, 3, 4))
    assert torch.equal(found[::50, ::50], plain)
