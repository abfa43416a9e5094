"""Going through a plan before anything is loaded, so that what cannot be addressed is told at once."""

from collections.abc import Collection, Iterable
from typing import cast

import torch
from torch import Tensor

from oneira.errors import PlanError
from oneira.features.address import Address
from oneira.features.encoder import Encoder
from oneira.features.registry import resolve
from oneira.objectives.term import BoundTerm, as_sum
from oneira.synthesis.partition import Partition, require_fields, require_sums
from oneira.synthesis.plan import Plan


def rehearse(plan: Plan, encoder: Encoder, partition: Partition | None = None) -> None:
    """Bind every term at the plan's smallest size, without a network: no weights are read, none downloaded.

    Raises AddressError for backbones and layers that are not there, PlanError where a picture is too small for a layer,
    and where the plan cuts pictures into tiles or has a term that cannot be told in the parts of `partition`.
    What depends on activations, such as the number of channels, is seen at the first step.
    """
    sizes = {plan.canvas.size(scale.size) for scale in plan.schedule.scales}  # legs and stretches may be of one
    smallest = min(sizes, key=min)
    if plan.tiling is not None:
        smallest = (plan.tiling.narrowest(smallest[0]), plan.tiling.narrowest(smallest[1]))
    different = {id(objective): objective for objective in plan.objectives}.values()
    terms: list[BoundTerm] = []
    try:
        for term in [term for objective in different for _, term in as_sum(objective).parts]:
            stand_in = _StandIn(encoder)
            try:
                bound = term.bind(cast(Encoder, stand_in), smallest)
            except Exception:
                if stand_in.was_believed:
                    continue  # it worked on activations, and these were none
                raise
            encoder.check(bound.layers, smallest)
            terms.append(bound)
    except PlanError as error:
        if len(sizes) == 1:
            raise
        raise PlanError(f"at the smallest of {len(sizes)} sizes: {error}; take fewer sizes, or larger ones") from error
    require_parts(plan, terms, partition)


def require_parts(plan: Plan, terms: Collection[BoundTerm], partition: Partition | None) -> None:
    """Raise PlanError where the plan comes to a size that `partition` cuts, and one of its `terms` has no parts.

    Told at the first size, whether that is cut or not.
    """
    sizes = {plan.canvas.size(scale.size) for scale in plan.schedule.scales}
    if partition is None or not any(partition.cuts(size) for size in sizes):
        return
    if plan.tiling is not None:
        raise PlanError("tiles have gradients of their own, and parts the whole picture's: leave out one or the other")
    require_sums(terms)
    require_fields(address for bound in terms for address in bound.layers)


class _StandIn:
    """Looks like an Encoder to terms: checks what it is asked for, and gives activations that mean nothing."""

    device = torch.device("cpu")
    precision = torch.float32

    def __init__(self, encoder: Encoder) -> None:
        self._encoder = encoder
        self.variant = encoder.variant
        self.was_believed = False

    def __call__(self, image: Tensor, layers: Iterable[str | Address]) -> dict[Address, Tensor]:
        addresses = [resolve(layer) if isinstance(layer, str) else layer for layer in layers]
        self._encoder.check(addresses, (image.shape[2], image.shape[3]))
        self.was_believed = True
        return {address: torch.zeros(len(image), 1, 1, 1) for address in addresses}

    def digest(self, backbone: str) -> str | None:
        """Of no weights, which are not read yet."""
        self.was_believed = True
        return None
