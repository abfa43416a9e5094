"""Whoever makes items in tests: this process, in place of workers."""

from oneira.batch.making import Maker
from oneira.batch.outcomes import Made, SourceFile


class AtHand:
    """Makes items in this process, one at a time; in place of a Crew."""

    def __init__(self, order, size=1, make=None):
        self._make = make or Maker(order).make
        self.items = ()
        self.given = []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        return None

    @property
    def idle(self):
        return 1 - len(self.items)

    def give(self, item):
        self.items = (item,)
        self.given.append(item.errand.source.name)

    def wait(self, seconds):
        [item] = self.items
        outcome = self._make(item.errand)
        self.items = ()
        return [(item, outcome)]


def written(errand):
    """Write what can be told from what others write."""
    text = f"made of {errand.source.name}"
    errand.target.write_text(text)
    status = errand.source.stat()
    return Made(SourceFile(status.st_size, status.st_mtime_ns, "0" * 64), len(text), 0.25)
