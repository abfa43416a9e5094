"""A weights file -> tensors by name. What a file is, its first bytes say, not its name."""

import pickle
import re
import stat
import warnings
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from oneira.errors import WeightsError
from oneira.features.preprocessing import Preprocessing
from oneira.features.weights import matconvnet

ZIP = b"PK\x03\x04"  # what torch.save has written since 1.6
PICKLE = b"\x80"  # what it wrote before: most of torchvision's files
MATLAB = b"MATLAB "
HEAD = 9


def require_file(path: Path) -> None:
    """Raise WeightsError where `path` is not an ordinary file with something in it; nothing is opened."""
    try:
        status = path.stat()
    except (OSError, ValueError) as error:
        raise WeightsError(f"cannot read the weights {path}: {getattr(error, 'strerror', error)}") from error
    if not stat.S_ISREG(status.st_mode):
        kind = "a folder" if stat.S_ISDIR(status.st_mode) else "not an ordinary file"
        raise WeightsError(f"cannot read the weights {path}: it is {kind}")
    if status.st_size == 0:
        raise WeightsError(f"cannot read the weights {path}: the file is empty")


def read_tensors(path: Path, expected: Mapping[str, Tensor], preprocessing: object) -> dict[str, Tensor]:
    """The tensors of a .safetensors, .pth or MatConvNet .mat file, as they are in it, on the CPU.

    A .mat file has no names of its own: it takes those of `expected`, the state dict to be filled, in order, and is
    rewritten for pictures that come through `preprocessing`.
    Raises WeightsError where the file is none of these, is damaged, or holds anything but tensors.
    """
    with path.open("rb") as file:
        head = file.read(HEAD)
    if head[8:] == b"{":  # first, because the eight bytes before it are a length, and may look like anything
        return _read_safetensors(path)
    if head.startswith((ZIP, PICKLE)):
        return _read_torch(path)
    if head.startswith(MATLAB):
        if not isinstance(preprocessing, Preprocessing):
            raise WeightsError(f"cannot use {path}: a .mat file needs a backbone with Oneira's own preprocessing")
        return matconvnet.read(path, expected, preprocessing)
    raise WeightsError(
        f"cannot read the weights {path}: neither safetensors, nor PyTorch's .pth, nor MatConvNet's .mat"
    )


def _read_safetensors(path: Path) -> dict[str, Tensor]:
    try:
        # Mapped, so that what no layer touches takes no memory. Whoever replaces the file whole, as all of Oneira does,
        # leaves the old one to those who have it.
        return load_file(path)
    except (SafetensorError, OSError, ValueError) as error:
        raise WeightsError(f"{path} is a damaged safetensors file ({_first_line(error)})") from error


def _read_torch(path: Path) -> dict[str, Tensor]:
    try:
        # An open file, because torch goes by the name of one that is not. So it is read, not mapped: what most official
        # files are (written before 1.6) cannot be mapped anyway.
        with path.open("rb") as file, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about pickle protocols that torch did not write: it reads or refuses them
            content = torch.load(file, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        code = re.search(r"GLOBAL ([\w.]+)", str(error))
        what = f"the Python code {code[1]}" if code else "something that is not a tensor, or is damaged"
        raise WeightsError(f"{path} holds {what}: refused; save its state_dict() instead") from error
    except Exception as error:  # torch's readers raise whatever a damaged file makes them stumble over
        raise WeightsError(f"{path} is a damaged .pth file ({_first_line(error)})") from error
    return _state_dict(path, content)


def _state_dict(path: Path, content: object) -> dict[str, Tensor]:
    """A state dict, or a checkpoint's "state_dict"; without the "module." that DataParallel puts before every name."""
    if isinstance(content, Mapping) and isinstance(content.get("state_dict"), Mapping):
        content = content["state_dict"]
    if not isinstance(content, Mapping) or not content:
        raise WeightsError(f"{path} holds no state dict (tensors by name) but {type(content).__name__}")
    for name, value in content.items():
        if not isinstance(name, str) or not isinstance(value, Tensor):
            raise WeightsError(f"{path} holds no state dict (tensors by name): {name!r} is {type(value).__name__}")
    wrapped = all(name.startswith("module.") for name in content)
    return {name.removeprefix("module.") if wrapped else name: value for name, value in content.items()}


def _first_line(error: Exception) -> str:
    return (str(error) or type(error).__name__).partition("\n")[0]
