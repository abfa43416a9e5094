"""What is compared: content, manner, and what the network dreams of beside them."""

from typing import Literal

from pydantic import Field
from torch import Tensor

from oneira.objectives import Content, Dream, Masked, Relative, Term, TotalVariation
from oneira.objectives import Style as StyleTerm
from oneira.objectives.statistics import Statistics
from oneira.techniques.layers import CONTENT_LAYERS, STYLE_LAYERS, Layers, layers_for
from oneira.techniques.technique import Technique


class Manner(Technique):
    """Options that say what the picture keeps and what it takes on, and the objective that they make."""

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
    dream: tuple[str, ...] = Field((), description="layer whose activity grows at the same time; may be repeated")
    dream_weight: float = Field(0.1, gt=0, description="with --dream: how much its growth counts, beside the style's 1")

    def objective(self, content: Tensor, style: Tensor, mask: Tensor | None = None) -> Term:
        """All that is compared, as a sum; inside of `mask` (1, 1, h, w) alone the manner is measured."""
        manner: Term = StyleTerm(
            style,
            self._addresses(self.style_layer or layers_for(self.model, STYLE_LAYERS)),
            self.statistics,
            self.normalization,
            self.style_layer_weight or None,
            self.style_scale,
        )
        if mask is not None:
            # Over the whole picture, what may change would have to make up for what may not.
            manner = Masked(mask, manner)
        objective: Term = self.style_weight * manner
        if self.content_weight:
            layers = self._addresses(self.content_layer or layers_for(self.model, CONTENT_LAYERS))
            objective = objective + self.content_weight * Content(content, layers, self.normalization)
        if self.smoothness:
            objective = objective + self.smoothness * TotalVariation()
        for layer in self.dream:
            # The norm, because it grows as fast as activity does: squares would outgrow the style's without end.
            activity = Relative(content, Dream(self.address(layer), "norm"))
            objective = objective + self.dream_weight / len(self.dream) * activity
        return objective

    def _addresses(self, layers: Layers) -> list[str]:
        return [self.address(layer) for layer in layers]
