"""`oneira train backbone`: make a network like `pocket`, or measure one."""

import inspect
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter
from pydantic import ValidationError
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from oneira.cli.interrupts import Interrupts
from oneira.cli.options import option_for, refusal
from oneira.errors import PlanError
from oneira.features import find_backbone
from oneira.features.hardware import Precision, choose_device, choose_precision
from oneira.features.training import (
    LabelledPictures,
    Trainer,
    TrainingFolder,
    TrainingSettings,
    TrainingStep,
    confusions,
    continued_network,
    evaluate,
    fresh_network,
    load_labelled,
    parse_phases,
)
from oneira.features.weights import load_weights

PICTURE_SIDE = 64  # of Tiny ImageNet, which `pocket` was made for

Files = Annotated[tuple[Path, ...], Parameter(negative=(), consume_multiple=True)]


def _train(
    data: Files = (),
    validation: Files = (),
    output: Annotated[Path | None, Parameter(name=["--output", "-o"])] = None,
    side: int = PICTURE_SIDE,
    start: Path | None = None,
    new_head: Annotated[bool, Parameter(negative="")] = False,
    snapshots: Annotated[tuple[int, ...], Parameter(negative=(), consume_multiple=True)] = (),
    resume: Annotated[bool, Parameter(negative="")] = False,
    evaluate: Annotated[str | None, Parameter()] = None,
    device: str = "auto",
    precision: Precision = "auto",
    quiet: Annotated[bool, Parameter(name=["--quiet", "-q"], negative="")] = False,
    phases: str | None = None,
    **settings: Any,
) -> int:
    """Train a network like the embedded one, or measure one with --evaluate.

    The folder named by --output gets a checkpoint (every 45 seconds), log.csv, snapshots, and in the end
    pocket.safetensors, for use with --weights. Killed at any time, it goes on with --resume.

    Parameters
    ----------
    data
        a folder of class folders, or .npz files of packed JPEGs (jpeg, offset, label)
    validation
        the same, of other pictures; what is kept is what is right most often there
    output
        the folder of the training
    side
        pixels that pictures are decoded to, and measured at
    start
        weights to go on from, instead of fresh ones
    new_head
        with --start: other classes than those of the weights
    snapshots
        epochs after which the network is kept; 0 is before the first
    resume
        go on from the checkpoint in --output
    evaluate
        a network, such as pocket, or a file of its weights: print top-1, top-5 and what it mistakes for what on --data
    device
        auto, cpu, cuda ...
    precision
        auto takes bfloat16 where the machine computes in it natively
    quiet
        print nothing but errors
    phases
        sides and epochs, such as 40x27,48x12,64x6 [default]
    """
    console = Console(stderr=True, quiet=quiet, highlight=False)
    if not data:
        raise PlanError("name pictures with --data: a folder of class folders, or .npz files")
    if evaluate is not None:
        return _evaluate(evaluate, _loaded(console, data, side), device)
    if output is None or not validation:
        raise PlanError("training needs --validation (pictures to measure on) and --output (a folder)")
    chosen = _settings(phases, {name: value for name, value in settings.items() if value is not None})
    training = _loaded(console, data, side)
    checking = _loaded(console, validation, side, training.classes)
    fresh = fresh_network(len(training.classes) or int(training.labels.max()) + 1, chosen)
    network = fresh if start is None else continued_network(start, training, chosen, new_head=new_head)
    where = choose_device(device)
    trainer = Trainer(network, chosen, training, checking, device=where, precision=choose_precision(precision, where))
    return _run(console, trainer, TrainingFolder(output), resume=resume, snapshots=snapshots)


def _with_settings(command: Callable[..., int]) -> Callable[..., int]:
    """`command`, whose `**settings` are the fields of TrainingSettings."""
    given = inspect.signature(command)
    own = [
        parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY)
        for parameter in given.parameters.values()
        if parameter.kind is not inspect.Parameter.VAR_KEYWORD
    ]
    fields = TrainingSettings.model_fields.items()
    declared = [option_for(name, field) for name, field in fields if name not in ("phases", "augmentation")]
    command.__signature__ = given.replace(parameters=own + declared)  # type: ignore[attr-defined]
    return command


backbone = _with_settings(_train)


def _settings(phases: str | None, options: dict[str, Any]) -> TrainingSettings:
    if phases is not None:
        options["phases"] = parse_phases(phases)
    try:
        return TrainingSettings(**options)
    except ValidationError as error:
        raise refusal(error) from error


def _loaded(
    console: Console, paths: tuple[Path, ...], side: int, classes: tuple[str, ...] | None = None
) -> LabelledPictures:
    with _bar(console) as bar:
        task = bar.add_task(f"reading {paths[0].name}", total=None)
        data = load_labelled(
            paths, side, classes=classes, progress=lambda done, total: bar.update(task, completed=done, total=total)
        )
    for skipped in data.skipped[:5]:
        console.print(f"note: skipped {skipped}", markup=False)
    return data


def _run(
    console: Console, trainer: Trainer, folder: TrainingFolder, *, resume: bool, snapshots: tuple[int, ...]
) -> int:
    if resume:
        for note in folder.resume(trainer):
            console.print(f"note: {note}", markup=False)
    interrupts = Interrupts()
    with interrupts.caught(), _bar(console) as bar:
        task = bar.add_task("training", total=trainer.total, completed=trainer.step)
        steps = folder.record(trainer, snapshots=snapshots)
        for step in steps:
            bar.update(task, completed=step.step)
            _tell(bar.console, step)
            if interrupts.received is not None:
                steps.close()
                console.print(f"interrupted: {folder.checkpoint} is kept; the same command with --resume goes on")
                return 128 + interrupts.received
    choice = folder.finish(trainer)
    accuracy = f"top-1 {choice.accuracy.top1:.2%}, top-5 {choice.accuracy.top5:.2%}"
    console.print(f"wrote {folder.result}: {accuracy} ({choice.kept} weights)")
    return 0


def _tell(console: Console, step: TrainingStep) -> None:
    if step.validation is not None and step.averaged is not None:
        loss = "" if step.loss is None else f"loss {step.loss:.3f}, "
        console.print(f"epoch {step.epoch}: {loss}top-1 {step.validation.top1:.2%}, averaged {step.averaged.top1:.2%}")


def _evaluate(model: str, data: LabelledPictures, device: str) -> int:
    path = Path(model)
    network = find_backbone("pocket" if path.suffix else model)
    loaded = load_weights(network, file=path if path.suffix else None)
    module = loaded.network.to(choose_device(device))
    accuracy = evaluate(module, data, preprocessing=network.preprocessing)
    names = data.classes or (network.classes() if network.classes is not None else ())
    lines = [f"top-1 {accuracy.top1:.2%}  top-5 {accuracy.top5:.2%}  of {accuracy.count} pictures"]
    for mistake in confusions(module, data, names, preprocessing=network.preprocessing, most=10):
        lines.append(f"{mistake.count:4}  {mistake.true} taken for {mistake.guessed}")
    sys.stdout.write("\n".join(lines) + "\n")
    return 0


def _bar(console: Console) -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    return Progress(*columns, console=console, disable=not console.is_terminal)
