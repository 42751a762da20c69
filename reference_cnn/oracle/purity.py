"""What a function does besides answering: to its arguments, and to what it returned before [ORC-N2]."""

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from reference_cnn._validate import Array
from reference_cnn.oracle.judge import Failure, judge
from reference_cnn.oracle.layers import LAYERS
from reference_cnn.oracle.targets.ask import Answer
from reference_cnn.oracle.targets.respond import Reply, Respondent, respondent, strided, unchanged

if TYPE_CHECKING:
    from reference_cnn.oracle.cases import Case

# What helps.
LEAVES = "Answer in memory of your own, and leave the arguments as they are."
KEEPS = "Look for what it keeps from one call to the next, by what it knows that again, and when it is made anew."
MISREADS = "It answers the same numbers rightly where they are packed: go by the strides, or make a packed copy first."
# Outcomes that are failures whatever was done with the arrays: to refuse them is not.
BROKEN = ("crash", "hang", "malformed")
# After so many later calls an answer is read again: results may be written to several places by turns.
LATER = 8


def impurity(function: Callable[..., Any], case: "Case") -> Failure | None:
    """Ask a case that was answered rightly once more, and look at what else happens; None if nothing does.

    Arguments that are written to, results that change when later calls are made or the arguments are overwritten, and
    wrong answers where one argument or all have got other numbers in the same arrays, or to the same numbers in
    another memory layout.
    """
    return next(_impurities(respondent(function, case.function), case), None)


def touched(function: Callable[..., Any], cases: Iterable["Case"]) -> Iterator[Failure]:
    """Ask the calls of cases once more, and look for arguments that are written to or returned.

    With their own numbers, and with none below 0, where there may be nothing to do.
    """
    for case in cases:
        asked = respondent(function, case.function)
        positive = case.with_numbers(dict(zip(case.arguments, _all(np.abs)(list(case.arguments.values())))))
        for given, when in ((case, ""), (positive, "given no number below 0, ")):
            reply = asked.reply(_given(given), case.keywords)
            if reply.answer.outcome in BROKEN:
                yield from _wrong(given, reply.answer, f"{when}asked a second time", KEEPS)
            elif reply.token is None:  # no answer, or of a program of another language, which has copies anyway
                return
            for failure in _besides(given, reply):
                yield replace(failure, finding=when + failure.finding)


def _impurities(asked: Respondent, case: "Case") -> Iterator[Failure]:
    given, other = _given(case), _given(replace(case, seed=case.seed + 1))
    first = asked.reply(given, case.keywords)
    yield from _besides(case, first)
    yield from _wrong(case, first.answer, "asked a second time", KEEPS)
    later = asked.reply(other, case.keywords, times=LATER)
    if later.answer.outcome in BROKEN:
        yield from _wrong(case, later.answer, "asked with other numbers", KEEPS)
    if not _unchanged(first.answer, asked.recall(first)):
        yield _impure(case, "a later call overwrites what it returned before")
    # Right after each other, since what is kept of an array may be kept until the next one comes.
    again = asked.reply(given, case.keywords, into=later)
    yield from _wrong(case, again.answer, "given the same arrays with other numbers", KEEPS)
    yield from _one_by_one(asked, case, again, other)
    for words, layout in ELSEWHERE.items():
        laid_out = asked.reply(layout(given), case.keywords)
        # To refuse memory of another layout is no wrong answer; what is the same to the bit is as right.
        answered = laid_out.answer.outcome == "answered" and not _unchanged(first.answer, laid_out.answer)
        if answered or laid_out.answer.outcome in BROKEN:
            yield from _wrong(case, laid_out.answer, f"given arrays {words}", MISREADS)


def _besides(case: "Case", reply: Reply) -> Iterator[Failure]:
    """What became of the arguments of a call, and whether its answer is memory of its own."""
    for deed in reply.deeds:
        yield replace(_impure(case, f"it {deed}"), diagnosis=("written-input",))
    if reply.view:
        yield _impure(case, "its answer is a view of an argument")


def _one_by_one(asked: Respondent, case: "Case", last: Reply, other: list[Any]) -> Iterator[Failure]:
    """Change one argument alone in the arrays of the last reply, and judge what has not changed with it."""
    if case.tier == "special":  # of which the special value is what makes the case
        return
    for (name, before), after in zip(case.arguments.items(), other):
        # But for its first row, by which somebody may tell the array.
        array = np.concatenate([before[:1], after[1:]]) if len(before) > 1 else after
        changed = case.with_numbers({**case.plain, name: array})
        reply = asked.reply(_given(changed), case.keywords, into=last)
        if _unchanged(last.answer, reply.answer):
            when = f"given the same arrays with other numbers in {name} alone"
            yield from _wrong(changed, reply.answer, when, KEEPS)
        last = asked.reply(_given(case), case.keywords, into=reply)


def _wrong(case: "Case", answer: Answer, when: str, remedy: str) -> Iterator[Failure]:
    failure = judge(case, answer).failure
    if failure and answer.outcome != "not asked":
        yield replace(failure, finding=f"{when}, {failure.finding}", remedy=remedy)


def _given(case: "Case") -> list[Any]:
    return [*case.arguments.values(), *case.positional]


def _impure(case: "Case", message: str) -> Failure:
    return Failure(case, "purity", message, LAYERS[case.function].clauses[0], remedy=LEAVES)


def _unchanged(one: Answer, other: Answer) -> bool:
    if other.outcome in ("not asked", "crash", "hang"):  # its process has ended, which is found elsewhere
        return True
    return unchanged(one, other)


def _columns(array: Array, *, apart: int = 1) -> Array:
    """The same numbers, the last axis slowest, and with gaps if they are to lie apart."""
    strides = [apart * array.itemsize * math.prod(array.shape[:axis]) for axis in range(array.ndim)]
    return strided(array, tuple(strides))


def _rows_apart(array: Array) -> Array:
    """The same numbers as a part of a wider array: packed along the last axis, and not along the others."""
    return strided(array, np.empty((*array.shape[:-1], array.shape[-1] + 1), array.dtype).strides)


def _channels_last(array: Array) -> Array:
    """The same numbers, the second axis fastest."""
    return np.moveaxis(np.moveaxis(array, 1, -1).copy(), -1, 1) if array.ndim > 2 else array


def _backwards(array: Array, axes: int) -> Array:
    """The same numbers, the last axes from their end to their start."""
    ahead = array.ndim - min(axes, array.ndim)
    return strided(array, (*array.strides[:ahead], *(-s for s in array.strides[ahead:])))


def _read_only(array: Array) -> Array:
    copy = array.copy()
    copy.flags.writeable = False
    return copy


def _all(layout: Callable[[Array], Array]) -> Callable[[list[Any]], list[Any]]:
    return lambda given: [layout(a) if isinstance(a, np.ndarray) else a for a in given]


# How else the same numbers may lie in memory, each for itself: one may be refused, and another misread.
ELSEWHERE: dict[str, Callable[[list[Any]], list[Any]]] = {
    "that are not packed": _all(lambda a: _columns(a, apart=2)),
    "whose rows lie apart": _all(_rows_apart),
    "in Fortran's order": _all(_columns),
    "of which the first alone is in Fortran's order": lambda given: _all(_columns)(given[:1]) + given[1:],
    "of which the first alone is not in Fortran's order": lambda given: given[:1] + _all(_columns)(given[1:]),
    "whose channels lie next to each other": _all(_channels_last),
    "that lie backwards": _all(lambda a: _backwards(a, a.ndim)),
    "whose rows lie backwards": _all(lambda a: _backwards(a, 1)),
    "that are read-only": _all(_read_only),
}
