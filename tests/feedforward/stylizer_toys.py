"""A training that takes a few milliseconds a step.

Run as a program, it trains in the folder that is named until somebody kills it, with the processes that torchrun's
variables tell of.
"""

import sys
from pathlib import Path

import torch
from networks import register_tiny

from oneira.errors import ImageError
from oneira.features.encoder import Encoder
from oneira.feedforward import TransformerNetwork
from oneira.feedforward.training import (
    Pictures,
    Preview,
    StylizerFolder,
    StylizerSettings,
    StylizerTrainer,
    StylizerTraining,
)
from oneira.feedforward.training.ranks import joined
from oneira.feedforward.training.settings import Phase
from oneira.objectives import Artwork

SETTINGS = StylizerSettings(
    model="tiny",
    content_layer=("relu2",),
    style_layer=("relu1", "relu2", "relu3"),
    phases=(Phase(side=16, steps=6), Phase(side=24, steps=4)),
    batch=3,
    rate=5e-3,
    warmup=2,
    average_decay=0.9,
)


def changed(**changes):
    """SETTINGS with others in their place, looked at as if they were given."""
    return StylizerSettings(**{**SETTINGS.model_dump(), **changes})


def painting(seed):
    """Stripes in two colours and some noise, (1, 3, 32, 40)."""
    generator = torch.Generator().manual_seed(seed)
    first, second = torch.rand(2, 3, 1, 1, generator=generator)
    across = torch.linspace(0, 3 + seed, 40).sin().add(1).div(2).expand(1, 1, 32, 40)
    noise = 0.1 * torch.rand(1, 3, 32, 40, generator=generator)
    return (first * across + second * (1 - across) + noise).clamp(0, 1)


def style_sources(count=2):
    return [Artwork(painting(seed)) for seed in range(count)]


class Drawn(Pictures):
    """Random blots; `damaged` numbers cannot be read. `asked` keeps which were."""

    identity = "drawn"

    def __init__(self, count=7, damaged=(), size=(30, 44)):
        self.count, self.damaged, self.size = count, damaged, size
        self.asked = []

    def __len__(self):
        return self.count

    def picture(self, index):
        self.asked.append(index)
        if index in self.damaged:
            raise ImageError(f"picture {index} is damaged")
        coarse = torch.rand(1, 3, 5, 7, generator=torch.Generator().manual_seed(index))
        return torch.nn.functional.interpolate(coarse, self.size, mode="bilinear")


def small_network(styles=2, kind="conditional", seed=0, identity=None):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return TransformerNetwork(kind, styles, channels=(4, 6, 8), residuals=1, identity=identity)


def toy_trainer(settings=SETTINGS, *, network=None, styles=2, precision=torch.float32, report_every=2, **others):
    if network is None:
        network = small_network(styles + settings.identity)
    others.setdefault("pictures", Drawn())
    return StylizerTrainer(
        network, settings, others.pop("pictures"), style_sources(styles), Encoder(), precision=precision,
        report_every=report_every, **others,
    )  # fmt: skip


def toy_training(settings=SETTINGS, **others):
    return StylizerTraining(toy_trainer(settings, **others), ("one", "two"))


def weights(trainer):
    return {**trainer.network.state_dict(), **{f"average.{n}": w for n, w in trainer.average.weights.items()}}


def same_bytes(first, second):
    ours, theirs = weights(first), weights(second)
    return all(torch.equal(value, theirs[name]) for name, value in ours.items())


def drawn(network, style=0, count=2):
    with torch.no_grad():
        return network(painting(5), torch.eye(count)[style : style + 1])


PREVIEW = Preview([painting(8), painting(9)], side=16)


if __name__ == "__main__":
    torch.set_num_threads(1)
    register_tiny()
    with joined(torch.device("cpu")) as ranks:
        training = toy_training(changed(batch=4), ranks=ranks)
        for step in StylizerFolder(Path(sys.argv[1])).record(training, PREVIEW, save_every=0, preview_every=4):
            sys.stdout.write(f"{step.step}\n")
            sys.stdout.flush()
