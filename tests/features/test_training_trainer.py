import pytest
import torch
from torch.testing import assert_close
from training_toys import SETTINGS, toy_network, toy_pictures, toy_trainer

from oneira.checkpoints import read_checkpoint, write_checkpoint
from oneira.errors import CheckpointError, DataError, PlanError, SynthesisError
from oneira.features.training import LabelledPictures, Phase, Trainer


def changed(**changes):
    return SETTINGS.model_copy(update=changes)


def weights(trainer):
    return {**trainer.network.state_dict(), **{f"average.{n}": w for n, w in trainer.average.weights.items()}}


def assert_same_bytes(first, second):
    ours, theirs = weights(first), weights(second)
    assert all(torch.equal(value, theirs[name]) for name, value in ours.items())


def build(training, validation, settings=SETTINGS):
    return Trainer(toy_network(), settings, training, validation, device=torch.device("cpu"), precision=torch.float32)


class TestRunning:
    def test_it_learns(self):
        steps = list(toy_trainer(changed(phases=(Phase(side=12, epochs=12),))).run())
        losses = [step.loss for step in steps if step.loss is not None]
        assert sum(losses[-5:]) < 0.8 * sum(losses[:5])
        assert steps[-1].validation.top1 > 0.9
        assert steps[-1].averaged.top1 > 0.9

    def test_every_step_is_yielded_and_every_epoch_ends_with_a_validation(self):
        trainer = toy_trainer()
        steps = list(trainer.run())
        assert trainer.steps_per_epoch == 6
        assert [step.step for step in steps] == [*range(1, 7), 6, *range(7, 13), 12, *range(13, 19), 18]
        assert [step.epoch for step in steps if step.validation is not None] == [1, 2, 3]
        assert [step.side for step in steps] == [8] * 14 + [12] * 7
        assert all(step.validation.count == step.averaged.count == 30 for step in steps if step.validation is not None)
        assert {step.total for step in steps} == {18}
        assert trainer.finished

    def test_rates_follow_the_schedule(self):
        steps = [step for step in toy_trainer().run() if step.validation is None]
        assert [step.rate for step in steps] == [SETTINGS.rate(index / 18) for index in range(18)]

    def test_a_report_is_the_mean_since_the_last_one(self):
        single = [step.loss for step in toy_trainer(report_every=1).run() if step.validation is None]
        reported = [step for step in toy_trainer(report_every=4).run() if step.loss is not None]
        assert [step.step for step in reported] == [4, 6, 8, 12, 16, 18]
        expected = [sum(single[a:b]) / (b - a) for a, b in [(0, 4), (4, 6), (6, 8), (8, 12), (12, 16), (16, 18)]]
        assert [step.loss for step in reported] == pytest.approx(expected, rel=1e-5)
        assert all(0 <= step.accuracy <= 1 for step in reported)

    def test_the_seed_decides_everything(self):
        first, second, other = toy_trainer(), toy_trainer(), toy_trainer(changed(seed=1), network=toy_network())
        for trainer in (first, second, other):
            list(trainer.run())
        assert_same_bytes(first, second)
        assert not torch.equal(first.network.fc.weight, other.network.fc.weight)

    def test_label_smoothing_mixes_the_loss_with_that_of_no_knowledge(self):
        def loss(smoothing):
            return next(toy_trainer(changed(label_smoothing=smoothing), report_every=1).run()).loss

        plain, some, more = loss(0.0), loss(0.2), loss(0.4)
        assert some != plain
        assert more - some == pytest.approx(some - plain, abs=1e-5)

    def test_bfloat16_comes_close_to_float32(self):
        losses = [
            next(toy_trainer(precision=precision, report_every=1).run()).loss
            for precision in (torch.float32, torch.bfloat16)
        ]
        assert losses[0] != losses[1]
        assert losses[0] == pytest.approx(losses[1], rel=0.02)

    def test_a_loss_that_is_no_number_stops_it(self):
        trainer = toy_trainer(report_every=3)
        running = trainer.run()
        next(running)
        trainer.network.fc.weight.data[0, 0] = float("nan")
        next(running)
        with pytest.raises(SynthesisError, match=r"no numbers any more at step 2"):
            trainer.state()
        with pytest.raises(SynthesisError, match=r"no number any more at step 3 of 18.*peak is 0\.05") as raised:
            next(running)
        assert "\n" not in str(raised.value)

    def test_the_averaged_network_has_statistics_of_its_own(self):
        trainer = toy_trainer()
        list(trainer.run())
        averaged = trainer.averaged()
        assert_close(averaged.conv2_1.weight.detach(), trainer.average.weights["conv2_1.weight"])
        assert not torch.equal(averaged.bn1_1.running_mean, trainer.network.bn1_1.running_mean)
        assert torch.equal(averaged.bn1_1.running_mean, trainer.averaged().bn1_1.running_mean)


