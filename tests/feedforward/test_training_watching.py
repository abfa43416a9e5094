import pytest
import torch
from stylizer_toys import Drawn, changed, painting, small_network, toy_trainer
from torch import nn

from oneira.errors import SynthesisError
from oneira.feedforward.normalisation import InstanceNorm
from oneira.feedforward.training import Phase
from oneira.feedforward.training.losses import Lessons
from oneira.feedforward.training.watching import LOOK_EVERY, PATIENCE, Symptoms, Watch, examined, extreme, peaked

LESSONS = Lessons([0, 0], torch.cat([painting(1), painting(2)]))
FINE = Symptoms(0.0, 0.2, 0.0)


def looked_at(pictures, network=None):
    return examined(network or nn.Identity(), LESSONS, lambda: pictures)


class TestSymptoms:
    def test_photographs_have_none(self):
        assert looked_at(LESSONS.contents).told == ""
        assert looked_at(torch.rand(2, 3, 20, 20)).told == ""

    @pytest.mark.parametrize("value", [0.0, 1.0])
    def test_dead_colours(self, value):
        pictures = LESSONS.contents.clone()
        pictures[:, :2] = value
        symptoms = looked_at(pictures)
        assert symptoms.saturated == pytest.approx(2 / 3, abs=0.01)
        assert "67% of the values are black or full light" in symptoms.told

    def test_what_the_photographs_have_themselves_does_not_count(self):
        black = torch.rand(2, 3, 20, 20).round()
        lessons = Lessons([0, 0], black)
        assert examined(nn.Identity(), lessons, lambda: black).told == ""

    def test_a_colour_that_is_the_same_everywhere(self):
        pictures = LESSONS.contents.clone()
        pictures[1, 2] = 0.4 + 0.001 * pictures[1, 2]
        assert "a colour is the same all over" in looked_at(pictures).told

    def test_a_level_of_255_decides_what_is_extreme(self):
        values = torch.tensor([0.0, 0.0019, 0.0021, 0.5, 0.9979, 0.9981, 1.0])
        assert extreme(values) == pytest.approx(4 / 7)

    def test_a_blob_is_half_of_the_energy_in_a_256th_of_the_positions(self):
        noise = torch.randn(2, 6, 32, 32, generator=torch.Generator().manual_seed(0))
        assert peaked(noise).sum() == 0
        noise[0, 3, 10:12, 10:12] = 60.0  # 4 of 1024 positions
        assert peaked(noise).nonzero().tolist() == [[3]]
        noise[0, 3] = -1000 * noise[0, 3] + 5  # wherever it lies, however large it is
        assert peaked(noise).nonzero().tolist() == [[3]]

    def test_blobs_are_looked_for_before_every_normalisation(self):
        torch.manual_seed(0)
        network = nn.Sequential(InstanceNorm(3), nn.Conv2d(3, 9, 1), InstanceNorm(9))
        values = LESSONS.contents.clone()
        assert examined(network, LESSONS, lambda: network(values)).blobs == 0
        values[..., 8, 8] = 1000.0
        assert examined(network, LESSONS, lambda: network(values)).blobs == 1
        told = Symptoms(0, 1, 0.5).told
        assert told == "50% of the channels have their energy in one blob"

    def test_looking_changes_nothing(self):
        network = small_network(1, "batch").train()
        before = {name: value.clone() for name, value in network.state_dict().items()}
        examined(network, LESSONS, lambda: network(LESSONS.contents))
        assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
        assert network.training
        assert not any(part._forward_pre_hooks for part in network.modules())


class TestWatch:
    def looks(self, watch, pictures, count=1):
        told = []
        for _ in range(count * LOOK_EVERY):
            told.append(watch.look(nn.Identity(), LESSONS, lambda: pictures))
        return [line for line in told if line]

    def test_it_tells_first_and_stops_then(self):
        watch, black = Watch(), torch.zeros(2, 3, 20, 20)
        assert len(self.looks(watch, black, PATIENCE - 1)) == PATIENCE - 1
        with pytest.raises(
            SynthesisError, match="bad pictures, 3 looks in a row: 100% of the values are black"
        ) as raised:
            self.looks(watch, black)
        assert "\n" not in str(raised.value)

    def test_a_good_look_is_a_new_beginning(self):
        watch, black = Watch(), torch.zeros(2, 3, 20, 20)
        for _ in range(3):
            self.looks(watch, black, PATIENCE - 1)
            assert self.looks(watch, LESSONS.contents) == []

    def test_it_remembers_in_a_checkpoint(self):
        first, second, black = Watch(), Watch(), torch.zeros(2, 3, 20, 20)
        self.looks(first, black, PATIENCE - 1)
        second.restore(first.state())
        with pytest.raises(SynthesisError):
            self.looks(second, black)


class TestTrainings:
    def test_dead_colours_stop_one(self):
        trainer = toy_trainer(changed(phases=(Phase(side=16, steps=60),), rate=1e-6), report_every=1)
        trainer.network.draw.normalisation.shift.data.fill_(60.0)
        notes = []
        with pytest.raises(SynthesisError, match="bad pictures"):
            notes.extend(step.note for step in trainer.run() if step.note)

    def test_blobs_stop_one(self):
        """A light in the dark, and a network that looks at single pixels: what it normalises is that light alone."""
        settings = changed(phases=(Phase(side=32, steps=60),), rate=1e-6, smallest_crop=1.0)
        trainer = toy_trainer(settings, pictures=Lit(7, size=(32, 32)), report_every=1)
        for part in trainer.network.modules():
            if isinstance(part, nn.Conv2d):
                middle = part.kernel_size[0] // 2
                seen = part.weight.data[..., middle, middle].clone().abs()
                part.weight.data.zero_()[..., middle, middle] = seen
        with pytest.raises(SynthesisError, match="of the channels have their energy in one blob"):
            list(trainer.run())

    def test_an_ordinary_one_is_left_alone(self):
        trainer = toy_trainer(changed(phases=(Phase(side=32, steps=40),)), report_every=1)
        assert not any(step.note for step in trainer.run())


class Lit(Drawn):
    """Nearly black, with a lamp where a quarter of the resolution has one pixel of it, mirrored or not."""

    def picture(self, index):
        picture = 0.02 * torch.rand(1, 3, *self.size, generator=torch.Generator().manual_seed(index))
        picture[..., 16:20, 16:20] = 1
        return picture
