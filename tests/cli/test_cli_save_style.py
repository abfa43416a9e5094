"""Styles kept in files: how they are written, and painted with."""

import pytest
import torch
from noise_pictures import noise

from oneira.images import load, read_recipe
from oneira.images import save as save_picture
from oneira.objectives import read_style

LOOK = ["--model", "tiny", "--style-layer", "relu1", "--style-layer", "relu2"]
PAINT = [*LOOK, "--content-layer", "relu3", "--size", 28, "--smallest", 28, "--steps", 2]


def files_in(folder):
    return sorted(path.name for path in folder.iterdir() if path.is_file())


def refused(ended, status, hint):
    """Whether it was, in one line."""
    return (ended.status, ended.out, len(ended.lines)) == (status, "", 1) and hint in ended.lines[0]


@pytest.fixture
def save(oneira, painting):
    """Save the painting's style with more words."""
    return lambda *words: oneira("save-style", painting, *LOOK, *words)


@pytest.fixture
def kept(save, folder):
    """The painting's style in a file."""
    assert save("-o", "kept.style").status == 0
    return folder / "kept.style"


@pytest.fixture
def paint(oneira, picture):
    """Paint in the styles told."""
    return lambda *words: oneira("style", picture, *words, *PAINT)


class TestWriting:
    def test_it_has_the_first_pictures_name_and_is_put_over_no_other(self, save, folder):
        ended = save()
        assert ended.status == 0
        assert ended.lines[-1].startswith("note: wrote painting.style (0.0 MB), for results of up to 1024 pixels")
        assert files_in(folder) == ["painting.png", "painting.style"]
        before = (folder / "painting.style").read_bytes()
        assert refused(save("--blend", 2), 2, "'painting.style' is there already; name the file by --output")
        assert (folder / "painting.style").read_bytes() == before

    def test_a_sample_lends_its_name(self, oneira, folder):
        assert oneira("save-style", "sample:night_wind", *LOOK, "--size", 64).status == 0
        assert files_in(folder) == ["night_wind.style"]

    def test_by_name_it_is_replaced(self, save, kept):
        before = kept.read_bytes()
        assert save("-o", kept, "--size", 64).status == 0
        assert kept.read_bytes() != before

    def test_the_same_style_is_the_same_bytes(self, save, kept):
        assert save("-o", "again.style").status == 0
        assert kept.with_name("again.style").read_bytes() == kept.read_bytes()

    @pytest.mark.parametrize("there", [False, True])
    def test_it_is_written_whole_or_not_at_all(self, there, save, folder, monkeypatch):
        if there:
            assert save().status == 0
        before = {name: (folder / name).read_bytes() for name in files_in(folder)}

        def refuse(*_):
            raise OSError(28, "No space left on device")

        monkeypatch.setattr("oneira.files.os.fsync", refuse)
        ended = save("-o", "painting.style", "--size", 64)
        assert refused(ended, 1, "cannot write the style 'painting.style': No space left on device")
        assert {name: (folder / name).read_bytes() for name in files_in(folder)} == before

    @pytest.mark.parametrize(
        ("output", "status", "hint"),
        [
            ("my.png", 2, "--output 'my.png' has to end in .style, by which it is known"),
            ("style", 2, "has to end in .style"),
            ("nowhere/my.style", 1, "'nowhere' is no folder that may be written to"),
            ("painting.png/my.style", 1, "'painting.png' is no folder that may be written to"),
            ("folder.style", 1, "it is a folder; add a file name"),
        ],
    )
    def test_where_it_cannot_go_is_told_before_anything_is_computed(
        self, output, status, hint, save, folder, monkeypatch
    ):
        (folder / "folder.style").mkdir()
        monkeypatch.setattr("oneira.features.encoder.Encoder.__call__", lambda *_: pytest.fail("looked at a picture"))
        assert refused(save("-o", output), status, hint)
        assert files_in(folder) == ["painting.png"]

    def test_quiet_says_nothing(self, save, folder):
        ended = save("--quiet")
        assert (ended.status, ended.out, ended.err) == (0, "", "")
        assert "painting.style" in files_in(folder)

    def test_what_reading_has_to_say_is_told(self, oneira, painting):
        misnamed = painting.rename(painting.with_suffix(".jpg"))
        ended = oneira("save-style", misnamed, *LOOK, "--size", 64)
        assert ended.status == 0
        assert any("named .jpg, but it holds a PNG" in line for line in ended.lines)

    @pytest.mark.parametrize(
        ("words", "status", "hint"),
        [
            ([], 2, "style needs STYLE"),
            (["nowhere.png"], 1, "no picture 'nowhere.png'"),
            (["painting.png", "--size", 10], 2, "--size cannot be 10; allowed: at least 64 and at most 8192"),
            (["painting.png", "--preset", "gatis"], 2, "unknown preset 'gatis' of style; did you mean 'gatys'?"),
            (["painting.png", "--blend", "nan"], 2, "--blend cannot be nan"),
            (["painting.png", "--blend", "1", "--blend", "2"], 2, "--blend needs one number per style: 1, not 2"),
            (["painting.png", "--model", "tiny", "--style-layer", "relu9"], 2, "unknown layer 'relu9' of tiny"),
            (["painting.png", "--style-layer", "relu1_1", "--device", "cpu:99:1"], 2, "no device 'cpu:99:1'"),
        ],
    )
    def test_bad_input_is_told_in_one_line(self, words, status, hint, oneira, painting, folder):
        assert refused(oneira("save-style", *words), status, hint)
        assert files_in(folder) == ["painting.png"]


