"""MatConvNet's simple networks: `imagenet-vgg-verydeep-19.mat` and `-16.mat`."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from oneira.errors import WeightsError
from oneira.features.preprocessing import Preprocessing


def read(path: Path, expected: Mapping[str, Tensor], preprocessing: Preprocessing) -> dict[str, Tensor]:
    """The file's layers in order, under the names and in the layout of `expected`, for pictures by `preprocessing`.

    Raises WeightsError where SciPy is missing, the file is damaged, holds another kind of network or not as many
    layers as `expected`. Whether each one's shape fits is for the caller to see.
    """
    content = _load(path)
    try:
        layers = list(_layers(content["layers"]))
        mean = _mean(content)
    except (KeyError, IndexError, TypeError, ValueError, AttributeError) as error:
        raise WeightsError(f"{path} holds no MatConvNet network with layers, weights and an average image") from error
    names = [name.removesuffix(".weight") for name in expected if name.endswith(".weight")]
    if len(layers) != len(names):
        raise WeightsError(f"{path} does not fit: it has {len(layers)} layers with weights, the network {len(names)}")
    state = {}
    for index, (name, (weight, bias)) in enumerate(zip(names, layers, strict=True)):
        if index == 0:
            weight, bias = _for_other_pixels(path, weight, bias, mean, preprocessing)
        # A fully connected layer is a convolution as large as its input; flattening puts channels first, as torch does.
        state[f"{name}.weight"] = (weight.flatten(1) if expected[f"{name}.weight"].dim() == 2 else weight).contiguous()
        state[f"{name}.bias"] = bias
    return state


def _load(path: Path) -> dict[str, Any]:
    try:
        from scipy.io import loadmat
    except ImportError as error:
        raise WeightsError(f"reading {path} needs SciPy: pip install 'oneira[mat]'") from error
    try:
        content: dict[str, Any] = loadmat(
            path,
            variable_names=("layers", "meta", "normalization"),
            mat_dtype=True,  # MATLAB stores whole numbers as small integers; we want the type that they had
        )
    except Exception as error:  # SciPy raises whatever a damaged file makes it stumble over
        why = (str(error) or type(error).__name__).partition("\n")[0]
        raise WeightsError(f"{path} is a damaged .mat file, or one of version 7.3 ({why})") from error
    return content


def _layers(cells: NDArray[Any]) -> Iterator[tuple[Tensor, Tensor]]:
    """(weight, bias) of every layer that has them. Cells hold structs; their fields have names but no fixed order."""
    for cell in cells.flat:
        layer = cell.flat[0]
        if "weights" in layer.dtype.names and layer["weights"].size:
            kernel, bias = layer["weights"].flat
        elif "filters" in layer.dtype.names:  # what MatConvNet wrote before 2015
            kernel, bias = layer["filters"], layer["biases"]
        else:
            continue
        kernel = kernel.reshape(kernel.shape + (1,) * (4 - kernel.ndim))  # MATLAB drops trailing axes of length one
        # (height, width, in, out) -> (out, in, height, width); the first axis runs down the picture (vl_nnconv).
        # anishathalye/neural-style takes it for the width, and so runs every filter transposed; we do not.
        yield torch.from_numpy(kernel.transpose(3, 2, 0, 1)), torch.from_numpy(bias.reshape(-1))


def _mean(content: dict[str, Any]) -> Tensor:
    """(3,), red, green, blue in 0..255. The average image is one colour, or as large as the input (of one colour)."""
    normalization = content["normalization"] if "normalization" in content else content["meta"].flat[0]["normalization"]
    average = np.asarray(normalization.flat[0]["averageImage"], dtype=np.float64)
    return torch.from_numpy(average.reshape(-1, 3).mean(axis=0))


def _for_other_pixels(
    path: Path, weight: Tensor, bias: Tensor, mean: Tensor, preprocessing: Preprocessing
) -> tuple[Tensor, Tensor]:
    """The first layer, for x = (image * scale - mean') / std' where it was trained on 255 * image - mean.

    255 * image - mean = gain * x + offset, channel by channel: the gain goes into the filters and the offset, summed
    over each filter, into the biases. That is exact wherever a filter sees only picture. Where it sees the zeros
    around the picture, those now stand for `offset` instead of 0: at most half a grey level of 255 between ImageNet's
    means and VGG's (123.675, 116.28, 103.53 against 123.68, 116.779, 103.939), and nothing with Caffe's.
    """
    if weight.shape[1] != 3:
        raise WeightsError(f"{path} does not fit: its first layer takes {weight.shape[1]} channels, not 3")
    if preprocessing.bgr:
        weight, mean = weight.flip(1), mean.flip(0)
    levels = 255 / preprocessing.scale
    gain = levels * torch.tensor(preprocessing.std, dtype=torch.float64)
    offset = levels * torch.tensor(preprocessing.mean, dtype=torch.float64) - mean
    exact = weight.double()
    return exact * gain[:, None, None], bias.double() + (exact * offset[:, None, None]).sum((1, 2, 3))
