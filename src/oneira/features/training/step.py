"""What a training reports."""

from dataclasses import dataclass

from oneira.features.training.evaluation import Accuracy


@dataclass(frozen=True)
class TrainingStep:
    """What happened; `step` of `total` are done.

    `epoch` counts from 1. `loss` and `accuracy`: means over the steps since they were last reported, None between two
    reports. `validation` and `averaged` (the accuracy with averaged weights): only once an epoch is over, which is
    reported apart from its last step.
    """

    epoch: int
    step: int
    total: int
    side: int
    rate: float
    loss: float | None = None
    accuracy: float | None = None
    validation: Accuracy | None = None
    averaged: Accuracy | None = None
