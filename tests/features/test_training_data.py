import io
import json
import os
import zipfile

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from oneira.errors import DataError, PlanError
from oneira.features.training import LabelledPictures, load_labelled
from oneira.features.training import dataset as dataset_module


def encoded(value, size=(8, 8), form="PNG"):
    file = io.BytesIO()
    Image.new("RGB", size, value).save(file, form)
    return file.getvalue()


def put(path, data):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def pack(path, files, labels, **other):
    """An .npz in the packed layout; `other` replaces or (None) leaves out arrays."""
    arrays = {
        "jpeg": np.frombuffer(b"".join(files), np.uint8),
        "offset": np.cumsum([0, *map(len, files)]),
        "label": np.array(labels, np.int16),
    } | other
    np.savez(path, **{name: array for name, array in arrays.items() if array is not None})
    return path


@pytest.fixture
def folder(tmp_path):
    """Two classes, three formats, and what else lies about in such folders."""
    put(tmp_path / "data/zebra/1.png", encoded((255, 0, 0)))
    put(tmp_path / "data/zebra/images/2.JPEG", encoded((0, 255, 0), form="JPEG"))
    put(tmp_path / "data/ape/deep/3", encoded((0, 0, 255), form="GIF"))
    put(tmp_path / "data/ape/ape_boxes.txt", b"3 0 0 8 8")
    put(tmp_path / "data/ape/.DS_Store", b"nothing")
    put(tmp_path / "data/.cache/4.png", encoded((9, 9, 9)))
    put(tmp_path / "data/README.md", b"pictures")
    return tmp_path / "data"


def one_line(raised):
    assert "\n" not in str(raised.value)
    return str(raised.value)


class TestFolders:
    def test_classes_are_the_folders_names_in_order(self, folder):
        data = load_labelled(folder, 4)
        assert data.classes == ("ape", "zebra")
        assert data.labels.tolist() == [0, 1, 1]
        assert data.pictures.shape == (3, 3, 4, 4)
        assert data.pictures.dtype == torch.uint8
        assert data.skipped == ()
        assert data.pictures[0].amax((1, 2)).tolist() == [0, 0, 255]
        assert data.pictures[1].amin((1, 2)).tolist() == [255, 0, 0]

    def test_a_few_unreadable_pictures_are_named_and_left_out(self, folder):
        put(folder / "ape/a.png", b"no picture at all")
        data = load_labelled(folder, 4)
        assert data.labels.tolist() == [0, 1, 1]
        assert data.pictures[0].amax((1, 2)).tolist() == [0, 0, 255]
        (line,) = data.skipped
        assert "a.png" in line

    def test_many_unreadable_pictures_are_an_error_that_names_the_first(self, folder):
        for name in "ab":
            put(folder / f"ape/{name}.png", b"no picture at all")
        with pytest.raises(DataError, match=r"2 of 5 pictures cannot be read.*a\.png") as raised:
            load_labelled(folder, 4)
        one_line(raised)

    def test_nothing_readable_is_an_error(self, tmp_path):
        put(tmp_path / "ape/a.png", b"")
        with pytest.raises(DataError, match="1 of 1"):
            load_labelled(tmp_path, 4)

    def test_labels_follow_the_classes_that_are_given(self, folder):
        data = load_labelled(folder, 4, classes=("zebra", "cow", "ape"))
        assert data.labels.tolist() == [2, 0, 0]
        assert data.classes == ("zebra", "cow", "ape")

    def test_a_class_that_is_not_among_them_is_refused(self, folder):
        with pytest.raises(DataError, match="did you mean 'zebras'"):
            load_labelled(folder, 4, classes=("ape", "zebras"))

    def test_a_class_without_pictures_is_refused_unless_the_classes_are_given(self, folder):
        (folder / "cow").mkdir()
        with pytest.raises(DataError, match="cow holds no picture"):
            load_labelled(folder, 4)
        assert len(load_labelled(folder, 4, classes=("ape", "cow", "zebra"))) == 3

    @pytest.mark.parametrize("beside", [[], ["1.png"]])
    def test_a_folder_without_class_folders_is_refused(self, tmp_path, beside):
        for name in beside:
            put(tmp_path / name, encoded((1, 2, 3)))
        with pytest.raises(DataError, match="one folder of pictures for each class"):
            load_labelled(tmp_path, 4)

    @pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no pipes here")
    def test_a_pipe_in_a_class_folder_does_not_block(self, folder):
        os.mkfifo(folder / "ape/pipe.png")
        assert len(load_labelled(folder, 4)) == 3


