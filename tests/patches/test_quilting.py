"""Image quilting: laws of the blocks, of the search, and of the pictures sewn."""

import itertools

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.testing import assert_close
from weaving import colours, constant, levels, made, noisy, seeded

from oneira.errors import PlanError
from oneira.patches import Quilting
from oneira.patches.layout import luminance
from oneira.patches.quilting import Blocks, choose


def sewn(sample, size, seed=0, **options):
    return made(Quilting(sample, size, **options), seed)


def drawn(sample, like, seed=0, **options):
    return made(Quilting(sample, tuple(like.shape[2:]), like=like, **options), seed)


def test_only_blocks_within_the_tolerance_are_chosen_and_only_where_they_may_be():
    errors = torch.tensor([[100.0, 110.0, 111.0], [130.0, 100.0, 90.0]])
    allowed = torch.tensor([[True, True, True], [True, True, False]])
    chosen = lambda tolerance: {choose(errors, allowed, tolerance, seeded(seed)) for seed in range(60)}  # noqa: E731
    assert chosen(0.1) == {(0, 0), (0, 1), (1, 1)}
    assert chosen(0.0) == {(0, 0), (1, 1)}
    assert chosen(1e308) == {(0, 0), (0, 1), (0, 2), (1, 0), (1, 1)}


