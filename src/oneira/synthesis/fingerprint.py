"""What a declaration is known by: a checkpoint must agree with it."""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass

import torch
from torch import Tensor


def fingerprint(declaration: object) -> str:
    """SHA-256 over everything in a dataclass: its fields' names and values, the dataclasses and tensors among them."""
    digest = hashlib.sha256()
    for part in _parts(declaration):
        digest.update(part)
    return digest.hexdigest()


def _parts(value: object) -> Iterator[bytes | memoryview]:
    """The bytes of `value`; each part says where it ends, so that no two values have the same parts."""
    if isinstance(value, Tensor):
        yield f"{value.dtype}{tuple(value.shape)}".encode()
        yield value.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data
    elif is_dataclass(value) and not isinstance(value, type):
        yield f"{type(value).__name__}(".encode()
        yield from _parts({field.name: getattr(value, field.name) for field in fields(value)})
    elif isinstance(value, Mapping):
        for key in sorted(value):
            yield f"{key}=".encode()
            yield from _parts(value[key])
        yield b")"
    elif isinstance(value, list | tuple):
        yield b"["
        for item in value:
            yield from _parts(item)
        yield b"]"
    else:
        yield f"{value!r};".encode()
