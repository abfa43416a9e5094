"""Pictures of random colours in files."""

import torch

from oneira.images import save


def noise(path, height=20, width=28, seed=0, channels=3):
    """A picture of random colours in a file, with transparency where there are four channels."""
    values = torch.rand(1, channels, height, width, generator=torch.Generator().manual_seed(seed))
    save(path, values[:, :3], alpha=values[:, 3:] if channels == 4 else None)
    return path
