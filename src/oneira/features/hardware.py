"""Which device and which precision to compute with."""

import ctypes
import sys
from pathlib import Path
from typing import Literal, cast, get_args

import torch

from oneira.errors import PlanError, nearest

try:
    import resource
except ImportError:  # Windows has none
    resource = None  # type: ignore[assignment]

Precision = Literal["auto", "float32", "bfloat16"]


def choose_device(name: str = "auto") -> torch.device:
    """`auto`: an accelerator where there is one. Raises PlanError for a device that this machine does not have."""
    if name == "auto":
        accelerator = torch.accelerator.current_accelerator() if torch.accelerator.is_available() else None
        return accelerator or torch.device("cpu")
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        reason = str(error).splitlines()[0]
        raise PlanError(f"no device {name!r} on this machine ({reason}); use auto or cpu") from error
    return device


def choose_precision(name: str, device: torch.device) -> torch.dtype:
    """`auto`: bfloat16 where the processor or card computes in it natively, which halves the time or better."""
    if name not in get_args(Precision):
        allowed = get_args(Precision)
        raise PlanError(f"unknown precision {name!r}{nearest(name, allowed)}: {', '.join(allowed)}")
    if cast(Precision, name) == "float32":
        return torch.float32
    return torch.bfloat16 if name == "bfloat16" or _native_bfloat16(device) else torch.float32


def _native_bfloat16(device: torch.device) -> bool:
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if device.type == "cpu":
        # Without these instructions oneDNN emulates bfloat16, which is slower than float32.
        return bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())
    return False


def keep_freed_memory() -> None:
    """Ask the C library to keep what is freed for the next iteration, which wants the same again.

    glibc gives large blocks back to the system at once, and every new one is filled with zeros, page by page: about a
    tenth of an iteration. The process then holds on to its peak, so this is for programs, not for the library.
    """
    _hand_back_from(1 << 30)


def return_freed_memory() -> None:
    """The opposite: have the C library give back what is freed, now and from here on.

    Without it, blocks of one size leave gaps that those of the next do not fit in, up to a quarter of the peak.
    """
    _hand_back_from(1 << 20)
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None) if sys.platform.startswith("linux") else None
    if trim is not None:
        trim(0)


def _hand_back_from(size: int) -> None:
    """Blocks of so many bytes and more go back to the system when they are freed, smaller ones are kept."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform.startswith("linux") else None
    if mallopt is not None:
        trim_threshold, mmap_threshold = -1, -3
        mallopt(mmap_threshold, size)
        mallopt(trim_threshold, size)


def resident_memory() -> int:
    """The bytes of memory that the process holds; where the system does not tell, the most it has held."""
    return _status("VmRSS") or peak_memory()


def peak_memory() -> int:
    """The most bytes of memory that the process has held so far; 0 where the system does not tell."""
    # Not getrusage's figure on Linux: that counts what the process was before it became this program.
    peak = _status("VmHWM")
    if peak or resource is None:
        return peak
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most * 1024


def _status(key: str) -> int:
    """A line of what Linux tells of the process, in bytes; 0 on other systems."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{key}:")), 0)
