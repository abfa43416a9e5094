"""A verb within a verb: `oneira video CLIP -o OUT style STYLE... --size 256`.

The outer verb's words come first, then the inner verb with its own: its options, help, checks and presets are those
that it has alone. Options of running and saving belong to the outer verb, and are taken on either side.
"""

import inspect
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from cyclopts import App
from cyclopts.argument import ArgumentCollection

from oneira.catalogue import TECHNIQUES
from oneira.cli.options import SHARED, argument, chosen, options_of, placed_of, signed
from oneira.cli.presets import LIST, explain, list_presets
from oneira.cli.run_options import NAMES, RunOptions
from oneira.cli.screen import Screen
from oneira.cli.verbs import Given, parameters_for, usage_with
from oneira.errors import PlanError, nearest
from oneira.techniques import Technique
from oneira.techniques.refusals import option_name

WorkedOn = Literal["given", "elsewhere"]
APART = "--"  # what follows is no option of the outer verb's
WORDS = "verb"  # the parameter that takes the inner verb and its words, where no other takes any number


@dataclass(frozen=True)
class Outer:
    """A verb that takes another behind its own words; `running` are its options of running and saving.

    `worked_on` "elsewhere": the picture that the inner verb has first by its place is not told; the outer one has it.
    """

    name: str
    running: type[RunOptions]
    without: Collection[str]
    worked_on: WorkedOn

    @property
    def shared(self) -> list[inspect.Parameter]:
        """The options that are taken on either side of the inner verb."""
        return options_of(self.running, SHARED, without=self.without, names=NAMES)

    def places(self, technique: type[Technique]) -> tuple[str, ...]:
        """The pictures that the inner verb is told by their place."""
        return technique.positional[self.worked_on == "elsewhere" :]


def outer_command(
    run: Callable[..., int],
    name: str,
    doc: str,
    own: Sequence[inspect.Parameter],
    *,
    running: type[RunOptions] = RunOptions,
    without: Collection[str] = (),
    worked_on: WorkedOn = "elsewhere",
    usage: str | None = None,
) -> App:
    """A command that takes a verb within; main.py registers it, and hands its words through `apart`.

    `run(placed, given, **options) -> int`: `placed` are the words told by their place before the inner verb, `given` is
    what that was told, or None where there is none, `options` are the outer verb's, those of `running` but `without`
    some of them on either side. `own` are its parameters beside those; what is told by its place is text, the last may
    be several. See `Outer` for `worked_on`.
    """
    outer = Outer(name, running, without, worked_on)
    needed = [p.name for p in own if p.kind is p.POSITIONAL_ONLY and p.default is p.empty]

    def command(*words: str, **options: Any) -> int:
        at = _verb_at(words, _most_placed(own))
        placed = words[:at]
        if at == len(words):
            return run(placed, None, **options)
        technique = _technique_called(words[at])

        def inner(*told: str, preset: str | None = None, **inner_options: Any) -> int:
            both = _both_sides(options, _taken(inner_options, outer.shared))
            if preset == LIST:
                list_presets(technique)
                return 0
            explained = inner_options.pop("explain", False)
            inner_options |= placed_of(outer.places(technique), technique.model_fields, told)
            given = Given(technique, preset, inner_options)
            if explained:
                explain(technique, preset, given.options, chosen(running, name, dict(both)), without)
                return 0
            if len(placed) < len(needed):
                raise PlanError(f"{name} needs {needed[len(placed)].upper()}, before the verb {words[at]!r}")
            return run(placed, given, **both)

        return _called(outer, technique, inner, words[at + 1 :])

    app = App(name=name, console=Screen(), usage=usage or _usage(name, own))
    app.default(signed(command, name, f"{doc.rstrip()}\n\n{_about_verbs(name)}", _with_words(own, outer.shared)))
    return app


def missing_verb(name: str, placed: Sequence[str] = ()) -> PlanError:
    """The refusal of the outer verb `name`, told what was `placed` before, that cannot do without another."""
    return PlanError(f"{name} needs a verb behind {' '.join(placed) or 'its own words'}: {', '.join(TECHNIQUES)}")


def apart(words: Sequence[str], outers: Mapping[str, App]) -> list[str]:
    """`words` of a command line, with `--` before the inner verb where they are those of one of `outers`.

    The command line's own reader takes what is behind it as it is, so that an option there is the inner verb's.
    """
    if not words or words[0] not in outers:
        return list(words)
    app = outers[words[0]]
    known = app.assemble_argument_collection()
    assert app.default_command is not None
    own = inspect.signature(app.default_command).parameters.values()
    most, count, at = _most_placed(own), 0, 1
    while at < len(words) and words[at] != APART:
        word = words[at]
        if word.startswith("-") and len(word) > 1:
            at += _values_behind(word, known)
        elif _is_verb(word, count, most):
            return [*words[:at], APART, *words[at:]]
        else:
            count += 1
        at += 1
    return list(words)


