"""The figure: a cell for each channel, what it saw beside what of it made it answer."""

import re
from functools import partial

import pytest
import torch
from networks import TINY, tiny_network
from torch import nn
from torch.testing import assert_close

from oneira.errors import AddressError, PlanError, SynthesisError
from oneira.features.encoder import Encoder
from oneira.features.registry import find_backbone, register_backbone
from oneira.inspection import projections as module
from oneira.inspection.projection import project, smooth_gradient
from oneira.inspection.projections import SHOWN_SIDE, Projections
from oneira.inspection.receptive_box import receptive_box
from oneira.inspection.seeds import strongest, strongest_positions, unit
from oneira.inspection.showing import saliency, shown

LAYER = f"{TINY}:relu3"


@pytest.fixture
def cells(monkeypatch, image):
    """The cells of a figure that is made with other options, and what else it is told; drawing it is left out."""
    seen = {}

    def drawn(rows, **labels):
        seen.update(rows=rows, labels=labels)
        return torch.zeros(1, 3, 4, 4)

    monkeypatch.setattr(module, "sheet", drawn)

    def make(layer=LAYER, encoder=None, seed=0, **options):
        study = Projections(**{"image": image, "layer": layer, **options})
        for _, _, draw in study.pictures(encoder or Encoder(), torch.Generator().manual_seed(seed)):
            draw()
        return [cell for row in seen["rows"] for cell in row], seen

    return make


def activations_of(image, layer=LAYER):
    (found,) = Encoder()(image, [layer]).values()
    return found


def numbers(cells):
    return [int(re.match(r"\d+", cell.caption)[0]) for cell in cells]


def enlarged(patch, drawn):
    factor = round(SHOWN_SIDE / max(patch.shape[2:]))
    return torch.cat([patch, drawn], 3).repeat_interleave(factor, 2).repeat_interleave(factor, 3)


class TestChannels:
    def test_the_strongest_come_first_with_what_they_answered(self, cells, image):
        answers = activations_of(image)[0].amax((1, 2))
        order = answers.sort(descending=True).indices.tolist()
        found, _ = cells(top=4)
        assert numbers(found) == order[:4]
        assert [cell.caption for cell in found] == [f"{number}: {float(answers[number]):.3g}" for number in order[:4]]

    def test_there_are_no_more_than_the_layer_has(self, cells):
        assert sorted(numbers(cells(top=99)[0])) == [0, 1, 2, 3, 4, 5]

    def test_those_that_are_named_are_shown_in_that_order(self, cells):
        assert numbers(cells(channels=(4, 0, 3))[0]) == [4, 0, 3]

    @pytest.mark.parametrize("channels", [(0, 6), (-1,)])
    def test_one_that_is_not_there_is_told_before_anything_is_projected(self, channels, cells, monkeypatch):
        monkeypatch.setattr(module, "project", None)
        with pytest.raises(AddressError, match=rf"^the layer has channels 0 to 5, not {channels[-1]}$"):
            cells(channels=channels)

    def test_the_grid_is_about_square_and_grows(self, cells, image):
        study = Projections(image, LAYER, top=5)
        widths = []
        for done, total, draw in study.pictures(Encoder(), torch.Generator()):
            draw()
            assert total == 5
            widths.append(done)
        assert widths == [1, 2, 3, 4, 5]
        _, seen = cells(top=5)
        assert [len(row) for row in seen["rows"]] == [3, 2]
        assert seen["labels"] == {"title": "relu3, deconvnet"}


