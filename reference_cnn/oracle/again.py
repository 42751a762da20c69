"""Whether a wrong answer comes again: here, and in a process that has been asked nothing else [ORC-D6]."""

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from reference_cnn.oracle.cases import Case
from reference_cnn.oracle.judge import Failure, judge
from reference_cnn.oracle.purity import KEEPS
from reference_cnn.oracle.targets import TargetError
from reference_cnn.oracle.targets.ask import ask

Function = Callable[..., Any]

# What helps where the same call is answered rightly the next time.
VARIES = (
    "Asked again it answers rightly: look for random numbers, threads, memory that is read before it is set, and what "
    "it keeps from other calls."
)
# And where it fails in another way as long as nothing else was asked.
SHARES = "Asked nothing else it fails otherwise: look for what it keeps from other calls, and of other functions."


def seen_again(failure: Failure, here: Function, fresh: Callable[[], Function]) -> Failure:
    """Say of a wrong answer if it takes other calls before it, or does not always come again.

    Not where a known mistake explains it, or what was done with the arrays. `fresh` reaches the function anew.
    """
    if failure.kind not in ("values", "shape", "exception") or failure.diagnosis or failure.remedy:
        return failure
    try:
        alone = _failure(fresh(), failure.case)
        if alone and alone.kind == failure.kind:
            # So it does not depend on how many calls there were before.
            return replace(failure, condition=re.sub(r"^Right in the first [^.]*\. ?", "", failure.condition))
    except TargetError:  # it can be reached once only, as where it holds a device
        return failure
    when, remedy = ("after other calls", SHARES if alone else KEEPS)
    if not _failure(here, failure.case):
        when, remedy = ("at times", VARIES)
    return replace(failure, finding=f"{when}, {failure.finding}", remedy=remedy)


def _failure(function: Function, case: Case) -> Failure | None:
    return judge(case, ask(function, case)).failure
