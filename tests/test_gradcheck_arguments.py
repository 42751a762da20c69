"""What the gradient check is given, and what backward may return."""

from collections.abc import Callable
from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np
import pytest
from strategies import Array

from reference_cnn import (
    check_gradient,
    cross_entropy,
    cross_entropy_prime,
    dense_backward,
    dense_forward,
)
from reference_cnn.oracle import check

X = np.random.default_rng(0).standard_normal((2, 2, 3, 3))


@pytest.mark.spec("ORC-D4", "GRAD-C2")
def test_a_named_tuple_is_read_by_its_names() -> None:
    class Gradients(NamedTuple):
        db: Array
        dx: Array
        dw: Array

    def backward(dz: Array, x: Array, w: Array) -> Gradients:
        dx, dw, db = dense_backward(dz, x, w)
        return Gradients(db, dx, dw)

    class WithoutInput(NamedTuple):
        dw: Array
        db: Array

    class WithLoss(NamedTuple):
        loss: float
        dx: Array
        dw: Array
        db: Array

    class ByPlace(NamedTuple):
        x: Array
        dw: Array
        b: Array

    assert check({"dense_backward": backward}).passed
    without = check({"dense_backward": lambda *a: WithoutInput(*dense_backward(*a)[1:])})
    assert (without.passed, without.results["dense_backward"].not_offered) == (True, ("dx",))
    for found in (lambda *a: WithLoss(3, *dense_backward(*a)), lambda *a: ByPlace(*dense_backward(*a))):
        report = check({"dense_backward": found})
        assert (report.passed, report.results["dense_backward"].not_offered) == (True, ())
    assert check_gradient(dense_forward, backward, [np.ones((2, 3)), np.ones((3, 2)), np.ones(2)]).passed


@pytest.mark.spec("GRAD-C2")
def test_gradients_come_in_any_container() -> None:
    x, w, b = np.array([[1.0, 2.0]]), np.array([[3.0], [4.0]]), np.array([5.0])
    containers: list[Callable[..., Any]] = [
        dense_backward,
        lambda dz, x, w: tuple(dense_backward(dz, x, w)),
        lambda dz, x, w: list(dense_backward(dz, x, w)),
        lambda dz, x, w: dense_backward(dz, x, w)._asdict(),
    ]
    for function in containers:
        assert len(check_gradient(dense_forward, function, (x, w, b), names=["x", "w", "b"]).arguments) == 3
    only_dw = check_gradient(dense_forward, lambda dz, x, w: {"dw": dense_backward(dz, x, w).dw}, (x, w, b))
    assert [a.name for a in only_dw.arguments] == ["w"]
    without_b = check_gradient(dense_forward, dense_backward, (x, w, None))
    assert [a.name for a in without_b.arguments] == ["x", "w"]


@pytest.mark.spec("GRAD-C2")
def test_a_misspelt_gradient_is_an_error() -> None:
    with pytest.raises(ValueError, match=r"backward returned 'dW', expected dx, dw, db \[GRAD-C2\]"):
        check_gradient(
            dense_forward, lambda dz, x, w: {"dx": x, "dW": w}, (np.ones((2, 3)), np.ones((3, 2)), np.ones(2))
        )


def silent(z: Array) -> Array:
    """Zeros as integers, whatever is asked."""
    return np.zeros(z.shape, int)


@pytest.mark.spec("GRAD-D1", "GRAD-D2")
def test_the_mode_is_exact_if_and_only_if_all_numbers_are() -> None:
    seen: list[Any] = []

    def spying(result: Callable[[Array], Any]) -> Callable[..., Any]:
        def forward(z: Array, b: Array | None = None) -> Any:
            seen.append(z.dtype)
            return result(z)

        return forward

    whole, fraction = np.array([3, 4]), np.array([Fraction(1, 3), Fraction(2)], object)
    mixed, small = np.array([0.5, 2], object), np.array([3, 4], np.uint8)
    cases: list[tuple[Array, Callable[[Array], Any], str, str]] = [
        (whole, lambda z: 3 * z, "int64", "equal the exact"),
        (small, lambda z: 3 * z, "int64", "equal the exact"),
        (fraction, lambda z: 3 * z, "object", "equal the exact"),
        (mixed, lambda z: 3 * z, "float64", "agree with"),
        (whole, lambda z: 3.0 * z, "float64", "agree with"),
        (small, lambda z: 3.0 * z, "float64", "agree with"),
        (fraction, lambda z: 3.0 * z.astype(float), "float64", "agree with"),
        (whole.astype(np.float16), lambda z: 3 * z, "float32", "agree with"),
        (whole.astype(np.longdouble), lambda z: 3 * z, "longdouble", "agree with"),
    ]
    for z, function, dtype, words in cases:
        for args in ([z], [z, None]):
            seen.clear()
            found = check_gradient(spying(function), lambda dz, z, *b: {"dz": 3 * dz}, args, names=["z", "b"])
            assert found.passed, found
            assert words in str(found)
            assert set(seen[1:]) == {np.dtype(dtype)}
    # Whole numbers that come of floats are no exact ones.
    assert "agrees with" in str(check_gradient(silent, lambda dz, z: 0 * dz, [np.array([0.5])]))


