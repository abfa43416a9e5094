"""What the tests of patches share: samples, and what there is to say of the pictures made of them."""

import torch

from oneira.patches import Patchwork


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def levels(*shape, seed=0, most=255):
    """Whole numbers, float64."""
    return torch.randint(0, most + 1, shape, generator=seeded(seed)).double()


def noisy(height=16, width=18, seed=0, most=255):
    return (levels(1, 3, height, width, seed=seed, most=most) / 255).float()


def constant(height, width):
    return torch.tensor([0.1, 0.5, 0.9])[None, :, None, None].expand(1, 3, height, width)


def corner(height, width, rows, columns):
    """A mask that is white in the first `rows` and `columns`."""
    mask = torch.zeros(1, 1, height, width)
    mask[..., :rows, :columns] = 1
    return mask


def colours(picture):
    return {tuple(pixel) for pixel in picture[0].flatten(1).T.tolist()}


def made(weave, seed=0):
    run = Patchwork(weave, seed=seed)
    for _ in run:
        pass
    return run.image


def on_threads(count, make):
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        return make()
    finally:
        torch.set_num_threads(before)
