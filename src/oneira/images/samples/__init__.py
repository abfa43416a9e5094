"""The pictures that come with Oneira: three photographs, and two drawings to take a style from.

`LICENCES.md` beside them says who made each one and under which terms.
"""

from pathlib import Path
from types import MappingProxyType

from oneira.errors import ImageError, nearest

_FILES = MappingProxyType(
    {
        "cat": "cat.jpg",
        "coffee": "coffee.jpg",
        "rocket": "rocket.jpg",
        "night_wind": "night_wind.jpg",
        "rose_window": "rose_window.jpg",
    }
)
SAMPLES = tuple(_FILES)
PHOTOGRAPHS = ("cat", "coffee", "rocket")


def sample(name: str) -> Path:
    """The file of a sample picture, by a name of `SAMPLES`; ImageError for any other."""
    if name not in _FILES:
        raise ImageError(f"unknown sample {name!r}{nearest(name, SAMPLES)}; allowed: {', '.join(SAMPLES)}")
    return Path(__file__).parent / _FILES[name]
