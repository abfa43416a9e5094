"""Pictures in a style, each in one pass of a trained network (Johnson et al. 2016; Dumoulin et al. 2017)."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import ClassVar, Self

from pydantic import Field, PrivateAttr, field_validator, model_validator
from torch import Tensor

from oneira.errors import PlanError
from oneira.feedforward.mixing import Mix, parsed_shares
from oneira.feedforward.painter import Brush, Finish, PaintedColours
from oneira.feedforward.redrawing import Redrawing
from oneira.feedforward.saving import TrainedNetwork
from oneira.feedforward.shipped import POCKET_STYLES, SHIPPED, network_file
from oneira.feedforward.stylizer import Stylizer
from oneira.images import Picture
from oneira.images.opening import sha256_of
from oneira.techniques import ImagePath, Technique
from oneira.techniques.grounds import mask_for
from oneira.techniques.presets import Preset

PRESETS: Mapping[str, Preset] = MappingProxyType(
    {
        POCKET_STYLES: Preset(
            "Dumoulin, Shlens, Kudlur 2017: one network of many styles, each a scale and a shift per channel",
            departures=(
                "They blend styles over the whole picture; here masks do it position by position, too.",
                "One of the styles is the photograph itself, so that a style can be drawn at less than full strength.",
            ),
        )
    }
)
OTHER = "network"  # how recipes call one that does not ship


class Stylization(Technique):
    """Paint pictures in a style, each in one pass of a network that was trained for it (Johnson et al. 2016)."""

    presets: ClassVar[Mapping[str, Preset]] = PRESETS
    positional: ClassVar[tuple[str, ...]] = ("image",)
    stands_for: ClassVar[Mapping[str, str]] = MappingProxyType({"blend": "style"})
    also_called: ClassVar[Mapping[str, str]] = MappingProxyType({"model": "--network"})

    image: ImagePath = Field(description="the picture to paint")
    model: str = Field(
        POCKET_STYLES, description="the network that paints: one that ships, or a file that a training wrote"
    )
    size: int | None = Field(
        None, ge=16, le=16384, description="long side of the result, in pixels (default: the picture's own)"
    )
    style: str | None = Field(None, description="which of the network's styles; list tells them (default: the first)")
    blend: str | None = Field(
        None, description="several of them, with how much of each, such as starry_night=0.7,great_wave=0.3"
    )
    strength: float = Field(
        1.0, ge=0, le=1, description="how far from the photograph: 0 is the network's copy of it, 1 the style"
    )
    mask: ImagePath | None = Field(None, description="where the style goes: white there, greys mix")
    elsewhere: str | None = Field(
        None, description="with --mask: the style, or the blend, where it is black (default: the photograph's copy)"
    )
    colors: PaintedColours = Field("style", description="content: every pixel keeps the photograph's chroma")

    _brush: Brush | None = PrivateAttr(None)

    @classmethod
    def verb(cls) -> str:
        """As the command has it."""
        return "stylize"

    @field_validator("model")
    @classmethod
    def _known(cls, model: str) -> str:
        network_file(model)
        return model

    @model_validator(mode="after")
    def _elsewhere_of_a_mask(self) -> Self:
        if self.elsewhere is not None and self.mask is None:
            raise ValueError("--elsewhere is what goes where --mask is black, and there is none: give a mask")
        return self

    def plan(self) -> Redrawing:
        """The picture, and how the network draws it."""
        picture = self.picture(self.image).image
        self.require_fit(picture)
        return Redrawing(picture, self.brush())

    def of(self, path: str, picture: Picture | None = None) -> Self:
        """With the brush of this one."""
        self.brush()
        return super().of(path, picture)

    def trained(self) -> TrainedNetwork:
        """The network, read from its file."""
        return TrainedNetwork.load(network_file(self.model))

    def require_fit(self, picture: Tensor) -> None:
        """PlanError where the mask has not the proportions of `picture` (1, 3, h, w)."""
        if self.mask is not None:
            mask_for(picture, self.picture(self.mask).image, self.mask)

    def brush(self) -> Brush:
        """What it paints with, the network among it, read once; PlanError where the options do not go with that."""
        if self._brush is None:
            trained = self.trained()
            if not isinstance(trained.network, Stylizer):
                raise PlanError(f"the network {self.model!r} makes a texture out of nothing; it paints no pictures")
            called = self.model if self.model in SHIPPED else OTHER
            digests = MappingProxyType({called: sha256_of(network_file(self.model))})
            style = self._mix(trained).style(trained)
            self._brush = Brush(trained.network, digests, style, Finish(self.size, self.colors))
        return self._brush

    def _mix(self, trained: TrainedNetwork) -> Mix:
        if self.blend is not None:
            shares = parsed_shares(self.blend, "--blend")
        else:
            shares = {self.style or _first_style(trained): 1.0}
        elsewhere = None if self.elsewhere is None else parsed_shares(self.elsewhere, "--elsewhere")
        mask = None if self.mask is None else self.picture(self.mask).image.mean(1, keepdim=True)
        return Mix(shares, self.strength, mask, elsewhere)


def _first_style(trained: TrainedNetwork) -> str:
    """The first that is not the photograph's copy, unless that is all there is."""
    names = [name for number, name in enumerate(trained.names) if number != trained.identity]
    return (names or trained.names)[0]
