"""MatConvNet's .mat files: the network that comes out computes what the file's own network computes."""

import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import scipy.io
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.testing import assert_close

from oneira.errors import WeightsError
from oneira.features.preprocessing import CAFFE, IMAGENET, Preprocessing
from oneira.features.registry import Backbone
from oneira.features.weights import load_weights

VGG_MEAN = (123.68, 116.779, 103.939)


class NarrowVgg(nn.Module):
    """VGG in small: convolutions with padding, pools, then fully connected layers on 4x4 positions."""

    def __init__(self) -> None:
        super().__init__()
        parts = [nn.Conv2d(3, 5, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(5, 6, 3, padding=1), nn.ReLU()]
        self.features = nn.Sequential(*parts)
        self.classifier = nn.Sequential(nn.Linear(6 * 4 * 4, 7), nn.ReLU(), nn.Dropout(), nn.Linear(7, 2))

    def forward(self, image: Tensor) -> Tensor:
        return self.classifier(self.features(image).flatten(1))


def narrow(preprocessing=IMAGENET) -> Backbone:
    return Backbone("narrow", NarrowVgg, preprocessing)


@pytest.fixture
def layers() -> list[tuple[np.ndarray, np.ndarray]]:
    """(kernel (h, w, in, out), bias) as MatConvNet trains them."""
    numbers = np.random.default_rng(0)
    shapes = [(3, 3, 3, 5), (3, 3, 5, 6), (4, 4, 6, 7), (1, 1, 7, 2)]
    return [
        ((numbers.standard_normal(s) * 0.1).astype(np.float32), numbers.standard_normal(s[-1]).astype(np.float32))
        for s in shapes
    ]


def cells(items: list[object]) -> np.ndarray:
    row = np.empty((1, len(items)), dtype=object)
    row[0, :] = items
    return row


def pair(kernel: np.ndarray, bias: np.ndarray) -> np.ndarray:
    both = np.empty((1, 2), dtype=object)
    both[0, 0], both[0, 1] = kernel, bias
    return both


def new_form(layers, mean=VGG_MEAN) -> dict[str, object]:
    """As `imagenet-vgg-verydeep-19.mat` of 2016 and later: named fields, the normalization under `meta`."""
    structs: list[object] = []
    for index, (kernel, bias) in enumerate(layers):
        weights = pair(kernel, bias[:, None])
        structs.append({"name": f"conv{index}", "type": "conv", "weights": weights, "pad": [1.0, 1, 1, 1]})
        structs.append({"name": f"relu{index}", "type": "relu", "leak": 0.0, "weights": np.empty((0, 0), dtype=object)})
    average = np.array(mean, dtype=np.float64).reshape(1, 1, 3)
    return {"layers": cells(structs), "meta": {"normalization": {"averageImage": average, "imageSize": [8, 8, 3]}}}


def old_form(layers, mean=VGG_MEAN) -> dict[str, object]:
    """As the file of 2014 and 2015: weights first, a whole average image at the top."""
    structs: list[object] = []
    for kernel, bias in layers:
        structs.append({"weights": pair(kernel, bias[None]), "pad": 1.0, "type": "conv", "name": "c", "stride": 1.0})
        structs.append({"type": "relu", "name": "r"})
    average = np.broadcast_to(np.array(mean, dtype=np.float32), (8, 8, 3)).copy()
    return {"layers": cells(structs), "normalization": {"averageImage": average, "keepAspect": True}}


def oldest_form(layers, mean=VGG_MEAN) -> dict[str, object]:
    structs: list[object] = [{"type": "conv", "filters": kernel, "biases": bias[None]} for kernel, bias in layers]
    return {**old_form(layers, mean), "layers": cells(structs)}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "imagenet-vgg-narrow.mat"


def transcription(image: Tensor, layers, mean=VGG_MEAN) -> SimpleNamespace:
    """What MatConvNet computes, written down plainly: 255 * image - mean, (h, w, in, out) filters, zero padding."""
    (k1, b1), (k2, b2), (k3, b3), (k4, b4) = [
        (torch.from_numpy(np.ascontiguousarray(k.transpose(3, 2, 0, 1))).double(), torch.from_numpy(b).double())
        for k, b in layers
    ]
    pixels = 255 * image.double() - torch.tensor(mean, dtype=torch.float64)[:, None, None]
    conv1 = F.conv2d(pixels, k1, b1, padding=1)
    conv2 = F.conv2d(F.max_pool2d(conv1.relu(), 2), k2, b2, padding=1)
    return SimpleNamespace(conv1=conv1, scores=F.conv2d(F.conv2d(conv2.relu(), k3, b3).relu(), k4, b4).flatten(1))


@pytest.fixture
def image() -> Tensor:
    return torch.rand(2, 3, 8, 8, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("form", [new_form, old_form, oldest_form])
@pytest.mark.parametrize(
    "preprocessing",
    [CAFFE, Preprocessing(mean=tuple(m / 255 for m in VGG_MEAN), std=IMAGENET.std), Preprocessing(VGG_MEAN, scale=255)],
    ids=["caffe", "imagenet's std", "as it is"],
)
def test_where_the_means_agree_the_whole_network_computes_the_same(file, layers, image, form, preprocessing):
    scipy.io.savemat(file, form(layers))
    network = load_weights(narrow(preprocessing), file=file).network.eval()
    assert_close(network(preprocessing(image)), transcription(image, layers).scores.float(), rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("form", [new_form, old_form])
def test_with_imagenets_own_means_only_the_border_differs_and_by_half_a_grey_level(file, layers, image, form):
    scipy.io.savemat(file, form(layers))
    network = load_weights(narrow(), file=file).network
    ours = network.features[0](IMAGENET(image))
    theirs = transcription(image, layers).conv1.float()
    assert_close(ours[:, :, 1:-1, 1:-1], theirs[:, :, 1:-1, 1:-1], rtol=1e-4, atol=1e-3)
    half_a_level = 0.5 * torch.from_numpy(np.abs(layers[0][0]).sum((0, 1, 2)))
    assert ((ours - theirs).abs() <= half_a_level[:, None, None]).all()


def test_rows_are_rows(file, layers, image):
    """The first axis of a kernel runs down the picture: an upright bar in the filter answers to upright bars."""
    bar = np.zeros((3, 3, 3, 5), dtype=np.float32)
    bar[:, 1] = 1  # middle column
    scipy.io.savemat(file, new_form([(bar, layers[0][1]), *layers[1:]]))
    weight = load_weights(narrow(), file=file).network.features[0].weight
    assert (weight[:, :, :, 1] > 0).all()
    assert (weight[:, :, :, [0, 2]] == 0).all()


def test_numbers_that_matlab_stored_as_small_integers(file, layers, image):
    whole = [(kernel, np.round(10 * bias).astype(np.int32)) for kernel, bias in layers]
    scipy.io.savemat(file, new_form(whole))
    # MATLAB writes whole numbers of class double (6) as integers; SciPy does not, but differs in nothing but the class.
    flags, int32, double = b"\6\0\0\0\x08\0\0\0", b"\x0c\0\0\0", b"\6\0\0\0"
    file.write_bytes(file.read_bytes().replace(flags + int32, flags + double))
    network = load_weights(narrow(CAFFE), file=file).network.eval()
    assert_close(network(CAFFE(image)), transcription(image, whole).scores.float(), rtol=1e-4, atol=1e-3)


# What is refused


def refusal(file: Path, backbone: Backbone | None = None) -> str:
    with pytest.raises(WeightsError) as caught:
        load_weights(backbone or narrow(), file=file)
    message = str(caught.value)
    assert "\n" not in message
    assert str(file) in message
    return message


def test_another_architecture(file, layers):
    scipy.io.savemat(file, new_form(layers[:3]))
    assert "it has 3 layers with weights, the network 4" in refusal(file)
    wider = (np.zeros((3, 3, 5, 9), dtype=np.float32), np.zeros(9, dtype=np.float32))
    scipy.io.savemat(file, new_form([layers[0], wider, *layers[2:]]))
    assert "'features.3.weight' is (9, 5, 3, 3), where it wants (6, 5, 3, 3)" in refusal(file)
    grey = (np.zeros((3, 3, 1, 5), dtype=np.float32), layers[0][1])
    scipy.io.savemat(file, new_form([grey, *layers[1:]]))
    assert "takes 1 channels, not 3" in refusal(file)


def test_numbers_that_are_not_finite(file, layers):
    layers[2][0][0, 0, 0, 0] = np.nan
    scipy.io.savemat(file, new_form(layers))
    assert "'classifier.0.weight'" in refusal(file)


@pytest.mark.parametrize(
    "content",
    [
        {"params": np.ones(3), "layers": np.ones((1, 2))},
        {"x": 1.0},
        {"layers": cells([{"type": "conv", "weights": cells([np.ones((3, 3, 3, 5))])}]), "meta": {"a": 1.0}},
        {"layers": cells([{"type": "conv", "weights": pair(np.ones((1, 1, 1, 1, 2)), np.ones(2))}])},
        {"layers": cells(["conv", "relu"])},
    ],
    ids=["dagnn", "no network", "no bias", "five axes", "no structs"],
)
def test_other_mat_files(file, content):
    scipy.io.savemat(file, content)
    assert "no MatConvNet network" in refusal(file)


def test_no_average_image(file, layers):
    content = new_form(layers)
    del content["meta"]
    scipy.io.savemat(file, content)
    assert "average image" in refusal(file)


@pytest.mark.parametrize("length", [20, 128, 200, 1000])
def test_a_cut_file(file, layers, length):
    scipy.io.savemat(file, new_form(layers))
    file.write_bytes(file.read_bytes()[:length])
    refusal(file)


def test_matlabs_newer_format_is_named(file):
    file.write_bytes(b"MATLAB 7.3 MAT-file, Platform: GLNXA64".ljust(124) + b"\x00\x02IM" + b"\x89HDF\r\n\x1a\n" * 64)
    assert "7.3" in refusal(file)


def test_pixels_that_are_not_ours_cannot_be_folded_in(file, layers):
    scipy.io.savemat(file, new_form(layers))
    assert "preprocessing" in refusal(file, narrow(lambda image: image))


def test_without_scipy_the_extra_is_named(file, layers, monkeypatch):
    scipy.io.savemat(file, new_form(layers))
    monkeypatch.setitem(sys.modules, "scipy.io", None)  # how Python itself marks a module that cannot be had
    assert "pip install 'oneira[mat]'" in refusal(file)