class TestWhatIsKept:
    def test_several_are_blended(self, oneira, save, folder):
        noise(folder / "square.png", 64, 64)
        save_plain(folder / "plain.png", 0.6)
        blend = ["plain.png", "--blend", 3, "--blend", 1]
        assert save(*blend, "--size", 64, "-o", "both.style").status == 0
        # At the size that is kept, and in the precision.
        look = [*LOOK, "--content-layer", "relu3", "--precision", "float32"]
        paint = ["style", "square.png", *look, "--size", 64, "--smallest", 64, "--steps", 2]
        styles = {"kept": ["both.style"], "blended": ["painting.png", *blend], "alone": ["painting.png"]}
        for name, words in styles.items():
            assert oneira(*paint, *words, "-o", f"{name}.png").status == 0
        kept, blended, alone = (load(folder / f"{name}.png") for name in styles)
        assert (kept - blended).abs().mean() < (alone - blended).abs().mean() / 4

    def test_a_saved_style_can_be_blended_into_another(self, oneira, kept, folder):
        noise(folder / "dark.png", 24, 24, seed=5)
        assert oneira("save-style", kept, "dark.png", *LOOK, "-o", "both.style").status == 0
        areas = [[rung.area for rung in read_style(path)[0].rungs] for path in (kept, folder / "both.style")]
        assert areas[0] == areas[1]
        assert areas[0][-1] == 1024**2

    def test_as_many_sizes_as_are_asked_for(self, save, folder):
        for size, sides in ((64, [64]), (256, [64, 91, 128, 181, 256])):
            assert save("-o", "sized.style", "--size", size).status == 0
            kept = [round(rung.area**0.5) for rung in read_style(folder / "sized.style")[0].rungs]
            assert kept == pytest.approx(sides[-len(kept) :])
            assert kept[-1] == size

    def test_a_preset_of_the_network_is_kept_with_it(self, oneira, picture, painting, folder):
        preset, look = ["--preset", "neural-style-pt"], ["--model", "pocket", "--style-layer", "relu1_1"]
        assert oneira("save-style", painting, *preset, *look, "--size", 64, "-o", "x.style").status == 0
        layers = ["--style-layer-weight", 1, "--content-layer", "relu1_1"]
        paint = ["style", picture, "x.style", *look, *layers, "--size", 32, "--steps", 1]
        assert oneira(*paint, *preset, "-o", "out.png").status == 0
        assert torch.isfinite(load(folder / "out.png")).all()
        ended = oneira(
            "style", picture, "x.style", *look, "--content-layer", "relu1_1", "--steps", 1, "-o", "other.png"
        )
        assert refused(ended, 1, "pooling max, gain 1.0, padding zeros, normalised False, not pooling avg")
        assert "other.png" not in files_in(folder)


