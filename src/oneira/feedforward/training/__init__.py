"""Training image-to-image networks: what is compared, the pictures, the trainer, and what it leaves behind."""

from oneira.feedforward.training.clip import open_pictures
from oneira.feedforward.training.folder import StylizerFolder
from oneira.feedforward.training.pictures import Pictures
from oneira.feedforward.training.presets import PRESETS, settings_with
from oneira.feedforward.training.preview import Preview
from oneira.feedforward.training.settings import Phase, StylizerSettings, parse_phases
from oneira.feedforward.training.starting import StylizerTraining, begin_adding, begin_training, fresh_network
from oneira.feedforward.training.step import StylizerStep
from oneira.feedforward.training.trainer import StylizerTrainer

__all__ = [
    "PRESETS",
    "Phase",
    "Pictures",
    "Preview",
    "StylizerFolder",
    "StylizerSettings",
    "StylizerStep",
    "StylizerTrainer",
    "StylizerTraining",
    "begin_adding",
    "begin_training",
    "fresh_network",
    "open_pictures",
    "parse_phases",
    "settings_with",
]
