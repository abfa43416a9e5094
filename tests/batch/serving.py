"""What workers of tests do. They are processes of their own: what they do not need, they do not import."""

import os
import signal

POISON = "poison"


def serve_by_name(connection, order):
    """A worker's life: `poison` kills it, and leaves half a file; for all else, something is written."""
    connection.send("ready")
    while True:
        try:
            errand = connection.recv()
        except EOFError:
            return
        if errand.source.name == POISON:
            errand.target.with_name(f".{errand.target.name}.half.part").write_text("half")
            os.kill(os.getpid(), signal.SIGKILL)
        from hands import written

        connection.send(written(errand))


def serve_nothing(connection, order):
    """A worker that dies before it is ready."""
    os._exit(3)
