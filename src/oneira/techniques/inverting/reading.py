"""What is read back: which layers, what of them, and what is taken to be natural beside it."""

import math
from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import Field
from torch import Tensor

from oneira.features.address import Address
from oneira.features.description import describe
from oneira.features.registry import find_backbone, resolve
from oneira.objectives import AlphaNorm, Caricature, Content, Masked, PixelError, Style, Sum, Term, TotalVariation
from oneira.techniques.grounds import mask_for
from oneira.techniques.layers import DREAM_LAYERS, layers_for, meant
from oneira.techniques.technique import ImagePath, Technique

# Receptive fields, in pixels, from which a layer leaves so much open that a picture needs more smoothing.
DEEP, DEEPEST = 64, 150


class Reading(Technique):
    """Options that say what a picture is read back from, and the objective that they make."""

    image: ImagePath = Field(description="the picture that the network has seen")
    layer: tuple[str, ...] = Field(
        (),
        description="what it is read back from: of several layers together, or with --sheet of each in turn; "
        "`all`: of every layer (default: by model)",
    )
    read: Literal["features", "style", "caricature"] = Field(
        "features",
        description="what of a layer: its activations, position by position; style: its Gram matrix, which forgets "
        "positions; caricature: more of all that it sees in the picture",
    )
    mask: ImagePath | None = Field(
        None, description="which part of the activations counts: white there, black elsewhere"
    )
    prior: Literal["natural", "none"] = Field(
        "natural", description="what decides where the layer leaves it open: smoothness and restraint, or nothing"
    )
    smoothness: tuple[Annotated[float, Field(ge=0)], ...] = Field(
        (), description="weight of total variation; several, with --sheet: a row for each (default: by depth)"
    )
    smoothness_by_depth: tuple[Annotated[float, Field(ge=0)], ...] = Field(
        (0.1, 1.0, 4.0),
        min_length=3,
        max_length=3,
        description="three weights, for layers that see less than 64 pixels, less than 150, and more",
    )
    restraint: float = Field(0.1, ge=0, description="weight of the norm that holds values near mid-grey")
    caricature_power: float = Field(
        0.0, ge=0, le=8, description="with caricature: how much more what points the picture's way counts"
    )

    def layers(self) -> tuple[str, ...]:
        """The addresses of the layers."""
        named = self.layer or layers_for(self.model, DREAM_LAYERS)[:1]
        return tuple(map(self.address, meant(named, self.model, positions=self.read == "style")))

    def objective(self, picture: Tensor, layers: Sequence[str], smoothness: float | None = None) -> Term:
        """What is compared in `layers` together, and what is taken to be natural."""
        read = self._read(picture, layers)
        if self.mask is not None:
            read = Masked(mask_for(picture, self.picture(self.mask).image, self.mask), read)
        parts: list[tuple[float, Term]] = [(1.0, read)]
        if self.prior == "natural":
            smooth = self.smoothness_by_depth[self._depth(layers)] if smoothness is None else smoothness
            natural: list[tuple[float, Term]] = [(smooth, TotalVariation()), (self.restraint, AlphaNorm())]
            parts += [(weight, term) for weight, term in natural if weight]
        if self.read == "features":
            parts.append((0.0, PixelError(picture)))  # pulls at nothing: what came back is only measured by it
        return Sum(tuple(parts))

    def _read(self, picture: Tensor, layers: Sequence[str]) -> Term:
        if self.read == "style":
            return Style(picture, layers, "gram", "relative")
        if self.read == "caricature":
            return Caricature(picture, layers, self.caricature_power)
        return Content(picture, layers, "relative")

    def _depth(self, layers: Sequence[str]) -> int:
        """Of the deepest."""
        return max(depth_of(resolve(layer)) for layer in layers)


def depth_of(address: Address) -> int:
    """0 for a layer that sees less than DEEP pixels, 1 for less than DEEPEST, 2 for more."""
    field = sees(address)
    return (field >= DEEP) + (field >= DEEPEST)


def sees(address: Address) -> float:
    """The side of what one position of a layer depends on, in pixels; infinite where that is the whole picture."""
    fields = {each.layer: each.receptive_field for each in describe(find_backbone(address.backbone))}
    field = fields.get(address.layer)  # none, too, where it never runs, or twice: the encoder refuses such a layer
    return math.inf if field is None else field
