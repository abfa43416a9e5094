"""The command as a process of its own: signals, pipes, closed streams, and killing."""

import json
import os
import pty
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from oneira.images import read_recipe

KILLS = int(os.environ.get("ONEIRA_KILLS", "3"))  # 20 by hand: ONEIRA_KILLS=20 pytest tests/cli -k killed
FULL = Path("/dev/full")
LAYER = ["--style-layer", "relu2_1", "--content-layer", "relu2_1"]  # a short way through the network


def long_style(steps):
    """Two sizes of 45 and 64 pixels: small, and long enough to be stopped in the middle."""
    sizes = ["--size", 64, "--smallest", 45]
    return ["style", "sample:cat", "sample:rose_window", *sizes, *LAYER, "--offline", "--steps", steps]


def long_dream(steps):
    """The same, with jitter, so that random numbers must go on where they were."""
    sizes = ["--size", 64, "--octaves", 2]
    return ["dream", "sample:cat", *sizes, "--layer", "relu2_1", "--offline", "--steps", steps]


def test_a_picture_from_the_shell(started, folder):
    process = started("dream", "sample:cat", "--size", 64, "--octaves", 2, "--steps", 2, "--offline", "--json")
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    assert [json.loads(line)["done"] for line in out.splitlines()] == [1, 2, 3, 4]
    assert err.startswith("wrote cat-dream.png (64x43, ")
    assert read_recipe(folder / "cat-dream.png").threads == 1


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_from_outside(number, status, started, folder):
    process = started(*long_style(10_000), "--json")
    for _ in range(3):
        assert process.stdout.readline()
    process.send_signal(number)
    _, err = process.communicate(timeout=120)
    assert process.returncode == status
    assert err.splitlines()[-1] == (
        "interrupted: wrote cat-style.png as it was; the same command with --resume goes on"
    )
    assert (folder / "cat-style.png").exists()


INTERRUPTED_WHILE_LOADED = """
import os, signal, sys
sys.addaudithook(lambda event, what: event == "import" and what[0] == "torch" and os.kill(os.getpid(), signal.SIGINT))
from oneira_command import main
sys.exit(main())
"""


@pytest.mark.parametrize(("ignored", "status"), [(False, 130), (True, 0)])
def test_interrupted_while_it_is_loaded_it_ends_without_a_word(ignored, status, folder):
    # What is started in the background of a shell ignores the signal, and goes on doing so.
    before = signal.signal(signal.SIGINT, signal.SIG_IGN if ignored else signal.default_int_handler)
    try:
        command = [sys.executable, "-c", INTERRUPTED_WHILE_LOADED, "--version"]
        ended = subprocess.run(command, capture_output=True, text=True, timeout=120)
    finally:
        signal.signal(signal.SIGINT, before)
    assert ended.returncode == status
    assert ended.stderr == ""


def test_a_reader_who_leaves_does_not_cost_the_picture(started, folder):
    process = started(*long_style(20), "--json")
    assert json.loads(process.stdout.readline())["done"] == 1
    process.stdout.close()
    err = process.stderr.read()
    assert process.wait(timeout=120) == 0
    assert err.startswith("wrote cat-style.png")


@pytest.mark.parametrize(
    ("words", "stream"),
    [(["models", "vgg19"], "stdout"), (["dream", "nofile.png"], "stderr")],
)
def test_a_reader_who_never_came(words, stream, started):
    reader, writer = os.pipe()
    os.close(reader)
    process = started(*words, **{stream: writer})
    os.close(writer)
    out, err = process.communicate(timeout=120)
    assert (out or "") + (err or "") == ""
    assert process.returncode == (1 if stream == "stderr" else 0)


@pytest.mark.skipif(not FULL.exists(), reason=f"no {FULL} here")
def test_a_full_disk_under_the_output(started):
    with FULL.open("w") as full:
        process = started("models", stdout=full)
        _, err = process.communicate(timeout=120)
    assert process.returncode == 1
    assert err.splitlines() == ["oneira: standard output: No space left on device"]


