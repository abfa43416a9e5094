"""Which channels of a layer count: by number, by chance, or by how strongly a picture excites them."""

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Literal, cast, get_args

import torch
from torch import Tensor

from oneira.errors import AddressError, PlanError, nearest, one_of
from oneira.features.address import Address
from oneira.features.description import channels_of
from oneira.features.encoder import Encoder
from oneira.features.registry import find_backbone
from oneira.images import resize
from oneira.objectives.term import Size

ChannelRule = Literal["these", "all-but", "first", "random", "strongest", "weakest", "typical"]
LISTED = ("these", "all-but")  # rules that name channels; the others say how many
SEEN = ("strongest", "weakest", "typical")  # rules that look at a picture
COUNTING_SIDE = 64  # enough for every layer of the networks whose weights say how wide they are
WHOLE_NUMBER = re.compile("-?[0-9]{1,18}")  # a sign is read, to be told what is wrong with it
WRITTEN = "write 12 or 3,7,9, all-but:3,4, first:8, random:5, strongest:5, weakest:5 or typical:5"


@dataclass(frozen=True, eq=False)
class ChannelChoice:
    """Some of a layer's channels, counted from 0.

    `these` `numbers`; `all-but` these `numbers`; the `first` `count`; `random`, as many as `count`, drawn with `seed`,
    the same at every size; the `count` `strongest`, `weakest` or most `typical` for `picture` (1, 3, h, w): by the mean
    activation over positions, typical ones being nearest to the median of all channels' means. They are chosen anew at
    every size, from the picture resized to the canvas; with `once`, from the picture at its own size.

    Raises PlanError where numbers are negative or doubled, fewer than one channel is wanted, or a picture is lacking.
    """

    rule: ChannelRule
    numbers: Sequence[int] = ()
    count: int | None = None
    picture: Tensor | None = None
    seed: int = 0
    once: bool = False

    def __post_init__(self) -> None:
        one_of("rule for channels", self.rule, get_args(ChannelRule))
        if self.rule in LISTED:
            if self.count is not None:
                raise PlanError(f"{self.rule!r} takes the numbers of channels, not how many ({self.count})")
            _require_numbers(self.numbers)
            return
        if self.numbers:
            raise PlanError(f"{self.rule!r} takes how many channels, not their numbers {list(self.numbers)}")
        if self.count is None or self.count < 1:
            raise PlanError(f"{self.rule!r} takes how many channels, at least 1, not {self.count}")
        if self.rule in SEEN and self.picture is None:
            raise PlanError(f"the {self.rule} channels are those of a picture, and none is given")

    @classmethod
    def parse(cls, text: str, *, picture: Tensor | None = None, seed: int = 0, once: bool = False) -> "ChannelChoice":
        """`"12"`, `"3,7,9"`, `"all-but:3,4"`, `"first:8"`, `"random:5"`, `"strongest:5"`, ... -> the choice.

        `picture` and `once` are for the rules that look at one, `seed` for `random`; the others leave them alone.
        Raises PlanError for anything else.
        """
        written, colon, rest = (part.strip() for part in text.rpartition(":"))
        if colon and written not in get_args(ChannelRule):
            raise PlanError(
                f"unknown rule {written!r} for channels{nearest(written, get_args(ChannelRule))}; {WRITTEN}"
            )
        rule = cast(ChannelRule, written if colon else "these")
        parts = [part.strip() for part in rest.split(",")]
        if not all(WHOLE_NUMBER.fullmatch(part) for part in parts):
            raise PlanError(f"cannot read the channels {text!r}; {WRITTEN}")
        numbers = tuple(int(part) for part in parts)
        if rule in LISTED:
            return cls(rule, numbers)
        if len(numbers) > 1:
            raise PlanError(f"cannot read the channels {text!r}: {rule} takes one number, how many; {WRITTEN}")
        if rule == "random":
            return cls(rule, count=numbers[0], seed=seed)
        if rule in SEEN:
            return cls(rule, count=numbers[0], picture=picture, once=once)
        return cls(rule, count=numbers[0])

    def choose(self, encoder: Encoder, address: Address, size: Size) -> tuple[int, ...]:
        """The numbers of the channels of `address`, for a canvas of `size`; the strongest, weakest or typical first.

        Raises AddressError where the layer has no such channel or fewer than wanted. Of a registered module, whose
        layers' channels are not known before it runs, the channels of `these` are not looked up here.
        """
        known = channels_known(encoder, address, size)
        if known is not None:
            self._require(known, address)
        if self.rule == "these":
            return tuple(self.numbers)
        if self.picture is not None and self.rule in SEEN:
            means = mean_activations(encoder, self.picture if self.once else resize(self.picture, size), address)
            self._require(len(means), address)
            return tuple(self._order(means)[: self.count])
        count = _measured(encoder, address, size) if known is None else known
        self._require(count, address)
        if self.rule == "random":
            drawn = torch.randperm(count, generator=torch.Generator().manual_seed(self.seed))
            return tuple(sorted(drawn[: self.count].tolist()))
        if self.rule == "first":
            return tuple(range(count)[: self.count])
        return tuple(channel for channel in range(count) if channel not in self.numbers)

    def select(self, encoder: Encoder, address: Address, size: Size) -> "Selection":
        """What picks the chosen channels out of the layer's activations; raises as `choose` does."""
        return Selection(address, self.choose(encoder, address, size), encoder.device)

    def _require(self, count: int, address: Address) -> None:
        """AddressError unless a layer of `count` channels has those that are named, or as many as are wanted."""
        require_channels(self.numbers, count, address)
        if self.count is not None and self.count > count:
            raise AddressError(f"{address} has {count} channels, fewer than {self.rule}:{self.count}")
        if self.rule == "all-but" and len(self.numbers) == count:
            raise AddressError(f"all {count} channels of {address} are left out; keep one")

    def _order(self, means: Tensor) -> list[int]:
        # Stable, so that channels that are equal, such as those of a silent layer, come in the order of their numbers.
        if self.rule == "typical":
            return (means - means.quantile(0.5)).abs().argsort(stable=True).tolist()
        return means.argsort(stable=True, descending=self.rule == "strongest").tolist()


