"""What goes wrong without the loss saying so: colours that die, and blobs that carry a layer's whole energy."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from oneira.errors import SynthesisError
from oneira.feedforward.normalisation import BatchNorm, ConditionalInstanceNorm, InstanceNorm
from oneira.feedforward.training.losses import Lessons

NORMALISATIONS = (BatchNorm, ConditionalInstanceNorm, InstanceNorm)
LEVEL = 1 / 255
PATIENCE = 3  # bad looks in a row after which a training is stopped
LOOK_EVERY = 10  # reports
# Where healthy networks are far below, from the first hundred steps on.
SATURATED = 0.5  # share of a picture's values at black or full light that its content has not
BLOBS = 0.1  # share of channels of which a 256th of the positions holds half of the variance
FLAT = 2 * LEVEL  # deviation of a colour over a picture


@dataclass(frozen=True)
class Symptoms:
    """`saturated`: the share of values within half a level of 0 or 1, beyond what the contents have.

    `flat`: the smallest deviation that any colour of any picture has over its positions. `blobs`: the share of the
    normalised channels in which a 256th of the positions, or one, holds more than half of the squared deviations: a
    droplet by which a network gets around its normalisation (Karras et al. 2020, section 2, in StyleGAN).
    """

    saturated: float
    flat: float
    blobs: float

    @property
    def told(self) -> str:
        """What is wrong, in words; empty where nothing is."""
        if self.saturated > SATURATED:
            return f"{self.saturated:.0%} of the values are black or full light, more than in the photographs"
        if self.flat < FLAT:
            return f"a colour is the same all over a picture (its deviation is {self.flat:.4f})"
        if self.blobs > BLOBS:
            return f"{self.blobs:.0%} of the channels have their energy in one blob"
        return ""


class Watch:
    """Looks at every so many reports, and stops a training that stays bad."""

    def __init__(self) -> None:
        self._reports = 0
        self._bad = 0  # looks in a row

    def look(self, network: nn.Module, lessons: Lessons, draw: Callable[[], Tensor]) -> str:
        """A line to tell, or none; `draw()` runs `network` on the lessons.

        Raises SynthesisError where it was bad several times in a row.
        """
        self._reports += 1
        if self._reports % LOOK_EVERY:
            return ""
        told = examined(network, lessons, draw).told
        self._bad = self._bad + 1 if told else 0
        if self._bad >= PATIENCE:
            raise SynthesisError(
                f"bad pictures, {PATIENCE} looks in a row: {told}; lower the rate or the style's weight"
            )
        return told

    def state(self) -> dict[str, int]:
        """For a checkpoint."""
        return {"reports": self._reports, "bad": self._bad}

    def restore(self, state: Mapping[str, int]) -> None:
        """From a checkpoint."""
        self._reports, self._bad = int(state["reports"]), int(state["bad"])


@torch.no_grad()
def examined(network: nn.Module, lessons: Lessons, draw: Callable[[], Tensor]) -> Symptoms:
    """The symptoms of `network`, which `draw()` runs."""
    peaks: list[Tensor] = []
    layers = [part for part in network.modules() if isinstance(part, NORMALISATIONS)]
    hooks = [part.register_forward_pre_hook(lambda _, values: peaks.append(peaked(values[0]))) for part in layers]
    training = network.training
    network.eval()  # batch norm takes nothing in from this
    try:
        pictures = draw()
    finally:
        network.train(training)
        for hook in hooks:
            hook.remove()
    before = 0.0 if lessons.contents is None else float(extreme(lessons.contents))
    blobs = float(torch.cat(peaks).mean()) if peaks else 0.0
    return Symptoms(float(extreme(pictures)) - before, float(pictures.flatten(2).std(2).min()), blobs)


def extreme(pictures: Tensor) -> Tensor:
    """The share of values that would be saved as 0 or 255."""
    return ((pictures < LEVEL / 2) | (pictures > 1 - LEVEL / 2)).float().mean()


def peaked(values: Tensor) -> Tensor:
    """(b, c, h, w) -> (b c), 1 where half of a channel's squared deviations are at a 256th of its positions, or 0."""
    squares = values.float().flatten(2)
    squares = (squares - squares.mean(2, keepdim=True)).square()
    top = squares.topk(max(1, squares.shape[2] // 256), 2).values.sum(2)
    return (top > squares.sum(2) / 2).float().flatten()