@pytest.mark.spec("GRAD-C1", "GRAD-C2", "ARR-C1")
def test_refusals_name_function_argument_and_clause() -> None:
    def refused(error: type[Exception], message: str, *args: Any, **options: Any) -> None:
        with pytest.raises(error) as caught:
            check_gradient(*args, **options)
        assert str(caught.value) == message

    z = np.array([0.5, 1.0])
    numbers = "must be an array of numbers, has dtype <U1 [ARR-C1]"
    refused(TypeError, f"check_gradient: args[1] {numbers}", dense_forward, dense_backward, (z, "a"))
    refused(TypeError, f"check_gradient: dq {numbers}", np.sin, lambda dz, z: {"dq": "a"}, [z], names=["q"])
    refused(TypeError, f"check_gradient: dz {numbers}", np.sin, lambda dz, z: dz, [z], dz="a")
    shapes = "check_gradient: dz has shape (3,), forward's output (2,) [GRAD-C2]"
    refused(ValueError, shapes, np.sin, lambda dz, z: dz, [z], dz=np.ones(3))
    complex_ = "check_gradient: args[0] is complex; check real and imaginary parts apart [GRAD-C1]"
    refused(TypeError, complex_, np.sin, lambda dz, z: dz, [1j * z])
    nothing = "check_gradient: there is no argument with a gradient to check [GRAD-C2]"
    refused(ValueError, nothing, np.sin, lambda dz, z: None, [z])
    count = "check_gradient: backward returned 1 gradients, expected dx, dw; one gradient per argument"
    pair = (np.ones((1, 2)), np.ones((2, 1)))
    refused(ValueError, f"{count}, so pass the bias too [GRAD-C2]", dense_forward, lambda dz, x, w: [dz], pair,
            names=["x", "w"])  # fmt: skip
    unknown = "check_gradient: backward returned 'dW', expected dx, dw [GRAD-C2]"
    refused(ValueError, unknown, dense_forward, lambda dz, x, w: {"dW": w}, pair, names=["x", "w"])


@pytest.mark.spec("GRAD-C2")
def test_arguments_are_called_as_asked_or_as_forward_calls_them() -> None:
    def names(forward: Callable[..., Any], **options: Any) -> list[str]:
        pair = (np.ones((1, 2)), np.ones((2, 1)))
        found = check_gradient(forward, lambda dz, *a: list(dense_backward(dz, *a)[:2]), pair, **options)
        assert found.passed
        return [a.name for a in found.arguments]

    assert names(lambda p, q: p @ q) == ["p", "q"]
    assert names(lambda p, q, *, option=1: p @ q) == ["p", "q"]
    assert names(lambda p, *rest: p @ rest[0]) == ["p", "1"]
    assert names(lambda p, q, **rest: p @ q) == ["p", "q"]
    assert names(np.matmul) == ["0", "1"] or names(np.matmul) == ["x1", "x2"]
    assert names(lambda p, q: p @ q, names=["u", "v"]) == ["u", "v"]
    assert names(lambda p, q: p @ q, names=["u"]) == ["u", "1"]


@pytest.mark.spec("GRAD-C2")
def test_without_an_upstream_gradient_a_seed_draws_one_without_a_0() -> None:
    def drawn(z: Array, forward: Callable[[Array], Array] = lambda z: 2 * z, **options: Any) -> Array:
        kept: list[Array] = []

        def answer(dz: Array, z: Array) -> Array:
            kept.append(dz)
            return 2 * dz if forward(z).dtype == z.dtype else 0 * dz

        assert check_gradient(forward, answer, [z], **options).passed
        return kept[0]

    floats, whole = drawn(np.ones(400, np.float32)[:40]), drawn(np.ones(400, int))
    assert floats.dtype == np.float32
    assert ((abs(floats) >= 0.5) & (abs(floats) <= 1.5)).all()
    assert floats.min() < -1 < 1 < floats.max()
    assert abs(floats).min() < 1
    assert whole.dtype.kind == "i"
    assert set(whole) == {*range(-5, 0), *range(1, 6)}
    of_whole_numbers = drawn(np.ones(40) / 3, silent)
    assert of_whole_numbers.dtype == np.float64
    assert (abs(of_whole_numbers) >= 0.5).all()
    assert np.array_equal(whole, drawn(np.ones(400, int), seed=0))
    assert not np.array_equal(whole, drawn(np.ones(400, int), seed=1))
    fractions = drawn(np.array([Fraction(1, 3), Fraction(2)], object))
    assert all(isinstance(v, Fraction) for v in fractions)
    assert drawn(np.ones(2), dz=np.array([3.0, -7.0])).tolist() == [3.0, -7.0]


