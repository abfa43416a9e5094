"""ResNet (He et al. 2015): blocks that add to what they get. torchvision's form, with the stride in the 3x3 (v1.5).

torchvision runs one ReLU several times in a block; here each is a module of its own, so that each has an address:
layer3.5.relu1 and .relu2 inside the branch, .relu3 after the addition (in ResNet-18: .relu1 and .relu2).
"""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from string import ascii_lowercase
from types import MappingProxyType

from torch import Tensor, nn

from oneira.features.backbones.backbone import Backbone
from oneira.features.backbones.classes import imagenet_classes

Convolutions = Sequence[tuple[int, int, int]]  # channels, kernel, stride of each convolution of a block

WIDTHS = (64, 128, 256, 512)


def basic(width: int, stride: int) -> Convolutions:
    """The block of ResNet-18."""
    return (width, 3, stride), (width, 3, 1)


def bottleneck(width: int, stride: int) -> Convolutions:
    """The block of ResNet-50: fewer channels inside than outside."""
    return (width, 1, 1), (width, 3, stride), (4 * width, 1, 1)


class Residual(nn.Module):
    """(b, channels, h, w) -> (b, width, h / stride, w / stride): convolutions, added to their input, then a ReLU."""

    def __init__(self, channels: int, convolutions: Convolutions) -> None:
        super().__init__()
        self.depth = len(convolutions)
        inside, total = channels, 1
        for index, (width, kernel, stride) in enumerate(convolutions, start=1):
            self.add_module(f"conv{index}", nn.Conv2d(inside, width, kernel, stride, kernel // 2, bias=False))
            self.add_module(f"bn{index}", nn.BatchNorm2d(width))
            self.add_module(f"relu{index}", nn.ReLU())
            inside, total = width, total * stride
        self.width = inside
        self.downsample: nn.Sequential | None = None
        if total != 1 or channels != inside:
            projection = nn.Conv2d(channels, inside, 1, total, bias=False)
            self.downsample = nn.Sequential(projection, nn.BatchNorm2d(inside))

    def forward(self, features: Tensor) -> Tensor:
        """(b, channels, h, w) -> (b, width, h / stride, w / stride)."""
        branch = features
        for index in range(1, self.depth + 1):
            branch = getattr(self, f"bn{index}")(getattr(self, f"conv{index}")(branch))
            if index < self.depth:
                branch = getattr(self, f"relu{index}")(branch)
        shortcut = features if self.downsample is None else self.downsample(features)
        # A new tensor, not `+=`: both summands may be captured, and the ReLU may run in place.
        output: Tensor = getattr(self, f"relu{self.depth}")(branch + shortcut)
        return output


class ResNet(nn.Module):
    """`depths[i]` blocks in layer i + 1."""

    def __init__(self, block: Callable[[int, int], Convolutions], depths: Sequence[int]) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, WIDTHS[0], 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(WIDTHS[0])
        self.relu = nn.ReLU()
        self.maxpool = nn.MaxPool2d(3, 2, 1)
        channels = WIDTHS[0]
        for index, (width, depth) in enumerate(zip(WIDTHS, depths, strict=True)):
            blocks = nn.Sequential()
            for place in range(depth):
                stride = 2 if index > 0 and place == 0 else 1
                blocks.append(Residual(channels, block(width, stride)))
                channels = block(width, stride)[-1][0]
            self.add_module(f"layer{index + 1}", blocks)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(channels, 1000)

    def forward(self, image: Tensor) -> Tensor:
        """(b, 3, h, w), ImageNet-normalised -> (b, 1000) logits."""
        features = self.maxpool(self.relu(self.bn1(self.conv1(image))))
        for index in range(1, len(WIDTHS) + 1):
            features = getattr(self, f"layer{index}")(features)
        logits: Tensor = self.fc(self.avgpool(features).flatten(1))
        return logits


STEM = MappingProxyType({"relu1": "relu", "pool1": "maxpool", "pool5": "avgpool", "fc1000": "fc"})


def _block_letters(depths: Sequence[int]) -> dict[str, str]:
    """res2a .. res5c, as He et al. name the blocks of ResNet-50 in Caffe: the whole block, after its last ReLU."""
    return {
        f"res{stage}{ascii_lowercase[place]}": f"layer{stage - 1}.{place}"
        for stage, depth in enumerate(depths, start=2)
        for place in range(depth)
    }


def _declared(name: str, build: Callable[[], nn.Module], aliases: dict[str, str], summary: str) -> Backbone:
    return Backbone(
        name,
        build,
        aliases=MappingProxyType(aliases),
        logits="fc",
        smallest=1,  # every stride comes with as much padding as its kernel needs
        classes=imagenet_classes,
        summary=summary,
    )


def resnets() -> Iterator[Backbone]:
    """resnet18 and resnet50."""
    shallow, deep = (2, 2, 2, 2), (3, 4, 6, 3)
    yield _declared(
        "resnet18", partial(ResNet, basic, shallow), dict(STEM), "ResNet with 18 layers, trained by torchvision"
    )
    yield _declared(
        "resnet50",
        partial(ResNet, bottleneck, deep),
        {**STEM, **_block_letters(deep)},
        "ResNet with 50 layers, trained by torchvision",
    )
