"""Feature visualization: what is asked for, what is drawn for it, at once and one after the other, and the sheets."""

from collections import OrderedDict
from itertools import pairwise

import pytest
import torch
from networks import TINY, tiny_network
from torch import nn
from torch.testing import assert_close

from oneira import register_backbone
from oneira.errors import AddressError, OneiraError, PlanError
from oneira.features.description import before_relu
from oneira.features.encoder import Encoder
from oneira.features.registry import find_backbone, resolve
from oneira.objectives import Alignment, BoundObjective, Channel, Diversity, Neuron, Only
from oneira.synthesis.augmentation import ROBUST, Jitter
from oneira.synthesis.canvas import Pixels
from oneira.synthesis.carrying import Anew
from oneira.synthesis.fourier import Fourier
from oneira.synthesis.loop import Synthesis
from oneira.synthesis.maco import Maco
from oneira.synthesis.tending import Blur, Decay, SmallContributions, SmallNorms
from oneira.techniques import visualization as module
from oneira.techniques.layers import every_layer
from oneira.techniques.visualization import Visualization
from oneira.techniques.visualizing import subjects as module_of_subjects

CLASSED = "classed"
HALF_DEAD = "half-dead"
UNLIKE = "unlike"
LAYER = f"{TINY}:relu2"
SMALL = {"model": TINY, "layer": "relu2", "size": 16, "steps": 2, "waking": 0, "transforms": "none"}
COLOURS = {"model": UNLIKE, "layer": "relu1", "waking": 15, "steps": 15, "rate": 0.1}
NAMES = ("cat, house cat", "dog", "owl", "bee", "yak")


def headed(network):
    """5 classes behind a small network."""
    generator = torch.Generator().manual_seed(5)
    network.average = nn.AdaptiveAvgPool2d(1)
    network.flat = nn.Flatten()
    network.fc = nn.Linear(6, 5)
    with torch.no_grad():
        network.fc.weight.copy_(torch.randn(5, 6, generator=generator))
        network.fc.bias.copy_(torch.randn(5, generator=generator))
    return network


def with_dead_channels():
    """Of relu2, channel 1 has no weights, and channel 4 a bias that nothing overcomes."""
    network = tiny_network()
    with torch.no_grad():
        network.conv2.weight[1] = 0
        network.conv2.bias[1] = 0
        network.conv2.bias[4] = -1000
    return network


def unlike_filters():
    """Every channel of relu1 wants another colour."""
    layers = OrderedDict(conv1=nn.Conv2d(3, 6, 3, padding=1), relu1=nn.ReLU())
    wants = torch.tensor([[1, -1, -1], [-1, 1, -1], [-1, -1, 1], [1, 1, -1], [1, -1, 1], [-1, 1, 1.0]])
    with torch.no_grad():
        layers["conv1"].weight.copy_(wants[:, :, None, None].expand(-1, -1, 3, 3) / 9)
        layers["conv1"].bias.zero_()
    return nn.Sequential(layers)


@pytest.fixture(scope="module", autouse=True)
def _networks():
    register_backbone(CLASSED, headed(tiny_network()), logits="fc", classes=NAMES)
    register_backbone(HALF_DEAD, with_dead_channels())
    register_backbone(UNLIKE, unlike_filters())


def small(preset=None, **options):
    return Visualization.configured(preset, **{**SMALL, **options})


def run(technique, seed=0, most=None):
    """A run that is done, or was stopped after `most` steps."""
    synthesis = Synthesis(technique.plan(), precision="float32", seed=seed)
    for step in synthesis:
        if step.done == most:
            break
    return synthesis


def told(technique):
    """Rows and captions of what is to be seen."""
    return [(subject.row, subject.caption) for subject in technique.subjects()]


def numbers(technique):
    return [subject.term.channels for subject in technique.subjects()]


def activation(images, layer, channel):
    """The mean activation of a channel for each picture."""
    return Encoder()(images, [layer])[resolve(layer)][:, channel].mean((1, 2))


def pictures(technique, seed=0):
    """All that are drawn, by the captions of their subjects."""
    synthesis = run(technique, seed)
    return {
        subject.caption: synthesis.outcomes[stage].image[index : index + 1]
        for stage in synthesis.outcomes
        for index, subject in enumerate(technique.group(stage))
    }


@pytest.fixture
def shown(monkeypatch):
    """What is laid out, instead of a sheet of it: rows of captions, and their labels."""
    seen = {}

    def sheet(rows, *, row_labels=()):
        seen.update(rows=rows, captions=[[cell.caption for cell in row] for row in rows], labels=list(row_labels))
        return torch.zeros(1, 3, 8, 8)

    monkeypatch.setattr(module, "sheet", sheet)
    return seen


