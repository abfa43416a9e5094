"""What the field's programs minimise, transcribed from their formulas.

Differences of pixels are in each program's own levels: 0 to 255, but 0 to 256 in neural-style-pt, 0 to 1 in
style-transfer-pytorch.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn.functional import pad

from oneira.features.encoder import Encoder
from oneira.features.registry import resolve


@dataclass(frozen=True)
class Layers:
    """Where content and style are compared, by address."""

    content: tuple[str, ...]
    style: tuple[str, ...]

    @classmethod
    def of(cls, network: str, content: str, style: str) -> "Layers":
        first, second = (tuple(f"{network}:{name}" for name in names.split()) for names in (content, style))
        return cls(first, second)


@dataclass(frozen=True)
class Picture:
    """A picture (1, 3, h, w), and what the network sees in it by layer: (channels, positions), float64."""

    image: Tensor
    seen: Mapping[str, Tensor]

    @classmethod
    def of(cls, image: Tensor, layers: Layers, encoder: Encoder) -> "Picture":
        addresses = {layer: resolve(layer) for layer in layers.content + layers.style}
        activations = encoder(image, list(addresses.values()))
        return cls(image, {layer: activations[address][0].flatten(1).double() for layer, address in addresses.items()})


@dataclass(frozen=True)
class Scene:
    """A canvas on its way from a content to a style."""

    layers: Layers
    encoder: Encoder
    canvas: Picture
    content: Picture
    style: Picture

    @classmethod
    def of(cls, layers: Layers, encoder: Encoder, canvas: Tensor, content: Tensor, style: Tensor) -> "Scene":
        """Three pictures (1, 3, h, w); the style's of any size."""
        return cls(layers, encoder, *(Picture.of(image, layers, encoder) for image in (canvas, content, style)))

    def at(self, layer: str) -> tuple[Tensor, Tensor]:
        """Activations of the canvas and of the style."""
        return self.canvas.seen[layer], self.style.seen[layer]

    def content_at(self, layer: str) -> Tensor:
        """How far the canvas is from the content."""
        return self.canvas.seen[layer] - self.content.seen[layer]


def mean_square(values: Tensor) -> Tensor:
    return (values**2).mean()


def l2_loss(values: Tensor) -> Tensor:
    """TensorFlow's: half of the sum of squares."""
    return (values**2).sum() / 2


def differences(scene: Scene, levels: float) -> tuple[Tensor, Tensor]:
    """What pixels lack to their lower and right neighbours."""
    values = levels * scene.canvas.image[0].double()
    return values[:, 1:] - values[:, :-1], values[:, :, 1:] - values[:, :, :-1]


def gatys(scene: Scene) -> list[Tensor]:
    """Gatys et al. 2016, equations 1, 4 and 5, with their weights of 1/5; M is the canvas's, should they differ."""
    losses = []
    for layer in scene.layers.style:
        f, a = scene.at(layer)
        n, m = f.shape
        losses.append(((f @ f.T - a @ a.T) ** 2).sum() / (4 * n**2 * m**2))
    return [(scene.content_at(scene.layers.content[0]) ** 2).sum() / 2, sum(losses) / 5]


def neural_style_pt(scene: Scene) -> list[Tensor]:
    """ProGamerGov/neural-style-pt: weights of 5, 100 and 0.001; every layer counts 1."""
    style = []
    for layer in scene.layers.style:
        f, a = scene.at(layer)
        style.append(100 * mean_square(f @ f.T / f.numel() - a @ a.T / a.numel()))
    down, right = differences(scene, 256)
    return [
        5 * mean_square(scene.content_at(scene.layers.content[0])),
        sum(style),
        1e-3 * (right.abs().sum() + down.abs().sum()),
    ]


def anishathalye(scene: Scene, blend: float = 0.0) -> list[Tensor]:
    """anishathalye/neural-style: weights of 5, 500 and 100; `blend` of the content is the second layer's."""
    content, style = [], []
    for share, layer in zip((1 - blend, blend), scene.layers.content, strict=False):
        difference = scene.content_at(layer)
        content.append(share * 5 * (2 * l2_loss(difference) / difference.numel()))
    for layer in scene.layers.style:
        f, a = (features.T for features in scene.at(layer))
        difference = f.T @ f / f.numel() - a.T @ a / a.numel()
        style.append(1 / 5 * 2 * l2_loss(difference) / difference.numel())
    down, right = differences(scene, 255)
    variation = l2_loss(down) / down.numel() + l2_loss(right) / right.numel()
    return [sum(content), 500 * sum(style), 100 * 2 * variation]


CROWSONKB_WEIGHTS = [weight / (256 + 64 + 16 + 4 + 1) for weight in (256, 64, 16, 4, 1)]


def crowsonkb(scene: Scene) -> list[Tensor]:
    """crowsonkb/style-transfer-pytorch: weights of 0.015, 1 and 2; its formula's root, towards which it iterates."""
    style = []
    for weight, layer in zip(CROWSONKB_WEIGHTS, scene.layers.style, strict=True):
        (mean, covariance), (their_mean, theirs) = (gaussian(features) for features in scene.at(layer))
        # A B has the eigenvalues of B^1/2 A B^1/2, whose root's diagonal is asked for.
        crossed = torch.linalg.eigvals(covariance @ theirs).real.sqrt()
        spread = covariance.diagonal().mean() + theirs.diagonal().mean() - 2 * crossed.mean()
        style.append(weight * (mean_square(mean - their_mean) + spread))
    x = pad(scene.canvas.image.double(), (1, 1, 1, 1), "replicate")
    middle = x[..., 1:-1, 1:-1]
    straight = mean_square(x[..., 1:-1, 2:] - middle) + mean_square(x[..., 2:, 1:-1] - middle)
    diagonal = mean_square(x[..., 1:, 1:] - x[..., :-1, :-1]) + mean_square(x[..., 1:, :-1] - x[..., :-1, 1:])
    content = 0.015 * mean_square(scene.content_at(scene.layers.content[0]))
    return [content, sum(style), 2 * 2 * (straight / 3 + diagonal / 12)]


def gaussian(features: Tensor) -> tuple[Tensor, Tensor]:
    mean = features.mean(1)
    raw = features @ features.T / features.shape[1]
    return mean, raw - torch.outer(mean, mean) + 1e-4 * torch.eye(len(mean), dtype=torch.float64)


def hvass(scene: Scene) -> list[Tensor]:
    """Hvass-Labs, TensorFlow tutorial 15: the losses of content, style and noise, before they are weighted."""
    style = []
    for layer in scene.layers.style:
        f, a = (features.T for features in scene.at(layer))
        style.append(mean_square(f.T @ f - a.T @ a))
    down, right = differences(scene, 255)
    return [
        mean_square(scene.content_at(scene.layers.content[0])),
        torch.stack(style).mean(),
        down.abs().sum() + right.abs().sum(),
    ]


def hvass_gradient(scene: Scene) -> Tensor:
    """Of each weight times its loss times its adjustment, which is a number by then: one over the present loss."""
    image = scene.canvas.image.clone().requires_grad_()
    losses = hvass(replace(scene, canvas=Picture.of(image, scene.layers, scene.encoder)))
    adjustments = [1.0 / (loss.item() + 1e-10) for loss in losses]
    weighted = zip((1.5, 10.0, 0.3), adjustments, losses, strict=True)
    (gradient,) = torch.autograd.grad(sum(weight * adjustment * loss for weight, adjustment, loss in weighted), image)
    return gradient
