"""Training backbones: data, augmentation, the trainer, what it keeps and leaves behind, and how good it is."""

from oneira.features.training.augmentation import Augmentation
from oneira.features.training.dataset import LabelledPictures, load_labelled
from oneira.features.training.evaluation import Accuracy, Confusion, confusions, evaluate
from oneira.features.training.folder import TrainingFolder
from oneira.features.training.log import TrainingLog
from oneira.features.training.result import Choice
from oneira.features.training.settings import Phase, TrainingSettings, parse_phases
from oneira.features.training.starting import continued_network, fresh_network
from oneira.features.training.step import TrainingStep
from oneira.features.training.trainer import Trainer

__all__ = [
    "Accuracy",
    "Augmentation",
    "Choice",
    "Confusion",
    "LabelledPictures",
    "Phase",
    "Trainer",
    "TrainingFolder",
    "TrainingLog",
    "TrainingSettings",
    "TrainingStep",
    "confusions",
    "continued_network",
    "evaluate",
    "fresh_network",
    "load_labelled",
    "parse_phases",
]
