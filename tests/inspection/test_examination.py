"""The run of a study: its steps, what is kept of it, and going on later."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import pytest
import torch
from networks import TINY, tiny_network
from safetensors.torch import save_file

from oneira.errors import AddressError, CheckpointError, PlanError, SynthesisError
from oneira.features import find_backbone
from oneira.features.registry import register_backbone
from oneira.features.weights import load_weights
from oneira.inspection import Examination, Projections, Study

LAYER = f"{TINY}:relu3"


def quiet(_):
    pass


@dataclass(frozen=True, eq=False)
class Numbers(Study):
    """As many parts as told, each a random number; `happening` is called with each part's number."""

    count: int
    happening: Callable[[int], object] = quiet

    @property
    def size(self):
        return 2, 3

    def check(self, encoder):
        if self.count > 9:
            raise PlanError("too many")

    def pictures(self, encoder, generator):
        drawn = []
        for done in range(1, self.count + 1):
            self.happening(done)
            drawn.append(torch.rand(1, 3, 2, 3, generator=generator))
            yield done, self.count, lambda: torch.cat(drawn, 3)


@pytest.fixture
def study(image):
    return Projections(image, LAYER, top=4, samples=2)


def finished(examination):
    for _ in examination:
        pass
    return examination.image


class TestSteps:
    def test_there_is_one_for_every_part(self, study):
        steps = list(Examination(study))
        assert [(step.done, step.index) for step in steps] == [(1, 1), (2, 2), (3, 3), (4, 4)]
        assert {step.total for step in steps} == {4}
        assert {step.size for step in steps} == {(20, 28)}
        assert {(step.scale, step.loss, tuple(step.losses), step.stage) for step in steps} == {(0, 0.0, (), None)}

    def test_each_shows_the_picture_so_far(self):
        examination = Examination(Numbers(3))
        widths = []
        for step in examination:
            assert torch.equal(step.image, examination.image)
            widths.append(step.image.shape[3])
        assert widths == [3, 6, 9]

    def test_before_the_first_there_is_no_picture(self, study):
        with pytest.raises(SynthesisError, match=r"^nothing has been computed yet$"):
            _ = Examination(study).image

    def test_a_picture_that_was_handed_out_is_its_own(self):
        examination = Examination(Numbers(2))
        finished(examination).zero_()
        assert examination.image.any()

    def test_the_seed_decides(self, study):
        same, again, other = (finished(Examination(study, seed=seed)) for seed in (3, 3, 4))
        assert torch.equal(same, again)
        assert not torch.equal(same, other)


class TestBeginning:
    def test_small_differences_are_what_is_looked_at(self, study):
        assert Examination(study).precision == torch.float32
        assert Examination(study, precision="bfloat16").precision == torch.bfloat16

    def test_nothing_is_computed_before_it_is_asked_for(self):
        Examination(Numbers(3, lambda _: pytest.fail("computed"))).state()

    def test_what_cannot_be_is_told_before_weights_are_read(self, study, monkeypatch):
        monkeypatch.setattr("oneira.features.encoder.load_weights", lambda *_, **__: pytest.fail("read"))
        with pytest.raises(AddressError, match="unknown layer 'relu9_9' of vgg19"):
            Examination(replace(study, layer="vgg19:relu9_9"))
        with pytest.raises(PlanError, match="a 28x20 picture is too small for alexnet:relu5"):
            Examination(replace(study, layer="alexnet:relu5"))
        with pytest.raises(PlanError, match="too many"):
            Examination(Numbers(10))

    @pytest.mark.parametrize(
        ("options", "says"),
        [({"seed": -1}, "a seed is"), ({"device": "abacus"}, "no device"), ({"precision": "exact"}, "precision")],
    )
    def test_what_no_run_takes_is_told(self, options, says, study):
        with pytest.raises(PlanError, match=says):
            Examination(study, **options)

    def test_too_little_memory_is_told(self):
        def burst(_):
            raise MemoryError

        with pytest.raises(SynthesisError, match="not enough memory for 3x2 pixels"):
            finished(Examination(Numbers(1, burst)))

    def test_other_errors_stay_what_they_are(self):
        def burst(_):
            raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            finished(Examination(Numbers(1, burst)))


