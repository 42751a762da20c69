"""A program in another process that speaks the protocol of spec/protocol.md: started, asked, and started again."""

import importlib
import os
import shutil
import stat
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from reference_cnn._validate import Array
from reference_cnn.oracle import wire
from reference_cnn.oracle.targets import UsageError
from reference_cnn.oracle.targets.ask import UnansweredError
from reference_cnn.oracle.targets.channel import LARGEST, Channel, Deadline

VERSION = 1
# Seconds that a call may take, and a start, in which a Python target imports its framework.
TIMEOUT, START = 10.0, 60.0
# Arrays of more elements go through a file, where the program can read one [PROTO-D6].
LARGE = 2**14


class Program:
    """A program, started when it is first asked and again after every death; its requests are numbered from 0.

    What raises an UnansweredError has ended the program: nothing that it still writes can be taken for an answer.
    """

    def __init__(
        self,
        command: Sequence[str],
        *,
        timeout: float = TIMEOUT,
        memory: int | None = None,
        environment: Mapping[str, str] | None = None,
        folder: str | None = None,
    ) -> None:
        self._command, self._environment, self._working = list(command), environment, folder
        self._timeout, self._memory = timeout, memory
        self._channel: Channel | None = None
        self._folder: str | None = None
        self._number = 0
        self._form = "numbers"
        # Which process it is that runs; none has the number of one that has ended.
        self.generation = 0

    def start(self) -> dict[str, Any]:
        """Start the program and return its greeting [PROTO-D2]."""
        self._channel = Channel(self._command, self._environment, self._working)
        self._number = 0  # the greeting's, after a death too
        self.generation += 1
        try:
            greeting = self._exchange(self._channel, {"ask": "hello", "protocol": VERSION}, START)
            if "error" not in greeting:
                self._settle(greeting)
                self._folder = self._channel.make_folder() if self._form == "files" else None
                _limit_memory(self._channel.pid, self._memory)
        except BaseException:
            self.stop()
            raise
        return greeting

    def ask(self, name: str, **content: Any) -> dict[str, Any]:
        """Ask once, within the time limit for as many calls as it takes; `read` reads the arrays of the answer."""
        channel = self._channel or self._restarted()
        try:
            if self._folder:
                _emptied(self._folder)
                content["folder"] = self._folder
            return self._exchange(channel, {"ask": name, **content}, self._timeout * content.get("times", 1))
        except BaseException:
            self.stop()
            raise

    def read(self, value: Any) -> Array:
        """Read an array of the latest answer; a WireError says what is wrong with it."""
        if isinstance(value, dict) and "bytes" in value:
            return wire.from_bytes(value, value["bytes"])
        if not isinstance(value, dict) or "file" not in value:
            return wire.from_numbers(value)
        path = Path(str(value["file"]))
        if not self._folder or path.parent != Path(self._folder):
            raise wire.WireError(f"a file {str(path)!r}, which is not in the folder of the request")
        if (count := wire.byte_count(value)) > LARGEST:
            raise wire.WireError(f"a file for more than {LARGEST} bytes")
        try:
            # A pipe or a device might never end, and a file may be vast.
            with open(path, "rb", opener=lambda name, flags: os.open(name, flags | os.O_NONBLOCK)) as file:
                status = os.fstat(file.fileno())
                raw = file.read(min(status.st_size, count + 1)) if stat.S_ISREG(status.st_mode) else None
        except (OSError, ValueError) as error:
            raise wire.WireError(f"a file that cannot be read ({error})") from error
        if raw is None:
            raise wire.WireError(f"a file {str(path)!r}, which is a pipe or a device")
        return wire.from_bytes(value, raw)

    def stop(self) -> None:
        """End the program at once, and remove its files."""
        if self._channel:
            self._channel.kill()
        self._channel = self._folder = None
        self.generation += 1

    def close(self) -> None:
        """Let the program end, and remove its files."""
        if self._channel:
            self._channel.close()
        self._channel = self._folder = None

    def _restarted(self) -> Channel:
        try:
            greeting = self.start()
        except (UnansweredError, OSError) as error:
            raise UnansweredError("crash", f"it does not start again: {error}") from error
        if "error" in greeting or self._channel is None:
            self.stop()
            raise UnansweredError("crash", f"it does not start again: {wire.quoted(greeting.get('error'))}")
        return self._channel

    def _settle(self, greeting: Mapping[str, Any]) -> None:
        """Agree on a version and on a form of arrays [PROTO-D2]."""
        if greeting.get("protocol") != VERSION:
            raise UnansweredError(
                "malformed", f"protocol {wire.quoted(greeting.get('protocol'))} where {VERSION} is spoken"
            )
        self._form = greeting.get("arrays", "numbers")
        if self._form not in ("numbers", "files", "frames"):
            raise UnansweredError(
                "malformed", f'arrays {wire.quoted(self._form)} where there are "numbers", "files" and "frames"'
            )

    def _exchange(self, channel: Channel, message: dict[str, Any], seconds: float) -> dict[str, Any]:
        """Write one request and read one answer [PROTO-D1, PROTO-C1, PROTO-C2]."""
        deadline = Deadline.after(seconds)
        number, self._number = self._number, self._number + 1
        frames: list[bytes] = []
        request = wire.line({"id": number, **self._written(message, frames)})
        channel.write(b"".join([request, *frames]), deadline)
        try:
            answer = wire.parse(channel.read_line(deadline))
            if type(answer.get("id")) is not int or answer["id"] != number:
                raise wire.WireError(f"an answer with id {wire.quoted(answer.get('id'))} to request {number}")
            for array in _arrays(answer):
                count = wire.byte_count(array)
                # More than the largest is refused when it is read.
                if count <= LARGEST and array["bytes"] != count:
                    raise wire.WireError(f"an array of {wire.quoted(array['bytes'])} bytes, which should have {count}")
                array["bytes"] = channel.read(count, deadline)
        except wire.WireError as error:
            raise UnansweredError("malformed", str(error)) from error
        return answer

    def _written(self, message: Mapping[str, Any], frames: list[bytes]) -> dict[str, Any]:
        """Write arrays in the form that the program has asked for."""
        written: dict[str, Any] = {}
        for name, value in message.items():
            if isinstance(value, Mapping):
                written[name] = self._written(value, frames)
            elif not isinstance(value, np.ndarray):
                written[name] = value
            elif self._form == "frames":
                frames.append(wire.as_bytes(value))
                written[name] = {**wire.header(value), "bytes": len(frames[-1]), **_traits(value)}
            elif self._folder and value.size > LARGE:
                path = Path(self._folder) / name
                path.write_bytes(wire.as_bytes(value))
                written[name] = {**wire.header(value), "file": str(path)}
            else:
                written[name] = wire.as_numbers(value)
        return written


