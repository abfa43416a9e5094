"""Optimisers by name, as declarations. All minimise."""

import inspect
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Literal

import torch
from torch import Tensor
from torch.optim import Optimizer

from oneira.errors import PlanError, nearest, one_of

OptimiserName = Literal["ascent", "sgd", "adam", "lecture-adam", "adagrad", "adadelta", "rmsprop", "lbfgs"]
Builder = Callable[..., Optimizer]

DECIDED = ("params", "lr", "maximize", "differentiable")  # what torch's optimisers take and nobody may choose here


@dataclass(frozen=True)
class OptimiserSpec:
    """`name` of OPTIMISERS, learning `rate` (None: the usual one), and the optimiser's own `options`, by torch's names.

    Raises PlanError for names, rates and options that there are not, and for values that torch refuses.
    """

    name: str = "adam"
    rate: float | None = None
    options: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))

    def __post_init__(self) -> None:
        if self.name not in OPTIMISERS:
            raise PlanError(f"unknown optimiser {self.name!r}{nearest(self.name, OPTIMISERS)}: {', '.join(OPTIMISERS)}")
        if self.rate is not None and not self.rate > 0:
            raise PlanError(f"the rate must be above 0, not {self.rate}")
        for option in self.options:
            one_of(f"option of {self.name}", option, self.takes)
        if self.options:
            try:
                self.build([torch.zeros(1)])
            except (TypeError, ValueError, RuntimeError) as error:
                raise PlanError(f"{self.name} refuses {dict(self.options)}: {error}") from error

    @property
    def takes(self) -> tuple[str, ...]:
        """The names of the options that there are."""
        builder, _ = OPTIMISERS[self.name]
        return tuple(name for name in inspect.signature(builder).parameters if name not in DECIDED)

    @property
    def searches(self) -> bool:
        """Whether it compares one step with the next, so that the picture must not be clamped between them."""
        return self.name == "lbfgs"

    def build(self, parameters: Iterable[Tensor], factor: float = 1.0) -> Optimizer:
        """The torch optimiser over `parameters`, its rate multiplied by `factor`."""
        builder, defaults = OPTIMISERS[self.name]
        chosen = {**defaults, **self.options} if self.rate is None else {**defaults, **self.options, "lr": self.rate}
        return builder(list(parameters), **{**chosen, "lr": chosen["lr"] * factor})


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


# `ascent` is DeepDream's: plain steps along the shaped gradient of the activity (here: down its negative).
# `lecture-adam` is Adam as the TensorFlow style-transfer tutorial sets it. L-BFGS takes one step per call, so that
# each can be watched. A history of 10 ends where neural-style's 100 does (style loss 0.0076 against 0.0073), in a tenth
# of the memory: each entry is two pictures. It stands still where the gradient is 0, and not by torch's thresholds for
# gradients and changes (neither does neural-style-pt).
OPTIMISERS: Mapping[str, tuple[Builder, Mapping[str, Any]]] = MappingProxyType(
    {
        "ascent": (torch.optim.SGD, {"lr": 0.006}),
        "sgd": (torch.optim.SGD, {"lr": 0.1, "momentum": 0.9}),
        "adam": (torch.optim.Adam, {"lr": 0.02, "betas": (0.9, 0.99), "fused": True}),
        "lecture-adam": (torch.optim.Adam, {"lr": 0.02, "betas": (0.99, 0.999), "eps": 1e-1, "fused": True}),
        "adagrad": (torch.optim.Adagrad, {"lr": 0.05}),
        "adadelta": (torch.optim.Adadelta, {"lr": 1.0}),
        "rmsprop": (torch.optim.RMSprop, {"lr": 0.005}),
        "lbfgs": (
            RelativeLBFGS,
            {"lr": 1.0, "max_iter": 1, "history_size": 10, "tolerance_grad": 0.0, "tolerance_change": -1.0},
        ),
    }
)
