"""Optimisers by name, as declarations. All minimise."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Literal

import torch
from torch import Tensor
from torch.optim import Optimizer

from oneira.errors import PlanError, nearest

OptimiserName = Literal["ascent", "sgd", "adam", "lecture-adam", "adagrad", "adadelta", "rmsprop", "lbfgs"]
Builder = Callable[..., Optimizer]


@dataclass(frozen=True)
class OptimiserSpec:
    """`name` of OPTIMISERS, learning `rate` (None: the usual one), and the optimiser's own `options`."""

    name: str = "adam"
    rate: float | None = None
    options: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))

    def __post_init__(self) -> None:
        if self.name not in OPTIMISERS:
            raise PlanError(f"unknown optimiser {self.name!r}{nearest(self.name, OPTIMISERS)}: {', '.join(OPTIMISERS)}")
        if self.rate is not None and not self.rate > 0:
            raise PlanError(f"the rate must be above 0, not {self.rate}")

    @property
    def searches(self) -> bool:
        """Whether it compares one step with the next, so that the picture must not be clamped between them."""
        return self.name == "lbfgs"

    def build(self, parameters: Iterable[Tensor], factor: float = 1.0) -> Optimizer:
        """The torch optimiser over `parameters`, its rate multiplied by `factor`."""
        builder, defaults = OPTIMISERS[self.name]
        chosen = {**defaults, **self.options} if self.rate is None else {**defaults, **self.options, "lr": self.rate}
        return builder(list(parameters), **{**chosen, "lr": chosen["lr"] * factor})


# `ascent` is DeepDream's: plain steps along the shaped gradient of the activity (here: down its negative).
# `lecture-adam` is Adam as the TensorFlow style-transfer tutorial sets it. L-BFGS takes one step per call, so that
# each can be watched. A history of 10 ends where neural-style's 100 does (style loss 0.0076 against 0.0073), in a tenth
# of the memory: each entry is two pictures.
OPTIMISERS: Mapping[str, tuple[Builder, Mapping[str, Any]]] = MappingProxyType(
    {
        "ascent": (torch.optim.SGD, {"lr": 0.006}),
        "sgd": (torch.optim.SGD, {"lr": 0.1, "momentum": 0.9}),
        "adam": (torch.optim.Adam, {"lr": 0.02, "betas": (0.9, 0.99), "fused": True}),
        "lecture-adam": (torch.optim.Adam, {"lr": 0.02, "betas": (0.99, 0.999), "eps": 1e-1, "fused": True}),
        "adagrad": (torch.optim.Adagrad, {"lr": 0.05}),
        "adadelta": (torch.optim.Adadelta, {"lr": 1.0}),
        "rmsprop": (torch.optim.RMSprop, {"lr": 0.005}),
        "lbfgs": (torch.optim.LBFGS, {"lr": 1.0, "max_iter": 1, "history_size": 10, "line_search_fn": None}),
    }
)
