"""Find the smallest case that still fails, with Hypothesis."""

import random
from collections.abc import Callable
from dataclasses import replace

import hypothesis
from hypothesis import HealthCheck, Phase, strategies
from hypothesis.errors import Flaky, NoSuchExample

from reference_cnn.oracle.call import Call, Offered
from reference_cnn.oracle.cases import Case
from reference_cnn.oracle.judge import Failure
from reference_cnn.oracle.shapes import drawn_call

# Random calls tried before the failing one at hand is kept as it is.
TRIES = 300


@strategies.composite
def calls(draw: strategies.DrawFn, case: Case, offered: Offered) -> Call:
    """Calls of the case's function that use only offered features."""

    def integer(low: int, high: int) -> int:
        return draw(strategies.integers(low, high))

    return drawn_call(case.function, integer, case.rank, offered)._replace(special=case.call.special)


def smallest(failure: Failure, attempt: Callable[[Case], Failure | None], offered: Offered) -> Failure:
    """Return the smallest failure in the same output that is found, or the one given.

    `attempt` asks the target about a case; `offered` says whether it accepts a feature.
    """
    found = failure

    def fails(call: Call) -> bool:
        nonlocal found
        candidate = attempt(replace(failure.case, call=call))
        if candidate is None or (candidate.kind, candidate.output) != (failure.kind, failure.output):
            return False
        found = candidate
        return True

    settings = hypothesis.settings(
        max_examples=TRIES,
        database=None,
        deadline=None,
        phases=[Phase.generate, Phase.shrink],
        suppress_health_check=list(HealthCheck),
    )
    try:
        call = hypothesis.find(
            calls(failure.case, offered), fails, settings=settings, random=random.Random(failure.case.seed)
        )
    except (NoSuchExample, Flaky):  # flaky: a target that answers one question differently from time to time
        return found
    return found if found.case.call == call else attempt(replace(failure.case, call=call)) or failure
