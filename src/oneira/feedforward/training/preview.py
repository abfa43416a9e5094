"""What a network has learned so far, on a sheet: a few photographs, each in every style, or pieces of texture."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from oneira.feedforward.training.losses import Lessons
from oneira.feedforward.training.tasks import Texturing, called
from oneira.feedforward.training.trainer import StylizerTrainer
from oneira.images import Cell, fit, resize, sheet


@dataclass(frozen=True, eq=False)
class Preview:
    """`photographs` (1, 3, h, w), shown with a long side of `side` pixels.

    Of a texture network, as many pieces of texture of `side` x `side` pixels.
    """

    photographs: Sequence[Tensor]
    side: int = 256

    @torch.no_grad()
    def drawn(self, trainer: StylizerTrainer, names: Sequence[str]) -> Tensor:
        """The sheet (1, 3, h, w): photographs down, the picture itself and the styles, by `names`, across."""
        task = trainer.task
        if isinstance(task, Texturing):
            side = trainer.settings.largest
            pieces = [self._drawn(trainer, task.lessons(range(n, n + 1), side)) for n in range(len(self.photographs))]
            return sheet([[Cell(piece) for piece in pieces]], title=names[0])
        rows = []
        for photograph in self.photographs:
            small = resize(photograph, fit(photograph.shape[2], photograph.shape[3], self.side))
            styled = [self._drawn(trainer, Lessons([number], small)) for number in range(len(names))]
            rows.append([Cell(picture) for picture in (small, *styled)])
        return sheet(rows, column_labels=("photograph", *names))

    def _drawn(self, trainer: StylizerTrainer, lessons: Lessons) -> Tensor:
        network = trainer.averaged()
        inputs = trainer.task.inputs(lessons.on(trainer.device), trainer.device)
        return called(network, inputs, trainer.device, trainer.precision).cpu()
