"""How the network is run that looks at the pictures."""

from pydantic import Field

from oneira.features.variant import Padding, Pooling, Variant
from oneira.techniques.technique import Technique

# Average pooling needs a factor that keeps activations' scale. For `pocket` this one was found by eye and by judge.
POCKET_GAIN = 1.5


class Network(Technique):
    """Options that change a network without training it."""

    pooling: Pooling = Field("avg", description="how the network pools; avg paints cleaner than max")
    pooling_gain: float | None = Field(
        None, gt=0, description="factor behind each pool (default: keeps activations' scale)"
    )
    padding: Padding = Field(
        "zeros", description="what the network sees beyond the picture's border; replicate-first: at its first layer"
    )
    normalised: bool = Field(
        False, description="scale the network so that every filter's mean activation is 1 (Gatys' normalised VGG)"
    )

    def variant(self) -> Variant:
        """How the network pools, pads and is scaled."""
        gain = self.pooling_gain
        if gain is None and self.pooling == "avg" and self.model == "pocket":
            gain = POCKET_GAIN
        return Variant(self.pooling, gain, self.padding, self.normalised)
