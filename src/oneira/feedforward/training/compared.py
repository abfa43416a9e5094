"""What a network's pictures are compared with: the options of the perceptual losses that train it."""

from collections.abc import Mapping
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from torch import Tensor

from oneira.errors import PlanError
from oneira.features.variant import Pooling, Variant
from oneira.objectives import Content, Style, StyleSource, Term, TotalVariation
from oneira.objectives.content import ContentNormalization
from oneira.objectives.restraint import VariationForm
from oneira.objectives.statistics import Statistics
from oneira.objectives.style import StyleNormalization
from oneira.techniques.layers import CONTENT_LAYERS, Layers, layers_for, style_layers

GROWING = ("gatys", "sums")  # normalizations that take a difference of sizes for one of styles


class Compared(BaseModel):
    """The terms and their weights; they mean what they mean in style transfer (`oneira style`)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: str = Field("pocket", description="the network that compares")
    content_weight: float = Field(0.1, ge=0, description="how firmly the content stays")
    style_weight: float = Field(1.0, ge=0, description="how firmly the manner is taken on")
    style_weights: tuple[float, ...] = Field((), description="one factor per style (default: all alike)")
    content_layer: tuple[str, ...] = Field((), description="where content is compared (default: by model)")
    content_layer_weight: tuple[float, ...] = Field((), description="one number per content layer (default: all alike)")
    style_layer: tuple[str, ...] = Field((), description="where manner is compared (default: by model)")
    style_layer_weight: tuple[float, ...] = Field(
        (), description="one number per style layer (default: by model; of layers that are named: all alike)"
    )
    statistics: tuple[Statistics, ...] = Field(("gram", "moments"), description="what manner is measured by")
    normalization: StyleNormalization = Field(
        "relative", description="of losses; relative means the same in every layer of every network"
    )
    smoothness: float = Field(0.03, ge=0, description="weight of total variation: larger is smoother")
    variation: VariationForm = Field("beta", description="what total variation adds up; beta: squares")
    style_scale: float = Field(1.0, gt=0, le=8, description="size of the style pictures: larger brings larger strokes")
    pooling: Pooling = Field("max", description="pooling of the network that compares")
    pooling_gain: float | None = Field(None, gt=0, description="factor behind every pool (default: by pooling)")
    identity_weight: float = Field(
        3.0, ge=0, description="with an identity style: weight of the squared difference to the picture itself"
    )

    @model_validator(mode="after")
    def _sizes_do_not_count(self) -> Self:
        if self.normalization in GROWING:
            raise PlanError(
                f"the normalization {self.normalization!r} compares pictures of one size only; "
                "training takes average, elements or relative"
            )
        return self

    @classmethod
    def told_by(cls, about: Mapping[str, Any]) -> Self | None:
        """What a trained network tells about itself that it was trained with; None where it tells nothing of it."""
        told = about.get("settings")
        if not isinstance(told, Mapping):
            return None
        try:
            return cls(**{name: told[name] for name in cls.model_fields if name in told})
        except ValidationError:
            return None

    @property
    def variant(self) -> Variant:
        """How the network that compares is run."""
        return Variant(self.pooling, self.pooling_gain)

    def style(self, source: StyleSource) -> Term:
        """The manner of one picture."""
        layers, usual = (self.style_layer, None) if self.style_layer else style_layers(self.model)
        return Style(
            source,
            self._addresses(layers),
            self.statistics,
            self.normalization,
            self.style_layer_weight or usual,
            self.style_scale,
        )

    def content(self, image: Tensor) -> Content:
        """What one picture (1, 3, h, w) shows."""
        own: ContentNormalization = "relative" if self.normalization == "relative" else "average"
        layers = self.content_layer or layers_for(self.model, CONTENT_LAYERS)
        return Content(image, self._addresses(layers), own, self.content_layer_weight or None)

    def smooth(self) -> Term:
        """Total variation."""
        return TotalVariation(form=self.variation)

    def _addresses(self, layers: Layers) -> tuple[str, ...]:
        return tuple(layer if ":" in layer else f"{self.model}:{layer}" for layer in layers)
