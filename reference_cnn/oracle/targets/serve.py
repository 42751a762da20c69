"""A Python target as a program that speaks the protocol: `python -m reference_cnn.oracle.targets.serve name TARGET`.

It only answers; whether the answers are right is for the process that asks.
"""

import os
import sys
from collections import deque
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from reference_cnn._validate import Array
from reference_cnn.oracle import wire
from reference_cnn.oracle.targets import TargetError, keywords_of, load
from reference_cnn.oracle.targets.ask import Answer, call, in_words
from reference_cnn.oracle.targets.process import VERSION
from reference_cnn.oracle.targets.respond import Local, Reply, strided

# How many answers are kept to be read again.
KEPT = 16


def main() -> None:
    """Answer until there are no more requests."""
    requests, answers = _apart()
    process = os.getpid()
    server = Server(*sys.argv[1:])
    for line in requests:
        request = wire.parse(line)
        arguments = {n: _read(a, requests) for n, a in request.get("arguments", {}).items()}
        frames: list[bytes] = []
        try:
            response = server.answer(request, arguments, frames)
        except BaseException as error:  # whatever a target has thrown past everything else
            response, frames = {"error": in_words(error), "kind": "failed"}, []
        if os.getpid() != process:
            os._exit(0)  # a copy that the target has forked, and that has come back with it
        answers.write(b"".join([wire.line({"id": request["id"], **response}), *frames]))
        answers.flush()


class Server:
    """A target, loaded when it is greeted, and the answers that it was asked to keep."""

    def __init__(self, how: str, name: str) -> None:
        self._source = Path(name) if how == "file" else name
        self._functions: Mapping[str, Callable[..., Any]] = {}
        self._kept: deque[tuple[int, Local, Reply]] = deque(maxlen=KEPT)

    def answer(self, request: Mapping[str, Any], arguments: Mapping[str, Any], frames: list[bytes]) -> dict[str, Any]:
        """Answer one request; the bytes of the arrays go to `frames`."""
        name = request["ask"]
        if name == "hello":
            return self._greeting()
        if name == "again":
            local, reply = self._reply(request["of"])
            return _written(local.recall(reply), frames)
        keywords = {n: wire.plain(v) for n, v in request["keywords"].items()}
        function = self._functions[name]
        if not request.get("keep"):
            return _written(call(function, name, list(arguments.values()), keywords)[0], frames)
        into = self._reply(request["into"])[1] if "into" in request else None
        local = Local(function, name)
        reply = local.reply(list(arguments.values()), keywords, into=into, times=request["times"])
        self._kept.append((request["id"], local, reply))
        return {**_written(reply.answer, frames), "deeds": reply.deeds, "view": reply.view}

    def _reply(self, number: int) -> tuple[Local, Reply]:
        return next((local, reply) for kept, local, reply in self._kept if kept == number)

    def _greeting(self) -> dict[str, Any]:
        try:
            self._functions = load(self._source).functions
        except TargetError as error:
            return {"error": str(error), "kind": "failed"}
        keywords = {n: keywords_of(f) for n, f in self._functions.items()}
        return {"protocol": VERSION, "functions": keywords, "arrays": "frames"}


def _read(value: Any, requests: BinaryIO) -> Any:
    """Read an argument; an array gets the strides that it had, and is as read-only."""
    if not isinstance(value, dict):
        return wire.plain(value)
    array = wire.from_bytes(value, requests.read(value["bytes"]))
    array = strided(array, tuple(value["strides"])) if "strides" in value else array
    array.flags.writeable = "readonly" not in value
    return array


def _written(answer: Answer, frames: list[bytes]) -> dict[str, Any]:
    if answer.outcome != "answered":
        return {"error": answer.error, "kind": answer.outcome}
    return {"outputs": {n: None if a is None else _frame(a, frames) for n, a in answer.outputs.items()}}


def _frame(array: Array, frames: list[bytes]) -> dict[str, Any]:
    # A dtype that has no name on the wire, such as a small float of ml_dtypes, fits into float64.
    native = array.astype(wire.DTYPES.get(array.dtype.name, np.dtype(np.float64)), copy=False)
    frames.append(wire.as_bytes(native))
    return {**wire.header(native), "bytes": len(frames[-1])}


def _apart() -> tuple[BinaryIO, BinaryIO]:
    """Keep the protocol's pipes to ourselves: what the target prints goes to standard error, and it reads nothing."""
    requests, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    return requests, answers


if __name__ == "__main__":
    main()
