"""What is wrong with a plan is told before anything is loaded, and what goes wrong later in one line."""

from dataclasses import dataclass, replace

import pytest
import torch
from networks import TINY, tiny_network
from torch import nn

from oneira import register_backbone
from oneira.errors import AddressError, CheckpointError, PlanError, SynthesisError
from oneira.objectives import BoundTerm, Content, Dream, Masked, Style, Term, TotalVariation
from oneira.synthesis.canvas import Pixels
from oneira.synthesis.loop import Synthesis
from oneira.synthesis.memory import ran_out
from oneira.synthesis.optimisers import OptimiserSpec
from oneira.synthesis.plan import Plan
from oneira.synthesis.schedules import Scale, Schedule, octaves, single

LAYER = f"{TINY}:relu2"


def plan_of(objective, image, schedule=None):
    schedule = schedule or single(28, 2)
    return Plan(Pixels.of(image), objective, schedule, optimiser=OptimiserSpec("adam", 0.02))


@pytest.fixture
def _nothing_is_loaded(monkeypatch):
    def never(*_, **__):
        raise AssertionError

    monkeypatch.setattr("oneira.features.encoder.load_weights", never)


@pytest.mark.usefixtures("_nothing_is_loaded")
class TestRehearsal:
    @pytest.mark.parametrize("place", range(3))
    def test_an_unknown_layer_of_any_term(self, place, image):
        terms = [Dream("vgg11:relu1_1"), Style(image, "vgg16:relu1_1"), Masked(image[:, :1], Content(image, LAYER))]
        terms[place] = Masked(image[:, :1], Content(image, "vgg19:relu1-1"))
        with pytest.raises(AddressError, match="did you mean 'relu1_1'"):
            Synthesis(plan_of(terms[0] + 2 * terms[1] - terms[2], image))

    def test_a_picture_too_small_at_the_smallest_of_the_sizes(self, image):
        for schedule in (octaves(28, count=3), Schedule((Scale(28, 1), Scale(14, 1), Scale(20, 1)))):
            with pytest.raises(PlanError, match=r"at the smallest of 3 sizes: a 14x10 picture is too small for vgg11"):
                Synthesis(plan_of(Dream("vgg11:relu5_2"), image, schedule))
        with pytest.raises(PlanError, match=r"^a 28x20 picture"):
            Synthesis(plan_of(Dream("vgg11:pool5"), image))

    def test_a_style_picture_too_small(self, image):
        style = torch.rand(1, 3, 1, 400)
        with pytest.raises(PlanError, match="too small"):
            Synthesis(plan_of(Style(style, "vgg11:relu3_1"), image))

    def test_what_is_right_passes(self, image):
        terms = Style(image, "vgg11:relu1_1", ("gram", "moments", "wasserstein")) + Content(image, "vgg11:relu2_1")
        Synthesis(plan_of(terms + TotalVariation() + Dream("resnet18:layer1"), image))


@dataclass(frozen=True)
class Particular(Term):
    """A term of a user's own, whose targets need activations that mean something."""

    layer: str

    def bind(self, encoder, size):
        target = next(iter(encoder(torch.rand(1, 3, *size), [self.layer]).values()))
        if target.shape[1] != 6:
            raise PlanError("six channels are needed")
        return BoundTerm(self.name, lambda view: view.image.mean() * target.mean())


def test_a_term_that_needs_real_activations_gets_them(image):
    assert len(list(Synthesis(plan_of(Particular(LAYER), image)))) == 2


@pytest.mark.parametrize("seed", [-1, 2**63])
def test_a_seed_that_no_recipe_can_hold_is_refused(seed, image):
    with pytest.raises(PlanError, match=str(seed)):
        Synthesis(plan_of(Dream(LAYER), image), seed=seed)


class Greedy(nn.Module):
    """Wants more memory than there is."""

    def forward(self, features):
        return features * torch.empty(1 << 60)


def test_too_little_memory_is_told_with_the_size_and_the_picture_stays(image):
    network = tiny_network()
    network.add_module("greedy", Greedy())
    register_backbone("greedy", network)
    synthesis = Synthesis(plan_of(Dream("greedy:greedy"), image))
    with pytest.raises(SynthesisError, match="not enough memory for 28x20 pixels"):
        list(synthesis)
    torch.testing.assert_close(synthesis.image, image)


