"""L-BFGS for pictures: torch's own, whatever the size of an objective, and within the range of a picture's values."""

import math
from collections.abc import Callable, Iterable, Sequence

import torch
from torch import Tensor


class RelativeLBFGS(torch.optim.LBFGS):
    """L-BFGS that goes the same way whatever number the objective is multiplied by.

    torch's own length of the first step, min(1, 1 / |gradient|_1), and its least curvature for the history, 1e-10, hold
    for gradients of a certain size; with smaller ones the picture moves slowly, or not at all. So gradients and losses
    are multiplied by what brings the first gradient to a mean of about 1.
    """

    def step(self, closure: Callable[[], Tensor]) -> Tensor:  # type: ignore[override]
        """One step; `closure` gives the loss, and leaves the gradients."""

        def relative() -> Tensor:
            loss = closure()
            gradients = [p.grad for group in self.param_groups for p in group["params"] if p.grad is not None]
            factor = self._factor(gradients)
            for gradient in gradients:
                gradient.mul_(factor)
            return loss * factor

        loss: Tensor = super().step(relative)  # type: ignore[no-untyped-call]
        return loss

    def _factor(self, gradients: Sequence[Tensor]) -> float:
        """Of the first gradient that is not 0, and kept, in the state that checkpoints hold."""
        state = self.state[self.param_groups[0]["params"][0]]
        if "factor" not in state:
            total = sum(float(gradient.abs().sum()) for gradient in gradients)
            if total == 0:
                return 1.0
            mean = total / sum(gradient.numel() for gradient in gradients)
            # A power of two, which rounds nothing; within what float32 holds.
            state["factor"] = 2.0 ** max(-126, min(126, -round(math.log2(mean))))
        factor: float = state["factor"]
        return factor


class BoundedLBFGS(RelativeLBFGS):
    """L-BFGS that keeps every value in [0, 1], at every step.

    A value that stands at a bound, and that descent would push over it, is held: L-BFGS sees no gradient there, and it
    does not move. The others go where L-BFGS leads, and no further than their bound; the history gets the move that
    was really made, and as far as it is of values that are free now (Bertsekas 1982, "Projected Newton methods for
    optimization problems with simple constraints", with L-BFGS for Newton).

    Byrd et al. 1995 (L-BFGS-B) minimise a quadratic model over the box, along the projected gradient and then among
    what is free, and search that way for lower losses, with several gradients a step. Here a step is one gradient, as
    in RelativeLBFGS, and no search.
    """

    def __init__(self, params: Iterable[Tensor], lr: float = 1.0, history_size: int = 10) -> None:
        super().__init__(
            params, lr=lr, max_iter=1, history_size=history_size, tolerance_grad=0.0, tolerance_change=-1.0
        )

    @torch.no_grad()
    def step(self, closure: Callable[[], Tensor]) -> Tensor:  # type: ignore[override]
        """One step; `closure` gives the loss, and leaves the gradients."""
        values = _Values(self.param_groups[0]["params"])
        values.set(values.get().clamp_(0, 1))
        state, before = self.state[values.parameters[0]], values.get()
        steps = state.get("n_iter", 0)
        # torch makes the newest pair of these: the last move, and how the gradient changed with it.
        earlier = {name: state[name] for name in ("d", "prev_flat_grad") if name in state}
        gradient, held = before, before  # known when the closure has run

        def seen() -> Tensor:
            nonlocal gradient, held
            loss = closure()
            gradient = values.gradient()
            held = ((before <= 0) & (gradient > 0)) | ((before >= 1) & (gradient < 0))
            values.set_gradient(gradient.masked_fill(held, 0))
            state.update({name: vector.masked_fill(held, 0) for name, vector in earlier.items()})
            return loss

        loss = super().step(seen)
        if state["n_iter"] > steps:
            values.set(torch.where(held, before, values.get().clamp_(0, 1)))
            state["d"], state["t"] = values.get().sub_(before), 1.0
            state["prev_flat_grad"] = gradient * state["factor"]
        else:  # nothing is free to move, and nothing was learned
            state.update(earlier)
        return loss


class _Values:
    """Parameters and their gradients as one vector, in the order that torch's L-BFGS has."""

    def __init__(self, parameters: Sequence[Tensor]) -> None:
        self.parameters = parameters

    def get(self) -> Tensor:
        return torch.cat([parameter.detach().flatten() for parameter in self.parameters])

    def gradient(self) -> Tensor:
        return torch.cat([self._gradient_of(parameter).flatten() for parameter in self.parameters])

    def set(self, vector: Tensor) -> None:
        for parameter, part in zip(self.parameters, self._parts(vector), strict=True):
            parameter.copy_(part.view_as(parameter))

    def set_gradient(self, vector: Tensor) -> None:
        for parameter, part in zip(self.parameters, self._parts(vector), strict=True):
            parameter.grad = part.view_as(parameter)

    def _parts(self, vector: Tensor) -> Sequence[Tensor]:
        parts: Sequence[Tensor] = vector.split([parameter.numel() for parameter in self.parameters])
        return parts

    @staticmethod
    def _gradient_of(parameter: Tensor) -> Tensor:
        return torch.zeros_like(parameter) if parameter.grad is None else parameter.grad
