"""The folder of a training: what must not be lost when it is killed, and what it leaves behind."""

import time
from collections.abc import Collection, Generator
from pathlib import Path

from oneira.checkpoints import read_newest, write_checkpoint
from oneira.errors import CheckpointError, DataError, PlanError
from oneira.features.training.dataset import LabelledPictures, Progress
from oneira.features.training.log import TrainingLog
from oneira.features.training.result import Choice, choose, folded_state, save_folded
from oneira.features.training.step import TrainingStep
from oneira.features.training.trainer import Trainer

SAVE_EVERY = 45.0  # seconds: a training that is killed loses less than a minute


class TrainingFolder:
    """`checkpoint.pt` and the one before it, `log.csv`, snapshots of epochs, and in the end `pocket.safetensors`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.checkpoint = path / "checkpoint.pt"
        self.previous = path / "checkpoint.previous.pt"
        self.log = path / "log.csv"
        self.result = path / "pocket.safetensors"

    def snapshot(self, epoch: int) -> Path:
        """Where the network after `epoch` epochs is kept; 0 is the one that training started from."""
        return self.path / f"epoch-{epoch:03}.safetensors"

    def resume(self, trainer: Trainer) -> tuple[str, ...]:
        """Bring `trainer` to the newest checkpoint that is undamaged; lines worth telling the user.

        Raises CheckpointError where there is none, or where it was made with other settings.
        """
        if not (self.checkpoint.exists() or self.previous.exists()):
            raise CheckpointError(f"there is no checkpoint in {self.path} to go on from")
        state, path, problems = read_newest(self.checkpoint, self.previous)
        try:
            told = trainer.restore(state)
        except CheckpointError as error:
            raise CheckpointError(f"cannot go on from {path}: {error}") from error
        notes = list(problems)
        if not told:
            notes.append(f"{path} does not say its settings; they are taken to be the same")
        if path == self.previous:
            notes.append(f"going on from the checkpoint before it, {path}, at step {trainer.step}")
        return tuple(notes)

    def record(
        self, trainer: Trainer, *, save_every: float = SAVE_EVERY, snapshots: Collection[int] = ()
    ) -> Generator[TrainingStep, None, None]:
        """Run `trainer`, and keep checkpoints, the log, and the networks after the epochs in `snapshots`.

        A checkpoint is written `save_every` seconds after the one before it, at the end of every epoch, and when this
        generator is closed; an exception in the middle of a step, such as KeyboardInterrupt, leaves the last one.
        Raises PlanError where the folder holds another training, SynthesisError where the loss stops being a number
        (the last checkpoint stays as it is), CheckpointError where the disk refuses.
        """
        self._claim(trainer)
        if trainer.step == 0 and 0 in snapshots:
            self._keep(trainer, 0)
        saved = time.monotonic()
        with TrainingLog(self.log, step=trainer.step, epochs_done=trainer.epochs_done) as log:
            try:
                for step in trainer.run():
                    log.write(step)
                    if step.validation is not None and step.epoch in snapshots:
                        self._keep(trainer, step.epoch)
                    if trainer.validation_due or trainer.finished or time.monotonic() - saved >= save_every:
                        self.save(trainer)
                        saved = time.monotonic()
                    yield step
            except GeneratorExit:
                self.save(trainer)
                raise

    def save(self, trainer: Trainer) -> None:
        """Write a checkpoint; the one before it is kept besides. Raises as `record`."""
        write_checkpoint(self.checkpoint, self.previous, trainer.state())

    def finish(
        self, trainer: Trainer, validation: LabelledPictures | None = None, progress: Progress | None = None
    ) -> Choice:
        """Write the better of the weights and their average, by top-1 on `validation` (the trainer's unless given)."""
        choice, state = choose(trainer, validation if validation is not None else trainer.validation, progress)
        about = {
            "weights": choice.kept,
            "top1": choice.accuracy.top1,
            "top5": choice.accuracy.top5,
            "validated_on": choice.accuracy.count,
            "epochs": trainer.epochs_done,
            "settings": trainer.settings.model_dump(mode="json"),
        }
        save_folded(state, self.result, classes=trainer.training.classes, about=about)
        return choice

    def _keep(self, trainer: Trainer, epoch: int) -> None:
        save_folded(
            folded_state(trainer.network),
            self.snapshot(epoch),
            classes=trainer.training.classes,
            about={"epochs": epoch, "settings": trainer.settings.model_dump(mode="json")},
        )

    def _claim(self, trainer: Trainer) -> None:
        if trainer.step == 0 and (self.checkpoint.exists() or self.previous.exists()):
            raise PlanError(f"{self.path} holds a training already: resume it, or name another folder")
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise DataError(f"cannot make the folder {self.path} ({error.strerror})") from error
