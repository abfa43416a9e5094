"""Layers under the papers' names, kept in numbered stacks as torchvision's files number them."""

from collections.abc import Callable, Iterable

from torch import Tensor, nn

Layers = Iterable[tuple[str, Callable[[], nn.Module]]]  # the paper's name, and what makes the module


def stack(layers: Layers) -> nn.Sequential:
    """The layers one after the other, under the names "0", "1", ..."""
    return nn.Sequential(*(make() for _, make in layers))


def numbered(prefix: str, layers: Layers) -> dict[str, str]:
    """The papers' names -> the modules' in a stack called `prefix`: `{"conv1_1": "features.0", ...}`."""
    return {name: f"{prefix}.{index}" for index, (name, _) in enumerate(layers)}


class PooledClassifier(nn.Module):
    """Convolutions, their output averaged onto a fixed grid, and fully connected layers: VGG and AlexNet.

    (b, 3, h, w) -> (b, classes), logits before the softmax. The grid makes the fully connected layers work at any size.
    """

    def __init__(self, features: nn.Sequential, grid: int, classifier: nn.Sequential) -> None:
        super().__init__()
        self.features = features
        self.avgpool = nn.AdaptiveAvgPool2d(grid)
        self.classifier = classifier

    def forward(self, image: Tensor) -> Tensor:
        """(b, 3, h, w), ImageNet-normalised -> (b, classes)."""
        logits: Tensor = self.classifier(self.avgpool(self.features(image)).flatten(1))
        return logits
