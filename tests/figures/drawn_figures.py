"""Figures drawn to their end."""

from oneira.figures import Equipment


def drawn(figure, **equipment):
    """Its last words, and the progress before."""
    course = figure.draw(Equipment(**equipment))
    steps = []
    while True:
        try:
            steps.append(next(course))
        except StopIteration as end:
            return end.value, steps
