"""Templates: what pictures are called, and that none is led astray."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oneira.batch.naming import Naming
from oneira.errors import ImageError, PlanError

PICTURES = [(Path("photos/a.jpg"), Path("a.jpg")), (Path("photos/deep/b.gif"), Path("deep/b.gif"))]


def targets(template, kind=None, pictures=PICTURES, folder="out"):
    naming = Naming.parse(template, kind)
    errands = naming.errands(pictures, Path(folder), verb="dream", seed=7, recipe="0")
    return [str(errand.target.relative_to(folder)) for errand in errands]


@pytest.mark.parametrize(
    ("template", "kind", "expected"),
    [
        (None, None, ["a.png", "deep/b.png"]),
        (None, "jpg", ["a.jpg", "deep/b.jpg"]),
        (None, ".TIFF", ["a.tiff", "deep/b.tiff"]),
        (None, "same", ["a.jpg", "deep/b.gif"]),
        ("{stem}-{verb}.png", None, ["a-dream.png", "b-dream.png"]),
        ("{name}", None, ["a.jpg.png", "b.gif.png"]),
        ("{seed}/{index:04}", "webp", ["7/0001.webp", "7/0002.webp"]),
        ("{folder}/x.{stem}", None, ["x.a.png", "deep/x.b.png"]),
        ("{{{stem}}}", None, ["{a}.png", "{b}.png"]),
    ],
)
def test_fields_stand_for_what_they_say(template, kind, expected):
    assert targets(template, kind) == expected


def test_a_format_that_cannot_be_written_becomes_png():
    assert targets(None, "same", [(Path("a.heic"), Path("a.heic"))]) == ["a.png"]


def test_the_hash_tells_pictures_and_recipes_apart(tmp_path):
    for name, text in (("a", "one"), ("b", "two"), ("c", "one")):
        (tmp_path / name).write_text(text)
    naming = Naming.parse("{stem}-{hash}", None)
    pictures = [(tmp_path / name, Path(name)) for name in ("a", "b", "c", "missing")]

    def hashes(recipe):
        errands = naming.errands(pictures, tmp_path / "out", verb="dream", seed=0, recipe=recipe)
        return [errand.target.stem.partition("-")[2] for errand in errands]

    a, b, c, missing = hashes("1")
    assert a == c
    assert len({a, b, missing, *hashes("2")}) == 6
    assert all(len(digest) == 12 for digest in (a, b, missing))


@pytest.mark.parametrize(
    "template",
    ["../{stem}", "/tmp/{stem}", "{folder}/../../{stem}", "{stem}/../..", "{stem}/../x", "a\0{stem}"],
)
def test_none_is_led_out_of_the_folder(template):
    with pytest.raises(PlanError, match="not below the output folder"):
        targets(template)


def test_nor_by_a_link(tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "out/deep").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(PlanError, match="leads out of the output folder"):
        targets(None, folder=str(tmp_path / "out"))
    assert targets("{stem}", folder=str(tmp_path / "out")) == ["a.png", "b.png"]


@pytest.mark.parametrize(
    ("template", "kind", "hint"),
    [
        ("{stm}", None, "unknown field {stm} of a template; did you mean 'stem'?"),
        ("{}", None, "unknown field {}"),
        ("{stem.__class__}", None, "unknown field"),
        ("{stem!r}", None, "has what no field takes"),
        ("{stem:>999999999}", None, "has what no field takes"),
        ("{index:999999999}", None, "has what no field takes"),
        ("{stem", None, "is no template"),
        ("", None, "an empty template"),
        ("x.png", None, "would both become 'out/x.png'"),
        ("{stem}.png", "jpg", "both choose the format"),
    ],
)
def test_what_is_no_template_is_refused(template, kind, hint):
    with pytest.raises(PlanError) as refused:
        targets(template, kind)
    assert hint in str(refused.value)
    assert "\n" not in str(refused.value)


def test_an_unknown_format_is_refused():
    with pytest.raises(ImageError, match=r"unknown extension '\.pmg'; did you mean '\.png'"):
        targets(None, "pmg")


def test_no_picture_is_written_over_another(tmp_path):
    with pytest.raises(PlanError, match=r"'a\.jpg' and 'a\.gif' would both become .*--template"):
        targets(None, None, [(Path(name), Path(name)) for name in ("a.jpg", "a.gif")])
    (tmp_path / "a.png").touch()
    with pytest.raises(PlanError, match="is one of the pictures to be worked on"):
        targets(None, None, [(tmp_path / "a.png", Path("a.png"))], folder=str(tmp_path))


PARTS = st.text(st.characters(exclude_characters="/\0", codec="utf-8"), min_size=1, max_size=20).filter(
    lambda name: name not in (".", "..")
)


@settings(max_examples=30)
@given(st.lists(st.lists(PARTS, min_size=1, max_size=3), min_size=1, max_size=5, unique_by=tuple))
def test_whatever_names_are_each_has_a_place_of_its_own_below_the_folder(parts):
    pictures = [(Path("photos", *each), Path(*each)) for each in parts]
    found = targets("{folder}/{name}", None, pictures)
    assert found == [f"{Path(*each)}.png" for each in parts]
