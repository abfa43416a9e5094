"""DeepDream: whatever the network sees, more of it (Mordvintsev, Olah, Tyka 2015), and its heirs."""

from collections.abc import Mapping
from typing import ClassVar

from pydantic import Field, model_validator
from torch import Tensor

from oneira.errors import PlanError
from oneira.synthesis.carrying import Mix, Zoom
from oneira.synthesis.plan import Plan
from oneira.synthesis.schedules import Schedule, journey
from oneira.techniques.dreaming.journeys import Journeys
from oneira.techniques.dreaming.presets import PRESETS
from oneira.techniques.dreaming.ways import Ways
from oneira.techniques.dreaming.wishes import Wishes
from oneira.techniques.presets import Preset
from oneira.techniques.technique import ImagePath


class Dream(Journeys, Ways, Wishes):  # pydantic lists the fields of the last one first
    """Dream inside a picture: amplify what layers of a network see in it, from coarse to fine."""

    presets: ClassVar[Mapping[str, Preset]] = PRESETS
    positional: ClassVar[tuple[str, ...]] = ("image",)
    grows: ClassVar[bool] = True

    image: ImagePath | None = Field(None, description="the picture to dream in; a --start of noise needs none")
    size: int | None = Field(
        None, ge=16, le=16384, description="long side in pixels (default: the picture's, at most 1024)"
    )

    @model_validator(mode="after")
    def _one_journey(self) -> "Dream":
        if self.zoom is not None and self.through is not None:
            raise ValueError("--zoom and --through are two journeys: choose one")
        if self.through is None and (self.random_channels is not None or self.from_ is not None):
            raise ValueError("--random-channels and --from belong to --through: name the layers to go through")
        if self.through is not None and self.like:
            raise ValueError("--like finds its own layers, --through leads from one to another: choose one")
        if self.zoom is None and self.rotate:
            raise ValueError("--rotate turns the frames of --zoom: name a factor, such as --zoom 1.02")
        if self.loop and (self.zoom in (None, 1.0) or self.frames < 2):
            raise ValueError("--loop closes a dive: name --zoom, a factor such as 1.02, and two --frames at least")
        return self

    def plan(self) -> Plan:
        """One dream, or one after the other."""
        picture = None if self.image is None else self.picture(self.image).image
        long_side = self.size or (512 if picture is None else min(1024, max(picture.shape[2:])))
        canvas = self.beginning(picture, long_side)
        return Plan(
            canvas,
            self.objective(picture, layers=[self.way()[0][0]] if self.through else ()),
            self._schedule(picture, self.sizes(long_side)),
            self.augmentation(),
            self.climber(),
            self.shaping(),
            self.tiling(),
        )

    def _schedule(self, picture: Tensor | None, sizes: Schedule) -> Schedule:
        if self.zoom is not None:
            dive = Zoom(self.zoom, self.rotate, palette=picture)
            legs = [sizes.leg("frame", begins=dive if number else None) for number in range(self.frames)]
            return journey(legs)
        if self.through is None:
            return sizes
        if picture is None:
            raise PlanError("--through mixes the picture into every dream: name one")
        back = Mix(picture, self.blend)
        return journey(
            sizes.leg(name, begins=back if number else None, objective=self.objective(picture, [name], channels))
            for number, (name, channels) in enumerate(self.way())
        )