class TestChannels:
    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("3", [3]),
            ("3,1", [3, 1]),
            ("2-4", [2, 3, 4]),
            (" 0 , 2 - 3 ,5", [0, 2, 3, 5]),
            ("4,2-5,2", [4, 2, 3, 5]),
            ("5-5", [5]),
        ],
    )
    def test_numbers_and_ranges_in_their_order_each_once(self, text, expected):
        assert numbers(small(channels=text)) == expected

    def test_all_and_the_first_where_none_are_named(self):
        pocket = {"model": "pocket", "layer": "relu1_1"}
        every = numbers(small(**pocket, channels="all"))
        assert every == list(range(len(every)))
        assert len(every) > 16
        assert numbers(small(**pocket)) == every[:16]
        assert len(numbers(small())) == 16  # how many there are is not known before it runs

    @pytest.mark.parametrize("text", ["", "x", "-1", "3-1", "1,,2", "1.5", "all,3", "first:3", "1-2-3", "٣x"])
    def test_what_cannot_be_read_is_told_with_what_can(self, text):
        with pytest.raises(PlanError, match=r"^--channels takes numbers such as 3,7,32-47, or all; not "):
            small(channels=text).subjects()

    def test_one_that_is_not_there_is_told_with_those_that_are(self):
        with pytest.raises(PlanError, match=r"^there is no channel 999 in pocket:relu4_2, which has 256: 0 to 255$"):
            small(model="pocket", layer="relu4_2", channels="3,999").subjects()
        with pytest.raises(AddressError, match=rf"^{LAYER} has channels 0 to 5, not 6$"):
            run(small(channels="6"))

    def test_all_of_a_layer_that_nobody_has_counted_are_to_be_named(self):
        with pytest.raises(PlanError, match=rf"^how many channels {LAYER} has is not known: say which"):
            small(channels="all").subjects()

    def test_more_than_a_run_makes_are_refused(self, monkeypatch):
        monkeypatch.setattr(module_of_subjects, "MOST", 5)
        assert len(small(channels="0-4").subjects()) == 5
        with pytest.raises(PlanError, match=r"^6 pictures are more than one run makes \(5\): name fewer channels$"):
            small(layer=("relu1", "relu2"), channels="0-2").subjects()


