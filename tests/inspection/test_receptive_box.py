"""Which pixels a unit sees, and the box around them inside the picture."""

from functools import partial

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from networks import TINY
from torch import nn

from oneira.errors import AddressError, PlanError
from oneira.features.description import field_of
from oneira.features.encoder import Encoder
from oneira.features.registry import register_backbone
from oneira.inspection.patches import patch
from oneira.inspection.projection import project
from oneira.inspection.receptive_box import Box, receptive_box
from oneira.inspection.seeds import unit


def seen(address: str, y: int, x: int, size: tuple[int, int]) -> Box:
    """By trial: where a number that is none makes the unit one that is none."""
    height, width = size
    pictures = torch.full((height + width, 3, height, width), 0.5)
    for row in range(height):
        pictures[row, :, row] = torch.nan
    for column in range(width):
        pictures[height + column, :, :, column] = torch.nan
    with torch.no_grad():
        answers = Encoder()(pictures, [address]).popitem()[1][:, 0, y, x].isnan()
    rows, columns = answers[:height].nonzero(), answers[height:].nonzero()
    return Box(int(rows.min()), int(columns.min()), int(rows.max()) + 1, int(columns.max()) + 1)


def shifted(part: Box, extent: int, size: tuple[int, int]) -> Box:
    """As large as the receptive field, or the side: where less is seen, the picture ends there."""

    def along(first: int, end: int, side: int) -> tuple[int, int]:
        missing = min(extent, side) - (end - first)
        return (0, end + missing) if first == 0 else (first - missing, end)

    (top, bottom), (left, right) = along(part.top, part.bottom, size[0]), along(part.left, part.right, size[1])
    return Box(top, left, bottom, right)


@given(st.sampled_from(["conv1", "relu1", "pool1", "conv2", "relu3"]), st.data())
def test_a_box_is_what_the_unit_sees_shifted_inside(layer, data):
    size = data.draw(st.tuples(st.integers(12, 24), st.integers(12, 24)))
    stride = 1 if layer in ("conv1", "relu1") else 2
    y, x = (data.draw(st.integers(0, extent // stride - 1)) for extent in size)
    address = f"tiny:{layer}"
    assert receptive_box(address, y, x, size) == shifted(seen(address, y, x, size), field_of(address).extent, size)


@pytest.mark.parametrize("layer", ["relu2_1", "pool2", "relu3_2"])
def test_of_a_deep_layer_too(layer):
    size = (48, 44)
    address = f"pocket:{layer}"
    for y, x in ((0, 0), (2, 4), (4, 3), (5, 5)):
        assert receptive_box(address, y, x, size) == shifted(seen(address, y, x, size), field_of(address).extent, size)


def test_boxes_of_a_layer_are_of_one_size(generator):
    image = torch.rand(1, 3, 40, 52, generator=generator)
    extent = field_of(f"{TINY}:relu3").extent
    sizes = {patch(image, f"{TINY}:relu3", y, x).shape for y in range(20) for x in range(26)}
    assert sizes == {(1, 3, extent, extent)}
    assert torch.equal(patch(image, f"{TINY}:relu3", 0, 25), image[:, :, :extent, -extent:])


def test_along_a_side_that_is_shorter_than_the_field_it_is_the_side():
    extent = field_of(f"{TINY}:relu3").extent
    assert receptive_box(f"{TINY}:relu3", 1, 15, (5, 60)) == Box(
        0, 30 - extent // 2 + 1, 5, 30 - extent // 2 + 1 + extent
    )


@pytest.mark.parametrize("rule", ["gradient", "deconvnet", "guided"])
def test_a_projection_lies_in_the_box_of_its_unit(rule, generator):
    image = torch.rand(1, 3, 64, 72, generator=generator)
    found = project(Encoder(), image, "pocket:conv3_1", partial(unit, channel=5, at=(9, 12)), rule)
    inside = receptive_box("pocket:conv3_1", 9, 12, (64, 72))
    assert inside.crop(found).abs().sum() > 0
    inside.crop(found).zero_()
    assert not found.any()


def test_where_a_layer_sees_all_so_does_the_box():
    for address in ("pocket:fc", "vgg19:fc6", "googlenet:fc"):
        assert receptive_box(address, 0, 0, (90, 120)) == Box(0, 0, 90, 120)


def test_positions_that_see_nothing_and_layers_that_never_run_are_told():
    for y, x in ((12, 0), (0, 99), (-1, 0)):
        with pytest.raises(PlanError, match=f"row {y}, column {x} of tiny:relu3 sees nothing of a 20x16 picture"):
            receptive_box("tiny:relu3", y, x, (16, 20))
    network = nn.Sequential(nn.Conv2d(3, 4, 3))
    network.idle = nn.ReLU()
    network.forward = lambda image: network[0](image)
    register_backbone("half idle", network)
    with pytest.raises(AddressError, match="layer half idle:idle runs 0 times"):
        receptive_box("half idle:idle", 0, 0, (16, 16))


class Reader(nn.Module):
    """Takes pictures of one size, as digits are."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 5)
        self.fc = nn.Linear(4 * 8 * 8, 10)

    def forward(self, image):
        return self.fc(self.conv(image).flatten(1))


def test_a_module_that_takes_one_size_is_measured_at_it():
    register_backbone("reader", Reader())
    assert receptive_box("reader:conv", 2, 3, (12, 12)) == Box(2, 3, 7, 8)
    assert receptive_box("reader:fc", 0, 0, (12, 12)) == Box(0, 0, 12, 12)
