"""What the `oneira` command starts with. Outside the package, whose import takes a second: Ctrl-C counts in it, too."""

import gc
import os
import signal

INTERRUPTED = 130  # 128 + SIGINT, as `oneira` ends when it is interrupted later


def main() -> int:
    """Run the command; interrupted while its parts are loaded, it ends at once and says nothing."""
    before = signal.getsignal(signal.SIGINT)
    if before is signal.default_int_handler:  # whoever starts this in the background may have it ignore the signal
        # No exception: extension modules on their way in would make others of it.
        signal.signal(signal.SIGINT, lambda *_: os._exit(INTERRUPTED))
    # What is imported lasts until the end: to look through it for garbage, now, later and when Python ends, takes half
    # a second in all.
    gc.disable()
    from oneira.cli.main import main as run

    gc.freeze()
    gc.enable()
    signal.signal(signal.SIGINT, before)
    return run()
