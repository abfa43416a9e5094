"""What backbones there are. The one registry that a program shares: users add their own modules to it by name."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

import torch
from torch import Tensor, nn

from oneira.errors import AddressError, nearest
from oneira.features.address import Address, split_address
from oneira.features.preprocessing import IMAGENET, Preprocessing


@dataclass(frozen=True)
class Backbone:
    """A family's declaration; building it loads nothing.

    `build()` gives the architecture without trained weights (on whatever device is current: `meta` is fine).
    `aliases` maps the papers' layer names to the modules' own. `smallest` is the shortest side, in pixels, for which
    the whole network gives at least one position. `weights` says which official file fills it (None: a module that
    the user registered, which comes with its weights).
    """

    name: str
    build: Callable[[], nn.Module]
    preprocessing: Callable[[Tensor], Tensor] = IMAGENET
    aliases: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    smallest: int = 1
    classes: Callable[[], tuple[str, ...]] | None = None
    summary: str = ""
    own: bool = True  # written here: its activations are modules that run once, and ReLUs may run in place


_REGISTERED: dict[str, Backbone] = {}  # the one mutable module state: a user's own modules, by name


def backbones() -> tuple[str, ...]:
    """The names of all backbones, the embedded one first."""
    from oneira.features.backbones import FAMILIES

    return (*FAMILIES, *_REGISTERED)


def find_backbone(name: str) -> Backbone:
    """The declaration called `name`; AddressError names the nearest where there is none."""
    from oneira.features.backbones import FAMILIES

    known = {**FAMILIES, **_REGISTERED}
    if name not in known:
        raise AddressError(f"unknown backbone {name!r}{nearest(name, known)} (oneira models lists them)")
    return known[name]


def register_backbone(name: str, module: nn.Module, preprocess: Callable[[Tensor], Tensor] = IMAGENET) -> None:
    """Make any torch module addressable as `name:path.of.a.submodule`; torchvision's and timm's models among them.

    `preprocess` maps an image (b, 3, h, w), sRGB in [0, 1], to the module's input. The module is frozen, put into eval
    mode, and its in-place activations are made ordinary ones, so that what is captured stays as it was.
    Raises AddressError where the name is taken by one of Oneira's own or holds a colon.
    """
    from oneira.features.backbones import FAMILIES

    if name in FAMILIES or ":" in name or not name:
        raise AddressError(f"cannot register a backbone as {name!r}: choose a name without ':' that is not built in")
    for part in module.modules():
        if hasattr(part, "inplace"):
            part.inplace = False  # type: ignore[assignment]
    module.eval().requires_grad_(False)
    _REGISTERED[name] = Backbone(name, lambda: module, preprocess, own=False)


def resolve(text: str) -> Address:
    """Parse an address and look it up: aliases become module names; AddressError names the nearest layer."""
    name, layer = split_address(text)
    backbone = find_backbone(name)
    with torch.device("meta"):
        known = {path for path, _ in backbone.build().named_modules() if path}
    canonical = backbone.aliases.get(layer, layer)
    if canonical not in known:
        names = sorted(known | set(backbone.aliases))
        raise AddressError(f"unknown layer {layer!r} of {name}{nearest(layer, names)} (oneira models {name} lists them)")
    return Address(name, canonical)
