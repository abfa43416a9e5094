"""Optimisers by name, as declarations. All minimise."""

import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Literal

import torch
from torch import Tensor
from torch.optim import Optimizer

from oneira.errors import PlanError, nearest, one_of
from oneira.synthesis.newton import BoundedLBFGS, RelativeLBFGS

OptimiserName = Literal["ascent", "sgd", "adam", "lecture-adam", "adagrad", "adadelta", "rmsprop", "lbfgs", "lbfgs-b"]
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
        return tuple(name for name in inspect.signature(self._builder).parameters if name not in DECIDED)

    @property
    def searches(self) -> bool:
        """Whether it compares one step with the next, so that the picture must not be clamped between them."""
        return issubclass(self._builder, RelativeLBFGS)

    @property
    def bounds(self) -> bool:
        """Whether it keeps what it optimises in [0, 1] itself, which then must be values of a picture."""
        return issubclass(self._builder, BoundedLBFGS)

    @property
    def _builder(self) -> type[Optimizer]:
        return OPTIMISERS[self.name][0]

    def build(self, parameters: Iterable[Tensor], factor: float = 1.0) -> Optimizer:
        """The torch optimiser over `parameters`, its rate multiplied by `factor`."""
        builder: Callable[..., Optimizer]
        builder, defaults = OPTIMISERS[self.name]
        chosen = {**defaults, **self.options} if self.rate is None else {**defaults, **self.options, "lr": self.rate}
        return builder(list(parameters), **{**chosen, "lr": chosen["lr"] * factor})


# `ascent` is DeepDream's: plain steps along the shaped gradient of the activity (here: down its negative).
# `lecture-adam` is Adam as the TensorFlow style-transfer tutorial sets it. L-BFGS takes one step per call, so that
# each can be watched. A history of 10 ends where neural-style's 100 does (style loss 0.0076 against 0.0073), in a tenth
# of the memory: each entry is two pictures. It stands still where the gradient is 0, and not by torch's thresholds for
# gradients and changes (neither does neural-style-pt).
OPTIMISERS: Mapping[str, tuple[type[Optimizer], Mapping[str, Any]]] = MappingProxyType(
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
        "lbfgs-b": (BoundedLBFGS, {"lr": 1.0, "history_size": 10}),
    }
)
