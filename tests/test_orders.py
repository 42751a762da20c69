"""The bounds of sums: no order, blocking or fused operation exceeds them, in any output; nor does flushing to zero.

The reference itself runs on numbers that remember what they are sums of, which are then added up in each order.
"""

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import Array, conv_calls, dense_calls, seeds

from reference_cnn.oracle import Case, bounds
from reference_cnn.oracle.call import Call
from reference_cnn.oracle.layers import LAYERS

Pair = tuple[Any, Any]


@dataclass(frozen=True)
class Sum:
    """Products that are still to be added up; a number alone is one with 1."""

    pairs: tuple[Pair, ...] = ()

    def __add__(self, other: Any) -> "Sum":
        return Sum(self.pairs + other.pairs) if isinstance(other, Sum) else self

    __radd__ = __add__

    def __mul__(self, other: Any) -> "Sum":
        """With a single number each; padding is a 0, and adds nothing."""
        return Sum(tuple((a, b) for a, _ in self.pairs for b, _ in other.pairs)) if isinstance(other, Sum) else Sum()

    __rmul__ = __mul__


@dataclass(frozen=True)
class Arithmetic:
    """That of a dtype: every product and every sum is rounded, and if need be flushed to zero."""

    dtype: Any
    flush: bool = False

    def rounded(self, value: Any) -> Any:
        number = np.dtype(self.dtype).type(value)
        return 0 * number if self.flush and abs(number) < bounds.finfo(self.dtype).smallest_normal else number

    def product(self, pair: Pair) -> Any:
        return self.rounded(pair[0] * pair[1])

    def one_by_one(self, pairs: list[Pair]) -> Any:
        total = self.rounded(0)
        for pair in pairs:
            total = self.rounded(total + self.product(pair))
        return total

    def in_pairs(self, pairs: list[Pair]) -> Any:
        if len(pairs) < 2:
            return self.one_by_one(pairs)
        half = len(pairs) // 2
        return self.rounded(self.in_pairs(pairs[:half]) + self.in_pairs(pairs[half:]))

    def in_blocks(self, pairs: list[Pair]) -> Any:
        """Four running sums, as vector units have them."""
        total = self.rounded(0)
        for k in range(4):
            total = self.rounded(total + self.one_by_one(pairs[k::4]))
        return total

    def fused(self, pairs: list[Pair]) -> Any:
        """Product and sum are rounded once; fractions are exact, and so is float of one of a 16 or 32-bit product."""
        total = Fraction(0)
        for a, b in pairs:
            total = Fraction(float(self.rounded(float(total + Fraction(float(a)) * Fraction(float(b))))))
        return self.rounded(float(total))


ORDERS: dict[str, Callable[[Arithmetic, list[Pair], np.random.Generator], Any]] = {
    "one by one": lambda how, pairs, rng: how.one_by_one(pairs),
    "the last first": lambda how, pairs, rng: how.one_by_one(pairs[::-1]),
    "shuffled": lambda how, pairs, rng: how.one_by_one([pairs[i] for i in rng.permutation(len(pairs))]),
    "the largest first": lambda how, pairs, rng: how.one_by_one(sorted(pairs, key=lambda p: -abs(float(p[0] * p[1])))),
    "pairwise": lambda how, pairs, rng: how.in_pairs(pairs),
    "in blocks": lambda how, pairs, rng: how.in_blocks(pairs),
    "fused": lambda how, pairs, rng: how.fused(pairs),
}


def remembered(array: Array) -> Array:
    found = np.empty(array.shape, object)
    for place in np.ndindex(array.shape):
        found[place] = Sum(((array[place], array.dtype.type(1)),))
    return found


def exceeded(case: Case, order: str, how: Arithmetic, rng: np.random.Generator) -> list[str]:
    """The outputs that an order takes out of their bounds."""
    sums = LAYERS[case.function].reference(*map(remembered, case.arguments.values()), **case.keywords)
    found = []
    for output, all_sums in zip(LAYERS[case.function].outputs, sums if isinstance(sums, tuple) else (sums,)):
        value, bound = case.expected[output]
        flat = [ORDERS[order](how, list(s.pairs) if isinstance(s, Sum) else [], rng) for s in all_sums.flat]
        got = np.array(flat, case.dtype).reshape(value.shape).astype(value.dtype)
        found += [output] * bool((np.abs(got - value) > bound).any())
    return found


calls = st.one_of(
    st.tuples(st.just("conv_forward"), conv_calls((1, 2))),
    st.tuples(st.just("conv_backward"), conv_calls((1, 2)).map(Call.without_bias)),
    st.tuples(st.just("dense_forward"), dense_calls()),
    st.tuples(st.just("dense_backward"), dense_calls().map(Call.without_bias)),
)


@pytest.mark.spec("RND-N1", "RND-D2")
@settings(max_examples=40)
@given(calls, st.sampled_from(list(ORDERS)), st.sampled_from(["float64", "float32", "float16", "bfloat16"]), seeds)
def test_no_order_exceeds_the_bound_of_any_output(asked: tuple[str, Call], order: str, dtype: str, seed: int) -> None:
    function, call = asked
    if order == "fused" and dtype == "float64":
        dtype = "float32"  # whose products float64 holds
    case = Case(function, call, "rounding", dtype, seed, accumulate=dtype)
    assert exceeded(case, order, Arithmetic(dtype), np.random.default_rng(seed)) == []


@pytest.mark.spec("RND-N3")
@settings(max_examples=20)
@given(calls, st.sampled_from(["float64", "float32", "bfloat16"]), seeds)
def test_flushing_to_zero_stays_within_the_bound(asked: tuple[str, Call], dtype: str, seed: int) -> None:
    """Numbers so small that products are flushed, whatever the order."""
    function, call = asked
    case = Case(function, call, "rounding", dtype, seed, accumulate=dtype)
    root = float(bounds.finfo(dtype).smallest_normal) ** 0.5
    case.__dict__["plain"] = {n: (a.astype(float) * root).astype(dtype) for n, a in case.plain.items()}
    assert exceeded(case, "one by one", Arithmetic(dtype, flush=True), np.random.default_rng(seed)) == []


@pytest.mark.spec("RND-N1")
@pytest.mark.parametrize(("dtype", "share"), [("float32", 0.8), ("float64", 0.8)])
def test_the_bound_of_many_terms_is_within_a_factor_on_adversarial_data(dtype: str, share: float) -> None:
    """1, then n − 1 terms of just over u, each of which a running sum loses; their products lose nothing."""
    u, terms = bounds.unit(dtype), 1000
    call = Call((("x", (1, terms)), ("w", (terms, 1))))
    case = Case("dense_forward", call, "rounding", dtype, accumulate=dtype)
    x = np.full((1, terms), u * (1 - u), dtype)
    x[0, 0] = 1
    case.__dict__["plain"] = {"x": x, "w": np.ones((terms, 1), dtype)}
    value, bound = case.expected["z"]
    lost = Arithmetic(dtype).one_by_one([(a, np.dtype(dtype).type(1)) for a in x[0]])
    assert share < abs(float(value[0, 0] - lost)) / float(bound[0, 0]) <= 1
