"""`oneira recipe` and `oneira rerun`: how a picture was made, and made again."""

import sys
from dataclasses import replace
from pathlib import Path

import torch

from oneira.cli.running import RunOptions, run_technique
from oneira.errors import RecipeError, nearest
from oneira.images import Recipe, check_inputs, read_recipe
from oneira.techniques import TECHNIQUES, located


def recipe(picture: Path) -> int:
    """Print the recipe inside a picture, as JSON.

    Parameters
    ----------
    picture
        a picture that Oneira made
    """
    sys.stdout.write(read_recipe(picture).to_json(indent=2) + "\n")
    return 0


def rerun(picture: Path, *, run: RunOptions | None = None) -> int:
    """Make a picture again from the recipe inside it: the same bytes on the same machine.

    Its input pictures must be where they were, and the same; seed, precision, device and number of threads are the
    recipe's.

    Parameters
    ----------
    picture
        a picture that Oneira made
    """
    found = read_recipe(picture)
    technique = TECHNIQUES.get(found.technique or "")
    if technique is None:
        known = ", ".join(TECHNIQUES)
        hint = nearest(found.technique or "", TECHNIQUES)
        raise RecipeError(
            f"{picture} was made by {found.technique or 'a program'!r}, which is no verb here{hint}: {known}"
        )
    check_inputs(_with_samples_located(found))
    run = run or RunOptions()
    torch.set_num_threads(found.threads)
    run = replace(
        run,
        output=run.output or picture.with_name(f"{picture.stem}-rerun{picture.suffix}"),
        seed=found.seed,
        device=found.device if run.device == "auto" else run.device,
        precision=found.precision if run.precision == "auto" else run.precision,  # type: ignore[arg-type]
    )
    return run_technique(technique.from_recipe(found), run, picture.name)


def _with_samples_located(found: Recipe) -> Recipe:
    """Samples are recorded by name; to compare their bytes, their files are needed."""
    inputs = {
        name: entry.model_copy(update={"path": str(located(entry.path))}) if not isinstance(entry, tuple) else entry
        for name, entry in found.inputs.items()
    }
    return found.model_copy(update={"inputs": inputs})