@pytest.mark.spec("GRAD-C2")
def test_functions_that_hide_their_parameters_are_asked_with_all_arguments() -> None:
    class Hidden:
        __signature__ = "none"

        def __call__(self, *arrays: Array) -> Array:
            return np.cos(arrays[1]) * arrays[0] if len(arrays) == 2 else np.sin(arrays[0])

    found = check_gradient(Hidden(), Hidden(), [X[0, 0, 0]])
    assert found.passed
    assert found.arguments[0].name == "0"
    assert check_gradient(np.sin, lambda *arrays: arrays[0] * np.cos(arrays[1]), [X[0, 0, 0]]).passed


@pytest.mark.spec("GRAD-C2")
def test_integers_beside_floats_stay_integers_where_they_have_no_gradient() -> None:
    z, labels = np.array([[0.5, -1.0, 2.0], [3.0, 0.25, 1.0]]), np.array([2, 1])

    def of_labels(dz: Array, z: Array, labels: Array) -> tuple[Array, None]:
        return dz * cross_entropy_prime(z, labels), None

    found = check_gradient(cross_entropy, of_labels, (z, labels))
    assert str(found) == "dz: right: 6 entries agree with the differences"
    wrong = check_gradient(cross_entropy, lambda *a: (2 * of_labels(*a)[0], None), (z, labels))
    assert wrong.verdict == "wrong"
    # Those that have one are numbers.
    whole = np.arange(6).reshape(2, 3)
    assert str(check_gradient(lambda x, y: x * y, lambda dz, x, y: (dz * y, dz * x), (whole, z))) == (
        "dx: right: 6 entries agree with the differences\ndy: right: 6 entries agree with the differences"
    )
    one = check_gradient(lambda x: x * x, lambda dz, x: 2 * dz * x, [np.array([3])])
    assert str(one) == "dx: right: 1 entry equals the exact differences"


@pytest.mark.spec("GRAD-C2")
def test_the_one_gradient_may_be_any_array() -> None:
    class Tensor:
        def __init__(self, array: Array) -> None:
            self.array = array

        def __array__(self, dtype: Any = None, copy: Any = None) -> Array:
            return self.array

    assert check_gradient(np.sin, lambda dz, z: Tensor(dz * np.cos(z)), [np.array([0.5, 2.0])]).passed
    assert not check_gradient(np.sin, lambda dz, z: Tensor(dz * np.sin(z)), [np.array([0.5, 2.0])]).passed


@pytest.mark.spec("GRAD-C1")
def test_objects_may_be_upstream_of_floats() -> None:
    """Of no axes a product with them is a plain number; and a fraction is not multiplied with a longdouble."""
    one = check_gradient(lambda x: x * x, lambda dz, x: 2 * dz * x, [np.array(0.5)], dz=np.array(2, object))
    assert one.verdict == "right"
    third = np.array([Fraction(1, 3), Fraction(-2)])
    assert check_gradient(np.sin, lambda dz, x: dz * np.cos(x), [X[0, 0, 0, :2]], dz=third).verdict == "right"
    assert check_gradient(np.sin, lambda dz, x: -dz * np.cos(x), [X[0, 0, 0, :2]], dz=third).verdict == "wrong"
    undefined = check_gradient(lambda x: x * x, lambda dz, x: x, [np.array(np.nan)], dz=np.array(2.0, object))
    assert undefined.verdict == "unclear"
    with pytest.raises(
        ValueError, match=r"^check_gradient: dz has a number that is too large for float64 \[GRAD-C1\]$"
    ):
        check_gradient(np.sin, lambda dz, x: dz, [X[0, 0, 0, :1]], dz=np.array([10**400]))
    # Whole numbers stay whole, however large.
    whole = check_gradient(lambda x: 3 * x, lambda dz, x: 3 * dz, [np.array([2])], dz=np.array([10**30]))
    assert whole.verdict == "right"