class TestSubjects:
    def test_layers_come_one_after_the_other(self):
        rows = [(f"{TINY}:{layer}", number) for layer in ("relu3", "relu1") for number in ("0", "2")]
        assert told(small(layer=("relu3", "relu1"), channels="0,2")) == rows

    def test_a_layer_of_another_network_is_its_own(self):
        assert told(small(layer=("relu1", "pocket:relu1_1"), channels="0")) == [
            (f"{TINY}:relu1", "0"),
            ("pocket:relu1_1", "0"),
        ]

    def test_all_layers_are_those_with_positions(self):
        rows = told(small(model="pocket", layer="all", channels="1"))
        assert rows == [(f"pocket:{layer}", "1") for layer in every_layer("pocket", positions=True)]
        assert len(rows) == 14

    def test_without_a_layer_it_is_one_that_draws_well(self):
        assert {row for row, _ in told(small(model="pocket", layer=()))} == {"pocket:relu4_2"}
        with pytest.raises(PlanError, match="no layers are chosen for 'tiny' here"):
            small(layer=()).subjects()

    def test_a_class_is_called_by_name_or_number(self):
        by_name, by_number = (run(small(model=CLASSED, layer=(), class_=name)).outcomes for name in ("house cat", "0"))
        (one,), (other,) = by_name.values(), by_number.values()
        assert torch.equal(one.image, other.image)
        assert told(small(model=CLASSED, layer=(), class_=("dog", "3"))) == [("classes", "dog"), ("classes", "3")]

    @pytest.mark.parametrize(("name", "says"), [("dgo", "did you mean 'dog'"), ("5", "has channels 0 to 4, not 5")])
    def test_an_unknown_class_is_told_in_one_line(self, name, says):
        with pytest.raises(OneiraError, match=says) as caught:
            run(small(model=CLASSED, layer=(), class_=name))
        assert "\n" not in str(caught.value)

    def test_a_class_needs_no_layer_and_who_names_both_wants_both(self):
        def rows(**options):
            return [row for row, _ in told(small(**{"model": CLASSED, "layer": (), "class_": "dog", **options}))]

        assert rows() == ["classes"]
        assert rows(layer="relu1", channels="3") == ["classes", f"{CLASSED}:relu1"]
        pocket = {"model": "pocket", "class_": "banana"}
        assert rows(**pocket, channels="3") == ["classes", "pocket:relu4_2"]
        assert rows(**pocket, direction="3:1") == ["classes", "pocket:relu4_2"]
        assert set(rows(**pocket, at="middle")) == {"classes", "pocket:relu4_2"}

    def test_how_much_other_classes_count_is_told(self):
        ended = []
        for against in (0, 1):
            synthesis = run(small(model=CLASSED, layer=(), class_="dog", class_against=against, steps=40, rate=0.2))
            logits = Encoder()(synthesis.image, [f"{CLASSED}:fc"])[resolve(f"{CLASSED}:fc")][0]
            ended.append((logits[1].item(), logits.log_softmax(0)[1].item()))
        assert ended[0][0] > ended[1][0]
        assert ended[1][1] > ended[0][1]

    def test_a_direction_of_ones_own(self):
        (subject,) = small(direction="3:1, 1:-0.5").subjects()
        assert (subject.row, subject.caption) == (LAYER, "3:1, 1:-0.5")
        assert subject.term.vector == {3: 1.0, 1: -0.5}

    def test_random_directions_are_decided_by_their_seed_and_differ(self):
        def vectors(**options):
            subjects = small(model="pocket", layer="relu1_1", direction=("random", "random"), **options).subjects()
            return [subject.term.vector for subject in subjects], [subject.caption for subject in subjects]

        (one, other), captions = vectors()
        (again, _), _ = vectors()
        (elsewhere, _), _ = vectors(random_seed=1)
        assert torch.equal(one, again)
        assert not torch.equal(one, other)
        assert not torch.equal(one, elsewhere)
        assert captions == ["random", "random 2"]
        drawn = small(model="pocket", layer="relu1_1", direction=("random", "random"), batch=1).plan()
        assert [scale.stage for scale in drawn.schedule.scales if scale.stage] == ["relu1_1 random", "relu1_1 random 2"]

    def test_random_directions_need_a_layer_whose_channels_are_counted(self):
        with pytest.raises(PlanError, match="write the direction, CHANNEL:WEIGHT"):
            small(direction="random").subjects()

    @pytest.mark.parametrize("beside", [{"channels": "3"}, {"at": "middle"}])
    def test_directions_and_single_channels_exclude_each_other(self, beside):
        with pytest.raises(PlanError, match=r"^--direction mixes channels, --channels and --at see them one by one"):
            small(direction="3:1", **beside).subjects()

    @pytest.mark.parametrize(("text", "place"), [("3,4", (3, 4)), ("middle", (None, None))])
    def test_one_unit_of_a_channel(self, text, place):
        (subject,) = small(channels="2", at=text).subjects()
        assert subject.term == Neuron(LAYER, 2, *place)

    def test_of_one_unit_only_what_it_sees_is_drawn(self):
        image = run(small(channels="2", at="1,1", canvas="pixels", steps=5, size=32)).image
        begin = run(small(channels="2", at="1,1", canvas="pixels", size=32, rate=1e-9), most=1).image
        changed = (image - begin).abs().amax((0, 1)) > 1e-4
        assert changed[:8, :8].any()
        assert not changed[10:].any()
        assert not changed[:, 10:].any()

    def test_a_place_that_is_not_there_is_told(self):
        with pytest.raises(AddressError, match=r"^\(8, 1\) lies outside tiny:relu2, which is 8 high and 8 wide here$"):
            run(small(channels="2", at="8,1"))


