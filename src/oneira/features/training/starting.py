"""The network that training starts from: a fresh one, or one that has been trained and folded before."""

from pathlib import Path

import torch
from torch import Tensor, nn

from oneira.errors import WeightsError
from oneira.features.backbones.pocket import DEPTHS, WIDTHS, pocket, pocket_fitting, unfold
from oneira.features.preprocessing import IMAGENET
from oneira.features.training.dataset import LabelledPictures
from oneira.features.training.settings import TrainingSettings
from oneira.features.weights.reading import read_tensors, require_file

MEASURED = 1024  # pictures that batch norm's statistics are measured on


def fresh_network(
    classes: int,
    settings: TrainingSettings,
    *,
    widths: tuple[int, ...] = WIDTHS,
    depths: tuple[int, ...] = DEPTHS,
) -> nn.Sequential:
    """An untrained `pocket` with batch norm, drawn from the settings' seed (He et al. 2015)."""
    network = pocket(batch_norm=True, classes=classes, widths=widths, depths=depths)
    generator = settings.generator("weights")
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu", generator=generator)
        elif isinstance(module, nn.Linear):
            _draw_head(module, generator)
    return network


def continued_network(
    path: Path, data: LabelledPictures, settings: TrainingSettings, *, new_head: bool = False
) -> nn.Sequential:
    """The folded network in `path` with batch norm put back, so that training can go on from it.

    It computes what the file computes. With `new_head` its last layer is drawn anew, for as many classes as `data` has.
    Raises WeightsError where the file is damaged, is no `pocket`, or tells another number of classes apart.
    """
    require_file(path)
    state = {name: value.float() for name, value in read_tensors(path, {}, IMAGENET).items()}
    folded = _folded(path, state)
    wanted = len(data.classes) or int(data.labels.max()) + 1
    classes = len(state["fc.bias"])
    if not new_head and classes != wanted:
        raise WeightsError(f"{path} tells {classes} classes apart, the data has {wanted}: ask for a new head")
    network = unfold(folded.state_dict(), _sample(data, settings))
    if new_head:
        network.fc = nn.Linear(state["fc.weight"].shape[1], wanted)
        _draw_head(network.fc, settings.generator("weights"))
    return network


def _folded(path: Path, state: dict[str, Tensor]) -> nn.Sequential:
    try:
        network = pocket_fitting(state)
        network.load_state_dict(state)
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise WeightsError(f"{path} holds no folded pocket network ({str(error).splitlines()[0]})") from error
    if not all(bool(value.isfinite().all()) for value in state.values()):
        raise WeightsError(f"{path} is damaged: not all of its numbers are finite")
    return network


def _sample(data: LabelledPictures, settings: TrainingSettings) -> Tensor:
    chosen = torch.randperm(len(data), generator=settings.generator("statistics"))[:MEASURED]
    crops = settings.augmentation(data.pictures[chosen], settings.side(0), settings.generator("statistics", 1))
    return IMAGENET(crops)


def _draw_head(head: nn.Linear, generator: torch.Generator) -> None:
    bound = head.in_features**-0.5
    nn.init.uniform_(head.weight, -bound, bound, generator=generator)
    nn.init.zeros_(head.bias)
