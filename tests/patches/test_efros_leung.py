"""Growing textures pixel by pixel: the published order, exact errors, and laws of what is grown."""

import pytest
import torch
from torch.testing import assert_close
from weaving import constant, levels, made, noisy, seeded

from oneira.errors import PlanError
from oneira.patches import EfrosLeung, Likeness, fill
from oneira.patches.filling import _Windows, gaussian


def filled(picture, known, sample, likeness, seed=0, inside=None):
    inside = torch.ones(sample.shape[2:], dtype=torch.bool) if inside is None else inside
    return list(fill(picture, known, sample, inside, likeness, seeded(seed)))


def stripes(height, width, period):
    shades = torch.rand(3, period, generator=seeded(5))
    return shades[:, torch.arange(width) % period][None, :, None].expand(1, 3, height, width).contiguous()


def neighbours(known, y, x):
    around = [(y + dy, x + dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1) if (dy, dx) != (0, 0)]
    return sum(bool(known[a, b]) for a, b in around if 0 <= a < known.shape[0] and 0 <= b < known.shape[1])


def one_after_the_other(picture, known, sample, inside, likeness, generator):
    """Efros and Leung's pseudo-code in plain loops, with windows that end at the canvas."""
    picture, known = picture[0].clone(), known.clone()
    eight = lambda values: (values.double() * 255).round()  # noqa: E731
    window, half, (height, width) = likeness.window, likeness.window // 2, known.shape
    weights = gaussian(window).reshape(window, window)
    middles = [
        (y, x)
        for y in range(half, sample.shape[2] - half)
        for x in range(half, sample.shape[3] - half)
        if inside[y - half : y + half + 1, x - half : x + half + 1].all()
    ]
    limit = likeness.largest_error
    while not known.all():
        counts = {(y, x): neighbours(known, y, x) for y in range(height) for x in range(width) if not known[y, x]}
        places = [place for place, count in counts.items() if count]
        places = [places[index] for index in torch.randperm(len(places), generator=generator)]
        places.sort(key=lambda place: -counts[place])
        draws = torch.rand(len(places), dtype=torch.float64, generator=generator)
        found = False
        for (y, x), draw in zip(places, draws.tolist(), strict=True):
            reach = [(dy, dx) for dy in range(-half, half + 1) for dx in range(-half, half + 1)]
            reach = [(a, b) for a, b in reach if 0 <= y + a < height and 0 <= x + b < width and known[y + a, x + b]]
            total = sum(weights[half + a, half + b].item() for a, b in reach) * 3 * 255**2
            errors = []
            for v, u in middles:
                differences = [
                    weights[half + a, half + b]
                    * (eight(picture[:, y + a, x + b]) - eight(sample[0, :, v + a, u + b])).square().sum()
                    for a, b in reach
                ]
                errors.append(float(sum(differences)))
            near = [index for index, error in enumerate(errors) if error <= min(errors) * (1 + likeness.tolerance)]
            chosen = near[int(draw * len(near))]
            if errors[chosen] / total < limit:
                picture[:, y, x] = sample[0, :, middles[chosen][0], middles[chosen][1]]
                known[y, x] = found = True
        limit *= 1 if found else 1.1
    return picture[None]


@pytest.mark.parametrize(("window", "largest_error"), [(3, 0.3), (5, 0.3), (5, 0.01)])
def test_filling_is_the_published_loop_one_pixel_after_the_other(window, largest_error):
    sample, picture = noisy(8, 7, most=9), noisy(9, 7, seed=1, most=9)
    known = torch.zeros(9, 7, dtype=torch.bool)
    known[3:5, 2:5] = True
    known[8, 0] = True
    inside = torch.ones(8, 7, dtype=torch.bool)
    inside[0, 0] = inside[7, 4] = False
    likeness = Likeness(window, 0.5, largest_error)
    wanted = one_after_the_other(picture, known, sample, inside, likeness, seeded(2))
    count, got = filled(picture, known, sample, likeness, 2, inside)[-1]
    assert count == 63
    assert_close(got, wanted, rtol=0, atol=0)