class TestWaking:
    @pytest.mark.parametrize(
        ("model", "layer", "before"),
        [
            ("pocket", "relu4_2", "conv4_2"),
            ("vgg19", "relu3_1", "conv3_1"),
            ("alexnet", "relu4", "conv4"),
            ("pocket", "conv4_2", None),
            ("pocket", "pool2", None),
            ("googlenet", "inception_4a/output", None),
            ("googlenet", "conv2/3x3", "conv3.bn"),
            ("googlenet", "inception_4a/1x1", "inception4a.branch1.bn"),
            ("resnet18", "relu1", "bn1"),
            ("squeezenet1_1", "fire8/relu_expand3x3", "fire8/expand3x3"),
            ("resnet18", "layer3", None),
            ("squeezenet1_1", "fire8", None),
        ],
    )
    def test_it_is_before_the_relu_where_that_has_a_name(self, model, layer, before):
        subjects = small(model=model, layer=layer, channels="3").subjects()
        assert subjects[0].waking == (None if before is None else Channel(f"{model}:{before}", 3))
        scales = small(model=model, layer=layer, channels="3", waking=7, size=128).plan().schedule.scales
        assert [scale.steps for scale in scales] == ([2] if before is None else [7, 2])

    @pytest.mark.parametrize("name", ["pocket", "googlenet", "resnet18", "squeezenet1_1"])
    def test_before_its_relu_a_layer_is_what_that_makes_it_of(self, name):
        """Whatever the layers are called."""
        backbone = find_backbone(name)
        network, given = backbone.build().eval(), {}
        for path, part in network.named_modules():
            part.register_forward_hook(lambda _, __, output, path=path: given.setdefault(path, output.clone()))
        with torch.no_grad():
            network(torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(1)))
        woken = {layer: before_relu(f"{name}:{layer}") for layer in given if layer}
        rectified = {layer: resolve(before).layer for layer, before in woken.items() if before is not None}
        relus = {path for path, part in network.named_modules() if isinstance(part, nn.ReLU) and path in given}
        for layer, before in rectified.items():
            assert torch.equal(given[layer], given[before].relu()), layer
            assert (given[before] < 0).any(), layer
        # Behind an addition there is a ReLU of what no module gives.
        assert relus - set(rectified) == {path for path in relus if name == "resnet18" and path.endswith("relu2")}

    def test_of_a_registered_network_it_is_what_stands_before_the_relu(self):
        layers = OrderedDict(conv1=nn.Conv2d(3, 6, 3), norm=nn.BatchNorm2d(6), relu1=nn.ReLU())
        block = nn.Sequential(OrderedDict(relu0=nn.ReLU(), conv=nn.Conv2d(6, 6, 3), relu2=nn.ReLU()))
        register_backbone("normed", nn.Sequential(OrderedDict(**layers, block=block)))
        woken = {layer: before_relu(f"normed:{layer}") for layer in find_backbone("normed").layers}
        found = {layer: before for layer, before in woken.items() if before is not None}
        assert found == {"relu1": "normed:norm", "block.relu2": "normed:block.conv"}

    def test_a_unit_is_woken_at_its_place(self):
        (subject,) = small(channels="3", at="1,2").subjects()
        assert subject.waking == Neuron(f"{TINY}:conv2", 3, 1, 2)

    def test_it_has_the_first_size_and_begins_the_leg(self):
        scales = small(channels="0-3", waking=7, batch=2, steps=(3, 2), size=32).plan().schedule.scales
        assert [(scale.size, scale.steps) for scale in scales] == [(16, 7), (16, 3), (32, 2)] * 2
        assert [isinstance(scale.carry, Anew) for scale in scales] == [False] * 3 + [True, False, False]
        for first, then in ((0, 1), (3, 4)):
            waking, after = scales[first].objective, scales[then].objective
            assert {term.term.layer for _, term in waking.parts} == {f"{TINY}:conv2"}
            assert {term.term.layer for _, term in after.parts} == {LAYER}

    def test_none_is_asked_for_classes_and_directions(self):
        for options in ({"class_": "dog", "layer": ()}, {"direction": "3:1"}, {"layer": "pool1", "channels": "3"}):
            plan = small(model=CLASSED, waking=7, **options).plan()
            assert [scale.steps for scale in plan.schedule.scales] == [2]

    @pytest.mark.parametrize(("layer", "steps"), [("relu2", [7, 2]), ("conv2", [2])])
    def test_on_the_way_from_one_to_another_it_is_the_same(self, layer, steps):
        plan = small(layer=layer, channels="0,1", interpolate=3, waking=7).plan()
        assert [scale.steps for scale in plan.schedule.scales] == steps

    def test_what_noise_leaves_silent_wakes(self):
        """A bias that noise does not overcome, and a picture does."""
        network = tiny_network()
        with torch.no_grad():
            network.conv2.bias[2] = -2.0
        register_backbone("asleep", network)
        options = {"model": "asleep", "channels": "2,3", "steps": 20, "rate": 0.2}
        asleep, awake = (run(small(waking=count, **options)).image[:1] for count in (0, 20))
        assert activation(asleep, "asleep:relu2", 2) == 0
        assert activation(awake, "asleep:relu2", 2) > 0.05


