"""Saving a picture together with what made it."""

from os import PathLike
from typing import Any

import torch
from torch import Tensor

from oneira.images import Recipe, current_versions
from oneira.images import save as save_picture
from oneira.synthesis.plan import Plan


def save(path: str | PathLike[str], image: Tensor, *, plan: Plan | None = None, seed: int = 0, **options: Any) -> None:
    """Write `image` (1, 3, h, w) in [0, 1] to `path`, in the format of its extension, all of it or nothing.

    With `plan` (and the `seed` it ran with) the picture says that a program made it, under which plan (by its
    fingerprint) and versions; only a technique's picture can be made again by `oneira rerun`. `options` are those of
    `oneira.images.save`: alpha, recipe, depth, quality, sidecar. Raises ImageError as that does.
    """
    if plan is not None:
        options["recipe"] = Recipe(
            options={"objective": type(plan.objective).__name__, "fingerprint": plan.fingerprint},
            seed=seed,
            threads=torch.get_num_threads(),
            versions=current_versions(),
        )
    save_picture(path, image, **options)
