"""Neural style transfer: one picture's content in another's manner (Gatys, Ecker, Bethge 2016)."""

from collections.abc import Mapping
from typing import ClassVar

from pydantic import Field

from oneira.synthesis.plan import Plan
from oneira.techniques.presets import Preset
from oneira.techniques.styling.manner import Manner
from oneira.techniques.styling.painting import Painting
from oneira.techniques.styling.presets import PRESETS
from oneira.techniques.technique import ImagePath


class Style(Painting, Manner):  # pydantic lists the fields of the last one first
    """Paint a picture in the manner of another."""

    presets: ClassVar[Mapping[str, Preset]] = PRESETS
    positional: ClassVar[tuple[str, ...]] = ("content", "style")

    size: int = Field(512, ge=16, le=16384, description="long side of the result, in pixels")
    content: ImagePath = Field(description="the picture that is painted")
    style: ImagePath = Field(description="the picture whose manner it takes on")

    def plan(self) -> Plan:
        """Style and content terms on a canvas that grows."""
        content = self.picture(self.content).image
        style = self.dyed(self.picture(self.style).image, content)
        mask = self.mask_on(content)
        return Plan(
            self.beginning(content, style, mask),
            self.objective(content, style, mask),
            self.sizes(self.size),
            optimiser=self.descent(),
            averaging=self.averaging,
            variant=self.variant(),
        )
