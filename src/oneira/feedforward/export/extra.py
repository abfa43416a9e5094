"""The packages that exporting needs beside Oneira: that they are there, and that they keep to themselves."""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module

from oneira.errors import WeightsError

PACKAGES = ("onnx", "onnxruntime", "onnxscript")
LOGS = (None, "torch.onnx")  # ONNX Runtime's quantization writes into the root


@contextmanager
def exporting() -> Iterator[None]:
    """Within, the packages are there, and silent but for errors: what they tell is for those who work on them.

    Raises WeightsError, naming the extra, where one is missing.
    """
    for package in PACKAGES:
        try:
            import_module(package)
        except ImportError as error:
            raise WeightsError(f"exporting needs {package}: pip install 'oneira[export]'") from error
    logs = [logging.getLogger(name) for name in LOGS]
    levels = [log.level for log in logs]
    for log in logs:
        log.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for log, level in zip(logs, levels, strict=True):
            log.setLevel(level)
