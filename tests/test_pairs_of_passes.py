"""A backward beside its own forward, step by step: what both are asked, and what is made of the answers."""

from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from strategies import Array

import reference_cnn
from reference_cnn import dense_forward, relu, squared_error
from reference_cnn.oracle import Case
from reference_cnn.oracle.call import PROFILES, numpy_draw
from reference_cnn.oracle.cases import cases
from reference_cnn.oracle.consistency import (
    FORWARD,
    LARGE,
    Found,
    Pair,
    UntoldError,
    _asked,
    _differ,
    _is,
    _judged,
    _told,
    _where,
    compared,
)
from reference_cnn.oracle.judge import Failure, Kind
from reference_cnn.oracle.layers import LAYERS
from reference_cnn.oracle.notation import read
from reference_cnn.oracle.report import Result
from reference_cnn.oracle.shapes import more_calls
from reference_cnn.oracle.targets.ask import UnansweredError

pytestmark = pytest.mark.spec("ORC-D13")

Function = Callable[..., Any]


def pair(text: str, function: str, *, exact: bool = True, bias: bool = False, **given: Any) -> Pair:
    """The reference's passes on a case, or others."""
    case_fields = {k: v for k, v in given.items() if k in ("tier", "dtype", "seed", "accept")}
    case = Case(function, read(text), **case_fields)
    forward = given.get("forward", getattr(reference_cnn, FORWARD[function]))
    return Pair(case, forward, given.get("backward", getattr(reference_cnn, function)), exact, bias)


DENSE = pair("x=2x3 w=3x2", "dense_backward")


def test_arguments_are_those_of_the_forward_with_a_bias_if_it_takes_one() -> None:
    assert list(DENSE.arrays) == ["x", "w"]
    wide = pair("x=2x3 w=3x7", "dense_backward", bias=True)
    np.testing.assert_array_equal(wide.arrays["b"], [-2, -1, 0, 1, 2, -2, -1])
    assert list(pair("z=4", "relu_prime", bias=True).arrays) == ["z"]
    softmax = pair("a=2x3", "softmax_backward", exact=False, tier="rounding")
    np.testing.assert_array_equal(softmax.arrays["z"], 4 * softmax.case.arguments["a"])
    turned = pair("x=2x3 w=3x4", "dense_backward", bias=True, accept=("transposed-weights",))
    assert turned.arrays["b"].shape == (4,)


@pytest.mark.parametrize(("dtype", "reach"), [("float64", 99), ("float32", 99), ("float16", 1), ("bfloat16", 1)])
def test_where_a_function_bends_whole_numbers_lie_farther_apart_than_they_are_moved(dtype: str, reach: int) -> None:
    gate = pair("z=30", "relu_prime", dtype=dtype)
    given = gate.case.arguments["z"].astype(float)
    assert gate.reach == reach
    assert (given == 0).any()
    np.testing.assert_array_equal(gate.arrays["z"].astype(float), 4 * reach * np.where(given == 0, 1, given))
    pooled = pair("x=1x1x4 window=2", "max_pool_backward", dtype=dtype)
    np.testing.assert_array_equal(
        pooled.arrays["x"].astype(float), 4 * reach * pooled.case.arguments["x"].astype(float)
    )
    for other in (replace(gate, exact=False), replace(DENSE, case=replace(DENSE.case, dtype=dtype))):
        for name, array in other.arrays.items():
            np.testing.assert_array_equal(array.astype(float), other.case.arguments[name].astype(float))


def test_variables_are_whole_where_it_is_exact_and_not_what_is_given() -> None:
    assert {a.dtype for a in DENSE.variables.values()} == {np.dtype("int64")}
    assert {a.dtype for a in replace(DENSE, exact=False).variables.values()} == {np.dtype("float64")}
    assert list(pair("o=2x3", "squared_error_prime").variables) == ["o"]
    logits = pair("z=2x3", "cross_entropy_prime", exact=False, tier="rounding", dtype="float32")
    assert list(logits.variables) == ["z"]
    assert logits.variables["z"].dtype == np.float64