class TestCells:
    @pytest.mark.parametrize("rule", ["gradient", "deconvnet", "guided"])
    def test_a_cell_is_the_patch_and_its_projection(self, rule, cells, image):
        ((cell,), seen) = cells(channels=(2,), rule=rule)
        ((y, x),) = strongest_positions(activations_of(image), 2)
        box = receptive_box(LAYER, y, x, (20, 28))
        projection = project(Encoder(), image, LAYER, partial(strongest, channel=2), rule)
        assert_close(cell.image, enlarged(box.crop(image), shown(box.crop(projection))))
        assert seen["labels"] == {"title": f"relu3, {rule}"}

    def test_the_crop_holds_all_that_came_back(self, image):
        for channel in range(6):
            projection = project(Encoder(), image, LAYER, partial(strongest, channel=channel))
            ((y, x),) = strongest_positions(activations_of(image), channel)
            inside = receptive_box(LAYER, y, x, (20, 28)).crop(projection)
            assert inside.count_nonzero() == projection.count_nonzero() > 0

    def test_all_cells_are_of_one_size(self, cells, image):
        positions = [strongest_positions(activations_of(image), channel)[0] for channel in range(6)]
        assert any(0 in position for position in positions)  # some stick out
        found, _ = cells(top=6)
        ((_, _, height, width),) = {tuple(cell.image.shape) for cell in found}
        assert width == 2 * height
        assert 0.9 * SHOWN_SIDE < height < 1.1 * SHOWN_SIDE

    def test_the_whole_picture_on_request(self, cells, image):
        ((cell,), _) = cells(channels=(2,), whole=True)
        projection = project(Encoder(), image, LAYER, partial(strongest, channel=2))
        assert_close(cell.image, enlarged(image, shown(projection)))

    def test_luminous_is_how_much_each_pixel_matters(self, cells, image):
        ((cell,), _) = cells(channels=(2,), whole=True, luminous=True, rule="gradient")
        matters = saliency(project(Encoder(), image, LAYER, partial(strongest, channel=2), "gradient"))
        assert_close(cell.image, enlarged(image, (matters / matters.max()).expand(1, 3, -1, -1)))

    @pytest.mark.parametrize("rule", ["gradient", "guided"])
    def test_with_samples_it_is_the_mean_of_one_unit_s_projections(self, rule, cells, image):
        ((cell,), _) = cells(channels=(2,), samples=3, spread=0.2, rule=rule, luminous=True, seed=5)
        activations = activations_of(image)
        ((y, x),) = strongest_positions(activations, 2)
        at = float(activations[0, 2, y, x]) * unit(activations, 2, (y, x))
        noise = torch.Generator().manual_seed(5)
        mean = smooth_gradient(Encoder(), image, LAYER, at, generator=noise, rule=rule, samples=3, spread=0.2)
        box = receptive_box(LAYER, y, x, (20, 28))
        matters = saliency(box.crop(mean))
        assert_close(cell.image, enlarged(box.crop(image), (matters / matters.max()).expand(1, 3, -1, -1)))
        assert matters.count_nonzero() == saliency(mean).count_nonzero()  # no sample is asked about a unit elsewhere

    def test_every_channel_s_samples_have_noise_of_their_own(self, cells):
        pair, _ = cells(channels=(2, 2), samples=2)
        assert not torch.equal(pair[0].image, pair[1].image)

    @pytest.mark.parametrize("options", [{}, {"whole": True}, {"luminous": True}, {"samples": 2}], ids=str)
    def test_a_silent_channel_is_a_plain_tile_that_says_so(self, options, cells):
        network = tiny_network()
        network.conv3.bias.data[4] = -1e6
        register_backbone("partly", network)
        (silent, other), _ = cells("partly:relu3", channels=(4, 1), **options)
        assert silent.caption == "4: silent"
        assert silent.image.unique().numel() == 1
        assert silent.image.shape == other.image.shape
        assert other.image.unique().numel() > 1

    def test_before_a_relu_a_channel_that_is_negative_everywhere_is_silent_too(self, cells):
        network = tiny_network()
        network.conv3.bias.data[4] = -1e6
        register_backbone("partly", network)
        ((silent,), _) = cells("partly:conv3", channels=(4,))
        assert silent.caption == "4: silent"

    def test_a_picture_that_lies_flat_is_not_enlarged_beyond_bounds(self, cells):
        ((cell,), _) = cells("tiny:relu3", image=torch.rand(1, 3, 4, 600), channels=(1,), whole=True)
        assert cell.image.shape == (1, 3, 4, 1200)


class TestLayersWithoutPositions:
    def test_a_class_is_sent_back_to_the_whole_picture(self, cells, image):
        ((cell,), seen) = cells("pocket:fc", channels=(17,))
        projection = project(Encoder(), image, "pocket:fc", partial(unit, channel=17))
        assert_close(cell.image, enlarged(image, shown(projection)))
        assert seen["labels"] == {"title": "fc, deconvnet"}

    def test_the_strongest_classes_come_first(self, cells, image):
        logits = activations_of(image, "pocket:fc")[0]
        assert numbers(cells("pocket:fc", top=3)[0]) == logits.topk(3).indices.tolist()

    def test_a_class_that_is_spoken_against_is_not_silent(self, cells, image):
        logits = activations_of(image, "pocket:fc")[0]
        lowest = int(logits.argmin())
        assert logits[lowest] < 0
        ((cell,), _) = cells("pocket:fc", channels=(lowest,))
        name = find_backbone("pocket").classes()[lowest].partition(",")[0]
        assert cell.caption == f"{lowest} {name}: {float(logits[lowest]):.3g}"

    def test_classes_have_names_where_their_number_is_known(self, cells):
        network = tiny_network()
        network.add_module("flat", nn.Flatten())
        network.add_module("fc", nn.Linear(6 * 10 * 14, 3))
        for names, caption in ((["cat, tabby", "dog", "cow"], "0 cat: "), (["cat", "dog"], "0: ")):
            register_backbone("named", network, logits="fc", classes=names)
            ((cell,), _) = cells("named:fc", channels=(0,))
            assert cell.caption.startswith(caption)
        ((cell,), _) = cells("named:relu1", channels=(0,))
        assert cell.caption.startswith("0: ")


