"""Ask and judge in workers, the processes of any executor; what they lose is asked here [ORC-D14].

A worker is sent the name of a target, starts the target's process, and keeps it for the next batch. What a worker sends
back follows from a case alone, so it does not matter which of them was asked.
"""

import contextlib
import importlib
import multiprocessing
import os
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import BrokenExecutor, Executor, Future, ProcessPoolExecutor
from itertools import groupby
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, NamedTuple
from uuid import uuid4

from reference_cnn.oracle.cases import Case
from reference_cnn.oracle.judge import Judgement, judge
from reference_cnn.oracle.targets import Target, UsageError
from reference_cnn.oracle.targets.ask import Answer, ask, in_words
from reference_cnn.oracle.targets.layout import laid_out
from reference_cnn.oracle.targets.remote import reach

# Questions that one worker is asked in a row. The number of workers changes nothing about who is asked after whom
# within a batch, so that a mistake which takes up to so many calls to show is found by any number of them.
BATCH = 20
# How often a batch is sent to a worker before it is asked here.
TRIES = 3
# Seconds that a worker keeps the process of a target that is not asked, and that a cluster has to answer.
IDLE, CONNECT = 20.0, 30.0
# Outcomes that say more about the calls before, or about the machine, than about a question.
LOST = ("crash", "hang", "malformed", "not asked")


class Found(NamedTuple):
    """A question, its answer, what is to be said of it, and whether that counts."""

    case: Case
    answer: Answer
    judgement: Judgement
    informative: bool

    @classmethod
    def by(cls, function: Callable[..., Any], case: Case, *, strict: bool) -> "Found":
        """Ask and judge, here."""
        answer = ask(function, case)
        judgement = judge(case, answer, strict=strict)
        return cls(case, answer, judgement, bool(judgement.failure) or case.informative)


# Asks a function, given as it is reached here, all questions in order.
AskAll = Callable[[Callable[..., Any], list[Case]], list[Found]]


class UnrepeatableError(Exception):
    """What workers have found depends on more than the question, so one process has to be asked everything in order."""


class Place(NamedTuple):
    """All that a worker has to know to reach a target as it is reached here; `check` tells one check from another."""

    target: str | Path
    layout: str
    timeout: float
    memory: int | None
    folder: str
    paths: tuple[str, ...]
    check: str

    @classmethod
    def of(cls, target: str | Path, layout: str, *, timeout: float, memory: int | None) -> "Place":
        """The target as it is named here."""
        paths = tuple(path or os.getcwd() for path in sys.path)
        return cls(target, layout, timeout, memory, os.getcwd(), paths, uuid4().hex)


class Crew:
    """The workers of one check.

    `executor` is any that sends functions by their names and arguments by pickling; without one, processes are started,
    `jobs` of them, and started again when one dies.
    """

    def __init__(self, place: Place, executor: Executor | None, jobs: int, *, strict: bool) -> None:
        self._place, self._given, self._jobs, self._strict = place, executor, jobs, strict
        self._own: Executor | None = None
        self._hold: Connection | None = None
        self._asked_here = 0
        self._death = ""

    @property
    def remarks(self) -> tuple[str, ...]:
        """What was not asked by workers, and why."""
        if not self._asked_here:
            return ()
        return (f"{self._asked_here} questions were asked here, since workers had failed: {self._death}",)

    def ask_all(self, function: Callable[..., Any], questions: list[Case]) -> list[Found]:
        """Have all questions asked; those that no worker answers are asked here.

        Raises
        ------
        UnrepeatableError
            A call has crashed, hung, or broken the protocol: after some of these a function is asked no more.
        """
        batches = list(in_batches(questions))
        done: dict[int, list[Found]] = {}
        for _ in range(TRIES):
            left = [k for k in range(len(batches)) if k not in done]
            futures = {k: future for k in left if (future := self._send(batches[k]))}
            try:
                done |= {k: found for k, future in futures.items() if (found := self._received(future, batches[k]))}
            finally:
                for future in futures.values():
                    future.cancel()
        for k, batch in enumerate(batches):
            if k not in done:
                self._asked_here += len(batch)
                done[k] = [Found.by(function, case, strict=self._strict) for case in batch]
        return [found for k in range(len(batches)) for found in done[k]]

    def close(self) -> None:
        """End what was started here at once, whatever it is doing."""
        if self._hold:
            self._hold.close()
        if self._own:
            self._own.shutdown(cancel_futures=True)

    def _send(self, batch: list[Case]) -> "Future[list[tuple[Any, ...]]] | None":
        try:
            return self._executor().submit(answered, self._place, batch, self._strict)
        except Exception as error:  # every executor has its own for one that is broken, or shut down
            self._lost(error)
            return None

    def _received(self, future: "Future[list[tuple[Any, ...]]]", batch: list[Case]) -> list[Found] | None:
        """Wait for a batch; None if it is lost, whatever the worker has died of."""
        try:
            found = [Found(case, *rest) for case, rest in zip(batch, future.result())]
        except Exception as error:  # as above
            self._lost(error)
            return None
        if any(f.answer.outcome in LOST for f in found):
            raise UnrepeatableError
        return found

    def _lost(self, error: Exception) -> None:
        self._death = in_words(error)
        if self._own and isinstance(error, BrokenExecutor):
            self._own.shutdown(wait=False)
            self._own = None

    def _executor(self) -> Executor:
        if self._given:
            return self._given
        if self._own is None:
            # Spawned: this process may have threads, which do not survive a fork.
            context = multiprocessing.get_context("spawn")
            end, self._hold = context.Pipe(duplex=False)
            self._own = ProcessPoolExecutor(self._jobs, context, _end_with, (end,))
        return self._own


