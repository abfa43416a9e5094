"""Which channels of a layer are meant, as it is typed."""

import re

from oneira.errors import PlanError
from oneira.features.description import channels_of
from oneira.features.registry import find_backbone, resolve

NUMBERS = re.compile(r"\s*(\d{1,6})\s*(?:-\s*(\d{1,6})\s*)?")


def count_channels(layer: str) -> int | None:
    """How many channels the layer at an address has; None where that is not known before it runs."""
    address = resolve(layer)
    return channels_of(find_backbone(address.backbone), address.layer)


def parse_channels(text: str, layer: str) -> list[int]:
    """`"3,7,32-34"` -> `[3, 7, 32, 33, 34]`, `"all"` -> all of `layer`; PlanError for what is not there."""
    count = count_channels(layer)
    if text == "all":
        if count is None:
            raise PlanError(f"how many channels {layer} has is not known: say which, such as --channels 0-31")
        return list(range(count))
    numbers: list[int] = []
    for part in text.split(","):
        found = NUMBERS.fullmatch(part)
        if found is None or (found[2] is not None and int(found[2]) < int(found[1])):
            raise PlanError(f"--channels takes numbers such as 3,7,32-47, or all; not {text!r}")
        numbers += range(int(found[1]), int(found[2] or found[1]) + 1)
    if count is not None and max(numbers) >= count:
        raise PlanError(f"there is no channel {max(numbers)} in {layer}, which has {count}: 0 to {count - 1}")
    return list(dict.fromkeys(numbers))
