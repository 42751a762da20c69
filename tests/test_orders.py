"""The bounds of sums: no order, blocking, fused operation or formula exceeds them, in any output; nor flushing to zero.

The reference itself runs on numbers that remember what they are sums of, which are then added up in each order.
"""

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from strategies import Array, seeds

from reference_cnn.oracle import Case, bounds
from reference_cnn.oracle.call import Call, everything
from reference_cnn.oracle.layers import LAYERS
from reference_cnn.oracle.shapes import drawn_call

Pair = tuple[Any, Any]


@dataclass(frozen=True)
class Sum:
    """Products that are still to be added up; a number alone is one with 1, a share of an average with a fraction."""

    pairs: tuple[Pair, ...] = ()

    def __add__(self, other: Any) -> "Sum":
        return Sum(self.pairs + other.pairs) if isinstance(other, Sum) else self

    __radd__ = __add__

    def __mul__(self, other: Any) -> "Sum":
        """With a single number each; padding is a 0, and adds nothing."""
        return Sum(tuple((a, b) for a, _ in self.pairs for b, _ in other.pairs)) if isinstance(other, Sum) else Sum()

    __rmul__ = __mul__

    def __truediv__(self, count: Any) -> "Sum":
        return Sum(tuple((a, Fraction(1, int(count))) for a, _ in self.pairs))


@dataclass(frozen=True)
class Arithmetic:
    """That of a dtype: every product and every sum is rounded, and if need be flushed to zero."""

    dtype: Any
    flush: bool = False
    inverts: bool = False

    def rounded(self, value: Any) -> Any:
        number = np.dtype(self.dtype).type(value)
        return 0 * number if self.flush and abs(number) < bounds.finfo(self.dtype).smallest_normal else number

    def product(self, pair: Pair) -> Any:
        a, b = pair
        if not isinstance(b, Fraction):
            return self.rounded(a * b)
        return self.rounded(a * self.rounded(float(b))) if self.inverts else self.rounded(a / b.denominator)

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
            exact = total + Fraction(float(a)) * Fraction(float(self.rounded(float(b))))
            total = Fraction(float(self.rounded(float(exact))))
        return self.rounded(float(total))

    def divided_last(self, pairs: list[Pair]) -> Any:
        """An average of the sum; what is the sum of different averages, or none, has nothing to divide."""
        counts = {b for _, b in pairs}
        if len(counts) != 1 or not isinstance(count := counts.pop(), Fraction):
            return self.one_by_one(pairs)
        return self.product((self.one_by_one([(a, a.dtype.type(1)) for a, _ in pairs]), count))

    def running_mean(self, pairs: list[Pair]) -> Any:
        """Of all that are averaged, if that is what the pairs are."""
        if any(b != Fraction(1, len(pairs)) for _, b in pairs):
            return self.one_by_one(pairs)
        mean = self.rounded(0)
        for k, (a, _) in enumerate(pairs, 1):
            mean = self.rounded(mean + self.rounded(self.rounded(a - mean) / k))
        return mean


ORDERS: dict[str, Callable[[Arithmetic, list[Pair], np.random.Generator], Any]] = {
    "one by one": lambda how, pairs, rng: how.one_by_one(pairs),
    "the last first": lambda how, pairs, rng: how.one_by_one(pairs[::-1]),
    "shuffled": lambda how, pairs, rng: how.one_by_one([pairs[i] for i in rng.permutation(len(pairs))]),
    "the largest first": lambda how, pairs, rng: how.one_by_one(sorted(pairs, key=lambda p: -abs(float(p[0] * p[1])))),
    "pairwise": lambda how, pairs, rng: how.in_pairs(pairs),
    "in blocks": lambda how, pairs, rng: how.in_blocks(pairs),
    "fused": lambda how, pairs, rng: how.fused(pairs),
    "a running mean": lambda how, pairs, rng: how.running_mean(pairs),
    "divided last": lambda how, pairs, rng: how.divided_last(pairs),
}


def remembered(array: Array) -> Array:
    found = np.empty(array.shape, object)
    for place in np.ndindex(array.shape):
        found[place] = Sum(((array[place], array.dtype.type(1)),))
    return found


def exceeded(case: Case, order: str, how: Arithmetic, rng: np.random.Generator) -> list[str]:
    """The outputs that an order takes out of their bounds."""
    # Of a pooling's x, backward, the order matters, or the shape.
    arguments = [a if "dy" in case.arguments and n == "x" else remembered(a) for n, a in case.arguments.items()]
    sums = LAYERS[case.function].reference(*arguments, *case.positional, **case.keywords)
    found = []
    for output, all_sums in zip(LAYERS[case.function].outputs, sums if isinstance(sums, tuple) else (sums,)):
        value, bound = case.expected[output]
        flat = [ORDERS[order](how, list(s.pairs) if isinstance(s, Sum) else [], rng) for s in all_sums.flat]
        got = np.array(flat, case.dtype).reshape(value.shape).astype(value.dtype)
        found += [output] * bool((np.abs(got - value) > bound).any())
    return found


