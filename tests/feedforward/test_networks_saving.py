"""Networks in files: what was written comes back, and nothing else does."""

import json

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load, save
from small_networks import SMALL, conditional, shuffled, unconditional
from torch.testing import assert_close

from oneira.errors import PlanError, WeightsError
from oneira.feedforward import TextureNetwork, TrainedNetwork, TransformerNetwork
from oneira.files import told_in

NAMES = ("starry", "wave", "itself")
ABOUT = {"losses": {"style": 0.5}, "preset": "magenta"}


@pytest.fixture
def trained():
    return TrainedNetwork(conditional(identity=2).float(), NAMES, ABOUT)


@pytest.fixture
def file(trained, tmp_path):
    trained.write(tmp_path / "net.safetensors")
    return tmp_path / "net.safetensors"


def rewritten(file, **changes):
    """The file with other things told in its header."""
    data = file.read_bytes()
    told = {**told_in(data, "oneira-stylizer"), **changes}
    file.write_bytes(save(load(data), {"oneira-stylizer": json.dumps(told)}))


@pytest.mark.parametrize(
    ("network", "names"),
    [
        (conditional().float(), NAMES),
        (unconditional().float(), ("wave",)),
        (unconditional("batch").float(), ("wave",)),
        (shuffled(TextureNetwork(scales=3, channels=4)).float(), ("pebbles",)),
    ],
)
def test_what_was_written_comes_back(network, names, tmp_path):
    path = tmp_path / "net.safetensors"
    TrainedNetwork(network, names, ABOUT).write(path, torch.float32)
    back = TrainedNetwork.load(path)
    assert (back.names, back.about, back.identity) == (names, ABOUT, None)
    assert type(back.network) is type(network)
    assert not back.network.training
    assert back.network.configuration == network.configuration
    assert_close(back.network.state_dict(), network.state_dict(), rtol=0, atol=0)


def test_float16_takes_half_the_room_and_draws_the_same_picture(trained, file, image):
    back = TrainedNetwork.load(file)
    assert back.identity == 2
    assert {parameter.dtype for parameter in back.network.parameters()} == {torch.float32}
    weights = trained.weights({"wave": 1.0})
    assert_close(back.network(image, weights), trained.network(image, weights), atol=0.01, rtol=0)
    exact = file.with_name("exact.safetensors")
    trained.write(exact, torch.float32)
    size = sum(parameter.numel() for parameter in trained.network.parameters())
    assert exact.stat().st_size - file.stat().st_size == pytest.approx(2 * size, rel=0.02)


def test_the_same_network_is_the_same_bytes(trained, file):
    again = file.with_name("again.safetensors")
    trained.write(again)
    assert again.read_bytes() == file.read_bytes()


def test_styles_are_asked_for_by_name(trained):
    assert_close(trained.weights({"itself": 0.25, "starry": 0.75}), torch.tensor([[0.75, 0.0, 0.25]]))
    with pytest.raises(PlanError, match="unknown style 'stary'; did you mean 'starry'"):
        trained.weights({"stary": 1})


@pytest.mark.parametrize("like", [None, "wave"])
def test_another_style_leaves_the_others_as_they_are(trained, image, like):
    grown = trained.with_style("scream", like)
    assert grown.names == (*NAMES, "scream")
    assert (grown.identity, grown.about) == (2, ABOUT)
    for name in NAMES:
        before, after = (each.network(image, each.weights({name: 1.0})) for each in (trained, grown))
        assert_close(after, before)
    begun = {"wave": 1.0} if like else dict.fromkeys(NAMES[:2], 1 / 2)  # not of the identity, which has nothing learned
    assert_close(grown.network(image, grown.weights({"scream": 1.0})), trained.network(image, trained.weights(begun)))
    assert trained.network.styles == 3