class TestPainting:
    def test_its_recipe_makes_the_same_bytes(self, oneira, paint, kept, folder):
        assert paint(kept, "painting.png", "-o", "a.png").status == 0
        recipe = read_recipe("a.png")
        assert recipe.inputs["style"][0].sha256 == read_style(kept)[1]
        assert recipe.inputs["style"][0].path == str(kept)
        assert oneira("rerun", "a.png", "-o", "b.png").status == 0
        assert (folder / "a.png").read_bytes() == (folder / "b.png").read_bytes()

    def test_a_rerun_needs_the_same_file(self, oneira, save, paint, kept, folder):
        assert paint(kept, "-o", "a.png").status == 0
        assert save("-o", kept, "--size", 64).status == 0
        assert refused(oneira("rerun", "a.png"), 1, "is another file than when the picture was made")
        kept.unlink()
        assert refused(oneira("rerun", "a.png"), 1, "kept.style")
        assert files_in(folder) == ["a.png", "cat.png", "painting.png"]

    @pytest.mark.parametrize(
        ("words", "status", "hint"),
        [
            (["--pooling", "max"], 1, "pooling avg, gain None, padding zeros, normalised False, not pooling max"),
            (["--statistics", "histogram"], 1, "the saved style has no histograms"),
            (
                ["--style-layer", "relu3"],
                1,
                "the saved style knows nothing of tiny:relu3, but of tiny:relu1, tiny:relu2",
            ),
            (["--colors", "content-mean-cov"], 2, "--colors content-mean-cov dyes a style picture"),
            (["--start", "style"], 2, "--start style begins with a style picture"),
            (["--style-mask", "painting.png"], 2, "--style-mask is for pictures"),
            (["--style-size", 100], 2, "--style-size is for pictures"),
        ],
    )
    def test_what_it_does_not_go_with_is_told_before_anything_is_computed(
        self, words, status, hint, paint, kept, folder, monkeypatch
    ):
        monkeypatch.setattr("oneira.features.encoder.Encoder.__call__", lambda *_: pytest.fail("looked at a picture"))
        before = files_in(folder)
        assert refused(paint(kept, *words), status, hint)
        assert set(files_in(folder)) - set(before) == {"cat.png"} - set(before)

    def test_other_weights_are_told(self, oneira, picture, painting, folder, scrambled_pocket):
        look = ["--style-layer", "relu1_1", "--size", 64]
        assert oneira("save-style", painting, *look, "-o", "x.style").status == 0
        paint = ["style", picture, "x.style", *look, "--content-layer", "relu1_1", "--steps", 1]
        ended = oneira(*paint, "--weights", scrambled_pocket)
        assert ended.status != 0
        assert len(ended.lines) == 1
        assert "the saved style was seen by other weights of pocket" in ended.lines[0]
        assert files_in(folder) == ["cat.png", "painting.png", "x.style"]

    def test_a_damaged_one_among_several_is_named(self, paint, kept, folder):
        (folder / "damaged.style").write_bytes(kept.read_bytes()[:-9])
        ended = paint(kept, "damaged.style", "painting.png")
        assert refused(ended, 1, "'damaged.style' is no style that was saved here, or it is damaged")
        assert "cat-style.png" not in files_in(folder)

    def test_it_is_no_picture_to_paint(self, oneira, kept, painting, folder):
        assert refused(oneira("style", kept, painting, *PAINT), 1, "kept.style' is no picture that is known here")

    def test_it_is_not_painted_over(self, paint, kept):
        before = kept.read_bytes()
        assert refused(paint(kept, "-o", kept), 1, "kept.style")
        assert kept.read_bytes() == before


