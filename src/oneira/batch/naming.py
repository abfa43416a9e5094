"""How the pictures of a job are called, by a template such as {stem}-{verb}.png."""

import hashlib
import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path, PurePath
from string import Formatter
from typing import Self

from oneira.errands import EXTENSIONS, Errand, errands_apart
from oneira.errors import ImageError, PlanError, nearest
from oneira.images.formats import format_for
from oneira.images.opening import sha256_of

PLAIN = "{folder}/{stem}"
SAME = "same"  # as a format: the picture's own
OTHERWISE = ".png"  # where that cannot be written
WORDS = ("stem", "name", "folder", "verb", "hash")
NUMBERS = ("index", "seed")
DIGITS = 12  # of {hash}
_WIDTH = re.compile(r"(0?[1-9][0-9]?)?")  # of a number, such as 04 in {index:04}


@dataclass(frozen=True)
class Naming:
    """A template, and the extension behind what it gives: "" where it has its own, None for the picture's.

    Fields: {stem} and {name} are the picture's without and with its extension, {folder} the one below the folder it was
    found by, {verb} and {seed} what it is made with, {index} its number from 1, {hash} twelve digits of what decides
    the result. A number may have a width: {index:04}.
    """

    template: str
    extension: str | None

    @classmethod
    def parse(cls, template: str | None, kind: str | None) -> Self:
        """Of what is typed; `kind` is a format such as png, or "same". Raises PlanError for what is no template.

        Raises ImageError for a format that cannot be written.
        """
        told = PLAIN if template is None else template
        if not told:
            raise PlanError("an empty template names no file; such as {stem}-{verb}.png")
        _require_fields(told)
        if PurePath(told).suffix.lower() in EXTENSIONS:
            format_for(told)
            if kind is not None:
                raise PlanError(f"--format {kind} and the template {told!r} both choose the format: leave one out")
            return cls(told, "")
        if kind == SAME:
            return cls(told, None)
        extension = f".{(kind or 'png').lower().removeprefix('.')}"
        format_for(f"picture{extension}")
        return cls(told, extension)

    def errands(
        self, pictures: Iterable[tuple[Path, Path]], folder: Path, *, verb: str, seed: int, recipe: str
    ) -> list[Errand]:
        """Where each of `pictures`, by source and name, goes below `folder`; `recipe` is the digest of what is done.

        Raises PlanError where one would lie outside `folder`, where two would be the same file, or one would be written
        over a picture that is yet to be read.
        """
        named = []
        for index, (source, name) in enumerate(pictures, 1):
            values: dict[str, object] = {
                "stem": name.stem,
                "name": name.name,
                "folder": str(name.parent),
                "verb": verb,
                "index": index,
                "seed": seed,
                "hash": _digest(recipe, source) if "{hash}" in self.template else "",
            }
            rendered = self.template.format_map(values) + self._extension_of(source)
            named.append(Errand(source, _below(folder, rendered, source)))
        _require_within(folder, {errand.target.parent for errand in named})
        return errands_apart(named, "a --template with {folder}, {name} or {index} tells them apart")

    def _extension_of(self, source: Path) -> str:
        if self.extension is not None:
            return self.extension
        try:
            format_for(source)
        except ImageError:
            return OTHERWISE
        return source.suffix


def _digest(recipe: str, source: Path) -> str:
    try:
        own = sha256_of(source)
    except ImageError:  # which will be told when it is to be made
        own = ""
    return hashlib.sha256(f"{recipe} {own}".encode()).hexdigest()[:DIGITS]


def _require_fields(template: str) -> None:
    try:
        parts = list(Formatter().parse(template))
    except ValueError as error:
        raise PlanError(f"{template!r} is no template ({error}); such as {{stem}}-{{verb}}.png") from error
    for _, field, width, conversion in parts:
        if field is None:
            continue
        if field not in (*WORDS, *NUMBERS):
            allowed = " ".join(f"{{{name}}}" for name in (*WORDS, *NUMBERS))
            raise PlanError(f"unknown field {{{field}}} of a template{nearest(field, (*WORDS, *NUMBERS))}: {allowed}")
        fits = _WIDTH.fullmatch(width or "") if field in NUMBERS else not width
        if conversion or not fits:
            raise PlanError(
                f"{{{field}}} in {template!r} has what no field takes; a number may have a width: {{index:04}}"
            )


def _below(folder: Path, rendered: str, source: Path) -> Path:
    name = PurePath(rendered)
    if name.is_absolute() or ".." in name.parts or "\0" in rendered or not name.name:
        raise PlanError(f"the template would put {str(source)!r} at {rendered!r}, which is not below the output folder")
    return folder / name


def _require_within(folder: Path, parents: Iterable[Path]) -> None:
    """PlanError where a link on the way leads out of `folder`."""
    inside = folder.resolve()
    for parent in parents:
        if not parent.resolve().is_relative_to(inside):
            out = os.fspath(parent.resolve())
            raise PlanError(f"{str(parent)!r} leads out of the output folder, to {out!r}; remove that link")
