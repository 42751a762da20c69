"""NaN, infinity and ties: what they must reach [ORC-N1], and where a choice is free [ORC-N4]."""

import math
from typing import TYPE_CHECKING

import numpy as np

from reference_cnn._validate import Array
from reference_cnn.oracle import bounds
from reference_cnn.oracle.call import TIES, Call, windows_of
from reference_cnn.oracle.layers import LAYERS, WINDOWED

if TYPE_CHECKING:
    from reference_cnn.oracle.cases import Case

Arrays = dict[str, Array]

NAN, INF, NEGATIVE = ("nan", "inf", "-inf")
# What is put where. Not asked: what the derivative of a rectifier is at NaN, where z > 0 is everybody's formula; which
# gradient a NaN in max pooling gets; infinite logits, whose difference is no number.
ASKED = {
    "conv_forward": [(NAN, "x"), (INF, "x"), (NEGATIVE, "x"), (NAN, "w"), (INF, "w"), (NAN, "b"), (INF, "b")],
    "conv_backward": [(NAN, "dz"), (INF, "dz"), (NAN, "x"), (INF, "x"), (NAN, "w"), (INF, "w")],
    "dense_forward": [(NAN, "x"), (INF, "x"), (NEGATIVE, "x"), (NAN, "w"), (INF, "w"), (NAN, "b"), (INF, "b")],
    "dense_backward": [(NAN, "dz"), (INF, "dz"), (NAN, "x"), (INF, "x"), (NAN, "w"), (INF, "w")],
    "sigmoid": [(NAN, "z"), (INF, "z"), (NEGATIVE, "z")],
    "sigmoid_prime": [(NAN, "z"), (INF, "z")],
    "relu": [(NAN, "z"), (INF, "z"), (NEGATIVE, "z")],
    "max_pool_forward": [(NAN, "x"), (INF, "x"), (NEGATIVE, "x")],
    "max_pool_backward": [(NAN, "dy")],
    "avg_pool_forward": [(NAN, "x"), (INF, "x")],
    "avg_pool_backward": [(NAN, "dy"), (INF, "dy")],
    "softmax": [(NAN, "z")],
    "softmax_backward": [(NAN, "da")],
    "squared_error": [(NAN, "o"), (NAN, "y")],
    "squared_error_prime": [(NAN, "o"), (INF, "o"), (NAN, "y")],
    "cross_entropy": [(NAN, "z")],
    "cross_entropy_prime": [(NAN, "z")],
}
# Functions that are linear in the argument, where a value goes to what it is a factor of; elsewhere the formula tells.
LINEAR = ("conv", "dense", "average pool")
# Functions of single elements: where the special value was, there is nothing else that could leak.
ELEMENTWISE = ("sigmoid", "sigmoid_prime", "relu", "squared_error_prime")
# A pooling that has code of its own in many places.
USUAL = (("window", 3), ("stride", 2), ("padding", 1))
# So many spread over the fixed calls, besides one with each feature.
CALLS = 6
# How often a tie's part of a gradient may be rounded: as a reciprocal, as a product, and when it is kept.
PARTS = 4


def special_calls(function: str, fixed: list[Call]) -> list[Call]:
    """Return some of the fixed calls, the simplest with each feature among them, with a NaN or an infinity."""
    some = fixed[:: max(len(fixed) // CALLS, 1)][:CALLS]
    for feature in sorted({feature for call in fixed for feature in call.features}):
        some.append(min((call for call in fixed if feature in call.features), key=lambda call: len(call.features)))
    if LAYERS[function].family in WINDOWED:
        # Where a window is one element, there may be other code.
        some += [call for call in fixed if _one_by_one(call)][:1]
        some += [call for call in fixed if call.options == USUAL][:1]
    found = [
        (call.with_bias() if special[1] == "b" else call)._replace(special=special)
        for call in some
        for special in ASKED.get(function, [])
    ]
    if function == "max_pool_backward":
        found += [call._replace(special=TIES) for call in fixed]
    return list(dict.fromkeys(found))


def _one_by_one(call: Call) -> bool:
    """Whether each window is one element, and each element has its window."""
    windows = windows_of(call)
    return math.prod(windows.kernel) == 1 and windows.out == dict(call.shapes)["x"][2:]


def gathered(case: "Case", dx: Array) -> Array:
    """Give the first maximum of each window what all of them have got, if together they may have it [ORC-N4].

    Each may have any part of the window's gradient between nothing and all. No two windows that have one overlap.
    """
    windows = windows_of(case.call)
    taken = math.prod(windows.kernel)
    x, dy = (case.arguments[name].astype(np.float64) for name in ("x", "dy"))
    whole, inside = windows.padded(x.shape, np.float64)
    whole[...] = -np.inf
    inside[...] = x
    taps = windows.view(whole).reshape(taken, *dy.shape)
    room, interior = windows.padded(x.shape, dx.dtype)
    interior[...] = dx
    shares = windows.view(room, writeable=True)
    parts = shares.reshape(taken, *dy.shape)
    having = dy != 0
    tied = (taps == taps.max(axis=0)) & having
    with np.errstate(invalid="ignore"):  # an infinite part of a gradient of 0
        within = (parts * np.sign(dy) >= 0) & (np.abs(parts) <= np.abs(dy))
    if not np.where(tied, within, True).all():
        return dx
    first = tied & (np.cumsum(tied, axis=0) == 1)
    total = np.where(tied, parts, 0).sum(axis=0)
    together = np.where(tied, np.where(first, total, 0), parts).reshape(shares.shape)
    shares[..., having] = together[..., having]
    return np.asarray(interior)


def place(shape: tuple[int, ...], rng: np.random.Generator) -> tuple[int, ...]:
    """Where in an argument it is put."""
    return tuple(int(rng.integers(n)) for n in shape)


def expected(case: "Case", plain: dict[str, bounds.Expected]) -> dict[str, bounds.Expected]:
    """The right answers with the special value, given those without."""
    if case.call.special == TIES:
        # Each part is rounded, as a quotient and where windows overlap; `gathered` adds them up in float64.
        unit = bounds.gamma(PARTS, bounds.unit(case.dtype))
        return {name: right._replace(bound=unit * np.abs(right.value)) for name, right in plain.items()}
    wide = {n: a if n == "labels" else a.astype(np.float64) for n, a in case.arguments.items()}
    if LAYERS[case.function].family not in LINEAR and case.function != "max_pool_backward":
        with np.errstate(all="ignore"):
            values = bounds.call(case, wide)
        return {name: plain[name]._replace(value=value) for name, value in values.items()}
    number, argument = case.special
    factor = _factor(case, argument)
    found = {}
    with np.errstate(invalid="ignore"):
        formula = bounds.call(case, wide)
        reached = {name: number * np.sign(f) for name, f in factor.items()}
    for name, right in plain.items():
        value = np.where(factor[name] != 0, reached[name], right.value)
        # Where the other factor is the 0 of the padding, 0 · NaN may be formed or not.
        either = np.isfinite(value) & np.isnan(formula[name])
        found[name] = bounds.Expected(value, np.where(either, np.inf, right.bound))
    return found


def _factor(case: "Case", argument: str) -> Arrays:
    """What an element is multiplied with in each output: the difference that a 1 in its place makes to a 0."""
    plain = {n: a.astype(np.float64) for n, a in case.plain.items()}
    plain[argument][case.place] = 1
    with_one = bounds.call(case, plain)
    plain[argument][case.place] = 0
    without = bounds.call(case, plain)
    return {name: value - without[name] for name, value in with_one.items()}