def test_the_forward_is_asked_in_the_dtype_and_answers_in_fractions() -> None:
    given: list[Any] = []

    def forward(*arrays: Array, **options: Any) -> Array:
        given.extend(arrays)
        return dense_forward(*arrays) / 4

    asked = pair("x=2x3 w=3x2", "dense_backward", dtype="float32", bias=True, forward=forward)
    answer = asked.output(asked.variables)
    assert [a.dtype for a in given] == [np.dtype("float32")] * 3
    assert isinstance(answer[0, 0], Fraction)
    assert answer.shape == (2, 2)
    np.testing.assert_array_equal(4 * answer, dense_forward(*given))
    floats = replace(asked, exact=False).output(asked.variables)
    assert floats.dtype == np.float32
    logits = pair("z=2x3", "cross_entropy_prime", exact=False, tier="rounding", dtype="float32", forward=forward)
    given.clear()
    with pytest.raises(UntoldError):  # a dense layer has no labels
        logits.output(logits.variables)
    assert [a.dtype for a in given] == [np.dtype("float32"), logits.case.arguments["labels"].dtype]
    empty = pair("x=0x3 w=3x2", "dense_backward")
    assert empty.output(empty.variables).shape == (0, 2)


@pytest.mark.parametrize(
    ("answer", "told"),
    [(1 / 2**16, True), (1 / 2**17, False), (1 / 3, False), (np.nan, False), (np.inf, False), (1j, False)],
)
def test_an_answer_that_has_been_rounded_or_is_no_number_tells_nothing(answer: Any, told: bool) -> None:
    asked = replace(DENSE, forward=lambda x, w: np.full((2, 2), answer))
    if told:
        assert (asked.output(asked.variables) == Fraction(1, 2**16)).all()
        return
    with pytest.raises(UntoldError):
        asked.output(asked.variables)
    if not isinstance(answer, complex) and np.isfinite(answer):
        assert replace(asked, exact=False).output(asked.variables).shape == (2, 2)


def test_an_exception_tells_nothing_and_a_dead_process_ends_it() -> None:
    def raising(error: Exception) -> Function:
        def raises(*arrays: Any) -> Any:
            raise error

        return raises

    for error in (ValueError("no"), RuntimeError("no")):
        with pytest.raises(UntoldError):
            replace(DENSE, forward=raising(error)).output(DENSE.variables)
    outcome: Any
    for outcome in ("crash", "hang", "not asked"):
        dead = replace(DENSE, forward=raising(UnansweredError(outcome, "it died")))
        with pytest.raises(UnansweredError, match="it died") as raised:
            dead.output(DENSE.variables)
        assert raised.value.outcome == outcome


def test_gradients_are_asked_without_the_bias_and_have_the_shapes_of_the_variables() -> None:
    asked: list[tuple[Array, ...]] = []

    def backward(*arrays: Array) -> Any:
        asked.append(arrays)
        return reference_cnn.dense_backward(*arrays)

    given = pair("x=2x3 w=3x2", "dense_backward", bias=True, backward=backward)
    upstream = np.array([[1, 2], [3, 4]])
    gradients = given.gradients(upstream, given.variables)
    assert list(gradients) == ["x", "w", "b"]
    assert len(asked[0]) == 3
    np.testing.assert_array_equal(asked[0][0], upstream)
    np.testing.assert_array_equal(gradients["b"], [4, 6])
    without: Function = lambda dz, x, w: (None, x.T @ dz, dz.sum(axis=0))  # noqa: E731  # as short as it is
    assert replace(given, backward=without).gradients(upstream, given.variables)["x"] is None
    for wrong in (lambda dz, x, w: (dz @ w.T, x.T @ dz, np.zeros(5)), lambda dz, x, w: (dz @ w.T, dz, dz[0])):
        with pytest.raises(UntoldError):
            replace(given, backward=wrong).gradients(upstream, given.variables)


def test_a_derivative_of_one_variable_is_that_times_what_comes_from_above() -> None:
    gate = pair("z=5", "relu_prime")
    z = gate.variables["z"]
    upstream = np.arange(5)
    np.testing.assert_array_equal(gate.gradients(upstream, {"z": z})["z"], upstream * (z > 0))
    none = replace(gate, backward=lambda z: None)
    with pytest.raises(UntoldError):
        none.gradients(upstream, {"z": z})
    softmax = pair("a=2x3", "softmax_backward", exact=False, tier="rounding")
    variables = softmax.variables
    a = reference_cnn.softmax(variables["z"])
    da = softmax._upstream(a)
    dz = softmax.gradients(da, variables)["z"]
    assert dz is not None
    np.testing.assert_allclose(dz, reference_cnn.softmax_backward(da, a), rtol=1e-12)


def test_what_comes_from_above_is_the_cases_own_or_1_of_a_loss_or_whole_numbers() -> None:
    own = DENSE._upstream(np.zeros((2, 2)))
    np.testing.assert_array_equal(own, DENSE.case.arguments["dz"])
    assert own.dtype == np.int64
    loss = pair("o=2x3", "squared_error_prime")
    assert loss._upstream(np.zeros(())) == 1
    assert replace(loss, exact=False)._upstream(np.zeros(())).dtype == np.float64
    gate = pair("z=9", "relu_prime")
    np.testing.assert_array_equal(gate._upstream(np.zeros((2, 5))), [[1, 2, 3, 4, 5], [6, 7, 1, 2, 3]])
    with pytest.raises(UntoldError):
        DENSE._upstream(np.zeros((2, 3)))
    with pytest.raises(UntoldError):
        DENSE._upstream(np.zeros(()))


