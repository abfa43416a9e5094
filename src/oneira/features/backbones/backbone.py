"""What a family of networks declares."""

from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field
from functools import cached_property
from types import MappingProxyType

import torch
from torch import Tensor, nn

from oneira.features.preprocessing import IMAGENET


@dataclass(frozen=True, eq=False)  # compared by identity, so that what is measured on one can be remembered with it
class Backbone:
    """A network's declaration; building it loads nothing.

    `build()` gives a new network (on whatever device is current: `meta` is fine), without trained weights if `own`.
    `preprocessing` maps an image (b, 3, h, w), sRGB in [0, 1], to what the network was trained on.
    `aliases` maps the papers' layer names to the modules' own. `logits` is the layer that holds one number per class
    before the softmax (empty: not known). `heads` are modules that only training ran: they hold weights of the official
    file, and have no activations. `smallest` is the shortest side, in pixels, for which the whole network gives at
    least one position. `classes()` names the classes in the order of the logits, synonyms behind commas.
    `fitting(weights)` builds the network that weights of another size belong to, for a family whose size they tell;
    KeyError where they are none of its.
    """

    name: str
    build: Callable[[], nn.Module]
    preprocessing: Callable[[Tensor], Tensor] = IMAGENET
    aliases: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    logits: str = ""
    heads: tuple[str, ...] = ()
    smallest: int = 1
    classes: Callable[[], tuple[str, ...]] | None = None
    summary: str = ""
    fitting: Callable[[Mapping[str, Tensor]], nn.Module] | None = None
    own: bool = True  # written here: its activations are modules that run once, and ReLUs may run in place

    @cached_property
    def layers(self) -> tuple[str, ...]:
        """The names of the modules that can be captured. A registered one may have more than ever run."""
        with torch.device("meta") if self.own else nullcontext():  # a registered module is what it is, where it is
            names = [path for path, _ in self.build().named_modules() if path]
        return tuple(path for path in names if path.partition(".")[0] not in self.heads)