class Selection:
    """Picks channels, by number, out of a layer's activations; checks that they are there."""

    def __init__(self, address: Address, numbers: Sequence[int], device: torch.device) -> None:
        self.address = address
        self.numbers = tuple(numbers)
        self._index = torch.tensor(self.numbers, device=device)  # made here: no step waits for its way to the device

    def __call__(self, features: Tensor) -> Tensor:
        """(b, c, ...) -> (b, chosen, ...); AddressError for a channel that is not there."""
        require_channels(self.numbers, features.shape[1], self.address)
        return features.index_select(1, self._index)


def channels_known(encoder: Encoder, address: Address, size: Size) -> int | None:
    """How many channels a layer has, where that is known at hardly any cost; None for registered modules.

    Of a network that takes weights of any size, the weights are loaded: only they tell.
    Raises as `encoder` does where a picture of `size` is too small for the layer, of such a network.
    """
    backbone = find_backbone(address.backbone)
    if backbone.fitting is None:
        return channels_of(backbone, address.layer)
    # What is too small for the layer stays as it is, so that the encoder says so.
    height, width = (min(side, max(COUNTING_SIDE, backbone.smallest)) for side in size)
    return _measured(encoder, address, (height, width))


def mean_activations(encoder: Encoder, image: Tensor, address: Address) -> Tensor:
    """(1, 3, h, w) -> (c,), float32, on the CPU: the mean activation of each channel of a layer."""
    with torch.no_grad():
        features = encoder(image.to(encoder.device), [address])[address]
    return features.float().transpose(0, 1).flatten(1).mean(1).cpu()


def require_channels(numbers: Collection[int], count: int, address: Address, what: str = "channels") -> None:
    """AddressError unless all `numbers` are below `count`, the layer's channels."""
    for number in numbers:
        if not 0 <= number < count:
            raise AddressError(f"{address} has {what} 0 to {count - 1}, not {number}")


def _measured(encoder: Encoder, address: Address, size: Size) -> int:
    with torch.no_grad():
        return encoder(torch.full((1, 3, *size), 0.5, device=encoder.device), [address])[address].shape[1]


def _require_numbers(numbers: Sequence[int]) -> None:
    if not numbers:
        raise PlanError(f"no channel is named; {WRITTEN}")
    for position, number in enumerate(numbers):
        if number < 0:
            raise PlanError(f"channels are counted from 0; there is no channel {number}")
        if number in numbers[:position]:
            raise PlanError(f"channel {number} is named twice; name it once")
