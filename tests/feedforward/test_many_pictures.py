"""Folders of pictures, and frames of films: each is painted as a single picture is, to the byte."""

import io

import pytest
import torch

from oneira.errands import Errand, errands_for
from oneira.errors import ImageError, PlanError
from oneira.feedforward.folders import Writing, paint_all
from oneira.feedforward.streams import paint_frames
from oneira.feedforward.stylization import Stylization
from oneira.images import load, ppm_frame, read_frame, save, sidecar_of
from oneira.techniques import begin


class TestFolders:
    @pytest.fixture
    def photos(self, tmp_path, generator):
        """Two pictures, one with transparency, below one more; a damaged one; what is none."""
        (tmp_path / "photos/deep/.hidden").mkdir(parents=True)
        for name, size in (("a.jpg", (20, 28)), ("deep/b.png", (24, 16)), ("deep/.hidden/c.png", (8, 8))):
            values = torch.rand(1, 4, *size, generator=generator)
            alpha = values[:, 3:] if name.endswith("b.png") else None
            save(tmp_path / "photos" / name, values[:, :3], alpha=alpha)
        (tmp_path / "photos/bad.png").write_bytes(b"\x89PNG\r\n\x1a\nbad")
        (tmp_path / "photos/notes.txt").write_text("notes")
        (tmp_path / "photos/LICENCE").write_text("free")
        return tmp_path / "photos"

    def test_it_finds_pictures_and_keeps_their_names(self, photos, photo, tmp_path):
        out = tmp_path / "out"
        found = {errand.source: errand.target for errand in errands_for([photos, photo], out)}
        assert found == {
            photos / "a.jpg": out / "a.jpg",
            photos / "bad.png": out / "bad.png",
            photos / "deep/b.png": out / "deep/b.png",
            photo: out / "cat.png",
        }

    def test_what_was_painted_into_the_folder_is_no_input(self, photos):
        before = errands_for([photos], photos / "painted")
        save(photos / "painted.png", load(photos / "a.jpg"))
        (photos / "painted").mkdir()
        save(photos / "painted/a.jpg", load(photos / "a.jpg"))
        assert {e.source for e in errands_for([photos], photos / "painted")} == {e.source for e in before} | {
            photos / "painted.png"
        }

    def test_no_picture_is_written_over(self, photos, photo, tmp_path):
        with pytest.raises(PlanError, match="is one of the pictures to be worked on"):
            errands_for([photos / "a.jpg", photos / "deep"], photos)
        save(tmp_path / "a.jpg", load(photo))
        with pytest.raises(PlanError, match=r"would both become .*a\.jpg"):
            errands_for([photos, tmp_path / "a.jpg"], tmp_path / "out")
        (tmp_path / "nothing").mkdir()
        with pytest.raises(PlanError, match="no picture in"):
            errands_for([tmp_path / "nothing"], tmp_path / "out")

    @pytest.mark.parametrize("options", [{}, {"strength": 0.5, "colors": "content", "size": 17}])
    def test_a_folder_is_its_pictures_to_the_byte(self, photos, network, tmp_path, options):
        technique = Stylization(image="-", model=str(network), style="wave", **options)
        errands = errands_for([photos], tmp_path / "out")
        came = list(paint_all(technique, errands, Writing(sidecar=True)))
        assert [delivered.errand for delivered in came] == errands
        assert [(d.errand.source.name, d.problem is None) for d in came] == [
            ("a.jpg", True),
            ("bad.png", False),
            ("b.png", True),
        ]
        assert "bad.png" in came[1].problem
        for delivered in came[::2]:
            source, target = delivered.errand.source, delivered.errand.target
            alone = Stylization(image=source, model=str(network), style="wave", **options)
            run = begin(alone.plan())
            image = alone.finished(run)
            save(tmp_path / target.name, image, alpha=alone.transparency(image), recipe=alone.recipe(run))
            assert target.read_bytes() == (tmp_path / target.name).read_bytes()
            assert sidecar_of(target).exists()
            assert delivered.size == tuple(image.shape[2:])

    def test_what_concerns_all_is_told_before_anything_is_done(self, photos, network, tmp_path):
        technique = Stylization(image="-", model=str(network), style="wafe")
        with pytest.raises(PlanError, match="wave"):
            next(paint_all(technique, errands_for([photos], tmp_path / "out"), Writing()))
        assert not (tmp_path / "out").exists()

    def test_a_mask_that_fits_some_leaves_out_the_others(self, photos, network, tmp_path, mask):
        fitting = mask(torch.ones(1, 1, 20, 28))
        technique = Stylization(image="-", model=str(network), style="wave", mask=fitting)
        errands = [Errand(photos / name, tmp_path / "out" / name) for name in ("deep/b.png", "a.jpg")]
        first, second = paint_all(technique, errands, Writing())
        assert "--mask" in first.problem
        assert second.problem is None

    def test_what_cannot_be_written_is_told(self, photos, network, tmp_path):
        (tmp_path / "out").write_text("in the way")
        technique = Stylization(image="-", model=str(network), style="wave")
        (delivered,) = paint_all(technique, [Errand(photos / "a.jpg", tmp_path / "out/a.jpg")], Writing())
        assert "cannot write" in delivered.problem

    def test_closed_early_it_leaves_whole_files_only(self, photos, network, tmp_path):
        technique = Stylization(image="-", model=str(network), style="wave")
        errands = [Errand(photos / "a.jpg", tmp_path / "out" / f"{number}.png") for number in range(9)]
        course = paint_all(technique, errands, Writing())
        next(course)
        course.close()
        left = sorted(path.name for path in (tmp_path / "out").iterdir())
        assert 1 <= len(left) < 9
        for name in left:
            load(tmp_path / "out" / name)


