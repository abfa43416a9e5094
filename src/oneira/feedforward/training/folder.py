"""The folder of a training: what must not be lost when it is killed, and what it leaves behind."""

import time
from collections.abc import Generator
from pathlib import Path

from oneira.checkpoints import read_newest, write_checkpoint
from oneira.errors import CheckpointError, DataError, PlanError
from oneira.feedforward.training.log import StylizerLog
from oneira.feedforward.training.preview import Preview
from oneira.feedforward.training.starting import StylizerTraining
from oneira.feedforward.training.step import StylizerStep
from oneira.feedforward.training.trainer import StylizerTrainer
from oneira.images import save

SAVE_EVERY = 45.0  # seconds: a training that is killed loses less than a minute
PREVIEW_EVERY = 250  # steps


class StylizerFolder:
    """`checkpoint.pt` and the one before it, `log.csv`, `preview.png`, and in the end `stylizer.safetensors`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.checkpoint = path / "checkpoint.pt"
        self.previous = path / "checkpoint.previous.pt"
        self.log = path / "log.csv"
        self.preview = path / "preview.png"
        self.result = path / "stylizer.safetensors"

    @property
    def begun(self) -> bool:
        """Whether it holds a training."""
        return self.checkpoint.exists() or self.previous.exists()

    def resume(self, trainer: StylizerTrainer) -> tuple[str, ...]:
        """Bring `trainer` to the newest checkpoint that is undamaged; lines worth telling the user.

        Raises CheckpointError where there is none, or where it was made with other settings.
        """
        if not self.begun:
            raise CheckpointError(f"there is no checkpoint in {self.path} to go on from")
        state, path, problems = read_newest(self.checkpoint, self.previous)
        try:
            trainer.restore(state)
        except CheckpointError as error:
            raise CheckpointError(f"cannot go on from {path}: {error}") from error
        if path == self.previous:
            return (*problems, f"going on from the checkpoint before it, {path}, at step {trainer.step}")
        return problems

    def record(
        self,
        training: StylizerTraining,
        preview: Preview,
        *,
        save_every: float = SAVE_EVERY,
        preview_every: int = PREVIEW_EVERY,
    ) -> Generator[StylizerStep, None, None]:
        """Train, and keep checkpoints, the log and the preview; of several processes, only the first one does.

        A checkpoint is written `save_every` seconds after the one before it, at the end, and when this generator is
        closed; an exception in the middle of a step, such as KeyboardInterrupt, leaves the last one. Raises PlanError
        where the folder holds another training, SynthesisError where the training cannot go on, CheckpointError where
        the disk refuses.
        """
        trainer = training.trainer
        if not trainer.ranks.first:
            yield from trainer.run()
            return
        self._claim(trainer)
        saved = time.monotonic()
        with StylizerLog(self.log, step=trainer.step) as log:
            try:
                for step in trainer.run():
                    log.write(step)
                    if trainer.finished or step.step % preview_every == 0:
                        save(self.preview, preview.drawn(trainer, training.names))
                    if trainer.finished or time.monotonic() - saved >= save_every:
                        self.save(trainer)
                        saved = time.monotonic()
                    yield step
            except GeneratorExit:
                self.save(trainer)
                raise

    def save(self, trainer: StylizerTrainer) -> None:
        """Write a checkpoint; the one before it is kept besides. CheckpointError where the disk refuses."""
        write_checkpoint(self.checkpoint, self.previous, trainer.state())

    def finish(self, training: StylizerTraining) -> None:
        """Write the trained network. Raises WeightsError where it is not finite, or the disk refuses."""
        if training.trainer.ranks.first:
            training.trained().write(self.result)

    def _claim(self, trainer: StylizerTrainer) -> None:
        if trainer.step == 0 and self.begun:
            raise PlanError(f"{self.path} holds a training already: resume it, or name another folder")
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise DataError(f"cannot make the folder {self.path} ({error.strerror})") from error
