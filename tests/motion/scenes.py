"""Pictures that hold detail of every size, and motion between them that is known."""

import torch
import torch.nn.functional as F
from scipy.ndimage import map_coordinates


def texture(height, width, seed=0):
    """A picture (1, 3, h, w) of smooth random colours: noise of many sizes, the largest being the strongest."""
    generator = torch.Generator().manual_seed(seed)
    total = torch.zeros(1, 3, height, width)
    for coarse in (3, 6, 12, 24):
        noise = torch.randn(1, 3, height // coarse + 2, width // coarse + 2, generator=generator)
        total += coarse**0.5 * F.interpolate(noise, size=(height, width), mode="bicubic", align_corners=True)
    return (total - total.min()) / (total.max() - total.min())


def constant_flow(across, down, height, width):
    return torch.tensor([float(across), float(down)])[None, :, None, None].expand(1, 2, height, width).contiguous()


def spline_at(image, places):
    """`image` (1, c, h, w) at `places` (1, 2, h, w), x and y in pixels: SciPy's cubic spline, mirrored at the edges."""
    x, y = places[0].numpy()
    planes = [map_coordinates(plane.numpy(), [y, x], order=3, mode="reflect") for plane in image[0]]
    return torch.stack([torch.from_numpy(plane) for plane in planes])[None]


def square_over(background, square, top, left):
    """`background` with `square`, a smaller picture, laid over it."""
    height, width = square.shape[2:]
    scene = background.clone()
    scene[..., top : top + height, left : left + width] = square
    return scene
