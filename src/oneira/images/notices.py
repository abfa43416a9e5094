"""What is worth saying about a picture that could be read or written all the same."""

import os
import warnings

PathLike = str | os.PathLike[str]


class ImageWarning(UserWarning):
    """A picture was read or written, but not all of it as it stood."""


def notice(message: str) -> None:
    """Warn with one line, on behalf of whoever called into `oneira.images`."""
    warnings.warn(message, ImageWarning, stacklevel=4)


def shown(path: PathLike) -> str:
    """A path as an error names it: quoted, and on one line whatever the name holds."""
    return repr(os.fspath(path))
