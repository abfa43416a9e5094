import pytest
import torch
from stylizer_toys import (
    SETTINGS,
    Drawn,
    changed,
    drawn,
    same_bytes,
    small_network,
    style_sources,
    toy_trainer,
    weights,
)
from torch.testing import assert_close

from oneira.checkpoints import read_checkpoint, write_checkpoint
from oneira.errors import CheckpointError, PlanError, SynthesisError
from oneira.features import Encoder
from oneira.feedforward.training import Phase, StylizerTrainer

LONG = (Phase(side=16, steps=100),)


class TestRunning:
    def test_a_hundred_steps_lower_every_loss(self):
        trainer = toy_trainer(
            changed(phases=LONG, content_weight=0.3, identity=True, identity_weight=10.0), report_every=10
        )
        reports = [step for step in trainer.run() if step.loss is not None]
        assert len(reports) == 10
        first, last = reports[0], reports[-1]
        assert last.loss < 0.6 * first.loss
        assert last.by_term["style"] < 0.6 * first.by_term["style"]
        assert last.by_term["identity"] < 0.85 * first.by_term["identity"]
        assert not any(step.note for step in reports)
        one, two, same = (drawn(trainer.averaged(), style, 3) for style in range(3))
        assert min((one - two).abs().mean(), (one - same).abs().mean(), (two - same).abs().mean()) > 0.02

    @pytest.mark.parametrize("kind", ["instance", "batch"])
    def test_networks_of_one_style_learn_too(self, kind):
        settings = changed(network=kind, phases=(Phase(side=16, steps=30),), rate=0.02)
        reports = list(toy_trainer(settings, network=small_network(1, kind), styles=1, report_every=10).run())[9::10]
        assert reports[-1].loss < 0.8 * reports[0].loss

    def test_every_step_is_yielded_with_its_side_and_rate(self):
        steps = list(toy_trainer().run())
        assert [step.step for step in steps] == list(range(1, 11))
        assert [step.side for step in steps] == [16] * 6 + [24] * 4
        assert [step.rate for step in steps] == [SETTINGS.rate_at(index) for index in range(10)]
        assert {step.total for step in steps} == {10}

    def test_a_report_is_the_mean_since_the_last_one(self):
        single = list(toy_trainer(report_every=1).run())
        reported = [step for step in toy_trainer(report_every=4).run() if step.loss is not None]
        assert [step.step for step in reported] == [4, 8, 10]
        for step, (a, b) in zip(reported, [(0, 4), (4, 8), (8, 10)], strict=True):
            part = single[a:b]
            assert step.loss == pytest.approx(sum(other.loss for other in part) / len(part), rel=1e-5)
            mean = sum(other.by_term["content"] for other in part) / len(part)
            assert step.by_term["content"] == pytest.approx(mean, rel=1e-5)
            assert set(step.by_term) == {"style", "content", "tv"}

    def test_every_style_has_its_turn(self):
        lessons = [toy_trainer(styles=3)._lessons(step).styles for step in range(4)]
        assert [sorted(styles) for styles in lessons] == [[0, 1, 2]] * 4

    def test_the_seed_decides_everything(self):
        first, second = (toy_trainer() for _ in range(2))
        others = [toy_trainer(changed(seed=1)), toy_trainer(pictures=Drawn(8))]
        for trainer in (first, second, *others):
            list(trainer.run())
        assert same_bytes(first, second)
        assert not any(same_bytes(first, other) for other in others)

    def test_bfloat16_comes_close_to_float32(self):
        losses = [
            list(toy_trainer(precision=p, report_every=10).run())[-1].loss for p in (torch.float32, torch.bfloat16)
        ]
        assert losses[0] != losses[1]
        assert losses[0] == pytest.approx(losses[1], rel=0.05)

    def test_weights_stay_in_float32(self):
        trainer = toy_trainer(precision=torch.bfloat16)
        list(trainer.run())
        assert {value.dtype for value in trainer.network.state_dict().values()} == {torch.float32}

    def test_a_clipped_gradient_is_no_longer_than_it_may_be(self):
        trainer = toy_trainer(changed(clip=1e-3))
        next(trainer.run())
        gradients = torch.cat([p.grad.flatten() for p in trainer.network.parameters()])
        assert gradients.norm() == pytest.approx(1e-3, rel=1e-3)

    def test_the_first_step_is_adam_on_the_plain_gradient(self):
        """Nothing is lost between the loss network's picture and the weights."""
        settings = changed(clip=None)
        trainer, network = toy_trainer(settings), small_network()
        lessons = trainer._lessons(0)
        loss = trainer.losses(network(*trainer.task.inputs(lessons, trainer.device)), lessons).total / 3
        loss.backward()
        next(trainer.run())
        for ours, plain in zip(trainer.network.parameters(), network.parameters(), strict=True):
            assert_close(ours.grad, plain.grad, rtol=1e-3, atol=1e-6)


