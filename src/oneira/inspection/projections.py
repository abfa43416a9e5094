"""A picture's strongest channels, each as what of the picture made it answer (Zeiler and Fergus 2014, figure 2)."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from oneira.errors import PlanError, SynthesisError
from oneira.features.address import Address, split_address
from oneira.features.encoder import Encoder
from oneira.features.registry import find_backbone, resolve
from oneira.images import Cell, in_rows, sheet
from oneira.inspection.projection import project, smooth_gradient
from oneira.inspection.receptive_box import Box, receptive_box
from oneira.inspection.rules import Rule, require_rule
from oneira.inspection.seeds import answer, require_channel, strongest_positions
from oneira.inspection.showing import SILENT_GREY, magnified, saliency, shown
from oneira.inspection.study import Study

SHOWN_SIDE = 160  # pixels, about, that a small crop is enlarged to


@dataclass(frozen=True, eq=False)
class Projections(Study):
    """What of `image` (1, 3, h, w) made channels of `layer` answer, by `rule`, beside what they answered to.

    `channels`: which; without, the `top` that answer most strongly. Of each, its strongest position is sent back, all
    other activations being 0. `whole`: the projection of the whole picture, not only what the unit sees. `samples`
    above 0: the mean over as many pictures with noise of deviation `spread` (SmoothGrad). `luminous`: how much each
    pixel matters, without colours.
    """

    image: Tensor
    layer: str
    channels: tuple[int, ...] = ()
    top: int = 9
    rule: Rule = "deconvnet"
    whole: bool = False
    samples: int = 0
    spread: float = 0.15
    luminous: bool = False

    def __post_init__(self) -> None:
        require_rule(self.rule)
        if self.top < 1:
            raise PlanError(f"at least one channel is shown, not {self.top}")
        if self.samples < 0:
            raise PlanError(f"samples with noise are counted from 0, which is none; not {self.samples}")

    @property
    def size(self) -> tuple[int, int]:
        """Of the picture."""
        return self.image.shape[2], self.image.shape[3]

    def check(self, encoder: Encoder) -> None:
        """The layer is there, and the picture is large enough for it."""
        encoder.check([self.layer], self.size)

    def pictures(self, encoder: Encoder, generator: torch.Generator) -> Iterator[tuple[int, int, Callable[[], Tensor]]]:
        """A sheet, with one more channel each time.

        Raises AddressError for a channel that is not there, PlanError for a layer whose activations have no channels
        and what `project` raises, SynthesisError where numbers are not finite.
        """
        address = resolve(self.layer)
        with torch.no_grad():
            activations = encoder(self.image.to(encoder.device), [address])[address].float().cpu()
        if activations.ndim not in (2, 4):
            raise PlanError(f"{address} has no channels: its activations are {tuple(activations.shape)}; name another")
        for channel in self.channels:
            require_channel(activations, channel)
        channels = self.channels or _strongest_channels(activations, self.top)
        columns = math.ceil(math.sqrt(len(channels)))  # of the whole sheet, not of what there is of it
        cells: list[Cell] = []
        for channel in channels:
            cells.append(self._cell(encoder, address, activations, channel, generator))
            yield len(cells), len(channels), partial(sheet, in_rows(cells, columns), title=self._title(address))

    def _cell(
        self, encoder: Encoder, address: Address, activations: Tensor, channel: int, generator: torch.Generator
    ) -> Cell:
        """The patch, and its projection beside it."""
        name, highest = _name(address, activations, channel), float(_answers(activations)[channel])
        box = self._box(address, activations, channel)
        patch = box.crop(self.image).float().cpu()
        # A class may well be against: only what is rectified, or would be, is silent.
        if highest == 0 or (highest < 0 and activations.ndim == 4):
            return Cell(torch.full_like(_enlarged(patch, patch), SILENT_GREY), f"{name}: silent")
        # Made once: samples with noise are then asked about the unit that is shown, not each about one of its own.
        seed = answer(activations, channel)
        projection = box.crop(self._projected(encoder, address, seed, generator).cpu())
        if not bool(projection.isfinite().all()):
            raise SynthesisError(f"what comes back from channel {channel} of {address} is not finite")
        return Cell(_enlarged(patch, self._drawn(projection)), f"{name}: {highest:.3g}")

    def _projected(self, encoder: Encoder, address: Address, seed: Tensor, generator: torch.Generator) -> Tensor:
        image = self.image.to(encoder.device)
        if not self.samples:
            return project(encoder, image, address, seed, self.rule)
        return smooth_gradient(
            encoder, image, address, seed, generator=generator, rule=self.rule, samples=self.samples, spread=self.spread
        )

    def _drawn(self, projection: Tensor) -> Tensor:
        if not self.luminous:
            return shown(projection)
        matters = saliency(projection).expand(-1, 3, -1, -1)
        return matters / matters.amax().clamp(min=torch.finfo(torch.float32).tiny)

    def _box(self, address: Address, activations: Tensor, channel: int) -> Box:
        height, width = self.size
        if self.whole or activations.ndim != 4:
            return Box(0, 0, height, width)
        ((y, x),) = strongest_positions(activations, channel)
        return receptive_box(address, y, x, (height, width))

    def _title(self, address: Address) -> str:
        return f"{split_address(str(address))[1]}, {self.rule}"


def _name(address: Address, activations: Tensor, channel: int) -> str:
    """Its number; of a class, with the first of its names."""
    backbone = find_backbone(address.backbone)
    if address.layer != backbone.logits or backbone.classes is None:
        return str(channel)
    names = backbone.classes()
    # Weights of another size may be of other classes.
    return f"{channel} {names[channel].partition(',')[0]}" if len(names) == activations.shape[1] else str(channel)


def _answers(activations: Tensor) -> Tensor:
    """(1, c, h, w) or (1, c) -> the strongest of each channel (c,)."""
    return activations[0].reshape(activations.shape[1], -1).amax(1)


def _strongest_channels(activations: Tensor, top: int) -> Sequence[int]:
    order: list[int] = _answers(activations).argsort(descending=True, stable=True)[:top].tolist()
    return order


def _enlarged(patch: Tensor, drawn: Tensor) -> Tensor:
    """Side by side; by a whole number, so that what is small can be seen and stays as it is."""
    factor = max(1, round(SHOWN_SIDE / max(patch.shape[2:])))
    return magnified(torch.cat([patch, drawn], 3), factor)
