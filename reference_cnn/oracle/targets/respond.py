"""What else a function can be asked: what it did to its arguments, and for its answer a second time.

A function in this process and one in another are asked alike: `respondent(function, name)`.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np

from reference_cnn._validate import Array
from reference_cnn.oracle.targets.ask import Answer, call, read


class Reply(NamedTuple):
    """An answer, the arguments as the call has left them, until the next one, and what it takes to come back to it."""

    answer: Answer
    arguments: tuple[Any, ...]
    token: Any


@runtime_checkable
class Respondent(Protocol):
    """A function that can be asked what it did to its arguments, and for its answer a second time."""

    def reply(self, arguments: Sequence[Any], keywords: Mapping[str, Any], *, into: Reply | None = None) -> Reply:
        """Call the function with replicas of the arguments: same values, strides and writeability.

        Or, with the values alone, in the very arrays that it was given for an earlier reply, as an optimizer has it.
        """

    def recall(self, reply: Reply, *, scramble: bool = False) -> Answer:
        """Read an earlier answer again, if need be after its arguments have been overwritten.

        What it says now should be what it said then: otherwise a later call has overwritten it, or it is a view of
        an argument.
        """


def respondent(function: Callable[..., Any], name: str) -> Respondent:
    """Return the function itself if it is in another process and can be asked so, else what asks it here."""
    return function if isinstance(function, Respondent) else Local(function, name)


class Local:
    """A function in this process, as a Respondent."""

    def __init__(self, function: Callable[..., Any], name: str) -> None:
        self._function, self._name = function, name

    def reply(self, arguments: Sequence[Any], keywords: Mapping[str, Any], *, into: Reply | None = None) -> Reply:
        """Call the function; the answer is a copy (`read` makes it), which it cannot change later."""
        if into:
            _, own, given = into.token
            for mine, value in zip(own, arguments):
                if isinstance(mine, np.ndarray):
                    mine[...] = value
        else:
            own = [strided(a, a.strides) if isinstance(a, np.ndarray) else a for a in arguments]
            # The function sees views of what is its own, so that a read-only argument can be scrambled later.
            given = [_alike(mine, theirs) for mine, theirs in zip(own, arguments)]
        answer, result = call(self._function, self._name, given, keywords)
        return Reply(answer, tuple(given), (result, own, given))

    def recall(self, reply: Reply, *, scramble: bool = False) -> Answer:
        """Read the object that was returned again."""
        result, own, _ = reply.token
        if scramble:
            for a in own:
                if isinstance(a, np.ndarray):
                    a[...] = 1 - a
        return reply.answer if reply.answer.outcome != "answered" else read(result, self._name, np.ndim(own[0]))


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
