"""Models of ONNX draw what the network draws, at any size, and say how far from it they are."""

import json
import logging
import math
import sys

import pytest
import torch
from exported import NAMES, exported, trained
from hypothesis import given
from hypothesis import strategies as st
from small_networks import unconditional
from torch.testing import assert_close

from oneira.errors import PlanError, WeightsError
from oneira.feedforward import TextureNetwork, TrainedNetwork
from oneira.feedforward.export import Departure, onnx_model
from oneira.feedforward.export import onnx as exporting
from oneira.feedforward.export.departure import MEASURED, SIZES, departure
from oneira.images import load, resize, sample

onnx = pytest.importorskip("onnx", reason="the extra `export` is not installed")
onnxruntime = pytest.importorskip("onnxruntime", reason="the extra `export` is not installed")


@pytest.fixture(scope="module")
def model():
    return exported()


@pytest.fixture(scope="module")
def session(model):
    return running(model)


def running(model):
    return onnxruntime.InferenceSession(model.data, providers=["CPUExecutionProvider"])


def drawn(session, image, style=None):
    fed = {"image": image.numpy()} | ({} if style is None else {"style": style.numpy()})
    return torch.from_numpy(session.run(None, fed)[0])


def noise(height, width, seed=0):
    return torch.rand(1, 3, height, width, generator=torch.Generator().manual_seed(seed))


@torch.inference_mode()
def by_network(trained, image, style=None):
    return trained.network(image, style)


@given(
    # Of 2x2 pixels, mirrored, nothing but rounding is left on the smallest grid.
    height=st.integers(3, 45),
    width=st.integers(3, 45),
    seed=st.integers(0, 9),
    style=st.lists(st.floats(-0.5, 1.5, width=32), min_size=3, max_size=3),
)
def test_a_model_draws_what_the_network_draws_at_any_size_in_any_blend(session, height, width, seed, style):
    image, style = noise(height, width, seed), torch.tensor([style])
    assert_close(drawn(session, image, style), by_network(trained(), image, style), rtol=0, atol=2e-4)


@pytest.mark.parametrize("normalisation", ["instance", "batch"])
def test_a_network_of_one_style_takes_no_weights(normalisation):
    network = unconditional(normalisation).float()
    if normalisation == "batch":  # of another mean and variance than it begins with
        for part in network.modules():
            if isinstance(part, torch.nn.BatchNorm2d):
                part.running_mean += 0.2
                part.running_var *= 1.7
    one = TrainedNetwork(network, ("wave",))
    session = running(onnx_model(one))
    assert [given.name for given in session.get_inputs()] == ["image"]
    assert_close(drawn(session, noise(21, 34)), by_network(one, noise(21, 34)), rtol=0, atol=1e-4)


def test_a_model_tells_what_goes_in_and_what_styles_there_are(session):
    assert [(each.name, each.shape) for each in session.get_inputs()] == [
        ("image", [1, 3, "height", "width"]),
        ("style", [1, 3]),
    ]
    assert [(each.name, each.shape) for each in session.get_outputs()] == [("stylized", [1, 3, "height", "width"])]
    told = {name: json.loads(text) for name, text in session.get_modelmeta().custom_metadata_map.items()}
    assert told == {"styles": list(NAMES), "identity": "itself", "precision": "float32"}


def test_a_model_is_the_same_bytes_again_and_tells_nothing_of_where_it_was_made(model):
    assert onnx_model(trained()).data == model.data
    for trace in (b".py", b"oneira/", b"torch", b"site-packages"):
        assert trace not in model.data


def test_a_model_is_made_of_what_every_runtime_has(model):
    loaded = onnx.load_from_string(model.data)
    assert {(used.domain, used.version) for used in loaded.opset_import} == {("", 18)}
    assert not loaded.functions
    # One operation for each normalisation: torch's own would be taken apart.
    assert [node.op_type for node in loaded.graph.node].count("InstanceNormalization") == 3 + 2 + 2 + 1


