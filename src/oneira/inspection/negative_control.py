"""The known control of projections: what they show of a network whose upper layers know nothing.

Adebayo et al. 2018, "Sanity checks for saliency maps"; Nie et al. 2018, "A theoretical explanation for perplexing
behaviors of backpropagation-based visualizations". The gradient changes beyond recognition; deconvnet and guided
pictures hardly do. They show what lower layers saw, and say little of why an upper unit answered.
"""

import copy
from itertools import islice

import torch
from torch import Tensor, nn

from oneira.features.address import Address
from oneira.features.description import SIDE
from oneira.features.encoder import Encoder
from oneira.features.registry import find_backbone, resolve


def randomised(encoder: Encoder, address: str | Address, generator: torch.Generator) -> Encoder:
    """An encoder like `encoder`, whose weights of all layers that run after `address` are drawn anew.

    Each tensor of weights is drawn from a normal distribution with mean 0 and the root mean square that it had, so that
    activations keep their scale (the papers take the initialisation before training); biases are 0. Normalisations stay
    as they are. It has no digest of that network: its weights are no file's. `encoder` stays as it was.

    Of a generator in the same state, a layer's weights are the same whichever `address` it runs after: addresses from
    the last to the first give the cascade of Adebayo et al., in which what has been drawn stays as layers are added.

    Raises what `encoder` raises.
    """
    found = resolve(address) if isinstance(address, str) else address
    kept = _run_until(encoder, found)
    network = copy.deepcopy(encoder.networks[found.backbone])
    for path, part in network.named_modules():
        _draw_anew(part, generator, keep=path in kept)
    return encoder.running(found.backbone, network)


def rank_correlation(one: Tensor, other: Tensor) -> float:
    """How alike two projections (1, 3, h, w) are in where they are strong: Spearman's, -1 to 1, with ties' mean ranks.

    Of absolute values, summed over colours, as Adebayo et al. have it (their "Abs"), before they cut the brightest
    hundredth, which would tie what is compared. NaN where one of them is the same everywhere.
    """
    ranks = torch.stack([_ranks(each.abs().double().sum(1).flatten()) for each in (one, other)])
    return float(torch.corrcoef(ranks)[0, 1])


def _ranks(values: Tensor) -> Tensor:
    _, places, counts = values.unique(return_inverse=True, return_counts=True)
    ranks: Tensor = (counts.cumsum(0) - (counts - 1) / 2)[places]
    return ranks


def _run_until(encoder: Encoder, address: Address) -> set[str]:
    """The modules that have run, with all in them, when `address` has."""
    backbone = find_backbone(address.backbone)
    encoder.digest(address.backbone)  # loads the network
    network = encoder.networks[address.backbone]
    side = backbone.smallest if backbone.own else SIDE
    ran: set[str] = set()

    def note(part: nn.Module, path: str) -> None:
        if address.layer not in ran:  # a registered module goes on behind it
            # What a module has in it may be used and never called itself.
            ran.update(f"{path}.{inner}".rstrip(".") for inner, _ in part.named_modules())

    hooks = [
        part.register_forward_hook(lambda part, _inputs, _output, path=path: note(part, path))
        for path, part in islice(network.named_modules(), 1, None)
    ]
    try:
        with torch.no_grad():
            encoder(torch.full((1, 3, side, side), 0.5, device=encoder.device), [address])
    finally:
        for hook in hooks:
            hook.remove()
    return ran


@torch.no_grad()
def _draw_anew(part: nn.Module, generator: torch.Generator, *, keep: bool) -> None:
    """Draw its weights; `keep`: as if, so that the generator goes on from the same state either way."""
    weights = list(part.parameters(recurse=False))
    if not any(weight.ndim > 1 for weight in weights):
        return  # a normalisation: what it scales by is no filter
    for weight in weights:
        drawn = _like(weight, generator) if weight.ndim > 1 else torch.zeros_like(weight)
        if not keep:
            weight.copy_(drawn)


def _like(weight: Tensor, generator: torch.Generator) -> Tensor:
    drawn = torch.randn(weight.shape, generator=generator, device=generator.device).to(weight.device)
    return drawn * weight.float().square().mean().sqrt()
