"""A small random network without kinks: rounding decides about no ReLU and no maximum, so pictures can be compared."""

from collections import OrderedDict

import torch
from torch import nn

from oneira import register_backbone

SMOOTH = "smooth"
STD = 0.225  # of all three channels: about ImageNet's


def smooth_network(dtype: torch.dtype = torch.float32) -> nn.Sequential:
    """conv1, soft1, pool1, conv2, soft2, conv3, soft3; always the same."""
    generator = torch.Generator().manual_seed(11)
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    inputs = 3
    for index in (1, 2, 3):
        conv = nn.Conv2d(inputs, 5, 3, padding=1)
        with torch.no_grad():
            conv.weight.copy_(torch.randn(conv.weight.shape, generator=generator) * (2 / (9 * inputs)) ** 0.5)
            conv.bias.copy_(torch.randn(conv.bias.shape, generator=generator) * 0.1)
        layers[f"conv{index}"] = conv
        layers[f"soft{index}"] = nn.Softplus(beta=3)
        if index == 1:
            layers["pool1"] = nn.AvgPool2d(2)
        inputs = 5
    return nn.Sequential(layers).to(dtype)


def normalised(image: torch.Tensor) -> torch.Tensor:
    """[0, 1] -> what the network takes."""
    return (image - 0.5) / STD


def register_smooth() -> None:
    """`smooth:soft1` ... can be addressed from here on."""
    register_backbone(SMOOTH, smooth_network(), normalised)


def activations(image: torch.Tensor, layer: str) -> torch.Tensor:
    """In the picture's own precision, by a network of its own."""
    for name, module in smooth_network(image.dtype).named_children():
        image = module(normalised(image) if name == "conv1" else image)
        if name == layer:
            break
    return image