def test_lines_go_one_way_for_each_variable_and_no_farther_than_it_is_allowed() -> None:
    moved: dict[str, list[Array]] = {"x": [], "w": []}

    def watched(asked: Pair) -> Pair:
        start = asked.arrays

        def forward(x: Array, w: Array) -> Array:
            for name, a in (("x", x), ("w", w)):
                moved[name].append(a.astype(float) - start[name].astype(float))
            return dense_forward(x, w)

        return replace(asked, forward=forward)

    narrow = pair("x=2x3 w=3x2", "dense_backward", dtype="bfloat16")
    for asked, farthest in ((DENSE, 2 * 99), (replace(DENSE, exact=False), 1.01), (narrow, 2)):
        for steps in moved.values():
            steps.clear()
        check = watched(asked).along_lines()
        assert check.passed
        assert [a.name for a in check.arguments] == ["x", "w"]
        for steps in moved.values():
            assert np.unique(steps).size > 2
            assert np.abs(steps).max() <= farthest
        # Some coordinates one way and some the other, as far as the draw has it.
        assert any(step.min() < 0 < step.max() for step in moved["x"])
        again = {name: list(steps) for name, steps in moved.items()}
        for steps in moved.values():
            steps.clear()
        watched(asked).along_lines()
        np.testing.assert_equal(moved, again)
    wrong = replace(DENSE, backward=lambda dz, x, w: (dz @ w.T, 2 * x.T @ dz, dz.sum(axis=0)))
    assert [a.verdict for a in wrong.along_lines().arguments] == ["right", "wrong"]
    partly = replace(DENSE, backward=lambda dz, x, w: (None, x.T @ dz, None))
    assert partly.along_lines().verdict == "right"
    assert [a.verdict for a in wrong.everywhere().arguments] == ["right", "wrong"]


def test_what_divides_by_three_is_told_in_float64_by_differences_and_not_otherwise() -> None:
    third: dict[str, Any] = {
        "forward": lambda x, w: dense_forward(x, w) / 3,
        "backward": lambda dz, x, w: [g / 3 for g in reference_cnn.dense_backward(dz, x, w)],
    }
    found = pair("x=2x3 w=3x2", "dense_backward", **third).found()
    assert found is not None
    assert (found.pair.exact, found.check.passed, found.forward_wrong, found.backward_wrong) == (
        False, True, True, True,
    )  # fmt: skip
    assert pair("x=2x3 w=3x2", "dense_backward", dtype="float32", **third).found() is None
    # At 0 a rectifier has no derivative to compare with.
    kink = pair("z=30", "relu_prime", exact=False)
    assert (kink.variables["z"] == 0).any()
    assert kink.found() is None
    right = DENSE.found()
    assert right is not None
    assert (right.pair.exact, right.forward_wrong, right.backward_wrong) == (True, False, False)
    only_dw = replace(DENSE, backward=lambda dz, x, w: (None, 2 * x.T @ dz, None)).found()
    assert only_dw is not None
    assert (only_dw.check.verdict, only_dw.forward_wrong, only_dw.backward_wrong) == ("wrong", False, True)
    none_wrong = replace(DENSE, backward=lambda dz, x, w: (None, x.T @ dz, None)).found()
    assert none_wrong is not None
    assert not none_wrong.backward_wrong


def test_what_answers_differently_when_it_is_asked_again_ends_it() -> None:
    count = iter(range(99))
    restless = replace(DENSE, backward=lambda dz, x, w: (dz @ w.T, x.T @ dz * (1 + (next(count) > 0)), dz.sum(axis=0)))
    with pytest.raises(UnansweredError, match=r"^it answers the same question differently$") as raised:
        restless._wrong()
    assert raised.value.outcome == "failed"


