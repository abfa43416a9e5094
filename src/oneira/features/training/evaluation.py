"""How often a network is right, and what it takes for what."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from oneira.errors import DataError
from oneira.features.preprocessing import IMAGENET
from oneira.features.training.dataset import LabelledPictures, Progress


@dataclass(frozen=True)
class Accuracy:
    """Shares in [0, 1] of `count` pictures whose label is the first guess, or among the first five."""

    top1: float
    top5: float
    count: int


@dataclass(frozen=True)
class Confusion:
    """`count` pictures of the class `true` were taken for `guessed`."""

    true: str
    guessed: str
    count: int


def evaluate(
    network: nn.Module,
    data: LabelledPictures,
    *,
    preprocessing: Callable[[Tensor], Tensor] = IMAGENET,
    precision: torch.dtype = torch.float32,
    batch: int = 250,
    progress: Progress | None = None,
) -> Accuracy:
    """Top-1 and top-5 of a classifier on every picture of `data`, as it is.

    `preprocessing` makes the network's input of images (b, 3, side, side) in [0, 1]; `progress` is called with the
    pictures done and all of them. The network is in eval mode meanwhile. Raises DataError where a label is beyond the
    network's classes.
    """
    hits: list[Tensor] = []
    for logits, labels in _answers(network, data, preprocessing, precision, batch, progress):
        guesses = logits.topk(min(5, logits.shape[1])).indices == labels[:, None]
        hits.append(torch.stack([guesses[:, 0].sum(), guesses.any(1).sum()]))
    top1, top5 = torch.stack(hits).sum(0).tolist()  # read once: every reading makes an accelerator wait
    return Accuracy(top1 / len(data), top5 / len(data), len(data))


def confusions(
    network: nn.Module,
    data: LabelledPictures,
    classes: Sequence[str],
    *,
    preprocessing: Callable[[Tensor], Tensor] = IMAGENET,
    precision: torch.dtype = torch.float32,
    batch: int = 250,
    most: int = 20,
) -> list[Confusion]:
    """The `most` frequent mistakes by first guess, the most frequent one first; arguments as for `evaluate`."""
    counted: Counter[tuple[int, int]] = Counter()
    for logits, labels in _answers(network, data, preprocessing, precision, batch, None):
        pairs = zip(labels.tolist(), logits.argmax(1).tolist(), strict=True)
        counted.update((true, guessed) for true, guessed in pairs if true != guessed)

    def named(index: int) -> str:
        return classes[index] if index < len(classes) else str(index)

    ordered = sorted(counted.items(), key=lambda item: (-item[1], item[0]))
    return [Confusion(named(true), named(guessed), count) for (true, guessed), count in ordered[:most]]


@torch.no_grad()
def _answers(
    network: nn.Module,
    data: LabelledPictures,
    preprocessing: Callable[[Tensor], Tensor],
    precision: torch.dtype,
    batch: int,
    progress: Progress | None,
) -> Iterator[tuple[Tensor, Tensor]]:
    """Logits (b, classes) in float32 and labels (b,), batch by batch, on the network's device."""
    device = next((parameter.device for parameter in network.parameters()), torch.device("cpu"))
    was_training = network.training
    network.eval()
    done = 0
    try:
        for pictures, labels in zip(data.pictures.split(batch), data.labels.split(batch), strict=True):
            inputs = preprocessing(pictures.to(device).float().div_(255))
            with torch.autocast(device.type, precision, enabled=precision != torch.float32):
                logits: Tensor = network(inputs.contiguous(memory_format=torch.channels_last))
            highest = int(labels.max())
            if highest >= logits.shape[1]:
                raise DataError(f"the data has a class {highest}, but the network tells 0 to {logits.shape[1] - 1}")
            yield logits.float(), labels.to(device)
            done += len(labels)
            if progress is not None:
                progress(done, len(data))
    finally:
        network.train(was_training)
