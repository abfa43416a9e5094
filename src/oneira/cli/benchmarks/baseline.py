"""Style transfer as neural-style-pt is written: a stack of layers with modules between them that compute losses.

Ordinary PyTorch as its users run it: float32, channels before positions in memory, automatic differentiation through
everything. What an iteration of Oneira is compared with.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from oneira.cli.benchmarks.neural_style import NeuralStyle
from oneira.errors import PlanError
from oneira.features import Address, Preprocessing, find_backbone, resolve
from oneira.features.weights import load_weights
from oneira.images import fit_area, resize

RATE = 1.0  # of Adam, in the units of what the network takes


class LossModule(nn.Module):
    """Passes activations on; `mode` tells whether their `target` is taken from them, or their `loss` computed."""

    def __init__(self, weight: float) -> None:
        super().__init__()
        self.weight = weight
        self.mode: Literal["idle", "capture", "compare"] = "idle"
        self.target = torch.empty(0)
        self.loss = torch.empty(0)

    def measured(self, features: Tensor) -> Tensor:
        """What is compared."""
        return features

    def forward(self, features: Tensor) -> Tensor:
        """(1, c, h, w) -> the same."""
        if self.mode == "capture":
            self.target = self.measured(features).detach()
        elif self.mode == "compare":
            self.loss = self.weight * F.mse_loss(self.measured(features), self.target)
        return features


class ContentLoss(LossModule):
    """Of activations, position by position."""


class StyleLoss(LossModule):
    """Of the Gram matrix over the number of activations."""

    def measured(self, features: Tensor) -> Tensor:
        """(1, c, h, w) -> (c, c)."""
        by_channel = features.view(features.shape[1], -1)
        return torch.mm(by_channel, by_channel.t()) / features.nelement()


class VariationLoss(nn.Module):
    """The sum of absolute differences between neighbours, times `weights` by channel; passes the picture on."""

    def __init__(self, weights: Tensor) -> None:
        super().__init__()
        self.weights = nn.Buffer(weights)
        self.loss = torch.empty(0)

    def forward(self, picture: Tensor) -> Tensor:
        """(1, 3, h, w) -> the same."""
        right = picture[:, :, :, 1:] - picture[:, :, :, :-1]
        down = picture[:, :, 1:, :] - picture[:, :, :-1, :]
        self.loss = (self.weights * (right.abs().sum((0, 2, 3)) + down.abs().sum((0, 2, 3)))).sum()
        return picture


class Baseline:
    """The same iteration for `content`, `style` and `start` (1, 3, h, w) in [0, 1], content and start of one size.

    Raises PlanError for a network that is no stack of layers, or whose preprocessing is not known.
    """

    def __init__(
        self,
        settings: NeuralStyle,
        content: Tensor,
        style: Tensor,
        start: Tensor,
        *,
        device: torch.device,
        weights: Mapping[str, Path],
    ) -> None:
        prepare = _preprocessing(settings.model)
        contents = {resolve(address): ContentLoss(settings.content_weight) for address in settings.content_addresses}
        styles = {resolve(address): StyleLoss(settings.style_weight) for address in settings.style_addresses}
        self._contents, self._styles = list(contents.values()), list(styles.values())
        self._variation = _variation(settings)
        stack = _stack(settings.model, {*contents, *styles}, weights)
        self._network = _network(self._variation, stack, contents, styles).requires_grad_(False).to(device)
        fitted = fit_area(style.shape[2], style.shape[3], content.shape[2] * content.shape[3])
        self._capture(self._contents, prepare(content).to(device))
        self._capture(self._styles, prepare(resize(style, fitted)).to(device))
        for module in (*self._contents, *self._styles):
            module.mode = "compare"
        self.picture = nn.Parameter(prepare(start).to(device).contiguous())
        self._optimiser = torch.optim.Adam([self.picture], lr=RATE)

    def step(self) -> None:
        """One iteration."""
        self._optimiser.step(self.evaluate)

    def evaluate(self) -> Tensor:
        """The loss; its gradient is left in `picture.grad`, in the units of what the network takes."""
        self._optimiser.zero_grad()
        self._network(self.picture)
        loss = self._variation.loss
        for module in (*self._contents, *self._styles):
            loss = loss + module.loss
        loss.backward()
        return loss

    @torch.no_grad()
    def losses(self) -> dict[str, float]:
        """Of the picture as it is, with their weights, by the names that Oneira's terms have."""
        self._network(self.picture)
        return {
            "content": sum(float(module.loss) for module in self._contents),
            "style": sum(float(module.loss) for module in self._styles),
            "tv": float(self._variation.loss),
        }

    @torch.no_grad()
    def _capture(self, modules: Sequence[LossModule], picture: Tensor) -> None:
        for module in modules:
            module.mode = "capture"
        self._network(picture)
        for module in modules:
            module.mode = "idle"


def _preprocessing(model: str) -> Preprocessing:
    preprocessing = find_backbone(model).preprocessing
    if not isinstance(preprocessing, Preprocessing):
        raise PlanError(f"it is not known in what units {model} takes pictures; choose another, such as vgg19-caffe")
    return preprocessing


def _variation(settings: NeuralStyle) -> VariationLoss:
    """Of the picture as the network takes it, counted in pixels of 0..255."""
    preprocessing = _preprocessing(settings.model)
    units = torch.tensor([255 * deviation / preprocessing.scale for deviation in preprocessing.std])
    return VariationLoss(settings.variation * units)


def _stack(model: str, addresses: Collection[Address], weights: Mapping[str, Path]) -> Iterator[tuple[str, nn.Module]]:
    """The layers of `model` by path, one after the other, down to the deepest of `addresses`."""
    network = load_weights(find_backbone(model), file=weights.get(model)).network
    parents = {address.layer.rpartition(".")[0] for address in addresses}
    stack = network.get_submodule(min(parents))
    if len(parents) > 1 or not isinstance(stack, nn.Sequential):
        raise PlanError(f"{model} is no stack of layers with losses between them; choose one, such as vgg19-caffe")
    left = {address.layer for address in addresses}
    for path, layer in stack.named_children():
        path = f"{min(parents)}.{path}".removeprefix(".")
        yield path, layer
        left.discard(path)
        if not left:
            return


def _network(
    variation: VariationLoss,
    stack: Iterable[tuple[str, nn.Module]],
    contents: Mapping[Address, LossModule],
    styles: Mapping[Address, LossModule],
) -> nn.Sequential:
    """The layers of `stack`, each followed by the losses of what it gives."""
    network = nn.Sequential(variation)
    for path, layer in stack:
        for part in layer.modules():
            if isinstance(part, nn.ReLU):
                # As theirs are; but not over what a loss has yet to go back through.
                part.inplace = not isinstance(network[-1], LossModule)
        network.append(layer)
        for losses in (contents, styles):
            network.extend(loss for address, loss in losses.items() if address.layer == path)
    return network
