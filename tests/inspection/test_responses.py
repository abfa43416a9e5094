"""Responses in files: for whom they hold, and what is read of them."""

import json

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from networks import TINY, tiny_network
from picture_files import eleven_files, pack, random_png, spread_out
from safetensors.torch import load, save
from watched import one_line, same, watched

from oneira import register_backbone
from oneira.errors import AddressError, DataError, PlanError
from oneira.features import Encoder
from oneira.inspection.picture_set import PictureSet
from oneira.inspection.responses import KIND, Responses


@pytest.fixture
def packed(tmp_path):
    return pack(tmp_path / "pictures.npz", eleven_files())


@pytest.fixture
def folder(tmp_path):
    return spread_out(tmp_path / "pictures", eleven_files())


class TestFitting:
    def test_the_same_network_and_pictures_fit(self, packed):
        assert watched(packed).fits(Encoder(), PictureSet.open(packed))
        assert not watched(packed).fits(Encoder(), PictureSet.open(packed), side=18)

    def test_other_weights_do_not(self, packed):
        found = watched(packed)
        register_backbone(TINY, tiny_network(seed=1))
        with pytest.raises(PlanError) as raised:
            found.require(Encoder(), PictureSet.open(packed))
        assert "other weights of tiny" in one_line(raised)

    def test_other_pictures_do_not(self, packed, folder):
        found = watched(folder)
        assert found.fits(Encoder(), PictureSet.open(folder))
        (folder / "new.png").write_bytes(random_png(99))
        assert not found.fits(Encoder(), PictureSet.open(folder))
        assert not found.fits(Encoder(), PictureSet.open(packed))

    def test_a_layer_that_was_not_measured_is_told(self, packed):
        with pytest.raises(AddressError) as raised:
            watched(packed)["tiny:relu2"]
        assert "tiny:relu3" in one_line(raised)


class TestFiles:
    def test_what_is_written_is_read_and_the_bytes_are_the_same_every_time(self, packed, tmp_path):
        found = watched(packed)
        found.write(tmp_path / "a")
        read = Responses.load(tmp_path / "a")
        assert same(found, read)
        assert (read.seen, read.skipped) == (found.seen, found.skipped)
        read.write(tmp_path / "b")
        assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()

    def test_it_cannot_be_written_into_a_folder_that_is_not_there(self, packed, tmp_path):
        with pytest.raises(DataError) as raised:
            watched(packed).write(tmp_path / "none" / "a")
        assert "No such file" in one_line(raised)

    @pytest.fixture
    def saved(self, packed, tmp_path):
        watched(packed).write(tmp_path / "saved")
        return tmp_path / "saved"

    def refused(self, path):
        with pytest.raises(DataError) as raised:
            Responses.load(path)
        return one_line(raised)

    def test_a_missing_file_is_told(self, tmp_path):
        assert "none.responses" in self.refused(tmp_path / "none.responses")

    def test_cut_files_are_refused(self, saved):
        data = saved.read_bytes()
        for end in (0, 7, 8, 100, len(data) // 2, len(data) - 1):
            saved.write_bytes(data[:end])
            self.refused(saved)

    @given(st.binary(max_size=200))
    def test_any_bytes_are_refused_in_one_line(self, tmp_path_factory, data):
        path = tmp_path_factory.mktemp("bytes") / "any"
        path.write_bytes(data)
        self.refused(path)

    @pytest.mark.parametrize(
        ("part", "change"),
        [
            ("0/values", lambda t: -t),
            ("0/values", lambda t: t.double()),
            ("0/values", lambda t: t[:, :2].contiguous()),
            ("0/values", lambda t: t.flip(1)),
            ("0/values", lambda t: t * torch.nan),
            ("0/pictures", lambda t: t + 1000),
            ("0/pictures", lambda t: torch.full_like(t, -1)),
            ("1/places", lambda t: t + 10_000),
            ("1/places", lambda t: t - 10_000),
            ("1/firing_positions", lambda t: t + 10**9),
            ("2/firing_pictures", lambda t: t - 1000),
            ("2/sums", lambda t: t[1:]),
            ("2/products", lambda t: t[1:]),
            ("2/products", lambda t: t * torch.inf),
        ],
    )
    def test_tensors_that_no_measurement_gives_are_refused(self, saved, part, change):
        tensors, about = load(saved.read_bytes()), self.about(saved)
        tensors[part] = change(tensors[part]).contiguous()
        saved.write_bytes(save(tensors, {KIND: json.dumps(about)}))
        self.refused(saved)

    @pytest.mark.parametrize(
        "change",
        [
            {"version": 2},
            {"done": 12},
            {"done": -1},
            {"done": True},
            {"done": 1},
            {"seen": None},
            {"seen": {}},
            {"skipped": 3},
            {"layers": [["tiny:relu1", 20]]},
            {"layers": [["tiny:relu1", 20, -20]]},
            {"layers": [["tiny:relu1", 2, 2]]},
            {"layers": [["tiny:relu1", 10**30, 1]]},
            {"layers": 5 * [["tiny:relu1", 20, 20]]},
        ],
    )
    def test_words_that_no_measurement_gives_are_refused(self, saved, change):
        tensors, about = load(saved.read_bytes()), self.about(saved)
        saved.write_bytes(save(tensors, {KIND: json.dumps(about | change)}))
        self.refused(saved)

    def about(self, path):
        data = path.read_bytes()
        return json.loads(json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])["__metadata__"][KIND])
