"""Which pictures words mean, and what they are called by."""

from pathlib import Path

import pytest

from oneira.batch.inputs import pictures_among
from oneira.errors import PlanError

OUT = Path("out")


@pytest.fixture(autouse=True)
def photos(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("photos/a.jpg", "photos/b.png", "photos/deep/c.png", "photos/.hidden/d.png", "photos/.e.png", "f.png"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    (tmp_path / "photos/notes.txt").touch()


def named(*words):
    return {str(source): str(name) for source, name in pictures_among(words, OUT)}


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["photos"], {"photos/a.jpg": "a.jpg", "photos/b.png": "b.png", "photos/deep/c.png": "deep/c.png"}),
        (["photos/*.jpg"], {"photos/a.jpg": "a.jpg"}),
        (["./photos/*.jpg"], {"photos/a.jpg": "a.jpg"}),
        (["photos/**/*.png"], {"photos/b.png": "b.png", "photos/deep/c.png": "deep/c.png"}),
        (["p*/deep"], {"photos/deep/c.png": "photos/deep/c.png"}),
        (["f.png", "photos/deep"], {"f.png": "f.png", "photos/deep/c.png": "c.png"}),
        (["f.png", "f.png", "?.png"], {"f.png": "f.png"}),
    ],
)
def test_pictures_keep_their_names_below_what_they_were_found_by(words, expected):
    assert named(*words) == expected


def test_a_pattern_may_be_absolute(tmp_path):
    assert named(f"{tmp_path}/photos/*.jpg") == {str(tmp_path / "photos/a.jpg"): "a.jpg"}


def test_a_file_that_is_called_like_a_pattern_is_that_file(tmp_path):
    (tmp_path / "[f].png").touch()
    assert named("[f].png") == {"[f].png": "[f].png"}
    assert named("[f]*") == {"f.png": "f.png"}


def test_what_was_made_is_no_input():
    Path("photos/out").mkdir()
    Path("photos/out/a.png").touch()
    for words in (["photos"], ["photos/**/*.*"]):
        found = pictures_among(words, Path("photos/out"))
        assert not [source for source, _ in found if "out" in source.parts]
    assert [str(source) for source, _ in pictures_among(["photos/out/*"], Path("photos/out"))] == ["photos/out/a.png"]


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (["g.png"], "no picture, and no folder, 'g.png'; did you mean 'f.png'?"),
        (["photos/*.webp"], "no picture fits 'photos/*.webp'"),
        (["photos/.hidden/deeper"], "no picture, and no folder"),
        (["nowhere/*"], "no picture fits"),
    ],
)
def test_words_without_a_meaning_are_refused(words, hint):
    with pytest.raises(PlanError) as refused:
        pictures_among(words, OUT)
    assert hint in str(refused.value)
    Path("empty").mkdir()
    with pytest.raises(PlanError, match="no picture in 'empty'"):
        pictures_among(["empty"], OUT)
