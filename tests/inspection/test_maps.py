"""Activations and filters as they are."""

import pytest
import torch
from networks import TINY, tiny_network

from oneira import Encoder, register_backbone
from oneira.errors import PlanError
from oneira.inspection import Examination, FeatureMaps, Filters
from oneira.inspection import maps as module


@pytest.fixture
def laid_out(monkeypatch):
    """What is handed to `sheet`: rows of cells, and labels."""
    seen = []
    monkeypatch.setattr(module, "sheet", lambda rows, **labels: seen.append((rows, labels)) or torch.zeros(1, 3, 8, 8))
    return seen


def examined(study):
    run = Examination(study)
    steps = list(run)
    _ = run.image
    return steps


class TestMaps:
    def test_channels_that_answer_most_come_first_and_white_is_their_highest(self, image, laid_out):
        layers = (f"{TINY}:relu1", f"{TINY}:relu3")
        steps = examined(FeatureMaps(image, layers, top=3))
        assert [(step.done, step.total) for step in steps] == [(1, 2), (2, 2)]
        rows, labels = laid_out[-1]
        assert labels == {"row_labels": ["relu1", "relu3"]}
        activations = Encoder()(image, list(layers))
        for row, found in zip(rows, activations.values(), strict=True):
            highest = found[0].flatten(1).amax(1)
            order = highest.argsort(descending=True)[:3].tolist()
            assert [cell.caption for cell in row] == [f"{channel}: {highest[channel]:.3g}" for channel in order]
            for cell, channel in zip(row, order, strict=True):
                factor = cell.image.shape[2] // found.shape[2]
                map_ = cell.image[0, 0, ::factor, ::factor] * highest[channel]
                torch.testing.assert_close(map_, found[0, channel].clamp(min=0))

    def test_one_layer_fills_a_square(self, image, laid_out):
        examined(FeatureMaps(image, (f"{TINY}:relu2",), channels=(5, 0, 3, 1)))
        rows, labels = laid_out[-1]
        assert [[cell.caption.split(":")[0] for cell in row] for row in rows] == [["5", "0"], ["3", "1"]]
        assert labels == {"row_labels": ["relu2", ""]}

    def test_a_channel_that_is_not_there_is_told(self, image):
        with pytest.raises(PlanError, match="there is no channel 6 among 6"):
            examined(FeatureMaps(image, (f"{TINY}:relu2",), channels=(6,)))


class TestFilters:
    def test_each_is_a_picture_of_its_own_scale_around_grey(self, laid_out):
        examined(Filters(TINY))
        rows, _ = laid_out[-1]
        cells = [cell for row in rows for cell in row]
        weights = tiny_network().conv1.weight.detach()
        assert len(cells) == len(weights)
        for number, (cell, filter_) in enumerate(zip(cells, weights, strict=True)):
            largest = filter_.abs().max()
            assert cell.caption == f"{number}: {largest:.2g}"
            factor = cell.image.shape[2] // 3
            torch.testing.assert_close((cell.image[0, :, ::factor, ::factor] - 0.5) * 2 * largest, filter_)

    def test_a_network_without_colours_has_none(self):
        register_backbone(
            "grey", torch.nn.Sequential(torch.nn.Conv2d(1, 2, 3)), lambda image: image.mean(1, keepdim=True)
        )
        with pytest.raises(PlanError, match="does not begin with a convolution of three colours"):
            examined(Filters("grey"))
