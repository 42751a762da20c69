"""In which dtypes, and by which bounds, what a function answers wrongly would be right [ORC-D16]."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from reference_cnn.oracle import normwise
from reference_cnn.oracle.bounds import unit
from reference_cnn.oracle.cases import DTYPES, Case
from reference_cnn.oracle.judge import judge
from reference_cnn.oracle.numbers import typed
from reference_cnn.oracle.special import NAN
from reference_cnn.oracle.targets.ask import Answer, ask
from reference_cnn.oracle.workers import Found


def right_within(wrong: list[Found]) -> str:
    """Say which algorithm's bounds admit every wrong answer; infinities are not asked of a transform."""
    kinds = {f.judgement.failure.kind for f in wrong if f.judgement.failure}
    asked = [f for f in wrong if f.case.call.special is None or f.case.call.special[0] == NAN]
    if kinds != {"values"} or not asked:
        return ""
    for algorithm in normwise.ALGORITHMS:
        if not any(judge(replace(f.case, algorithm=algorithm), f.answer).failure for f in asked):
            return f"Every answer is within the bounds of --algorithm {algorithm}, which hold in norm only."
    return ""


def right_dtypes(
    function: Callable[..., Any], found: list[Found], wrong: list[Found], required: set[str], *, strict: bool
) -> str:
    """Say in which other dtypes every wrong call is answered rightly, given all calls in order and the wrong ones."""
    counting = {f.case for f in wrong}

    def right(case: Case, answer: Answer) -> bool:
        return answer.outcome == "answered" and judge(case, answer, required, strict=strict).failure is None

    def verdicts(asked: Iterable[Found], dtype: str) -> Iterator[bool]:
        """Ask all; of those that count here, whether they are answered rightly there."""
        for f in asked:
            counts = f.case in counting
            try:
                case = _in_dtype(f.case, dtype)
            except ValueError:  # its numbers are too large for the dtype
                rightly = False
            else:
                answer = ask(function, case)
                rightly = counts and right(case, answer)
            if counts:
                yield rightly

    def admitted(dtype: str) -> bool:
        """Whether the bounds there, where they are wider, admit the wrong answers too."""
        there = (judge(_in_dtype(f.case, dtype), _answer_in(f.answer, dtype), required) for f in wrong)
        return unit(dtype) > unit(wrong[0].case.dtype) and not any(j.failure for j in there)

    # What goes away when it is asked again has nothing to do with dtypes.
    if not wrong or any(right(f.case, ask(function, f.case)) for f in wrong):
        return ""
    others = [
        d
        for d in DTYPES
        if d != wrong[0].case.dtype
        and all(verdicts(wrong, d))
        and not admitted(d)
        and all(verdicts(found, d))  # with all calls before them, which may leave traces
    ]
    return f"The same calls are answered rightly in {', '.join(others)}." if others else ""


def _in_dtype(case: Case, dtype: str) -> Case:
    """The same case in another dtype: small integers of its own, but real numbers that differ by rounding only.

    A ValueError if the dtype has no such numbers.
    """
    numbers = replace(case, dtype=dtype).plain if case.tier == "exact" else typed(case.plain, dtype)
    return case.with_numbers(numbers, dtype)


def _answer_in(answer: Answer, dtype: str) -> Answer:
    """The answer to as many digits as the dtype has."""
    with np.errstate(over="ignore"):
        outputs = {n: a if a is None or a.dtype.kind == "c" else a.astype(dtype) for n, a in answer.outputs.items()}
    return answer._replace(outputs=outputs)
