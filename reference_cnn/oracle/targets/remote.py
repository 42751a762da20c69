"""Functions in another process, and how every target that can be named is reached: each in a process of its own."""

import inspect
import os
import shlex
import sys
from collections.abc import Mapping, Sequence
from keyword import iskeyword
from numbers import Real
from pathlib import Path
from typing import Any

from reference_cnn._validate import Array
from reference_cnn.oracle import wire
from reference_cnn.oracle.layers import LAYERS
from reference_cnn.oracle.targets import Target, TargetError, UsageError, load
from reference_cnn.oracle.targets.ask import Answer, Outcome, UnansweredError
from reference_cnn.oracle.targets.process import TIMEOUT, Program
from reference_cnn.oracle.targets.respond import Reply

PREFIX = "exec:"
SERVER = "reference_cnn.oracle.targets.serve"
# No clock is set for more seconds.
LONGEST = 1_000_000
# After so many deaths and time-outs in a row, or in all, a function is asked no more [PROTO-C3].
IN_A_ROW, IN_ALL = 3, 12
# The kinds of errors that a program may answer with [PROTO-D4].
KINDS: dict[str, Outcome] = {
    "not implemented": "not implemented",
    "refused": "refused",
    "failed": "failed",
    "malformed": "malformed",
}


def reach(
    target: Any,
    *,
    timeout: float = TIMEOUT,
    memory: int | None = None,
    in_process: bool = False,
    folder: str | None = None,
    paths: Sequence[str] = (),
) -> Target:
    """Load a target: in a process of its own if it can be named, else in this one [PROTO-D8].

    Parameters
    ----------
    target : module, object, mapping, path or str
        As `load` takes it, or `"exec:PROGRAM ARGUMENTS"`.
    timeout : float
        Seconds for one call.
    memory : int, optional
        Bytes of address space that the process may take besides what it has when it has started (Linux only).
    in_process : bool
        Load it here after all, as a debugger wants it.
    folder : str, optional
        The working directory of its process; without it that of this one.
    paths : sequence of str
        Where to look for modules after the directories in which this process does.

    Raises
    ------
    TargetError
        The target cannot be loaded or started, or it offers none of the functions.
    UsageError
        A limit that cannot be set.
    """
    _refuse(timeout, memory)
    program = isinstance(target, str) and target.startswith(PREFIX)
    if not program and (in_process or os.name != "posix" or not isinstance(target, str | Path)):
        return load(target)
    name = str(target)
    if program:
        return _started(name, Program(_words(name), timeout=timeout, memory=memory, folder=folder))
    # The directories in which this process looks for modules, in the same order; -P adds none.
    own = [path or os.getcwd() for path in sys.path]
    # And then in the working directory, which is where a module that is named is likely to be.
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(dict.fromkeys([*own, *paths, folder or os.getcwd()]))}
    command = [sys.executable, "-P", "-m", SERVER, "file" if isinstance(target, Path) else "name", name]
    return _started(name, Program(command, timeout=timeout, memory=memory, environment=environment, folder=folder))


def _refuse(timeout: Any, memory: Any) -> None:
    """Refuse limits that cannot be set."""
    if not isinstance(timeout, Real) or not 0 < float(timeout) <= LONGEST:
        raise UsageError(f"timeout must be positive and at most {LONGEST:,} seconds, is {timeout!r}")
    if memory is not None and (not isinstance(memory, int) or memory < 1):
        raise UsageError(f"memory must be an integer of at least 1 byte, is {memory!r}")


def _words(target: str) -> list[str]:
    if os.name != "posix":
        raise TargetError(f"{target}: programs can be asked on POSIX systems only")
    try:
        words = shlex.split(target.removeprefix(PREFIX))
    except ValueError as error:
        raise TargetError(f"{target} cannot be read as a command ({error})") from error
    if not words:
        raise TargetError(f'{target} names no program; write "{PREFIX}./program arguments"')
    return words


def _started(name: str, program: Program) -> Target:
    try:
        greeting = program.start()
    except OSError as error:
        raise TargetError(f"{name} cannot be started ({error.strerror or error})") from error
    except UnansweredError as error:
        raise TargetError(f"{name} cannot be asked: {Answer(error.outcome, {}, str(error)).finding}") from error
    try:
        if "error" in greeting:
            said = greeting["error"]
            text = " ".join(said.split()) if isinstance(said, str) else f"{name} greets with error {wire.quoted(said)}"
            raise TargetError(wire.printable(text))
        functions = {n: Remote(program, n, k) for n, k in _offered(name, greeting).items()}
    except BaseException:
        program.close()
        raise
    return Target(name, functions, name, close=program.close, in_process=False)


