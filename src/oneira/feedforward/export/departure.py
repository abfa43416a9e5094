"""How far a model's pictures are from those of the network that it was made from."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import torch
from torch import Tensor

from oneira.feedforward.export.graph import fed
from oneira.feedforward.saving import TrainedNetwork
from oneira.images import load, resize, sample

MEASURED = ("cat", "rose_window", "cat", "rose_window")  # which of the sample pictures ...
SIZES = (
    (128, 96),
    (61, 83),
    (7, 45),
    (130, 33),
)  # ... and at which heights and widths: even, odd, smaller than any kernel's reach


@dataclass(frozen=True)
class Departure:
    """The largest and the mean difference of colours in [0, 1], and the same as a signal-to-noise ratio in dB."""

    largest: float
    mean: float
    psnr: float

    def within(self, limit: "Departure") -> bool:
        """Whether no figure is worse than `limit`'s."""
        return self.largest <= limit.largest and self.mean <= limit.mean and self.psnr >= limit.psnr

    def __str__(self) -> str:
        return f"largest difference {self.largest:.2g}, mean {self.mean:.2g}, PSNR {self.psnr:.0f} dB"


# Float32 differs by rounding alone. Of the others, single pixels may be far off where a style has hard edges.
LIMITS: Mapping[str, Departure] = MappingProxyType(
    {
        "float32": Departure(1e-3, 1e-3, 60),
        "float16": Departure(1, 0.01, 40),
        "int8": Departure(1, 0.1, 20),
    }
)


def departure(data: bytes, trained: TrainedNetwork) -> Departure:
    """Between ONNX Runtime with the model `data` and `trained`, over sample pictures of four sizes.

    Every size is drawn in other styles, and in a blend.
    """
    import onnxruntime

    session = onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])
    differences = []
    for number, (size, photograph) in enumerate(zip(SIZES, MEASURED, strict=True)):
        image = resize(load(sample(photograph)), size)
        for style in _styles(trained, number):
            with torch.inference_mode():
                expected = trained.network(image, style)
            (drawn,) = session.run(None, fed(image, style))
            differences.append((torch.from_numpy(drawn) - expected).abs().flatten())
    every = torch.cat(differences).double()
    error = every.square().mean().item()
    return Departure(every.max().item(), every.mean().item(), -10 * math.log10(max(error, 1e-20)))


def _styles(trained: TrainedNetwork, number: int) -> list[Tensor | None]:
    """One style alone, another each time, and all of them in equal parts; None for a network that has no choice."""
    if not trained.network.conditional:
        return [None]
    alone = torch.eye(trained.styles)[number % trained.styles][None]
    return [alone, torch.full_like(alone, 1 / trained.styles)]
