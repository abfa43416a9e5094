"""What the classes are called: WordNet numbers and names, in the order of the logits."""

import json
from functools import cache
from pathlib import Path

from oneira.errors import AddressError, nearest
from oneira.features.backbones.backbone import Backbone


def imagenet_classes() -> tuple[str, ...]:
    """The 1000 names of ImageNet's classes."""
    return _names("imagenet")


def pocket_classes() -> tuple[str, ...]:
    """The 200 names of Tiny ImageNet's classes, each with its synonyms: `("goldfish, Carassius auratus", ...)`."""
    return _names("pocket")


@cache
def _names(table: str) -> tuple[str, ...]:
    return tuple(json.loads((Path(__file__).parent / f"{table}.json").read_text(encoding="utf-8")).values())


def find_class(backbone: Backbone, text: str) -> int:
    """A class's name, one of its synonyms, or its number -> its number. Small and capital letters count only in doubt.

    Raises AddressError, naming the nearest, where `backbone` has no such class, or several.
    """
    wanted = text.strip()
    names = backbone.classes() if backbone.classes is not None else ()
    if wanted.isdecimal():
        index = int(wanted)
        if names and index >= len(names):
            raise AddressError(f"{backbone.name} has classes 0 to {len(names) - 1}, not {index}")
        return index
    if not names:
        raise AddressError(f"{backbone.name} does not name its classes; give the number of the class, not {text!r}")
    synonyms = [(index, name) for index, line in enumerate(names) for name in line.split(", ")]
    exact = [index for index, name in synonyms if name == wanted]
    found = exact or [index for index, name in synonyms if name.casefold() == wanted.casefold()]
    if len(found) > 1:
        raise AddressError(f"{wanted!r} is several classes of {backbone.name}; give a number: {found}")
    if not found:
        hint = nearest(wanted, (name for _, name in synonyms))
        raise AddressError(f"unknown class {text!r} of {backbone.name}{hint} (or give a number, 0 to {len(names) - 1})")
    return found[0]
