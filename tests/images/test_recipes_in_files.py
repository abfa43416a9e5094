"""A picture carries the recipe that made it; what it carries is believed only as far as it is checked."""

import json
import os
import re

import pytest
import torch
from by_hand import png
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from pydantic import ValidationError

from oneira.errors import ImageError, RecipeError
from oneira.images import (
    InputFile,
    Picture,
    Recipe,
    check_inputs,
    current_versions,
    encode,
    load,
    read_recipe,
    save,
    sidecar_of,
)
from oneira.images.recipe import MAX_BYTES, MAX_DEPTH

HASH = "0123456789abcdef" * 4
EMBEDDING = [".png", ".jpg", ".webp", ".tif", ".avif"]
BESIDE = [".bmp", ".gif"]


@pytest.fixture
def recipe():
    return Recipe(
        technique="style",
        options={
            "content": "Zoë\n\u202e.jpg",
            "layers": ["relu1_1"],
            "weights": {"style": 1e5},
            "preset": None,
            "on": True,
        },
        seed=2**63 - 1,
        threads=2,
        precision="bfloat16",
        device="cuda:0",
        inputs={
            "content": InputFile(path="Zoë\n\x7f.jpg", sha256=HASH),
            "styles": (InputFile(path="a.jpg", sha256=HASH), InputFile(path="b.jpg", sha256=HASH)),
        },
        weights={"vgg19": HASH},
        versions=current_versions(),
    )


def picture():
    return torch.rand(1, 3, 16, 16, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("extension", EMBEDDING + BESIDE)
@pytest.mark.parametrize("sidecar", [False, True])
def test_what_is_saved_is_read(tmp_path, recipe, extension, sidecar):
    path = tmp_path / f"a{extension}"
    save(path, picture(), recipe=recipe, sidecar=sidecar)
    assert read_recipe(path) == recipe
    assert sidecar_of(path).exists() == (sidecar or extension in BESIDE)


def test_sixteen_bits_too(tmp_path, recipe):
    save(tmp_path / "a.png", picture(), recipe=recipe, depth=16)
    assert read_recipe(tmp_path / "a.png") == recipe


@pytest.mark.parametrize("extension", EMBEDDING)
def test_a_recipe_changes_no_pixel(extension, recipe):
    with_it, without = (Picture.decode(encode(picture(), extension, recipe=given)) for given in (recipe, None))
    assert torch.equal(with_it.image, without.image)
    assert with_it.notes == ()


@pytest.mark.parametrize("extension", EMBEDDING)
def test_the_largest_recipe_fits(tmp_path, extension):
    room = MAX_BYTES - len(Recipe(options={"a": ""}).to_json())
    recipe = Recipe(options={"a": "x" * room})
    save(tmp_path / f"a{extension}", picture(), recipe=recipe)
    assert read_recipe(tmp_path / f"a{extension}") == recipe
    with pytest.raises(RecipeError, match="a recipe of 61,441 bytes; at most 61,440 are kept"):
        Recipe(options={"a": "x" * (room + 1)})


@pytest.mark.parametrize("extension", EMBEDDING + BESIDE)
def test_no_recipe(tmp_path, extension):
    path = tmp_path / f"a{extension}"
    save(path, picture())
    with pytest.raises(RecipeError, match=f"a{extension}' holds no recipe, and there is no 'a{extension}.oneira.json'"):
        read_recipe(path)


@pytest.mark.parametrize("extension", [".jpg", ".tif"])
def test_somebody_elses_comment_is_no_recipe(tmp_path, extension):
    exif = Image.Exif()
    exif[270] = "My holiday"
    exif.get_ifd(0x8769)[0x9286] = b"ASCII\0\0\0oneiric"
    path = tmp_path / f"a{extension}"
    Image.new("RGB", (8, 8)).save(path, exif=exif)
    with pytest.raises(RecipeError, match="holds no recipe"):
        read_recipe(path)


def test_the_picture_comes_before_its_sidecar(tmp_path):
    path = tmp_path / "a.png"
    save(path, picture(), recipe=Recipe(seed=1))
    sidecar_of(path).write_text(Recipe(seed=2).to_json())
    assert read_recipe(path).seed == 1


def test_a_sidecar_is_as_suspect_as_a_picture(tmp_path):
    path = tmp_path / "a.bmp"
    save(path, picture())
    sidecar_of(path).write_bytes(bytes(10**6))
    with pytest.raises(ImageError, match="has 1,000,000 bytes; at most"):
        read_recipe(path)
    sidecar_of(path).unlink()
    os.mkfifo(sidecar_of(path))
    with pytest.raises(ImageError, match="is a pipe"):
        read_recipe(path)


def test_a_missing_picture(tmp_path):
    (tmp_path / "cat.png").touch()
    with pytest.raises(ImageError, match=r"did you mean 'cat\.png'"):
        read_recipe(tmp_path / "cta.png")


def nested(depth):
    return {"version": 1, "options": {"a": json.loads("[" * depth + "]" * depth)}}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "has a damaged recipe: Expecting value"),
        ("{", "has a damaged recipe"),
        ("[]", "has an invalid recipe"),
        ("null", "has an invalid recipe"),
        (
            '{"version": 2, "anything": 1}',
            "has a recipe of version 2; versions up to 1 are read here: a newer Oneira is needed",
        ),
        ('{"version": 1' + "0" * 400 + "}", "has a recipe of version 100000000000; versions up to 1"),
        ('{"version": 1' + "0" * 5000 + "}", "has a damaged recipe"),
        ('{"version": 0}', "has an invalid recipe: version"),
        ('{"version": true}', "has an invalid recipe: version"),
        ('{"vresion": 1}', "has an invalid recipe: vresion: Extra inputs"),
        ('{"seed": "1"}', "has an invalid recipe: seed: Input should be a valid integer"),
        ('{"seed": -1}', "has an invalid recipe: seed"),
        ('{"seed": 1e999}', "has an invalid recipe: seed"),
        ('{"threads": 0}', "has an invalid recipe: threads"),
        ('{"threads": 1000000}', "has an invalid recipe: threads"),
        ('{"options": {"a": NaN}}', "has a damaged recipe: NaN is no number of JSON"),
        ('{"options": {"a": 1e999}}', "finite numbers only"),
        ('{"options": []}', "has an invalid recipe: options"),
        ('{"technique": "rm -rf"}', "has an invalid recipe: technique"),
        ('{"device": "\\u001b[31m"}', "has an invalid recipe: device"),
        ('{"inputs": {"content": "/etc/passwd"}}', "has an invalid recipe: inputs.content"),
        ('{"inputs": {"content": {"path": "a", "sha256": "no"}}}', "has an invalid recipe: inputs.content"),
        ('{"inputs": {"\\n\\u001b": {"path": "a"}}}', r"inputs\.\\n\\x1b\."),
        ('{"weights": {"vgg19": "no"}}', "has an invalid recipe: weights.vgg19"),
        ('{"seed": "\ud800"}'.encode("utf-8", "surrogatepass").decode("latin-1"), "has an invalid recipe"),
        (json.dumps(nested(MAX_DEPTH)), "nested too deep; at most 16 levels"),
        ("[" * 30_000, "nested too deep; at most 16 levels are read|damaged"),
        ('{"a":' * 10_000, "nested too deep; at most 16 levels are read|damaged"),
        (" " * (MAX_BYTES + 1), "has a recipe of 61,441 bytes; at most 61,440 are read"),
    ],
)
def test_hostile_recipes_are_refused_in_one_line(tmp_path, text, message):
    path = tmp_path / "a.png"
    path.write_bytes(png(1, 1, 8, 2, [bytes(3)], before=[(b"iTXt", b"oneira\0\0\0\0\0" + text.encode())]))
    with pytest.raises(RecipeError, match=message) as caught:
        read_recipe(path)
    assert str(caught.value).isprintable()
    assert str(path) in str(caught.value)
    assert len(str(caught.value)) < 600
    assert load(path).shape == (1, 3, 1, 1)


