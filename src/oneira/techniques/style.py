"""Neural style transfer: one picture's content in another's manner (Gatys, Ecker, Bethge 2016)."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import ClassVar

from pydantic import Field

from oneira.features.encoder import Encoder
from oneira.features.registry import resolve
from oneira.objectives import SavedStyle
from oneira.synthesis.plan import Plan
from oneira.synthesis.schedules import octaves
from oneira.techniques.network import Network
from oneira.techniques.presets import Preset
from oneira.techniques.styling.manner import Manner
from oneira.techniques.styling.painting import Painting
from oneira.techniques.styling.presets import PRESETS

SMALLEST_KEPT = 64  # pixels a side of the smallest results that a saved style is made for


class Style(Painting, Network, Manner):  # pydantic lists the fields of the last one first
    """Paint a picture in the manner of another."""

    presets: ClassVar[Mapping[str, Preset]] = PRESETS
    positional: ClassVar[tuple[str, ...]] = ("content", "style")
    stands_for: ClassVar[Mapping[str, str]] = MappingProxyType(
        {"strength": "content_weight", "style_size": "style_scale", "start_picture": "start"}
    )

    size: int = Field(512, ge=16, le=16384, description="long side of the result, in pixels")

    def plan(self) -> Plan:
        """Style and content terms on a canvas that grows."""
        content = self.picture(self.content).image
        styles = self.sources(lambda picture: self.dyed(picture, content))
        self.require_pictures(styles)
        mask = self.mask_on(content)
        return Plan(
            self.beginning(content, styles, mask),
            self.objective(content, styles, mask),
            self.sizes(self.size),
            optimiser=self.descent(),
            shaping=self.shaping(),
            averaging=self.averaging,
            keep_momentum=self.keep_momentum,
            variant=self.variant(),
        )

    def kept(self, encoder: Encoder, largest: int) -> SavedStyle:
        """The statistics of the styles, without their pictures, for results of up to `largest` pixels."""
        sources, shares = self.sources(), self.shares()
        addresses = [resolve(layer) for layer in self.style_layers()]
        sides = [scale.size for scale in octaves(largest, smallest=min(SMALLEST_KEPT, largest), ratio=2**0.5).scales]
        return SavedStyle.of(sources, shares, encoder, addresses, [side**2 for side in sides], self.statistics)
