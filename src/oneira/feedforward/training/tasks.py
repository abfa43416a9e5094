"""What a network is taught, step by step: to redraw pictures, or to draw textures out of noise."""

from abc import ABC, abstractmethod
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from oneira.errors import PlanError
from oneira.feedforward.pyramid import TextureNetwork
from oneira.feedforward.stylizer import Stylizer
from oneira.feedforward.training.crops import Crops
from oneira.feedforward.training.losses import Lessons
from oneira.feedforward.training.pictures import Pictures
from oneira.feedforward.training.settings import StylizerSettings
from oneira.feedforward.transformer import TransformerNetwork

Trained = TransformerNetwork | TextureNetwork


class Task(ABC):
    """Lessons for any step, the same whenever they are asked for; `identity` tells the data from others."""

    identity: str

    @abstractmethod
    def lessons(self, numbers: range, side: int) -> Lessons:
        """The pictures of these numbers, counted from the training's first, at `side` x `side` pixels."""

    @abstractmethod
    def inputs(self, lessons: Lessons, device: torch.device) -> tuple[object, ...]:
        """What the network is called with."""


class Stylizing(Task):
    """Pictures, each in one of the network's styles; `chosen` are the numbers of those that are taught."""

    def __init__(
        self, network: Stylizer, settings: StylizerSettings, pictures: Pictures, chosen: Sequence[int]
    ) -> None:
        self.identity = pictures.identity
        self._conditional, self._styles = network.conditional, network.styles
        self._chosen = tuple(chosen)
        self._seeded = settings.seeded
        self._crops = Crops(pictures, settings.seeded, settings.smallest_crop)

    def lessons(self, numbers: range, side: int) -> Lessons:
        """Random squares."""
        contents = torch.cat([self._crops.square(number, side) for number in numbers])
        return Lessons([self._style(number) for number in numbers], contents)

    def inputs(self, lessons: Lessons, device: torch.device) -> tuple[object, ...]:
        """The pictures and their styles' weights."""
        assert lessons.contents is not None
        return lessons.contents, self.weights(lessons.styles, device)

    def weights(self, styles: Sequence[int], device: torch.device) -> Tensor | None:
        """(b, styles), one-hot; None for a network that knows one style."""
        return torch.eye(self._styles, device=device)[list(styles)] if self._conditional else None

    def _style(self, number: int) -> int:
        """Every style comes once, in random order, before any comes again."""
        turn, place = divmod(number, len(self._chosen))
        generator = self._seeded.generator("styles", turn)
        return self._chosen[int(torch.randperm(len(self._chosen), generator=generator)[place])]


class Texturing(Task):
    """Noise, out of which comes a texture."""

    identity = "noise"

    def __init__(self, network: TextureNetwork, settings: StylizerSettings) -> None:
        self._noise = network.noise
        self._seeded = settings.seeded
        for phase in settings.phases:
            network.noise(1, phase.side, phase.side, settings.seeded.generator("noise"))  # raises for a wrong side

    def lessons(self, numbers: range, side: int) -> Lessons:
        """Noise at every scale."""
        drawn = [self._noise(1, side, side, self._seeded.generator("noise", number)) for number in numbers]
        return Lessons([0] * len(numbers), noise=[torch.cat(scale) for scale in zip(*drawn, strict=True)])

    def inputs(self, lessons: Lessons, device: torch.device) -> tuple[object, ...]:
        """The noise."""
        return (list(lessons.noise),)


def styles_of(network: Trained) -> int:
    """How many a network draws; a texture is one."""
    return network.styles if isinstance(network, Stylizer) else 1


def task_of(
    network: Trained, settings: StylizerSettings, pictures: Pictures | None, chosen: Sequence[int]
) -> Stylizing | Texturing:
    """What `network` is to be taught. Raises PlanError where pictures are missing."""
    if isinstance(network, TextureNetwork):
        return Texturing(network, settings)
    if pictures is None:
        raise PlanError("a network that redraws pictures needs pictures to learn on: a folder or an .npz file")
    return Stylizing(network, settings, pictures, chosen)


def called(network: nn.Module, inputs: Sequence[object], device: torch.device, precision: torch.dtype) -> Tensor:
    """Pictures (b, 3, h, w), float32, computed in `precision` from weights in float32."""
    with torch.autocast(device.type, precision, enabled=precision != torch.float32):
        outputs: Tensor = network(*inputs)
    return outputs.float()
