"""Finding a word among names: as people type it, in whatever case, one or many of a thing."""

import re
from collections.abc import Iterable, Sequence

_PARTS = re.compile(r"[^\W_]+")
# Of English plurals: what a form ends with, and what its singular may have in place of that.
_PLURALS = (("ies", "y"), ("ves", "f"), ("ves", "fe"), ("es", ""), ("s", ""))


def matching(wanted: str, names: Sequence[Iterable[str]]) -> list[int]:
    """Which of `names`, each a thing's synonyms, `wanted` means: their numbers, none where it is found nowhere.

    Whole words only: `retriever` finds `golden retriever`, `fly` no `butterfly`. A thing that is called `wanted` and
    nothing more is preferred: `lion` finds no `mountain lion` where there is a `lion`.
    """
    sought = _forms(wanted)
    parted = [[_forms(synonym) for synonym in synonyms] for synonyms in names]
    alike = [
        number
        for number, synonyms in enumerate(parted)
        if any(len(each) == len(sought) and _stands_at(sought, each, 0) for each in synonyms)
    ]
    return alike or [
        number
        for number, synonyms in enumerate(parted)
        if any(_stands_at(sought, each, at) for each in synonyms for at in range(len(each)))
    ]


def _forms(text: str) -> list[set[str]]:
    """For each word: how it is written, and what it may be the plural of."""
    return [{word} | _singulars(word) for word in _PARTS.findall(text.casefold())]


def _singulars(word: str) -> set[str]:
    if word.endswith("ss"):
        return set()
    return {
        word.removesuffix(plural) + singular
        for plural, singular in _PLURALS
        if word.endswith(plural) and len(word) > len(plural) + 1
    }


def _stands_at(sought: Sequence[set[str]], found: Sequence[set[str]], at: int) -> bool:
    part = found[at : at + len(sought)]
    return 0 < len(part) == len(sought) and all(map(set.intersection, sought, part))
