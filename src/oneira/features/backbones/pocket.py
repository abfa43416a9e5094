"""The embedded network: a VGG-shaped stack of 3x3 convolutions, small enough to ship in the package.

Trained on Tiny ImageNet (200 classes); see docs/pocket.md. Batch norm lives only in training: `fold` merges it into the
convolutions, which leaves what Gram statistics like best, convolution and ReLU and nothing else.
"""

from collections import OrderedDict
from collections.abc import Mapping

import torch
from torch import Tensor, nn

WIDTHS = (32, 64, 128, 256, 256)
DEPTHS = (2, 2, 4, 4, 2)
CLASSES = 200


class GlobalAverage(nn.Module):
    """The mean over positions, as a layer."""

    def forward(self, features: Tensor) -> Tensor:
        """(b, c, h, w) -> (b, c)."""
        return features.mean((2, 3))


def pocket(
    *,
    batch_norm: bool = False,
    classes: int = CLASSES,
    widths: tuple[int, ...] = WIDTHS,
    depths: tuple[int, ...] = DEPTHS,
) -> nn.Sequential:
    """conv1_1, relu1_1, conv1_2, ..., pool4, ..., relu5_2, average, fc; `batch_norm` puts bn1_1, ... behind each conv.

    Takes (b, 3, h, w), ImageNet-normalised; gives (b, classes) logits before the softmax.
    """
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    channels = 3
    for block, (width, depth) in enumerate(zip(widths, depths, strict=True), start=1):
        for index in range(1, depth + 1):
            name = f"{block}_{index}"
            layers[f"conv{name}"] = nn.Conv2d(channels, width, 3, padding=1, bias=not batch_norm)
            if batch_norm:
                layers[f"bn{name}"] = nn.BatchNorm2d(width)
            layers[f"relu{name}"] = nn.ReLU()
            channels = width
        if block < len(widths):
            layers[f"pool{block}"] = nn.MaxPool2d(2)
    layers["average"] = GlobalAverage()
    layers["fc"] = nn.Linear(channels, classes)
    return nn.Sequential(layers)


def shape_of(state: Mapping[str, Tensor]) -> tuple[int, tuple[int, ...], tuple[int, ...]]:
    """The classes, widths and depths with which `pocket()` takes the folded weights in `state`.

    Raises KeyError where it has no convolution conv1_1 or no head.
    """
    widths: list[int] = []
    depths: list[int] = []
    while f"conv{len(widths) + 1}_1.bias" in state:
        block = len(widths) + 1
        depth = 1
        while f"conv{block}_{depth + 1}.bias" in state:
            depth += 1
        widths.append(len(state[f"conv{block}_1.bias"]))
        depths.append(depth)
    if not widths:
        raise KeyError("conv1_1.bias")
    return len(state["fc.bias"]), tuple(widths), tuple(depths)


@torch.no_grad()
def pocket_fitting(weights: Mapping[str, Tensor]) -> nn.Sequential:
    """`pocket` with the classes, widths and depths that folded weights have; raises as `shape_of` does."""
    classes, widths, depths = shape_of(weights)
    return pocket(classes=classes, widths=widths, depths=depths)


def fold(trained: nn.Sequential) -> dict[str, Tensor]:
    """The state dict of `pocket()` that computes what `trained` (batch norm in eval mode) computes."""
    state = {}
    for name, module in trained.named_children():
        if isinstance(module, nn.Conv2d):
            norm = _norm_behind(trained, name)
            scale = norm.weight / torch.sqrt(_variance(norm) + norm.eps)
            state[f"{name}.weight"] = module.weight * scale[:, None, None, None]
            state[f"{name}.bias"] = norm.bias - _mean(norm) * scale
        elif isinstance(module, nn.Linear):
            state[f"{name}.weight"] = module.weight.clone()
            state[f"{name}.bias"] = module.bias.clone()
    return state


@torch.no_grad()
def unfold(state: Mapping[str, Tensor], pictures: Tensor) -> nn.Sequential:
    """The inverse of `fold`, so that training can go on from folded weights.

    Batch norm's statistics are measured on `pictures` (b, 3, h, w), normalised for the network, and its scale and shift
    are set so that they cancel them: the network computes what the folded one computes.
    """
    classes, widths, depths = shape_of(state)
    network = pocket(batch_norm=True, classes=classes, widths=widths, depths=depths)
    features = pictures
    for name, module in network.named_children():
        if isinstance(module, nn.Conv2d):
            module.weight.copy_(state[f"{name}.weight"])
            norm = _norm_behind(network, name)
            responses = module(features)
            _mean(norm).copy_(responses.mean((0, 2, 3)))
            _variance(norm).copy_(responses.var((0, 2, 3), unbiased=False))
            norm.weight.copy_(torch.sqrt(_variance(norm) + norm.eps))
            norm.bias.copy_(_mean(norm) + state[f"{name}.bias"])
            features = responses.add_(state[f"{name}.bias"][:, None, None])
        elif isinstance(module, nn.Linear):
            module.weight.copy_(state[f"{name}.weight"])
            module.bias.copy_(state[f"{name}.bias"])
        elif not isinstance(module, nn.BatchNorm2d):
            features = module(features)
    return network


def _norm_behind(network: nn.Sequential, convolution: str) -> nn.BatchNorm2d:
    norm = network.get_submodule(convolution.replace("conv", "bn"))
    assert isinstance(norm, nn.BatchNorm2d)
    return norm


def _mean(norm: nn.BatchNorm2d) -> Tensor:
    assert norm.running_mean is not None
    return norm.running_mean


def _variance(norm: nn.BatchNorm2d) -> Tensor:
    assert norm.running_var is not None
    return norm.running_var
