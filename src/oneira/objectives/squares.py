"""Sums of squares, which distances are made of."""

from typing import Any

import torch
from torch import Tensor


def sum_of_squares(values: Tensor, weights: Tensor | None = None) -> Tensor:
    """Any shape -> a scalar; each square is multiplied by its weight, where there are `weights` that broadcast to them.

    Without weights the gradient is one pass over memory; automatic differentiation takes several.
    """
    if weights is not None:
        return (values.square() * weights).sum()
    total: Tensor = _SumOfSquares.apply(values)  # type: ignore[no-untyped-call]
    return total


class _SumOfSquares(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, values: Tensor) -> Tensor:
        ctx.save_for_backward(values)
        return values.square().sum()

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        (values,) = ctx.saved_tensors
        by_values: Tensor = values * (2 * gradients[0])
        return by_values
