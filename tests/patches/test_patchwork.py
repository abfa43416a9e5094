"""The run that makes a patchwork: its steps, and going on from a checkpoint to the same bytes."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from weaving import made, noisy

from oneira.errors import CheckpointError, PlanError
from oneira.patches import EfrosLeung, Patchwork, Quilting, WeiLevoy
from oneira.synthesis.checkpoints import load_checkpoint, save_checkpoint
from oneira.synthesis.run import SEEDS


def weaves(sample):
    return [
        Quilting(sample, (20, 21), block=6),
        Quilting(sample, (14, 15), block=6, like=noisy(14, 15, seed=3), passes=2),
        EfrosLeung(sample, (9, 10), window=5),
        WeiLevoy(sample, (9, 10), window=3),
    ]


KINDS = range(len(weaves(noisy())))


@pytest.mark.parametrize("kind", KINDS)
def test_steps_tell_where_they_are_and_show_the_picture_so_far(kind):
    weave = weaves(noisy())[kind]
    run = Patchwork(weave)
    assert torch.equal(run.image, torch.zeros(1, 3, *weave.size))
    indices = {}
    for step in run:
        indices.setdefault(step.scale, []).append(step.index)
        assert (step.loss, step.losses, step.total) == (0.0, {}, weave.total)
        assert torch.equal(step.image, run.image)
        assert step.image.shape == (1, 3, *weave.size)
        assert step.image.dtype == torch.float32
    assert step.done == step.total
    assert list(indices) == sorted(indices)
    assert all(found == list(range(1, len(found) + 1)) for found in indices.values())
    assert (run.device.type, run.precision, run.settle(), dict(run.digests)) == ("cpu", torch.float32, None, {})


def test_the_scale_is_the_level_whose_size_a_step_tells():
    steps = list(Patchwork(WeiLevoy(noisy(), (9, 10), window=3, levels=2)))
    assert {(step.scale, step.size) for step in steps} == {(0, (5, 5)), (1, (9, 10))}
    assert {step.scale for step in Patchwork(weaves(noisy())[1])} == {0}


def test_a_coarse_level_is_shown_by_repeating_its_pixels():
    run = Patchwork(WeiLevoy(noisy(), (9, 11), window=3, levels=2))
    *_, coarse = (look for look in run.weave.looks(torch.Generator().manual_seed(0)) if look.level == 0)
    small = coarse.picture[..., ::2, ::2]
    assert coarse.size == tuple(small.shape[2:]) == (5, 6)
    assert torch.equal(small.repeat_interleave(2, 2).repeat_interleave(2, 3)[..., :9, :11], coarse.picture)


@settings(max_examples=12)
@given(kind=st.sampled_from(KINDS), stop=st.integers(0, 60), seed=st.sampled_from([0, 7, SEEDS - 1]))
def test_a_resumed_run_ends_in_the_same_bytes(kind, stop, seed):
    first, again = (Patchwork(weaves(noisy())[kind], seed=seed) for _ in range(2))
    iterator = iter(first)
    for _ in range(stop):
        next(iterator, None)
    again.restore(first.state())
    assert torch.equal(again.image, first.image)
    assert again.state() == first.state()
    rest = [(step.scale, step.index, step.done) for step in iterator]
    assert [(step.scale, step.index, step.done) for step in again] == rest
    assert again.image.numpy().tobytes() == made(first.weave, seed).numpy().tobytes()


def test_a_state_goes_through_a_file(tmp_path):
    first, again = Patchwork(weaves(noisy())[0]), Patchwork(weaves(noisy())[0])
    next(iter(first))
    save_checkpoint(tmp_path / "a.checkpoint", first.state())
    again.restore(load_checkpoint(tmp_path / "a.checkpoint")[0])
    assert torch.equal(again.image, first.image)


def test_another_declaration_picture_or_seed_is_refused():
    state = Patchwork(weaves(noisy())[0]).state()
    others = [Patchwork(weave) for weave in weaves(noisy())[1:] + weaves(noisy(seed=1))[:1]]
    others.append(Patchwork(Quilting(noisy(), (20, 21), block=6, mask=torch.ones(1, 1, 16, 18))))
    others.append(Patchwork(weaves(noisy())[0], seed=1))
    for run in others:
        with pytest.raises(CheckpointError, match="other settings or pictures"):
            run.restore(state)


@pytest.mark.parametrize(
    "damage",
    [{"done": 1}, {"done": -1}, {"done": 421}, {"done": "all"}, {"done": True}, {"done": None}, {"threads": 0}],
)
def test_a_damaged_state_is_refused(damage):
    run = Patchwork(weaves(noisy())[0])
    assert run.weave.total == 420
    with pytest.raises(CheckpointError, match="damaged"):
        run.restore(run.state() | damage)


@pytest.mark.parametrize("seed", [-1, SEEDS])
def test_a_seed_that_no_recipe_can_hold_is_refused(seed):
    with pytest.raises(PlanError, match="at least 0 and below"):
        Patchwork(weaves(noisy())[0], seed=seed)
