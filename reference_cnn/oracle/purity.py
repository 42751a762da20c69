"""What a function does besides answering: to its arguments, and to what it returned before [ORC-N2]."""

import math
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from reference_cnn._validate import Array
from reference_cnn.oracle.judge import Failure, judge
from reference_cnn.oracle.layers import LAYERS
from reference_cnn.oracle.targets.ask import Answer
from reference_cnn.oracle.targets.respond import respondent, strided

if TYPE_CHECKING:
    from reference_cnn.oracle.cases import Case


def impurity(function: Callable[..., Any], case: "Case") -> Failure | None:
    """Ask a case that was answered rightly once more, and look at what else happens; None if nothing does.

    Arguments that are written to, results that change when a later call is made or the arguments are overwritten, and
    another answer for the same numbers in another memory layout.
    """
    asked = respondent(function, case.function)
    given = _given(case)
    first = asked.reply(given, case.keywords)
    if first.answer.outcome != "answered":
        return judge(case, first.answer).failure
    for name, before, after in zip(case.arguments, given, first.arguments):
        if not _same(before, after):
            return replace(_impure(case, f"it writes into {name}"), diagnosis=("written-input",))
    again = judge(case, first.answer).failure
    if again:
        return replace(again, finding=f"asked a second time, {again.finding}")
    asked.reply(_given(replace(case, seed=case.seed + 1)), case.keywords)
    kept = ((False, "a later call overwrites what it returned before"), (True, "its answer is a view of an argument"))
    for scramble, words in kept:
        if not _unchanged(first.answer, asked.recall(first, scramble=scramble)):
            return _impure(case, words)
    for words, layout in ELSEWHERE.items():
        laid_out = asked.reply([layout(a) if isinstance(a, np.ndarray) else a for a in given], case.keywords)
        # To refuse memory of another layout is loud, and so no wrong answer.
        found = judge(case, laid_out.answer).failure if laid_out.answer.outcome == "answered" else None
        if found:
            return replace(found, finding=f"given arrays {words}, {found.finding}")
    return None


def _given(case: "Case") -> list[Any]:
    return [*case.arguments.values(), *case.positional]


def _impure(case: "Case", message: str) -> Failure:
    return Failure(case, "purity", message, LAYERS[case.function].clauses[0])


def _same(one: Any, other: Any) -> bool:
    return np.asarray(one).tobytes() == np.asarray(other).tobytes()


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
    "that are read-only": _read_only,
}
