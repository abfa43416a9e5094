"""What GoogLeNet and Inception v3 have in common."""

import torch
from torch import Tensor, nn

from oneira.features.preprocessing import IMAGENET

EPSILON = 1e-3  # TensorFlow's, where both were trained; PyTorch's own default is 1e-5


class NormedConv(nn.Module):
    """Convolution, batch norm, ReLU; the output is after the ReLU, `.bn` before it.

    Without a stride, the border is padded so that the size stays; `padding` says otherwise.
    """

    def __init__(
        self,
        channels: int,
        width: int,
        kernel: int | tuple[int, int],
        stride: int = 1,
        padding: int | tuple[int, int] | None = None,
    ) -> None:
        super().__init__()
        sides = (kernel, kernel) if isinstance(kernel, int) else kernel
        same = (sides[0] // 2, sides[1] // 2)
        self.conv = nn.Conv2d(channels, width, sides, stride, same if padding is None else padding, bias=False)
        self.bn = nn.BatchNorm2d(width, eps=EPSILON)
        self.relu = nn.ReLU()

    def forward(self, features: Tensor) -> Tensor:
        """(b, channels, h, w) -> (b, width, h', w')."""
        output: Tensor = self.relu(self.bn(self.conv(features)))
        return output


def to_unit_range(image: Tensor) -> Tensor:
    """(b, 3, h, w), ImageNet-normalised -> the same picture with sRGB in [-1, 1], for which both were trained.

    It is part of the network, because the files are: torchvision's come with `transform_input`.
    """
    statistics = zip(image.split(1, dim=1), IMAGENET.mean, IMAGENET.std, strict=True)
    return torch.cat([channel * (std / 0.5) + (mean - 0.5) / 0.5 for channel, mean, std in statistics], 1)
