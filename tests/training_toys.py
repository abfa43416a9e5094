"""A task that is learned in seconds, and a network small enough to learn it.

Run as a program, it trains in the folder that is named until somebody kills it.
"""

import sys
from pathlib import Path

import torch

from oneira.features.training import LabelledPictures, Trainer, TrainingFolder, TrainingSettings, fresh_network
from oneira.features.training.settings import Phase

CLASSES = ("red", "green", "blue")
SETTINGS = TrainingSettings(
    phases=(Phase(side=8, epochs=2), Phase(side=12, epochs=1)), batch=8, peak_rate=0.05, average_decay=0.9
)


def toy_pictures(count=48, side=12, seed=0):
    """Noise with more of one colour; which one is the label."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(count) % len(CLASSES)
    pictures = torch.randint(0, 120, (count, 3, side, side), generator=generator)
    pictures[torch.arange(count), labels] += 100
    return LabelledPictures(pictures.to(torch.uint8), labels, CLASSES)


def toy_network(settings=SETTINGS):
    return fresh_network(len(CLASSES), settings, widths=(5, 6), depths=(1, 2))


def toy_trainer(settings=SETTINGS, *, network=None, precision=torch.float32, report_every=2):
    return Trainer(
        toy_network(settings) if network is None else network,
        settings,
        toy_pictures(),
        toy_pictures(seed=1, count=30),
        device=torch.device("cpu"),
        precision=precision,
        report_every=report_every,
    )


if __name__ == "__main__":
    torch.set_num_threads(1)
    for step in TrainingFolder(Path(sys.argv[1])).record(toy_trainer(), save_every=0, snapshots=(0, 1, 3)):
        sys.stdout.write(f"{step.step}\n")
        sys.stdout.flush()
