import pytest
import torch
from safetensors.torch import save_file
from torch import nn
from torch.testing import assert_close
from training_toys import CLASSES, SETTINGS, toy_network, toy_pictures, toy_trainer

from oneira.errors import WeightsError
from oneira.features.backbones.pocket import fold, pocket, shape_of, unfold
from oneira.features.preprocessing import IMAGENET
from oneira.features.training import continued_network, fresh_network
from oneira.features.training.averaging import WeightAverage, measured_anew
from oneira.features.training.result import folded_network, folded_state

SHAPE = {"classes": 3, "widths": (5, 6), "depths": (1, 2)}


@pytest.fixture
def trained(generator):
    """A network whose batch norm has seen something and is set to anything."""
    network = pocket(batch_norm=True, **SHAPE)
    for module in network:
        if isinstance(module, nn.BatchNorm2d):
            for values in (module.weight, module.bias, module.running_mean):
                values.data.copy_(torch.randn(values.shape, generator=generator))
            module.running_var.copy_(torch.rand(module.running_var.shape, generator=generator) + 0.1)
    return network.eval()


@pytest.fixture
def inputs(generator):
    return torch.randn(7, 3, 9, 11, generator=generator)


def test_folding_keeps_what_the_network_computes(trained, inputs):
    folded = pocket(**SHAPE)
    folded.load_state_dict(fold(trained))
    assert_close(folded(inputs), trained(inputs), atol=1e-4, rtol=1e-4)


def test_unfolding_inverts_folding(trained, inputs):
    state = fold(trained)
    unfolded = unfold(state, inputs)
    assert_close(unfolded.eval()(inputs), trained(inputs), atol=1e-4, rtol=1e-4)
    again = fold(unfolded)
    assert list(again) == list(state)
    for name in state:
        assert_close(again[name], state[name], atol=1e-4, rtol=1e-4)


def test_an_unfolded_network_computes_the_same_in_training_on_the_pictures_it_was_measured_on(trained, inputs):
    unfolded = unfold(fold(trained), inputs)
    assert_close(unfolded.train()(inputs), trained(inputs), atol=1e-3, rtol=1e-3)


def test_folded_weights_say_their_shape(trained):
    assert shape_of(fold(trained)) == (3, (5, 6), (1, 2))
    with pytest.raises(KeyError):
        shape_of({})


def test_what_ships_is_float16_and_computes_nearly_the_same(trained, inputs):
    state = folded_state(trained)
    assert {value.dtype for value in state.values()} == {torch.float16}
    assert_close(folded_network(state)(inputs), trained(inputs), atol=0.05, rtol=0.02)


def test_fresh_weights_depend_on_the_seed_alone():
    torch.manual_seed(1)
    first = toy_network()
    torch.manual_seed(2)
    second, other = toy_network(), toy_network(SETTINGS.model_copy(update={"seed": 5}))
    assert torch.equal(first.conv2_1.weight, second.conv2_1.weight)
    assert torch.equal(first.fc.weight, second.fc.weight)
    assert not torch.equal(first.conv2_1.weight, other.conv2_1.weight)


def test_a_fresh_network_is_pocket_with_batch_norm():
    network = fresh_network(200, SETTINGS)
    assert shape_of(fold(network)) == (200, (32, 64, 128, 256, 256), (2, 2, 4, 4, 2))


class TestContinuing:
    def test_it_computes_what_the_file_computes(self, tmp_path, trained):
        save_file(folded_state(trained), tmp_path / "start.safetensors")
        network = continued_network(tmp_path / "start.safetensors", toy_pictures(), SETTINGS).eval()
        seen = IMAGENET(toy_pictures().pictures / 255)
        assert_close(network(seen), folded_network(folded_state(trained))(seen), atol=1e-3, rtol=1e-3)
        assert network.bn1_1.running_var.isfinite().all()

    def test_training_goes_on_from_it(self, tmp_path, trained):
        save_file(folded_state(trained), tmp_path / "start.safetensors")
        trainer = toy_trainer(network=continued_network(tmp_path / "start.safetensors", toy_pictures(), SETTINGS))
        *_, last = trainer.run()
        assert last.step == last.total

    def test_another_number_of_classes_needs_a_new_head(self, tmp_path, trained):
        save_file(folded_state(trained), tmp_path / "start.safetensors")
        other = toy_pictures()
        object.__setattr__(other, "classes", (*CLASSES, "white"))
        with pytest.raises(WeightsError, match="tells 3 classes apart, the data has 4: ask for a new head"):
            continued_network(tmp_path / "start.safetensors", other, SETTINGS)
        network = continued_network(tmp_path / "start.safetensors", other, SETTINGS, new_head=True)
        assert network.fc.out_features == 4
        assert torch.equal(network.conv1_1.weight, folded_state(trained)["conv1_1.weight"].float())

    @pytest.mark.parametrize(
        "change",
        [
            lambda state: state.clear(),
            lambda state: state.pop("fc.bias"),
            lambda state: state.pop("conv2_2.weight"),
            lambda state: state.update({"conv2_1.weight": torch.zeros(6, 4, 3, 3)}),
            lambda state: state.update({"fc.bias": torch.tensor(1.0)}),
            lambda state: state.update({"more": torch.zeros(1)}),
            lambda state: state.update({"conv1_1.bias": torch.full((5,), float("nan"))}),
        ],
    )
    def test_what_is_no_pocket_is_refused_in_one_line(self, tmp_path, trained, change):
        state = folded_state(trained)
        change(state)
        save_file(state, tmp_path / "start.safetensors")
        with pytest.raises(WeightsError, match=r"start\.safetensors") as raised:
            continued_network(tmp_path / "start.safetensors", toy_pictures(), SETTINGS)
        assert "\n" not in str(raised.value)


class TestAveraging:
    def test_it_is_the_exponential_average_written_out(self, generator):
        network = nn.Sequential(nn.Linear(3, 2))
        average = WeightAverage(network, decay=0.6)
        expected = network[0].weight.detach().clone()
        for count in range(1, 40):
            network[0].weight.data.copy_(torch.randn(2, 3, generator=generator))
            average.update(count)
            decay = min(0.6, count / (count + 9))
            expected = decay * expected + (1 - decay) * network[0].weight.detach()
            assert_close(average.weights["0.weight"], expected)
        assert_close(average.averaged()[0].weight.detach(), expected)

    def test_measured_statistics_are_those_of_the_pictures(self, trained, inputs):
        measured = measured_anew(trained, [inputs], torch.float32)
        responses = trained.conv1_1(inputs)
        assert_close(measured.bn1_1.running_mean, responses.mean((0, 2, 3)))
        assert_close(measured.bn1_1.running_var, responses.var((0, 2, 3)))
        assert_close(measured(inputs), measured.train()(inputs), atol=0.05, rtol=0.05)

    def test_measuring_leaves_the_network_alone(self, trained, inputs):
        before = {name: value.clone() for name, value in trained.state_dict().items()}
        measured = measured_anew(trained, [inputs], torch.float32)
        assert all(torch.equal(value, before[name]) for name, value in trained.state_dict().items())
        assert measured.bn1_1.momentum == trained.bn1_1.momentum
