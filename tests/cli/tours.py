"""A technique with what the others have not yet, or not all at once: stages, and pictures that may be left out."""

from typing import ClassVar

from pydantic import Field

from oneira import Pixels, Plan, objectives
from oneira.synthesis.optimisers import OptimiserSpec
from oneira.synthesis.schedules import Scale, Schedule
from oneira.synthesis.shaping import MeanAbs
from oneira.techniques import ImagePath, Technique
from oneira.techniques.presets import Preset


class Tour(Technique):
    """Dream leg after leg."""

    presets: ClassVar = {
        "short": Preset("these tests, 2026", departures=("It [b]is[/b] short, because tests are.", "It ends.")),
        "long": Preset(
            "somebody [b]else[/b], 2015", {"legs": ("a b", "c"), "strength": 1 / 3, "steps": 2, "loud": True}
        ),
    }
    positional: ClassVar = ("image",)

    size: int = Field(28, ge=16, description="long side in pixels")
    image: ImagePath | None = Field(None, description="where to begin (default: noise)")
    mask: ImagePath | None = Field(None, description="where to look")
    layer: str = Field("tiny:relu2", description="whose activity grows")
    legs: tuple[str, ...] = Field(("first leg", "second"), description="what the stages are called")
    steps: int = Field(2, ge=1, description="of every leg")
    strength: float = Field(1.0, gt=0, description="how much")
    loud: bool = Field(False, description="twice as much")

    def plan(self):
        for path in self.input_paths:
            self.picture(path)
        canvas = Pixels.grey(20, 28, "white") if self.image is None else Pixels.of(self.picture(self.image).image)
        objective = (2 if self.loud else 1) * self.strength * objectives.Dream(self.layer)
        scales = [Scale(self.size, self.steps, stage=leg) for leg in self.legs]
        # A scale without a name between those that have one.
        scales.insert(1, Scale(self.size, self.steps))
        return Plan(canvas, objective, Schedule(tuple(scales)), (), OptimiserSpec("ascent", 0.01), (MeanAbs(),))
