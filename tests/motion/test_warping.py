"""What carrying pictures along optical flow, and the mask of where that may be trusted, must do."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from scenes import constant_flow, spline_at, square_over, texture
from torch.testing import assert_close

from oneira.motion.warping import flicker, visible, warp

LAPLACIAN = torch.tensor([[0.0, 1, 0], [1, -4, 1], [0, 1, 0]])[None, None]


def random_flow(size, strength, seed=0):
    return strength * torch.randn(1, 2, *size, generator=torch.Generator().manual_seed(seed))


def places_of(flow):
    height, width = flow.shape[2:]
    rows, columns = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    return flow + torch.stack([columns, rows])


class TestWarp:
    def test_what_is_seen_at_x_is_the_image_at_x_plus_flow(self, image):
        warped = warp(image, constant_flow(3, -2, 20, 28))
        assert_close(warped[..., 2:, :-3], image[..., :-2, 3:], atol=1e-5, rtol=0)

    def test_outside_of_the_image_is_its_reflection(self, image):
        warped = warp(image, constant_flow(0, -4, 20, 28))
        assert_close(warped[..., :4, :], image[..., :4, :].flip(2), atol=1e-5, rtol=0)

    @given(st.integers(8, 30), st.integers(8, 30), st.sampled_from([0.5, 4.0, 60.0]), st.integers(0, 9))
    def test_between_pixels_it_is_the_cubic_spline_through_them(self, height, width, strength, seed):
        image = torch.rand(1, 3, height, width, generator=torch.Generator().manual_seed(seed)).double()
        flow = random_flow((height, width), strength, seed).double()
        expected = spline_at(image, places_of(flow))
        low, high = image.amin((2, 3), keepdim=True), image.amax((2, 3), keepdim=True)
        assert_close(warp(image, flow), torch.clamp(expected, low, high), atol=1e-6, rtol=0)

    @given(st.integers(1, 30), st.integers(1, 30))
    def test_where_nothing_moves_a_picture_of_any_size_stays_what_it_is(self, height, width):
        image = torch.rand(1, 3, height, width, generator=torch.Generator().manual_seed(0))
        assert_close(warp(image, torch.zeros(1, 2, height, width)), image, atol=1e-5, rtol=0)

    def test_no_channel_leaves_its_range(self):
        image = torch.zeros(1, 2, 16, 16)
        image[:, 0, :, 8:] = 1
        image[:, 1, 8:] = 0.5
        warped = warp(image, constant_flow(0.4, 0.4, 16, 16))
        assert warped[:, 0].min() == 0
        assert warped[:, 0].max() == 1
        assert warped[:, 1].max() == 0.5

    def test_each_picture_of_a_batch_goes_the_same_way(self, image):
        flow, batch = random_flow((20, 28), 2), torch.cat([image, image.flip(3), 1 - image])
        assert_close(warp(batch, flow), torch.cat([warp(each[None], flow) for each in batch]))

    @pytest.mark.parametrize("unknown", [torch.nan, 1e10, -torch.inf])
    def test_what_is_not_known_stays_where_it_is(self, image, unknown):
        flow = constant_flow(5, 5, 20, 28)
        flow[0, 1, 4, 6] = unknown
        assert_close(warp(image, flow)[..., 4, 6], image[..., 4, 6], atol=1e-5, rtol=0)
        assert_close(warp(image, flow)[..., 5, 6], image[..., 10, 11], atol=1e-5, rtol=0)

    def test_a_hundred_warps_leave_detail_and_add_none(self):
        picture, flow = texture(48, 64), constant_flow(0.37, -0.59, 48, 64)
        detail = F.conv2d(picture.mean(1, keepdim=True), LAPLACIAN).var()
        splined, straight, keys = picture, picture, picture
        for direction in [1, -1] * 50:
            splined = warp(splined, direction * flow)
            grid = (places_of(direction * flow).permute(0, 2, 3, 1) * 2 + 1) / torch.tensor([64, 48]) - 1
            straight = F.grid_sample(straight, grid, padding_mode="reflection", align_corners=False)
            keys = F.grid_sample(keys, grid, mode="bicubic", padding_mode="reflection", align_corners=False)
        left, left_straight, left_keys = (
            F.conv2d(each.mean(1, keepdim=True), LAPLACIAN).var() / detail for each in (splined, straight, keys)
        )
        assert 0.2 < left < 1
        assert left > 10 * left_straight
        assert left_keys > 2  # why it is not the bicubic that PyTorch has


def bilinear(plane, x, y):
    """As Ruder et al.'s consistency checker reads between pixels; beyond the edge, the edge."""
    height, width = plane.shape
    x0, y0 = int(np.floor(x)), int(np.floor(y))
    near = lambda j, i: plane[min(max(j, 0), height - 1), min(max(i, 0), width - 1)]  # noqa: E731
    above = near(y0, x0) * (1 - (x - x0)) + near(y0, x0 + 1) * (x - x0)
    below = near(y0 + 1, x0) * (1 - (x - x0)) + near(y0 + 1, x0 + 1) * (x - x0)
    return above * (1 - (y - y0)) + below * (y - y0)


