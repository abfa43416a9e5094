"""DeepDream: whatever the network sees, more of it (Mordvintsev, Olah, Tyka 2015)."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, ClassVar, Literal

from pydantic import Field

from oneira.objectives import Dream as DreamTerm
from oneira.objectives import Term, TotalVariation
from oneira.synthesis.augmentation import Jitter
from oneira.synthesis.canvas import Pixels
from oneira.synthesis.optimisers import OptimiserSpec
from oneira.synthesis.plan import Plan
from oneira.synthesis.schedules import octaves
from oneira.synthesis.shaping import LaplacianPyramid, MeanAbs, Shaping, Std
from oneira.techniques.layers import DREAM_LAYERS, layers_for
from oneira.techniques.technique import ImagePath, Technique

SHAPINGS: Mapping[str, Shaping | None] = MappingProxyType(
    {"none": None, "mean-abs": MeanAbs(), "std": Std(), "laplacian": LaplacianPyramid()}
)


class Dream(Technique):
    """Dream inside a picture: amplify what layers of a network see in it, from coarse to fine."""

    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = MappingProxyType(
        {
            "pocket": MappingProxyType({}),
            # google/deepdream's notebook: 10 steps at each of 4 octaves of 1.4, step 1.5 of 255, jitter 32.
            "google": MappingProxyType(
                {
                    "model": "googlenet",
                    "layer": ("inception_4c/output",),
                    "octaves": 4,
                    "octave_scale": 1.4,
                    "steps": 10,
                    "step": 1.5 / 255,
                    "jitter": 32,
                    "gradient": "mean-abs",
                    "restraint": 0.0,
                }
            ),
        }
    )

    image: ImagePath = Field(description="the picture to dream in")
    layer: tuple[str, ...] = Field((), description="layer whose activity grows; may be repeated (default: by model)")
    loss: Literal["l2", "mean"] = Field("l2", description="l2: the strong grow stronger; mean: all alike")
    octaves: int = Field(5, ge=1, le=20, description="how many sizes, from coarse to fine")
    octave_scale: float = Field(1.4, gt=1, le=4, description="factor from one size to the next")
    steps: int = Field(16, ge=1, le=10_000, description="gradient steps at each size")
    step: float = Field(
        0.006, gt=0, description="step size; with mean-abs, how far a step moves a pixel on average, of 1"
    )
    jitter: int = Field(32, ge=0, le=512, description="random shift at each step, in pixels")
    gradient: Literal["none", "mean-abs", "std", "laplacian"] = Field(
        "mean-abs", description="how gradients are evened out; laplacian brings larger, softer shapes"
    )
    restraint: float = Field(0.0, ge=0, description="weight of total variation: larger is smoother")
    size: int | None = Field(
        None, ge=16, le=16384, description="long side in pixels (default: the picture's, at most 1024)"
    )

    def plan(self) -> Plan:
        """google/deepdream's scheme: octaves that carry detail up, jitter, normalised gradients, plain steps."""
        image = self.picture(self.image).image
        layers = [self.address(layer) for layer in self.layer or layers_for(self.model, DREAM_LAYERS)]
        objective: Term = DreamTerm(layers, self.loss)
        if self.restraint:
            objective = objective + self.restraint * TotalVariation()
        return Plan(
            Pixels.of(image),
            objective,
            octaves(
                self.size or min(1024, max(image.shape[2:])),
                count=self.octaves,
                ratio=self.octave_scale,
                steps=self.steps,
                carry="detail",
            ),
            (Jitter(self.jitter),) if self.jitter else (),
            OptimiserSpec("ascent", self.step),
            SHAPINGS[self.gradient],
        )
