"""Two networks side by side: dead channels, first filters, and what frequencies these look at."""

import math
from collections import OrderedDict

import pytest
import torch
from drawn_figures import drawn
from hypothesis import given, settings
from hypothesis import strategies as st
from networks import tiny_network
from torch import nn
from torch.testing import assert_close

from oneira import Encoder, register_backbone
from oneira.errors import AddressError, DataError, PlanError, WeightsError
from oneira.features import registry
from oneira.figures import Compare, Equipment
from oneira.figures.compare import first_layer, rectified
from oneira.figures.networks import NamedNetwork, labels_of
from oneira.figures.portrait import WIDTH, DeadUnits, FirstLayer, Portrait
from oneira.figures.spectra import PADDED, RINGS, Spectra
from oneira.images import save


@pytest.fixture(autouse=True)
def _own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("ONEIRA_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(registry, "_REGISTERED", dict(registry._REGISTERED))


@pytest.fixture
def data(tmp_path):
    folder = tmp_path / "pictures"
    folder.mkdir()
    generator = torch.Generator().manual_seed(0)
    for number in range(4):
        save(folder / f"{number}.png", torch.rand(1, 3, 32, 32, generator=generator))
    return folder


def cosine(side, down, across):
    """A filter (1, 1, side, side) of one frequency, in cycles per pixel."""
    y, x = torch.meshgrid(torch.arange(side), torch.arange(side), indexing="ij")
    return torch.cos(2 * math.pi * (down * y + across * x))[None, None].double()


class TestSpectra:
    @settings(max_examples=20)
    @given(steps=st.integers(4, PADDED // 2 - 4), upright=st.booleans())
    def test_a_pure_cosine_has_its_energy_at_its_frequency(self, steps, upright):
        frequency = steps / PADDED
        spectra = Spectra.of(cosine(PADDED, *((frequency, 0) if upright else (0, frequency))), 1)
        assert_close(spectra.share_above(frequency - 0.5 / PADDED), torch.ones(1).double())
        assert_close(spectra.share_above(frequency + 0.5 / PADDED), torch.zeros(1).double())
        held, _ = spectra.by_radius()
        assert int(held.argmax()) == int(frequency * 48)

    def test_a_short_cosine_has_most_of_it_near_its_frequency(self):
        spectra = Spectra.of(cosine(11, 0, 0.25), 4)
        near = float(spectra.share_above(0.25 - 1 / 11) - spectra.share_above(0.25 + 1 / 11))
        assert near > 0.85
        assert float(spectra.aliased) > 0.9  # all above 1/8 cycle per pixel

    @pytest.mark.parametrize("stride", [1, 2, 4])
    def test_the_spectrum_of_a_point_is_flat(self, stride):
        point = torch.zeros(1, 3, 5, 5)
        point[:, :, 1, 3] = torch.tensor([0.5, -2.0, 1.0])
        spectra = Spectra.of(point, stride)
        assert_close(spectra.power, torch.full((1, PADDED, PADDED), PADDED**-2).double())
        held, rest = spectra.by_radius()
        assert_close(held + rest, torch.ones(RINGS).double())
        # The square of frequencies that the grid holds, borders included.
        inside = min(PADDED, PADDED // stride + 1)
        assert_close(spectra.aliased, torch.tensor([1 - (inside / PADDED) ** 2]).double())

    def test_nothing_is_aliased_without_a_stride(self, generator):
        filters = torch.randn(6, 3, 3, 3, generator=generator)
        assert_close(Spectra.of(filters, 1).aliased, torch.zeros(6).double())

    def test_the_two_kinds_of_power_are_all_of_it(self, generator):
        filters = torch.randn(6, 3, 7, 7, generator=generator)
        (held, rest), (all_of_it, none) = (Spectra.of(filters, stride).by_radius() for stride in (2, 1))
        assert_close(held + rest, all_of_it)
        assert float(none.max()) == 0
        assert float(held[RINGS // 2 + 8 :].max()) == 0  # beyond the corners of what stride 2 holds

    def test_what_a_transcription_sums_is_the_share(self, generator):
        filters = torch.randn(2, 3, 5, 5, generator=generator)
        power = (torch.fft.fft2(filters, s=(PADDED, PADDED)).abs() ** 2).sum(1)
        along = [min(step, PADDED - step) / PADDED for step in range(PADDED)]
        beyond = torch.tensor([[max(down, across) > 0.25 for across in along] for down in along])
        expected = (power * beyond).sum((1, 2)) / power.sum((1, 2))
        spectra = Spectra.of(filters, 2)
        assert_close(spectra.aliased.float(), expected)
        assert_close(spectra.fine, spectra.aliased)

    def test_scale_makes_no_difference_and_zeros_no_trouble(self, generator):
        filters = torch.randn(2, 3, 5, 5, generator=generator)
        assert_close(Spectra.of(filters, 2).fine, Spectra.of(-7 * filters, 2).fine)
        spectra = Spectra.of(torch.cat([filters, 0 * filters]), 2)
        assert spectra.fine[2:].tolist() == [0, 0]


class TestNames:
    def test_a_network_is_a_name_a_file_or_both(self):
        assert NamedNetwork.parse("vgg19") == NamedNetwork("vgg19", None, "vgg19")
        for text in ("pilot.safetensors", "runs/pilot", "runs/rate=0.1/pilot.pth"):
            assert NamedNetwork.parse(text).backbone == "pocket"
            assert str(NamedNetwork.parse(text).file) == text
        both = NamedNetwork.parse("vgg19=my.pth")
        assert (both.backbone, str(both.file)) == ("vgg19", "my.pth")

    @pytest.mark.parametrize("text", ["vgg18", "vgg18=my.pth", "=my.pth", "vgg19="])
    def test_what_is_none_is_told(self, text):
        with pytest.raises(AddressError, match="unknown backbone"):
            NamedNetwork.parse(text)

    def test_two_of_one_name_are_told_apart(self):
        named = [NamedNetwork.parse(text) for text in ("pocket", "a/pilot.pth", "b/pilot.pth")]
        assert labels_of(named) == ["pocket", "a/pilot.pth", "b/pilot.pth"]
        assert labels_of(named[:2]) == ["pocket", "pilot"]


class TestNetworks:
    def test_exactly_the_channel_that_cannot_fire_is_dead(self, data):
        network = tiny_network()
        with torch.no_grad():
            for conv in (network.conv1, network.conv2, network.conv3):
                conv.weight.abs_()
                conv.bias.fill_(0.1)
            network.conv2.weight[3] = 0
            network.conv2.bias[3] = -1
        register_backbone("one-dead", network)
        finished, steps = drawn(Compare(a="one-dead", b="tiny", data=data, size=32))
        dead = {name: row["dead"] for name, row in finished.numbers.items() if "dead" in row and "one-dead" in name}
        assert dead == {"one-dead relu1": 0, "one-dead relu2": 1, "one-dead relu3": 0, "one-dead all": 1}
        assert finished.numbers["one-dead relu2"]["share dead"] == 1 / 6
        assert [(step.done, step.total) for step in steps] == [(4, 4), (4, 4)]

    def test_the_figure_has_a_column_for_each(self, data):
        finished, _ = drawn(Compare(a="tiny", b="tiny", data=data, size=32))
        assert finished.image.shape[:2] == (1, 3)
        assert finished.image.shape[3] > 2 * WIDTH
        half = finished.image.shape[3] // 2
        left, right = finished.image[..., :half], finished.image[..., -half:]
        ink = [(1 - side).sum() for side in (left, right)]
        assert_close(ink[0], ink[1])

    def test_weights_that_are_not_there_are_told_before_pictures_are_watched(self, data):
        course = Compare(a="tiny", b="vgg19", data=data).draw(Equipment(offline=True))
        with pytest.raises(WeightsError, match="vgg19"):
            next(course)

    def test_only_pictures_that_can_be_read_are_counted(self, data, monkeypatch):
        (data / "bad.png").write_bytes(b"nothing")
        told = []
        monkeypatch.setattr("oneira.figures.portrait.Paper.write", lambda _, text, *where, **how: told.append(text))
        drawn(Compare(a="tiny", b="tiny", data=data, size=32))
        assert told.count("above 0 nowhere in 4 pictures of 32 pixels") == 2

    def test_without_data_it_is_the_pictures_of_the_package(self):
        _, steps = drawn(Compare(a="tiny", b="tiny", size=32))
        assert {step.total for step in steps} == {5}

    def test_files_and_names_are_compared(self, data, tmp_path):
        finished, _ = drawn(Compare(a="pocket", b="tiny", data=data, size=32))
        assert finished.numbers["pocket relu4_2"]["channels"] == 256
        assert len([name for name in finished.numbers if name.startswith("pocket filter ")]) == 32
        with pytest.raises(WeightsError, match=r"none\.safetensors"):
            drawn(Compare(a="pocket", b=str(tmp_path / "none.safetensors"), data=data))

    def test_filters_and_stride_are_those_of_the_first_convolution(self):
        network = nn.Sequential(OrderedDict(look=nn.Conv2d(3, 4, (5, 3), stride=(2, 1)), relu=nn.ReLU()))
        register_backbone("wide", network)
        first = first_layer(Encoder(), "wide")
        assert torch.equal(first.filters, network.look.weight)
        assert str(first) == "look: 4 filters of 5x3, stride 2"

    def test_rectified_layers_are_called_as_in_the_papers(self):
        assert rectified(Encoder(), "tiny") == {"relu1": "relu1", "relu2": "relu2", "relu3": "relu3"}

    def test_what_cannot_be_compared_is_refused(self, data):
        register_backbone("grey", nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU()), lambda image: image[:, :1])
        register_backbone("linear", nn.Sequential(nn.Conv2d(3, 2, 3)))
        with pytest.raises(PlanError, match="three colours"):
            drawn(Compare(a="grey", b="tiny", data=data))
        with pytest.raises(PlanError, match="no ReLU"):
            drawn(Compare(a="linear", b="tiny", data=data))
        with pytest.raises(DataError, match="nowhere"):
            drawn(Compare(a="tiny", b="tiny", data=data / "nowhere"))


class TestPortrait:
    @pytest.fixture
    def portrait(self, generator):
        filters = torch.randn(5, 3, 7, 7, generator=generator)
        layers = (DeadUnits("relu1", 8, 2), DeadUnits("relu2", 1000, 1), DeadUnits("relu3", 4, 0))
        return Portrait("mine", FirstLayer("conv1", filters, 2), layers, "9 pictures")

    def test_bars_are_as_long_as_shares(self, portrait):
        _, _, deaths = portrait.parts(portrait.highest)
        red = (deaths[0, 0] > 0.8) & (deaths[0, 2] < 0.3)
        lengths = [int(red[:, start].sum()) for start in (190, 191, 192)]
        assert lengths[0] == lengths[1] > lengths[2] > 0  # of three layers one ends after two pixels
        widest = int(red.sum(1).max())
        assert widest == round((WIDTH - 190 - 80) * 2 / 8)

    def test_the_numbers_are_what_is_drawn(self, portrait):
        numbers = portrait.numbers()
        assert numbers["mine all"] == {"channels": 1012, "dead": 3, "share dead": 3 / 1012}
        powers = [row["power held by the grid"] for row in numbers.values() if "power aliased" in row]
        assert_close(torch.tensor(powers).double(), portrait.spectra.by_radius()[0])
        assert max(powers) <= portrait.highest
