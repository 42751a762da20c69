"""A program and its three pipes: whatever passes through them has a deadline, and the program never outlives them."""

import contextlib
import os
import select
import signal
import subprocess
import sys
import tempfile
import time
import weakref
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from reference_cnn.oracle.targets.ask import UnansweredError
from reference_cnn.oracle.wire import printable, quoted

CHUNK = 2**20
# What is kept of standard error, in bytes, and how much of it is quoted, in characters.
KEPT, QUOTED = 2**13, 300
# The longest line and the most bytes after it that are read: a flood must not become ours.
LONGEST, LARGEST = 2**28, 2**32
# Seconds that a program has to end by itself: after its input has been closed, or its output.
GRACE = 1.0

GUARD = Path(__file__).with_name("guard.py")

READY = select.POLLIN | select.POLLHUP | select.POLLERR if hasattr(select, "poll") else 0


class Deadline(NamedTuple):
    """A time limit in seconds, and when it ends on the monotonic clock."""

    seconds: float
    end: float

    @classmethod
    def after(cls, seconds: float) -> "Deadline":
        """Start counting now."""
        return cls(seconds, time.monotonic() + seconds)


class Channel:
    """A running program. Every method that waits raises UnansweredError when the deadline passes or the program ends.

    Nothing is read by threads: while one pipe is waited for, the others are emptied, so that neither side can block
    the other for good.
    """

    def __init__(
        self, command: Sequence[str], environment: Mapping[str, str] | None = None, folder: str | None = None
    ) -> None:
        # A session of its own, so that the program's own children can be ended with it.
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            bufsize=0,
            env=environment,
            cwd=folder,
            start_new_session=True,
        )
        pipes = [p for p in (self._process.stdin, self._process.stdout, self._process.stderr) if p is not None]
        self._in, self._out, self._err = (p.fileno() for p in pipes)
        for pipe in pipes:
            os.set_blocking(pipe.fileno(), False)
        self._poll = select.poll()
        self._poll.register(self._out, READY)
        self._poll.register(self._err, READY)
        self._received = bytearray()
        self._searched = 0
        self._said = bytearray()
        # Whatever happens to this object, nothing of the program is left behind; its guard sees to this process.
        self._end = weakref.finalize(self, _end, self._process)
        self._guard = _guard(self._process.pid)
        self._relieve = weakref.finalize(self, _end, self._guard)
        self._folder: tempfile.TemporaryDirectory[str] | None = None

    @property
    def pid(self) -> int:
        """The number of the process."""
        return self._process.pid

    def make_folder(self) -> str:
        """Make a folder for files, and return its name; it is removed with the program."""
        self._folder = tempfile.TemporaryDirectory(prefix="reference-cnn-", ignore_cleanup_errors=True)
        if self._guard.stdin:
            with contextlib.suppress(BrokenPipeError):
                self._guard.stdin.write(os.fsencode(self._folder.name) + b"\n")
        return self._folder.name

    def write(self, data: bytes, deadline: Deadline) -> None:
        """Write all of it; read meanwhile what the program writes."""
        rest = memoryview(data)
        while rest:
            try:
                rest = rest[os.write(self._in, rest) :]
            except BlockingIOError:
                self._poll.register(self._in, select.POLLOUT)
                self._move(deadline)
                self._poll.unregister(self._in)
            except BrokenPipeError:
                raise self._death() from None

    def read_line(self, deadline: Deadline) -> bytes:
        """Read up to the next line feed."""
        while (end := self._received.find(b"\n", self._searched)) < 0:
            self._searched = len(self._received)
            if self._searched > LONGEST:
                raise UnansweredError("malformed", f"more than {LONGEST} bytes without a line feed")
            self._move(deadline)
        self._searched = 0
        return self._take(end + 1)

    def read(self, count: int, deadline: Deadline) -> bytes:
        """Read so many bytes."""
        if count > LARGEST:
            raise UnansweredError("malformed", f"an array of more than {LARGEST} bytes")
        while len(self._received) < count:
            self._move(deadline)
        return self._take(count)

    def close(self) -> None:
        """Let the program end by itself, or end it."""
        if self._end.alive:
            if self._process.stdin:
                self._process.stdin.close()
            self._wait()
            self.kill()

    def kill(self) -> None:
        """End the program at once, and everything that it has started; its guard is the last to go."""
        self._end()
        if self._folder:
            with contextlib.suppress(OSError):  # it is a folder, unless the program has put something else there
                os.unlink(self._folder.name)
            self._folder.cleanup()
        self._relieve()

    def _take(self, count: int) -> bytes:
        taken = bytes(self._received[:count])
        del self._received[:count]
        return taken

    def _move(self, deadline: Deadline) -> None:
        """Wait until a pipe is ready, and read what can be read."""
        left = deadline.end - time.monotonic()
        ready = self._poll.poll(left * 1000) if left > 0 else []
        if not ready:
            raise self._late(deadline.seconds)
        for pipe, _ in ready:
            if pipe == self._err:
                self._listen()
            elif pipe == self._out:
                chunk = os.read(pipe, CHUNK)
                if not chunk:
                    raise self._death()
                self._received += chunk

    def _listen(self) -> bool:
        """Read standard error; keep its end."""
        try:
            chunk = os.read(self._err, CHUNK)
        except BlockingIOError:
            return False
        if not chunk:
            with contextlib.suppress(KeyError):
                self._poll.unregister(self._err)
        self._said = (self._said + chunk)[-KEPT:]
        return bool(chunk)

    def _late(self, seconds: float) -> UnansweredError:
        if self._process.poll() is not None:
            return self._death()  # what it has started keeps its output open
        begun = f": {len(self._received)} bytes, but no line feed" * bool(self._received)
        return UnansweredError("hang", f"it does not answer within {seconds:g} s{begun}{self._last_words()}")

    def _death(self) -> UnansweredError:
        self._wait()
        status = self._process.returncode
        if status is None:
            how = "it closes its standard input or output"
        elif status < 0:
            how = f"it dies of {_signal_name(-status)}"
        else:
            how = f"it ends with exit status {status}"
        with contextlib.suppress(BlockingIOError):
            self._received += os.read(self._out, CHUNK)
        if b"\n" in self._received:
            how += f", having written {quoted(bytes(self._received))}"
        elif self._received:
            how += " in the middle of a line"
        return UnansweredError("crash", how + self._last_words())

    def _wait(self) -> None:
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(GRACE)

    def _last_words(self) -> str:
        for _ in range(KEPT):  # no more: what still runs may write for ever
            if not self._listen():
                break
        lines = [line.strip() for line in self._said.decode("utf-8", "replace").splitlines() if line.strip()]
        words = " / ".join(lines)[-QUOTED:]
        return f"; its last words: {printable(words)}" if words else ""


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _guard(group: int) -> "subprocess.Popen[bytes]":
    """Start what ends a group of processes when this one is killed."""
    # Isolated and without site-packages: it starts at once, and nothing makes it something else.
    return subprocess.Popen(
        [sys.executable, "-I", "-S", str(GUARD), str(group)],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        bufsize=0,
        start_new_session=True,
    )


def _end(process: "subprocess.Popen[bytes]") -> None:
    """Kill a process with its whole group, and leave no zombie and no pipe."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    for pipe in (process.stdin, process.stdout, process.stderr):
        if pipe:
            pipe.close()