class TestSizes:
    def picture(self, tmp_path, side, **options):
        """Left to right: 4 columns of red, 8 of green, 4 of blue; 8 rows."""
        image = np.zeros((8, 16, 3), np.uint8)
        image[:, :4, 0] = image[:, 4:12, 1] = image[:, 12:, 2] = 255
        file = io.BytesIO()
        Image.fromarray(image).save(file, "PNG")
        put(tmp_path / "only/1.png", file.getvalue())
        return load_labelled(tmp_path, side, **options).pictures[0]

    def test_the_middle_square_is_kept(self, tmp_path):
        assert self.picture(tmp_path, 8).float().mean((1, 2)).tolist() == [0, 255, 0]

    def test_resizing_first_keeps_less(self, tmp_path):
        ramp = np.arange(0, 256, 16, dtype=np.uint8)[None, :, None].repeat(16, 0).repeat(3, 2)
        file = io.BytesIO()
        Image.fromarray(ramp).save(file, "PNG")
        path = pack(tmp_path / "ramp.npz", [file.getvalue()], [0])
        whole, middle = load_labelled(path, 8).pictures[0], load_labelled(path, 8, resized=16).pictures[0]
        assert whole[0, 0, 0] < 16
        assert middle[0, 0].tolist() == list(range(64, 192, 16))

    def test_less_than_is_cut_out_cannot_be_resized_to(self, tmp_path):
        with pytest.raises(PlanError, match="cannot cut 8 pixels out of pictures resized to 7"):
            self.picture(tmp_path, 8, resized=7)

    def test_absurd_sizes_are_told_before_anything_is_decoded(self, folder, monkeypatch):
        monkeypatch.setattr(dataset_module.os, "sysconf", lambda name: 1000, raising=False)
        with pytest.raises(DataError, match=r"3 pictures at 512 x 512 pixels take 0\.0 GB.*smaller side") as raised:
            load_labelled(folder, 512)
        one_line(raised)

    def test_progress_ends_with_everything_done(self, folder):
        seen = []
        load_labelled(folder, 4, progress=lambda done, total: seen.append((done, total)))
        assert seen[-1] == (3, 3)


