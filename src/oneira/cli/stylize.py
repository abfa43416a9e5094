"""`oneira stylize`: one picture, whole folders of them, or the frames of a film on their way."""

import json
import sys
import time
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from rich.table import Table

from oneira.cli.display import Display
from oneira.cli.interrupts import Interrupts
from oneira.cli.options import SHARED, argument, chosen, options_of, signed
from oneira.cli.outputs import require_folder
from oneira.cli.presets import LIST, explain, list_presets
from oneira.cli.run_options import NAMES, StylizeOptions
from oneira.cli.screen import Screen, complain, let_go, put
from oneira.cli.verbs import PICTURE, make_picture, options_for
from oneira.errands import Errand, errands_for
from oneira.errors import ImageError, PlanError, nearest
from oneira.feedforward.folders import Delivered, Writing, paint_all
from oneira.feedforward.streams import paint_frames
from oneira.feedforward.stylization import Stylization
from oneira.techniques import located
from oneira.techniques.refusals import option_name

FRAMES = "-"  # in place of a picture
INCOMING = "standard input"
# Options of every verb that would change nothing where one pass is all there is.
WITHOUT = ("seed", "max_memory", "weights", "offline", "save_every", "stages", "record", "every", "fps", "csv")
OF_FILES = ("output", "resume", "depth", "sidecar", "no_recipe", "as_json")


def _stylize(*given: str, preset: str | None = None, **options: Any) -> int:
    _refuse_options(given)
    running = chosen(StylizeOptions, Stylization.verb(), options)
    if preset == LIST:
        list_presets(Stylization)
        return 0
    if options.pop("explain", False):
        explain(Stylization, preset, options | ({"image": given[0]} if given else {}), running, WITHOUT)
        return 0
    if options.get("style") == LIST:
        return _list_styles(Stylization.configured(preset, **{**options, "image": FRAMES}))
    technique = Stylization.configured(preset, **options, **({"image": given[0]} if given else {}))
    if FRAMES in given:
        if len(given) > 1:
            raise PlanError(f"{FRAMES} stands for the frames on {INCOMING}, which come alone; paint files apart")
        return _paint_frames(technique, running)
    places = [located(path) for path in given]
    into_folder = running.output is not None and running.output.is_dir()
    if len(places) > 1 or places[0].is_dir() or into_folder:
        return _paint_files(technique, places, running)
    return make_picture(technique, running)


def _refuse_options(given: Sequence[str]) -> None:
    """PlanError for words that were meant as options: for the sake of `-`, arguments may begin with a hyphen."""
    known = [option_name(name) for name in (*Stylization.model_fields, *StylizeOptions.model_fields)]
    for word in given:
        if word.startswith("-") and word != FRAMES and not Path(word).exists():
            raise PlanError(f"{Stylization.verb()} has no option {word}{nearest(word, known)}")


def _list_styles(technique: Stylization) -> int:
    trained = technique.trained()
    table = Table("style", "what it is", box=None, pad_edge=False)
    for number, name in enumerate(trained.names):
        table.add_row(name, "the photograph as it is" if number == trained.identity else "")
    Screen().table(table)
    return 0


def _paint_frames(technique: Stylization, running: StylizeOptions) -> int:
    for name in OF_FILES:
        if name in running.model_fields_set:
            raise PlanError(f"{NAMES.get(name, (option_name(name),))[0]} is for files, not for frames: leave it out")
    if sys.stdin is None or sys.stdout is None or sys.stdout.isatty():
        raise PlanError("frames go to standard output: lead it on, such as | ffplay -f image2pipe -")
    display = Display(quiet=running.quiet)
    count, started = 0, time.monotonic()
    incoming, outgoing = sys.stdin.buffer, sys.stdout.buffer
    frames = paint_frames(technique, incoming, outgoing, INCOMING, device=running.device, precision=running.precision)
    with display.notices():
        try:
            for _ in frames:
                count += 1
            if not count:
                raise ImageError(f"{INCOMING} is empty (0 bytes); PPM frames are needed")
        except BrokenPipeError:  # whoever looked on has seen enough
            let_go(sys.stdout)
    seconds = time.monotonic() - started
    display.note(f"{count} frame{'s' * (count != 1)} in {seconds:.1f} s, {count / seconds:.1f} a second")
    return 0


