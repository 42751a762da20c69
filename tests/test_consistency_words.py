"""What is said of a wrong backward beside its own forward, and which cases that rests on."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from strategies import Array
from test_consistency_pairs import DENSE, Function, pair

import reference_cnn
from reference_cnn import dense_forward
from reference_cnn.oracle import Case
from reference_cnn.oracle.call import PROFILES, numpy_draw
from reference_cnn.oracle.cases import cases
from reference_cnn.oracle.consistency import LARGE, Found, _asked, _is, _judged, _told, _where, compared
from reference_cnn.oracle.judge import Failure, Kind
from reference_cnn.oracle.layers import LAYERS
from reference_cnn.oracle.notation import read
from reference_cnn.oracle.report import Result
from reference_cnn.oracle.shapes import more_calls


def failed(kind: Kind, function: str = "dense_backward", text: str = "x=2x3 w=3x2", **fields: Any) -> Result:
    case = Case(function, read(text), **fields)
    failure = Failure(case, kind, "it is wrong", LAYERS[function].clauses[0], LAYERS[function].outputs[0])
    return Result("fail", failure=failure)


DOUBLED: dict[str, Function] = {
    "dense_forward": lambda x, w, b=0: 2 * x @ w + b,
    "dense_backward": lambda dz, x, w: (2 * dz @ w.T, 2 * x.T @ dz, dz.sum(axis=0)),
}
RIGHT = Result("pass")


@pytest.mark.spec("ORC-D13")
@pytest.mark.parametrize(("kind", "told"), [
    ("values", True), ("shape", True), ("dtype", False), ("purity", False), ("exception", False), ("crash", False),
])  # fmt: skip
def test_wrong_numbers_and_shapes_are_compared_and_nothing_else(kind: Kind, told: bool) -> None:
    result = compared({"dense_backward": failed(kind), "dense_forward": RIGHT}, {
        **DOUBLED, "dense_forward": dense_forward,
    })["dense_backward"]  # fmt: skip
    assert result.failure is not None
    assert result.failure.consistent is (False if told else None)


@pytest.mark.spec("ORC-D13")
@pytest.mark.parametrize(("kind", "told"), [
    ("values", True), ("shape", True), ("exception", False), ("crash", False), ("hang", False),
])  # fmt: skip
def test_a_forward_that_fails_to_answer_is_no_witness(kind: Kind, told: bool) -> None:
    other = failed(kind, "dense_forward")
    result = compared({"dense_backward": failed("values"), "dense_forward": other}, DOUBLED)["dense_backward"]
    assert result.failure is not None
    assert result.failure.consistent is (True if told else None)
    assert ("fails to answer" in result.failure.consistency) is not told
    assert compared({"dense_backward": failed("values"), "dense_forward": Result("missing")}, DOUBLED)[
        "dense_backward"
    ] == failed("values")


@pytest.mark.spec("ORC-D13")
def test_a_bias_is_derived_by_where_the_forward_offers_one() -> None:
    """A forward that counts its bias twice: nothing but the bias tells."""
    twice: dict[str, Function] = {**DOUBLED, "dense_forward": lambda x, w, b=0: 2 * x @ w + 2 * b}
    result, seen = failed("values"), []
    assert result.failure is not None
    for offered, verdict in (((), False), (("b",), True)):
        told = _told(result, result.failure, replace(failed("values", "dense_forward"), not_offered=offered), twice)
        seen.append(told.consistent)
        assert told.consistent is verdict
    assert seen == [False, True]


@pytest.mark.spec("ORC-D13")
def test_they_belong_together_where_both_are_seen_to_be_wrong() -> None:
    """A forward that adds 1 has the right derivative: whatever was wrong with the backward, this is not why."""
    result, check = failed("values"), DENSE.along_lines()
    assert result.failure is not None
    one, other = (True, False), (False, True)
    for seen, told in (([(True, True)], True), ([one, other], True), ([one], None), ([other], None), ([], None)):
        found = [Found(DENSE, check, *wrong) for wrong in seen]
        assert _judged(result.failure, RIGHT, found).consistent is told


@pytest.mark.spec("ORC-D13")
def test_what_is_wrong_is_named_as_what_it_is() -> None:
    def named(*ids: str) -> Result:
        result = failed("values", "conv_forward", "x=1x1x3 w=1x1x2")
        assert result.failure is not None
        return replace(result, failure=replace(result.failure, diagnosis=ids))

    assert _is(RIGHT) == "is wrong itself"
    assert _is(named()) == "is wrong itself"
    assert _is(named("flipped-kernel")) == "is a true convolution"
    assert _is(named("missing-bias")) == "has missing-bias"
    assert _is(named("flipped-kernel+missing-bias")) == "has flipped-kernel+missing-bias"


@pytest.mark.spec("ORC-D13")
def test_small_cases_are_asked_that_use_what_both_offer() -> None:
    result = failed("values", "conv_backward", "x=1x1x3 w=1x1x2", seed=5, dtype="float32")
    assert result.failure is not None
    case = result.failure.case
    everything = [c for c, _ in _asked(result.failure, RIGHT, RIGHT)]
    assert everything[0] == replace(case, tier="exact")
    assert {(c.dtype, c.seed, c.tier, c.rank) for c in everything} == {("float32", 5, "exact", 1)}
    assert all(c.size <= LARGE and c.call.special is None for c in everything)
    drawn = more_calls("conv_backward", numpy_draw(5, 1, 3), 1, lambda feature: True, PROFILES["quick"])
    standard = cases("conv_backward", dtype="float32", rank=1, seed=5, tiers=("exact", "rounding"))
    possible = dict.fromkeys(c for c in [case.call, *drawn, *(c.call for c in standard)] if c.special is None)
    assert [c.call for c in everything] == [c for c in possible if replace(case, call=c, tier="exact").size <= LARGE]
    for results in ((Result("pass", not_offered=("stride",)), RIGHT), (RIGHT, Result("pass", not_offered=("stride",)))):
        fewer = [c for c, _ in _asked(result.failure, *results)]
        assert 0 < len(fewer) < len(everything)
        assert not any("stride" in c.call.features for c in fewer)
    without_bias = [c for c, _ in _asked(result.failure, Result("pass", not_offered=("b", "no b")))]
    assert without_bias == everything


@pytest.mark.spec("ORC-D13")
@pytest.mark.parametrize(("function", "text", "dtype"), [
    ("relu_prime", "z=3", "float16"), ("max_pool_backward", "x=1x1x4 window=2", "bfloat16"),
])  # fmt: skip
def test_the_standard_calls_are_those_of_the_dtype(function: str, text: str, dtype: str) -> None:
    result = failed("values", function, text, dtype=dtype)
    assert result.failure is not None
    asked = [c.call for c, _ in _asked(result.failure, RIGHT)]
    standard = cases(function, dtype=dtype, rank=result.failure.case.rank, tiers=("exact",))
    small = [c.call for c in standard if c.size <= LARGE]
    assert set(small) <= set(asked)


@pytest.mark.spec("ORC-D13")
def test_what_is_exact_backward_only_is_asked_as_a_smooth_function() -> None:
    result = failed("values", "softmax_backward", "a=2x3")
    assert result.failure is not None
    asked = _asked(result.failure, RIGHT)
    assert asked
    assert all((exact, c.tier) == (False, "rounding") for c, exact in asked)


@pytest.mark.spec("ORC-D13")
def test_smooth_functions_are_asked_a_few_small_cases_in_float64_only() -> None:
    tier: Any
    for dtype, tier, text, count in (
        ("float64", "rounding", "z=3", 4), ("float32", "rounding", "z=3", 0), ("float64", "special", "z=3 nan=z", 4),
    ):  # fmt: skip
        result = failed("values", "sigmoid_prime", text, dtype=dtype, tier=tier)
        assert result.failure is not None
        asked = _asked(result.failure, RIGHT)
        assert len(asked) == count
        assert all(not exact and c.tier == "rounding" and c.size <= 30 and c.call.scale <= 4 for c, exact in asked)


@pytest.mark.spec("ORC-D13")
def test_where_it_is_wrong_is_said_of_the_smallest_case_that_is_not_tiny() -> None:
    def doubled(dz: Array, x: Array, w: Array) -> Any:
        return dz @ w.T, 2 * x.T @ dz, dz.sum(axis=0)

    small, fair, larger, large = (
        pair(text, "dense_backward", backward=doubled)
        for text in ("x=2x3 w=3x2", "x=4x3 w=3x5", "x=5x4 w=4x5", "x=9x9 w=9x9")
    )
    said = "in x=4x3 w=3x5, dw: every entry is 2 times what it should be"
    assert _where([small, larger, fair, large]) == said
    assert _where([small]).startswith("in x=2x3 w=3x2, dw: ")
    assert _where([large]) == "dw is wrong"

    def one_off(z: Array) -> Array:
        a = reference_cnn.relu_prime(z)
        a[-1] += 1
        return a

    gate = pair("z=50", "relu_prime", backward=one_off)
    assert (gate.arrays["z"] < 0).any()
    assert _where([gate]).startswith("in z=50, a_prime: 1 of 50 entries is wrong")
    # What is off by no more than rounding has no place.
    eps = np.finfo(float).eps
    rough = replace(DENSE, backward=lambda dz, x, w: (dz @ w.T, x.T @ dz * (1 + 6 * eps), dz.sum(axis=0)))
    assert rough.everywhere().verdict == "wrong"
    assert _where([rough]) == "dw is wrong"
    # What is right now tells no place.
    assert _where([DENSE]) == "in x=2x3 w=3x2"
    calls = iter(range(99))
    late = replace(DENSE, backward=lambda dz, x, w: (dz @ w.T, (1 + (next(calls) > 0)) * x.T @ dz, dz.sum(axis=0)))
    assert _where([late]) == "dw is wrong"
