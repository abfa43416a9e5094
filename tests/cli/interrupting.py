"""Commands that are interrupted while their network runs."""

import os
import signal


def interrupt(features):
    """What may happen in a network: Ctrl-C."""
    os.kill(os.getpid(), signal.SIGINT)
    return features


def assert_ends_in_the_same_bytes(oneira, happening, folder, words, at):
    """Interrupted at the calls `at` of the network and resumed, as if it had not been: picture and table."""
    happening(None)
    assert oneira(*words, "whole.csv", "-o", "whole.png").status == 0
    happening(interrupt, at)
    words = [*words, "broken.csv", "-o", "broken.png"]
    assert oneira(*words).status == 130
    assert "holds no recipe" in oneira("recipe", "broken.png").err  # what there is so far
    assert not (folder / "broken.csv").exists()
    happening(None)
    ended = oneira(*words, "--resume")
    assert ended.status == 0, ended.err
    assert (folder / "broken.png").read_bytes() == (folder / "whole.png").read_bytes()
    assert (folder / "broken.csv").read_bytes() == (folder / "whole.csv").read_bytes()
