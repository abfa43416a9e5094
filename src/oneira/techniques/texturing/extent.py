"""How large a texture is: a width and a height, of which a picture to follow may leave one open."""

import re
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field

SMALLEST, LARGEST = 16, 16384  # pixels a side
TYPED = re.compile(r"(\d{1,6})(?:\s*[xX]\s*(\d{1,6}))?")


def _typed(value: object) -> str:
    """Numbers, as programs give them, in the way they are typed."""
    return "x".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def _extent(text: str) -> str:
    found = TYPED.fullmatch(text.strip())
    if found is None or not all(SMALLEST <= int(side) <= LARGEST for side in found.groups() if side is not None):
        raise ValueError(
            f"pixels as WIDTHxHEIGHT, such as 1024x768, or one number for both; each {SMALLEST} to {LARGEST}"
        )
    return "x".join(side for side in found.groups() if side is not None)


Extent = Annotated[
    str,
    BeforeValidator(_typed),
    AfterValidator(_extent),
    Field(json_schema_extra={"pattern": TYPED.pattern}),
]


def sides_of(extent: str) -> tuple[int, int | None]:
    """An Extent -> its width and its height, None where it does not say."""
    width, _, height = extent.partition("x")
    return int(width), int(height) if height else None
