"""What finding optical flow must do, and naming ways to find it."""

import sys

import cv2
import pytest
import torch
import torch.nn.functional as F
from scenes import constant_flow, square_over, texture

from oneira.errors import FilmError, PlanError
from oneira.motion import flow as module
from oneira.motion.flow import SETTINGS, DenseInverseSearch, Flow, FlowFiles, find_flow, flows, register_flow
from oneira.motion.flow_files import write_flo
from oneira.motion.warping import visible, warp

SIZE = (96, 128)


def shifted(across, down, seed=0):
    """Two pictures, and where the pixels of the first have gone to in the second."""
    second, moved = texture(*SIZE, seed), constant_flow(across, down, *SIZE)
    return warp(second, moved), second, moved


def error(found, moved):
    """The mean end-point error, without the margin that lies outside of one of the pictures."""
    return (found - moved)[..., 12:-12, 12:-12].norm(dim=1).mean()


class TestDenseInverseSearch:
    @pytest.mark.parametrize("quality", SETTINGS)
    @pytest.mark.parametrize("motion", [(3.3, -1.2), (-8, 5), (0, 0.4)])
    def test_it_finds_where_the_pixels_of_the_first_picture_have_gone_to(self, quality, motion):
        first, second, moved = shifted(*motion)
        found = DenseInverseSearch(quality)(first, second, (1, 2))
        assert found.shape == (1, 2, *SIZE)
        assert found.dtype == torch.float32
        assert error(found, moved) < 0.2

    def test_fine_is_finer_than_medium_and_medium_than_fast(self):
        first, second, moved = shifted(2.6, 1.3)
        errors = [error(DenseInverseSearch(quality)(first, second, (1, 2)), moved) for quality in SETTINGS]
        assert errors == sorted(errors)
        assert errors[0] < errors[1] / 2

    @pytest.mark.parametrize("quality", SETTINGS)
    def test_the_same_bytes_whatever_the_number_of_threads(self, quality):
        first, second, _ = shifted(4.2, -3)
        threads = cv2.getNumThreads()
        try:
            found = []
            for count in (1, 4, 4):
                cv2.setNumThreads(count)
                found.append(DenseInverseSearch(quality)(first, second, (1, 2)))
                assert cv2.getNumThreads() == count
        finally:
            cv2.setNumThreads(threads)
        assert torch.equal(found[0], found[1])
        assert torch.equal(found[1], found[2])

    def test_what_it_found_before_leaves_no_trace(self):
        first, second, _ = shifted(4.2, -3)
        search = DenseInverseSearch()
        before = search(first, second, (1, 2))
        search(second, texture(*SIZE, 5), (2, 3))
        assert torch.equal(search(first, second, (8, 9)), before)

    @pytest.mark.parametrize("quality", SETTINGS)
    @pytest.mark.parametrize("size", [(1, 1), (1, 90), (8, 100), (12, 300), (200, 8), (20, 28), (65, 67)])
    def test_pictures_that_opencv_crashes_on_have_flow_too(self, quality, size):
        picture = texture(*size)
        found = DenseInverseSearch(quality)(picture, picture, (1, 2))
        assert found.shape == (1, 2, *size)
        assert found.abs().max() < 0.1

    def test_of_a_picture_that_is_being_optimised_it_sees_what_a_screen_shows(self):
        first, second = (texture(*SIZE, seed)[:, :1].expand(1, 3, *SIZE) * 2 - 0.5 for seed in (1, 2))
        assert first.max() > 1.2
        assert second.min() < -0.2
        found = DenseInverseSearch()(first.clone().requires_grad_(), second, (1, 2))
        assert not found.requires_grad
        assert torch.equal(found, DenseInverseSearch()(first.clamp(0, 1), second.clamp(0, 1), (1, 2)))

    def test_a_mask_of_its_flow_leaves_out_what_a_moving_square_uncovers(self):
        background, square = texture(*SIZE, 1), texture(40, 50, 2)
        first, second = square_over(background, square, 28, 30), square_over(background, square, 28, 38)
        find = DenseInverseSearch()
        mask = visible(find(first, second, (1, 2)), find(second, first, (2, 1)))[0, 0]
        assert mask[32:64, 31:37].mean() < 0.1
        outline = torch.zeros(1, 1, *SIZE)
        outline[..., 28:68, 30:88] = 1  # where the square is or was
        elsewhere = F.max_pool2d(outline, 17, 1, 8)[0, 0] == 0
        assert mask[elsewhere].mean() > 0.98
        assert mask[36:60, 46:80].mean() > 0.98  # the square itself

    def test_the_identity_tells_the_quality_and_whose_it_is(self):
        identities = {DenseInverseSearch(quality).identity for quality in SETTINGS}
        assert len(identities) == len(SETTINGS)
        assert all(cv2.__version__ in identity for identity in identities)

    def test_a_quality_that_there_is_not_is_refused_with_the_nearest(self):
        with pytest.raises(PlanError, match="did you mean 'fine'"):
            DenseInverseSearch("fin")

    def test_without_opencv_the_extra_is_named(self, monkeypatch):
        monkeypatch.setitem(sys.modules, "cv2", None)
        with pytest.raises(FilmError, match=r"cv2.*oneira\[video\]"):
            find_flow("dis")


