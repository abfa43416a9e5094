"""`oneira recipe` and `oneira rerun`: how a picture was made, and made again."""

from pathlib import Path
from typing import Any

from oneira.cli.display import Display
from oneira.cli.options import SHARED, argument, chosen, options_of, signed
from oneira.cli.outputs import free_output, require_output
from oneira.cli.run_options import NAMES, RerunOptions, RunOptions
from oneira.cli.running import run_technique, use_threads
from oneira.cli.screen import put
from oneira.errors import AddressError, PlanError, RecipeError, nearest
from oneira.images import Recipe, check_inputs, current_versions, read_recipe
from oneira.techniques import TECHNIQUES, Technique, located


def recipe(picture: Path, /) -> int:
    """Print the recipe inside a picture, as JSON.

    Parameters
    ----------
    picture
        a picture that Oneira made
    """
    put(read_recipe(picture).to_json(indent=2) + "\n")
    return 0


def _rerun(picture: Path, **options: Any) -> int:
    given = chosen(RerunOptions, "rerun", options)
    display = Display(quiet=given.quiet, json=given.as_json)
    found = read_recipe(picture)
    technique = _technique_of(found, picture).from_recipe(found)
    output = given.output or free_output(picture.parent, f"{picture.stem}-rerun", picture.suffix, resume=given.resume)
    inputs = [Path(file.path) for files in _located(found).input_files.values() for file in files]
    require_output(output, [picture, *inputs], given.depth)
    check_inputs(_located(found))
    display.note(_other_versions(found))
    use_threads(found.threads, display)
    running = {
        "seed": found.seed,
        "device": found.device if given.device == "recipe" else given.device,
        "precision": found.precision if given.precision == "recipe" else given.precision,
    }
    try:
        run = chosen(RunOptions, "rerun", given.model_dump() | running)
        return run_technique(technique, run, output, display, weights=found.weights)
    except (PlanError, AddressError) as error:
        raise RecipeError(f"the recipe of {str(picture)!r} cannot be followed: {error}") from error


rerun = signed(
    _rerun,
    "rerun",
    """Make a picture again from the recipe inside it: the same bytes on the same machine.

    Its input pictures must be where they were, and the same.
    """,
    [
        argument("picture", Path, "a picture that Oneira made"),
        *options_of(RerunOptions, SHARED, without=("seed",), names=NAMES),
    ],
)


def _technique_of(found: Recipe, picture: Path) -> type[Technique]:
    name = found.technique
    if name is None:
        raise RecipeError(f"{str(picture)!r} was made by a program of somebody's own, not by a verb of this one")
    if name not in TECHNIQUES:
        known = ", ".join(TECHNIQUES)
        raise RecipeError(
            f"{str(picture)!r} was made by {name!r}, which is no verb{nearest(name, TECHNIQUES)}: {known}"
        )
    return TECHNIQUES[name]


def _located(found: Recipe) -> Recipe:
    """Samples are recorded by name; to compare their bytes, their files are needed."""
    inputs = {
        name: tuple(file.model_copy(update={"path": str(located(file.path))}) for file in files)
        for name, files in found.input_files.items()
    }
    return found.model_copy(update={"inputs": inputs})


def _other_versions(found: Recipe) -> str | None:
    here = current_versions()
    others = [
        f"{name} {version} ({here[name]} here)"
        for name, version in found.versions.items()
        if name in here and here[name] != version
    ]
    return f"made with {', '.join(others)}: the bytes may differ" if others else None