def plain_mask(forward, backward):
    """Ruder et al. 2016, equations 6 and 7, pixel by pixel; flows (2, h, w). A picture ends where its pixels do."""
    _, height, width = forward.shape
    mask = np.zeros((height, width), np.float32)
    at = lambda j, i: backward[:, min(max(j, 0), height - 1), min(max(i, 0), width - 1)]  # noqa: E731
    for j in range(height):
        for i in range(width):
            hat = backward[:, j, i]
            x, y = i + hat[0], j + hat[1]
            if not (-0.5 <= x <= width - 0.5 and -0.5 <= y <= height - 0.5):
                continue
            tilde = np.array([bilinear(forward[0], x, y), bilinear(forward[1], x, y)])
            disoccluded = ((tilde + hat) ** 2).sum() > 0.01 * ((tilde**2).sum() + (hat**2).sum()) + 0.5
            slopes = (((at(j, i + 1) - at(j, i - 1)) / 2) ** 2).sum() + (((at(j + 1, i) - at(j - 1, i)) / 2) ** 2).sum()
            boundary = slopes > 0.01 * (hat**2).sum() + 0.002
            mask[j, i] = not disoccluded and not boundary
    return mask


def doubtful_flows(height, width, seed):
    """Forward and backward, about the same everywhere, and so uneven that about half the pixels may be trusted."""
    backward = constant_flow(0.7, -0.4, height, width).double() + random_flow((height, width), 0.07, seed)
    return -backward + random_flow((height, width), 1, seed + 100), backward


class TestVisible:
    @given(st.integers(1, 9), st.integers(1, 9), st.integers(0, 99))
    def test_it_is_the_published_formula(self, height, width, seed):
        forward, backward = doubtful_flows(height, width, seed)
        expected = plain_mask(forward[0].numpy(), backward[0].numpy())
        assert torch.equal(visible(forward, backward), torch.from_numpy(expected)[None, None])

    def test_each_check_keeps_some_of_those_pixels_and_drops_some(self):
        forward, backward = doubtful_flows(9, 9, 3)
        smooth = constant_flow(0.7, -0.4, 9, 9).double()
        for mask in (visible(forward, smooth), visible(-smooth, backward), visible(forward, backward)):
            assert 0.2 < mask[..., 1:, :-1].mean() < 0.8

    def test_where_nothing_moves_all_was_visible(self):
        assert visible(torch.zeros(1, 2, 5, 7), torch.zeros(1, 2, 5, 7)).min() == 1

    def test_the_border_of_a_picture_that_stands_still_does_not_come_and_go(self):
        for trembling in (constant_flow(0.02, 0.03, 8, 8), constant_flow(-0.02, -0.03, 8, 8)):
            assert visible(-trembling, trembling).min() == 1

    def test_what_comes_in_from_outside_was_not(self):
        flow = constant_flow(3, 0, 6, 10)  # everything goes to the right
        mask = visible(flow, -flow)
        assert mask[..., :3].max() == 0
        assert mask[..., 3:].min() == 1

    def test_a_square_before_a_background_uncovers_the_band_behind_it(self):
        # The square goes 6 to the right, the background 2 to the left.
        forward, backward = constant_flow(-2, 0, 40, 60), constant_flow(2, 0, 40, 60)
        forward[0, 0, 10:30, 20:40] = 6
        backward[0, 0, 10:30, 26:46] = -6
        uncovered = torch.zeros(40, 60, dtype=torch.bool)
        uncovered[10:30, 18:26] = True  # from where the square's left side would be, had it gone with the background
        outline = torch.zeros(1, 1, 40, 60)
        outline[..., 10:30, 26:46] = 1
        edges = (F.max_pool2d(outline, 3, 1, 1) + F.max_pool2d(-outline, 3, 1, 1) > 0)[0, 0]
        hidden = visible(forward, backward)[0, 0] == 0
        inside = hidden[:, :58]  # what the background brings in from the right is another matter
        assert (inside | ~uncovered[:, :58]).all()
        assert (~inside | uncovered[:, :58] | edges[:, :58]).all()

    @pytest.mark.parametrize("unknown", [torch.nan, 1e10, torch.inf])
    @pytest.mark.parametrize("which", [0, 1])
    def test_what_is_not_known_does_not_count(self, unknown, which):
        flows = [torch.zeros(1, 2, 8, 8), torch.zeros(1, 2, 8, 8)]
        flows[which][0, 0, 3, 4] = unknown
        mask = visible(*flows)
        assert mask[0, 0, 3, 4] == 0
        assert mask[0, 0, 6:].min() == 1


class TestFlicker:
    def test_a_picture_carried_along_does_not_flicker(self, image):
        flow = constant_flow(2, 1, 20, 28)
        current = warp(image, flow)
        assert flicker(image, current, flow, torch.ones(1, 1, 20, 28)) == 0
        assert flicker(image, current, torch.zeros_like(flow), torch.ones(1, 1, 20, 28)) > 0.1

    def test_it_is_the_mean_difference_where_the_mask_is(self, image):
        dimmed = image - 0.25
        dimmed[..., :5, :] = 9
        mask = torch.ones(1, 1, 20, 28)
        mask[..., :5, :] = 0
        assert flicker(image, dimmed, torch.zeros(1, 2, 20, 28), mask) == pytest.approx(0.25, abs=1e-4)

    def test_nothing_is_seen_through_an_empty_mask(self, image):
        assert flicker(image, 1 - image, torch.zeros(1, 2, 20, 28), torch.zeros(1, 1, 20, 28)) == 0

    def test_the_square_carried_along_differs_only_where_it_uncovered(self):
        background, square = texture(40, 60, 1), texture(20, 20, 2)
        first, second = square_over(background, square, 10, 20), square_over(background, square, 10, 26)
        forward, backward = torch.zeros(1, 2, 40, 60), torch.zeros(1, 2, 40, 60)
        forward[0, 0, 10:30, 20:40] = 6
        backward[0, 0, 10:30, 26:46] = -6
        mask = visible(forward, backward)
        assert flicker(first, second, backward, mask) < 1e-4
        assert flicker(first, second, backward, 1 - mask) > 0.05
