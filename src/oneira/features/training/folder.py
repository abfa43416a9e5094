"""The folder of a training: what must not be lost when it is killed, and what it leaves behind."""

import time
from collections.abc import Collection, Generator
from pathlib import Path

from oneira.features.training.checkpointed import SAVE_EVERY, CheckpointedFolder
from oneira.features.training.dataset import LabelledPictures, Progress
from oneira.features.training.log import TrainingLog
from oneira.features.training.result import Choice, choose, folded_state, save_folded
from oneira.features.training.step import TrainingStep
from oneira.features.training.trainer import Trainer


class TrainingFolder(CheckpointedFolder):
    """Besides, snapshots of epochs, and in the end `pocket.safetensors`."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.result = path / "pocket.safetensors"

    def snapshot(self, epoch: int) -> Path:
        """Where the network after `epoch` epochs is kept; 0 is the one that training started from."""
        return self.path / f"epoch-{epoch:03}.safetensors"

    def resume(self, trainer: Trainer) -> tuple[str, ...]:
        """Bring `trainer` to the newest checkpoint that is undamaged; lines worth telling the user.

        Raises CheckpointError where there is none, or where it was made with other settings.
        """
        back = self.bring_back(trainer)
        notes = list(back.problems)
        if not back.told:
            notes.append(f"{back.path} does not say its settings; they are taken to be the same")
        return (*notes, *back.before)

    def record(
        self, trainer: Trainer, *, save_every: float = SAVE_EVERY, snapshots: Collection[int] = ()
    ) -> Generator[TrainingStep, None, None]:
        """Run `trainer`, and keep checkpoints, the log, and the networks after the epochs in `snapshots`.

        A checkpoint is written `save_every` seconds after the one before it, at the end of every epoch, and when this
        generator is closed; an exception in the middle of a step, such as KeyboardInterrupt, leaves the last one.
        Raises PlanError where the folder holds another training, SynthesisError where the loss stops being a number
        (the last checkpoint stays as it is), CheckpointError where the disk refuses.
        """
        self.claim(trainer)
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
