"""Networks as figures name them: by their names, or by files of their weights."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from oneira.features.address import DEFAULT_BACKBONE
from oneira.features.registry import backbones, find_backbone


@dataclass(frozen=True)
class NamedNetwork:
    """A backbone, and the file of its weights; None: the usual one. `text`: as it was named."""

    backbone: str
    file: Path | None
    text: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """`vgg19`, `vgg19=FILE`, or a file of weights of the embedded network's shape, which is known by its ending.

        Raises AddressError for a network that there is not.
        """
        name, equals, file = text.partition("=")
        if equals and file and "/" not in name:
            return cls(find_backbone(name).name, Path(file), text)
        path = Path(text)
        if text not in backbones() and (path.suffix or len(path.parts) > 1):
            return cls(DEFAULT_BACKBONE, path, text)
        return cls(find_backbone(text).name, None, text)


def labels_of(networks: Sequence[NamedNetwork]) -> list[str]:
    """What to call them: short, unless that would be one name for several."""
    short = [each.backbone if each.file is None else each.file.stem for each in networks]
    return [each.text if short.count(name) > 1 else name for name, each in zip(short, networks, strict=True)]
