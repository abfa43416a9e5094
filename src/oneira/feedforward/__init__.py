"""Image-to-image networks: one pass draws a picture in a style, or a texture out of noise."""

from oneira.feedforward.normalisation import ConditionalInstanceNorm
from oneira.feedforward.pyramid import TextureNetwork
from oneira.feedforward.saving import TrainedNetwork
from oneira.feedforward.stylizer import Stylizer
from oneira.feedforward.transformer import TransformerNetwork

__all__ = ["ConditionalInstanceNorm", "Stylizer", "TextureNetwork", "TrainedNetwork", "TransformerNetwork"]
