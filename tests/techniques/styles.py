"""A small style transfer, the pictures that it is given, and what comes of it."""

import torch
from networks import TINY

from oneira.objectives import BoundObjective, Masked
from oneira.objectives import Style as StyleTerm
from oneira.objectives.term import as_sum
from oneira.synthesis.loop import Synthesis

SMALL = {
    "model": TINY,
    "content_layer": "relu3",
    "style_layer": ("relu1", "relu2"),
    "size": 48,
    "smallest": 24,
    "steps": 2,
}
HEIGHT, WIDTH = 40, 48
CPU = torch.device("cpu")


def picture(seed, height=HEIGHT, width=WIDTH, low=0.0, high=1.0, dye=(1.0, 1.0, 1.0)):
    """Random levels of 255, so that a file holds it exactly."""
    values = torch.rand(1, 3, height, width, generator=torch.Generator().manual_seed(seed)) * (high - low) + low
    return (values * torch.tensor(dye)[:, None, None] * 255).round() / 255


def columns(white, height=HEIGHT, width=WIDTH):
    """Black, but for the columns that are `white`."""
    drawn = torch.zeros(1, 3, height, width)
    drawn[..., white] = 1
    return drawn


def changed(image, where):
    """The same but for some columns, which are black."""
    return image * (1 - columns(where, *image.shape[2:]))


STARRY = picture(2, 30, 60, 0.4, 0.9, dye=(1.0, 0.5, 0.25))  # of other proportions and colours than the rest

DRAWN = {
    "cat": picture(1),
    "starry": STARRY,
    "starry-changed": changed(STARRY, slice(48, None)),
    "starry-mask": columns(slice(0, 30), 30, 60),
    "starry-small-mask": columns(slice(0, 15), 15, 30),
    "glass": STARRY,  # transparent in the right half
    "clear": STARRY,  # transparent everywhere
    "dull": picture(3, low=0.4, high=0.6),
    "square": picture(4, WIDTH, WIDTH),
    "tiny": picture(5, 16, 16),
    "plain": torch.full((1, 3, HEIGHT, WIDTH), 0.6),
    "thin": picture(6, 2, WIDTH),
    "mask": columns(slice(0, WIDTH // 2)),
    "left": columns(slice(0, WIDTH // 2)),
    "right": columns(slice(WIDTH // 2, None)),
    "quarter": columns(slice(0, WIDTH // 4)),
    "rest": columns(slice(WIDTH // 4, None)),
    "white": torch.ones(1, 3, HEIGHT, WIDTH),
    "long": torch.ones(1, 3, 20, 80),
    "dark": torch.zeros(1, 3, HEIGHT, WIDTH),
}
ALPHA = {"glass": columns(slice(0, 30), 30, 60)[:, :1], "clear": torch.zeros(1, 1, 30, 60)}


def begun(plan):
    """What it begins with, at its full size."""
    size = plan.canvas.size(plan.schedule.scales[-1].size)
    return plan.canvas.begin(size, torch.Generator().manual_seed(0), CPU).image().detach()


def finished(plan, seed=0):
    synthesis = Synthesis(plan, precision="float32", seed=seed)
    for _ in synthesis:
        pass
    return synthesis.image


def weighted(plan):
    """Weights and terms."""
    return as_sum(plan.objective).parts


def terms(plan):
    return [term for _, term in weighted(plan)]


def artworks(plan):
    """What the manner is taken from."""
    bare = [term.term if isinstance(term, Masked) else term for term in terms(plan)]
    return [source for term in bare if isinstance(term, StyleTerm) for source in term.image]


def loss_of(term, image, encoder):
    return BoundObjective(term, encoder, tuple(image.shape[2:]))(image).total