def test_closed_streams_are_no_trouble(folder):
    # A daemon's child: nothing to read from, nothing to write to.
    words = ["dream", "sample:cat", "--size", "32", "--octaves", "1", "--steps", "1", "--json", "-o", "out.png"]
    closed = subprocess.run(
        ["sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh", sys.executable, "-m", "oneira", *words], timeout=120
    )
    assert closed.returncode == 0
    assert (folder / "out.png").exists()


def test_a_terminal_has_a_bar_and_its_cursor_back(started):
    terminal, end = pty.openpty()
    process = started(*long_style(6), stderr=end, env={**os.environ, "TERM": "xterm", "OMP_NUM_THREADS": "1"})
    os.close(end)
    shown = b""
    while True:
        try:
            shown += os.read(terminal, 4096)
        except OSError:  # the other end is closed
            break
    assert process.wait(timeout=120) == 0
    text = shown.decode()
    assert "12/12" in text
    assert "style" in text
    assert text.rindex("\x1b[?25h") > text.rindex("\x1b[?25l")  # hidden, then shown
    assert "wrote cat-style.png" in text


def test_a_dive_that_was_killed_is_resumed_to_the_same_bytes(started, folder):
    # The frame that is dreamt in is that of the checkpoint, and so are the random numbers.
    sizes = ["--size", 48, "--octaves", 2, "--layer", "relu2_1", "--offline"]
    words = ["dream", "sample:cat", "--zoom", 1.1, "--rotate", 5, "--frames", 40, "--steps", 2, *sizes, "--json"]
    _, errors = started(*words, "-o", "whole.png", "--stages", "whole").communicate(timeout=120)
    words += ["--save-every", "1e-9", "--stages", "broken", "-o", "broken.png"]
    assert killed_after(started(*words), 30, 0), errors
    assert 2 < len(list((folder / "broken").iterdir())) < 40
    ended = started(*words, "--resume")
    out, errors = ended.communicate(timeout=120)
    assert ended.returncode == 0, errors
    assert json.loads(out.splitlines()[0])["done"] > 25
    assert (folder / "broken.png").read_bytes() == (folder / "whole.png").read_bytes()
    frames = [sorted((folder / name).iterdir()) for name in ("broken", "whole")]
    assert len(frames[0]) == len(frames[1]) == 40
    assert [path.read_bytes() for path in frames[0]] == [path.read_bytes() for path in frames[1]]


def killed_after(process, steps, delay):
    """Whether the process was still at work when it was killed."""
    for _ in range(steps):
        if not process.stdout.readline():
            break
    time.sleep(delay)
    alive = process.poll() is None
    process.kill()
    process.communicate()
    return alive


# Every start takes seconds, so that the suite has one of the two; resumed dreams are tested without killing, too.
@pytest.mark.parametrize("command", [long_style, long_dream] if KILLS > 3 else [long_style])
def test_killed_at_random_times_and_resumed_it_ends_in_the_same_bytes(command, started, folder):
    dice = random.Random(KILLS)
    words = [*command(20 * KILLS), "--json", "--save-every", "0.01"]
    started(*words, "-o", "whole.png").communicate(timeout=600)
    for _ in range(KILLS):
        resume = ["--resume"] if list(folder.glob("broken.png.checkpoint*")) else []
        process = started(*words, "-o", "broken.png", *resume)
        # Some while it still loads, most between the steps and checkpoints that follow.
        assert killed_after(process, dice.randrange(30), dice.random() * 0.05)
        assert not (folder / "broken.png").exists()
    last = started(*words, "-o", "broken.png", *(["--resume"] if list(folder.glob("broken.png.check*")) else []))
    _, errors = last.communicate(timeout=600)
    assert last.returncode == 0, errors
    assert (folder / "broken.png").read_bytes() == (folder / "whole.png").read_bytes()
    assert sorted(path.name for path in folder.iterdir()) == ["broken.png", "whole.png"]
