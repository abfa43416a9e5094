"""`oneira train backbone`: make a network like `pocket`, or measure one."""

from pathlib import Path
from typing import Any

from cyclopts import Group
from pydantic import BaseModel, ConfigDict, Field
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from oneira.cli.evaluation import measured, network_called
from oneira.cli.interrupts import Interrupts
from oneira.cli.options import chosen, option, options_of, signed
from oneira.cli.outputs import require_training_folder
from oneira.cli.screen import Screen, one_line, put
from oneira.errors import PlanError
from oneira.features.hardware import Precision, choose_device, choose_precision
from oneira.features.training import (
    LabelledPictures,
    Trainer,
    TrainingFolder,
    TrainingSettings,
    TrainingStep,
    continued_network,
    fresh_network,
    load_labelled,
    parse_phases,
)
from oneira.features.weights.reading import require_file

PICTURE_SIDE = 64  # of Tiny ImageNet, which `pocket` was made for
SKIPPED_SHOWN = 5
SETTINGS = Group("How the network is trained", sort_key=2)
DECLARED_HERE = ("phases", "augmentation")  # settings that are no plain options


class TrainOptions(BaseModel):
    """What is done, on which pictures, and where it goes; how, TrainingSettings decide."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    data: tuple[Path, ...] = Field(
        (), description="a folder of class folders, or .npz files of packed JPEGs (jpeg, offset, label)"
    )
    validation: tuple[Path, ...] = Field(
        (), description="the same, of other pictures; what is kept is what is right most often there"
    )
    output: Path | None = Field(None, description="the folder of the training")
    side: int = Field(PICTURE_SIDE, ge=1, le=1024, description="pixels that pictures are decoded to, and measured at")
    start: Path | None = Field(None, description="weights to go on from, instead of fresh ones")
    new_head: bool = Field(False, description="with --start: other classes than those of the weights")
    snapshots: tuple[int, ...] = Field((), description="epochs after which the network is kept; 0 is before the first")
    resume: bool = Field(False, description="go on from the checkpoint in --output")
    evaluate: str | None = Field(
        None,
        description="a network, such as pocket, or a file of its weights: print how often it is right about --data, "
        "and what it takes for what",
    )
    resized: int | None = Field(
        None, ge=1, description="with --evaluate: cut --side out of pictures of this shorter side (ImageNet's way: 256)"
    )
    offline: bool = Field(False, description="with --evaluate: never touch the network")
    device: str = Field("auto", description="what to compute on: auto, cpu, cuda ...")
    precision: Precision = Field(
        "auto", description="auto trains in bfloat16 where the machine has instructions for it, and measures in float32"
    )
    quiet: bool = Field(False, description="print nothing but errors and results")


def _train(**given: Any) -> int:
    phases = given.pop("phases", None)
    options = chosen(TrainOptions, "train backbone", given)
    if phases is not None:
        given["phases"] = parse_phases(phases)
    settings = chosen(TrainingSettings, "train backbone", given)
    if not options.data:
        raise PlanError("name pictures with --data: a folder of class folders, or .npz files")
    screen = Screen(stderr=True, quiet=options.quiet)
    return _evaluated(screen, options) if options.evaluate is not None else _trained(screen, options, settings)


backbone = signed(
    _train,
    "backbone",
    """Train a network like the embedded one, or measure one with --evaluate.

    The folder named by --output gets a checkpoint (every 45 seconds), log.csv, snapshots, and in the end
    pocket.safetensors, for use with --weights. Killed at any time, it goes on with --resume.
    """,
    [
        *options_of(TrainOptions, several=True, names={"output": ("--output", "-o"), "quiet": ("--quiet", "-q")}),
        option("phases", str, "sides and epochs [default: 40x27,48x12,64x6]", group=SETTINGS),
        *options_of(TrainingSettings, SETTINGS, without=DECLARED_HERE),
    ],
)


def _evaluated(screen: Screen, options: TrainOptions) -> int:
    assert options.evaluate is not None
    network = network_called(options.evaluate, offline=options.offline)
    device = choose_device(options.device)
    precision = choose_precision("float32" if options.precision == "auto" else options.precision, device)
    data = _loaded(screen, options.data, options.side, resized=options.resized)
    with _bar(screen) as bar:
        task = bar.add_task("measuring", total=len(data))
        lines = measured(network, data, device, precision, lambda done, _: bar.update(task, completed=done))
    put("\n".join(lines) + "\n")
    return 0


def _trained(screen: Screen, options: TrainOptions, settings: TrainingSettings) -> int:
    folder = _folder(options, settings)
    where = choose_device(options.device)
    precision = choose_precision(options.precision, where)
    training = _loaded(screen, options.data, options.side)
    checking = _loaded(screen, options.validation, options.side, classes=training.classes)
    if options.start is None:
        network = fresh_network(len(training.classes) or int(training.labels.max()) + 1, settings)
    else:
        network = continued_network(options.start, training, settings, new_head=options.new_head)
    trainer = Trainer(network, settings, training, checking, device=where, precision=precision)
    return _run(screen, trainer, folder, options)


def _folder(options: TrainOptions, settings: TrainingSettings) -> TrainingFolder:
    """Where the training goes; what is wrong with it, or with the options, is told before pictures are read."""
    if options.output is None or not options.validation:
        raise PlanError("training needs --validation (pictures to measure on) and --output (a folder)")
    beyond = [epoch for epoch in options.snapshots if not 0 <= epoch <= settings.epochs]
    if beyond:
        raise PlanError(f"--snapshots {beyond[0]} is no epoch of this training; allowed: 0 to {settings.epochs}")
    if options.new_head and options.start is None:
        raise PlanError("--new-head is for the weights named by --start; fresh ones have one anyway")
    if options.start is not None:
        require_file(options.start)
    folder = TrainingFolder(options.output)
    begun = folder.checkpoint.exists() or folder.previous.exists()
    require_training_folder(folder.path, begun=begun, resume=options.resume)
    return folder


def _loaded(
    screen: Screen,
    paths: tuple[Path, ...],
    side: int,
    *,
    resized: int | None = None,
    classes: tuple[str, ...] | None = None,
) -> LabelledPictures:
    with _bar(screen) as bar:
        task = bar.add_task(f"reading {paths[0].name}", total=None)
        data = load_labelled(
            paths,
            side,
            resized=resized,
            classes=classes,
            progress=lambda done, total: bar.update(task, completed=done, total=total),
        )
    for skipped in data.skipped[:SKIPPED_SHOWN]:
        _say(screen, f"note: skipped {skipped}")
    if len(data.skipped) > SKIPPED_SHOWN:
        _say(screen, f"note: skipped {len(data.skipped) - SKIPPED_SHOWN} more")
    return data


def _run(screen: Screen, trainer: Trainer, folder: TrainingFolder, options: TrainOptions) -> int:
    if options.resume:
        for note in folder.resume(trainer):
            _say(screen, f"note: {note}")
    interrupts = Interrupts()
    with interrupts.caught(), _bar(screen) as bar:
        try:
            if not _advanced_to_the_end(bar, trainer, folder, options, interrupts):
                _say(screen, f"interrupted: {folder.checkpoint} is kept; the same command with --resume goes on")
                return interrupts.status
            task = bar.add_task("measuring", total=None)
            choice = folder.finish(trainer, progress=lambda done, all_: bar.update(task, completed=done, total=all_))
        except KeyboardInterrupt:
            _say(screen, "stopped at once; with a checkpoint, the same command with --resume goes on")
            return interrupts.status
    accuracy = f"top-1 {choice.accuracy.top1:.2%}, top-5 {choice.accuracy.top5:.2%}"
    _say(screen, f"wrote {folder.result}: {accuracy} ({choice.kept} weights)")
    return interrupts.status


def _advanced_to_the_end(
    bar: Progress, trainer: Trainer, folder: TrainingFolder, options: TrainOptions, interrupts: Interrupts
) -> bool:
    """Train, until the end or a signal; True at the end."""
    task = bar.add_task("training", total=trainer.total, completed=trainer.step)
    steps = folder.record(trainer, snapshots=options.snapshots)
    for step in steps:
        interrupts.patient = True  # from here on there is something to save
        bar.update(task, completed=step.step)
        if (line := _told(step)) is not None:
            _say(bar.console, line)
        if interrupts.received is not None and not trainer.finished:
            steps.close()
            return False
    return True


def _told(step: TrainingStep) -> str | None:
    if step.validation is None or step.averaged is None:
        return None
    loss = "" if step.loss is None else f"loss {step.loss:.3f}, "
    return f"epoch {step.epoch}: {loss}top-1 {step.validation.top1:.2%}, averaged {step.averaged.top1:.2%}"


def _say(screen: Console, text: str) -> None:
    screen.print(one_line(text), soft_wrap=True, markup=False)


def _bar(screen: Screen) -> Progress:
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    return Progress(*columns, console=screen, disable=screen.quiet or not screen.is_terminal)