class TestResuming:
    @pytest.mark.parametrize("stop", [1, 5, 6, 7, 8, 13, 20, 21])
    @pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16])
    def test_interrupted_and_resumed_gives_the_same_bytes(self, tmp_path, stop, precision):
        whole = toy_trainer(precision=precision)
        expected = list(whole.run())
        first = toy_trainer(precision=precision)
        running = first.run()
        before = [next(running) for _ in range(stop)]
        write_checkpoint(tmp_path / "a.pt", tmp_path / "b.pt", first.state())
        second = toy_trainer(precision=precision)
        assert second.restore(read_checkpoint(tmp_path / "a.pt"))
        assert before + list(second.run()) == expected
        assert_same_bytes(whole, second)

    def test_a_trainer_can_go_on_with_itself(self):
        whole, paused = toy_trainer(), toy_trainer()
        list(whole.run())
        next(paused.run())
        list(paused.run())
        assert_same_bytes(whole, paused)

    def test_a_checkpoint_without_settings_is_taken_as_it_is(self):
        """The first checkpoints held no more than this, and the average as a module in a module."""
        whole, first, second = toy_trainer(), toy_trainer(), toy_trainer()
        list(whole.run())
        running = first.run()
        for _ in range(7):  # the first epoch and its validation
            next(running)
        state = first.state()
        old = {name: state[name] for name in ("network", "optimiser", "step")}
        old["average"] = {f"module.{name}": value for name, value in state["average"].items()}
        old["average"]["n_averaged"] = torch.tensor(3)
        assert not second.restore(old)
        list(second.run())
        assert_same_bytes(whole, second)

    def test_other_settings_are_refused_and_named(self):
        state = toy_trainer().state()
        with pytest.raises(CheckpointError, match=r"batch was 8 and is 6; momentum was 0\.9 and is 0\.8$"):
            toy_trainer(changed(batch=6, momentum=0.8)).restore(state)

    def test_other_data_are_refused(self):
        fewer = LabelledPictures(toy_pictures().pictures[:40], toy_pictures().labels[:40], ("a", "b", "c"))
        with pytest.raises(CheckpointError, match=r"pictures was 48 and is 40; classes was \['red'"):
            build(fewer, fewer).restore(toy_trainer().state())

    @pytest.mark.parametrize("name", ["network", "average", "optimiser", "step"])
    def test_a_checkpoint_of_another_network_is_refused(self, name):
        state = toy_trainer().state()
        wrong = {**state, name: {}}
        with pytest.raises(CheckpointError, match="not a checkpoint of this network"):
            toy_trainer().restore(wrong)
        del wrong[name]
        with pytest.raises(CheckpointError, match="not a checkpoint of this network"):
            toy_trainer().restore(wrong)


class TestWhatDoesNotGoTogether:
    def test_fewer_pictures_than_a_batch(self):
        with pytest.raises(PlanError, match="a batch of 50 is more than the 48 pictures"):
            build(toy_pictures(), toy_pictures(), changed(batch=50))

    def test_pictures_too_small_for_the_network(self):
        with pytest.raises(PlanError, match=r"pictures of 1 pixels are too small.*at least 2"):
            build(toy_pictures(), toy_pictures(), changed(phases=(Phase(side=1, epochs=1),)))

    def test_other_classes_in_training_and_validation(self):
        other = LabelledPictures(toy_pictures().pictures, toy_pictures().labels, ("red", "blue", "green"))
        with pytest.raises(DataError, match="have other classes"):
            build(toy_pictures(), other)

    def test_a_class_that_the_network_does_not_have(self):
        beyond = LabelledPictures(toy_pictures().pictures, toy_pictures().labels + 1)
        with pytest.raises(DataError, match="a class 3, but the network tells 0 to 2"):
            build(toy_pictures(), beyond)
