"""The embedded network: a VGG-shaped stack of 3x3 convolutions, small enough to ship in the package.

Trained on Tiny ImageNet (200 classes); see docs/pocket.md. Batch norm lives only in training: `fold` merges it into the
convolutions, which leaves what Gram statistics like best, convolution and ReLU and nothing else.
"""

from collections import OrderedDict

import torch
from torch import Tensor, nn

WIDTHS = (32, 64, 128, 256, 256)
DEPTHS = (2, 2, 4, 4, 2)
CLASSES = 200


class GlobalAverage(nn.Module):
    """(b, c, h, w) -> (b, c), the mean over positions."""

    def forward(self, features: Tensor) -> Tensor:
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


def fold(trained: nn.Sequential) -> dict[str, Tensor]:
    """The state dict of `pocket()` that computes what `trained` (batch norm in eval mode) computes."""
    state = {}
    for name, module in trained.named_children():
        if isinstance(module, nn.Conv2d):
            norm = trained.get_submodule(name.replace("conv", "bn"))
            scale = norm.weight / torch.sqrt(norm.running_var + norm.eps)
            state[f"{name}.weight"] = (module.weight * scale[:, None, None, None]).detach()
            state[f"{name}.bias"] = (norm.bias - norm.running_mean * scale).detach()
        elif isinstance(module, nn.Linear):
            state[f"{name}.weight"] = module.weight.detach()
            state[f"{name}.bias"] = module.bias.detach()
    return state


@torch.no_grad()
def unfold(state: dict[str, Tensor], pictures: Tensor) -> nn.Sequential:
    """The inverse of `fold`, so that training can go on from folded weights.

    Batch norm's statistics are measured on `pictures` (b, 3, h, w), and its scale and shift are set so that they cancel
    them: the network computes what the folded one computes.
    """
    network = pocket(batch_norm=True)
    features = pictures
    for name, module in network.named_children():
        if isinstance(module, nn.Conv2d):
            module.weight.copy_(state[f"{name}.weight"])
            norm = network.get_submodule(name.replace("conv", "bn"))
            responses = module(features)
            norm.running_mean.copy_(responses.mean((0, 2, 3)))
            norm.running_var.copy_(responses.var((0, 2, 3), unbiased=False))
            norm.weight.copy_(torch.sqrt(norm.running_var + norm.eps))
            norm.bias.copy_(norm.running_mean + state[f"{name}.bias"])
            features = responses + state[f"{name}.bias"][:, None, None]
        elif isinstance(module, nn.Linear):
            module.weight.copy_(state[f"{name}.weight"])
            module.bias.copy_(state[f"{name}.bias"])
        elif not isinstance(module, nn.BatchNorm2d):
            features = module(features)
    return network
