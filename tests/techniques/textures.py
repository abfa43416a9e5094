"""Pictures for textures: grains, layouts, labels; and a small texture of statistics."""

import torch
from networks import TINY
from styles import columns, picture

from oneira.images import resize

SMALL = {"model": TINY, "layer": ("relu1", "relu2"), "size": 48, "smallest": 48, "steps": 2}
COPYING = ("efros-leung", "wei-levoy", "quilting")
SIDE = 32
LEFT, RIGHT = slice(0, SIDE // 2), slice(SIDE // 2, None)


def grain(seed, height=SIDE, width=SIDE, dye=(1.0, 1.0, 1.0)):
    """Smooth spots a few pixels wide, in levels of 255, so that a file holds them exactly."""
    spots = resize(picture(seed, height // 4, width // 4, 0.2, 1.0, dye), (height, width))
    return (spots * 255).round() / 255


def side_by_side(left, right):
    """The left half of one picture, the right half of another."""
    return torch.cat((left[..., LEFT], right[..., RIGHT]), -1)


def flat(*colour, height=SIDE, width=SIDE):
    return torch.tensor(colour)[None, :, None, None].expand(1, 3, height, width).clone()


RED, BLUE = flat(0.8, 0.0, 0.0), flat(0.0, 0.0, 0.8)
RAMP = (torch.linspace(0, 1, 48) * 255).round().expand(1, 3, 24, 48) / 255

PICTURES = {
    "grain": grain(1),
    "other": grain(2),
    "wide": grain(3, 24, 40),
    "large": picture(4, 300, 600),
    "glass": grain(5),  # transparent in the right half
    "clear": grain(5),  # transparent everywhere
    "red": grain(6, dye=(1.0, 0.1, 0.1)),
    "blue": grain(7, dye=(0.1, 0.1, 1.0)),
    "split": side_by_side(grain(6, dye=(1.0, 0.1, 0.1)), grain(7, dye=(0.1, 0.1, 1.0))),
    "numbers": side_by_side(RED, BLUE),  # what `split` shows where
    "swapped": side_by_side(BLUE, RED),  # a layout in those colours
    "noise": picture(8, SIDE, SIDE),
    "ramp": RAMP,
    "top": columns(slice(0, SIDE // 2), SIDE, SIDE).mT.contiguous(),
    "dark": torch.zeros(1, 3, SIDE, SIDE),
    "left": columns(LEFT, SIDE, SIDE),
    "long": torch.ones(1, 3, 20, 80),
}
ALPHA = {"glass": columns(LEFT, SIDE, SIDE)[:, :1], "clear": torch.zeros(1, 1, SIDE, SIDE)}


def colours(image):
    """All that there are, as levels of 255."""
    return {tuple(pixel) for pixel in (image[0].flatten(1).T * 255).round().int().tolist()}
