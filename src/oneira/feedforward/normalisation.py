"""Instance normalisation, and its conditional form: a scale and a shift for every style."""

from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from oneira.feedforward.stylizer import resized_maps

EPSILON = 1e-5  # of all the published networks
FEW_CHANNELS = 8  # fewer are normalised faster plane by plane, whatever order they come in


@dataclass(frozen=True, eq=False)
class Own:
    """The scale and shift (b, channels) of a style, by its number, that are not learned but each picture's own."""

    style: int
    scale: Tensor
    shift: Tensor


class InstanceNorm(nn.Module):
    """Normalise every channel of every picture by its own mean and deviation, then scale and shift (Ulyanov 2016)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(channels))
        self.shift = nn.Parameter(torch.zeros(channels))

    def forward(self, values: Tensor, style: Tensor | None = None, own: Own | None = None) -> Tensor:
        """Values (b, channels, h, w) to the same shape; there is but one style: both others must be None."""
        assert style is None
        assert own is None
        return normalised(values, self.scale.expand(len(values), -1), self.shift.expand(len(values), -1))


class BatchNorm(nn.BatchNorm2d):
    """Batch normalisation behind the same interface, to compare with (Johnson et al. 2016)."""

    def __init__(self, channels: int) -> None:
        super().__init__(channels, eps=EPSILON)

    def forward(self, values: Tensor, style: Tensor | None = None, own: Own | None = None) -> Tensor:
        """Values (b, channels, h, w) to the same shape; there is but one style: both others must be None."""
        assert style is None
        assert own is None
        return super().forward(values)


class ConditionalInstanceNorm(nn.Module):
    """Instance normalisation whose scale and shift belong to the style (Dumoulin et al. 2017).

    Between styles they are interpolated linearly, over the picture or, departing from the paper, position by position.
    """

    def __init__(self, channels: int, styles: int) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(styles, channels))
        self.shift = nn.Parameter(torch.zeros(styles, channels))

    def forward(self, values: Tensor, style: Tensor, own: Own | None = None) -> Tensor:
        """Values (b, channels, h, w), in the styles of weights (b, styles), or of maps (b, styles, any, any).

        `own` stands in place of one style's parameters.
        """
        every_scale, every_shift = self._of_every_style(own)
        if style.ndim == 2:
            return normalised(values, mixed(style, every_scale), mixed(style, every_shift))
        maps = resized_maps(style, (values.shape[-2], values.shape[-1])).to(values.dtype)
        unit = torch.ones_like(self.scale[:1]).expand(len(values), -1)
        scale, shift = (_mixed_by_position(maps, every) for every in (every_scale, every_shift))
        return torch.addcmul(shift, normalised(values, unit, torch.zeros_like(unit)), scale)

    def _of_every_style(self, own: Own | None) -> tuple[Tensor, Tensor]:
        """Scale and shift, each (b or 1, styles, channels)."""
        if own is None:
            return self.scale[None], self.shift[None]
        theirs = torch.arange(len(self.scale), device=self.scale.device)[:, None] == own.style
        return torch.where(theirs, own.scale[:, None], self.scale), torch.where(theirs, own.shift[:, None], self.shift)


def mixed(weights: Tensor, parameters: Tensor) -> Tensor:
    """Weights (b, styles) of parameters (b or 1, styles, channels) -> (b, channels)."""
    # Not a matrix product, which autocast would round to bfloat16, where 1.003 is 1.
    return (weights[..., None] * parameters).sum(1)


def _mixed_by_position(maps: Tensor, parameters: Tensor) -> Tensor:
    """Maps (b, styles, h, w) of parameters (b or 1, styles, channels) -> (b, channels, h, w)."""
    mixtures = parameters.mT.to(maps.dtype) @ maps.flatten(2)
    return mixtures.view(*mixtures.shape[:2], *maps.shape[2:])


def normalised(values: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
    """Every channel (b, c, h, w) less its mean, over its deviation, times `scale` (b, c), plus `shift` (b, c)."""
    if values.device.type != "cpu":
        return by_formula(values, scale, shift)
    if values.shape[1] < FEW_CHANNELS or not values.is_contiguous(memory_format=torch.channels_last):
        values = values.contiguous()
    if torch.is_grad_enabled() and (values.requires_grad or scale.requires_grad or shift.requires_grad):
        return cast(Tensor, _Normalised.apply(values, scale, shift))  # type: ignore[no-untyped-call]
    alone = zip(values.split(1), scale, shift, strict=True)
    return torch.cat([_by_channel(*one)[0] for one in alone]) if len(values) > 1 else _by_channel(*next(alone))[0]


def by_formula(values: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
    """`normalised` out of torch's plain operations, for devices of all kinds."""
    exact = values.to(torch.promote_types(values.dtype, torch.float32))
    variance, mean = torch.var_mean(exact, (-2, -1), correction=0)
    factor = scale * (variance + EPSILON).rsqrt()
    return torch.addcmul(_spread(shift - mean * factor, exact), exact, _spread(factor, exact)).to(values.dtype)


def _by_channel(values: Tensor, scale: Tensor, shift: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Normalised values with scale and shift (c), and the means and inverse deviations (b, c), in float32 at least.

    A group norm with groups of one channel: torch's instance norm takes ten times as long where channels come last.
    """
    batch, channels, height, width = values.shape
    exact = torch.promote_types(values.dtype, torch.float32)
    return torch.native_group_norm(
        values, scale.to(exact), shift.to(exact), batch, channels, height * width, channels, EPSILON
    )


class _Normalised(torch.autograd.Function):
    """`normalised`, with a way back that torch's own normalisations do not have at this speed, channels last."""

    @staticmethod
    def forward(ctx: Any, values: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
        unit, _, inverse = _by_channel(values, torch.ones_like(scale[0]), torch.zeros_like(scale[0]))
        ctx.save_for_backward(unit, inverse, scale)
        return torch.addcmul(_spread(shift, unit), unit, _spread(scale, unit))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        unit, inverse, scale = ctx.saved_tensors
        to_scale = (gradient * unit).sum((-2, -1)).to(scale)
        to_shift = gradient.sum((-2, -1)).to(scale)
        # What would move the mean or the deviation has no effect: it is taken out.
        positions = unit[0, 0].numel()
        through = torch.addcmul(gradient, unit, _spread(-to_scale / positions, unit))
        factor = scale * inverse
        to_values = torch.addcmul(_spread(-factor * to_shift / positions, unit), through, _spread(factor, unit))
        return to_values, to_scale, to_shift


def _spread(numbers: Tensor, values: Tensor) -> Tensor:
    """(b, c) -> (b, c, 1, 1), of the type of `values`."""
    return numbers.to(values.dtype)[..., None, None]
