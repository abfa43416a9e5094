"""Small random networks that tests register: a few channels, milliseconds."""

from collections import OrderedDict

import torch
from torch import nn

from oneira import register_backbone

TINY = "tiny"


def tiny_network(seed: int = 0, channels: int = 6, *, dtype: torch.dtype = torch.float32) -> nn.Sequential:
    """conv1, relu1, pool1, conv2, relu2, conv3, relu3: a VGG in miniature with random weights."""
    generator = torch.Generator().manual_seed(seed)
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    inputs = 3
    for index in (1, 2, 3):
        conv = nn.Conv2d(inputs, channels, 3, padding=1)
        with torch.no_grad():
            conv.weight.copy_(torch.randn(conv.weight.shape, generator=generator) * (2 / (9 * inputs)) ** 0.5)
            conv.bias.copy_(torch.randn(conv.bias.shape, generator=generator) * 0.1)
        layers[f"conv{index}"] = conv
        layers[f"relu{index}"] = nn.ReLU()
        if index == 1:
            layers["pool1"] = nn.MaxPool2d(2)
        inputs = channels
    return nn.Sequential(layers).to(dtype)


def register_tiny() -> None:
    """`tiny:relu1` ... can be addressed from here on."""
    register_backbone(TINY, tiny_network())
