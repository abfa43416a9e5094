import io
import threading
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from stylizer_toys import Drawn

from oneira.errors import DataError, PlanError
from oneira.features.training.randomness import Seeded
from oneira.feedforward.training import clip, open_pictures
from oneira.feedforward.training.crops import AHEAD, Crops, ahead
from oneira.feedforward.training.pictures import Pictures, readable
from oneira.feedforward.training.settings import Phase, parse_phases


class Ramps(Pictures):
    """Red tells the column and green the row, as shares; blue is the picture's number."""

    identity = "ramps"

    def __init__(self, size, count=3):
        self.size, self.count = size, count

    def __len__(self):
        return self.count

    def picture(self, index):
        height, width = self.size
        rows, columns = torch.arange(height) + 0.5, torch.arange(width) + 0.5
        blue = torch.full(self.size, index / 10)
        return torch.stack([(columns / width).expand(self.size), (rows / height)[:, None].expand(self.size), blue])[
            None
        ]


sizes = st.tuples(st.integers(8, 60), st.integers(8, 60))


class TestSquares:
    @given(sizes, st.integers(0, 10**6), st.sampled_from([4, 16, 33]), st.floats(0.2, 1))
    def test_a_square_is_a_piece_of_the_picture_in_its_proportions(self, size, number, side, smallest):
        square = Crops(Ramps(size), Seeded(0), smallest).square(number, side)
        assert square.shape == (1, 3, side, side)
        assert 0 <= square.min() <= square.max() <= 1
        middle = square[0, :, side // 2]
        # What it spans of the picture, in pixels, is as much across as down: a square, of the share that is allowed.
        across = float(middle[0, -1] - middle[0, 0]) * size[1] * side / (side - 1)
        down = float(square[0, 1, -1, 0] - square[0, 1, 0, 0]) * size[0] * side / (side - 1)
        assert abs(across) == pytest.approx(down, abs=2.5)
        assert smallest * min(size) - 2.5 <= down <= min(size) + 2.5

    def test_every_picture_comes_once_before_any_comes_again(self):
        pictures = Drawn(5)
        crops = Crops(pictures, Seeded(0))
        for number in range(15):
            crops.square(number, 8)
        turns = [pictures.asked[a : a + 5] for a in (0, 5, 10)]
        assert all(sorted(turn) == list(range(5)) for turn in turns)
        assert len({tuple(turn) for turn in turns}) > 1

    def test_the_seed_and_the_number_decide(self):
        def square(seed, number):
            return Crops(Drawn(), Seeded(seed)).square(number, 12)

        assert torch.equal(square(1, 9), square(1, 9))
        assert not torch.equal(square(1, 9), square(2, 9))
        assert not torch.equal(square(1, 9), square(1, 16))

    def test_half_of_them_are_mirrored(self):
        crops = Crops(Ramps((20, 20)), Seeded(0), 1.0)
        mirrored = sum(
            bool(square[0, 0, 4, 0] > square[0, 0, 4, -1]) for square in (crops.square(n, 8) for n in range(60))
        )
        assert 18 < mirrored < 42

    def test_the_whole_picture_where_that_is_the_smallest_square(self):
        crops, whole = Crops(Drawn(1, size=(16, 16)), Seeded(0), 1.0), Drawn(1, size=(16, 16)).picture(0)
        seen = {
            torch.equal(crops.square(n, 16), whole) or 2 * torch.equal(crops.square(n, 16).flip(3), whole)
            for n in range(9)
        }
        assert seen == {1, 2}


class TestDamagedPictures:
    def test_the_next_one_comes_in_its_place(self):
        pictures = Drawn(5, damaged=(1, 2, 4))
        assert torch.equal(readable(pictures, 1), pictures.picture(3))
        assert torch.equal(readable(pictures, 4), pictures.picture(0))

    @pytest.mark.parametrize(("count", "told"), [(3, "3 pictures in a row"), (50, "10 pictures in a row")])
    def test_where_none_can_be_read_it_says_so(self, count, told):
        with pytest.raises(DataError, match=f"{told} cannot be read, the first: picture 2 is damaged") as raised:
            readable(Drawn(count, damaged=range(count)), 2)
        assert "\n" not in str(raised.value)


def png(seed):
    file = io.BytesIO()
    pixels = np.random.default_rng(seed).integers(0, 256, (12, 14, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue(), torch.from_numpy(pixels).permute(2, 0, 1)[None] / 255


class TestOpening:
    def test_a_folder(self, tmp_path):
        for number in range(3):
            path = tmp_path / f"{number}/one.png"
            path.parent.mkdir()
            path.write_bytes(png(number)[0])
        pictures = open_pictures(tmp_path)
        assert len(pictures) == 3
        assert torch.equal(pictures.picture(2), png(2)[1])

    def test_a_packed_file(self, tmp_path):
        files = [png(seed)[0] for seed in range(2)]
        path = tmp_path / "some.npz"
        offset = np.cumsum([0, *map(len, files)])
        np.savez(path, jpeg=np.frombuffer(b"".join(files), np.uint8), offset=offset, label=np.zeros(2, np.int64))
        pictures = open_pictures(path)
        assert torch.equal(pictures.picture(1), png(1)[1])
        assert pictures.identity != open_pictures(self.folder(tmp_path)).identity

    def folder(self, tmp_path):
        (tmp_path / "x").mkdir()
        (tmp_path / "x/one.png").write_bytes(png(0)[0])
        return tmp_path / "x"

    def test_nothing_there(self, tmp_path):
        with pytest.raises(DataError, match="is not there"):
            open_pictures(tmp_path / "nothing")


class Reader:
    """PyAV as far as it is asked: a clip of so many frames, whose values are their numbers."""

    def __init__(self, frames, size=(20, 30)):
        self.frames, self.size = frames, size

    def open(self, path):
        return self

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def decode(self, video):
        for number in range(self.frames):
            pixels = np.full((*self.size, 3), number % 256, np.uint8)
            yield SimpleNamespace(to_ndarray=lambda pixels=pixels, **_: pixels)


class TestClips:
    @pytest.fixture
    def reader(self, monkeypatch):
        def use(reader):
            monkeypatch.setattr(clip.importlib, "import_module", lambda name: reader)

        return use

    def test_all_frames_of_a_short_one(self, reader, tmp_path):
        reader(Reader(5))
        pictures = open_pictures(tmp_path / "a.mp4")
        assert len(pictures) == 5
        assert torch.equal(pictures.picture(3), torch.full((1, 3, 20, 30), 3 / 255))

    def test_of_a_long_one_frames_evenly_spaced(self, reader, tmp_path):
        reader(Reader(1000, (2, 2)))
        pictures = open_pictures(tmp_path / "a.mov")
        assert len(pictures) == 250
        assert [round(float(pictures.picture(n)[0, 0, 0, 0]) * 255) for n in (0, 1, 2)] == [0, 4, 8]

    def test_large_frames_become_smaller(self, reader, tmp_path):
        reader(Reader(1, (768, 1000)))
        assert open_pictures(tmp_path / "a.mkv").picture(0).shape == (1, 3, 384, 500)

    def test_an_empty_one(self, reader, tmp_path):
        reader(Reader(0))
        with pytest.raises(DataError, match="has no frames"):
            open_pictures(tmp_path / "a.mp4")

    def test_without_a_reader_the_error_says_what_to_install(self, monkeypatch, tmp_path):
        monkeypatch.setitem(__import__("sys").modules, "av", None)
        with pytest.raises(DataError, match=r"PyAV reads: pip install 'oneira\[video\]'$"):
            open_pictures(tmp_path / "a.mp4")


class TestAhead:
    def test_results_come_in_order_from_another_thread(self):
        with ahead(lambda step: (step, threading.current_thread()), iter(range(2, 7))) as coming:
            steps, threads = zip(*coming, strict=True)
        assert steps == (2, 3, 4, 5, 6)
        assert threading.current_thread() not in threads

    def test_only_a_few_are_made_before_they_are_wanted(self):
        made = []
        with ahead(made.append, iter(range(100))) as coming:
            next(iter(coming))
        assert len(made) <= 2 + AHEAD

    def test_what_goes_wrong_is_raised_where_it_would_have_come(self):
        def make(step):
            if step == 2:
                raise DataError("no picture")
            return step

        seen = []
        with pytest.raises(DataError, match="no picture"), ahead(make, iter(range(5))) as coming:
            seen.extend(coming)
        assert seen == [0, 1]

    def test_nothing_to_do(self):
        with ahead(lambda step: step, iter(())) as coming:
            assert list(coming) == []


class TestPhases:
    def test_they_are_parsed(self):
        assert parse_phases("128x3000, 256x1000") == (Phase(side=128, steps=3000), Phase(side=256, steps=1000))

    @pytest.mark.parametrize("text", ["", "128", "128x", "x30", "8x30", "128x0", "128x3000,", "4096x10", "1e2x3"])
    def test_others_are_refused_with_an_example(self, text):
        with pytest.raises(PlanError, match="SIDExSTEPS, such as 128x3000"):
            parse_phases(text)
