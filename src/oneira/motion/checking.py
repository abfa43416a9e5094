"""What may go into a film."""

import torch
from torch import Tensor

from oneira.errors import FilmError


def checked(image: Tensor, size: tuple[int, int], name: str) -> Tensor:
    """`image` as float32 in memory; FilmError, naming the film, unless it is floats (1, 3, *size) without NaN."""
    if image.shape != (1, 3, *size) or not image.is_floating_point():
        came = f"{image.dtype} {tuple(image.shape)}".removeprefix("torch.")
        raise FilmError(f"cannot write {name}: a frame of {came}; floats of (1, 3, {size[0]}, {size[1]}) are needed")
    if bool(image.isnan().any()):
        raise FilmError(f"cannot write {name}: a frame with NaN in it; nothing was written")
    return image.detach().to("cpu", torch.float32)