class TestPictures:
    def test_every_subject_has_a_picture_that_excites_it_more_than_the_others_do(self):
        together = torch.cat(list(pictures(small(**COLOURS, channels="0-5")).values()))
        for channel in range(6):
            answers = activation(together, f"{UNLIKE}:relu1", channel)
            assert answers.argmax() == channel
            assert answers[channel] > 1.05 * answers.sort().values[-2]

    @pytest.mark.parametrize("canvas", ["fourier", "maco", "pixels"])
    def test_activations_rise_on_every_canvas(self, canvas):
        options = {"channels": "0,3", "canvas": canvas, "rate": 0.1, "batch": 2}
        before, after = (run(small(steps=steps, **options), most=None).image for steps in (1, 30))
        for index, channel in enumerate((0, 3)):
            begin, end = (activation(image[index : index + 1], LAYER, channel).item() for image in (before, after))
            assert end > begin + 0.05

    @pytest.mark.parametrize(("optimiser", "rate"), [("sgd", 5.0), ("adam", 0.05), ("rmsprop", 0.02)])
    @pytest.mark.parametrize("canvas", ["fourier", "pixels"])
    def test_every_optimiser_climbs(self, canvas, optimiser, rate):
        synthesis = run(small(channels="3", canvas=canvas, optimiser=optimiser, rate=rate, steps=20), most=None)
        start = run(small(channels="3", canvas=canvas, rate=1e-9, steps=1))
        ends = [activation(each.image, LAYER, 3).item() for each in (start, synthesis)]
        assert ends[1] > ends[0] + 0.05

    def test_canvases_hold_as_many_as_a_batch(self):
        kinds = {"fourier": Fourier, "maco": Maco, "pixels": Pixels}
        for name, kind in kinds.items():
            plan = small(channels="0-4", canvas=name, batch=3).plan()
            assert isinstance(plan.canvas, kind)
            begun = plan.canvas.begin((16, 16), torch.Generator().manual_seed(0), torch.device("cpu")).image()
            assert begun.shape == (3, 3, 16, 16)
            assert not torch.equal(begun[0], begun[1])

    def test_spread_is_that_of_the_noise(self):
        def deviation(**options):
            canvas = small(canvas="pixels", **options).plan().canvas
            return canvas.begin((64, 64), torch.Generator().manual_seed(0), torch.device("cpu")).image().std().item()

        assert deviation(spread=0.1) == pytest.approx(0.1, rel=0.05)
        assert deviation(spread=0.02) == pytest.approx(0.02, rel=0.05)

    @pytest.mark.parametrize(("name", "expected"), [("robust", ROBUST), ("shift", (Jitter(8),)), ("none", ())])
    def test_what_they_go_through(self, name, expected):
        plan = small(transforms=name, steps=3).plan()
        assert plan.augmentation == expected
        assert run(small(transforms=name, steps=1, channels="2")).image.shape == (1, 3, 16, 16)

    def test_sizes_double(self):
        scales = small(size=64, steps=(5, 4, 3)).plan().schedule.scales
        assert [(scale.size, scale.steps) for scale in scales] == [(16, 5), (32, 4), (64, 3)]

    def test_what_holds_pictures_back_is_added(self):
        def names(**options):
            return [(weight, term.name) for weight, term in small(channels="0,1", **options).plan().objective.parts]

        channels = [(1.0, "channel@0"), (1.0, "channel@1")]
        assert names() == channels
        assert names(smoothness=0.5, restraint=2) == [*channels, (0.5, "tv"), (2.0, "alphanorm")]


