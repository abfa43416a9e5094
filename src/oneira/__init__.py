"""Oneira: pictures made from what vision networks have learned."""

from importlib.metadata import version

from oneira import errors, objectives
from oneira.features.encoder import Encoder
from oneira.features.registry import backbones, register_backbone
from oneira.features.variant import Variant
from oneira.feedforward.stylization import Stylization
from oneira.images import Picture, load
from oneira.synthesis import schedules
from oneira.synthesis.canvas import Pixels
from oneira.synthesis.fourier import Fourier
from oneira.synthesis.loop import Synthesis, synthesize
from oneira.synthesis.plan import Plan
from oneira.synthesis.saving import save
from oneira.synthesis.steps import Step
from oneira.techniques import Deconvolution, Dream, Inversion, Style, Texture, Visualization

__version__ = version("oneira")

__all__ = [
    "Deconvolution",
    "Dream",
    "Encoder",
    "Fourier",
    "Inversion",
    "Picture",
    "Pixels",
    "Plan",
    "Step",
    "Style",
    "Stylization",
    "Synthesis",
    "Texture",
    "Variant",
    "Visualization",
    "__version__",
    "backbones",
    "errors",
    "load",
    "objectives",
    "register_backbone",
    "save",
    "schedules",
    "synthesize",
]
