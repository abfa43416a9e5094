"""What an atlas is of."""

from dataclasses import dataclass
from pathlib import Path

from oneira.errors import PlanError
from oneira.features.address import split_address
from oneira.features.description import LayerDescription, describe
from oneira.features.registry import find_backbone, resolve
from oneira.techniques.layers import every_layer


@dataclass(frozen=True)
class AtlasPlan:
    """What an atlas is of: `layers` of `model` (none: every one with positions), pictures of `size` pixels.

    `data`: a folder of pictures or an .npz file, over which channels are watched; without, nothing is said of what
    excites them. `seed` decides the noise that pictures begin with; `batch` of them are made at once.
    """

    model: str = "pocket"
    layers: tuple[str, ...] = ()
    size: int = 128
    data: Path | None = None
    seed: int = 0
    batch: int = 16

    def described(self) -> dict[str, LayerDescription]:
        """Of the layers, by `model:layer`, each once, in the order in which the network runs them.

        Raises AddressError for what is not there, PlanError for layers of other networks, for those that do not run
        once, and where no layer is named and none is chosen for the network.
        """
        running = {each.layer: each for each in describe(find_backbone(self.model))}
        named = self.layers or every_layer(self.model, positions=True)
        wanted = [resolve(":".join(split_address(name, self.model))) for name in named]
        for address in wanted:
            if address.backbone != self.model:
                raise PlanError(f"layer {address} is not of {self.model}: an atlas is of one network, name its layers")
            if address.layer not in running:
                raise PlanError(f"layer {address} does not run once in a forward pass: name another")
        chosen = {address.layer for address in wanted}
        return {f"{self.model}:{layer}": about for layer, about in running.items() if layer in chosen}