class TestBatches:
    def test_the_last_is_filled_and_the_fillers_are_not_shown(self, shown):
        technique = small(channels="0-4", batch=3)
        plan = technique.plan()
        assert plan.canvas.batch == 3
        last = plan.schedule.scales[-1].objective
        assert last.parts == tuple((1.0, Only(place, Channel(LAYER, number))) for place, number in enumerate((3, 4, 4)))
        technique.finished(run(technique))
        assert shown["captions"] == [["0", "1", "2"], ["3", "4"]]

    def test_a_batch_is_no_larger_than_what_is_asked(self):
        assert small(channels="0-2", batch=16).plan().canvas.batch == 3

    def test_stages_tell_what_they_hold(self):
        plan = small(layer=("relu1", "pocket:relu1_1"), channels="0-2", batch=2).plan()
        names = [scale.stage for scale in plan.schedule.scales]
        assert names == ["relu1 0 to 1", "relu1 2 to pocket:relu1_1 0", "pocket:relu1_1 1 to 2"]
        assert small(channels="4").plan().schedule.scales[-1].stage == "relu2 4"

    def test_two_legs_of_one_name_are_told_in_one_line(self):
        with pytest.raises(PlanError, match="two are called 'relu2 3'") as caught:
            small(layer=("relu2", "relu2"), channels="3", batch=1).plan()
        assert "\n" not in str(caught.value)

    def test_every_leg_begins_anew(self):
        """From the noise of the beginning, not from the last leg's pictures."""
        technique = small(channels="0-3", batch=2, canvas="pixels", spread=0.01, rate=0.2, steps=20)
        synthesis = Synthesis(technique.plan(), precision="float32")
        images = {step.done: step.image for step in synthesis if step.done in (20, 21)}
        assert (images[20] - 0.5).abs().mean() > 0.2
        assert (images[21] - 0.5).abs().mean() < 0.2 + 0.05

    def test_batches_draw_the_same_features(self):
        for batch in (1, 2, 6):
            together = torch.cat(list(pictures(small(**COLOURS, channels="0-2", batch=batch)).values()))
            for channel in range(3):
                assert activation(together, f"{UNLIKE}:relu1", channel).argmax() == channel

    def test_a_picture_of_its_own_is_that_of_a_batch_with_the_same_noise(self):
        """Of several, the first has the noise of a run of its own, and nothing else reaches it."""
        options = {"canvas": "pixels", "optimiser": "sgd", "rate": 1.0, "steps": 5}
        together = run(small(channels="2,4", **options)).image
        alone = run(small(channels="2", **options)).image
        assert (together[0] - together[1]).abs().max() > 0.01
        assert_close(together[:1], alone, atol=1e-5, rtol=0)


class TestSheet:
    def test_one_subject_gives_one_picture(self):
        technique = small(channels="3")
        synthesis = run(technique)
        assert torch.equal(technique.finished(synthesis), synthesis.image)

    def test_so_it_does_before_it_is_done(self):
        technique = small(channels="3", steps=4)
        synthesis = run(technique, most=2)
        assert not synthesis.outcomes
        assert torch.equal(technique.finished(synthesis), synthesis.image)

    def test_several_give_a_sheet_of_their_pictures(self, shown):
        technique = small(channels="0-3")
        synthesis = run(technique)
        technique.finished(synthesis)
        assert shown["captions"] == [["0", "1"], ["2", "3"]]
        images = [cell.image for row in shown["rows"] for cell in row]
        assert torch.equal(torch.cat(images), synthesis.image)

    def test_every_layer_has_rows_of_its_own_with_its_name(self, shown):
        technique = small(layer=("relu1", "relu3"), channels="0-4", steps=1, batch=4)
        technique.finished(run(technique))
        assert shown["captions"] == [["0", "1", "2"], ["3", "4"]] * 2
        assert shown["labels"] == ["relu1", "", "relu3", ""]

    def test_all_layers_are_rows(self, shown):
        technique = small(model="pocket", layer="all", channels="0", steps=1, size=32, batch=14)
        technique.finished(run(technique))
        assert shown["labels"] == list(every_layer("pocket", positions=True))

    def test_a_real_one_is_larger_than_its_pictures(self):
        technique = small(channels="0-3")
        page = technique.finished(run(technique))
        assert page.shape[:2] == (1, 3)
        assert min(page.shape[2:]) > 32

    def test_a_channel_that_never_answers_is_a_plain_tile_that_says_so(self, shown):
        technique = small(model=HALF_DEAD, channels="0-5", steps=10)
        technique.finished(run(technique))
        cells = [cell for row in shown["rows"] for cell in row]
        dead = [cell for cell in cells if cell.caption.endswith(" (dead)")]
        assert [cell.caption for cell in dead] == ["1 (dead)", "4 (dead)"]
        assert all(len(cell.image.unique()) == 1 and cell.image.shape == (1, 3, 16, 16) for cell in dead)
        assert all(len(cell.image.unique()) > 10 for cell in cells if cell not in dead)

    def test_one_that_never_answers_says_so_too(self, shown):
        technique = small(model=HALF_DEAD, channels="4", waking=3)
        technique.finished(run(technique))
        assert shown["captions"] == [["4 (dead)"]]

    def test_a_class_is_never_dead(self, shown):
        """Its logarithm of a probability is never above 0."""
        technique = small(model=CLASSED, layer=(), class_=("dog", "owl"), class_against=1)
        technique.finished(run(technique))
        assert shown["captions"] == [["dog", "owl"]]

    def test_what_ends_below_0_before_a_relu_is_not_dead(self, shown):
        technique = small(model=HALF_DEAD, layer="conv2", channels="3,4")
        synthesis = run(technique)
        assert activation(synthesis.image[1:], f"{HALF_DEAD}:conv2", 4) < -100
        technique.finished(synthesis)
        assert shown["captions"] == [["3", "4"]]

    @pytest.mark.parametrize(("most", "captions"), [(2, [["", ""]]), (5, [["0", "1"]]), (9, [["0", "1"], ["2", "3"]])])
    def test_of_a_run_that_was_stopped_there_is_what_is_done(self, most, captions, shown):
        technique = small(channels="0-4", batch=2, steps=4)
        technique.finished(run(technique, most=most))
        assert shown["captions"] == captions


