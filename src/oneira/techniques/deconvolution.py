"""What of a picture made a unit answer: deconvolution, guided backpropagation, gradients."""

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import ClassVar, Self

from pydantic import Field, model_validator
from torch import Tensor

from oneira.errors import PlanError
from oneira.images import fit, resize
from oneira.inspection import Excitation, Projections, Rule
from oneira.techniques.channel_numbers import parse_channels
from oneira.techniques.layers import DREAM_LAYERS, layers_for
from oneira.techniques.presets import Preset
from oneira.techniques.refusals import option_name
from oneira.techniques.technique import ImagePath, Technique

USUAL_SIDE = 512  # pixels
FIRST = "0-8"  # channels, where none are named
ALONE = ("size", "whole", "samples", "spread", "luminous")  # options that mean one picture

ASKED_ABOUT_A_CLASS = (
    "The paper asks about a class, in the layer that holds them, such as --layer fc --channels 17; without, it is the "
    "strongest channels of the usual layer."
)
PRESETS: Mapping[str, Preset] = MappingProxyType(
    {
        "zeiler-fergus": Preset(
            "Zeiler and Fergus 2014: the deconvnet, from the strongest position of a channel",
            departures=(
                "They show the pictures of a data set that excite a channel most, as here with --data; of one picture, "
                "it is the channels that it excites most.",
                "They rescale the filters of the first layer; here the way back leads through the preprocessing, too.",
            ),
        ),
        "simonyan": Preset(
            "Simonyan, Vedaldi, Zisserman 2014: the gradient, and how much each pixel matters",
            {"rule": "gradient", "whole": True, "luminous": True},
            (ASKED_ABOUT_A_CLASS, "They average over ten crops and reflections of the picture; here it is seen once."),
        ),
        "springenberg": Preset(
            "Springenberg et al. 2015: guided backpropagation",
            {"rule": "guided"},
            ("Their network has no max pools; where there are, what comes back goes to what was largest.",),
        ),
        "smoothgrad": Preset(
            "Smilkov et al. 2017: the mean gradient of 50 pictures with noise",
            {"rule": "gradient", "whole": True, "luminous": True, "samples": 50, "spread": 0.15},
            (ASKED_ABOUT_A_CLASS, "They cut the brightest hundredth of the map; here the brightest pixel is white."),
        ),
    }
)


class Deconvolution(Technique):
    """Show what of a picture made the channels of a layer answer (Zeiler and Fergus 2014)."""

    presets: ClassVar[Mapping[str, Preset]] = PRESETS
    positional: ClassVar[tuple[str, ...]] = ("image",)

    image: ImagePath | None = Field(None, description="the picture that the network looks at; --data needs none")
    data: str | None = Field(
        None,
        description="a folder of pictures, or an .npz file, in place of one: for each channel the pictures that excite "
        "it most, beside what of them did; what was measured is kept",
    )
    size: int | None = Field(
        None, ge=16, le=16384, description="long side that the network sees, in pixels (default: its own, at most 512)"
    )
    layer: str | None = Field(None, description="whose channels are shown (default: by model)")
    top: int = Field(
        9,
        ge=1,
        le=1024,
        description="how many channels: those that answer most strongly; with --data, how many pictures of each",
    )
    channels: str | None = Field(
        None, description="these instead, such as 17 or 3,7,32-47 (default: with --data, the first 9)"
    )
    rule: Rule = Field(
        "deconvnet",
        description="what a ReLU lets through on the way back: what is positive of what comes back; gradient: where it "
        "was positive itself; guided: both",
    )
    whole: bool = Field(False, description="the whole picture's projection, not only what the strongest unit sees")
    samples: int = Field(0, ge=0, le=1000, description="mean over this many pictures with noise (SmoothGrad: 25)")
    spread: float = Field(0.15, ge=0, le=10, description="with --samples: the noise, as a share of the picture's range")
    luminous: bool = Field(False, description="how much each pixel matters, without colours (saliency)")

    @model_validator(mode="after")
    def _noise_for_samples(self) -> Self:
        # A recipe names every option: a spread at its default was not told.
        if not self.samples and self.spread != type(self).model_fields["spread"].default:
            raise ValueError("--spread is the noise of --samples, and there are none: give --samples, such as 25")
        return self

    @model_validator(mode="after")
    def _one_or_many(self) -> Self:
        if self.image is not None and self.data is not None:
            raise ValueError("deconv looks at one picture, or with --data at many: name IMAGE or --data")
        if self.data is None:
            if self.channels is not None and self.top != type(self).model_fields["top"].default:
                raise ValueError("--channels stands in place of --top; give one of the two")
            return self
        for name in ALONE:
            if getattr(self, name) != type(self).model_fields[name].default:
                raise ValueError(f"{option_name(name)} is for one picture, not for --data: leave it out")
        return self

    @classmethod
    def verb(cls) -> str:
        """As the field has it."""
        return "deconv"

    def plan(self) -> Projections | Excitation:
        """The picture, as large as it is seen, and which channels; or which of many pictures excite them."""
        if self.data is not None:
            return self._excitation(Path(self.data))
        if self.image is None:
            raise PlanError("deconv needs IMAGE, or --data with many pictures")
        picture = self.picture(self.image).image
        height, width = picture.shape[2:]
        layer = self.address(self.layer or layers_for(self.model, DREAM_LAYERS)[0])
        return Projections(
            resize(picture, fit(height, width, self.size or min(USUAL_SIDE, max(height, width)))),
            layer,
            () if self.channels is None else tuple(parse_channels(self.channels, layer)),
            self.top,
            self.rule,
            self.whole,
            self.samples,
            self.spread,
            self.luminous,
        )

    def _excitation(self, data: Path) -> Excitation:
        layer = self.address(self.layer or layers_for(self.model, DREAM_LAYERS)[0])
        channels = parse_channels(self.channels or FIRST, layer)
        return Excitation(data, layer, tuple(channels), self.top, self.rule)

    def transparency(self, image: Tensor) -> None:
        """None: the result is a figure."""
