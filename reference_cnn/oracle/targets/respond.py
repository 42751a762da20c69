"""What else a function can be asked: what it did to its arguments, and for its answer a second time.

A function in this process and one in another are asked alike: `respondent(function, name)`.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np

from reference_cnn._validate import Array
from reference_cnn.oracle.layers import LAYERS
from reference_cnn.oracle.targets.ask import Answer, call, read


class Reply(NamedTuple):
    """An answer, and what the call has done besides, where that can be seen; `token` is what it takes to come back.

    `deeds` says what became of arguments, as in "writes into x"; `view` whether the answer changes with an argument.
    """

    answer: Answer
    token: Any
    deeds: tuple[str, ...] = ()
    view: bool = False


@runtime_checkable
class Respondent(Protocol):
    """A function that can be asked what it did to its arguments, and for its answer a second time."""

    def reply(
        self, arguments: Sequence[Any], keywords: Mapping[str, Any], *, into: Reply | None = None, times: int = 1
    ) -> Reply:
        """Call the function with replicas of the arguments: same values, strides and writeability.

        Or, with the values alone, in the very arrays that it was given for an earlier reply, as an optimizer has it.
        Of several times, each with arrays of its own, the last is replied, or the first that is not answered.
        """

    def recall(self, reply: Reply) -> Answer:
        """Read an earlier answer again; where it says something else than it said then, a later call overwrote it."""


def respondent(function: Callable[..., Any], name: str) -> Respondent:
    """Return the function itself if it is in another process and can be asked so, else what asks it here."""
    return function if isinstance(function, Respondent) else Local(function, name)


class Local:
    """A function in this process, as a Respondent."""

    def __init__(self, function: Callable[..., Any], name: str) -> None:
        self._function, self._name = function, name

    def reply(
        self, arguments: Sequence[Any], keywords: Mapping[str, Any], *, into: Reply | None = None, times: int = 1
    ) -> Reply:
        """Call the function; the answer is a copy (`read` makes it), which it cannot change later."""
        for _ in range(times):
            reply = self._once(arguments, keywords, into)
            if reply.answer.outcome != "answered":
                break
        return reply

    def recall(self, reply: Reply) -> Answer:
        """Read the object that was returned again."""
        result, own, _ = reply.token
        return reply.answer if reply.answer.outcome != "answered" else read(result, self._name, np.ndim(own[0]))

    def _once(self, arguments: Sequence[Any], keywords: Mapping[str, Any], into: Reply | None) -> Reply:
        if into:
            _, own, given = into.token
            for mine, value in zip(own, arguments):
                if isinstance(mine, np.ndarray):
                    mine[...] = value
        else:
            own = [strided(a, a.strides) if isinstance(a, np.ndarray) else a for a in arguments]
            # The function sees views of what is its own, so that a read-only argument can be overwritten later.
            given = [_alike(mine, theirs) for mine, theirs in zip(own, arguments)]
        answer, result = call(self._function, self._name, given, keywords)
        reply = Reply(answer, (result, own, given))
        if answer.outcome != "answered":
            return reply
        deeds = tuple(_deeds(LAYERS[self._name].arguments, arguments, given))
        for a in own:
            if isinstance(a, np.ndarray):
                a[...] = 1 - a
        return reply._replace(deeds=deeds, view=not unchanged(answer, self.recall(reply)))


def unchanged(one: Answer, other: Answer) -> bool:
    """Whether an answer, read again or given to the same question, is the same to the last bit."""
    return other.outcome == "answered" and all(_same(a, other.outputs[name]) for name, a in one.outputs.items())


def _deeds(names: Sequence[str], before: Sequence[Any], after: Sequence[Any]) -> Iterator[str]:
    for name, one, other in zip(names, before, after):
        if not _same(one, other):
            yield f"{'writes into' if np.shape(one) == np.shape(other) else 'changes the shape of'} {name}"


def _same(one: Any, other: Any) -> bool:
    a, b = np.asarray(one), np.asarray(other)
    return (a.shape, a.dtype) == (b.shape, b.dtype) and a.tobytes() == b.tobytes()


def strided(array: Array, strides: tuple[int, ...]) -> Array:
    """A copy with these strides, in bytes, which `ndarray.copy` would not keep."""
    if not array.size or 0 in strides:
        return array.copy()
    spans = [(n - 1) * s for n, s in zip(array.shape, strides)]
    room = np.zeros(sum(map(abs, spans)) + array.itemsize, np.uint8)
    copy: Array = np.ndarray(array.shape, array.dtype, room.data, -sum(s for s in spans if s < 0), strides)
    copy[...] = array
    return copy


def _alike(mine: Any, theirs: Any) -> Any:
    if not isinstance(mine, np.ndarray):
        return mine
    given = mine.view()
    given.flags.writeable = theirs.flags.writeable
    return given
