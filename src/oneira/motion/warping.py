"""Pictures carried along optical flow, and where that may be trusted.

Flow (1, 2, h, w) holds (dx, dy) in pixels: what its own picture shows at x, the other one shows at x + flow. NaN, and
what is larger than flow can be, means that it is not known.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from oneira.motion.flow_files import unknown_as_nan

POLE = math.sqrt(3) - 2  # of the filter that turns samples into the coefficients of a cubic B-spline (Unser 1999)
REACH = 12  # taps on each side: what is left of POLE ** k by then, a float32 cannot hold


def warp(image: Tensor, flow: Tensor) -> Tensor:
    """`image` (b, c, h, w) as the picture that `flow` (1, 2, h, w) belongs to has it: at x stands `image` at x + flow.

    What lies outside of `image` is its reflection, and where the flow is not known everything stays where it is:
    `visible` marks both. Each channel keeps within the range that it had.

    The values between pixels are a cubic B-spline's (Unser, "Splines: a perfect fit for signal and image processing",
    1999), since films warp what was warped: after 100 warps forth and back by fractions of a pixel, bilinear sampling
    has left 0.1 % of a photograph's detail (variance of the Laplacian), this 11 %. PyTorch's own bicubic (Keys 1981,
    a = -0.75) amplifies fine detail instead, 20 times by then, without end.
    """
    places = _places(unknown_as_nan(flow.to(image.device)).nan_to_num())
    coefficients = _coefficients(image)
    seen = torch.zeros_like(image)
    for across, its_weight in _pairs(places[:, :1]):
        for down, weight in _pairs(places[:, 1:]):
            seen += its_weight * weight * _between(coefficients, torch.cat([across, down], dim=1))
    return seen.clamp(image.amin((2, 3), keepdim=True), image.amax((2, 3), keepdim=True))


def visible(forward: Tensor, backward: Tensor) -> Tensor:
    """The mask (1, 1, h, w), 0 or 1, of the pixels of picture t that picture t - 1 shows as well.

    `forward`: flow from t - 1 to t; `backward`: flow from t to t - 1, both (1, 2, h, w).

    Ruder et al., "Artistic style transfer for videos", 2016, section 4.2, after Sundaram et al. 2010: a pixel counts
    unless who follows it back and forth again ends elsewhere, or it lies on the edge of a motion. Nor does it count
    where it comes from outside of picture t - 1, or where the flow is not known.
    """
    forward, backward = unknown_as_nan(forward), unknown_as_nan(backward)
    places = _places(backward)
    carried = _between(forward, places.nan_to_num())
    # Written so that NaN, which compares as false, does not count.
    returns = _squared(carried + backward) <= 0.01 * (_squared(carried) + _squared(backward)) + 0.5
    smooth = _slopes(backward) <= 0.01 * _squared(backward) + 0.002
    return (_inside(places) & returns & smooth).to(torch.float32)


def flicker(previous: Tensor, current: Tensor, backward: Tensor, mask: Tensor) -> float:
    """How far `current` is from `previous` carried along: the mean absolute difference where `mask` is 1, in [0, 1].

    `previous`, `current`: pictures (1, c, h, w); `backward`: flow (1, 2, h, w) from `current` to `previous`; `mask`
    (1, 1, h, w), as from `visible`. 0 where the mask is empty.
    """
    apart = (warp(previous, backward) - current).abs().mean(dim=1, keepdim=True)
    return float((apart * mask).sum() / mask.sum().clamp(min=1))


def _places(flow: Tensor) -> Tensor:
    """Where every pixel has gone to: (1, 2, h, w), in pixels, 0 in the middle of the first one."""
    height, width = flow.shape[2:]
    down, across = torch.arange(height, device=flow.device), torch.arange(width, device=flow.device)
    return flow + torch.stack([across.expand(height, -1), down[:, None].expand(-1, width)])


def _between(image: Tensor, places: Tensor) -> Tensor:
    """`image` (b, c, h, w) at `places` (1, 2, h, w): bilinear, what lies outside being the reflection."""
    size = places.new_tensor([image.shape[3], image.shape[2]])
    # For grid_sample, -1 and 1 are the outer edges of the first and the last pixel.
    grid = ((places.permute(0, 2, 3, 1) * 2 + 1) / size - 1).expand(len(image), -1, -1, -1)
    return F.grid_sample(image, grid, mode="bilinear", padding_mode="reflection", align_corners=False)


def _coefficients(image: Tensor) -> Tensor:
    """What a cubic B-spline has to be weighted with to pass through every pixel of `image`, mirrored at its edges."""
    batch, channels, height, width = image.shape
    steps = torch.arange(-REACH, REACH + 1, device=image.device)
    taps = math.sqrt(3) * torch.tensor(POLE, dtype=image.dtype, device=image.device) ** steps.abs()
    planes = image.reshape(batch * channels, 1, height, width)
    rows = F.conv2d(planes[..., _mirrored(width, image)], taps[None, None, None, :])
    return F.conv2d(rows[..., _mirrored(height, image), :], taps[None, None, :, None]).reshape(image.shape)


def _mirrored(length: int, like: Tensor) -> Tensor:
    """The places 0 ... length - 1, and before and behind them REACH more, reflected as often as it takes."""
    place = torch.arange(-REACH, length + REACH, device=like.device) % (2 * length)
    return torch.minimum(place, 2 * length - 1 - place)


def _pairs(places: Tensor) -> tuple[tuple[Tensor, Tensor], ...]:
    """Two places and their weights: values found there bilinearly add up to all four that a B-spline weighs.

    Sigg and Hadwiger, "Fast Third-Order Texture Filtering", 2005.
    """
    base = places.floor()
    after = places - base
    before = 1 - after
    first, last = before**3 / 6, after**3 / 6
    left = first + (4 - 6 * after**2 + 3 * after**3) / 6
    right = last + (4 - 6 * before**2 + 3 * before**3) / 6
    return (base - first / left, left), (base + 1 + last / right, right)


def _inside(places: Tensor) -> Tensor:
    # Ruder et al.'s program ends in the middle of the outermost pixels; with flow that is a hundredth of a pixel off,
    # the border of a picture that stands still would come and go. Half a pixel further shows what the border shows.
    height, width = places.shape[2:]
    across, down = places[:, :1], places[:, 1:]
    return (across >= -0.5) & (across <= width - 0.5) & (down >= -0.5) & (down <= height - 0.5)


def _squared(flow: Tensor) -> Tensor:
    return flow.square().sum(dim=1, keepdim=True)


def _slopes(flow: Tensor) -> Tensor:
    """|grad u|^2 + |grad v|^2, by central differences; beyond its edges the flow goes on as it is there."""
    wider = F.pad(flow, (1, 1, 1, 1), mode="replicate")
    across = (wider[:, :, 1:-1, 2:] - wider[:, :, 1:-1, :-2]) / 2
    down = (wider[:, :, 2:, 1:-1] - wider[:, :, :-2, 1:-1]) / 2
    return _squared(across) + _squared(down)
