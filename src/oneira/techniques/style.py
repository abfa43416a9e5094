"""Neural style transfer: one picture's content in another's manner (Gatys, Ecker, Bethge 2016)."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, ClassVar, Literal

import torch
from pydantic import Field

from oneira.features.variant import Padding, Pooling, Variant
from oneira.objectives import Content, Term, TotalVariation
from oneira.objectives import Style as StyleTerm
from oneira.objectives.statistics import Statistics
from oneira.synthesis.canvas import Pixels
from oneira.synthesis.optimisers import OptimiserName, OptimiserSpec
from oneira.synthesis.plan import Plan
from oneira.synthesis.schedules import octaves
from oneira.techniques.layers import CONTENT_LAYERS, STYLE_LAYERS, layers_for
from oneira.techniques.presets import Preset
from oneira.techniques.technique import ImagePath, Technique

# Average pooling needs a factor that keeps activations' scale. For `pocket` this one was found by eye and by judge.
POCKET_GAIN = 1.5


class Style(Technique):
    """Paint a picture in the manner of another."""

    positional: ClassVar[tuple[str, ...]] = ("content", "style")
    presets: ClassVar[Mapping[str, Preset]] = MappingProxyType(
        {
            "pocket": Preset(
                "Oneira 2026, for its embedded network, after Gatys, Ecker, Bethge 2016",
                departures=(
                    "Losses are relative to the target's own, so that weights mean the same in every network.",
                    "Means and deviations are compared too: Gram matrices alone leave open which of the two it is.",
                    "It begins with the content, small, and grows: fewer steps than from noise at full size.",
                    "Total variation is added, against grain.",
                ),
            ),
            "gatys": Preset(
                "Gatys, Ecker, Bethge 2016: VGG-19, average pooling, Gram matrices, alpha/beta 1e-3, L-BFGS from noise",
                {
                    "model": "vgg19-caffe",
                    # The paper's "conv4_2" is what Caffe has under that name: rectified in place.
                    "content_layer": ("relu4_2",),
                    "style_layer": ("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1"),
                    "statistics": ("gram",),
                    "normalization": "gatys",
                    "content_weight": 1.0,
                    "style_weight": 1000.0,
                    "smoothness": 0.0,
                    "pooling": "avg",
                    "pooling_gain": 1.0,
                    "optimiser": "lbfgs",
                    "start": "white",
                    "smallest": 16384,
                    "steps": 500,
                    "averaging": 0.0,
                },
                (
                    "The weights are VGG-19's as published, not scaled to mean activations of 1: only those can be "
                    "fetched from an official place.",
                    "The style picture keeps its proportions, at the content's area, so that strokes are not "
                    "stretched.",
                ),
            ),
        }
    )

    size: int = Field(512, ge=16, le=16384, description="long side of the result, in pixels")
    content: ImagePath = Field(description="the picture that is painted")
    style: ImagePath = Field(description="the picture whose manner it takes on")
    content_weight: float = Field(0.04, ge=0, description="how firmly the content stays")
    style_weight: float = Field(1.0, ge=0, description="how firmly the manner is taken on")
    content_layer: tuple[str, ...] = Field(
        (), description="where content is compared; may be repeated (default: by model)"
    )
    style_layer: tuple[str, ...] = Field(
        (), description="where manner is compared; may be repeated (default: by model)"
    )
    style_layer_weight: tuple[float, ...] = Field((), description="one number per style layer (default: all alike)")
    statistics: tuple[Statistics, ...] = Field(
        ("gram", "moments"), description="what manner is measured by; may be repeated"
    )
    normalization: Literal["relative", "average", "gatys"] = Field(
        "relative", description="of losses; relative means the same in every layer of every network"
    )
    style_scale: float = Field(1.0, gt=0, le=8, description="size of the style picture: larger brings larger strokes")
    smoothness: float = Field(1.0, ge=0, description="weight of total variation: larger is smoother")
    pooling: Pooling = Field("avg", description="how the network pools; avg paints cleaner than max")
    pooling_gain: float | None = Field(
        None, gt=0, description="factor behind each pool (default: keeps activations' scale)"
    )
    padding: Padding = Field("zeros", description="what the network sees beyond the picture's border")
    optimiser: OptimiserName = Field("lbfgs", description="how the picture descends")
    rate: float | None = Field(None, gt=0, description="learning rate (default: the optimiser's own)")
    start: Literal["content", "grey", "white", "pink"] = Field(
        "content", description="what to begin with: the content, mid-grey, white noise or 1/f (pink) noise"
    )
    smallest: int = Field(
        128, ge=16, description="first size, long side in pixels; `--size` or above works at one size only"
    )
    ratio: float = Field(2**0.5, gt=1, le=4, description="factor from one size to the next")
    steps: tuple[Annotated[int, Field(ge=1, le=100_000)], ...] = Field(
        (60, 60, 50, 50, 40),
        min_length=1,
        description="steps at each size; repeated: one number per size, the last stays",
    )
    averaging: float = Field(
        0.0, ge=0, lt=1, description="decay of the average over iterates, which is the result; 0: none"
    )

    def plan(self) -> Plan:
        """Style and content terms on a canvas that grows."""
        content, style = self.picture(self.content).image, self.picture(self.style).image
        objective: Term = self.style_weight * StyleTerm(
            style,
            [self.address(layer) for layer in self.style_layer or layers_for(self.model, STYLE_LAYERS)],
            self.statistics,
            self.normalization,
            self.style_layer_weight or None,
            self.style_scale,
        )
        if self.content_weight:
            layers = [self.address(layer) for layer in self.content_layer or layers_for(self.model, CONTENT_LAYERS)]
            objective = objective + self.content_weight * Content(content, layers, self.normalization)
        if self.smoothness:
            objective = objective + self.smoothness * TotalVariation()
        return Plan(
            self._canvas(content),
            objective,
            octaves(self.size, smallest=min(self.smallest, self.size), ratio=self.ratio, steps=self.steps),
            optimiser=OptimiserSpec(self.optimiser, self.rate),
            averaging=self.averaging,
            variant=Variant(self.pooling, self._gain(), self.padding),
        )

    def _gain(self) -> float | None:
        if self.pooling_gain is None and self.pooling == "avg" and self.model == "pocket":
            return POCKET_GAIN
        return self.pooling_gain

    def _canvas(self, content: torch.Tensor) -> Pixels:
        if self.start == "content":
            return Pixels.of(content)
        height, width = content.shape[2:]
        return Pixels.grey(height, width, None if self.start == "grey" else self.start)