SUMS = ("conv_forward", "conv_backward", "dense_forward", "dense_backward")
POOLS = ("avg_pool_forward", "avg_pool_backward", "max_pool_backward")
TYPES = ("float64", "float32", "float16", "bfloat16")


@st.composite
def questions(draw: st.DrawFn, functions: tuple[str, ...], dtypes: tuple[str, ...] = TYPES) -> Case:
    """A case of real numbers, whose sums may be formed in its own dtype."""
    function, dtype = draw(st.sampled_from(functions)), draw(st.sampled_from(dtypes))
    call = drawn_call(function, lambda low, high: draw(st.integers(low, high)), draw(st.integers(1, 2)), everything)
    return Case(function, call, "rounding", dtype, draw(seeds), accumulate=dtype)


@pytest.mark.spec("RND-N1", "RND-D2")
@settings(max_examples=80)
@given(questions((*SUMS, *POOLS)), st.sampled_from(list(ORDERS)), st.booleans())
def test_no_order_exceeds_the_bound_of_any_output(case: Case, order: str, inverts: bool) -> None:
    assume(order != "fused" or case.dtype != "float64")  # float64 does not hold its products
    how = Arithmetic(case.dtype, inverts=inverts)
    assert exceeded(case, order, how, np.random.default_rng(case.seed)) == []


@pytest.mark.spec("RND-N3")
@settings(max_examples=40)
@given(questions((*SUMS, *POOLS), ("float64", "float32", "bfloat16")))
def test_flushing_to_zero_stays_within_the_bound(case: Case) -> None:
    """Numbers so small that products, or shares of an average, are flushed, whatever the order."""
    tiny = float(bounds.finfo(case.dtype).smallest_normal) ** (0.5 if "w" in case.plain else 1)
    case.__dict__["plain"] = {n: (a.astype(float) * tiny).astype(case.dtype) for n, a in case.plain.items()}
    how = Arithmetic(case.dtype, flush=True)
    assert exceeded(case, "one by one", how, np.random.default_rng(case.seed)) == []


Formula = Callable[..., Any]


def halves(how: Arithmetic, o: Any, y: Any, total: Any) -> Any:
    differences = [how.rounded(b - a) for a, b in zip(o, y)]
    return total([(how.rounded(d * d), o.dtype.type(0.5)) for d in differences])


def half_of_all(how: Arithmetic, o: Any, y: Any, total: Any) -> Any:
    differences = [how.rounded(a - b) for a, b in zip(o, y)]
    return how.rounded(total([(d, d) for d in differences]) / 2)


def scaled(how: Arithmetic, o: Any, y: Any, total: Any) -> Any:
    """A factor √½ in the square, rounded as a constant is."""
    root = o.dtype.type(0.5**0.5)
    return total([(d, d) for d in (how.rounded(how.rounded(a - b) * root) for a, b in zip(o, y))])


def a_norm(how: Arithmetic, o: Any, y: Any, total: Any) -> Any:
    norm = how.rounded(np.sqrt(half_of_all(how, o, y, total) * 2))
    return how.rounded(how.rounded(norm * norm) / 2)


SQUARES = [halves, half_of_all, scaled, a_norm]


def factored(how: Arithmetic, da: Any, a: Any, total: Any) -> Any:
    inner = total(list(zip(da, a)))
    return [how.rounded(p * how.rounded(d - inner)) for d, p in zip(da, a)]


def expanded(how: Arithmetic, da: Any, a: Any, total: Any) -> Any:
    inner = total(list(zip(da, a)))
    return [how.rounded(how.rounded(p * d) - how.rounded(p * inner)) for d, p in zip(da, a)]


def jacobian(how: Arithmetic, da: Any, a: Any, total: Any) -> Any:
    """diag(a) − a·aᵀ, whose elements are formed first."""
    one = a.dtype.type(1)
    rows = [
        [how.rounded(p * (how.rounded(one - q) if i == j else -q)) for j, q in enumerate(a)] for i, p in enumerate(a)
    ]
    return [total(list(zip(row, da))) for row in rows]


@pytest.mark.spec("RND-N1")
@settings(max_examples=60)
@given(
    st.one_of(
        st.tuples(questions(("squared_error",)), st.sampled_from(SQUARES)),
        st.tuples(questions(("softmax_backward",)), st.sampled_from([factored, expanded, jacobian])),
    ),
    st.sampled_from(["one by one", "the last first", "shuffled", "pairwise", "in blocks"]),
)
def test_no_formula_exceeds_the_bound(asked: tuple[Case, Formula], order: str) -> None:
    """As people write the squared error and the backward pass of the softmax."""
    case, formula = asked
    how, rng = Arithmetic(case.dtype), np.random.default_rng(case.seed)
    ((value, bound),) = case.expected.values()
    first, second = case.arguments.values()
    rows = [(first.ravel(), second.ravel())] if formula in SQUARES else zip(first, second)
    got = [formula(how, *row, lambda pairs: ORDERS[order](how, pairs, rng)) for row in rows]
    assert (np.abs(np.array(got, case.dtype).astype(value.dtype).reshape(value.shape) - value) <= bound).all()


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
