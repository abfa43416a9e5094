"""The objective of neural-style-pt, the program that most style transfers with PyTorch are compared with."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import torch
from torch import Tensor

from oneira.features import CAFFE
from oneira.objectives import Content, Style, Term, TotalVariation
from oneira.synthesis.canvas import Pixels
from oneira.synthesis.optimisers import OptimiserSpec
from oneira.synthesis.plan import Plan
from oneira.synthesis.schedules import Schedule, single
from oneira.techniques.layers import CONTENT_LAYERS, STYLE_LAYERS, VGG_STYLE, Layers, layers_for

ITERATIONS = 1000
START_DEVIATION = 0.001 / 255  # of noise about the mean colour, with which it begins
# As in neural-style-pt, also where our own default has found others.
CLASSIC_CONTENT: Mapping[str, Layers] = MappingProxyType({**CONTENT_LAYERS, "pocket": ("relu4_2",)})
CLASSIC_STYLE: Mapping[str, Layers] = MappingProxyType({**STYLE_LAYERS, "pocket": VGG_STYLE})
# The weights below are for the VGG-19 of Caffe, whose activations are in the hundreds; those of the embedded network
# are below one, and total variation would be all that counts.
ACTIVATION_UNITS: Mapping[str, float] = MappingProxyType({"pocket": 0.01})


@dataclass(frozen=True)
class NeuralStyle:
    """Content and style at layers of `model`, and total variation, with the default weights of neural-style-pt.

    Content: the mean squared difference. Style: the mean squared difference of Gram matrices over channels and
    positions, added up over layers. `variation`: of the sum of absolute differences of pixels in 0..255. Activations
    are counted in units of `unit`.
    """

    model: str
    content_layers: tuple[str, ...] = ("relu4_2",)
    style_layers: tuple[str, ...] = ("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1")
    content: float = 5.0
    style: float = 100.0
    variation: float = 1e-3
    unit: float = 1.0

    @classmethod
    def of(cls, model: str) -> "NeuralStyle":
        """With the classic layers of `model`; PlanError where nobody has chosen any."""
        return cls(
            model,
            layers_for(model, CLASSIC_CONTENT),
            layers_for(model, CLASSIC_STYLE),
            unit=ACTIVATION_UNITS.get(model, 1.0),
        )

    @property
    def content_weight(self) -> float:
        """Of the squares of activations as they are."""
        return self.content / self.unit**2

    @property
    def style_weight(self) -> float:
        """Of the squares of products of activations as they are."""
        return self.style / self.unit**4

    @property
    def pixel_weight(self) -> float:
        """Of the differences of pixels, which are in [0, 1] here."""
        return 255 * self.variation

    @property
    def content_addresses(self) -> tuple[str, ...]:
        """Where content is compared."""
        return tuple(f"{self.model}:{layer}" for layer in self.content_layers)

    @property
    def style_addresses(self) -> tuple[str, ...]:
        """Where style is compared."""
        return tuple(f"{self.model}:{layer}" for layer in self.style_layers)

    def objective(self, content: Tensor, style: Tensor) -> Term:
        """The sum to minimise, for pictures (1, 3, h, w)."""
        kept = Content(content, self.content_addresses, weights=[1.0] * len(self.content_layers))
        manner = Style(style, self.style_addresses, normalization="elements", weights=[1.0] * len(self.style_layers))
        return (
            self.content_weight * kept + self.style_weight * manner + self.pixel_weight * TotalVariation(form="l1-sum")
        )

    def weighted(self, losses: Mapping[str, float]) -> dict[str, float]:
        """The losses of `objective`'s terms, by name, with their weights."""
        weights = {"content": self.content_weight, "style": self.style_weight, "tv": self.pixel_weight}
        return {name: weight * losses[name] for name, weight in weights.items()}


def random_start(height: int, width: int, generator: torch.Generator) -> Tensor:
    """(1, 3, height, width): what neural-style-pt begins with, the mean colour and hardly any noise."""
    mean = torch.tensor([CAFFE.mean[channel] / CAFFE.scale for channel in (2, 1, 0)]).view(1, 3, 1, 1)
    return mean + START_DEVIATION * torch.randn(1, 3, height, width, generator=generator)


def neural_style_plan(
    settings: NeuralStyle,
    content: Tensor,
    style: Tensor,
    *,
    start: Tensor,
    schedule: Schedule | None = None,
    optimiser: OptimiserSpec | None = None,
) -> Plan:
    """What neural-style-pt does with its defaults: from `start`, at one size and in one go, the picture unclamped.

    The style picture is given the canvas's area, where neural-style-pt gives it its long side.
    """
    return Plan(
        Pixels(start, clamp=False),
        settings.objective(content, style),
        schedule or single(max(content.shape[2:]), ITERATIONS),
        # Neither of the tolerances ends it: so many iterations are asked for, so many are done.
        optimiser=optimiser
        or OptimiserSpec("lbfgs", 1.0, {"history_size": 100, "tolerance_grad": -1, "tolerance_change": -1}),
    )
