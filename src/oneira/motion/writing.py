"""Films into files, by the extension of their names; written whole or not at all."""

from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path, PurePath

from oneira.errors import FilmError, nearest
from oneira.files import replacing
from oneira.images import levels_of
from oneira.images.embedding import KEYWORD
from oneira.images.notices import PathLike, notice, shown
from oneira.images.recipe import Recipe
from oneira.images.saving import obstacle_to
from oneira.motion.animating import ANIMATIONS, TAKES, Animation
from oneira.motion.checking import checked
from oneira.motion.containers import CONTAINERS, clock_for
from oneira.motion.encoders import FilmEncoder, FilmPlan
from oneira.motion.frame import Frame
from oneira.motion.look import FilmLook
from oneira.motion.reading import Clip

_CONTAINERS = {extension: container for container in CONTAINERS for extension in container.extensions}
FILMS = (*_CONTAINERS, *ANIMATIONS)


def is_film(path: PathLike) -> bool:
    """Whether a name's extension is one that films are written in; some are those of still pictures, too."""
    return _extension(path) in FILMS


def useless(path: PathLike, told: Collection[str]) -> list[str]:
    """What of FilmLook's fields is `told` and nothing that a film of this name can have."""
    extension = _extension(path)
    known = TAKES[ANIMATIONS[extension].name] if extension in ANIMATIONS else ("quality",)
    return [name for name in told if name not in known]


def check_film(path: PathLike, *, sound: Clip | None = None) -> None:
    """See, before anything long is computed, that a film, with `sound`, can be written; FilmError says why not."""
    extension, name = _extension(path), shown(path)
    if extension not in FILMS:
        came = f"unknown extension {extension!r}" if extension else "no extension"
        raise FilmError(f"cannot write {name}: {came}{nearest(extension, FILMS)}; allowed: {' '.join(FILMS)}")
    obstacle = obstacle_to(Path(path))
    if obstacle is not None:
        raise FilmError(f"cannot write {name}: {obstacle}")
    if extension in _CONTAINERS:
        container = _CONTAINERS[extension]
        container.require_encoder(name)
        if sound is not None:
            container.require_sound(name, sound)


def write_film(
    path: PathLike,
    frames: Iterable[Frame],
    *,
    size: tuple[int, int],
    time_base: Fraction | None = None,
    rate: Fraction | None = None,
    look: FilmLook | None = None,
    sound: Clip | None = None,
    recipe: Recipe | None = None,
) -> None:
    """Write `frames`, each of `size` (height, width), in the container that the name's extension asks for.

    `frames` are looked at one after the other, as the encoder takes them; for .gif, .webp and .png those that come only
    once lie on the disk meanwhile. What is outside [0, 1] is clamped, then rounded to 8 bits. H.264 needs even sides:
    an odd picture gets its last row or column twice. Colours are those of BT.709 and told to be, one for 2 x 2 pixels.

    Times are told in `time_base`, seconds; in what `rate` frames a second are whole numbers of, if None; else in
    1/360000 s. What is a whole number of it is read back exactly: starts, durations, also of the last frame. .mkv and
    .webm round to milliseconds, .gif to hundredths. A film that would begin before 0 begins at 0, with its sound;
    .gif, .webp and .png always do. `rate` is also what players are told.

    Of `sound` all packets are copied as they are, up to a second behind the last frame; .gif, .webp and .png have none:
    an ImageWarning tells. `recipe`: where `read_film_recipe` finds it.

    The same frames give the same bytes. Raises FilmError as `check_film` does, and for frames of another size, with
    NaN, or that do not come one after the other, for no frame at all, and for a full disk.
    """
    check_film(path, sound=sound)
    look, name, extension = look or FilmLook(), shown(path), _extension(path)
    if extension in ANIMATIONS:
        if sound is not None:
            notice(f"{name} can hold no sound: it is left out")
        with _in_place(Path(path)) as temporary:
            Animation(name, ANIMATIONS[extension], size, look, recipe).write(temporary, frames)
        return
    comment = None if recipe is None else f"{KEYWORD} {recipe.to_json()}"
    clock = clock_for(time_base, rate)
    plan = FilmPlan(name, _CONTAINERS[extension], size, clock, rate, look.quality, comment, sound)
    with _in_place(Path(path)) as temporary, FilmEncoder(temporary, plan) as encoder:
        for frame in frames:
            encoder.add(levels_of(checked(frame.image, size, name)), frame.start, frame.duration)
        encoder.finish()


def _extension(path: PathLike) -> str:
    return PurePath(path).suffix.lower()


@contextmanager
def _in_place(path: Path) -> Iterator[Path]:
    """`files.replacing`, whose own errors, not those of what is done meanwhile, become FilmError."""
    inside: BaseException | None = None
    try:
        with replacing(path) as temporary:
            try:
                yield temporary
            except BaseException as error:
                inside = error
                raise
    except OSError as error:
        if error is inside:
            raise
        raise FilmError(f"cannot write {shown(path)}: {error.strerror or error}") from error