def _emptied(folder: str) -> None:
    """Remove what has been left in a folder; what the program has done to it must not be the end of the check."""
    try:
        if os.path.islink(folder):
            raise UnansweredError("crash", "its folder can no longer be used (it is a link)")
        for entry in list(os.scandir(folder)):
            if entry.is_dir(follow_symlinks=False):
                shutil.rmtree(entry.path)
            else:
                os.unlink(entry.path)
    except OSError as error:
        raise UnansweredError("crash", f"its folder can no longer be used ({error.strerror})") from error


def _arrays(answer: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """The arrays of an answer whose bytes follow it, in the order in which they do."""
    for part in answer.values():
        for value in part.values() if isinstance(part, dict) else ():
            if isinstance(value, dict) and "bytes" in value:
                yield value


def _traits(array: Array) -> dict[str, Any]:
    """What distinguishes an array from a new one: strides in bytes, and that it must not be written to [PROTO-D7]."""
    strides = {} if array.flags.c_contiguous else {"strides": list(array.strides)}
    return strides | ({} if array.flags.writeable else {"readonly": True})


def _limit_memory(pid: int, extra: int | None) -> None:
    """Let a process have so many more bytes of address space than it has now."""
    if extra is None:
        return
    try:
        resource: Any = importlib.import_module("resource")
        pages = int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[0])
        limit = pages * os.sysconf("SC_PAGE_SIZE") + extra
        resource.prlimit(pid, resource.RLIMIT_AS, (limit, limit))
    except (ImportError, AttributeError, OSError, ValueError, OverflowError) as error:
        raise UsageError(f"a limit for memory cannot be set here ({type(error).__name__}: {error})") from error
