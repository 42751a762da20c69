"""A backward beside its own forward, step by step: what both are asked, and what is made of the answers."""

from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from strategies import Array

import reference_cnn
from reference_cnn import dense_forward
from reference_cnn.oracle import Case
from reference_cnn.oracle.consistency import FORWARD, Pair, UntoldError, _differ
from reference_cnn.oracle.layers import LAYERS
from reference_cnn.oracle.notation import read
from reference_cnn.oracle.targets.ask import UnansweredError

Function = Callable[..., Any]


def pair(text: str, function: str, *, exact: bool = True, bias: bool = False, **given: Any) -> Pair:
    """The reference's passes on a case, or others."""
    case_fields = {k: v for k, v in given.items() if k in ("tier", "dtype", "seed", "accept")}
    case = Case(function, read(text), **case_fields)
    forward = given.get("forward", getattr(reference_cnn, FORWARD[function]))
    return Pair(case, forward, given.get("backward", getattr(reference_cnn, function)), exact, bias)


DENSE = pair("x=2x3 w=3x2", "dense_backward")


def without_dx(dz: Array, x: Array, w: Array) -> Any:
    return None, x.T @ dz, dz.sum(axis=0)


@pytest.mark.spec("ORC-D13")
def test_arguments_are_those_of_the_forward_with_a_bias_if_it_takes_one() -> None:
    assert list(DENSE.arrays) == ["x", "w"]
    wide = pair("x=2x3 w=3x7", "dense_backward", bias=True)
    np.testing.assert_array_equal(wide.arrays["b"], [-2, -1, 0, 1, 2, -2, -1])
    assert list(pair("z=4", "relu_prime", bias=True).arrays) == ["z"]
    softmax = pair("a=2x3", "softmax_backward", exact=False, tier="rounding")
    np.testing.assert_array_equal(softmax.arrays["z"], 4 * softmax.case.arguments["a"])
    turned = pair("x=2x3 w=3x4", "dense_backward", bias=True, accept=("transposed-weights",))
    assert turned.arrays["b"].shape == (4,)


@pytest.mark.spec("ORC-D13")
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


@pytest.mark.spec("ORC-D13")
def test_variables_are_whole_where_it_is_exact_and_not_what_is_given() -> None:
    assert {a.dtype for a in DENSE.variables.values()} == {np.dtype("int64")}
    assert {a.dtype for a in replace(DENSE, exact=False).variables.values()} == {np.dtype("float64")}
    assert list(pair("o=2x3", "squared_error_prime").variables) == ["o"]
    logits = pair("z=2x3", "cross_entropy_prime", exact=False, tier="rounding", dtype="float32")
    assert list(logits.variables) == ["z"]
    assert logits.variables["z"].dtype == np.float64


@pytest.mark.spec("ORC-D13")
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


@pytest.mark.spec("ORC-D13")
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


@pytest.mark.spec("ORC-D13")
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


@pytest.mark.spec("ORC-D13")
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
    assert replace(given, backward=without_dx).gradients(upstream, given.variables)["x"] is None
    for wrong in (lambda dz, x, w: (dz @ w.T, x.T @ dz, np.zeros(5)), lambda dz, x, w: (dz @ w.T, dz, dz[0])):
        with pytest.raises(UntoldError):
            replace(given, backward=wrong).gradients(upstream, given.variables)


@pytest.mark.spec("ORC-D13")
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


@pytest.mark.spec("ORC-D13")
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


@pytest.mark.spec("ORC-D13")
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


@pytest.mark.spec("ORC-D13")
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


@pytest.mark.spec("ORC-D13")
def test_what_answers_differently_when_it_is_asked_again_ends_it() -> None:
    count = iter(range(99))
    restless = replace(DENSE, backward=lambda dz, x, w: (dz @ w.T, x.T @ dz * (1 + (next(count) > 0)), dz.sum(axis=0)))
    with pytest.raises(UnansweredError, match=r"^it answers the same question differently$") as raised:
        restless._wrong()
    assert raised.value.outcome == "failed"


@pytest.mark.spec("ORC-D13")
def test_numbers_must_be_exact_however_they_are_moved() -> None:
    """In bfloat16, whole up to 256, of which half are allowed: 128 of sums, each number moved by 2 at most."""
    seen = []
    for size in range(1, 10):
        small = pair(f"x=1x{size} w={size}x1", "dense_backward", dtype="bfloat16")
        x, w = (np.abs(a.astype(float)) + 2 for a in small.arrays.values())
        assert small.fits == bool((x @ w <= 128).all())
        assert replace(small, exact=False).fits
        seen.append(small.fits)
    assert set(seen) == {True, False}
    assert DENSE.fits
    assert not pair("x=1x300 w=300x1", "dense_backward", dtype="float32").fits  # moved by 198, 5 + 198 is 203
    # What is given is not moved.
    loss = pair("o=1", "squared_error_prime", dtype="bfloat16")
    o, y = (a.astype(float) for a in loss.arrays.values())
    assert loss.fits == (float((np.abs(o) + 2 + np.abs(y)).sum() ** 2 / 2) <= 128)


@pytest.mark.spec("ORC-D13")
@pytest.mark.parametrize(("off", "differ"), [
    (np.array([0.0, 0]), False), (np.array([0, 0.9e-6]), False), (np.array([0, 1.1e-6]), True),
    (np.array([0.9e-9, 0]), False), (np.array([1.1e-9, 0]), True), (np.zeros((2, 2)), True),
])  # fmt: skip
def test_answers_differ_by_more_than_narrow_arithmetic_explains(off: Array, differ: bool) -> None:
    right = np.array([0.0, 1])
    assert _differ(right + off, right) is differ


@pytest.mark.spec("ORC-D13")
@pytest.mark.parametrize(
    ("function", "text", "exact"),
    [
        ("conv_backward", "x=1x2x4 w=3x2x2", True),
        ("dense_backward", "x=2x3 w=3x2", True),
        ("sigmoid_prime", "z=2x3", False),
        ("relu_prime", "z=2x3", True),
        ("max_pool_backward", "x=1x2x4 window=2", True),
        ("avg_pool_backward", "x=1x2x4 window=2", True),
        ("softmax_backward", "a=2x3", False),
        ("squared_error_prime", "o=2x3", True),
        ("cross_entropy_prime", "z=2x3", False),
    ],
)
def test_the_reference_belongs_together(function: str, text: str, exact: bool) -> None:
    found = pair(text, function, exact=exact, tier="exact" if exact else "rounding", bias=True).found()
    assert found is not None
    assert (found.check.passed, found.forward_wrong, found.backward_wrong) == (True, False, False)


@pytest.mark.spec("ORC-D13")
def test_every_derivative_has_a_forward() -> None:
    assert {name for name in LAYERS if name.endswith(("_backward", "_prime"))} == set(FORWARD)