def test_what_is_trained_further_is_a_copy(trained):
    grown = trained.with_style("scream")
    with torch.no_grad():
        for parameter in grown.network.parameters():
            parameter.zero_()
    assert all(parameter.abs().sum() > 0 for parameter in trained.network.parameters())


def test_styles_that_cannot_be_added_are_refused(trained):
    with pytest.raises(PlanError, match="there is a style 'wave' already"):
        trained.with_style("wave")
    with pytest.raises(PlanError, match="did you mean 'wave'"):
        trained.with_style("scream", like="wafe")
    with pytest.raises(PlanError, match="a single style"):
        TrainedNetwork(unconditional(), ("wave",)).with_style("scream")


@pytest.mark.parametrize("names", [(), ("wave", "wave", "starry"), ("wave",)])
def test_every_style_has_a_name_of_its_own(names):
    with pytest.raises(PlanError, match="a network of 3 styles needs one for each"):
        TrainedNetwork(conditional(), names)


def told_of(path):
    with pytest.raises(WeightsError) as refusal:
        TrainedNetwork.load(path)
    assert path.name in str(refusal.value)
    assert "\n" not in str(refusal.value)
    return str(refusal.value)


def test_files_that_are_not_there_are_told_in_one_line(tmp_path):
    assert "No such file" in told_of(tmp_path / "missing.safetensors")
    assert "is a folder" in told_of(tmp_path)


@pytest.mark.parametrize(
    "changes",
    [
        {"version": 2},
        {"kind": "pyramid"},
        {"styles": ["wave"]},
        {"styles": None},
        {"configuration": {"identity": "wave", **SMALL}},
        {"configuration": {"identity": 1, **SMALL}},  # of a single style
        {"configuration": {"identity": 3, "styles": 3, **SMALL}},
        {"about": 5},
        {"configuration": {"normalisation": "conditional", "styles": 3}},  # the published channels, not these
        {"configuration": {"styles": 10**9}},
        {"configuration": {"residuals": 10**9}},
        {"configuration": {"channels": [4, 6, 10**12]}},
        {"configuration": {"depth": 3}},
    ],
)
def test_files_that_tell_something_else_are_refused(file, changes):
    rewritten(file, **changes)
    assert "or is damaged" in told_of(file)


def test_other_tensors_are_refused(file):
    file.write_bytes(save({"weight": torch.zeros(3)}))
    assert "no image-to-image network" in told_of(file)


def test_numbers_that_are_not_finite_are_refused(file):
    data = file.read_bytes()
    tensors = load(data)
    next(iter(tensors.values())).view(-1)[0] = torch.nan
    file.write_bytes(save(tensors, {"oneira-stylizer": json.dumps(told_in(data, "oneira-stylizer"))}))
    assert "or is damaged" in told_of(file)


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    path = tmp_path_factory.mktemp("written") / "net.safetensors"
    TrainedNetwork(TransformerNetwork(channels=(2, 2, 2), residuals=1), ("wave",)).write(path)
    return path.read_bytes()


@given(cut=st.floats(0, 1, exclude_max=True))
def test_what_was_cut_off_is_refused(written, tmp_path_factory, cut):
    path = tmp_path_factory.getbasetemp() / "cut.safetensors"
    path.write_bytes(written[: int(cut * len(written))])
    told_of(path)


def test_numbers_beyond_float16_are_not_written(trained, tmp_path):
    with torch.no_grad():
        trained.network.draw.convolution.weight[0] = 1e6
    path = tmp_path / "net.safetensors"
    with pytest.raises(WeightsError, match=r"draw.convolution.weight holds numbers that torch.float16 cannot"):
        trained.write(path)
    assert not path.exists()
    trained.write(path, torch.float32)
    assert TrainedNetwork.load(path).network.draw.convolution.weight.max() == 1e6


def test_a_disk_that_refuses_is_told_in_one_line(trained, tmp_path):
    with pytest.raises(WeightsError, match=r"cannot write the network .*No such file"):
        trained.write(tmp_path / "nowhere" / "net.safetensors")
