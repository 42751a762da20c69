"""The bounds: no order of summation exceeds them, and they are no wider than they need be."""

import json
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import Array, dense_calls, seeds

from reference_cnn import dense_forward
from reference_cnn.oracle import Case, bounds, cases, check, notation
from reference_cnn.oracle.bounds import Precision, gamma, unit
from reference_cnn.oracle.call import Call


def any_order(rng: np.random.Generator, dtype: Any) -> Any:
    """A dense layer that adds its terms in a random tree, each product and sum rounded to dtype."""

    def forward(x: Array, w: Array, b: Any = None) -> Array:
        terms = [x[:, i, None] * w[i] for i in range(len(w))] + (
            [] if b is None else [np.broadcast_to(b, (len(x), len(b)))]
        )
        while len(terms) > 1:
            i, j = sorted(rng.choice(len(terms), 2, replace=False))
            terms[i] = (terms[i] + terms.pop(j)).astype(dtype)
        return np.asarray(terms[0]).astype(dtype)

    return forward


@pytest.mark.spec("RND-N1", "RND-D1", "RND-D2")
@settings(max_examples=200)
@given(dense_calls(), st.sampled_from(["float64", "float32", "float16", "bfloat16"]), seeds)
def test_no_order_of_summation_exceeds_the_bound(call: Call, dtype: str, seed: int) -> None:
    case = Case("dense_forward", call, "rounding", dtype, seed, accumulate=dtype)
    case.check(any_order(np.random.default_rng(seed), np.dtype(dtype)))


@pytest.mark.spec("RND-N1")
def test_the_bound_of_two_terms_is_nearly_reached() -> None:
    """Over a thousand sums of two products, some come within a factor of 1.5 of the bound."""
    worst = 0.0
    for seed in range(20):
        case = Case("dense_forward", notation.read("x=10x2 w=2x5"), "rounding", "float32", seed)
        x, w = case.arguments.values()
        value, bound = case.expected["z"]
        worst = max(worst, float((np.abs((x[:, :1] * w[:1] + x[:, 1:] * w[1:]).astype(float) - value) / bound).max()))
    assert 1 / 1.5 < worst <= 1


@pytest.mark.spec("RND-N1", "ARR-N3")
@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_narrow_accumulation_is_told_from_wide(dtype: str) -> None:
    """Sums formed in 16 bits exceed the default bound, and lie within the bound for such sums."""

    def narrow(x: Array, w: Array, b: Any = None) -> Array:
        z = np.zeros((len(x), w.shape[1]), x.dtype)
        for i in range(len(w)):
            z = (z + (x[:, i, None] * w[i]).astype(x.dtype)).astype(x.dtype)
        return z if b is None else (z + b).astype(x.dtype)

    assert not check({"dense_forward": narrow}, dtype=dtype).passed
    assert check({"dense_forward": narrow}, dtype=dtype, accumulate=dtype).passed


@pytest.mark.spec("RND-N1")
@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_a_bias_may_be_added_after_rounding(dtype: str) -> None:
    def rounded_twice(x: Array, w: Array, b: Any = None) -> Array:
        z = (x.astype(np.float32) @ w.astype(np.float32)).astype(x.dtype)
        return z if b is None else (z + b).astype(x.dtype)

    for seed in range(5):
        assert check({"dense_forward": rounded_twice}, dtype=dtype, seed=seed).passed


@pytest.mark.spec("RND-D1")
def test_gamma() -> None:
    assert gamma(0, 0.1) == 0
    assert gamma(2, 0.25) == 1
    assert gamma(4, 0.25) == float("inf")
    assert [unit(t) for t in ("float64", "float32", "float16", "bfloat16")] == [2.0**-53, 2.0**-24, 2.0**-11, 2.0**-8]
    assert unit(ml_dtypes.bfloat16) == 2.0**-8


@pytest.mark.spec("RND-N3")
def test_flushing_to_zero_is_allowed_in_float32_but_not_in_float16() -> None:
    def flushed(z: Array) -> Array:
        a = 1 / (1 + np.exp(-z.astype(np.longdouble)))
        return np.where(a < bounds.finfo(z.dtype).smallest_normal, 0, a).astype(z.dtype)

    assert check({"sigmoid": flushed}, dtype="float32").passed
    assert check({"sigmoid": flushed}, dtype="float64").passed
    assert not check({"sigmoid": flushed}, dtype="float16").passed
    assert Precision.of("float16").accumulate == "float32"


def naive(z: Array) -> Array:
    return np.asarray(1 / (1 + np.exp(-z)))


@pytest.mark.spec("RND-N2")
def test_the_usual_formulas_of_the_sigmoid_pass_and_the_lossy_one_does_not() -> None:
    for dtype in ("float64", "float32"):
        assert check({"sigmoid": naive, "sigmoid_prime": lambda z: naive(z) * (1 - naive(z))}, dtype=dtype).passed
        assert check({"sigmoid": lambda z: np.exp(-np.logaddexp(0, -z))}, dtype=dtype).passed
        assert not check({"sigmoid": lambda z: (1 + np.tanh(z / 2)) / 2}, dtype=dtype).passed
    assert not check({"sigmoid": naive}, dtype="float16").passed  # it overflows, and returns 0 for 1e-5


@pytest.mark.spec("RND-N1", "RND-N2")
@pytest.mark.parametrize("dtype", ["float64", "float32", "float16", "bfloat16"])
def test_every_bound_has_power(dtype: str) -> None:
    """No bound is so wide that zeros would pass for many elements of an answer.

    But for the far tail of sigmoid_prime, which a·(1 − a) loses and may lose.
    """
    for function in ("conv_forward", "conv_backward", "dense_forward", "dense_backward", "sigmoid"):
        for case in cases(function, dtype=dtype, tiers=("rounding",)):
            for output, (value, bound) in case.expected.items():
                assert (np.abs(value) > bound)[value != 0].mean() > 0.9, f"{case}: {output}"


@pytest.mark.spec("ORC-N5")
def test_a_bound_as_wide_as_the_numbers_says_nothing() -> None:
    """Sums of 4000 terms in bfloat16: any number would pass, were it not for the exact tier."""
    text = "x=2x4000 w=4000x3"
    wide = check(
        {"dense_forward": lambda x, w: 0 * dense_forward(x, w)}, dtype="bfloat16", accumulate="bfloat16", case=text
    )
    assert wide.results["dense_forward"].verdict == "fail"
    right = check("reference", dtype="bfloat16", accumulate="bfloat16", case=text).results["dense_forward"]
    assert (right.verdict, right.cases, right.uninformative) == ("pass", 1, 1)
    assert "1 cases do not count" in str(check("reference", dtype="bfloat16", accumulate="bfloat16", case=text))
    for dtype in ("float64", "float32", "float16", "bfloat16"):
        assert all(c.informative for c in cases("conv_forward", dtype=dtype))


@pytest.mark.spec("ORC-N5")
def test_nothing_but_cases_that_say_nothing_is_no_verdict() -> None:
    report = check("reference", dtype="bfloat16", functions=["softmax"], case="z=1x400")
    assert report.results["softmax"].verdict == "missing"
    assert not report.passed
    assert json.loads(report.to_json())["results"]["softmax"]["uninformative"] == 1
