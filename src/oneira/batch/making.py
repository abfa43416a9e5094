"""One item after the other, each as its verb alone would make it, with models that are loaded once."""

import errno
import hashlib
import json
import time
import warnings
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from oneira.batch.outcomes import Faulted, Halted, Made, Outcome, Refused, SourceFile
from oneira.errands import Errand
from oneira.errors import AddressError, ImageError, OneiraError, PlanError, StyleFileError, WeightsError
from oneira.features.encoder import Shelf
from oneira.features.hardware import choose_device, choose_precision
from oneira.feedforward.folders import Writing
from oneira.feedforward.stylization import Stylization
from oneira.images import ImageWarning, Picture, save
from oneira.images.opening import sha256_of
from oneira.synthesis.memory import ran_out
from oneira.synthesis.run import Means
from oneira.techniques import Technique, located

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)  # what is no picture's own fault
STAND_IN = "picture"


@dataclass(frozen=True, eq=False)
class Order:
    """What is done to every picture of a job; it can be sent to another process, or another machine.

    `technique` works on any of the pictures and has read none. `threads`: that one picture is computed with.
    """

    technique: Technique
    means: Means
    threads: int
    writing: Writing = Writing()

    @property
    def digest(self) -> str:
        """SHA-256, in hexadecimal, of all that decides the pictures but the pictures themselves.

        Raises ImageError and WeightsError where an input beside them, or the network that paints, cannot be read.
        """
        technique = self.technique
        others = [path for path in technique.input_paths if path != technique.worked_on]
        networks = _networks_of(technique)
        told = {
            "verb": technique.verb(),
            "options": technique.model_dump(mode="json", exclude=set(technique.input_fields())),
            "inputs": [sha256_of(located(path)) for path in others],
            "networks": networks,
            "means": self.means.told() | {"threads": self.threads},
            "writing": [self.writing.depth, self.writing.sidecar, self.writing.recipes],
        }
        return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()

    def rehearse(self) -> None:
        """See that all is there that a picture needs beside itself, and make none.

        Raises what is wrong with any picture, such as ImageError for a style that is missing, AddressError for a layer;
        no PlanError but for the device: others may be due to the one picture, whose place a grey one takes.
        """
        choose_precision(self.means.precision, choose_device(self.means.device))
        stand_in = Picture(torch.full((1, 3, 64, 64), 0.5), path=Path(STAND_IN), sha256="")
        with suppress(PlanError):
            self.technique.model_copy(deep=True).of(STAND_IN, stand_in).plan().begin(self.means)


def _networks_of(technique: Technique) -> dict[str, str]:
    """SHA-256 of the networks that are options of their own."""
    if not isinstance(technique, Stylization):
        return {}
    return dict(technique.model_copy(deep=True).brush().digests)  # of a copy: the order is sent without the network


class Maker:
    """Makes the pictures of an `order`; what one has read beside its picture, models among it, is there for the next.

    The number of threads is the caller's to set.
    """

    def __init__(self, order: Order) -> None:
        self._technique = order.technique
        self._means = replace(order.means, shelf=Shelf())
        self._writing = order.writing

    def make(self, errand: Errand) -> Outcome:
        """Make one; nothing is raised, and nothing half written is left."""
        try:
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("ignore")
                warnings.simplefilter("always", ImageWarning)
                made = self._made(errand)
            return replace(made, notes=(*made.notes, *dict.fromkeys(str(warning.message) for warning in caught)))
        except (AddressError, WeightsError, StyleFileError) as error:
            return Halted(error)
        except OneiraError as error:
            return Halted(error) if _is_full(error) else Refused(str(error))
        except Exception as error:  # noqa: BLE001 - whatever a picture does, the others are still to be made
            if ran_out(error):
                return Faulted("not enough memory; try a smaller --size")
            return Faulted(f"unexpected {type(error).__name__}: {str(error).partition(chr(10))[0]}")

    def _made(self, errand: Errand) -> Made:
        started = time.monotonic()
        path = str(errand.source)
        size, mtime = _seen(errand.source)
        self._technique = technique = self._technique.of(path)
        run = technique.plan().begin(self._means)
        for _ in run:
            pass
        image = technique.finished(run)
        writing, target = self._writing, errand.target
        save(
            _with_folder(target),
            image,
            alpha=technique.transparency(image),
            recipe=technique.recipe(run) if writing.recipes else None,
            depth=writing.depth,
            sidecar=writing.sidecar,
        )
        source = SourceFile(size, mtime, technique.picture(path).sha256)
        return Made(source, target.stat().st_size, time.monotonic() - started, technique.notes)


def _seen(source: Path) -> tuple[int, int]:
    """Its size and time; before it is read, so that what changes meanwhile is found out the next time."""
    try:
        status = source.stat()
    except OSError:
        return 0, 0  # reading it tells why
    return status.st_size, status.st_mtime_ns


def _with_folder(target: Path) -> Path:
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ImageError(f"cannot write {str(target)!r}: {error.strerror or error}") from error
    return target


def _is_full(error: OneiraError) -> bool:
    return isinstance(error.__cause__, OSError) and error.__cause__.errno in FULL
