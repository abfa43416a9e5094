"""The training of an image-to-image network on its way: what is shown of it, and how it is stopped."""

import shlex

import torch

from oneira.cli.display import Display
from oneira.cli.interrupts import Interrupts
from oneira.errors import SynthesisError
from oneira.feedforward import TextureNetwork
from oneira.feedforward.training import Preview, StylizerFolder, StylizerStep, StylizerTraining
from oneira.feedforward.training.ranks import Ranks
from oneira.images import PHOTOGRAPHS, load, sample
from oneira.synthesis.memory import ran_out


def follow(
    training: StylizerTraining, folder: StylizerFolder, display: Display, *, resume: bool, save_every: float
) -> int:
    """Train to the end or a signal, and tell about it; the exit status.

    Raises what the folder and the trainer raise, and SynthesisError where memory does not suffice.
    """
    trainer = training.trainer
    if resume:
        for note in folder.resume(trainer):
            display.note(note)
    interrupts = Interrupts()
    with interrupts.caught():
        try:
            if not _advanced_to_the_end(training, folder, display, save_every, interrupts):
                display.note(f"interrupted: {folder.checkpoint} is kept; the same command with --resume goes on")
                return interrupts.status or 130  # where another process was told to stop
            folder.finish(training)
        except KeyboardInterrupt:
            display.note("stopped at once; with a checkpoint, the same command with --resume goes on")
            return interrupts.status
        except (MemoryError, RuntimeError) as error:
            if not ran_out(error):
                raise
            raise SynthesisError("not enough memory; a smaller --batch, or smaller --phases, need less") from error
    if trainer.ranks.first:
        display.note(f"wrote {folder.result} ({folder.result.stat().st_size / 1e6:.1f} MB); {_usage(training, folder)}")
    return interrupts.status


def _advanced_to_the_end(
    training: StylizerTraining, folder: StylizerFolder, display: Display, save_every: float, interrupts: Interrupts
) -> bool:
    """Train, until the end or a signal; True at the end."""
    trainer = training.trainer
    steps = folder.record(training, Preview([load(sample(name)) for name in PHOTOGRAPHS]), save_every=save_every)
    for step in steps:
        interrupts.patient = True  # from here on there is something to save
        display.advance("training", step.step, step.total, f"{step.side}x{step.side}", _losses(step))
        if step.loss is not None or step.note:
            display.note(_told(step))
            display.record(_line(step))
        if _stopped(step, trainer.ranks, trainer.device, interrupts) and not trainer.finished:
            steps.close()
            return False
    return True


def _stopped(step: StylizerStep, ranks: Ranks, device: torch.device, interrupts: Interrupts) -> bool:
    """Whether a signal came, to any of the processes: all must stop at the same step, or one waits for ever."""
    if ranks.count == 1:
        return interrupts.received is not None
    if step.loss is None and not step.note:
        return False
    told = torch.tensor([float(interrupts.received is not None)], device=device)
    ranks.add_up(told)
    return bool(told.item())


def _told(step: StylizerStep) -> str | None:
    """Its note; what was seen in pictures does not say when, what losses came to does."""
    if not step.note or step.loss is None:
        return step.note or None
    return f"at step {step.step}, {step.note}"


def _losses(step: StylizerStep) -> dict[str, float]:
    return {} if step.loss is None else {"loss": step.loss, **step.by_term}


def _line(step: StylizerStep) -> dict[str, object]:
    return {
        "step": step.step,
        "total": step.total,
        "side": step.side,
        "rate": step.rate,
        "loss": step.loss,
        "losses": dict(step.by_term),
        "note": step.note,
    }


def _usage(training: StylizerTraining, folder: StylizerFolder) -> str:
    """How to use the network."""
    if isinstance(training.trainer.network, TextureNetwork):
        return f"{folder.preview} shows pieces of it"
    trained = training.trained()
    new = [name for number, name in enumerate(trained.names) if number != trained.identity][-1]
    return f"try it: oneira stylize photo.jpg --network {shlex.quote(str(folder.result))} --style {shlex.quote(new)}"
