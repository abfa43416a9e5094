"""Which device and which precision to compute with."""

import ctypes
import sys
from typing import Literal, cast, get_args

import torch

from oneira.errors import PlanError, nearest

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
    if not sys.platform.startswith("linux"):
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        trim_threshold, mmap_threshold, gigabytes = -1, -3, 1 << 30
        mallopt(mmap_threshold, gigabytes)
        mallopt(trim_threshold, gigabytes)
