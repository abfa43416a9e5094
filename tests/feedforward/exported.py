"""A small network and its models, each exported once for all tests: tracing takes seconds, whatever the size."""

from functools import cache

import torch
from small_networks import shuffled

from oneira.feedforward import TrainedNetwork, TransformerNetwork
from oneira.feedforward.export import onnx_model

NAMES = ("starry_night", "wave", "itself")


@cache
def trained(seed=0):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = TransformerNetwork(styles=3, identity=2, channels=(4, 6, 8), residuals=1)
    return TrainedNetwork(shuffled(network, seed).float(), NAMES)


@cache
def exported():
    return onnx_model(trained())
