"""Colour spaces, and colours carried from one picture to another.

Every function takes and gives (..., 3, h, w) floats, is differentiable everywhere, and clamps nothing: what lies
outside sRGB's [0, 1] comes back as it went, and only `save` clamps. RGB means sRGB as displays have it
(IEC 61966-2-1), unless a name says linear.
"""

import torch
from torch import Tensor

# NTSC's luma and chroma (FCC 1953), to the digits that scikit-image has.
_YIQ = (
    (0.299, 0.587, 0.114),
    (0.59590059, -0.27455667, -0.32134392),
    (0.21153661, -0.52273617, 0.31119955),
)
# Linear sRGB to CIE XYZ, and the white that it belongs to: D65, 2 degrees.
_XYZ = (
    (0.412453, 0.357580, 0.180423),
    (0.212671, 0.715160, 0.072169),
    (0.019334, 0.119193, 0.950227),
)
_D65 = (0.95047, 1.0, 1.08883)
# CIE Lab is a cube root above this, and a straight line below.
_KNEE = 6 / 29


def srgb_to_linear(image: Tensor) -> Tensor:
    """sRGB -> the light itself."""
    # Clamped in the branch that is not taken, since a power of a negative number has no gradient, only NaN.
    curve = ((image.clamp(min=0.04045) + 0.055) / 1.055) ** 2.4
    return torch.where(image > 0.04045, curve, image / 12.92)


def linear_to_srgb(light: Tensor) -> Tensor:
    """The light -> sRGB."""
    curve = 1.055 * light.clamp(min=0.0031308) ** (1 / 2.4) - 0.055
    return torch.where(light > 0.0031308, curve, light * 12.92)


def rgb_to_yiq(image: Tensor) -> Tensor:
    """sRGB -> luma Y in [0, 1], chroma I in [-0.596, 0.596] and Q in [-0.523, 0.523]."""
    return _mixed(image, _matrix(_YIQ, image))


def yiq_to_rgb(yiq: Tensor) -> Tensor:
    """YIQ -> sRGB."""
    return _mixed(yiq, _inverse(_YIQ, yiq))


def rgb_to_lab(image: Tensor) -> Tensor:
    """sRGB -> CIE Lab (D65): L in [0, 100], a and b within about 128 of 0."""
    white = _column(_D65, image)
    x, y, z = _root(_mixed(srgb_to_linear(image), _matrix(_XYZ, image)) / white).unbind(-3)
    return torch.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], dim=-3)


def lab_to_rgb(lab: Tensor) -> Tensor:
    """CIE Lab (D65) -> sRGB; a Lab that no display shows falls outside [0, 1]."""
    lightness, a, b = lab.unbind(-3)
    y = (lightness + 16) / 116
    xyz = _cube(torch.stack([y + a / 500, y, y - b / 200], dim=-3)) * _column(_D65, lab)
    return linear_to_srgb(_mixed(xyz, _inverse(_XYZ, lab)))


def transfer_luma(image: Tensor, colours_from: Tensor) -> Tensor:
    """The luma of `image` with the chroma of `colours_from`, which has its size.

    Gatys et al., "Preserving Color in Neural Artistic Style Transfer", 2016, section 4, in YIQ.
    """
    luma = rgb_to_yiq(image)[..., :1, :, :]
    chroma = rgb_to_yiq(colours_from)[..., 1:, :, :]
    return yiq_to_rgb(torch.cat([luma, chroma], dim=-3))


def match_mean_covariance(image: Tensor, target: Tensor) -> Tensor:
    """`image` with the mean and covariance that the colours of `target` (any size) have.

    Gatys et al. 2016, section 3: x -> A (x - mean of image) + mean of target. Of the two roots that they give, ours
    is the symmetric one, A = C_target^(1/2) C_image^(-1/2), which does not depend on the order of the channels.
    """
    colours, mean, covariance = _statistics(image)
    _, target_mean, target_covariance = _statistics(target)
    _, whiten = _roots(covariance)
    dye, _ = _roots(target_covariance)
    matched = dye @ whiten @ (colours - mean) + target_mean
    return matched.reshape(image.shape).to(image.dtype)


def _statistics(image: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Colours (..., 3, pixels), their mean (..., 3, 1) and covariance (..., 3, 3), in float64."""
    colours = image.double().flatten(-2)
    mean = colours.mean(dim=-1, keepdim=True)
    centred = colours - mean
    # A quarter of a level of 255 in every direction: a one-colour picture has a root, and noise is not blown up.
    floor = 1e-6 * torch.eye(3, dtype=torch.float64, device=image.device)
    return colours, mean, centred @ centred.mT / colours.shape[-1] + floor


def _roots(covariance: Tensor) -> tuple[Tensor, Tensor]:
    """The symmetric square root of (..., 3, 3) and its inverse.

    Denman and Beavers' iteration: unlike an eigendecomposition, it has a gradient where two eigenvalues are equal,
    as they are in every grey picture.
    """
    root, inverse = covariance, torch.eye(3, dtype=covariance.dtype, device=covariance.device).expand_as(covariance)
    for _ in range(24):  # halves the gap between eigenvalues of up to 1e6 to one, then doubles the digits
        root, inverse = (root + torch.linalg.inv(inverse)) / 2, (inverse + torch.linalg.inv(root)) / 2
    return root, inverse


def _root(ratio: Tensor) -> Tensor:
    curve = ratio.clamp(min=_KNEE**3) ** (1 / 3)
    return torch.where(ratio > _KNEE**3, curve, ratio / (3 * _KNEE**2) + 4 / 29)


def _cube(value: Tensor) -> Tensor:
    return torch.where(value > _KNEE, value**3, 3 * _KNEE**2 * (value - 4 / 29))


def _mixed(image: Tensor, matrix: Tensor) -> Tensor:
    return (matrix @ image.flatten(-2)).reshape(image.shape)


def _matrix(rows: tuple[tuple[float, ...], ...], like: Tensor) -> Tensor:
    return torch.tensor(rows, dtype=like.dtype, device=like.device)


def _inverse(rows: tuple[tuple[float, ...], ...], like: Tensor) -> Tensor:
    inverse: Tensor = torch.linalg.inv(torch.tensor(rows, dtype=torch.float64))
    return inverse.to(like)


def _column(values: tuple[float, ...], like: Tensor) -> Tensor:
    return torch.tensor(values, dtype=like.dtype, device=like.device)[:, None, None]
