"""What a training leaves behind: networks with batch norm folded in, as float16 safetensors that say what they are."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from safetensors.torch import save
from torch import Tensor, nn

from oneira.errors import DataError
from oneira.features.backbones.pocket import fold, pocket_fitting
from oneira.features.training.dataset import LabelledPictures, Progress
from oneira.features.training.evaluation import Accuracy, evaluate
from oneira.features.training.trainer import Trainer
from oneira.files import write_whole


@dataclass(frozen=True)
class Choice:
    """Which weights were kept, and how often each candidate is right, measured on what is written: folded, float16.

    Candidates are `plain` (the network as training left it), `remeasured` (its batch-norm statistics those of whole
    pictures) and `averaged` (the average of the weights, with such statistics).
    """

    kept: str
    candidates: Mapping[str, Accuracy]

    @property
    def accuracy(self) -> Accuracy:
        """Of the weights that were kept."""
        return self.candidates[self.kept]


def folded_state(network: nn.Sequential) -> dict[str, Tensor]:
    """The weights that ship: batch norm folded into the convolutions, float16, on the CPU."""
    return {name: value.half().cpu().contiguous() for name, value in fold(network).items()}


def folded_network(state: Mapping[str, Tensor]) -> nn.Sequential:
    """Folded weights as a network, float32, in eval mode."""
    network = pocket_fitting(state)
    network.load_state_dict(state)
    return network.eval()


def save_folded(state: dict[str, Tensor], path: Path, *, classes: Sequence[str], about: Mapping[str, object]) -> None:
    """Write folded weights as safetensors, whole or not at all.

    The file's metadata hold, under `oneira`, a JSON object: `classes` (their names) and what is told `about` the
    training. Raises DataError where the disk refuses.
    """
    # One entry: safetensors writes several in any order, and the same training shall give the same bytes.
    data = save(state, {"oneira": json.dumps({"classes": list(classes), **about})})
    try:
        write_whole(path, lambda file: file.write(data))
    except OSError as error:
        raise DataError(f"cannot write {path} ({error.strerror})") from error


def choose(
    trainer: Trainer, validation: LabelledPictures, progress: Progress | None = None
) -> tuple[Choice, dict[str, Tensor]]:
    """The best candidate's folded weights, by top-1 on `validation`.

    All are measured as they would be written, folded and rounded to float16, computed in float32. `progress` counts the
    pictures of all of them.
    """
    states = {
        "averaged": folded_state(trainer.averaged()),
        "remeasured": folded_state(trainer.measured_anew(trainer.network)),
        "plain": folded_state(trainer.network),
    }
    candidates: dict[str, Accuracy] = {}
    for name, state in states.items():
        before = len(candidates) * len(validation)

        def counted(done: int, total: int, before: int = before) -> None:
            if progress is not None:
                progress(before + done, len(states) * total)

        candidates[name] = evaluate(folded_network(state).to(trainer.device), validation, progress=counted)
    kept = max(candidates, key=lambda name: candidates[name].top1)  # the smoother one, where they are equal
    return Choice(kept, candidates), states[kept]
