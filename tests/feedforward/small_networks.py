"""Transformation networks of a few random channels, in float64, so that laws hold to many digits."""

import torch

from oneira.feedforward import TransformerNetwork

SMALL = {"channels": (4, 6, 10), "residuals": 2}


def shuffled(network, seed=0):
    """`network` in float64 with all its parameters random, those of normalisations too."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in network.double().parameters():
            parameter.add_(0.3 * torch.randn(parameter.shape, generator=generator, dtype=torch.float64))
    return network.eval()


def conditional(styles=3, seed=0, identity=None):
    return shuffled(TransformerNetwork(styles=styles, identity=identity, **SMALL), seed)


def unconditional(normalisation="instance", seed=0):
    return shuffled(TransformerNetwork(normalisation, **SMALL), seed)
