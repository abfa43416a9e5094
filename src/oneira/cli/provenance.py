"""`oneira recipe` and `oneira rerun`: how a picture was made, and made again."""

from pathlib import Path
from typing import Any

from oneira.catalogue import TECHNIQUES
from oneira.cli.display import Display
from oneira.cli.figures import FigureOptions, draw_figure
from oneira.cli.options import SHARED, argument, chosen, options_of, signed
from oneira.cli.outputs import free_output, require_output
from oneira.cli.recording import holds_frames
from oneira.cli.run_options import NAMES, RerunOptions, RunOptions
from oneira.cli.running import run_technique, use_threads
from oneira.cli.screen import put
from oneira.cli.video import WITHOUT as VIDEO_WITHOUT
from oneira.cli.video import FilmJob
from oneira.errors import AddressError, PlanError, RecipeError, nearest
from oneira.figures import FIGURES, Figure
from oneira.figures.figure import WEIGHTS, identity_of
from oneira.figures.networks import NamedNetwork
from oneira.images import InputFile, Recipe, check_inputs, current_versions
from oneira.motion.filming import VIDEO
from oneira.motion.recipes import read_film_recipe
from oneira.motion.varying import ANIMATE
from oneira.techniques import Technique, located
from oneira.techniques.refusals import option_name


def recipe(picture: Path, /) -> int:
    """Print the recipe inside a picture or a film, as JSON.

    Parameters
    ----------
    picture
        a picture or a film that Oneira made
    """
    put(read_film_recipe(picture).to_json(indent=2) + "\n")
    return 0


def _rerun(picture: Path, **options: Any) -> int:
    given = chosen(RerunOptions, "rerun", options)
    display = Display(quiet=given.quiet, json=given.as_json)
    found = read_film_recipe(picture)
    if found.technique == VIDEO:
        return _filmed_again(found, picture, given, display)
    made = _maker_of(found, picture).from_recipe(found)
    if isinstance(made, Figure):
        _require_for_figures(given)
    output = given.output or free_output(picture.parent, f"{picture.stem}-rerun", picture.suffix, resume=given.resume)
    inputs = [Path(file.path) for files in _located(found).input_files.values() for file in files]
    film = isinstance(made, Technique) and holds_frames(made, output)
    require_output(output, [picture, *inputs], given.depth, film=film)
    _check_inputs(_located(found))
    display.note(_other_versions(found))
    use_threads(found.threads, display)
    running = _running(found, given)
    try:
        if isinstance(made, Figure):
            return _drawn_again(made, found, given, running, output, display)
        run = chosen(RunOptions, "rerun", given.model_dump() | running)
        return run_technique(made, run, output, display, weights=found.weights)
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


def _filmed_again(found: Recipe, film: Path, given: RerunOptions, display: Display) -> int:
    """Every frame anew; the exit status."""
    job = FilmJob.from_recipe(found)
    for name in VIDEO_WITHOUT & given.model_fields_set:
        raise PlanError(f"a film has no {NAMES.get(name, (option_name(name),))[0]}: leave it out")
    output = given.output or free_output(film.parent, f"{film.stem}-rerun", film.suffix, resume=False)
    require_output(output, [film, *map(located, job.technique.input_paths)], given.depth, film=True)
    _check_inputs(_located(found))
    display.note(_other_versions(found))
    use_threads(found.threads, display)
    try:
        run = chosen(RunOptions, "rerun", given.model_dump() | _running(found, given))
        return job.run(run, output, display, recorded=found.weights)
    except (PlanError, AddressError) as error:
        raise RecipeError(f"the recipe of {str(film)!r} cannot be followed: {error}") from error


def _running(found: Recipe, given: RerunOptions) -> dict[str, Any]:
    """What the recipe says of running, where nothing else was told."""
    return {
        "seed": found.seed,
        "device": found.device if given.device == "recipe" else given.device,
        "precision": found.precision if given.precision == "recipe" else given.precision,
    }


def _drawn_again(
    figure: Figure, found: Recipe, given: RerunOptions, running: dict[str, Any], output: Path, display: Display
) -> int:
    """With the files of weights that the recipe has, and that of --weights before them; the exit status."""
    told = found.options.get(WEIGHTS, [])
    recorded = {Path(file.path) for files in found.input_files.values() for file in files}
    if given.weights is not None and isinstance(told, list):
        told = [*told, str(given.weights)]
        recorded.add(NamedNetwork.parse(str(given.weights)).file or given.weights)
    shared = given.model_dump(include=set(FigureOptions.model_fields))
    options = chosen(FigureOptions, "rerun", shared | running | {WEIGHTS: told})
    equipment = options.equipment(display, recorded)
    return draw_figure(figure, options, output, display, equipment, weights=found.weights)


def _require_for_figures(given: RerunOptions) -> None:
    """Raise PlanError for an option of runs, which a figure has no use for."""
    for name, field in RerunOptions.model_fields.items():
        if name not in FigureOptions.model_fields and getattr(given, name) != field.default:
            raise PlanError(f"a figure has no {NAMES.get(name, (option_name(name),))[0]}: leave it out")


def _maker_of(found: Recipe, picture: Path) -> type[Technique] | type[Figure]:
    name = found.technique
    if name is None:
        raise RecipeError(f"{str(picture)!r} was made by a program of somebody's own, not by a verb of this one")
    if name == ANIMATE:
        raise RecipeError(f"{str(picture)!r} was made by {name}, which rerun does not follow; oneira recipe tells how")
    makers: dict[str, type[Technique] | type[Figure]] = {**TECHNIQUES}
    makers.update((figure.recipe_name(), figure) for figure in FIGURES.values())
    if name not in makers:
        raise RecipeError(
            f"{str(picture)!r} was made by {name!r}, which is no verb{nearest(name, makers)}: {', '.join(makers)}"
        )
    return makers[name]


def _check_inputs(found: Recipe) -> None:
    """As `check_inputs`, but for folders, which must still hold the pictures that they held."""
    files: dict[str, tuple[InputFile, ...]] = {}
    for option, entries in found.input_files.items():
        files[option] = tuple(entry for entry in entries if not Path(entry.path).is_dir())
        for entry in entries:
            if entry not in files[option] and identity_of(Path(entry.path)) != entry.sha256:
                raise RecipeError(f"{entry.path!r}, input {option!r}, holds other pictures than when it was looked at")
    check_inputs(found.model_copy(update={"inputs": files}))


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
