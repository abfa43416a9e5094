"""Time in the whole ticks of a file's clock, without drift."""

from fractions import Fraction

from oneira.errors import ImageError


class Ticks:
    """A clock of so many ticks `a_second`, for one film; a frame is seen for `most` of them at most.

    Every frame ends at the tick that is nearest to where it should, so that errors never add up; but none is shorter
    than one tick: frames that are too short for the clock make the film longer.
    """

    def __init__(self, a_second: int, most: int) -> None:
        self._a_second, self._most = a_second, most
        self._exact = Fraction(0)
        self._told = 0

    def of(self, seconds: Fraction) -> int:
        """How many ticks the next frame is seen for, which is to be seen for `seconds`. Raises ImageError for more."""
        self._exact += seconds
        end = max(self._told + 1, round(self._exact * self._a_second))
        count, self._told = end - self._told, end
        if count > self._most:
            longest = f"{self._most / self._a_second:,.0f} s"
            raise ImageError(f"a frame is seen for {float(seconds):,.0f} s; at most {longest} are allowed here")
        return count
