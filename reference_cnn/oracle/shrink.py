"""Find the smallest case that still fails: with Hypothesis among random ones, or the one at hand, then reduced."""

import random
from collections.abc import Callable, Iterator
from dataclasses import replace

import hypothesis
from hypothesis import HealthCheck, Phase, strategies
from hypothesis.errors import Flaky, NoSuchExample

from reference_cnn.oracle.call import Call, Offered
from reference_cnn.oracle.cases import Case
from reference_cnn.oracle.judge import Failure
from reference_cnn.oracle.shapes import drawn_call, fits

# Random calls tried before the failing one at hand is reduced.
TRIES = 300


@strategies.composite
def calls(draw: strategies.DrawFn, case: Case, offered: Offered) -> Call:
    """Calls of the case's function that use only offered features."""

    def integer(low: int, high: int) -> int:
        return draw(strategies.integers(low, high))

    return drawn_call(case.function, integer, case.rank, offered)._replace(special=case.call.special)


def reduced(call: Call, fails: Callable[[Call], bool]) -> Call:
    """Take away from a failing call for as long as it fails."""
    while less := next((c for c in reductions(call) if fails(c)), None):
        call = less
    return call


def reductions(call: Call) -> Iterator[Call]:
    """The call without one of its options or its bias, or with a smaller size; its windows may not fit any more."""
    for left_out in call.options:
        if left_out[0] not in ("window", "groups"):
            yield call._replace(options=tuple(option for option in call.options if option != left_out))
    if "b" in dict(call.shapes):
        yield call.without_bias()
    sizes = sizes_of(call)
    for k, size in enumerate(sizes):
        for less in sorted({1, size // 2, size - 1} & set(range(1, size))):
            yield resized(call, (*sizes[:k], less, *sizes[k + 1 :]))


def sizes_of(call: Call) -> tuple[int, ...]:
    """The sizes that others follow from: of a convolution groups, filters and channels of each, images, space."""
    shapes = dict(call.shapes)
    if "w" not in shapes:
        return call.shapes[0][1]
    x, w = shapes["x"], shapes["w"]
    if len(w) == 2:
        return x[0], *w
    groups: int = dict(call.options).get("groups", 1)
    return groups, w[0] // groups, w[1], x[0], *x[2:], *w[2:]


def resized(call: Call, sizes: tuple[int, ...]) -> Call:
    """The call with other sizes, in the order of `sizes_of`."""
    shapes, options = dict(call.shapes), dict(call.options)
    if "w" not in shapes:
        shapes = dict.fromkeys(shapes, sizes)
    elif len(shapes["w"]) == 2:
        examples, features, neurons = sizes
        shapes |= {"x": (examples, features), "w": (features, neurons), "b": (neurons,)}
    else:
        groups, filters, channels, images, *space = sizes
        size, kernel = space[: len(space) // 2], space[len(space) // 2 :]
        shapes |= {"x": (images, groups * channels, *size), "w": (groups * filters, channels, *kernel)}
        shapes |= {"b": (groups * filters,)}
        options = {name: groups if name == "groups" else value for name, value in options.items()}
    return Call(tuple((name, shapes[name]) for name, _ in call.shapes), tuple(options.items()), *call[2:])


def smallest(failure: Failure, attempt: Callable[[Case], Failure | None], offered: Offered) -> Failure:
    """Return the smallest failure in the same output that is found, or the one given.

    `attempt` asks the target about a case; `offered` says whether it accepts a feature.
    """
    found = failure

    def fails(call: Call) -> bool:
        nonlocal found
        case = replace(failure.case, call=call)
        candidate = attempt(case) if valid(case) else None
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
    except NoSuchExample:  # what shows under a rare condition is not met by chance
        call = failure.case.call
    except Flaky:  # a target that answers one question differently from time to time
        return found
    # Of a random call an option may be left that does not matter, since without it other numbers were drawn.
    call = reduced(call, fails)
    return found if found.case.call == call else attempt(replace(failure.case, call=call)) or failure


def valid(case: Case) -> bool:
    """Whether it has an answer: windows may not fit any more, or the argument with the special value be gone."""
    try:
        return fits(case.function, case.call) and bool(case.expected)
    except ValueError:
        return False
