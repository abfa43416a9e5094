"""Laws of marks: what is meant stays as it is, what is far away too, and between them is black and white."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from oneira.errors import ImageError
from oneira.images import marked, stacked


def grey(height=90, width=120):
    return torch.full((1, 3, height, width), 0.5)


@given(ends=st.tuples(*(st.integers(0, side) for side in (120, 120, 90, 90))))
def test_a_frame_lies_around_its_box(ends):
    left, right, top, bottom = (*sorted(ends[:2]), *sorted(ends[2:]))
    if (left, top) == (right, bottom):
        return
    picture = marked(grey(), (left, top, right, bottom))
    assert (picture[..., top:bottom, left:right] == 0.5).all()
    around = torch.zeros(90, 120, dtype=torch.bool)
    around[max(0, top - 3) : bottom + 3, max(0, left - 3) : right + 3] = True
    around[top:bottom, left:right] = False
    assert ((picture[0, 0] != 0.5) == around).all()
    if min(left, top) > 2:  # dark, white, dark
        assert picture[0, 0, top, left - 3 : left].tolist() == pytest.approx([0.05, 1.0, 0.05])


@given(x=st.integers(0, 119), y=st.integers(0, 89))
def test_a_cross_leaves_its_point_as_it_is(x, y):
    picture = marked(grey(), (x + 0.5, y + 0.5, x + 0.5, y + 0.5))
    assert (picture[..., y, x] == 0.5).all()
    changed = (picture[0, 0] != 0.5).nonzero() - torch.tensor([y, x])
    assert len(changed)
    assert changed.abs().max() <= 14  # its arms and their edges
    assert (changed.abs().amin(1) <= 2).all()  # which lie along the axes
    assert changed.abs().amax(1).min() >= 2
    assert (picture == 1).any()


def test_what_is_given_is_left_alone_and_lines_grow_with_the_picture():
    small, large = grey(), grey(900, 1200)
    changed = []
    for picture in (small, large):
        height, width = picture.shape[2:]
        drawn = marked(picture, (width / 4, height / 4, width / 2, height / 2))
        assert (picture == 0.5).all()
        changed.append((drawn != 0.5).float().mean().item())
    assert changed[1] == pytest.approx(changed[0], rel=1.0)


@pytest.mark.parametrize("box", [(-1, 0, 5, 5), (0, 0, 121, 5), (0, 0, 5, 91), (6, 0, 5, 5), (0, 6, 5, 5)])
def test_a_mark_is_in_the_picture(box):
    with pytest.raises(ImageError, match=r"is not in a picture of 120 x 90$"):
        marked(grey(), box)


def test_pages_are_stacked_in_the_middle_of_white():
    page = stacked(torch.zeros(1, 3, 4, 10), torch.full((1, 3, 2, 5), 0.5))
    assert page.shape == (1, 3, 6, 10)
    assert (page[..., :4, :] == 0).all()
    assert (page[..., 4:, 2:7] == 0.5).all()
    assert (page[..., 4:, :2] == 1).all()
    assert (page[..., 4:, 7:] == 1).all()