def test_other_errors_are_not_taken_for_too_little_memory():
    assert ran_out(MemoryError())
    assert ran_out(RuntimeError("CUDA out of memory. Tried to allocate 2 GiB"))
    assert not ran_out(RuntimeError("shapes do not fit"))
    assert not ran_out(ValueError("out of memory"))


class TestFingerprints:
    def test_everything_counts(self, image):
        plan = plan_of(Dream(LAYER) + 0.1 * Content(image, LAYER), image)
        others = [
            replace(plan, canvas=Pixels.of(image + 1e-6)),
            replace(plan, canvas=Pixels.of(image.double())),
            replace(plan, canvas=Pixels.of(image.view(1, 3, 28, 20))),
            replace(plan, canvas=Pixels(image, clamp=False)),
            replace(plan, objective=Dream(LAYER) + 0.2 * Content(image, LAYER)),
            replace(plan, objective=Dream(LAYER) + 0.1 * Content(image, f"{TINY}:relu3")),
            replace(plan, objective=Dream((LAYER,)) + 0.1 * Content(image, LAYER)),
            replace(plan, schedule=single(28, 3)),
            replace(plan, optimiser=OptimiserSpec("adam", 0.02, {"eps": 1e-3})),
            replace(plan, averaging=0.5),
            replace(plan, keep_momentum=True),
            replace(plan, canvas=Pixels(image, noise_share=0.5)),
        ]
        assert len({other.fingerprint for other in (plan, *others)}) == len(others) + 1

    def test_equal_plans_have_equal_ones(self, image):
        assert plan_of(Dream(LAYER), image).fingerprint == plan_of(Dream(LAYER), image.clone()).fingerprint


class TestCheckpoints:
    @pytest.fixture
    def state(self, image):
        synthesis = Synthesis(plan_of(Content(image.flip(2), LAYER), image), precision="float32")
        next(iter(synthesis))
        return synthesis.state()

    def restored(self, state, image, **options):
        synthesis = Synthesis(plan_of(Content(image.flip(2), LAYER), image), **{"precision": "float32", **options})
        synthesis.restore(state)
        return synthesis

    def test_another_precision_is_refused(self, state, image):
        with pytest.raises(CheckpointError, match="computed in float32, this run would go on in bfloat16"):
            self.restored(state, image, precision="bfloat16")

    def test_other_weights_are_refused(self, state, image):
        synthesis = self.restored({**state, "weights": {"pocket": "0" * 64}}, image)
        assert synthesis.digests == {"pocket": "0" * 64}
        list(synthesis)  # pocket is not used, so that nobody can tell
        other = Synthesis(plan_of(Dream("pocket:relu1_1"), image))
        next(iter(other))
        state = {**other.state(), "weights": {"pocket": "0" * 64}}
        again = Synthesis(plan_of(Dream("pocket:relu1_1"), image))
        again.restore(state)
        with pytest.raises(CheckpointError, match="other weights of pocket"):
            next(iter(again))

    @pytest.mark.parametrize(
        "damage",
        [
            {"scale": 99},
            {"scale": "first"},
            {"rescued": True, "parameters": [torch.zeros(1)]},
            {"parameters": [torch.zeros(1)]},
            {"parameters": None},
            {"average": {}},
            {"threads": 0},
            {"generator": torch.zeros(3)},
            {"weights": 3},
        ],
        ids=str,
    )
    def test_what_does_not_fit_is_told(self, damage, state, image):
        with pytest.raises(CheckpointError, match="damaged"):
            self.restored({**state, **damage}, image)

    @pytest.mark.parametrize(
        "damage",
        [{"optimiser": {"state": {}, "param_groups": []}}, {"good": [torch.zeros(7)]}, {"good": None}],
        ids=str,
    )
    def test_an_optimiser_that_does_not_fit_is_told_when_it_is_needed(self, damage, state, image):
        synthesis = self.restored({**state, "descent": {**state["descent"], **damage}}, image)
        with pytest.raises(CheckpointError, match="damaged"):
            next(iter(synthesis))