class TestStreams:
    @pytest.fixture
    def technique(self, network):
        return Stylization(image="-", model=str(network), style="wave")

    def test_frames_are_files(self, technique, network, generator, tmp_path):
        pictures = [torch.rand(1, 3, *size, generator=generator) for size in ((20, 28), (20, 28), (9, 33))]
        incoming = io.BytesIO(b"".join(ppm_frame(picture) for picture in pictures))
        outgoing = io.BytesIO()
        sizes = list(paint_frames(technique, incoming, outgoing, "frames"))
        assert sizes == [(20, 28), (20, 28), (9, 33)]
        outgoing.seek(0)
        for number, picture in enumerate(pictures):
            paths = [tmp_path / f"{number}.png", tmp_path / f"{number}-out.png"]
            save(paths[0], picture)
            save(paths[1], Stylization(image=paths[0], model=str(network), style="wave").run())
            assert torch.equal(read_frame(outgoing, "painted"), load(paths[1]))
        assert read_frame(outgoing, "painted") is None

    def test_each_is_out_before_the_next_is_asked_for(self, technique, image):
        class Pipe(io.BytesIO):
            flushed = 0

            def flush(self):
                self.flushed = self.tell()

        frame, outgoing = ppm_frame(image), Pipe()
        for number, _ in enumerate(paint_frames(technique, io.BytesIO(3 * frame), outgoing, "frames"), 1):
            assert outgoing.flushed == number * len(frame)

    def test_frames_before_the_trouble_are_out(self, technique, image):
        frame, outgoing = ppm_frame(image), io.BytesIO()
        with pytest.raises(ImageError, match=r"^frames ends inside a frame: 100 of its 1,680 bytes came$"):
            list(paint_frames(technique, io.BytesIO(frame + frame[: len(frame) - 1580]), outgoing, "frames"))
        assert len(outgoing.getvalue()) == len(frame)

    def test_a_mask_has_to_fit_each(self, network, image, mask):
        fitting = mask(torch.ones(1, 1, 20, 28))
        technique = Stylization(image="-", model=str(network), style="wave", mask=fitting)
        incoming = io.BytesIO(ppm_frame(image) + ppm_frame(image.mT.contiguous()))
        with pytest.raises(PlanError, match="--mask"):
            list(paint_frames(technique, incoming, io.BytesIO(), "frames"))
