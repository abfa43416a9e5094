"""Dreams that go on from dreams: through layer after layer, or deeper and deeper into the picture."""

import re

from pydantic import Field

from oneira.errors import PlanError, nearest
from oneira.features.description import describe
from oneira.features.registry import find_backbone, resolve
from oneira.techniques.technique import Technique


class Journeys(Technique):
    """Options of journeys; each leg's picture is the next one's start."""

    through: str | None = Field(
        None,
        description="layer after layer, each dream the next one's picture: relu1_1..relu5_1, or a list with commas",
    )
    random_channels: int | None = Field(
        None, ge=1, description="with --through: so many random channels of late layers"
    )
    from_: str | None = Field(None, description="with --random-channels: the first layer that counts as late")
    zoom: float | None = Field(None, gt=0.5, le=4, description="dive: each frame is the last, magnified, and dreamt in")
    rotate: float = Field(0.0, ge=-180, le=180, description="with --zoom: degrees to turn between frames")
    frames: int = Field(60, ge=1, le=100_000, description="with --zoom: how many frames")
    loop: bool = Field(
        False, description="with --zoom, into a film: the last frame flows into the first, which comes up in the middle"
    )

    @property
    def travels(self) -> bool:
        """Whether there is a journey, whose stages a film can show."""
        return self.zoom is not None or self.through is not None

    def way(self) -> list[tuple[str, str | None]]:
        """The layers to go through, and the channels of each; PlanError for what is no way."""
        assert self.through is not None
        names = self._layers(self.through)
        if self.random_channels is None:
            if self.from_ is not None:
                raise PlanError("--from says where random channels begin: say how many by --random-channels")
            return [(name, None) for name in names]
        late = self.from_ or names[0]
        if late not in names:
            raise PlanError(f"--from {late!r} is no layer of the way{nearest(late, names)}: {', '.join(names)}")
        begin = names.index(late)
        return [(name, f"random:{self.random_channels}" if i >= begin else None) for i, name in enumerate(names)]

    def _layers(self, text: str) -> list[str]:
        """`a..b`: a, b, and what runs between them under names of the same form; otherwise a list."""
        first, dots, last = (part.strip() for part in text.partition(".."))
        if not dots:
            return [name.strip() for name in text.split(",") if name.strip()] or [text]
        for name in (first, last):
            resolve(self.address(name))  # an unknown one must be told as such
        form = _form(first)
        names = [
            name
            for layer in describe(find_backbone(self.model))
            for name in (layer.layer, *layer.aliases)
            if _form(name) == form
        ]
        if first not in names or last not in names or names.index(first) > names.index(last):
            raise PlanError(
                f"--through {text!r} leads nowhere: name a layer of {self.model} and a later one of its kind"
            )
        return names[names.index(first) : names.index(last) + 1]


def _form(name: str) -> str:
    """`relu4_2` -> `relu#_#`, `inception_4c/output` -> `inception_#/output`."""
    return re.sub(r"\d+[a-z]?(?![a-z0-9])", "#", name)