class TestDiversity:
    def likeness(self, images):
        features = Encoder()(images, [LAYER])[resolve(LAYER)].flatten(2)
        grams = (features @ features.mT).flatten(1)
        cosines = torch.cosine_similarity(grams[:, None], grams[None], dim=-1)
        return ((cosines.sum() - cosines.trace()) / (len(images) * (len(images) - 1))).item()

    def test_pictures_of_one_channel_differ_more_than_without(self):
        technique = small(channels="3", diversity=3, steps=30, rate=0.1, diversity_weight=5.0)
        varied = run(technique).image
        plan = technique.plan()
        assert plan.objective.parts[-1] == (5.0, Diversity(LAYER))
        plain = run(small(layer=("relu2",) * 3, channels="3", steps=30, rate=0.1)).image
        assert varied.shape == plain.shape == (3, 3, 16, 16)
        assert self.likeness(varied) < self.likeness(plain) - 0.1
        assert (activation(varied, LAYER, 3) > 0).all()

    def test_every_subject_has_a_leg_and_stands_together(self, shown):
        technique = small(channels="0,2,3", diversity=2)
        assert [scale.stage for scale in technique.plan().schedule.scales] == ["relu2 0", "relu2 2", "relu2 3"]
        technique.finished(run(technique))
        # No line is broken between the pictures of one channel.
        assert shown["captions"] == [["0", "0", "2", "2"], ["3", "3"]]

    def test_they_wake_before_they_differ(self):
        plan = small(channels="0", diversity=2, waking=7).plan()
        waking, after = ([term for _, term in scale.objective.parts] for scale in plan.schedule.scales)
        assert Diversity(LAYER) not in waking
        assert Diversity(LAYER) in after

    def test_classes_are_compared_where_the_network_draws_well(self):
        plan = small(model="pocket", layer=(), class_="banana", diversity=2).plan()
        assert plan.objective.parts[-1][1] == Diversity("pocket:relu4_2")

    def test_channels_without_positions_differ_too(self):
        technique = small(model=CLASSED, layer="fc", channels="1", diversity=2)
        assert run(technique).image.shape == (2, 3, 16, 16)


class TestInterpolation:
    def test_its_ends_are_the_subjects_alone_and_what_lies_between_is_between(self):
        plan = small(channels="1,3", interpolate=5, alignment=0).plan()
        images = torch.rand(5, 3, 16, 16, generator=torch.Generator().manual_seed(2))
        losses = BoundObjective(plan.objective, Encoder(), (16, 16))(images).by_term
        for index in range(5):
            one, other = (-activation(images[index : index + 1], LAYER, channel).item() for channel in (1, 3))
            share = index / 4
            expected = (1 - share) * one + share * other
            assert losses[f"sum@{index}"].item() == pytest.approx(expected, rel=1e-4)

    def test_they_lead_from_the_first_to_the_second(self):
        images = run(small(**COLOURS, channels="0,1", interpolate=3, alignment=0)).image
        one, other = (activation(images, f"{UNLIKE}:relu1", channel) for channel in (0, 1))
        assert one[0] > one[2] + 0.1
        assert other[2] > other[0] + 0.1
        assert one[0] > other[0]
        assert other[2] > one[2]

    def test_they_are_shown_in_order(self, shown):
        technique = small(channels="1,3", interpolate=5)
        assert technique.plan().schedule.scales[-1].stage == "1 to 3"
        technique.finished(run(technique))
        assert [caption for row in shown["captions"] for caption in row] == ["0%", "25%", "50%", "75%", "100%"]

    def test_neighbours_that_are_aligned_are_nearer(self):
        def apart(alignment):
            images = run(small(channels="1,3", interpolate=4, alignment=alignment, steps=20, rate=0.1)).image
            features = Encoder()(images, [LAYER])[resolve(LAYER)]
            steps = sum(float((a - b).square().mean()) for a, b in pairwise(features))
            return steps / float(features.square().mean())

        assert apart(2.0) < 0.8 * apart(0)

    def test_it_is_a_term_beside_the_others(self):
        assert small(channels="1,3", interpolate=3, alignment=0.5).plan().objective.parts[-1] == (0.5, Alignment(LAYER))
        assert len(small(channels="1,3", interpolate=3, alignment=0).plan().objective.parts) == 3

    @pytest.mark.parametrize("channels", ["1", "1,2,3"])
    def test_it_has_two_ends(self, channels):
        count = len(channels.split(","))
        with pytest.raises(PlanError, match=rf"leads from one subject to another: name two, not {count}$"):
            small(channels=channels, interpolate=3).plan()

    def test_it_leads_between_classes_and_to_channels(self):
        for options in ({"class_": ("banana", "dumbbell")}, {"class_": "banana", "channels": "3"}):
            plan = small(model="pocket", layer=(), interpolate=3, **options).plan()
            assert plan.objective.parts[-1] == (0.3, Alignment("pocket:relu4_2"))

    def test_away_from_one_and_to_another_exclude_each_other(self):
        with pytest.raises(PlanError, match="choose one"):
            small(channels="1,3", interpolate=3, diversity=2)


