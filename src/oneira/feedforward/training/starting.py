"""Where a training of an image-to-image network begins: styles with names, a network, and what will compare."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import nn

from oneira.errors import PlanError
from oneira.features.encoder import Encoder
from oneira.feedforward.pyramid import TextureNetwork
from oneira.feedforward.saving import TrainedNetwork
from oneira.feedforward.training.losses import IDENTITY
from oneira.feedforward.training.pictures import Pictures
from oneira.feedforward.training.ranks import Ranks
from oneira.feedforward.training.settings import StylizerSettings
from oneira.feedforward.training.tasks import Trained
from oneira.feedforward.training.trainer import StylizerTrainer
from oneira.feedforward.transformer import TransformerNetwork
from oneira.objectives import StyleSource


@dataclass(frozen=True, eq=False)
class StylizerTraining:
    """A trainer, and the `names` of its network's styles."""

    trainer: StylizerTrainer
    names: tuple[str, ...]

    def trained(self) -> TrainedNetwork:
        """What has been learned so far: the averaged weights, and how they came about."""
        trainer = self.trainer
        about = {
            "settings": trainer.settings.model_dump(mode="json"),
            "steps": trainer.step,
            "data": trainer.task.identity,
            "compared_by": trainer.losses.encoder.digests,
        }
        return TrainedNetwork(trainer.averaged(), self.names, about)


def begin_training(
    styles: Mapping[str, StyleSource],
    settings: StylizerSettings,
    pictures: Pictures | None,
    encoder: Encoder,
    *,
    precision: torch.dtype,
    start: TrainedNetwork | None = None,
    ranks: Ranks | None = None,
) -> StylizerTraining:
    """A fresh network for `styles` by name; an identity style, if the settings ask for one, comes last.

    `pictures` are None for a texture. With `start`, its weights are where the network begins. Raises PlanError where
    these do not go together.
    """
    if settings.identity and IDENTITY in styles:
        raise PlanError(f"a style is called {IDENTITY!r}, as the one that leaves pictures as they are; rename it")
    names = (*styles, IDENTITY) if settings.identity else tuple(styles)
    network = fresh_network(settings, len(styles))
    if start is not None:
        _begin_as(network, start, names)
    sources = list(styles.values())
    trainer = StylizerTrainer(network, settings, pictures, sources, encoder, precision=precision, ranks=ranks)
    return StylizerTraining(trainer, names)


def _begin_as(network: Trained, start: TrainedNetwork, names: Sequence[str]) -> None:
    """Take over the weights of `start`; PlanError unless it is of the same kind, size and styles."""
    if start.names != tuple(names):
        raise PlanError(
            f"the network to start from has the styles {', '.join(start.names)}, not {', '.join(names)}: name the same "
            "in the same order"
        )
    if type(start.network) is not type(network) or start.network.configuration != network.configuration:
        raise PlanError(
            f"the network to start from is of {_told(start.network)}, and the settings ask for {_told(network)}"
        )
    network.load_state_dict(start.network.state_dict())


def _told(network: Trained) -> str:
    return ", ".join(f"{name} {value}" for name, value in network.configuration.items())


def begin_adding(
    trained: TrainedNetwork,
    styles: Mapping[str, StyleSource],
    settings: StylizerSettings,
    pictures: Pictures,
    encoder: Encoder,
    *,
    precision: torch.dtype,
    like: str | None = None,
    ranks: Ranks | None = None,
) -> StylizerTraining:
    """More styles for a trained network, whose others stay as they are; they begin as the style `like`, or as the mean.

    Raises PlanError where these do not go together.
    """
    for name in styles:
        trained = trained.with_style(name, like)
    trainer = StylizerTrainer(
        trained.network,
        settings,
        pictures,
        list(styles.values()),
        encoder,
        precision=precision,
        ranks=ranks,
        adding=True,
    )
    return StylizerTraining(trainer, trained.names)


def fresh_network(settings: StylizerSettings, styles: int) -> Trained:
    """An untrained network of the settings' kind for so many style pictures; an identity style comes on top.

    Raises PlanError where one network should learn several styles, and its kind knows one.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(settings.seed)
        if settings.network == "texture":
            if styles != 1 or settings.identity:
                raise PlanError(f"a texture network has one texture, not {styles + settings.identity}")
            network: Trained = TextureNetwork()
        else:
            network = TransformerNetwork(
                settings.network,
                styles + settings.identity,
                settings.channels,
                identity=styles if settings.identity else None,
            )
        if settings.initialisation is not None:
            _draw_weights(network, settings.initialisation)
    return network


@torch.no_grad()
def _draw_weights(network: nn.Module, deviation: float) -> None:
    """Convolutions' weights normal, their biases 0."""
    for part in network.modules():
        if isinstance(part, nn.Conv2d):
            part.weight.normal_(0, deviation)
            if part.bias is not None:
                part.bias.zero_()
