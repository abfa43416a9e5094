"""How much of each of a network's styles goes into a picture, and where."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import torch
from torch import Tensor

from oneira.errors import PlanError
from oneira.feedforward.saving import TrainedNetwork

Shares = Mapping[str, float]


def parsed_shares(text: str, option: str) -> Shares:
    """`starry_night=0.7,great_wave=0.3` -> shares by name, which add up to 1; a name alone counts 1.

    `option` is what told it, for errors. Raises PlanError for anything else.
    """
    shares: dict[str, float] = {}
    for part in text.split(","):
        name, told, number = part.strip().partition("=")
        share = _number(number) if told else 1.0
        if not name.strip() or share is None or name.strip() in shares:
            raise PlanError(
                f"{option} {text!r} is no blend; write styles, each once, with numbers of at least 0, such as "
                "starry_night=0.7,great_wave=0.3"
            )
        shares[name.strip()] = share
    whole = sum(shares.values())
    if not whole:
        raise PlanError(f"{option} {text!r} leaves no style anything: give at least one of them a number above 0")
    return MappingProxyType({name: share / whole for name, share in shares.items()})


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if 0 <= number < math.inf else None


@dataclass(frozen=True, eq=False)
class Mix:
    """`shares` of styles by name; with a `mask` (1, 1, any, any), those where it is 1, and `elsewhere` where it is 0.

    `strength` in [0, 1]: how far from the photograph the picture goes, in both. `elsewhere` None is the photograph.
    """

    shares: Shares
    strength: float = 1.0
    mask: Tensor | None = None
    elsewhere: Shares | None = None

    def style(self, trained: TrainedNetwork) -> Tensor:
        """Weights (1, styles) for the network, or with a mask maps of them (1, styles, any, any).

        Between a style and the photograph lie the network's parameters between that style's and those of its identity
        style: PlanError where it has none, and for styles that it does not know.
        """
        here = self._weights(trained, self.shares)
        if self.mask is None:
            return here
        if self.elsewhere is None:
            there = _identity(trained, "--mask without --elsewhere needs")
        else:
            there = self._weights(trained, self.elsewhere)
        return self.mask * here[..., None, None] + (1 - self.mask) * there[..., None, None]

    def _weights(self, trained: TrainedNetwork, shares: Shares) -> Tensor:
        full = trained.weights(shares)
        if self.strength == 1:
            return full
        return self.strength * full + (1 - self.strength) * _identity(trained, "--strength needs")


def _identity(trained: TrainedNetwork, needs: str) -> Tensor:
    """The weights of the style that leaves pictures as they are."""
    if trained.identity is None:
        names = ", ".join(trained.names)
        raise PlanError(f"{needs} a style that leaves the photograph as it is, and this network has none: {names}")
    weights = torch.zeros(1, trained.styles)
    weights[0, trained.identity] = 1
    return weights
