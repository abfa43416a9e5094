"""From images (sRGB in [0, 1]) to what a network was trained on."""

from dataclasses import dataclass
from functools import lru_cache

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
        gain, shift = self._constants(image.dtype, image.device)
        return torch.addcmul(shift, image, gain)

    @lru_cache(maxsize=16)  # noqa: B019 - the few instances there are live as long as the program
    def _constants(self, dtype: torch.dtype, device: torch.device) -> tuple[Tensor, Tensor]:
        """Gain and shift (3, 1, 1); sent to an accelerator with every picture, they would make it wait."""
        # What inference mode makes could never take part in a gradient.
        with torch.inference_mode(False):
            gain = torch.tensor([self.scale / s for s in self.std], dtype=dtype).view(3, 1, 1)
            shift = torch.tensor([-m / s for m, s in zip(self.mean, self.std, strict=True)], dtype=dtype).view(3, 1, 1)
            return gain.to(device), shift.to(device)


IMAGENET = Preprocessing(mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))
CAFFE = Preprocessing(mean=(103.939, 116.779, 123.68), scale=255.0, bgr=True)
