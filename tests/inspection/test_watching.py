"""Looking through pictures: what is kept is what loops over all activations find."""

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from networks import TINY, tiny_network
from picture_files import eleven_files, pack, spread_out
from torch import nn
from torch.testing import assert_close
from watched import LAYERS, READABLE, one_line, same, watched

from oneira import register_backbone
from oneira.errors import DataError, PlanError
from oneira.features import Encoder, Variant, resolve
from oneira.inspection.layer_responses import Glances, LayerResponses
from oneira.inspection.picture_set import PictureSet
from oneira.inspection.responses import Responses
from oneira.inspection.watching import watch


@pytest.fixture
def packed(tmp_path):
    return pack(tmp_path / "pictures.npz", eleven_files())


@pytest.fixture
def folder(tmp_path):
    return spread_out(tmp_path / "pictures", eleven_files())


def naively(activations, top):
    """Of (pictures, channels, h, w), by loops: strongest [(value, picture, y, x)] by channel, and the other numbers."""
    count, channels, height, width = activations.shape
    told = []
    for channel in range(channels):
        best, firing, pictures, values, peaks = [], 0, 0, [], []
        for number in range(count):
            places = list(itertools.product(range(height), range(width)))
            answers = [float(activations[number, channel, y, x]) for y, x in places]
            peak = max(answers)
            if peak > 0:
                best.append((-peak, READABLE[number], *places[answers.index(peak)]))
            firing += sum(answer > 0 for answer in answers)
            pictures += peak > 0
            values += answers
            peaks.append(peak)
        strongest = [(-value, *rest) for value, *rest in sorted(best)[:top]]
        told.append((strongest, firing / len(values), pictures / count, np.mean(values), np.std(values), peaks))
    return told


class TestWatching:
    def test_it_is_what_loops_over_all_activations_find(self, packed):
        found = watched(packed)
        data = PictureSet.open(packed)
        for address in map(resolve, LAYERS):
            # One by one: of a batch, kernels may add up in another order.
            each = [Encoder()(data.square(number, 20), [address])[address] for number in READABLE]
            activations = torch.cat(each)
            layer = found[address]
            expected = naively(activations, top=3)
            for channel, (strongest, positions, pictures, mean, deviation, peaks) in enumerate(expected):
                got = layer.strongest(channel)
                assert [response[1:] for response in got] == [tuple(rest) for _, *rest in strongest]
                assert [response.value for response in got] == [value for value, *_ in strongest]
                assert float(layer.share_of_positions[channel]) == positions
                assert float(layer.share_of_pictures[channel]) == pictures
                assert_close(float(layer.mean[channel]), mean, rtol=1e-5, atol=1e-6)
                assert_close(float(layer.deviation[channel]), deviation, rtol=1e-5, atol=1e-6)
                assert float(layer.highest[channel]) == max(peaks)
            profiles = np.array([peaks for *_, peaks in expected])
            assert_close(layer.correlations.numpy(), np.corrcoef(profiles), rtol=1e-5, atol=1e-5)

    @pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16])
    def test_how_many_are_decoded_at_once_changes_no_bit(self, packed, precision):
        by_ones, by_sevens = (watched(packed, batch=batch, encoder=Encoder(precision=precision)) for batch in (1, 7))
        assert same(by_ones, by_sevens)
        assert by_ones["tiny:relu1"].values.dtype == torch.float32

    def test_every_batch_gives_the_responses_so_far(self, packed):
        assert [state.done for state in watch(Encoder(), LAYERS, PictureSet.open(packed), side=20, batch=4)] == [
            4,
            8,
            11,
        ]

    def test_equal_responses_keep_the_order_of_the_pictures(self, packed):
        for responses in (watched(packed, top=11, batch=batch)["tiny:relu3"] for batch in (1, 11)):
            for channel in range(6):
                order = [response.picture for response in responses.strongest(channel)]
                if 2 in order:
                    assert order.index(9) == order.index(2) + 1

    def test_a_folder_and_an_npz_of_the_same_pictures_give_the_same(self, folder, packed):
        assert same(watched(folder), watched(packed))
        assert watched(folder).seen.pictures != watched(packed).seen.pictures

    def test_damaged_pictures_are_skipped_and_named(self, folder):
        found = watched(folder)
        assert found["tiny:relu1"].count == len(READABLE)
        assert [("04/one.png" in line, "08/one.png" in line) for line in found.skipped] == [
            (True, False),
            (False, True),
        ]

    def test_several_layers_at_once_are_each_what_they_are_alone(self, packed):
        together = watched(packed)
        for layer in LAYERS:
            alone = watched(packed, [layer])
            assert all(
                torch.equal(a, b)
                for a, b in zip(alone[layer].tensors().values(), together[layer].tensors().values(), strict=True)
            )

    def test_a_layer_without_positions_has_one(self, packed, registered):
        network = tiny_network()
        network.append(nn.AdaptiveAvgPool2d(1))
        network.append(nn.Flatten())
        register_backbone("headed", network)
        layer = watched(packed, ["headed:8"])["headed:8"]
        assert layer.grid == (1, 1)
        assert all(response[2:] == (0, 0) for response in layer.strongest(0))
        assert_close(layer.mean, layer.peaks / layer.count)

    def test_dead_channels_are_told_and_have_no_strongest_nor_neighbours(self, packed):
        network = tiny_network()
        network.conv3.weight.data[2] = 0.0
        network.conv3.bias.data[2] = -1.0
        register_backbone(TINY, network)
        found = watched(packed, ["tiny:relu3", "tiny:conv3"])
        for layer in found.layers.values():
            assert layer.dead.tolist() == [channel == 2 for channel in range(6)]
            assert layer.strongest(2) == layer.neighbours(2) == ()
            assert all(other != 2 for channel in range(6) for other, _ in layer.neighbours(channel))
        assert float(found["tiny:conv3"].highest[2]) == -1.0

    def test_nothing_readable_is_an_error(self, tmp_path):
        path = pack(tmp_path / "none.npz", [b"nothing", b"neither"])
        with pytest.raises(DataError) as raised:
            watched(path)
        assert "none of 2 pictures" in one_line(raised)

    def test_activations_that_are_not_finite_are_an_error_that_names_the_picture(self, packed):
        network = tiny_network()
        network.conv2.bias.data[0] = torch.nan
        register_backbone(TINY, network)
        with pytest.raises(DataError) as raised:
            watched(packed)
        assert "picture 0 makes activations of tiny:conv2" in one_line(raised)

    @pytest.mark.parametrize("option", ["side", "top", "batch"])
    def test_numbers_below_one_are_refused(self, packed, option):
        with pytest.raises(PlanError):
            watched(packed, **{option: 0})