def test_numbers_must_be_exact_however_they_are_moved() -> None:
    """In bfloat16, whole up to 256, of which half are allowed: 128 of sums, each number moved by 2 at most."""
    for size, fits in ((1, True), (9, False)):
        small = pair(f"x=1x{size} w={size}x1", "dense_backward", dtype="bfloat16")
        numbers = {n: np.abs(a.astype(float)) + 2 for n, a in small.arrays.items()}
        assert float((numbers["x"] @ numbers["w"]).max() <= 128) == fits
        assert small.fits is fits
        assert replace(small, exact=False).fits
    limit = [c for c in range(1, 9) if pair(f"x=1x{c} w={c}x1", "dense_backward", dtype="bfloat16").fits]
    assert limit == [
        c for c in range(1, 9)
        for numbers in [{n: np.abs(a.astype(float)) + 2
                         for n, a in pair(f"x=1x{c} w={c}x1", "dense_backward", dtype="bfloat16").arrays.items()}]
        if float((numbers["x"] @ numbers["w"]).max()) <= 128
    ]  # fmt: skip
    assert DENSE.fits
    assert not pair("x=1x300 w=300x1", "dense_backward", dtype="float32").fits  # moved by 198, 5 + 198 is 203
    # What is given is not moved.
    loss = pair("o=1", "squared_error_prime", dtype="bfloat16")
    o, y = (a.astype(float) for a in loss.arrays.values())
    assert loss.fits == (float((np.abs(o) + 2 + np.abs(y)).sum() ** 2 / 2) <= 128)


def failed(kind: Kind, function: str = "dense_backward", text: str = "x=2x3 w=3x2", **fields: Any) -> Result:
    case = Case(function, read(text), **fields)
    failure = Failure(case, kind, "it is wrong", LAYERS[function].clauses[0], LAYERS[function].outputs[0])
    return Result("fail", failure=failure)


DOUBLED: dict[str, Function] = {
    "dense_forward": lambda x, w, b=0: 2 * x @ w + b,
    "dense_backward": lambda dz, x, w: (2 * dz @ w.T, 2 * x.T @ dz, dz.sum(axis=0)),
}
RIGHT = Result("pass")


@pytest.mark.parametrize(("kind", "told"), [
    ("values", True), ("shape", True), ("dtype", False), ("purity", False), ("exception", False), ("crash", False),
])  # fmt: skip
def test_wrong_numbers_and_shapes_are_compared_and_nothing_else(kind: Kind, told: bool) -> None:
    result = compared({"dense_backward": failed(kind), "dense_forward": RIGHT}, {
        **DOUBLED, "dense_forward": dense_forward,
    })["dense_backward"]  # fmt: skip
    assert result.failure is not None
    assert result.failure.consistent is (False if told else None)


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


def test_they_belong_together_where_both_are_seen_to_be_wrong() -> None:
    """A forward that adds 1 has the right derivative: whatever was wrong with the backward, this is not why."""
    result, check = failed("values"), DENSE.along_lines()
    assert result.failure is not None
    one, other = (True, False), (False, True)
    for seen, told in (([(True, True)], True), ([one, other], True), ([one], None), ([other], None), ([], None)):
        found = [Found(DENSE, check, *wrong) for wrong in seen]
        assert _judged(result.failure, RIGHT, found).consistent is told


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


def test_what_is_exact_backward_only_is_asked_as_a_smooth_function() -> None:
    result = failed("values", "softmax_backward", "a=2x3")
    assert result.failure is not None
    asked = _asked(result.failure, RIGHT)
    assert asked
    assert all((exact, c.tier) == (False, "rounding") for c, exact in asked)


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


@pytest.mark.parametrize(("off", "differ"), [
    (np.array([0.0, 0]), False), (np.array([0, 0.9e-6]), False), (np.array([0, 1.1e-6]), True),
    (np.array([0.9e-9, 0]), False), (np.array([1.1e-9, 0]), True), (np.zeros((2, 2)), True),
])  # fmt: skip
def test_answers_differ_by_more_than_narrow_arithmetic_explains(off: Array, differ: bool) -> None:
    right = np.array([0.0, 1])
    assert _differ(right + off, right) is differ


def test_the_reference_belongs_together_in_every_family() -> None:
    for backward, forward in FORWARD.items():
        smooth = forward in ("sigmoid", "softmax", "cross_entropy")
        text = {"conv": "x=1x2x4 w=3x2x2", "dense": "x=2x3 w=3x2", "pool": "x=1x2x4 window=2"}.get(
            next((f for f in ("conv", "dense", "pool") if f in forward), ""), ""
        ) or {"softmax": "a=2x3", "squared_error": "o=2x3"}.get(forward, "z=2x3")
        tier = "rounding" if smooth else "exact"
        found = pair(text, backward, exact=not smooth, tier=tier, bias="dense" in forward or "conv" in forward).found()
        assert found is not None, backward
        assert (found.check.passed, found.forward_wrong, found.backward_wrong) == (True, False, False), backward
    assert relu(np.ones(1)) == squared_error(np.ones(2), np.zeros(2))
