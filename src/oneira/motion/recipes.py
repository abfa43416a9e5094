"""The recipe inside a film."""

from oneira.errors import RecipeError
from oneira.images import Recipe, read_recipe
from oneira.images.embedding import KEYWORD
from oneira.images.formats import FORMATS
from oneira.images.notices import PathLike, shown
from oneira.motion.opening import as_film_error, open_film, opened

_HEAD = 4096  # bytes, by which formats are known
_PREFIX = f"{KEYWORD} "


def read_film_recipe(path: PathLike) -> Recipe:
    """The recipe inside a film: in the comment of MP4, MOV, Matroska and WebM; GIF, WebP and APNG as `read_recipe`.

    No picture is decoded. Raises FilmError or ImageError where the file cannot be read, RecipeError where there is no
    recipe, or one that is damaged, too large, of a later version, or does not fit the schema.
    """
    with open_film(path) as file, as_film_error(path):
        head = file.read(_HEAD)
    if any(known.magic.search(head) for known in FORMATS):
        return read_recipe(path)
    with opened(path) as container:
        # Matroska tells its keys in capitals.
        told = {key.lower(): value for key, value in container.metadata.items()}
    comment = told.get("comment", "")
    if not comment.startswith(_PREFIX):
        raise RecipeError(f"{shown(path)} holds no recipe")
    return Recipe.from_json(comment.removeprefix(_PREFIX), source=shown(path))