def _paint_files(technique: Stylization, places: Sequence[Path], running: StylizeOptions) -> int:
    """Paint them all into a folder; the exit status: 0, 1 where one was left out, 128 + the signal that stopped it."""
    folder = running.output or _free_folder(places, resume=running.resume)
    require_folder(folder)
    errands = errands_for(places, folder)
    waiting = [errand for errand in errands if not (running.resume and errand.target.exists())]
    display = Display(quiet=running.quiet, json=running.as_json)
    if running.resume:
        display.note(f"{len(errands) - len(waiting)} of {len(errands)} pictures are there already")
    job = _Job(display, running, len(waiting))
    with display.notices(), display.progress():
        status = job.run(technique, waiting)
    display.note(job.told(folder))
    return status


class _Job:
    """What is shown of many pictures on their way, and how it ends."""

    def __init__(self, display: Display, running: StylizeOptions, total: int) -> None:
        self._display = display
        self._running = running
        self._total = total
        self._done = 0
        self._failed = 0
        self._interrupts = Interrupts()
        self._started = time.monotonic()

    def run(self, technique: Stylization, errands: Sequence[Errand]) -> int:
        running = self._running
        writing = Writing(running.depth, running.sidecar, not running.no_recipe)
        course = paint_all(technique, errands, writing, device=running.device, precision=running.precision)
        with self._interrupts.caught(), closing(course):
            self._interrupts.patient = True  # files are whole whenever it stops: there is no hurry
            try:
                for delivered in course:
                    self._tell(delivered)
                    if self._interrupts.received is not None:
                        break
            except KeyboardInterrupt:
                pass
        return self._interrupts.status or min(self._failed, 1)

    def told(self, folder: Path) -> str:
        seconds = time.monotonic() - self._started
        painted = self._done - self._failed
        end = "; the same command with --resume goes on" if self._interrupts.received is not None else ""
        return f"painted {painted} of {self._total} pictures into {folder} in {seconds:.1f} s{end}"

    def _tell(self, delivered: Delivered) -> None:
        self._done += 1
        for note in delivered.notes:
            self._display.note(note)
        if delivered.problem is not None:
            self._failed += 1
            told = f"left out: {delivered.problem}"
            complain(f"oneira: {told}") if self._running.quiet else self._display.note(told)
        if self._running.as_json:
            put(json.dumps(self._line(delivered)) + "\n")
        self._display.work(Stylization.verb(), self._done, self._total)

    def _line(self, delivered: Delivered) -> dict[str, Any]:
        height, width = delivered.size or (None, None)
        return {
            "source": str(delivered.errand.source),
            "target": str(delivered.errand.target),
            "height": height,
            "width": width,
            "done": self._done,
            "total": self._total,
            "problem": delivered.problem,
        }


def _free_folder(places: Sequence[Path], *, resume: bool) -> Path:
    """`NAME-stylize`, or the first of `NAME-stylize-2`, ... that is free; when resuming, the last that is not."""
    alone = places[0].resolve().name if len(places) == 1 else ""
    stem = f"{alone}-{Stylization.verb()}" if alone else Stylization.verb()
    found, number = Path(stem), 2
    before = found
    while found.exists():
        before, found, number = found, Path(f"{stem}-{number}"), number + 1
    return before if resume else found


stylize = signed(
    _stylize,
    Stylization.verb(),
    (Stylization.__doc__ or "")
    + """

    IMAGE is a picture or a folder of pictures; of several, the painted ones are put into a folder, under the names that
    they had. A single - reads frames in PPM from standard input, and writes the painted ones to standard output:
    ffmpeg -i CLIP -f image2pipe -c:v ppm - | oneira stylize - --style NAME | ffplay -f image2pipe -
    """,
    [
        argument("image", str, f"a picture, or a folder of them {PICTURE} [required]", several=True, hyphens=True),
        *options_for(Stylization),
        *options_of(StylizeOptions, SHARED, without=WITHOUT, names=NAMES),
    ],
)
