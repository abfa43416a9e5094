"""Pictures watched for a figure; what was measured is kept, so that the next figure has it at once."""

from collections.abc import Generator, Sequence
from pathlib import Path

from oneira.features.address import Address
from oneira.features.encoder import Encoder
from oneira.figures.figure import Progress
from oneira.images import sample
from oneira.inspection.picture_set import PictureSet
from oneira.inspection.remembering import memory_of, remembered
from oneira.inspection.responses import Responses


def watched(
    encoder: Encoder, layers: Sequence[Address], pictures: PictureSet, side: int, stage: str
) -> Generator[Progress, None, Responses]:
    """What `layers` answer to squares of `side` pixels of `pictures`, the strongest of each channel.

    `stage`: what to call this. Raises as `remembered` does.
    """
    found: Responses | None = None
    path = memory_of(encoder, layers, pictures, side=side, top=1)
    for found in remembered(path, encoder, layers, pictures, side=side, top=1):
        yield Progress(stage, found.done, len(pictures), skipped(found))
    assert found is not None
    return found


def pictures_of(data: Path | None) -> PictureSet:
    """Those of a folder or an .npz file; without, those that come with the package. Raises as `PictureSet.open`."""
    return PictureSet.open(sample("cat").parent if data is None else data)


def skipped(found: Responses) -> str | None:
    """What to tell of pictures that cannot be read, when all have been tried."""
    if not (found.complete and found.skipped):
        return None
    return f"{len(found.skipped)} of {found.done} pictures cannot be read, the first: {found.skipped[0]}"
