"""What a function does besides answering: to its arguments, and to what it returned before [ORC-N2]."""

import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from reference_cnn._validate import Array
from reference_cnn.oracle.judge import Failure, judge
from reference_cnn.oracle.layers import LAYERS
from reference_cnn.oracle.targets.ask import Answer
from reference_cnn.oracle.targets.respond import Respondent, respondent, strided

if TYPE_CHECKING:
    from reference_cnn.oracle.cases import Case


def impurity(function: Callable[..., Any], case: "Case", other: "Case") -> Failure | None:
    """Ask a case that was answered rightly once more, and look at what else happens; None if nothing does.

    Arguments that are written to, results that change when a later call is made or the arguments are overwritten, and
    wrong answers to other numbers (those of a case with the same call) in the same arrays, or to the same numbers in
    another memory layout.
    """
    return next(_impurities(respondent(function, case.function), case, other), None)


def _impurities(asked: Respondent, case: "Case", other: "Case") -> Iterator[Failure]:
    given = _given(case)
    first = asked.reply(given, case.keywords)
    for name, before, after in zip(case.arguments, given, first.arguments):
        if first.answer.outcome == "answered" and not _same(before, after):
            yield replace(_impure(case, f"it writes into {name}"), diagnosis=("written-input",))
    yield from _wrong(case, first.answer, "asked a second time")
    asked.reply(_given(other), case.keywords)
    kept = ((False, "a later call overwrites what it returned before"), (True, "its answer is a view of an argument"))
    for scramble, words in kept:
        if not _unchanged(first.answer, asked.recall(first, scramble=scramble)):
            yield _impure(case, words)
    # Right after each other, since what is kept of an array may be kept until the next one comes.
    again = asked.reply(_given(other), case.keywords, into=asked.reply(given, case.keywords))
    yield from _wrong(other, again.answer, "given the same arrays with other numbers")
    for words, layout in ELSEWHERE.items():
        laid_out = asked.reply([layout(a) if isinstance(a, np.ndarray) else a for a in given], case.keywords)
        # To refuse memory of another layout is loud, and so no wrong answer; what is the same to the bit is as right.
        if laid_out.answer.outcome == "answered" and not _unchanged(first.answer, laid_out.answer):
            yield from _wrong(case, laid_out.answer, f"given arrays {words}")


def _wrong(case: "Case", answer: Answer, when: str) -> Iterator[Failure]:
    failure = judge(case, answer).failure
    if failure:
        yield replace(failure, finding=f"{when}, {failure.finding}")


def _given(case: "Case") -> list[Any]:
    return [*case.arguments.values(), *case.positional]


def _impure(case: "Case", message: str) -> Failure:
    return Failure(case, "purity", message, LAYERS[case.function].clauses[0])


def _same(one: Any, other: Any) -> bool:
    a, b = np.asarray(one), np.asarray(other)
    return (a.shape, a.dtype) == (b.shape, b.dtype) and a.tobytes() == b.tobytes()


def _unchanged(one: Answer, other: Answer) -> bool:
    if other.outcome == "not asked":  # its process has ended since, which a call has found already
        return True
    return other.outcome == "answered" and all(_same(a, other.outputs[name]) for name, a in one.outputs.items())


def _columns(array: Array, *, apart: int = 1) -> Array:
    """The same numbers, the last axis slowest, and with gaps if they are to lie apart."""
    strides = [apart * array.itemsize * math.prod(array.shape[:axis]) for axis in range(array.ndim)]
    return strided(array, tuple(strides))


def _read_only(array: Array) -> Array:
    copy = array.copy()
    copy.flags.writeable = False
    return copy


# How else the same numbers may lie in memory, each for itself: one may be refused, and another misread.
ELSEWHERE: dict[str, Callable[[Array], Array]] = {
    "that are not packed": lambda a: _columns(a, apart=2),
    "in Fortran's order": _columns,
    "that lie backwards": lambda a: strided(a, tuple(-s for s in a.strides)),
    "that are read-only": _read_only,
}
