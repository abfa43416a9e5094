"""Style transfers and textures of small pictures, which lie in files."""

import pytest
import textures
from styles import ALPHA, DRAWN, SMALL
from textures import COPYING

from oneira.images import save
from oneira.techniques.style import Style
from oneira.techniques.texture import Texture


@pytest.fixture(scope="session")
def files(tmp_path_factory):
    """Where the pictures of `styles` lie, by name."""
    folder = tmp_path_factory.mktemp("pictures")
    for name, image in DRAWN.items():
        save(folder / f"{name}.png", image, alpha=ALPHA.get(name))
    return {name: str(folder / f"{name}.png") for name in DRAWN}


@pytest.fixture
def style(files):
    """A small style transfer with other options; values that name a picture mean its path."""

    def path(name):
        return tuple(map(path, name)) if isinstance(name, tuple) else files.get(name, name)

    def configured(preset=None, **options):
        placed = {"content": "cat", "style": "starry", **options}
        # `start="style"` and the like are options, not names of pictures.
        pictures = {name: path(placed[name]) for name in Style.picture_fields() if name in placed}
        return Style.configured(preset, **{**SMALL, **placed, **pictures})

    return configured


@pytest.fixture
def plan(style):
    """The plan of such a style transfer."""
    return lambda preset=None, **options: style(preset, **options).plan()


@pytest.fixture(scope="session")
def grains(tmp_path_factory):
    """Where the pictures of `textures` lie, by name."""
    folder = tmp_path_factory.mktemp("grains")
    for name, image in textures.PICTURES.items():
        save(folder / f"{name}.png", image, alpha=textures.ALPHA.get(name))
    return {name: str(folder / f"{name}.png") for name in textures.PICTURES}


@pytest.fixture
def texture(grains):
    """A texture with other options, of statistics a small one; values that name a picture mean its path."""

    def path(name):
        return tuple(map(path, name)) if isinstance(name, tuple) else grains.get(name, name)

    def configured(preset=None, **options):
        copies = options.get("method") in COPYING
        placed = {**({"size": 48} if copies else textures.SMALL), "sample": "grain", **options}
        pictures = {name: path(placed[name]) for name in Texture.picture_fields() if name in placed}
        return Texture.configured(preset, **{**placed, **pictures})

    return configured