def noted(features, floor):
    """Of pictures' activations (b, c, h, w)."""
    glances = Glances.room(len(features), features.shape[1])
    for row, each in enumerate(features):
        glances.note(row, each[None], floor)
    return glances


class TestGlances:
    @given(st.integers(0, 2**32 - 1), st.integers(1, 4), st.integers(1, 9))
    def test_any_split_into_batches_gives_the_same_and_the_strongest_are_a_stable_sort(self, seed, top, cut):
        generator = torch.Generator().manual_seed(seed)
        # Few different numbers: many are equal, and many are 0.
        features = torch.randint(-1, 3, (9, 3, 2, 2), generator=generator).float()
        blank = LayerResponses.none(features[:1], top)
        glances = noted(features, blank.floor)
        whole = blank.after(range(9), glances)
        parted = blank.after(range(cut), glances)
        parted = parted.after(range(cut, 9), noted(features[cut:], parted.floor))
        assert all(torch.equal(a, b) for a, b in zip(whole.tensors().values(), parted.tensors().values(), strict=True))
        for channel in range(3):
            peaks = [(float(each[channel].max()), number) for number, each in enumerate(features)]
            expected = sorted((peak for peak in peaks if peak[0] > 0), key=lambda peak: -peak[0])[:top]
            assert [response[:2] for response in whole.strongest(channel)] == expected

    def test_of_equal_positions_the_first_is_taken(self):
        features = torch.tensor([[0.0, 3.0, 1.0], [3.0, 0.0, 3.0]])[None, None]
        glances = noted(features, torch.zeros(1))
        assert (int(glances.places), int(glances.firing)) == (1, 4)

    def test_neighbours_do_not_depend_on_how_strong_channels_are(self):
        generator = torch.Generator().manual_seed(0)
        features = torch.rand(30, 4, 2, 2, generator=generator)
        features[:, 1] = features[:, 0] * 100 + 7

        def closest(batch):
            blank = LayerResponses.none(batch[:1], 1)
            return blank.after(range(30), noted(batch, blank.floor)).neighbours(0)

        (nearest, value), *_ = closest(features)
        assert nearest == 1
        assert_close(value, 1.0, rtol=1e-6, atol=0)
        scaled = closest(features * torch.tensor([1.0, 0.01, 50.0, 3.0])[:, None, None])
        assert [other for other, _ in scaled] == [other for other, _ in closest(features)]


class TestResuming:
    @pytest.mark.parametrize("stop", [1, 2, 4])
    def test_what_is_saved_and_gone_on_with_ends_alike(self, packed, tmp_path, stop):
        run = watch(Encoder(), LAYERS, PictureSet.open(packed), side=20, top=3, batch=3)
        state = next(itertools.islice(run, stop - 1, None))
        state.write(tmp_path / "half")
        begun = Responses.load(tmp_path / "half")
        resumed = watched(packed, begun=begun)
        assert same(resumed, watched(packed))
        assert resumed.skipped == watched(packed).skipped

    def test_what_is_complete_comes_back_as_it_is(self, packed):
        complete = watched(packed)
        assert watched(packed, begun=complete) is complete

    @pytest.mark.parametrize(
        ("changed", "told"),
        [
            ({"layers": LAYERS[:2]}, "other layers"),
            ({"top": 2}, "3 strongest"),
            ({"side": 18}, "squares of 20 pixels, not 18"),
            ({"encoder": Encoder(precision=torch.bfloat16)}, "float32, not bfloat16"),
            ({"encoder": Encoder(variant=Variant(pooling="avg"))}, "pooling max"),
        ],
    )
    def test_another_measurement_is_not_gone_on_with(self, packed, changed, told):
        begun = watched(packed)
        with pytest.raises(PlanError) as raised:
            watched(packed, begun=begun, **changed)
        assert told in one_line(raised)
