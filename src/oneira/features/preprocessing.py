"""From images (sRGB in [0, 1]) to what a network was trained on."""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Preprocessing:
    """`(image * scale - mean) / std`, channel by channel, in the order that the network wants."""

    mean: tuple[float, float, float]
    std: tuple[float, float, float] = (1.0, 1.0, 1.0)
    scale: float = 1.0
    bgr: bool = False

    def __call__(self, image: Tensor) -> Tensor:
        """(b, 3, h, w) in [0, 1] -> (b, 3, h, w) as the network expects it."""
        if self.bgr:
            image = image.flip(1)
        # One multiply-add instead of three passes over the picture.
        gain = torch.tensor([self.scale / s for s in self.std], dtype=image.dtype, device=image.device)
        shift = torch.tensor(
            [-m / s for m, s in zip(self.mean, self.std, strict=True)], dtype=image.dtype, device=image.device
        )
        return torch.addcmul(shift[:, None, None], image, gain[:, None, None])


IMAGENET = Preprocessing(mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))
CAFFE = Preprocessing(mean=(103.939, 116.779, 123.68), scale=255.0, bgr=True)
