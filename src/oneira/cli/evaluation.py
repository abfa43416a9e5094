"""How good a network is, in lines for a person."""

from collections.abc import Callable
from pathlib import Path

import torch
from torch import nn

from oneira.features import Backbone, find_backbone
from oneira.features.training import LabelledPictures, confusions, evaluate
from oneira.features.weights import LoadedWeights, load_weights

MISTAKES = 10  # how many kinds of them are told


def network_called(name: str, *, offline: bool) -> tuple[Backbone, nn.Module]:
    """A backbone by its name, or by a file of weights that `oneira train backbone` made, with whatever classes."""
    path = Path(name)
    backbone = find_backbone("pocket" if path.suffix else name)
    loaded: LoadedWeights = load_weights(backbone, file=path if path.suffix else None, offline=offline)
    return backbone, loaded.network


def measured(
    network: tuple[Backbone, nn.Module],
    data: LabelledPictures,
    device: torch.device,
    precision: torch.dtype,
    progress: Callable[[int, int], None],
) -> list[str]:
    """Top-1 and top-5 on `data`, then the most frequent mistakes."""
    backbone, module = network
    module.to(device)
    accuracy = evaluate(module, data, preprocessing=backbone.preprocessing, precision=precision, progress=progress)
    names = data.classes or (backbone.classes() if backbone.classes is not None else ())
    mistakes = confusions(module, data, names, preprocessing=backbone.preprocessing, precision=precision, most=MISTAKES)
    return [
        f"top-1 {accuracy.top1:.2%}  top-5 {accuracy.top5:.2%}  of {accuracy.count} pictures",
        *(f"{mistake.count:4}  {mistake.true} taken for {mistake.guessed}" for mistake in mistakes),
    ]
