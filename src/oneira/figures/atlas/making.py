"""The folder of an atlas while it is made: whose settings it has, and which channels were found never to answer."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from oneira.errors import ImageError, PlanError
from oneira.files import write_whole

MADE = "atlas.json"


class Making:
    """What is known of an atlas in `folder`, which is claimed for `settings` (plain values) when this is made.

    Raises PlanError where the folder holds an atlas of other settings, or something else; ImageError where the disk
    refuses.
    """

    def __init__(self, folder: Path, settings: Mapping[str, Any]) -> None:
        self._path = folder / MADE
        self._settings = dict(settings)
        self._silent: dict[str, list[int]] = {}
        try:
            folder.mkdir(parents=True, exist_ok=True)
            begun = self._path.exists()
            empty = not any(folder.iterdir())
        except OSError as error:
            raise ImageError(f"cannot write into {str(folder)!r} ({error.strerror or error})") from error
        if begun:
            self._go_on()
        elif empty:
            self._write()
        else:
            raise PlanError(f"{str(folder)!r} holds something else than an atlas: name another folder")

    def silent(self, layer: str) -> frozenset[int]:
        """The channels of a layer that no picture could be made to excite."""
        return frozenset(self._silent.get(layer, ()))

    def tell_silent(self, layer: str, channels: Iterable[int]) -> None:
        """Remember further ones, so that who goes on does not try them again. ImageError where the disk refuses."""
        known = self.silent(layer)
        if not known.issuperset(channels := set(channels)):
            self._silent[layer] = sorted(known | channels)
            self._write()

    def _go_on(self) -> None:
        folder = str(self._path.parent)
        try:
            told = json.loads(self._path.read_text(encoding="utf-8"))
            settings = dict(told["settings"])
            silent = {str(layer): sorted(map(int, channels)) for layer, channels in told["silent"].items()}
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise PlanError(f"{str(self._path)!r} is damaged or of something else: name another folder") from error
        for name, value in self._settings.items():
            if settings.get(name) != value:
                differs = f"{name} {_shown(settings.get(name))}, not {_shown(value)}"
                raise PlanError(f"{folder!r} holds an atlas of other settings ({differs}): name another folder")
        self._silent = silent

    def _write(self) -> None:
        told = json.dumps({"settings": self._settings, "silent": self._silent}, indent=2).encode()
        try:
            write_whole(self._path, lambda file: file.write(told))
        except OSError as error:
            raise ImageError(f"cannot write {str(self._path)!r}: {error.strerror or error}") from error


def _shown(value: object) -> str:
    """Short enough for a line."""
    text = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
    return text if len(text) <= 40 else f"{text[:37]}..."