class TestRates:
    def test_it_rises_and_falls_along_a_cosine(self):
        settings = changed(phases=LONG, warmup=9, rate=1.0)
        rates = [settings.rate_at(step) for step in range(101)]
        assert rates[0] == pytest.approx(0.1)
        assert rates[50] == pytest.approx(0.5)
        assert rates[100] == pytest.approx(0, abs=1e-12)
        assert max(rates) < 1

    def test_it_falls_in_steps(self):
        settings = changed(fall="steps", fall_every=2000, fall_factor=0.8, warmup=0, rate=1e-3)
        assert [settings.rate_at(step) for step in (0, 1999, 2000, 4000)] == pytest.approx([1e-3, 1e-3, 8e-4, 6.4e-4])

    def test_it_stays(self):
        assert {changed(fall="none", warmup=0).rate_at(step) for step in (0, 5, 9)} == {SETTINGS.rate}


class TestResuming:
    @pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16])
    @pytest.mark.parametrize("stop", [1, 6, 7])
    def test_interrupted_and_resumed_gives_the_same_bytes(self, tmp_path, stop, precision):
        settings = changed(identity=True)
        whole = toy_trainer(settings, precision=precision)
        expected = list(whole.run())
        first = toy_trainer(settings, precision=precision)
        running = first.run()
        before = [next(running) for _ in range(stop)]
        write_checkpoint(tmp_path / "a.pt", tmp_path / "b.pt", first.state())
        second = toy_trainer(settings, network=small_network(3, seed=9), precision=precision)
        second.restore(read_checkpoint(tmp_path / "a.pt"))
        assert before + list(second.run()) == expected
        assert same_bytes(whole, second)

    def test_other_settings_are_refused_and_named(self):
        state = toy_trainer().state()
        with pytest.raises(CheckpointError, match=r"style_weight was 1\.0 and is 2\.0; batch was 3 and is 4$"):
            toy_trainer(changed(batch=4, style_weight=2.0)).restore(state)

    def test_other_pictures_are_refused(self):
        pictures = Drawn()
        pictures.identity = "others"
        with pytest.raises(CheckpointError, match="data was drawn and is others"):
            toy_trainer(pictures=pictures).restore(toy_trainer().state())

    def test_other_styles_are_refused(self):
        trainer = toy_trainer()
        moved = StylizerTrainer(
            small_network(), SETTINGS, Drawn(), style_sources(3)[1:], Encoder(), precision=torch.float32
        )
        with pytest.raises(CheckpointError, match=r"styles was \[.*and is"):
            moved.restore(trainer.state())

    @pytest.mark.parametrize("name", ["network", "average", "optimiser", "step", "good", "watch"])
    def test_a_checkpoint_of_another_network_is_refused(self, name):
        state = toy_trainer().state()
        del state[name]
        with pytest.raises(CheckpointError, match="not a checkpoint of this network"):
            toy_trainer().restore(state)


class TestNoNumbers:
    def spoiled(self, trainer):
        next(iter(trainer.network.parameters())).data[0] = float("nan")

    def test_the_last_good_weights_come_back_once_with_a_smaller_rate(self):
        trainer = toy_trainer(changed(phases=LONG))
        running = trainer.run()
        steps = [next(running) for _ in range(4)]
        good = {name: value.clone() for name, value in trainer.network.state_dict().items()}
        self.spoiled(trainer)
        steps += [next(running) for _ in range(2)]
        assert "no number any more at step 6 of 100" in steps[-1].note
        assert steps[-1].loss is None
        assert all(torch.equal(value, good[name]) for name, value in trainer.network.state_dict().items())
        steps += [next(running) for _ in range(2)]
        assert steps[-1].loss is not None
        assert steps[-1].rate == pytest.approx(0.3 * trainer.settings.rate_at(7))
        self.spoiled(trainer)
        with pytest.raises(SynthesisError, match="for the second time: lower the learning rate") as raised:
            list(running)
        assert "\n" not in str(raised.value)

    def test_resumed_after_it_gives_the_same_bytes(self):
        whole, first, second = (toy_trainer(changed(phases=(Phase(side=16, steps=10),))) for _ in range(3))
        for trainer in (whole, first):
            running = trainer.run()
            for _ in range(5):
                next(running)
            self.spoiled(trainer)
            if trainer is whole:
                list(running)
        second.restore(first.state())
        list(second.run())
        assert same_bytes(whole, second)
        assert all(bool(value.isfinite().all()) for value in weights(whole).values())


class TestWhatDoesNotGoTogether:
    def test_another_number_of_styles(self):
        with pytest.raises(PlanError, match="the network has 2 styles, and 3 are to be taught"):
            toy_trainer(network=small_network(2), styles=3)

    def test_another_number_of_weights(self):
        with pytest.raises(PlanError, match="every style needs one weight: 2, not 1"):
            toy_trainer(changed(style_weights=(1.0,)))

    def test_no_pictures(self):
        with pytest.raises(PlanError, match="needs pictures to learn on"):
            toy_trainer(pictures=None)
