import pytest
import torch
from stylizer_toys import changed, drawn, same_bytes, small_network, toy_trainer

from oneira.errors import PlanError
from oneira.feedforward.normalisation import ConditionalInstanceNorm
from oneira.feedforward.pyramid import TextureNetwork
from oneira.feedforward.training import Phase, StylizerSettings, fresh_network
from oneira.feedforward.training.tasks import called


class TestAdding:
    def test_the_other_styles_stay_to_the_bit_and_the_new_one_is_learned(self):
        network = small_network(3).to(memory_format=torch.channels_last)
        before = [drawn(network, style, 3) for style in range(3)]
        settings = changed(phases=(Phase(side=16, steps=40),), rate=0.05)
        trainer = toy_trainer(settings, network=network, styles=1, adding=True, report_every=10)
        reports = [step for step in trainer.run() if step.loss is not None]
        after = [drawn(trainer.averaged(), style, 3) for style in range(3)]
        assert torch.equal(before[0], after[0])
        assert torch.equal(before[1], after[1])
        assert (before[2] - after[2]).abs().mean() > 0.02
        assert reports[-1].by_term["style"] < 0.7 * reports[0].by_term["style"]
        kept = [part.scale[:2] for part in trainer.network.modules() if isinstance(part, ConditionalInstanceNorm)]
        assert all(torch.equal(scale, torch.ones_like(scale)) for scale in kept)

    def test_it_can_be_resumed(self):
        whole, first, second = (toy_trainer(network=small_network(3), styles=1, adding=True) for _ in range(3))
        list(whole.run())
        next(first.run())
        second.restore(first.state())
        list(second.run())
        assert same_bytes(whole, second)

    def test_a_network_of_one_style_takes_no_other(self):
        with pytest.raises(PlanError, match="conditional networks only"):
            toy_trainer(network=TwoStyles(), styles=1, adding=True)

    def test_an_identity_is_not_added(self):
        with pytest.raises(PlanError, match="taught from the beginning"):
            toy_trainer(changed(identity=True), network=small_network(3), styles=1, adding=True)


class TwoStyles(torch.nn.Module):
    """As if a plain network had two styles."""

    def __new__(cls):
        network = small_network(1, "instance")
        network.styles = 2
        return network


class TestTextures:
    def settings(self, **others):
        return changed(network="texture", batch=2, rate=0.02, **{"phases": (Phase(side=16, steps=40),), **others})

    def trainer(self, settings):
        torch.manual_seed(0)
        network = TextureNetwork(scales=3, channels=2)
        return toy_trainer(settings, network=network, styles=1, pictures=None, report_every=10)

    def test_out_of_noise_comes_the_manner(self):
        trainer = self.trainer(self.settings())
        reports = [step for step in trainer.run() if step.loss is not None]
        assert reports[-1].by_term["style"] < 0.5 * reports[0].by_term["style"]
        assert set(reports[-1].by_term) == {"style", "tv"}

    def test_other_noise_brings_another_piece(self):
        trainer = self.trainer(self.settings())
        network = trainer.averaged()
        pieces = [
            called(network, trainer.task.inputs(trainer.task.lessons(range(n, n + 1), 16), trainer.device),
                   trainer.device, torch.float32)
            for n in (0, 0, 1)
        ]  # fmt: skip
        assert torch.equal(pieces[0], pieces[1])
        assert not torch.equal(pieces[0], pieces[2])

    def test_sides_that_cannot_be_halved_are_refused_at_once(self):
        with pytest.raises(PlanError, match="multiples of 4"):
            self.trainer(self.settings(phases=(Phase(side=18, steps=1),)))


class TestBeginning:
    def test_the_seed_decides_the_weights_and_nothing_else_is_drawn_from(self):
        torch.manual_seed(3)
        expected = torch.rand(1)
        torch.manual_seed(3)
        first, second = (fresh_network(StylizerSettings(), 2) for _ in range(2))
        assert torch.equal(torch.rand(1), expected)
        other = fresh_network(StylizerSettings(seed=1), 2)
        values = [torch.cat([p.flatten() for p in network.parameters()]) for network in (first, second, other)]
        assert torch.equal(values[0], values[1])
        assert not torch.equal(values[0], values[2])

    def test_an_identity_is_one_style_more(self):
        assert fresh_network(StylizerSettings(identity=True), 2).styles == 3

    def test_normal_weights(self):
        network = fresh_network(StylizerSettings(initialisation=0.01), 1)
        drawn = torch.cat([p.detach().flatten() for n, p in network.named_parameters() if p.ndim == 4])
        assert drawn.std() == pytest.approx(0.01, rel=0.01)
        assert abs(drawn.mean()) < 1e-4

    def test_a_texture_is_one(self):
        assert isinstance(fresh_network(StylizerSettings(network="texture"), 1), TextureNetwork)
        with pytest.raises(PlanError, match="one texture, not 2"):
            fresh_network(StylizerSettings(network="texture"), 2)