class TestPacked:
    files = tuple(encoded((shade, 0, 0)) for shade in (10, 20, 30, 40))

    def test_it_holds_what_was_packed(self, tmp_path):
        data = load_labelled(pack(tmp_path / "a.npz", self.files, [1, 0, 2, 1]), 8)
        assert data.labels.tolist() == [1, 0, 2, 1]
        assert data.pictures[:, 0, 0, 0].tolist() == [10, 20, 30, 40]
        assert data.classes == ()

    def test_several_files_are_one_after_the_other(self, tmp_path):
        paths = [pack(tmp_path / f"{name}.npz", self.files, [0, 1, 2, 3]) for name in "ab"]
        assert load_labelled(paths, 8).labels.tolist() == [0, 1, 2, 3, 0, 1, 2, 3]

    def test_names_lie_beside_it_under_the_longest_name_that_fits(self, tmp_path):
        path = pack(tmp_path / "tiny-net-train-0.npz", self.files, [0, 1, 0, 1])
        put(tmp_path / "classes.json", json.dumps(["x", "y"]).encode())
        assert load_labelled(path, 8).classes == ("x", "y")
        put(tmp_path / "tiny-net-classes.json", json.dumps([{"name": "ape", "id": 3}, {"name": "zebra"}]).encode())
        assert load_labelled(path, 8).classes == ("ape", "zebra")
        assert load_labelled(path, 8, classes=("A", "B")).classes == ("A", "B")

    @pytest.mark.parametrize("names", [b"", b"{}", b"[]", b"[1, 2]", b'["a", null]', b"\xff", b"[" * 100_000])
    def test_damaged_names_are_refused(self, tmp_path, names):
        put(tmp_path / "classes.json", names)
        with pytest.raises(DataError, match="holds no class names") as raised:
            load_labelled(pack(tmp_path / "a.npz", self.files, [0, 1, 0, 1]), 8)
        one_line(raised)

    def test_a_label_without_a_name_is_refused(self, tmp_path):
        put(tmp_path / "classes.json", b'["ape", "zebra"]')
        with pytest.raises(DataError, match="a label 2, but there are 2 classes"):
            load_labelled(pack(tmp_path / "a.npz", self.files, [0, 1, 2, 1]), 8)

    def test_an_unreadable_picture_is_named_by_its_number(self, tmp_path):
        data = load_labelled(pack(tmp_path / "a.npz", [*self.files, b""], [0, 1, 2, 3, 4]), 8)
        assert data.labels.tolist() == [0, 1, 2, 3]
        assert "a.npz, picture 4" in data.skipped[0]

    @pytest.mark.parametrize(
        ("wrong", "told"),
        [
            ({"label": None}, "no array 'label'"),
            ({"jpeg": np.zeros(3)}, "jpeg is float64"),
            ({"jpeg": np.zeros((2, 2), np.uint8)}, "jpeg is uint8"),
            ({"jpeg": np.array([{}])}, "cannot be read"),
            ({"offset": np.arange(5.0)}, "offset is float64"),
            ({"offset": np.array(3)}, "offset is int64"),
            ({"offset": np.array([3])}, "offset is int64"),
            ({"offset": np.array([0, 5, 4, 9, 9])}, "offsets do not rise"),
            ({"offset": np.array([-1, 5, 6, 9, 9])}, "offsets do not rise"),
            ({"offset": np.array([0, 5, 6, 9, 10**9])}, "offsets do not rise"),
            ({"offset": np.array([0, 5, 6, 9, 2**64 - 1], np.uint64)}, "offsets do not rise"),
            ({"label": np.zeros(3, int)}, "label is int64 (3,)"),
            ({"label": np.zeros(4)}, "label is float64"),
            ({"label": np.array([0, -1, 0, 0])}, "labels are -1 to 0"),
            ({"label": np.array([0, 10**12, 0, 0])}, "labels are 0 to 1000000000000"),
        ],
    )
    def test_what_does_not_fit_is_told_in_one_line_with_its_file(self, tmp_path, wrong, told):
        path = pack(tmp_path / "wrong.npz", self.files, [0, 0, 0, 0], **wrong)
        with pytest.raises(DataError) as raised:
            load_labelled(path, 8)
        assert told in one_line(raised)
        assert "wrong.npz" in str(raised.value)

    def test_a_file_that_is_no_archive_is_refused(self, tmp_path):
        for data in (b"", b"\x80\x04pickle", b"PK\x03\x04", encoded((1, 2, 3))):
            with pytest.raises(DataError, match=r"a\.npz is no \.npz file"):
                load_labelled(put(tmp_path / "a.npz", data), 8)

    def test_arrays_that_say_they_are_larger_than_the_memory_are_not_read(self, tmp_path, monkeypatch):
        path = tmp_path / "bomb.npz"
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for part in ("jpeg", "offset", "label"):
                archive.writestr(f"{part}.npy", bytes(2_000_000))
        monkeypatch.setattr(dataset_module.os, "sysconf", lambda name: 3000, raising=False)
        with pytest.raises(DataError, match=r"the arrays of .*bomb\.npz take 0\.0 GB"):
            load_labelled(path, 8)

    @settings(max_examples=60)
    @given(st.integers(0, 10**6), st.integers(1, 255))
    def test_a_flipped_byte_is_read_past_or_told(self, tmp_path_factory, position, change):
        folder = tmp_path_factory.getbasetemp()
        data = bytearray(pack(folder / "whole.npz", self.files, [0, 1, 2, 3]).read_bytes())
        data[position % len(data)] ^= change
        try:
            assert len(load_labelled(put(folder / "flipped.npz", bytes(data)), 8)) in (3, 4)
        except DataError as error:
            assert "\n" not in str(error)  # noqa: PT017 - either outcome is right


def test_what_is_neither_folder_nor_file_is_refused(tmp_path):
    with pytest.raises(DataError, match="no such file"):
        load_labelled(tmp_path / "absent.npz", 8)
    with pytest.raises(DataError, match="a folder among several paths"):
        load_labelled([tmp_path, tmp_path], 8)
    with pytest.raises(DataError, match="no training data is named"):
        load_labelled([], 8)


def test_thinning_keeps_all_classes_of_sorted_data():
    data = LabelledPictures(torch.zeros(100, 3, 1, 1, dtype=torch.uint8), torch.arange(100) // 10)
    assert data.thinned(20).labels.tolist() == [label for label in range(10) for _ in range(2)]
    assert data.thinned(200) is data
