"""Running out of memory, told in one line."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from oneira.errors import SynthesisError

# torch raises a plain RuntimeError on the CPU; these are its allocator's words, oneDNN's and those of other devices.
SIGNS = ("DefaultCPUAllocator", "out of memory", "not enough memory", "could not create a memory")


def ran_out(error: BaseException) -> bool:
    """Whether `error` says that there was not enough memory."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    return isinstance(error, RuntimeError) and any(sign in str(error) for sign in SIGNS)


@contextmanager
def memory_told(size: tuple[int, int]) -> Iterator[None]:
    """Within, SynthesisError where a picture of `size` (height, width) needs more memory than there is."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not ran_out(error):
            raise
        height, width = size
        raise SynthesisError(f"not enough memory for {width}x{height} pixels; a smaller size needs less") from error
