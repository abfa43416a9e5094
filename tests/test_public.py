"""What users may hold on to, and that asking for it costs nothing."""

import inspect
import json
import pkgutil
import subprocess
import sys

import oneira
from oneira import errors, objectives, schedules, techniques

PROBE = """
import json, os, sys, threading
opened = []
def note(event, arguments):
    if event == "open" and isinstance(arguments[0], str):
        opened.append(arguments[0])
    elif event.startswith(("socket.", "subprocess.", "os.system")):
        opened.append(event)
import numpy, PIL.Image, pydantic, torch
threads = threading.active_count()
before = set(sys.modules)
sys.addaudithook(note)
import oneira
print(json.dumps({
    "opened": opened,
    "threads": threading.active_count() - threads,
    "modules": sorted({name.partition(".")[0] for name in set(sys.modules) - before}),
}))
"""
CODE = (".py", ".pyc", ".so")


def documented(module):
    return [name for name in module.__all__ if not name.startswith("__")]


def test_everything_public_is_in_all_and_everything_in_all_is_there():
    public = {
        name
        for name, value in vars(oneira).items()
        if not name.startswith("_") and getattr(value, "__module__", "").startswith("oneira.")
    }
    modules = {"errors", "objectives", "schedules"}  # the other names are of the folders, which are not promised
    assert set(documented(oneira)) == public | modules
    assert len(oneira.__all__) == len(set(oneira.__all__))


def test_the_names_that_users_hold_on_to():
    promised = "Dream Encoder Fourier Pixels Plan Style backbones errors load objectives save schedules synthesize"
    assert set(promised.split()) <= set(oneira.__all__)
    assert {"octaves", "single"} <= set(schedules.__all__)


def test_whatever_is_public_is_documented():
    for module in (oneira, objectives, schedules, techniques):
        for name in documented(module):
            value = getattr(module, name)
            if inspect.isclass(value) or inspect.isfunction(value):
                assert inspect.getdoc(value), f"{module.__name__}.{name}"


def test_every_module_says_what_it_is():
    for found in pkgutil.walk_packages(oneira.__path__, "oneira."):
        if not found.name.endswith("__main__"):
            assert __import__(found.name, fromlist=["_"]).__doc__, found.name


def test_every_error_is_one_of_oneiras():
    for name, value in vars(errors).items():
        if inspect.isclass(value) and value.__module__ == errors.__name__:
            assert issubclass(value, errors.OneiraError), name


def test_importing_does_no_work():
    ended = subprocess.run([sys.executable, "-c", PROBE], capture_output=True, text=True, check=True, timeout=120)
    seen = json.loads(ended.stdout)
    assert seen["threads"] == 0
    # Beside code, only what says which version this is, and where Python looks for that.
    others = [name for name in seen["opened"] if not name.endswith(CODE) and "dist-info" not in name]
    assert set(others) <= set(sys.path)
    absent = {"cyclopts", "rich", "matplotlib", "scipy", "torchvision", "timm", "cv2", "onnx", "fastapi", "ray"}
    assert not absent & set(seen["modules"])
    assert not any(name.startswith("oneira.cli") for name in seen["modules"])