@torch.inference_mode()
def test_the_departure_is_measured_over_sample_pictures(model):
    other = trained(seed=1)
    differences = []
    for number, (name, size) in enumerate(zip(MEASURED, SIZES, strict=True)):
        image = resize(load(sample(name)), size)
        for style in (torch.eye(3)[number % 3][None], torch.full((1, 3), 1 / 3)):
            differences.append((trained().network(image, style) - other.network(image, style)).flatten())
    every = torch.cat(differences).double()
    told = departure(model.data, other)
    assert math.isclose(told.largest, every.abs().max(), rel_tol=1e-3)
    assert math.isclose(told.mean, every.abs().mean(), rel_tol=1e-3)
    assert math.isclose(told.psnr, 10 * math.log10(1 / every.square().mean()), abs_tol=0.01)


@pytest.mark.parametrize("worse", [{"largest": 0.3}, {"mean": 0.2}, {"psnr": 20.0}])
def test_a_limit_holds_for_every_figure(worse):
    limit = {"largest": 0.2, "mean": 0.1, "psnr": 30.0}
    assert Departure(**limit).within(Departure(**limit))
    assert not Departure(**{**limit, **worse}).within(Departure(**limit))


def test_float32_is_held_to_a_thousandth(model):
    assert model.departure.largest < 1e-4
    assert exporting.LIMITS["float32"].largest == 1e-3


def test_a_model_that_draws_something_else_is_refused(model, monkeypatch):
    monkeypatch.setattr(exporting, "_traced", lambda _, __: onnx.load_from_string(model.data))
    with pytest.raises(WeightsError, match=r"other pictures than the network: largest difference 0\.\d+, mean"):
        onnx_model(trained(seed=1))


@pytest.mark.parametrize(("precision", "largest_mean"), [("float16", 1e-3), ("int8", 0.03)])
def test_other_precisions_draw_nearly_the_same(model, monkeypatch, precision, largest_mean):
    if precision == "int8":  # of the same trace, which takes seconds
        monkeypatch.setattr(exporting, "_traced", lambda *_: onnx.load_from_string(model.data))
    made = onnx_model(trained(), precision)
    assert 0 < made.departure.mean < largest_mean
    assert made.departure == departure(made.data, trained())
    kinds = {tensor.data_type for tensor in convolved(made.data)}
    assert kinds == {onnx.TensorProto.FLOAT16 if precision == "float16" else onnx.TensorProto.INT8}
    assert json.loads(running(made).get_modelmeta().custom_metadata_map["precision"]) == precision
    for size in ((2, 3), (37, 18)):
        assert drawn(running(made), noise(*size), torch.eye(3)[:1]).shape == (1, 3, *size)


def convolved(data):
    """The kernels of a model's convolutions, as they are kept."""
    graph = onnx.load_from_string(data).graph
    kept = {tensor.name: tensor for tensor in graph.initializer}
    unpacked = {node.output[0]: node.input[0] for node in graph.node if node.op_type == "DequantizeLinear"}
    return [kept[unpacked.get(node.input[1], node.input[1])] for node in graph.node if node.op_type == "Conv"]


def test_what_is_written_is_the_model(model, tmp_path):
    model.write(tmp_path / "net.onnx")
    assert (tmp_path / "net.onnx").read_bytes() == model.data
    with pytest.raises(WeightsError, match="cannot write the model"):
        model.write(tmp_path / "nowhere" / "net.onnx")


def test_what_cannot_be_exported_is_refused():
    with pytest.raises(PlanError, match="draws a texture out of noise"):
        onnx_model(TrainedNetwork(TextureNetwork(scales=2, channels=2), ("gravel",)))
    with pytest.raises(PlanError, match="unknown precision 'float8'; did you mean"):
        onnx_model(trained(), "float8")


@pytest.mark.parametrize("package", ["onnx", "onnxruntime", "onnxscript"])
def test_without_its_packages_the_extra_is_named(package, monkeypatch):
    monkeypatch.setitem(sys.modules, package, None)  # how Python itself marks a module that cannot be had
    with pytest.raises(WeightsError, match=rf"exporting needs {package}: pip install 'oneira\[export\]'"):
        onnx_model(trained())


def test_the_logs_of_others_are_as_they_were(model):
    assert logging.getLogger().level == logging.WARNING
    assert logging.getLogger("torch.onnx").level != logging.ERROR
