"""Where a recipe lies: inside a picture file, or beside it.

PNG: a text chunk (iTXt) before the pixels, with the keyword `oneira`. JPEG, WebP, AVIF: EXIF's UserComment; TIFF: its
ImageDescription; in both the word `oneira` stands before the JSON. BMP and GIF hold none: a sidecar,
`<name>.oneira.json` (`cat.bmp.oneira.json`), which the others have on request. GIF that moves has it in a comment.
"""

from pathlib import Path
from typing import Any

from PIL import ExifTags, Image
from PIL.PngImagePlugin import PngInfo

from oneira.errors import ImageError, RecipeError
from oneira.images.decoding import open_header
from oneira.images.formats import Format, sniff
from oneira.images.notices import PathLike, shown
from oneira.images.opening import read_file
from oneira.images.picture import MAX_FILE_BYTES
from oneira.images.recipe import MAX_BYTES, Recipe

KEYWORD = "oneira"
# EXIF has eight bytes before a comment that name its character code.
_ASCII = b"ASCII\0\0\0"


def embedded(recipe: Recipe, kind: Format) -> dict[str, Any]:
    """What to tell Pillow's `save`, so that the recipe goes into the file; nothing where it cannot hold one."""
    text = recipe.to_json()
    if kind.recipe == "text":
        chunks = PngInfo()
        chunks.add_itxt(KEYWORD, text)
        return {"pnginfo": chunks}
    if kind.recipe == "description":
        return {"description": f"{KEYWORD} {text}"}
    if kind.recipe == "comment":
        exif = Image.Exif()
        exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.UserComment] = _ASCII + f"{KEYWORD} {text}".encode()
        return {"exif": exif.tobytes()}
    return {}


def sidecar_of(path: PathLike) -> Path:
    """Where the sidecar of a picture lies."""
    return Path(path).with_name(f"{Path(path).name}.oneira.json")


def read_recipe(path: PathLike) -> Recipe:
    """The recipe inside a picture, or in its sidecar where the picture holds none.

    No pixel is decoded. Raises ImageError where the picture cannot be read, RecipeError where there is no recipe,
    or one that is damaged, too large, of a later version, or does not fit the schema.
    """
    name = shown(path)
    text = _inside(read_file(path, MAX_FILE_BYTES), name)
    if text is not None:
        return Recipe.from_json(text, source=name)
    sidecar = sidecar_of(path)
    if not sidecar.exists():
        raise RecipeError(f"{name} holds no recipe, and there is no {shown(sidecar.name)} beside it")
    return Recipe.from_json(read_file(sidecar, 2 * MAX_BYTES), source=shown(sidecar))


def _inside(data: bytes, name: str) -> str | None:
    if not data:
        raise ImageError(f"{name} is empty (0 bytes)")
    kind = sniff(data, name)
    try:
        picture = open_header(data, kind)
        text = _text(picture, kind)
    except Exception as error:
        # Decoders of hostile bytes raise nearly everything that Python has.
        raise ImageError(f"{name} cannot be decoded as {kind.name}: damaged, or of a kind that is not read") from error
    prefix = "" if kind.recipe == "text" else f"{KEYWORD} "
    return text.removeprefix(prefix) if text is not None and text.startswith(prefix) else None


def _text(picture: Image.Image, kind: Format) -> str | None:
    """What stands where a recipe would stand."""
    if kind.recipe == "text":
        found = picture.info.get(KEYWORD)
    elif kind.recipe == "description":
        found = picture.getexif().get(ExifTags.Base.ImageDescription)
    elif kind.name == "GIF":
        found = picture.info.get("comment")
    else:
        found = picture.getexif().get_ifd(ExifTags.IFD.Exif).get(ExifTags.Base.UserComment)
    if isinstance(found, bytes):
        return found.removeprefix(_ASCII).decode("ascii", "replace")
    return found if isinstance(found, str) else None