def _offered(name: str, greeting: Mapping[str, Any]) -> dict[str, list[str] | None]:
    """The functions that the oracle knows and the program offers, with their keywords; None: any [PROTO-D2]."""
    functions = greeting.get("functions")
    if not isinstance(functions, dict) or not all(
        k is None or (isinstance(k, list) and all(isinstance(w, str) for w in k)) for k in functions.values()
    ):
        raise TargetError(f'{name} greets without "functions": names, each with a list of keywords or null [PROTO-D2]')
    known = {n: k for n, k in functions.items() if n in LAYERS}
    if not known:
        raise TargetError(
            f"{name} offers none of the functions {', '.join(LAYERS)}; define at least one under that name"
        )
    return known


class Remote:
    """A function in another process: it is called as if it were here, and is a Respondent."""

    def __init__(self, program: Program, name: str, keywords: Sequence[str] | None) -> None:
        self._program, self._name = program, name
        self._lost = self._lost_in_all = 0
        # Any text may come; what cannot be a keyword in Python is none of ours.
        names = {k for k in keywords or () if k.isidentifier() and not iskeyword(k)} - {"arguments", "keywords"}
        parameters = [inspect.Parameter("arguments", inspect.Parameter.VAR_POSITIONAL)]
        parameters += [inspect.Parameter(k, inspect.Parameter.KEYWORD_ONLY, default=None) for k in sorted(names)]
        if keywords is None:
            parameters.append(inspect.Parameter("keywords", inspect.Parameter.VAR_KEYWORD))
        # What inspect.signature, and so the oracle, takes for the keywords that are offered.
        self.__signature__ = inspect.Signature(parameters)

    def __call__(self, *arguments: Any, **keywords: Any) -> Array | dict[str, Array | None]:
        """Return the one output, or the gradients by name; an UnansweredError says that there are none, and why."""
        answer = self._answer(self._ask(arguments, keywords))
        if answer.outcome != "answered":
            raise UnansweredError(answer.outcome, answer.error)
        outputs = list(answer.outputs.values())
        return answer.outputs if len(outputs) > 1 or outputs[0] is None else outputs[0]

    def reply(
        self, arguments: Sequence[Any], keywords: Mapping[str, Any], *, into: Reply | None = None, times: int = 1
    ) -> Reply:
        """Call the function, and have the answer kept, and told what the call has done besides."""
        # A process that has been started again has none of the arrays that it was given.
        generation, number = into.token if into and into.token else (0, None)
        reused = {"into": number} if generation == self._program.generation else {}
        try:
            response = self._ask(arguments, keywords, keep=True, times=times, **reused)
        except UnansweredError as error:
            return Reply(Answer(error.outcome, {}, str(error)), None)
        answer, deeds = self._answer(response), response.get("deeds")
        if not isinstance(deeds, list):  # a program of another language: what it has is a copy anyway
            return Reply(answer, None)
        token = (self._program.generation, response["id"])
        return Reply(answer, token, tuple(map(str, deeds)), response.get("view") is True)

    def recall(self, reply: Reply) -> Answer:
        """Have the answer sent again."""
        if reply.token is None or reply.answer.outcome != "answered":
            return reply.answer
        generation, number = reply.token
        if generation != self._program.generation:
            return Answer("not asked", {}, "its process has ended since")
        try:
            return self._answer(self._program.ask("again", of=number))
        except UnansweredError as error:
            return Answer(error.outcome, {}, str(error))

    @property
    def _names(self) -> tuple[str, ...]:
        layer = LAYERS[self._name]
        return layer.arguments + layer.positional

    def _ask(self, arguments: Sequence[Any], keywords: Mapping[str, Any], **options: Any) -> dict[str, Any]:
        if self._lost >= IN_A_ROW or self._lost_in_all >= IN_ALL:
            raise UnansweredError("not asked", f"not asked after {self._lost_in_all} deaths and time-outs")
        named = dict(zip(self._names, arguments))
        try:
            response = self._program.ask(self._name, arguments=named, keywords=dict(keywords), **options)
        except UnansweredError:
            self._lost += 1
            self._lost_in_all += 1
            raise
        self._lost = 0
        return response

    def _answer(self, response: Mapping[str, Any]) -> Answer:
        """Read outputs, or an error [PROTO-D4]; what is neither is malformed."""
        if "error" in response:
            kind = response.get("kind")
            if not isinstance(kind, str) or kind not in KINDS:
                return Answer("malformed", {}, f"an error of kind {wire.quoted(kind)}, none of {', '.join(KINDS)}")
            return Answer(KINDS[kind], {}, wire.printable(str(response["error"]))[:300])
        found, outputs = response.get("outputs"), LAYERS[self._name].outputs
        if not isinstance(found, dict) or all(found.get(n) is None for n in outputs):
            return Answer("malformed", {}, f"neither an error nor outputs {', '.join(outputs)}")
        read: dict[str, Array | None] = {}
        for name in outputs:
            try:
                read[name] = None if found.get(name) is None else self._program.read(found[name])
            except wire.WireError as error:
                return Answer("malformed", {}, f"{name} with {error}")
        return Answer("answered", read)
