"""Smoother than the weights of any single step: their average, and batch-norm statistics that fit them."""

import copy
from collections.abc import Iterable, Mapping
from typing import Generic, TypeVar

import torch
from torch import Tensor, nn

Averaged = TypeVar("Averaged", bound=nn.Module)


class WeightAverage(Generic[Averaged]):
    """`average <- decay * average + (1 - decay) * weights`, at every update (Polyak averaging).

    Young averages forget faster, with decay n / (n + 9) at update n, or untrained weights would weigh on short runs.
    """

    def __init__(self, network: Averaged, decay: float) -> None:
        self.network = network
        self.decay = decay
        self.weights = {name: weight.detach().clone() for name, weight in network.named_parameters()}

    @torch.no_grad()
    def update(self, count: int) -> None:
        """Take the network's weights in; `count` is 1 for the first time."""
        decay = min(self.decay, count / (count + 9))
        for name, weight in self.network.named_parameters():
            self.weights[name].lerp_(weight, 1 - decay)

    def restore(self, weights: Mapping[str, Tensor]) -> None:
        """Take `weights` back; KeyError or RuntimeError where they are of another network."""
        for name, weight in self.weights.items():
            weight.copy_(weights[name])

    def averaged(self) -> Averaged:
        """A network of the averaged weights; its batch-norm statistics are the network's, and do not fit them yet."""
        network = copy.deepcopy(self.network)
        network.load_state_dict(self.weights, strict=False)  # all but the statistics
        return network


@torch.no_grad()
def measured_anew(network: nn.Sequential, batches: Iterable[Tensor], precision: torch.dtype) -> nn.Sequential:
    """A copy of `network`, in eval mode, whose batch-norm statistics are the means over `batches` (b, 3, h, w)."""
    measured = copy.deepcopy(network).train()
    norms = [module for module in measured if isinstance(module, nn.BatchNorm2d)]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # the plain mean over all batches that follow
    for inputs in batches:
        with torch.autocast(inputs.device.type, precision, enabled=precision != torch.float32):
            measured(inputs)
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
    return measured.eval()