class TestTending:
    def test_pixels_are_tended_in_the_papers_order(self):
        every = {"decay": 0.1, "blur": 0.5, "blur_every": 2, "clip_norm": 20, "clip_contribution": 30}
        plan = small(channels="0", canvas="pixels", **every).plan()
        assert plan.tending == (Decay(0.1), Blur(0.5, 2), SmallNorms(20), SmallContributions(30))
        assert small(channels="0", canvas="pixels").plan().tending == ()
        assert small(channels="0", canvas="pixels", blur=0.5).plan().tending == (Blur(0.5, 4),)

    def test_what_need_not_be_there_is_grey(self):
        images = run(small(channels="0,3", canvas="pixels", clip_norm=50, steps=9)).image
        assert images.shape == (2, 3, 16, 16)
        assert_close((images == 0.5).all(1).float().mean((1, 2)), torch.full((2,), 0.5), atol=0.01, rtol=0)

    @pytest.mark.parametrize("canvas", ["fourier", "maco"])
    @pytest.mark.parametrize("name", ["decay", "blur", "clip_norm", "clip_contribution"])
    def test_it_is_for_pixels(self, name, canvas):
        option = f"--{name.replace('_', '-')}"
        says = rf"^{option} is for pixels, not for --canvas {canvas}: add --canvas pixels$"
        with pytest.raises(PlanError, match=says):
            small(canvas=canvas, **{name: 0.5})

    def test_it_is_for_optimisers_that_do_not_search(self):
        with pytest.raises(PlanError, match=r": use adam$"):
            small(channels="0", canvas="pixels", decay=0.1, optimiser="lbfgs").plan()


class TestPresets:
    def test_yosinski_tends_pixels_that_climb_in_plain_steps(self):
        plan = small("yosinski", channels="0").plan()
        assert isinstance(plan.canvas, Pixels)
        assert plan.tending == (Decay(0.0001), Blur(1.0, 4))
        assert (plan.optimiser.name, plan.augmentation) == ("ascent", ())

    def test_lucid(self):
        plan = Visualization.configured("lucid").plan()
        assert isinstance(plan.canvas, Fourier)
        assert [(scale.size, scale.steps) for scale in plan.schedule.scales] == [(128, 512)]
        assert plan.augmentation == ROBUST
        assert (plan.optimiser.name, plan.optimiser.rate) == ("adam", 0.05)
        assert {term.term.layer for _, term in plan.objective.parts} == {"googlenet:inception_4a/output"}

    def test_simonyan_holds_a_classs_score_by_the_l2_norm_of_its_pixels(self):
        plan = small("simonyan", model=CLASSED, layer=(), class_="dog", size=16).plan()
        assert isinstance(plan.canvas, Pixels)
        (_, score), (weight, norm) = plan.objective.parts
        assert (score.name, weight, norm.name) == ("class@0", 0.1, "alphanorm")

    def test_maco_keeps_the_magnitudes_of_natural_pictures(self):
        assert isinstance(small("maco").plan().canvas, Maco)

    @pytest.mark.parametrize("name", Visualization.presets)
    def test_each_of_them_climbs(self, name):
        technique = small(name, channels="0,3", steps=25, size=32)
        before, after = (
            run(each).image for each in (technique.model_copy(update={"rate": 1e-9, "steps": (1,)}), technique)
        )
        for index, channel in enumerate((0, 3)):
            assert activation(after[index : index + 1], LAYER, channel) > activation(
                before[index : index + 1], LAYER, channel
            )