class Functional(nn.Module):
    """ReLUs that are no modules."""

    def __init__(self, activation):
        super().__init__()
        torch.manual_seed(0)
        self.first, self.second = nn.Conv2d(3, 6, 3), nn.Conv2d(6, 5, 3)
        self.activation = activation

    def forward(self, image):
        return self.activation(self.second(self.activation(self.first(image))))


class TestNetworksOfAUser:
    def test_relus_that_are_functions_are_relus(self, cells):
        found = []
        for name, activation in (("functional", torch.relu), ("modular", nn.ReLU())):
            register_backbone(name, Functional(activation))
            found.append(cells(f"{name}:second", rule="guided", top=5)[0])
        for one, other in zip(*found, strict=True):
            assert torch.equal(one.image, other.image)
            assert one.caption == other.caption

    def test_another_activation_is_refused_in_one_line(self, cells):
        register_backbone("smooth", Functional(nn.functional.gelu))
        said = r"^the guided rule is for ReLUs, and between smooth:second .*: Gelu; take the rule gradient$"
        with pytest.raises(PlanError, match=said):
            cells("smooth:second", rule="guided")
        assert len(cells("smooth:second", rule="gradient", top=5)[0]) == 5

    def test_activations_without_channels_are_refused(self, cells):
        class Words(nn.Module):
            def __init__(self):
                super().__init__()
                self.words = nn.Flatten(2)

            def forward(self, image):
                return self.words(image)

        register_backbone("words", Words())
        with pytest.raises(PlanError, match=re.escape("words:words has no channels: its activations are (1, 3, 560)")):
            cells("words:words")

    def test_numbers_that_are_none_are_told(self, cells):
        network = tiny_network()
        network.conv1.weight.data[0] = torch.nan
        register_backbone("broken", network)
        with pytest.raises(SynthesisError, match=r"^what comes back from channel 1 of broken:relu3 is not finite$"):
            cells("broken:relu3", channels=(1,))


class TestDeclaring:
    @pytest.mark.parametrize(
        ("options", "says"),
        [
            ({"top": 0}, "^at least one channel is shown, not 0$"),
            ({"samples": -1}, "^samples with noise are counted from 0, which is none; not -1$"),
            ({"rule": "guide"}, "^unknown rule 'guide'; did you mean 'guided'"),
        ],
    )
    def test_what_cannot_be_is_refused_at_once(self, options, says, image):
        with pytest.raises(PlanError, match=says):
            Projections(image, LAYER, **options)

    def test_what_can_be_known_is_checked_before_weights_are_read(self, image, monkeypatch):
        monkeypatch.setattr("oneira.features.encoder.load_weights", None)
        with pytest.raises(AddressError, match="unknown layer 'relu9_9' of vgg19"):
            Projections(image, "vgg19:relu9_9").check(Encoder())
        with pytest.raises(PlanError, match="a 28x20 picture is too small for alexnet:relu5"):
            Projections(image, "alexnet:relu5").check(Encoder())
        Projections(image, "vgg19:relu2_1").check(Encoder())

    def test_nothing_is_drawn_unless_it_is_asked_for(self, image, monkeypatch):
        monkeypatch.setattr(module, "sheet", lambda *_, **__: pytest.fail("drawn"))
        parts = list(Projections(image, LAYER, top=3).pictures(Encoder(), torch.Generator()))
        assert [(done, total) for done, total, _ in parts] == [(1, 3), (2, 3), (3, 3)]

    def test_what_is_drawn_has_the_patch_as_it_is(self, image):
        """Drawn for once: a title, captions, and pictures as they are."""
        ((_, _, draw),) = Projections(image, LAYER, (2,)).pictures(Encoder(), torch.Generator())
        picture = draw()
        assert picture.shape[:2] == (1, 3)
        assert 0 <= picture.min() <= picture.max() <= 1
        ((y, x),) = strongest_positions(activations_of(image), 2)
        patch = receptive_box(LAYER, y, x, (20, 28)).crop(image)
        assert (picture.flatten(2)[0, 0, :, None] == patch[0, 0].flatten()).any(0).all()