class TestFlowFiles:
    @pytest.fixture
    def folder(self, tmp_path):
        write_flo(tmp_path / "forward_1_2.flo", constant_flow(2, 0, 4, 6))
        write_flo(tmp_path / "backward_2_1.flo", constant_flow(-2, 0, 4, 6))
        write_flo(tmp_path / "forward_9_12.flo", constant_flow(0, 7, 4, 6))
        return tmp_path

    def test_files_are_named_by_the_numbers_of_the_pictures(self, folder):
        picture, find = torch.zeros(1, 3, 4, 6), FlowFiles(folder)
        assert torch.equal(find(picture, picture, (1, 2)), constant_flow(2, 0, 4, 6))
        assert torch.equal(find(picture, picture, (2, 1)), constant_flow(-2, 0, 4, 6))
        assert torch.equal(find(picture, picture, (9, 12)), constant_flow(0, 7, 4, 6))

    def test_flow_of_another_size_is_resized_and_so_are_its_lengths(self, folder):
        write_flo(folder / "forward_2_3.flo", constant_flow(2, 3, 4, 6))
        picture = torch.zeros(1, 3, 8, 9)
        found = FlowFiles(folder)(picture, picture, (2, 3))
        torch.testing.assert_close(found, constant_flow(3, 6, 8, 9))

    def test_resizing_keeps_to_what_is_known(self, folder):
        flow = constant_flow(2, 3, 4, 6)
        flow[0, 0, 0, 0] = torch.nan
        write_flo(folder / "forward_2_3.flo", flow)
        picture = torch.zeros(1, 3, 8, 12)
        found = FlowFiles(folder)(picture, picture, (2, 3))
        assert found[..., :2, :2].isnan().all()
        torch.testing.assert_close(found[..., 3:, 3:], constant_flow(4, 6, 5, 9))

    def test_flow_that_is_not_there_is_told_by_its_name(self, folder):
        picture = torch.zeros(1, 3, 4, 6)
        with pytest.raises(FilmError, match=r"no flow .*backward_12_9\.flo"):
            FlowFiles(folder)(picture, picture, (12, 9))

    def test_damaged_flow_is_refused(self, folder):
        (folder / "forward_1_2.flo").write_bytes(b"nothing")
        picture = torch.zeros(1, 3, 4, 6)
        with pytest.raises(FilmError, match=r"forward_1_2\.flo"):
            FlowFiles(folder)(picture, picture, (1, 2))

    @pytest.mark.parametrize("names", [[], ["flow.flo", "forward_1.flo", "forward_1_2.png"]])
    def test_a_folder_without_flow_is_refused_and_the_names_are_told(self, tmp_path, names):
        for name in names:
            (tmp_path / name).touch()
        with pytest.raises(FilmError, match=r"forward_1_2\.flo, backward_2_1\.flo"):
            FlowFiles(tmp_path)

    def test_a_folder_that_is_not_there_is_refused(self, tmp_path):
        with pytest.raises(FilmError, match="nowhere"):
            FlowFiles(tmp_path / "nowhere")

    def test_the_identity_is_of_the_files_wherever_they_are(self, folder):
        before = FlowFiles(folder).identity
        moved = folder.rename(folder.with_name(f"{folder.name} moved"))
        (moved / "notes.txt").write_text("flow")
        assert FlowFiles(moved).identity == before
        write_flo(moved / "forward_2_3.flo", torch.zeros(1, 2, 4, 6))
        more = FlowFiles(moved).identity
        write_flo(moved / "forward_2_3.flo", torch.ones(1, 2, 4, 6))
        assert len({before, more, FlowFiles(moved).identity}) == 3


class Still(Flow):
    identity = "still"

    def __call__(self, first, second, numbers):
        return torch.zeros(1, 2, *first.shape[2:])


class TestNames:
    @pytest.fixture(autouse=True)
    def _nothing_registered(self, monkeypatch):
        monkeypatch.setattr(module, "_REGISTERED", {})

    def test_all_that_is_listed_is_found_and_differs(self):
        register_flow("still", Still)
        assert flows()[0] == "dis"
        assert "still" in flows()
        assert len({find_flow(name).identity for name in flows()}) == len(flows())

    def test_dis_is_the_finest(self):
        assert find_flow("dis").identity == DenseInverseSearch("fine").identity
        assert find_flow("dis-fast").identity == DenseInverseSearch("fast").identity

    def test_a_folder_is_found_by_its_path_and_a_name_comes_first(self, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        (tmp_path / "dis").mkdir()
        write_flo(tmp_path / "dis" / "forward_1_2.flo", torch.zeros(1, 2, 4, 6))
        assert isinstance(find_flow("dis"), DenseInverseSearch)
        assert isinstance(find_flow("./dis"), FlowFiles)
        assert isinstance(find_flow(str(tmp_path / "dis")), FlowFiles)

    def test_what_is_neither_is_refused_with_the_nearest(self):
        register_flow("raft-small", Still)
        with pytest.raises(PlanError, match=r"did you mean 'raft-small'.*: dis, .*folder"):
            find_flow("raft-smal")

    def test_a_name_that_was_registered_before_means_the_new_one(self):
        register_flow("mine", DenseInverseSearch)
        register_flow("mine", Still)
        assert isinstance(find_flow("mine"), Still)
        assert flows().count("mine") == 1

    @pytest.mark.parametrize("name", ["dis", "dis-fast", "", " ", "flows/mine", "flows\\mine"])
    def test_a_name_that_is_taken_or_may_be_a_path_is_refused(self, name):
        with pytest.raises(PlanError, match="cannot register"):
            register_flow(name, Still)
        assert name not in module._REGISTERED
