"""Channels by what they are known for: a word in place of numbers."""

from collections.abc import Collection
from pathlib import Path

from pydantic import Field, field_validator, model_validator

from oneira.errors import AddressError, DataError, ImageError, PlanError, nearest
from oneira.features import DEFAULT_BACKBONE, resolve
from oneira.inspection import labels, meanings
from oneira.inspection.labels import Labels, pocket_labels
from oneira.inspection.meanings import FILE, Meanings, Unit, pocket_meanings
from oneira.techniques.refusals import option_name
from oneira.techniques.technique import FilePath, Technique

FEW = 3  # channels of a word, chosen by eye: one shows too little of it, more than three hardly more
OF_LIKE = ("like_count", "labels", "atlas")  # options that belong to it


class Likeness(Technique):
    """Options that name channels by what they are known for."""

    like: tuple[str, ...] = Field(
        (),
        description="the channels that are known for it, such as banana, eyes or 'golden retriever': a class that they "
        "push, or a label; may be repeated",
    )
    like_count: int | None = Field(
        None, ge=1, le=1000, description=f"with --like: how many channels of each (default: {FEW}, or all of a label)"
    )
    labels: FilePath | None = Field(
        None, description='with --like: a TOML file of words of your own, such as eyes = ["relu4_3:185"]'
    )
    atlas: FilePath | None = Field(
        None, description=f"with --like: what `oneira atlas` found out, its folder or the {FILE} in it"
    )

    @field_validator("atlas")
    @classmethod
    def _file_of(cls, atlas: str | None) -> str | None:
        # As recipes tell it: what has a hash is a file.
        return atlas if atlas is None or atlas.endswith(".json") else str(Path(atlas) / FILE)

    @model_validator(mode="after")
    def _belonging(self) -> "Likeness":
        for name in OF_LIKE:
            if not self.like and getattr(self, name) is not None:
                raise ValueError(f"{option_name(name)} belongs to --like: say what is to be found, such as --like eyes")
        return self

    def require_alone(self, *others: str) -> None:
        """ValueError where --like stands beside another option that says which channels, or how much each counts."""
        for name in others:
            if self.like and getattr(self, name) != type(self).model_fields[name].default:
                raise ValueError(f"--like chooses channels by what they are known for: leave out {option_name(name)}")

    def likes(self, layers: Collection[str] = ()) -> list[Unit]:
        """The channels of all words, each once; `layers`: only of these addresses, none: of all layers.

        Raises AddressError for what no channel is known for, PlanError where nothing is known of the network, DataError
        for files that are something else.
        """
        called, pushed = self._labels(), self._meanings()
        chosen: list[Unit] = []
        for word in self.like:
            labelled = called.called(word)
            pushing = [] if pushed is None else pushed.ranked(word)
            if not (labelled or pushing):
                raise AddressError(_unknown(word, self.model, called, pushed))
            labelled = _of_layers(labelled, layers)
            found = list(dict.fromkeys([*labelled, *_of_layers(pushing, layers)]))
            if not found:
                told = ", ".join(layers)
                raise AddressError(f"no channel of {told} is known for {word!r}: name other layers, or none")
            chosen += found[: self.like_count or max(FEW, len(labelled))]
        return list(dict.fromkeys(chosen))

    def _labels(self) -> Labels:
        """One's own, then those of the package."""
        shipped = pocket_labels() if self.model == DEFAULT_BACKBONE else Labels()
        if self.labels is None:
            return shipped
        data = self._read(self.labels, labels.LARGEST_FILE, "the labels")
        return Labels.decode(data, self.model, repr(self.labels)).before(shipped)

    def _meanings(self) -> Meanings | None:
        """What channels push; None where nothing but labels is known."""
        if self.atlas is not None:
            told = Meanings.decode(self._read(self.atlas, meanings.LARGEST_FILE, "the atlas"), repr(self.atlas))
            if told.model != self.model:
                raise PlanError(f"{self.atlas!r} is of {told.model}, not of {self.model}: give --model {told.model}")
            return told
        if self.model == DEFAULT_BACKBONE:
            return pocket_meanings()
        if self.labels is None:
            raise PlanError(
                f"what channels of {self.model} are known for does not come with the package: `oneira atlas "
                f"{self.model}` finds it out, then give --atlas atlas-{self.model}; or name them by --labels FILE"
            )
        return None

    def _read(self, path: str, limit: int, what: str) -> bytes:
        try:
            return self.file(path, limit)
        except ImageError as error:
            raise DataError(f"cannot read {what}: {error}") from error


def _of_layers(units: list[Unit], layers: Collection[str]) -> list[Unit]:
    wanted = {resolve(layer).key for layer in layers}
    return [unit for unit in units if not wanted or resolve(unit.layer).key in wanted]


def _unknown(word: str, model: str, called: Labels, pushed: Meanings | None) -> str:
    classes = () if pushed is None else pushed.classes
    hint = nearest(word, [*called.units, *(name.strip() for line in classes for name in line.split(","))])
    known = [f"the names of its {len(classes)} classes"] if classes else []
    if called.units:
        known.append(f"the labels: {', '.join(called.units)}")
    return f"no channel of {model} is known for {word!r}{hint} (--like knows {' and '.join(known) or 'nothing'})"
