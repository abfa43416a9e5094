"""The packages that films need beside Oneira, asked for when they are needed."""

from importlib import import_module
from typing import Any

from oneira.errors import FilmError


def required(package: str) -> Any:
    """The module `package`, such as `av`. Raises FilmError, naming the extra, where it is not there."""
    try:
        return import_module(package)
    except ImportError as error:
        raise FilmError(f"films need {package}, which is not here: pip install 'oneira[video]'") from error
