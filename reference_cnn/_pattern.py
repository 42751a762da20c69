"""What wrong entries have in common: said only where it holds for every entry."""

from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from itertools import combinations

import numpy as np

from reference_cnn._validate import Array

Candidate = tuple[str, Array, Array | float]
# How far along an axis an answer may have been shifted.
FARTHEST = 2
# So many wrong entries have one value by accident.
ACCIDENTAL = 2
# Between patterns that both hold.
ALTERNATIVE = ", or "
# Along a longer axis no other order is looked for: nobody would read it.
LISTED = 64


def describe(
    got: Array,
    expected: Array,
    wrong: Array,
    tolerance: Array | float,
    axes: Sequence[str],
    sizes: Mapping[str, int] | None = None,
    groups: Mapping[str, int] | None = None,
    argument: Array | None = None,
) -> str:
    """Say in a few words what the wrong entries of `got` have in common; axes have these names.

    `tolerance` (a number, or one per entry) is how far two entries that count as equal may lie apart. `sizes` are those
    that a factor may come from, "images" or "output positions" say; `groups` says into how many equal groups an axis is
    divided; `argument` is what each entry was computed of, where that is one number.
    """
    if wrong.size == 1:
        return "its one entry is wrong"
    fitting: dict[str, str] = {}
    for words, candidate, slack in _transformed(got, expected, wrong, tolerance, axes, sizes or {}):
        # Along an axis of two a flip and a shift are the same, and of two such axes so may be a swap.
        kind = next((kind for kind in ("flipped", "swapped", "shifted") if kind in words), "")
        if (kind or not fitting) and kind not in fitting and np.all(np.abs(got - candidate) <= slack):
            fitting[kind] = words
        if "" in fitting:
            break
    if fitting:
        return ALTERNATIVE.join(fitting.values())
    share = f"{wrong.sum()} of {wrong.size} entries {'is' if wrong.sum() == 1 else 'are'} wrong"
    places = [p for axis, name in enumerate(axes) if (p := _place(wrong, axis, name, (groups or {}).get(name, 1)))]
    signs = [words for words, where in _signs(expected, argument) if np.array_equal(wrong, where)]
    values = np.unique(got[wrong])
    # What starts from a number, or is cut off at one; two that are equal may be so by accident.
    constant = wrong.sum() > ACCIDENTAL and values.size == 1 and np.isfinite(values[0]) and values[0] != 0
    if constant and not (signs and argument is not None):
        return f"{share}, all {values[0]:g}"
    # A few entries lie at certain places of several axes by accident, but have a sign in common more rarely; where each
    # entry is computed of one number, places mean nothing.
    if signs and (argument is not None or len(places) != 1):
        return f"{share}, {signs[0]}"
    return f"{share}, all {' and '.join(places)}" if places else share


def _signs(expected: Array, argument: Array | None) -> Iterator[tuple[str, Array]]:
    """Where the right answer has one sign, if it has both, or what it is computed of."""
    told = [("those that should be", expected)]
    told += [("those whose argument is", argument)] if argument is not None else []
    for words, array in told:
        for sign, where in (("negative", array < 0), ("positive", array > 0)):
            if where.any() and (~where & (array != 0)).any():
                yield f"{words} {sign}", where


def _transformed(
    got: Array, expected: Array, wrong: Array, tolerance: Array | float, axes: Sequence[str], sizes: Mapping[str, int]
) -> Iterator[Candidate]:
    """Yield wrong answers of known kinds: words, the answer, and its tolerance."""
    slack = np.broadcast_to(np.asarray(tolerance), expected.shape)
    with np.errstate(over="ignore"):
        finite = all(np.isfinite(np.asarray(a, dtype=complex)).all() for a in (got, expected))
    if not finite:
        return
    yield "every entry is 0", np.zeros_like(expected), tolerance
    # What is right in one place is not multiplied in every place, though rounding may let it look so.
    several = np.unique(np.abs(expected[expected != 0])).size > 1 and wrong[expected != 0].all()
    factor = _factor(got, expected) if several else None
    if factor and factor != 1:
        yield _scaled(factor, sizes), expected * float(factor), slack * (1 + abs(float(factor)))
    long = [a for a, size in enumerate(expected.shape) if size > 1]
    for count in range(1, len(long) + 1):
        for chosen in combinations(long, count):
            names = " and ".join(axes[a] for a in chosen)
            yield f"flipped along {names}", np.flip(expected, chosen), np.flip(slack, chosen)
    for a, b in combinations(long, 2):
        if expected.shape[a] == expected.shape[b]:
            yield f"{axes[a]} and {axes[b]} swapped", expected.swapaxes(a, b), slack.swapaxes(a, b)
    for axis in long:
        yield from _moved(got, expected, slack, axis, axes[axis])