def _end_with(pipe: Connection) -> None:
    """In a worker: let it end, with its target, as soon as the other end is closed, if only by a killed process."""

    def wait() -> None:
        pipe.poll(None)
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()


def in_batches(questions: Sequence[Case]) -> Iterator[list[Case]]:
    """Cut into batches, in order; what has the same shapes and options stays together, which is how a cache shows."""
    batch: list[Case] = []
    for _, alike in groupby(questions, key=lambda case: case.call):
        batch += alike
        if len(batch) >= BATCH:
            yield batch
            batch = []
    if batch:
        yield batch


def answered(place: Place, batch: list[Case], strict: bool) -> list[tuple[Any, ...]]:
    """In a worker: ask and judge a batch, up to the first crash; the cases themselves are known where it came from."""
    found: list[tuple[Any, ...]] = []
    with _borrowed(place) as target:
        function = laid_out(target.functions[batch[0].function], batch[0].function, place.layout)
        for case in batch:
            found.append(tuple(Found.by(function, case, strict=strict)[1:]))
            if found[-1][0].outcome in LOST:
                break
    return found


# In a worker: targets that wait to be asked, each with the timer that ends it.
_waiting: dict[Place, list[tuple[Target, threading.Timer]]] = {}


@contextlib.contextmanager
def _borrowed(place: Place) -> Iterator[Target]:
    """A target that no other thread of this worker is asking: one that waits, or a new one."""
    waiting = _waiting.setdefault(place, [])
    if waiting:
        target, timer = waiting.pop()
        timer.cancel()
    else:
        target = reach(place.target, timeout=place.timeout, memory=place.memory, folder=place.folder, paths=place.paths)
    try:
        yield target
    except BaseException:
        target.close()
        raise
    timer = threading.Timer(IDLE, _dismiss, [waiting, target])
    timer.daemon = True
    waiting.append((target, timer))
    timer.start()


def _dismiss(waiting: list[tuple[Target, threading.Timer]], target: Target) -> None:
    """End a target that nobody has asked for a while."""
    for pair in [pair for pair in waiting if pair[0] is target]:
        with contextlib.suppress(ValueError):  # it has been borrowed in this very moment
            waiting.remove(pair)
            target.close()


@contextlib.contextmanager
def cluster(address: str) -> Iterator[Executor]:
    """Connect to a Dask scheduler, and wait for its first worker.

    Raises
    ------
    UsageError
        Dask is not installed, nobody answers at the address, or there are no workers.
    """
    try:
        distributed: Any = importlib.import_module("distributed")
    except ImportError as error:
        raise UsageError(
            f"Dask does not import ({error}); it needs a package: pip install 'reference_cnn[dask]'"
        ) from error
    with contextlib.ExitStack() as stack:
        try:
            client = stack.enter_context(distributed.Client(address, timeout=CONNECT))
            client.wait_for_workers(1, CONNECT)
        except (OSError, TimeoutError, ValueError) as error:
            raise UsageError(f"no workers of Dask at {address} ({in_words(error)})") from error
        yield client.get_executor()
