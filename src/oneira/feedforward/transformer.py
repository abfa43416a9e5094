"""The image transformation network: contract to a quarter, five residual blocks, expand again (Johnson et al. 2016)."""

from functools import partial
from typing import Literal

import torch
from torch import Tensor, nn

from oneira.errors import PlanError, one_of
from oneira.feedforward.blocks import NORMALISERS, Normaliser, Normed, Residual
from oneira.feedforward.convolution import EnlargingConvolution, ReflectedConvolution, WideConvolution
from oneira.feedforward.normalisation import ConditionalInstanceNorm, Own
from oneira.feedforward.stylizer import Stylizer, resized_maps

DARKEST = 0.01  # and 0.99 the lightest, of what the identity gives back of a picture's brightness and contrast
TransformerNormalisation = Literal["conditional", "instance", "batch"]


class TransformerNetwork(Stylizer):
    """One pass that draws a picture in a style it was trained for (Johnson et al. 2016), or in one of many.

    `instance` and `batch` are pytorch/examples' network, with that normalisation behind all convolutions but the last.
    `conditional` is Dumoulin et al.'s (2017, magenta): no biases, and a scale and shift per style behind all of them.

    `identity`, of a conditional network, is the number of the style that leaves pictures as they are. Normalisation
    takes every picture's brightness and contrast away, which no parameters could give back; so behind the last
    convolution this style's scale and shift are not learned, but the deviations and means of the picture itself.

    Departures: the picture comes and goes in [0, 1], not in 0..255. It is centred around 0, which the first
    normalisation takes out again, but bfloat16 keeps more of it. pytorch/examples leaves the output unbounded and cuts
    it when saving; here a sigmoid ends all three kinds, as in magenta, and as the paper's scaled tanh (the same curve).
    """

    multiple = 4
    smallest = 8  # 2 pixels in the middle, the fewest that can be mirrored

    def __init__(
        self,
        normalisation: TransformerNormalisation = "conditional",
        styles: int = 1,
        channels: tuple[int, int, int] = (32, 64, 128),
        residuals: int = 5,
        identity: int | None = None,
    ) -> None:
        super().__init__()
        one_of("normalisation", normalisation, ["conditional", *NORMALISERS])
        if styles < 1:
            raise PlanError(f"a network of {styles} styles; at least 1")
        self.styles = styles
        self.conditional = conditional = normalisation == "conditional"
        if styles != 1 and not conditional:
            raise PlanError(
                f"a network with {normalisation} normalisation has one style, not {styles}; take conditional"
            )
        if identity is not None and not (conditional and 0 <= identity < styles):
            raise PlanError(f"style {identity} as the identity, of {styles} styles and {normalisation} normalisation")
        self.identity = identity
        normaliser: Normaliser = (
            partial(ConditionalInstanceNorm, styles=styles) if conditional else NORMALISERS[normalisation]
        )
        self.configuration = {
            "normalisation": normalisation,
            "styles": styles,
            "channels": list(channels),
            "residuals": residuals,
            "identity": identity,
        }
        full, half, quarter = channels
        bias = not conditional  # with a normalisation behind it, a bias does nothing: it is in the published count
        self.contract = nn.ModuleList(
            [
                Normed(WideConvolution(3, full, 9, bias=bias), normaliser),
                Normed(ReflectedConvolution(full, half, 3, stride=2, bias=bias), normaliser),
                Normed(ReflectedConvolution(half, quarter, 3, stride=2, bias=bias), normaliser),
            ]
        )
        self.residuals = nn.ModuleList([Residual(quarter, normaliser, bias=bias) for _ in range(residuals)])
        self.expand = nn.ModuleList(
            [
                Normed(EnlargingConvolution(quarter, half, bias=bias), normaliser),
                Normed(EnlargingConvolution(half, full, bias=bias), normaliser),
            ]
        )
        self.draw = Normed(WideConvolution(full, 3, 9, bias=bias), normaliser if conditional else None, rectified=False)

    def stylized(self, image: Tensor, style: Tensor | None) -> Tensor:
        """`image` (b, 3, h, w) in [0, 1], drawn; the sides are multiples of 4."""
        whole, half, quarter = (_on_grid(style, image, shrunk) for shrunk in (1, 2, 4))
        values = image - 0.5
        for block, manner in zip(self.contract, (whole, half, quarter), strict=True):
            values = block(values, manner)
        for block in self.residuals:
            values = block(values, quarter)
        for block, manner in zip(self.expand, (half, whole), strict=True):
            values = block(values, manner)
        return torch.sigmoid(self.draw(values, whole, self._own(image, whole)))

    def _own(self, image: Tensor, style: Tensor | None) -> Own | None:
        """What of a picture the identity gives back; None where there is none, or it has no share."""
        if self.identity is None or style is None:
            return None
        # An accelerator would have to be waited for.
        if style.device.type == "cpu" and not style[:, self.identity].any():
            return None
        # Where it would be black or white, a sigmoid would have to come from infinity.
        values = torch.logit(image.float(), eps=DARKEST).flatten(2)
        return Own(self.identity, values.std(2, correction=0), values.mean(2))


def _on_grid(style: Tensor | None, image: Tensor, shrunk: int) -> Tensor | None:
    """Maps on the grid of layers that are `shrunk` times smaller, once for all of them; weights as they are."""
    if style is None or style.ndim == 2:
        return style
    return resized_maps(style, (image.shape[-2] // shrunk, image.shape[-1] // shrunk))