def _scaled(factor: Fraction, sizes: Mapping[str, int]) -> str:
    """A factor in words, and which size, or product of two, it equals."""
    if factor == -1:
        return "every entry has the wrong sign"
    words = f"every entry is {factor} times what it should be"
    known = [(n, name) for name, n in sizes.items() if n > 1]
    known += [(n * m, f"{name} times {other}") for (n, name), (m, other) in combinations(known, 2)]
    for n, name in known:
        if abs(factor) in (n, Fraction(1, n)):
            return f"{words}; {n} is the number of {name}"
    return words


def _moved(got: Array, expected: Array, slack: Array, axis: int, name: str) -> Iterator[Candidate]:
    """Shifts along one axis, with zeros or what falls out at the other end coming in, and other orders."""
    size = expected.shape[axis]
    for by in (by for k in range(1, min(FARTHEST, size - 1) + 1) for by in (k, -k)):
        rolled = np.roll(expected, by, axis)
        fell = (np.arange(size) < by) if by > 0 else (np.arange(size) >= size + by)
        empty = fell.reshape([-1 if a == axis else 1 for a in range(expected.ndim)])
        words = f"shifted by {by} along {name}"
        yield words, np.where(empty, 0, rolled), np.roll(slack, by, axis)
        yield f"{words}, and round to the other end", rolled, np.roll(slack, by, axis)
    if size <= LISTED:
        yield from _ordered(got, expected, slack, axis, name)


def _ordered(got: Array, expected: Array, slack: Array, axis: int, name: str) -> Iterator[Candidate]:
    """Another order along one axis."""
    mine, theirs, near = (np.moveaxis(a, axis, 0) for a in (got, expected, slack))
    order = []
    for g in mine:
        k = next((k for k, (e, s) in enumerate(zip(theirs, near)) if (np.abs(g - e) <= s).all()), None)
        if k is None:
            return
        order.append(k)
    if sorted(order) == list(range(len(order))) and order != sorted(order):
        listed = ", ".join(map(str, order))
        yield f"in another order along {name}: {listed}", np.take(expected, order, axis), np.take(slack, order, axis)


def _factor(got: Array, expected: Array) -> Fraction | None:
    """The simple fraction that best takes expected to got, if there is one."""
    with np.errstate(all="ignore"):
        value = float(np.sum(got * expected) / np.sum(expected * expected))
    # A factor beyond a million is no size of anything, and multiplying with it may overflow.
    return Fraction(value).limit_denominator(4096) if abs(value) < 1e6 else None


def _place(wrong: Array, axis: int, name: str, groups: int = 1) -> str | None:
    """Where along one axis the wrong entries lie, if that is not everywhere."""
    size = wrong.shape[axis]
    hit = np.flatnonzero(wrong.any(axis=tuple(a for a in range(wrong.ndim) if a != axis)))
    if len(hit) == size:
        return None
    if groups > 1 and size % groups == 0:
        each = size // groups
        group = hit[0] // each
        if np.array_equal(hit, np.arange(group * each, (group + 1) * each)):
            return f"at the {name}s of group {group}" if each > 1 else f"at {name} {hit[0]}, which is group {group}"
    if len(hit) == 1:
        last = " (the last)" if hit[0] == size - 1 else ""
        return f"at {_numbered(name, f'{hit[0]}{last}')}"
    if hit[0] > 0 and len(hit) == size - hit[0]:
        return f"from {_numbered(name, f'{hit[0]}')} on"
    if set(hit) == {0, size - 1}:
        return f"at the first and last {f'index of {name}' if _nameless(name) else name}"
    listed = ", ".join(map(str, hit[:-1]))
    return f"at {_numbered(name, f'{listed} and {hit[-1]}')}" if len(hit) <= 4 else None


def _nameless(axis: str) -> bool:
    """Whether an axis is called by its number, "axis 0"."""
    return axis.startswith("axis ")


def _numbered(axis: str, numbers: str) -> str:
    """Places along an axis, "rows 0 and 2", or "indices 0 and 2 of axis 1"."""
    if _nameless(axis):
        return f"{'indices' if ' and ' in numbers else 'index'} {numbers} of {axis}"
    several = ("es" if axis.endswith("s") else "s") * (" and " in numbers)
    return f"{axis}{several} {numbers}"
