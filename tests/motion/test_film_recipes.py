"""A film carries the recipe that made it, whatever its container."""

from fractions import Fraction

import av
import pytest
import torch
from clips import write_clip

from oneira.errors import FilmError, ImageError, RecipeError
from oneira.images import InputFile, Recipe, current_versions, read_recipe
from oneira.images.recipe import MAX_BYTES
from oneira.motion.frame import Frame
from oneira.motion.recipes import read_film_recipe
from oneira.motion.writing import write_film

HASH = "0123456789abcdef" * 4
CODED = [".mp4", ".m4v", ".mov", ".mkv", ".webm"]
ANIMATED = [".gif", ".webp", ".png", ".apng"]

SMALL = Recipe(
    technique="dream",
    options={"image": "Zoë\n\u202e.jpg", "layers": ["relu1_1"], "rate": 1.5, "preset": None, "on": True},
    seed=2**63 - 1,
    threads=2,
    inputs={"image": InputFile(path="Zoë\n\x7f=;#\\.jpg", sha256=HASH)},
    weights={"vgg19": HASH},
    versions=current_versions(),
)
LARGE = Recipe(options={"text": "x" * (MAX_BYTES - 400)})


def write(path, recipe):
    frames = [Frame(torch.ones(1, 3, 16, 16) * place / 2, Fraction(place), Fraction(1)) for place in range(2)]
    write_film(path, frames, size=(16, 16), recipe=recipe)
    return path


@pytest.mark.parametrize("extension", CODED + ANIMATED)
@pytest.mark.parametrize("recipe", [SMALL, LARGE], ids=["small", "large"])
def test_what_is_written_is_read(tmp_path, extension, recipe):
    assert read_film_recipe(write(tmp_path / f"a{extension}", recipe)) == recipe


@pytest.mark.parametrize("extension", ANIMATED)
def test_pictures_that_move_tell_it_as_those_that_rest(tmp_path, extension):
    assert read_recipe(write(tmp_path / f"a{extension}", SMALL)) == SMALL


@pytest.mark.parametrize("extension", CODED + ANIMATED)
def test_a_film_without_one_says_so(tmp_path, extension):
    with pytest.raises(RecipeError, match=rf"^'.*a\{extension}' holds no recipe"):
        read_film_recipe(write(tmp_path / f"a{extension}", None))


@pytest.mark.parametrize("extension", CODED)
@pytest.mark.parametrize(
    ("comment", "problem"),
    [
        ("a day at the sea", "holds no recipe"),
        ("oneira {", "damaged recipe"),
        ('oneira {"version": 99}', "of version 99"),
        ('oneira {"speed": 3}', "invalid recipe"),
        ("oneira " + "[" * 3000 + "]" * 3000, "recipe"),
    ],
)
def test_what_others_wrote_there_is_not_believed(tmp_path, extension, comment, problem):
    path = write(tmp_path / f"a{extension}", None)
    foreign = tmp_path / f"b{extension}"
    with av.open(str(path)) as source, av.open(str(foreign), "w") as output:
        output.metadata["comment"] = comment
        stream = output.add_stream_from_template(source.streams.video[0])
        for packet in source.demux():
            if packet.size:
                packet.stream = stream
                output.mux(packet)
    with pytest.raises(RecipeError, match=problem) as caught:
        read_film_recipe(foreign)
    assert "\n" not in str(caught.value)


def test_a_clip_of_a_camera_has_none(tmp_path):
    with pytest.raises(RecipeError, match="holds no recipe"):
        read_film_recipe(write_clip(tmp_path / "a.avi", codec="mpeg4", pixels="yuv420p", options={}))


@pytest.mark.parametrize(
    ("content", "kind"), [(b"", FilmError), (b"no film at all, just words", FilmError), (None, FilmError)]
)
def test_what_is_no_film_is_refused(tmp_path, content, kind):
    if content is not None:
        (tmp_path / "a.mp4").write_bytes(content)
    with pytest.raises(kind, match=r"a\.mp4"):
        read_film_recipe(tmp_path / "a.mp4")


def test_a_damaged_picture_is_refused(tmp_path):
    (tmp_path / "a.gif").write_bytes(b"GIF89a")
    with pytest.raises(ImageError, match="cannot be decoded as GIF"):
        read_film_recipe(tmp_path / "a.gif")
