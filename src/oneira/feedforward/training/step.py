"""What the training of an image-to-image network reports."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class StylizerStep:
    """What happened; `step` of `total` are done.

    `loss`, weighted, and `by_term`, before the weights: means per picture since the last report, None and empty between
    two reports. `note`: one line that a user should read, such as that a bad step was taken back.
    """

    step: int
    total: int
    side: int
    rate: float
    loss: float | None = None
    by_term: Mapping[str, float] = field(default_factory=dict)
    note: str = ""
