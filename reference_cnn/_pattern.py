"""What wrong entries have in common: said only where it holds for every entry."""

from collections.abc import Iterator, Sequence
from fractions import Fraction
from itertools import combinations

import numpy as np

from reference_cnn._validate import Array


def describe(got: Array, expected: Array, wrong: Array, tolerance: Array | float, axes: Sequence[str]) -> str:
    """Say in a few words what the wrong entries of `got` have in common; axes have these names.

    `tolerance` (a number, or one per entry) is how far two entries that count as equal may lie apart.
    """
    if wrong.size == 1:
        return "its one entry is wrong"
    for words, candidate, slack in _transformed(got, expected, tolerance, axes):
        if np.all(np.abs(got - candidate) <= slack):
            return words
    share = f"{wrong.sum()} of {wrong.size} entries {'is' if wrong.sum() == 1 else 'are'} wrong"
    places = [p for axis, name in enumerate(axes) if (p := _place(wrong, axis, name))]
    return f"{share}, {' and '.join(places)}" if places else share


def _transformed(
    got: Array, expected: Array, tolerance: Array | float, axes: Sequence[str]
) -> Iterator[tuple[str, Array, Array | float]]:
    """Yield wrong answers of known kinds: words, the answer, and its tolerance."""
    slack = np.broadcast_to(np.asarray(tolerance), expected.shape)
    with np.errstate(over="ignore"):
        finite = all(np.isfinite(np.asarray(a, dtype=complex)).all() for a in (got, expected))
    if not finite:
        return
    yield "every entry is 0", np.zeros_like(expected), tolerance
    factor = _factor(got, expected) if np.unique(np.abs(expected[expected != 0])).size > 1 else None
    if factor and factor != 1:
        words = f"every entry is {factor} times what it should be"
        yield words, expected * float(factor), slack * (1 + abs(float(factor)))
    long = [a for a, size in enumerate(expected.shape) if size > 1]
    for count in range(1, len(long) + 1):
        for chosen in combinations(long, count):
            names = " and ".join(axes[a] for a in chosen)
            yield f"flipped along {names}", np.flip(expected, chosen), np.flip(slack, chosen)
    for a, b in combinations(long, 2):
        if expected.shape[a] == expected.shape[b]:
            yield f"{axes[a]} and {axes[b]} swapped", expected.swapaxes(a, b), slack.swapaxes(a, b)


def _factor(got: Array, expected: Array) -> Fraction | None:
    """The simple fraction that best takes expected to got, if there is one."""
    with np.errstate(all="ignore"):
        value = float(np.sum(got * expected) / np.sum(expected * expected))
    # A factor beyond a million is no size of anything, and multiplying with it may overflow.
    return Fraction(value).limit_denominator(4096) if abs(value) < 1e6 else None


def _place(wrong: Array, axis: int, name: str) -> str | None:
    """Where along one axis the wrong entries lie, if that is not everywhere."""
    size = wrong.shape[axis]
    hit = np.flatnonzero(wrong.any(axis=tuple(a for a in range(wrong.ndim) if a != axis)))
    if len(hit) == size:
        return None
    if len(hit) == 1:
        last = " (the last)" if hit[0] == size - 1 else ""
        return f"all at {name} {hit[0]}{last}"
    if hit[0] > 0 and len(hit) == size - hit[0]:
        return f"all from {name} {hit[0]} on"
    if set(hit) == {0, size - 1}:
        return f"all at the first and last {name}"
    return f"all at {name} {', '.join(map(str, hit))}" if len(hit) <= 4 else None
