"""The folder of a training: what must not be lost when it is killed, and what it leaves behind."""

import time
from collections.abc import Generator
from pathlib import Path

from oneira.features.training.checkpointed import SAVE_EVERY, CheckpointedFolder
from oneira.feedforward.training.log import StylizerLog
from oneira.feedforward.training.preview import Preview
from oneira.feedforward.training.starting import StylizerTraining
from oneira.feedforward.training.step import StylizerStep
from oneira.feedforward.training.trainer import StylizerTrainer
from oneira.images import save

PREVIEW_EVERY = 250  # steps


class StylizerFolder(CheckpointedFolder):
    """Besides, `preview.png`, and in the end `stylizer.safetensors`."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.preview = path / "preview.png"
        self.result = path / "stylizer.safetensors"

    def resume(self, trainer: StylizerTrainer) -> tuple[str, ...]:
        """Bring `trainer` to the newest checkpoint that is undamaged; lines worth telling the user.

        Raises CheckpointError where there is none, or where it was made with other settings.
        """
        back = self.bring_back(trainer)
        return (*back.problems, *back.before)

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
        self.claim(trainer)
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

    def finish(self, training: StylizerTraining) -> None:
        """Write the trained network. Raises WeightsError where it is not finite, or the disk refuses."""
        if training.trainer.ranks.first:
            training.trained().write(self.result)
