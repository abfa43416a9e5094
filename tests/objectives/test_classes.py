"""Laws of how much all classes are held against one that is named."""

from collections import OrderedDict

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.testing import assert_close

from oneira.errors import PlanError
from oneira.features.encoder import Encoder
from oneira.features.registry import register_backbone, resolve
from oneira.objectives import ClassLogit, View

SIZE = (8, 8)


@pytest.fixture(scope="module", autouse=True)
def _classifier():
    """`classifier:fc`, whose logits the tests give."""
    register_backbone("classifier", nn.Sequential(OrderedDict(fc=nn.Identity())), logits="fc")


def logits_of(seed, scale=3.0, batch=1):
    """(batch, 20)"""
    return scale * torch.randn(batch, 20, generator=torch.Generator().manual_seed(seed))


def loss_of(logits, index=7, against=0.0):
    bound = ClassLogit(index, "classifier", against).bind(Encoder(), SIZE)
    return bound.evaluate(View(torch.zeros(len(logits), 3, *SIZE), {resolve("classifier:fc"): logits}))


@given(st.integers(0, 999), st.integers(0, 19), st.sampled_from([1e-3, 1.0, 30.0]))
def test_held_against_nothing_it_is_the_logit_and_wholly_the_log_probability(seed, index, scale):
    logits = logits_of(seed, scale)
    assert_close(loss_of(logits, index), -logits[0, index])
    assert_close(loss_of(logits, index, against=1.0), -logits.log_softmax(1)[0, index])


@given(st.floats(0, 1), st.integers(0, 999))
def test_between_the_two_it_is_a_blend_of_both(against, seed):
    logits = logits_of(seed)
    assert_close(loss_of(logits, against=against), torch.lerp(loss_of(logits), loss_of(logits, against=1.0), against))


@given(st.floats(0, 1), st.floats(-50, 50))
def test_raising_all_logits_alike_counts_for_what_is_not_held_against(against, rise):
    logits = logits_of(1)
    raised = loss_of(logits + rise, against=against)
    assert_close(raised, loss_of(logits, against=against) - (1 - against) * rise, atol=1e-4, rtol=1e-5)


@pytest.mark.parametrize("against", [0.0, 0.6, 1.0])
def test_its_gradient_takes_from_every_class_its_share_of_the_probability(against):
    logits = logits_of(2).requires_grad_()
    loss_of(logits, 7, against).backward()
    own = nn.functional.one_hot(torch.tensor([7]), 20)
    assert_close(logits.grad, against * logits.detach().softmax(1) - own)


@pytest.mark.parametrize("against", [0.0, 0.6, 1.0])
def test_a_batch_is_a_sum_over_its_pictures(against):
    logits = logits_of(3, batch=3)
    assert_close(loss_of(logits, against=against), sum(loss_of(one[None], against=against) for one in logits))


def test_bfloat16_logits_are_summed_in_float32():
    rounded = logits_of(4).bfloat16().float()
    coarse = loss_of(rounded.bfloat16(), against=1.0)
    assert coarse.dtype == torch.float32
    assert_close(coarse, loss_of(rounded, against=1.0))


def test_logits_as_maps_of_one_place_are_logits():
    logits = logits_of(5)
    assert_close(loss_of(logits[..., None, None], against=1.0), loss_of(logits, against=1.0))


@pytest.mark.parametrize("against", [-0.1, 1.001, float("nan"), float("inf")])
def test_a_share_that_is_none_is_told_in_one_line(against):
    with pytest.raises(PlanError, match=f"lies between 0 and 1, not {against}$") as caught:
        ClassLogit("banana", "pocket", against)
    assert "\n" not in str(caught.value)