def _values_behind(word: str, known: ArgumentCollection) -> int:
    """How many of the words behind the option `word` are its values."""
    if word.startswith(APART):
        name, told, _ = word.partition("=")
        return 0 if told else _values_of(name, known)
    for place, letter in enumerate(word[1:], 2):  # -qo OUT and -oOUT
        if count := _values_of(f"-{letter}", known):
            return count if place == len(word) else 0
    return 0


def _values_of(name: str, known: ArgumentCollection) -> int:
    try:
        found, _, implied = known.match(name)
    except ValueError:  # it will be refused
        return 0
    return 0 if implied is True else found.token_count()[0]


def _verb_at(placed: Sequence[str], most: int | None) -> int:
    """Where, among the words told by their place, the inner verb is; behind them all where there is none."""
    return next((at for at, word in enumerate(placed) if _is_verb(word, at, most)), len(placed))


def _is_verb(word: str, before: int, most: int | None) -> bool:
    """Whether `word`, with `before` others told by their place, is meant for a verb; `most` may come before one."""
    if word in TECHNIQUES or before == most:
        return True
    plain = word.replace("-", "").isalpha() and not Path(word).exists()
    return plain and bool(nearest(word, TECHNIQUES))


def _most_placed(own: Iterable[inspect.Parameter]) -> int | None:
    """How many words may be told by their place before the verb; None: any number."""
    kinds = [(p.kind, p.name) for p in own]
    several = [name for kind, name in kinds if kind is inspect.Parameter.VAR_POSITIONAL]
    alone = sum(kind is inspect.Parameter.POSITIONAL_ONLY for kind, _ in kinds)
    return alone if several in ([], [WORDS]) else None


def _with_words(own: Sequence[inspect.Parameter], shared: Iterable[inspect.Parameter]) -> list[inspect.Parameter]:
    """The outer command's parameters, of which the last by its place takes the inner verb's words."""
    placed = [p for p in own if p.kind is not p.KEYWORD_ONLY]
    if all(p.kind is p.POSITIONAL_ONLY for p in placed):
        words = argument(WORDS, str, "what to do, with its own words", several=True)
        # The command line itself requires none: what is missing is told once the verb is known.
        placed = [*placed, words]
    return [*placed, *(p for p in own if p.kind is p.KEYWORD_ONLY), *shared]


def _technique_called(word: str) -> type[Technique]:
    if word not in TECHNIQUES:
        raise PlanError(f"unknown verb {word!r}{nearest(word, TECHNIQUES)}: {', '.join(TECHNIQUES)}")
    return TECHNIQUES[word]


def _called(outer: Outer, technique: type[Technique], inner: Callable[..., int], words: Sequence[str]) -> int:
    """Read the words behind the inner verb, and call `inner` with them."""
    places, before = outer.places(technique), f"oneira {outer.name} [OPTIONS OF {outer.name.upper()}]"
    parameters = [*parameters_for(technique, places), *outer.shared]
    app = App(name=f"oneira {outer.name}", console=Screen())
    app.command(
        signed(inner, technique.verb(), technique.__doc__ or "", parameters),
        usage=usage_with(before, technique, places),
    )
    status = app([technique.verb(), *words], exit_on_error=False, print_error=False, result_action="return_value")
    return status if isinstance(status, int) else 0


def _taken(options: dict[str, Any], shared: Iterable[inspect.Parameter]) -> dict[str, Any]:
    """Those of `options` that are the outer verb's, taken out of them."""
    return {p.name: options.pop(p.name) for p in shared if p.name in options}


def _both_sides(before: Mapping[str, Any], behind: Mapping[str, Any]) -> dict[str, Any]:
    for name in behind:
        if name in before:
            told = NAMES.get(name, (option_name(name),))[0]
            raise PlanError(f"{told} is given before the verb and behind it: once is enough")
    return {**before, **behind}


def _usage(name: str, own: Sequence[inspect.Parameter]) -> str:
    words = {p: f"{p.name.upper()}..." if p.kind is p.VAR_POSITIONAL else p.name.upper() for p in own}
    placed = [
        word if p.kind is p.POSITIONAL_ONLY and p.default is p.empty else f"[{word}]"
        for p, word in words.items()
        if p.kind is not p.KEYWORD_ONLY
    ]
    return " ".join([f"Usage: oneira {name} [OPTIONS]", *placed, "VERB [ITS OPTIONS]"]) + "\n"


def _about_verbs(name: str) -> str:
    return (
        f"VERB is one of {', '.join(TECHNIQUES)}. What stands behind it is its own: see oneira {name} VERB --help. "
        "A file that is called like a verb is written ./NAME."
    )
