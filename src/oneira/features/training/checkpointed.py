"""What every folder of a training holds: two checkpoints and a table, and how a training is brought back to them."""

from pathlib import Path
from typing import Any, Generic, NamedTuple, Protocol, TypeVar

from oneira.checkpoints import read_newest, write_checkpoint
from oneira.errors import CheckpointError, DataError, PlanError

SAVE_EVERY = 45.0  # seconds: a training that is killed loses less than a minute
Told = TypeVar("Told", covariant=True)


class Trainable(Protocol[Told]):
    """What can be saved between two steps, and brought back; `restore` may tell something of what it found."""

    step: int

    def state(self) -> dict[str, Any]:
        """Everything that the steps to come depend on."""

    def restore(self, state: dict[str, Any]) -> Told:
        """Go on from where `state()` was taken; CheckpointError where it is of something else."""


class BroughtBack(NamedTuple, Generic[Told]):
    """What `restore` told, the checkpoint's file, and lines worth telling: of the other, and of which one it is."""

    told: Told
    path: Path
    problems: tuple[str, ...]
    before: tuple[str, ...]


class CheckpointedFolder:
    """`checkpoint.pt` and the one before it, and `log.csv`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.checkpoint = path / "checkpoint.pt"
        self.previous = path / "checkpoint.previous.pt"
        self.log = path / "log.csv"

    @property
    def begun(self) -> bool:
        """Whether it holds a training."""
        return self.checkpoint.exists() or self.previous.exists()

    def save(self, trainer: Trainable[object]) -> None:
        """Write a checkpoint; the one before it is kept besides. CheckpointError where the disk refuses."""
        write_checkpoint(self.checkpoint, self.previous, trainer.state())

    def bring_back(self, trainer: Trainable[Told]) -> BroughtBack[Told]:
        """Bring `trainer` to the newest checkpoint that is undamaged.

        Raises CheckpointError where there is none, or where it was made with other settings.
        """
        if not self.begun:
            raise CheckpointError(f"there is no checkpoint in {self.path} to go on from")
        state, path, problems = read_newest(self.checkpoint, self.previous)
        try:
            told = trainer.restore(state)
        except CheckpointError as error:
            raise CheckpointError(f"cannot go on from {path}: {error}") from error
        before = f"going on from the checkpoint before it, {path}, at step {trainer.step}"
        return BroughtBack(told, path, problems, (before,) if path == self.previous else ())

    def claim(self, trainer: Trainable[object]) -> None:
        """Make the folder. PlanError where it holds another training, DataError where the disk refuses."""
        if trainer.step == 0 and self.begun:
            raise PlanError(f"{self.path} holds a training already: resume it, or name another folder")
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise DataError(f"cannot make the folder {self.path} ({error.strerror})") from error
