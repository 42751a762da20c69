"""What ends a program when the process that asks it is killed, and can end nothing any more [PROTO-C2].

A program of its own, `python guard.py GROUP`. It reads the names of folders from the process that asks, for as long as
that lives; then it ends the group of processes and removes the folders. While all goes well it is ended before.
"""

import contextlib
import os
import shutil
import signal
import sys


def main() -> None:
    """Wait for the end of standard input."""
    folders = [line.removesuffix(b"\n") for line in sys.stdin.buffer]
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(int(sys.argv[1]), signal.SIGKILL)
    for folder in folders:
        with contextlib.suppress(OSError):  # as in Channel.kill
            os.unlink(folder)
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
