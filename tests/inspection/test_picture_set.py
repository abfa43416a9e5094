"""Pictures to look through: which they are, and the squares that are looked at."""

import numpy as np
import pytest
import torch
from picture_files import eleven_files, pack, random_png
from torch.testing import assert_close
from watched import one_line

from oneira.errors import DataError
from oneira.inspection.picture_set import PictureSet


@pytest.fixture
def packed(tmp_path):
    return pack(tmp_path / "pictures.npz", eleven_files())


class TestPictureSets:
    def test_a_folder_without_pictures_is_told(self, tmp_path):
        (tmp_path / "notes.txt").write_text("nothing")
        with pytest.raises(DataError) as raised:
            PictureSet.open(tmp_path)
        assert "holds no picture" in one_line(raised)

    @pytest.mark.parametrize("name", ["none", "none.npz", "picture.png"])
    def test_what_is_neither_folder_nor_npz_is_told(self, tmp_path, name):
        (tmp_path / "picture.png").write_bytes(random_png(0))
        with pytest.raises(DataError) as raised:
            PictureSet.open(tmp_path / name)
        assert name in one_line(raised)

    def test_squares_are_the_middle_in_steps_of_a_byte(self, packed):
        square = PictureSet.open(packed).square(0, 20)
        assert square.shape == (1, 3, 20, 20)
        assert_close(square * 255, (square * 255).round())
        pixels = np.random.default_rng(0).integers(0, 256, (20, 22, 3), dtype=np.uint8)[:, 1:21]
        assert_close(square[0].permute(1, 2, 0) * 255, torch.from_numpy(pixels).float())