@given(st.integers(1, 200), st.integers(4, 48), st.data())
def test_blocks_cover_the_picture_and_none_is_in_vain(length, side, data):
    overlap = data.draw(st.integers(1, side // 2))
    starts = Blocks(side, overlap).starts(length)
    assert starts[0] == 0
    assert starts[-1] + side >= length
    assert all(b - a == side - overlap for a, b in itertools.pairwise(starts))
    assert len(starts) == 1 or starts[-1] + overlap < length


@pytest.mark.parametrize(("height", "width", "side"), [(90, 200, 30), (60, 61, 20), (400, 300, 48), (9, 30, 4)])
def test_a_block_is_a_third_of_the_sample_at_most_48_and_overlaps_by_a_sixth(height, width, side):
    blocks = Quilting(constant(height, width), (9, 9)).blocks
    assert blocks == Blocks(side, max(2, round(side / 6)))


def test_a_mask_leaves_room_for_a_block_a_third_as_large_as_its_largest_square():
    mask = torch.zeros(1, 1, 90, 90)
    mask[..., 10:70, 20:80] = 1
    assert Quilting(constant(90, 90), (9, 9), mask=mask).blocks.side == 20


def test_what_no_neighbour_overlaps_is_one_patch_of_the_sample():
    sample = noisy(24, 30)
    picture = sewn(sample, (37, 37), block=10, overlap=1)
    patches = sample.unfold(2, 8, 1).unfold(3, 8, 1)
    for top, left in itertools.product(range(1, 30, 9), repeat=2):
        inside = picture[..., top : top + 8, left : left + 8]
        assert (patches == inside[:, :, None, None]).all(-1).all(-1).all(1).any()


@pytest.mark.parametrize("tolerance", [0.0, 0.1, 2.0])
@pytest.mark.parametrize("seed", range(3))
def test_stripes_go_on_as_stripes(tolerance, seed):
    period = torch.tensor([0.0, 0.2, 0.9, 0.5, 0.6])
    sample = period.repeat(5)[None, None, None].expand(1, 3, 25, 25)
    picture = sewn(sample, (50, 50), seed, block=12, overlap=4, tolerance=tolerance)
    assert torch.equal(picture[..., 5:], picture[..., :-5])
    assert torch.equal(picture[..., 1:, :], picture[..., :-1, :])
    assert len(picture[0, 0, 0, :5].unique()) == 5


def test_a_sample_of_one_block_is_tiled():
    sample = noisy(12, 12)
    picture = sewn(sample, (21, 12), block=12, overlap=3)
    assert torch.equal(picture[..., :9, :], sample[..., :9, :])
    assert torch.equal(picture[..., 12:, :], sample[..., 3:, :])


def test_rows_and_columns_are_sewn_alike():
    # One block alone can be chosen, so that only the cuts decide.
    sample = noisy(12, 12)
    picture = sewn(sample, (21, 12), block=12, overlap=3)
    turned = sewn(sample.mT, (12, 21), block=12, overlap=3)
    assert torch.equal(turned.mT, picture)
    old, new = sample[..., 9:, :], sample[..., :3, :]
    seam = picture[..., 9:12, :]
    assert ((seam == old) | (seam == new)).all()
    assert not torch.equal(seam, old)
    assert not torch.equal(seam, new)


def test_neighbours_meet_better_than_blocks_laid_at_random():
    ramp = torch.linspace(0, 1, 40)
    sample = torch.stack([ramp[:, None].expand(40, 40), ramp.expand(40, 40), (ramp[:, None] * ramp)])[None]

    def jumps(tolerance):
        picture = sewn(sample, (80, 80), block=12, overlap=4, tolerance=tolerance)
        return picture.diff(dim=-1).square().sum() + picture.diff(dim=-2).square().sum()

    assert jumps(0.1) < jumps(1e9) / 3


def test_each_row_of_blocks_is_shown_and_stays():
    looks = list(Quilting(noisy(24, 30), (40, 30), block=10, overlap=2).looks(seeded()))
    assert [look.done for look in looks] == [10 * 30, 18 * 30, 26 * 30, 34 * 30, 40 * 30]
    for row, look in enumerate(looks[:-1]):
        # The next row cuts into the overlap alone.
        rows = 8 * (row + 1)
        assert torch.equal(look.picture[..., :rows, :], looks[-1].picture[..., :rows, :])
        assert not look.picture[..., rows + 2 :, :].any()


@pytest.mark.parametrize("size", [26, 23])
def test_a_part_of_the_sample_drawn_with_it_comes_back(size):
    # Blocks of 8 every 6 pixels end at 26: they reach past a picture of 23, and what lies there must not count.
    sample = noisy(26, 26)
    part = sample[..., :size, :size]
    assert torch.equal(drawn(sample, part, block=8, passes=1, alpha=0.0), part)


def test_a_layout_is_followed_less_as_the_neighbours_count_more():
    sample, like = noisy(40, 40), torch.zeros(1, 3, 40, 40)
    like[..., :, 20:] = 1

    def likeness(alpha):
        picture = drawn(sample, like, block=8, passes=1, alpha=alpha)
        return picture[..., 20:].mean() - picture[..., :20].mean()

    assert likeness(0.0) > likeness(0.9) > 0


def test_a_layout_minds_how_light_a_picture_is_up_to_brightness_and_contrast():
    sample, like = noisy(30, 30), noisy(26, 33, 1)
    grey = luminance(levels(3, 4, 5))
    assert_close(grey, luminance(grey.expand(3, 4, 5)))
    weights = torch.tensor([0.299, 0.587, 0.114])[:, None, None]
    lightness = (like * weights).sum(1, keepdim=True).expand_as(like)
    assert torch.equal(drawn(sample, like, block=12), drawn(sample, lightness, block=12))
    spots = levels(1, 1, 26, 33, most=1).float().expand(1, 3, -1, -1)
    assert torch.equal(drawn(sample, spots, block=12), drawn(sample, 0.2 + 0.4 * spots, block=12))


@pytest.mark.parametrize("passes", [2, 3, 5])
def test_the_schedule_is_the_papers(passes):
    like = noisy(40, 40)
    laid = list(Quilting(like, (40, 40), block=36, like=like, passes=passes).schedule())
    assert_close([share for _, share in laid], [0.8 * (i - 1) / (passes - 1) + 0.1 for i in range(1, passes + 1)])
    assert [blocks.side for blocks, _ in laid] == [36, 24, 16, 11, 7][:passes]
    assert [blocks.overlap for blocks, _ in laid] == [6, 4, 3, 2, 2][:passes]


def test_blocks_shrink_to_four_pixels_and_one_pass_has_the_first_share():
    like = noisy(20, 20)
    laid = Quilting(like, (20, 20), block=8, overlap=3, like=like, passes=4).schedule()
    assert [(blocks.side, blocks.overlap) for blocks, _ in laid] == [(8, 3), (5, 2), (4, 2), (4, 2)]
    one = Quilting(like, (20, 20), block=8, like=like, passes=1, alpha=0.3)
    assert list(one.schedule()) == [(Blocks(8, 2), 0.3)]
    assert list(Quilting(like, (20, 20), block=8).schedule()) == [(Blocks(8, 2), 1.0)]


def test_later_passes_start_from_the_picture_so_far_with_smaller_blocks():
    weave = Quilting(noisy(40, 40), (40, 40), block=18, like=noisy(40, 40, 1), passes=3)
    looks = list(weave.looks(seeded()))
    # Blocks of 18, 12 and 8 pixels with overlaps of 3, 2 and 2: rows every 15, 10 and 6.
    assert len(looks) == 3 + 4 + 7
    assert looks[2].done == weave.total / 3 == 1600
    assert torch.equal(looks[3].picture[..., 12:, :], looks[2].picture[..., 12:, :])
    assert not torch.equal(looks[3].picture, looks[2].picture)
    assert colours(looks[-1].picture) <= colours(weave.sample)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"block": 25}, "a block of 25 pixels does not fit a sample of 30x24 pixels: 4 to 24 do"),
        ({"block": 3}, "a block of 3 pixels does not fit"),
        ({"block": 8, "overlap": 5}, "an overlap of 5 pixels does not fit blocks of 8: 1 to 4 do"),
        ({"overlap": 0}, "an overlap of 0"),
        ({"tolerance": -0.1}, "at least 0 .0.1 in the papers., not -0.1"),
        ({"tolerance": float("nan")}, "not nan"),
        ({"sample": torch.rand(1, 3, 3, 30)}, "does not fit a sample of 30x3 pixels, nor does any from 4"),
        ({"passes": 0}, "0 passes"),
        ({"alpha": 1.0}, "from 0 .the layout alone. to 0.9 .the neighbours., not 1.0"),
        ({"alpha": float("nan")}, "not nan"),
        ({"like": torch.rand(1, 1, 9, 9)}, "the layout is one colour picture"),
        ({"like": torch.rand(1, 3, 9, 8)}, "the layout is 8x9 pixels and the picture to make 9x9"),
    ],
)
def test_what_cannot_be_quilted_is_refused(options, message):
    given = {"sample": noisy(24, 30)} | options
    with pytest.raises(PlanError, match=message) as caught:
        Quilting(given.pop("sample"), (9, 9), **given)
    assert "\n" not in str(caught.value)