class TestGoingOn:
    @pytest.mark.parametrize("done", [0, 1, 3, 4])
    def test_it_ends_in_the_same_bytes(self, done, study):
        whole = finished(Examination(study, seed=7))
        broken = Examination(study, seed=7)
        for _, _ in zip(range(done), broken, strict=False):
            pass
        state = broken.state()
        resumed = Examination(study, seed=7)
        resumed.restore(state)
        assert resumed.state() == state
        assert [step.done for step in resumed] == list(range(done + 1, 5))
        assert torch.equal(resumed.image, whole)

    def test_the_picture_so_far_is_there_at_once(self):
        broken = Examination(Numbers(3))
        next(iter(broken))
        resumed = Examination(Numbers(3))
        resumed.restore(broken.state())
        assert torch.equal(resumed.image, broken.image)

    def test_what_was_done_is_done_again_with_the_threads_that_are_set_by_then(self):
        """Whoever resumes sets them after restoring."""
        done = []
        study = Numbers(3, done.append)
        broken = Examination(study)
        next(iter(broken))
        done.clear()
        resumed = Examination(study)
        resumed.restore(broken.state())
        assert done == []
        next(iter(resumed))
        assert done == [1, 2]

    @pytest.mark.parametrize("change", [{"layer": f"{TINY}:relu2"}, {"top": 3}, {"rule": "guided"}, {"spread": 0.3}])
    def test_another_study_s_checkpoint_is_refused(self, change, study):
        state = Examination(study).state()
        with pytest.raises(CheckpointError, match=r"^the checkpoint belongs to other settings or pictures; start with"):
            Examination(replace(study, **change)).restore(state)

    @pytest.mark.parametrize("options", [{"seed": 1}, {"precision": "bfloat16"}])
    def test_so_is_one_with_another_seed_or_precision(self, options, study):
        with pytest.raises(CheckpointError, match="belongs to other settings"):
            Examination(study, **options).restore(Examination(study).state())

    @pytest.mark.parametrize(
        "damage",
        [{"done": -1}, {"done": None}, {"done": True}, {"threads": 0}, {"threads": "2"}, {"weights": 3}],
        ids=str,
    )
    def test_one_that_is_damaged_is_told(self, damage, study):
        with pytest.raises(CheckpointError, match="the checkpoint is damaged"):
            Examination(study).restore({**Examination(study).state(), **damage})

    def test_so_is_one_that_has_done_more_than_there_is(self, study):
        examination = Examination(study)
        examination.restore({**examination.state(), "done": 5})
        with pytest.raises(CheckpointError, match=r"^the checkpoint is damaged \(5 parts done, of 4\)"):
            next(iter(examination))

    @pytest.fixture
    def other_weights(self, tmp_path):
        state = load_weights(find_backbone("pocket")).network.state_dict()
        path = tmp_path / "scrambled.safetensors"
        save_file({name: value.flip(0).half().contiguous() for name, value in state.items()}, path)
        return path

    def test_weights_of_another_network_are_told(self, image, other_weights):
        study = Projections(image, "pocket:relu2_1", top=2)
        broken = Examination(study)
        next(iter(broken))
        assert list(broken.digests) == ["pocket"]
        resumed = Examination(study, weights={"pocket": other_weights})
        resumed.restore(broken.state())
        assert resumed.digests == broken.digests
        with pytest.raises(
            CheckpointError, match=r"^the checkpoint was computed with other weights of pocket; start w"
        ):
            next(iter(resumed))

    def test_weights_are_those_that_are_named(self, image, other_weights):
        study = Projections(image, "pocket:relu2_1", top=2)
        assert not torch.equal(
            finished(Examination(study)), finished(Examination(study, weights={"pocket": other_weights}))
        )


def test_a_network_of_a_user_has_no_digest(image):
    register_backbone("mine", tiny_network(seed=3))
    examination = Examination(Projections(image, "mine:relu2", top=1))
    finished(examination)
    assert examination.digests == {}