def test_the_error_of_a_window_is_the_masked_weighted_square_difference():
    sample = noisy(9, 8)
    inside = torch.ones(9, 8, dtype=torch.bool)
    inside[8, 0] = False
    windows = _Windows.of(sample, inside, 5)
    values = levels(4, 3, 25, seed=1)
    weights = windows.gaussian * levels(4, 25, seed=2, most=1)
    wanted = torch.zeros(4, 20, dtype=torch.float64)
    for place in range(20):
        top, left = divmod(place, 4)
        patch = (sample[0, :, top : top + 5, left : left + 5].double() * 255).round().flatten(1)
        for query in range(4):
            wanted[query, place] = (weights[query] * (values[query] - patch).square()).sum()
    whole = [place for place in range(20) if place != 16]
    assert_close(windows.errors(values, weights), wanted[:, whole], rtol=0, atol=0)
    assert windows.sources.tolist() == [(place // 4 + 2) * 8 + place % 4 + 2 for place in whole]


def test_it_begins_with_a_piece_of_the_sample_in_the_middle():
    sample = noisy(12, 14)
    for size in [(9, 9), (10, 8), (2, 9), (1, 1)]:
        weave = EfrosLeung(sample, size, window=5)
        first = next(weave.looks(seeded(3)))
        rows, columns = (min(3, side) for side in size)
        assert first.done == rows * columns
        top, left = ((side - 3) // 2 if side > 3 else 0 for side in size)
        piece = first.picture[..., top : top + rows, left : left + columns]
        pieces = sample.unfold(2, rows, 1).unfold(3, columns, 1)
        assert (pieces == piece[:, :, None, None]).all(-1).all(-1).all(1).any()
        assert first.picture.any(1).sum() <= rows * columns


def test_stripes_go_on():
    picture = made(EfrosLeung(stripes(12, 16, 4), (15, 22), window=9))
    assert any(torch.equal(picture, stripes(15, 26, 4)[..., shift : shift + 22]) for shift in range(4))


def test_what_is_known_stays_and_the_picture_grows_ring_by_ring():
    picture = noisy(11, 11, seed=3)
    known = torch.zeros(11, 11, dtype=torch.bool)
    known[4:7, 4:7] = True
    passes = filled(picture, known, noisy(), Likeness(5, largest_error=1.0))
    assert [count for count, _ in passes] == [9, 25, 49, 81, 121]
    for ring, (_, so_far) in enumerate(passes):
        assert torch.equal(so_far[..., 4:7, 4:7], picture[..., 4:7, 4:7])
        outside = torch.ones(11, 11, dtype=torch.bool)
        outside[4 - ring : 7 + ring, 4 - ring : 7 + ring] = False
        assert not so_far[..., outside].any()


def test_a_hole_in_a_pattern_is_mended():
    picture = stripes(12, 16, 4)
    known = torch.ones(12, 16, dtype=torch.bool)
    known[4:8, 5:11] = False
    holed = picture * known
    _, mended = filled(holed, known, picture, Likeness(7), inside=known.new_ones(12, 16))[-1]
    assert torch.equal(mended, picture)
    assert torch.equal(
        filled(constant(9, 9), torch.ones(9, 9, dtype=torch.bool), picture, Likeness(5))[0][1], constant(9, 9)
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"window": 4}, "odd number of pixels from 3"),
        ({"window": 1}, "odd number of pixels from 3"),
        ({"window": 13}, "a window of 13 pixels does not fit a sample of 14x12 pixels: 3 to 12 do"),
        ({"tolerance": -0.1}, "at least 0 .0.1 in the papers., not -0.1"),
        ({"largest_error": 0.0}, "above 0 .0.3 in the paper., not 0.0"),
        ({"largest_error": float("nan")}, "not nan"),
    ],
)
def test_options_that_do_not_go_together_are_refused(options, message):
    with pytest.raises(PlanError, match=message):
        EfrosLeung(noisy(12, 14), (9, 9), **{"window": 5} | options)


@pytest.mark.parametrize(
    ("known", "inside", "message"),
    [
        (torch.zeros(9, 9, dtype=torch.bool), None, "nothing of the picture is known"),
        (torch.zeros(9, 8, dtype=torch.bool), None, "boolean"),
        (torch.ones(9, 9), None, "boolean"),
        (torch.ones(9, 9, dtype=torch.bool), torch.eye(16, 18).bool(), "no window of 5 pixels lies wholly"),
    ],
)
def test_filling_refuses_what_does_not_go_together(known, inside, message):
    with pytest.raises(PlanError, match=message):
        filled(noisy(9, 9), known, noisy(), Likeness(5), inside=inside)