class TestBadInput:
    """Of `oneira style`: one line and a status that is not 0, or a picture."""

    @pytest.fixture
    def drawn(self, folder):
        noise(folder / "few.png", 16, 16, seed=3)
        noise(folder / "row.png", 1, 28, seed=4)
        for name, level in (("plain", 0.6), ("grey", 0.5), ("black", 0.0)):
            path = noise(folder / f"{name}.png", seed=5)
            save_plain(path, level)
        (folder / "text.png").write_text("no picture")

    @pytest.mark.parametrize(
        "words",
        [
            ["cat.png", "few.png"],
            ["plain.png", "painting.png"],
            ["grey.png", "painting.png", "--strength", 0.5],
            ["black.png", "painting.png", "--strength", 0.5],
            ["plain.png", "painting.png", "--colors", "content-mean-cov"],
            ["plain.png", "painting.png", "--colors", "content-histogram"],
            ["plain.png", "painting.png", "--colors", "content-luma"],
            ["cat.png", "plain.png", "--statistics", "wasserstein"],
            ["cat.png", "black.png", "--balance", "logarithms"],
            ["cat.png", "cat.png", "--strength", 1],
        ],
        ids=lambda words: " ".join(map(str, words)),
    )
    def test_ends_in_a_picture(self, words, oneira, drawn, picture, painting):
        ended = oneira("style", *words, *PAINT, "-o", "out.png")
        assert ended.status == 0, ended.err
        assert load("out.png").isfinite().all()

    @pytest.mark.parametrize(
        ("words", "status", "hint"),
        [
            (["cat.png", "painting.png", "text.png", *PAINT], 1, "'text.png'"),
            (["cat.png", "painting.png", "nowhere.png", *PAINT], 1, "no picture 'nowhere.png'"),
            (["cat.png"], 2, "style needs STYLE"),
            ([], 2, "style needs CONTENT"),
            (["cat.png", "painting.png", *PAINT, "--blend"], 2, "--blend requires an argument"),
            (["cat.png", "painting.png", *PAINT, "--blend", "-1"], 2, "--blend cannot be -1.0; allowed: at least 0"),
            (
                ["cat.png", "painting.png", *PAINT, "--blend", "nan"],
                2,
                "--blend cannot be nan; allowed: finite numbers",
            ),
            (["cat.png", "painting.png", *PAINT, "--strength", "nan"], 2, "--strength cannot be nan"),
            (["cat.png", "painting.png", *PAINT, "--place", "painting.png"], 2, "--place 'painting.png' is 24x24"),
            (["cat.png", "painting.png", *PAINT, "--place", "black.png"], 2, "--place 'black.png' is black everywhere"),
            (
                ["cat.png", "painting.png", *PAINT, "--strength", 0.5, "--content-weight", 1],
                2,
                "--strength stands in place of --content-weight; give one of the two",
            ),
            (["row.png", "painting.png", *PAINT], 1, ""),
            (["row.png", "painting.png", "--size", 64, "--steps", 1], 1, "too small for pocket"),
            (["cat.png", "row.png", "--size", 64, "--style-layer", "relu5_1"], 1, "too small for pocket"),
        ],
    )
    def test_is_told_in_one_line(self, words, status, hint, oneira, drawn, picture, painting, folder):
        before = files_in(folder)
        assert refused(oneira("style", *words), status, hint)
        assert files_in(folder) == before


def save_plain(path, level):
    """One colour."""
    save_picture(path, torch.full((1, 3, 20, 28), level))
