"""A network that is ready to draw pictures, one after the other, all in the same way."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from oneira.features.hardware import choose_device, choose_precision
from oneira.feedforward.stylizer import Stylizer
from oneira.images import fit, resize, transfer_luma
from oneira.synthesis.memory import memory_told

PaintedColours = Literal["style", "content"]


@dataclass(frozen=True)
class Finish:
    """How large a picture is drawn, and in whose colours.

    `size`: its long side in pixels; None is the picture's own. `colours` of `content`: every pixel keeps the
    photograph's chroma (Gatys et al. 2016, "Preserving Color", section 4).
    """

    size: int | None = None
    colours: PaintedColours = "style"

    def fitted(self, picture: Tensor) -> Tensor:
        """The picture (1, 3, h, w) at the size at which it is drawn."""
        height, width = picture.shape[2:]
        return resize(picture, fit(height, width, self.size or max(height, width)))


@dataclass(frozen=True, eq=False)
class Brush:
    """Everything that decides how pictures are painted, whichever they are.

    `digests`: SHA-256 of the network's file by the network's name. `style`: weights (1, styles), or maps of them
    (1, styles, any, any) that are stretched over every picture.
    """

    network: Stylizer
    digests: Mapping[str, str]
    style: Tensor
    finish: Finish

    def painter(self, device: str = "auto", precision: str = "auto") -> "Painter":
        """It, ready to paint. PlanError for what this machine does not have."""
        place = choose_device(device)
        return Painter(self, place, choose_precision(precision, place))


class Painter:
    """A brush on a device, where convolutions are computed in `precision`, from float32 weights."""

    def __init__(self, brush: Brush, device: torch.device, precision: torch.dtype) -> None:
        self.device = device
        self.precision = precision
        self._network = brush.network.to(device).eval()
        self._style = brush.style.to(device)
        self._finish = brush.finish

    def __call__(self, picture: Tensor) -> Tensor:
        """`picture` (1, 3, h, w), painted: float32 in [0, 1], on the CPU. SynthesisError where memory does not do."""
        fitted = self._finish.fitted(picture)
        size = (fitted.shape[2], fitted.shape[3])
        halved = torch.autocast(self.device.type, self.precision, enabled=self.precision != torch.float32)
        with memory_told(size), torch.inference_mode(), halved:
            drawn: Tensor = self._network(fitted.to(self.device), self._style)
        drawn = drawn.float().cpu()
        return transfer_luma(drawn, fitted).clamp(0, 1) if self._finish.colours == "content" else drawn
