"""What backbones there are. The one registry that a program shares: users add their own modules to it by name."""

import copy
from collections.abc import Callable, Sequence

from torch import Tensor, nn

from oneira.errors import AddressError, nearest
from oneira.features.address import Address, split_address
from oneira.features.backbones import FAMILIES
from oneira.features.backbones.backbone import Backbone
from oneira.features.preprocessing import IMAGENET

__all__ = ["Backbone", "backbones", "find_backbone", "register_backbone", "resolve"]

_REGISTERED: dict[str, Backbone] = {}  # the one mutable module state: a user's own modules, by name


def backbones() -> tuple[str, ...]:
    """The names of all backbones, the embedded one first."""
    return (*FAMILIES, *_REGISTERED)


def find_backbone(name: str) -> Backbone:
    """The declaration called `name`; AddressError names the nearest where there is none."""
    known = {**_REGISTERED, **FAMILIES}
    if name not in known:
        raise AddressError(f"unknown backbone {name!r}{nearest(name, known)} (oneira models lists them)")
    return known[name]


def register_backbone(
    name: str,
    module: nn.Module,
    preprocess: Callable[[Tensor], Tensor] = IMAGENET,
    *,
    logits: str = "",
    classes: Sequence[str] = (),
) -> None:
    """Make any torch module addressable as `name:path.of.a.submodule`; torchvision's and timm's models among them.

    `preprocess` maps an image (b, 3, h, w), sRGB in [0, 1], to the module's input; `logits` names the submodule that
    gives one number per class, and `classes` the classes. Every Encoder works on a copy of its own, taken when it first
    needs one: in eval mode, frozen, and with nothing in place, so that what is captured stays as it was. `module`
    itself is left alone. A name that was registered before now means the new module.
    Raises AddressError where the name is taken by one of Oneira's own, is empty or holds a colon.
    """
    if name in FAMILIES or ":" in name or not name.strip():
        raise AddressError(f"cannot register a backbone as {name!r}: choose a name without ':' that is not built in")

    def frozen_copy() -> nn.Module:
        network = copy.deepcopy(module).eval().requires_grad_(False)
        for part in network.modules():
            if hasattr(part, "inplace"):
                part.inplace = False  # type: ignore[assignment]
        return network

    names = tuple(classes)
    _REGISTERED[name] = Backbone(
        name,
        frozen_copy,
        preprocess,
        logits=logits,
        classes=(lambda: names) if names else None,
        summary="registered by this program",
        own=False,
    )


def resolve(text: str) -> Address:
    """Parse an address and look it up: aliases become module names; AddressError names the nearest layer."""
    name, layer = split_address(text)
    backbone = find_backbone(name)
    canonical = backbone.aliases.get(layer, layer)
    if canonical not in backbone.layers:
        hint = nearest(layer, (*backbone.aliases, *backbone.layers))
        raise AddressError(f"unknown layer {layer!r} of {name}{hint} (oneira models {name} lists them)")
    return Address(name, canonical, layer)
