"""How often a network is right: top-1 and top-5."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from oneira.features.preprocessing import IMAGENET
from oneira.features.training.dataset import LabelledPictures


@dataclass(frozen=True)
class Accuracy:
    """Shares in [0, 1] of `count` pictures whose label is the first guess, or among the first five."""

    top1: float
    top5: float
    count: int


@torch.no_grad()
def evaluate(
    network: nn.Module,
    data: LabelledPictures,
    *,
    batch: int = 250,
    precision: torch.dtype = torch.float32,
) -> Accuracy:
    """Top-1 and top-5 of `network` (normalised pictures -> logits) on every picture of `data`, as they are."""
    training = network.training
    network.eval()
    top1 = top5 = 0
    device = next(network.parameters()).device
    for pictures, labels in zip(data.pictures.split(batch), data.labels.split(batch), strict=True):
        inputs = IMAGENET(pictures.to(device).float().div_(255)).contiguous(memory_format=torch.channels_last)
        with torch.autocast(device.type, precision, enabled=precision != torch.float32):
            logits: Tensor = network(inputs)
        hits = logits.float().topk(5).indices == labels.to(device)[:, None]
        top1 += int(hits[:, 0].sum())
        top5 += int(hits.any(1).sum())
    network.train(training)
    return Accuracy(top1 / len(data), top5 / len(data), len(data))
