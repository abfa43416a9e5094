"""What is compared: content, manner, and what the network dreams of beside them."""

from collections.abc import Sequence
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor

from oneira.errors import PlanError
from oneira.images import fit, resize
from oneira.objectives import Content, Dream, Logarithm, Masked, Relative, StyleSource, Sum, Term, TotalVariation
from oneira.objectives import Style as StyleTerm
from oneira.objectives.content import ContentNormalization
from oneira.objectives.restraint import VariationForm
from oneira.objectives.statistics import Statistics
from oneira.objectives.style import StyleNormalization
from oneira.objectives.term import as_sum
from oneira.synthesis.canvas import pink_noise
from oneira.techniques.layers import CONTENT_LAYERS, Layers, layers_for, style_layers
from oneira.techniques.styling.sources import Sources

# With --strength 0.5, what content counts beside the style; found by eye and by judge on `pocket`.
CONTENT_AT_HALF_STRENGTH = 0.03
NOISE_SIDE = 512  # pixels of the noise that a content is compared with; it is resized to the canvas


class Manner(Sources):
    """Options that say what the picture keeps and what it takes on, and the objective that they make."""

    strength: float | None = Field(
        None,
        ge=0,
        le=1,
        description="in place of --content-weight, and the same in every network and at any size: 0 keeps the content, "
        "1 takes on the manner alone (default: what the weights come to)",
    )
    content_weight: float = Field(0.01, ge=0, description="how firmly the content stays")
    style_weight: float = Field(1.0, ge=0, description="how firmly the manner is taken on")
    content_layer: tuple[str, ...] = Field(
        (), description="where content is compared; may be repeated (default: by model)"
    )
    content_layer_weight: tuple[float, ...] = Field((), description="one number per content layer (default: all alike)")
    style_layer: tuple[str, ...] = Field(
        (), description="where manner is compared; may be repeated (default: by model)"
    )
    style_layer_weight: tuple[float, ...] = Field(
        (), description="one number per style layer (default: by model; of layers that are named: all alike)"
    )
    statistics: tuple[Statistics, ...] = Field(
        ("gram", "moments"), description="what manner is measured by; may be repeated"
    )
    normalization: StyleNormalization = Field(
        "relative", description="of losses; relative means the same in every layer of every network"
    )
    balance: Literal["losses", "logarithms"] = Field(
        "losses", description="what weights multiply; with logarithms, a loss counts by its share, however small"
    )
    smoothness: float = Field(0.03, ge=0, description="weight of total variation: larger is smoother")
    variation: VariationForm = Field("beta", description="what total variation adds up; beta: squares")
    dream: tuple[str, ...] = Field((), description="layer whose activity grows at the same time; may be repeated")
    dream_weight: float = Field(0.1, gt=0, description="with --dream: how much its growth counts, beside the style's 1")

    def objective(self, content: Tensor, sources: Sequence[StyleSource], mask: Tensor | None = None) -> Term:
        """All that is compared, as a sum; inside of `mask` (1, 1, h, w) alone the manner is measured."""
        manner, kept = as_sum(self._manner(content, sources, mask)), as_sum(self._content(content))
        smooth = as_sum(TotalVariation(form=self.variation))
        weights = (self.style_weight, self.content_weight, self.smoothness)
        if self.strength is not None:
            if not self.style_weight:
                raise PlanError("--strength is the style's, and --style-weight 0 leaves it none; give one of the two")
            # What each comes to where the picture is as far from it as it will be: the manner, at the content itself;
            # the content, in noise. Smoothness is to the manner what it was.
            smooth, manner = _relative(smooth, content, manner), _relative(manner, content, manner)
            kept = _relative(kept, far_from(content), kept)
            # At 0 nothing would pull, and a run that changes nothing is refused.
            taken, left = max(self.strength, 1e-3) ** 2, CONTENT_AT_HALF_STRENGTH * (1 - self.strength) ** 2
            weights = (taken, left, taken * self.smoothness / self.style_weight)
        objective = [
            (weight * share, Logarithm(part) if self.balance == "logarithms" else part)
            for weight, term in zip(weights, (manner, kept, smooth), strict=True)
            for share, part in term.parts
            if weight
        ]
        for layer in self.dream:
            # The norm, because it grows as fast as activity does: squares would outgrow the style's without end.
            activity = Relative(content, Dream(self.address(layer), "norm"))
            objective.append((self.dream_weight / len(self.dream), activity))
        return Sum(tuple(objective))

    def style_layers(self) -> list[str]:
        """Where manner is compared."""
        return self._addresses(self.style_layer or style_layers(self.model)[0])

    def _manner(self, content: Tensor, sources: Sequence[StyleSource], mask: Tensor | None) -> Term:
        places = self.places(content)
        if not places:
            together = self._style(sources, self.shares())
            # Over the whole picture, what may change would have to make up for what may not.
            return together if mask is None else Masked(mask, together)
        areas = [float(place.mean()) * len(sources) for place in places]
        styles = [
            # A term's weight does not depend on its region's area; for a place to be painted as firmly as the whole
            # picture would be, it has to.
            share * area * Masked(place if mask is None else resize(place, _size(mask)) * mask, self._style([source]))
            for source, place, share, area in zip(sources, places, self.shares(), areas, strict=True)
            if share
        ]
        return Sum(tuple(part for style in styles for part in style.parts))

    def _style(self, sources: Sequence[StyleSource], shares: Sequence[float] | None = None) -> Term:
        usual = None if self.style_layer else style_layers(self.model)[1]
        return StyleTerm(
            sources,
            self.style_layers(),
            self.statistics,
            self.normalization,
            self.style_layer_weight or usual,
            self.style_scale,
            shares,
        )

    def _content(self, content: Tensor) -> Term:
        layers = self._addresses(self.content_layer or layers_for(self.model, CONTENT_LAYERS))
        # How Gram matrices are scaled, where it is that alone, says nothing of content.
        own: ContentNormalization = "average"
        if self.normalization == "gatys" or self.normalization == "relative":
            own = self.normalization
        return Content(content, layers, own, self.content_layer_weight or None)

    def _addresses(self, layers: Layers) -> list[str]:
        return [self.address(layer) for layer in layers]


def far_from(content: Tensor) -> Tensor:
    """A picture of the content's proportions that shows nothing, and is at every size what it is at the others."""
    height, width = fit(content.shape[2], content.shape[3], NOISE_SIDE)
    noise = pink_noise((1, 3, height, width), torch.Generator().manual_seed(0))
    return (0.5 + 0.2 * noise).clamp(0, 1)


def _size(mask: Tensor) -> tuple[int, int]:
    return mask.shape[2], mask.shape[3]


def _relative(term: Sum, image: Tensor, by: Sum) -> Sum:
    """Every part of the sum in units of what `by` comes to for the image."""
    # A part that is all of `by` is measured by itself: its targets are computed once.
    return Sum(tuple((w, Relative(image, part, None if by.parts == ((1.0, part),) else by)) for w, part in term.parts))
