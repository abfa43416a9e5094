"""Weights: where they are, whether they are the right ones, and into which network they go."""

from oneira.features.weights.downloading import Progress
from oneira.features.weights.loading import LoadedWeights, load_weights
from oneira.features.weights.places import Located, cache_folder, locate
from oneira.features.weights.sources import SOURCES, WeightsSource

__all__ = ["SOURCES", "LoadedWeights", "Located", "Progress", "WeightsSource", "cache_folder", "load_weights", "locate"]
