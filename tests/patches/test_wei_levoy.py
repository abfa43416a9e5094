"""Scanned textures: the scan is one pixel after the other, the search is exact or a tree, and what is made."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.testing import assert_close
from weaving import colours, corner, levels, made, noisy, seeded

from oneira.errors import PlanError
from oneira.patches import WeiLevoy
from oneira.patches.pyramid import Level
from oneira.patches.quantisation import Exhaustive, Tree
from oneira.patches.wei_levoy import Scan

SEARCHED = pytest.mark.parametrize("search", ["tree", "exact"])


def level(picture, inside=None):
    return Level(picture, torch.ones(picture.shape[2:], dtype=torch.bool) if inside is None else inside)


def scanned_in_order(sample, coarse, source, window):
    """The same scan in plain loops: row after row, each from its beginning, around the torus; exact search."""
    half, parent = window // 2, (window // 2 + 1) // 2
    eight = lambda picture: (picture[0].double() * 255).round()  # noqa: E731
    high, wide = sample.inside.shape
    shown = eight(sample.picture).flatten(1)
    below = eight(coarse.sample.picture)
    coarse_shown = below.flatten(1)[:, coarse.source]
    before, source = source.clone(), source.clone()
    height, width = source.shape
    square = [(a, b) for a in range(-parent, parent + 1) for b in range(-parent, parent + 1)]
    ell = [(a, b) for a in range(-half, 0) for b in range(-half, half + 1)] + [(0, b) for b in range(-half, 0)]

    def parents(y, x):
        top, side = below.shape[1] - 1, below.shape[2] - 1
        return [(min(max(y // 2 + a, 0), top), min(max(x // 2 + b, 0), side)) for a, b in square]

    def learned(y, x):
        near = all(sample.inside[y + a, x + b] for a, b in [*ell, (0, 0)])
        return near and all(coarse.sample.inside[place] for place in parents(y, x))

    def of_sample(y, x):
        near = [shown[:, (y + a) * wide + x + b] for a, b in ell]
        return torch.cat(near + [below[:, a, b] for a, b in parents(y, x)])

    candidates = [(y, x) for y in range(half, high) for x in range(half, wide - half) if learned(y, x)]
    known = torch.stack([of_sample(y, x) for y, x in candidates])
    for y in range(height):
        for step in range(width):
            x = (y * half + step) % width
            near = []
            for a, b in ell:
                rows = source if y + a >= 0 else before
                near.append(shown[:, rows[(y + a) % height, (x + b) % width]])
            far = [
                coarse_shown[:, (y // 2 + a) % coarse.source.shape[0], (x // 2 + b) % coarse.source.shape[1]]
                for a, b in square
            ]
            distances = (known - torch.cat(near + far)).square().sum(1).tolist()
            v, u = candidates[distances.index(min(distances))]
            source[y, x] = v * wide + u
    return source


@pytest.mark.parametrize(
    ("size", "window"), [((10, 13), 3), ((7, 12), 5), ((12, 7), 5), ((9, 8), 7), ((3, 40), 5), ((2, 3), 5)]
)
@pytest.mark.parametrize("masked", [False, True])
def test_rows_scanned_side_by_side_are_as_scanned_one_pixel_after_the_other(size, window, masked):
    inside = torch.ones(18, 17, dtype=torch.bool)
    inside[:2, :3] = not masked
    sample = level(noisy(18, 17, most=9), inside)
    coarse_size = ((size[0] + 1) // 2, (size[1] + 1) // 2)
    coarse = Scan(sample.halved(), torch.randint(81, coarse_size, generator=seeded(1)))
    here = Scan.begin(sample, size, coarse, seeded())
    wanted = scanned_in_order(sample, coarse, here.source, window)
    *_, done = here.run(coarse, window, "exact")
    assert done == size[0] * size[1]
    assert torch.equal(here.source, wanted)


@given(count=st.integers(1, 40), width=st.integers(1, 6), seed=st.integers(0, 999), most=st.sampled_from([0, 3, 255]))
def test_each_vector_of_a_tree_finds_itself(count, width, seed, most):
    own = levels(count, width, seed=seed, most=most)
    found = Tree.of(own).nearest(own)
    assert torch.equal(own[found], own)
    assert found.tolist() == [own.tolist().index(vector) for vector in own.tolist()]


def test_a_tree_goes_to_the_right_heap():
    heaps = levels(4, 8).repeat_interleave(20, 0)
    own = (heaps + levels(80, 8, seed=1, most=4)).clamp(max=255)
    found = Tree.of(own).nearest(heaps[::20] + 2)
    assert (found // 20).tolist() == [0, 1, 2, 3]


def test_a_tree_of_many_vectors_is_nearly_as_near_as_an_exhaustive_search():
    own, wanted = levels(2000, 4), levels(300, 4, seed=1)
    errors = [(own[kind.of(own).nearest(wanted)] - wanted).square().sum(1).sqrt().mean() for kind in (Exhaustive, Tree)]
    assert errors[0] <= errors[1] < 1.6 * errors[0]


@given(
    count=st.integers(1, 20),
    width=st.sampled_from([1, 4, 341, 342, 700]),
    seed=st.integers(0, 999),
    most=st.sampled_from([1, 255]),
)
def test_the_exhaustive_search_finds_the_first_of_the_nearest(count, width, seed, most):
    own, wanted = levels(count, width, seed=seed, most=most), levels(5, width, seed=seed + 1, most=most)
    own[-1] = 255 - own[0]
    distances = [[float((vector - query).square().sum()) for vector in own] for query in wanted]
    assert Exhaustive.of(own).nearest(wanted).tolist() == [row.index(min(row)) for row in distances]


@pytest.mark.parametrize(("width", "precision"), [(147, torch.float32), (341, torch.float32), (342, torch.float64)])
def test_distances_are_whole_numbers_that_the_precision_holds(width, precision):
    # The largest there are: only black, looked for in only white, and the other way round.
    own = torch.tensor([[0.0], [255.0], [1.0]], dtype=torch.float64).expand(3, width)
    search = Exhaustive.of(own)
    assert search.vectors.dtype == precision
    wanted = torch.full((1, width), 255.0, dtype=torch.float64)
    found = torch.addmm(search.squares, wanted.to(precision) - 128, search.vectors, alpha=-2)
    assert found.tolist() == [[(v - 128) ** 2 * width - 2 * 127 * (v - 128) * width for v in (0, 255, 1)]]


def test_a_level_of_the_pyramid_is_a_binomial_blur_at_every_other_pixel():
    picture = noisy(7, 6)
    values, row = (picture[0].double() * 255).round(), [1, 4, 6, 4, 1]
    inside = torch.ones(7, 6, dtype=torch.bool)
    inside[6, 0] = False
    mirror = lambda place, side: side - 1 - abs(side - 1 - abs(place))  # noqa: E731
    half = level(picture, inside).halved()
    for y in range(4):
        for x in range(3):
            taps = [
                (mirror(2 * y + a, 7), mirror(2 * x + b, 6), a + 2, b + 2) for a in range(-2, 3) for b in range(-2, 3)
            ]
            total = sum(row[a] * row[b] * values[:, v, u] for v, u, a, b in taps)
            assert_close((half.picture[0, :, y, x].double() * 255).round(), ((total + 128) / 256).floor())
            assert half.inside[y, x] == all(inside[v, u] for v, u, _, _ in taps)
    assert half.picture.shape == (1, 3, 4, 3)
    assert half.inside.shape == (4, 3)


def test_before_its_scan_a_level_shows_what_the_coarser_one_foretells():
    sample = level(noisy(8, 10))
    coarse = Scan(sample.halved(), torch.arange(20).reshape(4, 5))
    assert torch.equal(Scan.begin(sample, (8, 10), coarse, seeded()).picture(), sample.picture)


def test_the_coarsest_level_begins_with_noise_of_what_may_be_copied():
    inside = corner(20, 21, 9, 12)[0, 0].bool()
    picture = Scan.begin(level(noisy(20, 21), inside), (30, 30), None, seeded()).picture()
    assert colours(picture) <= colours(noisy(20, 21)[..., :9, :12])


@SEARCHED
@pytest.mark.parametrize("across", [2, 3])
def test_stripes_go_on_below_the_first_rows(search, across):
    shades = torch.rand(3, 4, generator=seeded(5))
    sample = shades[:, torch.arange(40) % 4][None, :, None].expand(1, 3, 40, 40)
    sample = (sample if across == 3 else sample.transpose(2, 3)).contiguous()
    picture = made(WeiLevoy(sample, (24, 32), window=5, levels=3, search=search))
    shifted = [sample.roll(shift, across)[..., :16, :32] for shift in range(4)]
    assert any(torch.equal(picture[..., 8:, :], rolled) for rolled in shifted)


def test_there_are_as_many_levels_as_the_sample_the_mask_and_the_size_have_room_for():
    count = lambda *given, **more: len(WeiLevoy(*given, window=5, **more).pyramid)  # noqa: E731
    assert [count(noisy(side, 90), (40, 40)) for side in (10, 18, 19, 37, 79, 90)] == [1, 1, 2, 3, 4, 4]
    assert [count(noisy(90, 90), (side, 40)) for side in (1, 2, 4, 8, 16)] == [1, 2, 3, 4, 4]
    masked = [count(noisy(90, 90), (40, 40), mask=corner(90, 90, side, side)) for side in (9, 20, 60, 90)]
    assert masked[0] == 1
    assert masked == sorted(masked)
    assert masked[-1] == 4
    assert count(noisy(90, 90), (40, 40), levels=2) == 2


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"window": 4}, "odd number of pixels from 3"),
        ({"window": 9}, "a window of 9 pixels does not fit a sample of 18x16 pixels; it needs about 18x18 pixels"),
        ({"levels": 3}, "3 levels do not fit this sample, size and window: 1 to 1 do"),
        ({"levels": 0}, "0 levels do not fit"),
        ({"search": "exakt"}, "did you mean 'exact'"),
    ],
)
def test_options_that_do_not_go_together_are_refused(options, message):
    with pytest.raises(PlanError, match=message):
        WeiLevoy(noisy(), (9, 9), **{"window": 7} | options)