@given(st.text(max_size=200) | st.binary(max_size=200))
def test_any_text_is_a_recipe_or_an_error(text):
    with pytest.raises(RecipeError) as caught:
        Recipe.from_json(text)
    assert str(caught.value).isprintable()


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=12,
)


@given(st.dictionaries(st.text(), json_values, max_size=4), st.integers(0, 2**63 - 1))
def test_what_is_written_is_printable_and_reads_the_same(options, seed):
    recipe = Recipe(options=options, seed=seed)
    assert recipe.to_json().isprintable()
    assert recipe.to_json().isascii()
    assert Recipe.from_json(recipe.to_json()) == recipe
    assert Recipe.from_json(recipe.to_json(indent=2)) == recipe


def test_the_deepest_recipe_reads_the_same():
    recipe = Recipe.model_validate(nested(MAX_DEPTH - 2))
    assert Recipe.from_json(recipe.to_json()) == recipe
    with pytest.raises(RecipeError, match="nested too deep"):
        Recipe.model_validate(nested(MAX_DEPTH - 1))


def test_a_recipe_that_no_file_could_hold_cannot_be_made():
    with pytest.raises(RecipeError, match="finite numbers only"):
        Recipe(options={"a": float("nan")})
    with pytest.raises(ValidationError):
        Recipe(seed=-1)
    with pytest.raises(ValidationError):
        Recipe(unknown=1)


def test_a_recipe_cannot_be_changed():
    with pytest.raises(ValidationError):
        Recipe().seed = 3


def test_inputs_are_the_files_of_pictures(tmp_path):
    path = tmp_path / "a.png"
    save(path, picture())
    entry = InputFile.of(Picture.open(path))
    assert entry == InputFile(path=str(path), sha256=Picture.open(path).sha256)
    with pytest.raises(RecipeError, match="a picture without a file"):
        InputFile.of(Picture.decode(path.read_bytes()))


def test_names_that_are_no_text_can_be_recorded(tmp_path):
    path = os.fsdecode(os.fsencode(tmp_path) + b"/\xff.png")
    save(path, picture())
    entry = InputFile.of(Picture.open(path))
    assert entry.path.endswith("\\xff.png")
    assert Recipe.from_json(Recipe(inputs={"a": entry}).to_json()).inputs["a"] == entry


def test_inputs_are_checked_by_their_bytes(tmp_path):
    paths = [tmp_path / name for name in ("a.png", "b.png")]
    for path in paths:
        save(path, picture())
    entries = tuple(InputFile.of(Picture.open(path)) for path in paths)
    recipe = Recipe(inputs={"content": entries[0], "styles": entries})
    check_inputs(recipe)
    save(paths[1], picture() / 2)
    with pytest.raises(RecipeError, match=r"b.png', input 'styles', is another file than when the picture was made"):
        check_inputs(recipe)
    paths[0].unlink()
    with pytest.raises(ImageError, match=re.escape("no picture")):
        check_inputs(recipe)


def test_versions_say_what_a_picture_depends_on():
    assert set(current_versions()) == {"oneira", "torch", "python", "platform", "processor"}
