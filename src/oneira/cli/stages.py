"""The pictures of a run's stages: a file for each, written while the run goes on."""

import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from torch import Tensor

from oneira.errors import ImageError, PlanError
from oneira.synthesis.steps import Step

LONGEST_STAGE = 48  # characters of a name in a file's: of up to 4 bytes each, where file names have some 200


class StageFiles:
    """`FOLDER/0001-NAME.png` and so on, numbered by the stages' places in the run, so that resuming goes on well.

    `stages` are names by the scale that they end with; `save` writes a picture to a path, or raises ImageError.
    """

    def __init__(
        self, folder: Path, extension: str, stages: Mapping[int, str], save: Callable[[Path, Tensor], None]
    ) -> None:
        self._folder = folder
        self._save = save
        self._paths = {
            scale: folder / (f"{number:04d}-{safe(stages[scale])}".rstrip("-") + extension)
            for number, scale in enumerate(sorted(stages), 1)
        }
        self._failed = False

    def require_apart(self, others: Iterable[Path]) -> None:
        """PlanError where a stage would be written over one of `others`."""
        for other in others:
            if any(_same(path, other) for path in self._paths.values()):
                raise PlanError(f"a stage would be written over {str(other)!r}; name another folder with --stages")

    def note(self) -> str | None:
        """What to tell where there is nothing to do."""
        return None if self._paths else f"this run has no stages: nothing is written into {self._folder}"

    def write(self, step: Step) -> str | None:
        """The picture of the stage that ends with `step`, if one does. A note, once, where it cannot be written."""
        if step.stage is None:
            return None
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            self._save(self._paths[step.scale], step.image)
        except (ImageError, OSError) as error:
            if not self._failed:
                self._failed = True
                told = str(error) if isinstance(error, ImageError) else f"{self._folder}: {error.strerror}"
                return f"{told}; stages that cannot be written are left out"
        return None


def _same(one: Path, other: Path) -> bool:
    return one.absolute() == other.absolute() or (one.exists() and other.exists() and one.samefile(other))


def safe(name: str) -> str:
    """A stage's name for a file: letters, digits, points, dashes and underscores."""
    return re.sub(r"[^\w.-]+", "-", name).strip("-.")[:LONGEST_STAGE]


def stage_at(stages: Mapping[int, str], scale: int) -> str | None:
    """The name of the stage, of names by the scale that they end with, that is worked on at `scale`."""
    return next((stages[end] for end in sorted(stages) if end >= scale), None)
