"""The gradient check itself: fed wrong gradients, right ones, noisy ones, kinks, and what it cannot tell."""

from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import Array, seeds

from reference_cnn import (
    check_gradient,
    conv_backward,
    conv_forward,
    dense_backward,
    dense_forward,
    sigmoid,
    sigmoid_prime,
)
from reference_cnn.gradcheck import ArgumentCheck

OPTIONS: dict[str, Any] = {"padding": ((1, 0), (0, 1)), "stride": (1, 2)}
RNG = np.random.default_rng(0)
X, W, B = RNG.standard_normal((2, 2, 3, 3)), RNG.standard_normal((2, 2, 2, 2)), RNG.standard_normal(2)
INTEGERS = tuple(np.rint(9 * a).astype(int) for a in (X, W, B))

Gradients = Sequence[Array]


def forward(x: Array, w: Array, b: Array) -> Array:
    return conv_forward(x, w, b, **OPTIONS)


def backward(dz: Array, x: Array, w: Array) -> Gradients:
    return conv_backward(dz, x, w, **OPTIONS)


def missing_tap(dz: Array, x: Array, w: Array) -> Gradients:
    dx, dw, db = backward(dz, x, w)
    dw[:, :, 1, 1] = 0
    return dx, dw, db


def other_pad(dz: Array, x: Array, w: Array) -> Gradients:
    return conv_backward(dz, x, w, padding=((0, 1), (0, 1)), stride=(1, 2))


def one_shifted(dz: Array, x: Array, w: Array) -> Gradients:
    dx, dw, db = backward(dz, x, w)
    return np.roll(dx, 1, axis=-1), dw, db


def changed(change: Callable[[Array], Array]) -> Callable[[Array, Array, Array], Gradients]:
    return lambda dz, x, w: [change(g) for g in backward(dz, x, w)]


WRONG: dict[str, tuple[Callable[..., Gradients], str]] = {
    "scaled by 1.001": (changed(lambda g: 1.001 * g), "every entry is 1001/1000 times what it should be"),
    "negated": (changed(lambda g: -g), "every entry has the wrong sign"),
    "zero": (changed(lambda g: 0 * g), "every entry is 0"),
    "transposed": (changed(lambda g: g.swapaxes(-1, -2) if g.ndim > 1 else g), "axis 2 and axis 3 swapped"),
    "flipped": (changed(lambda g: g[..., ::-1]), "flipped along axis"),
    "a missing tap": (
        missing_tap,
        "4 of 16 entries are wrong, all at index 1 (the last) of axis 2 and at index 1 (the last) of axis 3",
    ),
    "another pad": (other_pad, "entries are wrong"),
    "shifted": (one_shifted, "shifted by 1 along axis 3, and round to the other end"),
}


@pytest.mark.spec("GRAD-D1", "GRAD-D2", "GRAD-D4")
@pytest.mark.parametrize("name", WRONG)
@pytest.mark.parametrize("args", [(X, W, B), INTEGERS], ids=["floats", "integers"])
def test_wrong_gradients_are_wrong(name: str, args: Sequence[Array]) -> None:
    wrong, pattern = WRONG[name]
    found = check_gradient(forward, wrong, args)
    assert found.verdict == "wrong"
    assert not found.passed
    assert pattern in str(found)
    worst = next(a for a in found.arguments if a.verdict == "wrong")
    assert worst.index is not None
    assert worst.gradient is not None
    assert worst.derivative is not None
    assert f"at {list(worst.index)} it is" in worst.reason
    assert abs(worst.gradient[worst.index] - worst.derivative[worst.index]) > 1e-4


@pytest.mark.spec("GRAD-D1")
def test_right_gradients_are_right_in_exact_arithmetic() -> None:
    found = check_gradient(forward, backward, INTEGERS)
    assert [a.name for a in found.arguments] == ["x", "w", "b"]
    assert "36 entries equal the exact differences" in str(found)
    for a in found.arguments:
        assert a.error is not None
        assert (a.error == 0).all()
        assert np.array_equal(a.gradient, a.derivative)  # type: ignore[arg-type]  # both are there


@pytest.mark.spec("GRAD-D2")
def test_right_gradients_are_right_in_floats() -> None:
    found = check_gradient(forward, backward, (X, W, B))
    assert found.verdict == "right", found
    assert max(float(a.error.max()) for a in found.arguments if a.error is not None) < 1e-10


SMOOTH: dict[str, tuple[Callable[[Array], Array], Callable[[Array], Array]]] = {
    "sin": (np.sin, np.cos),
    "tanh": (np.tanh, lambda z: 1 - np.tanh(z) ** 2),
    "sigmoid": (sigmoid, sigmoid_prime),
    "square": (np.square, lambda z: 2 * z),
    "exp": (np.exp, np.exp),
    "cube of a sum": (lambda z: (z + 0.3) ** 3, lambda z: 3 * (z + 0.3) ** 2),
    "arctan of ten": (lambda z: np.arctan(10 * z), lambda z: 10 / (1 + 100 * z * z)),
}


@pytest.mark.spec("GRAD-D2", "GRAD-D4")
@given(
    st.sampled_from(sorted(SMOOTH)),
    st.sampled_from([0.01, 1.0, 10.0]),
    st.sampled_from(["float64", "float32", "float16", "bfloat16"]),
    seeds,
)
def test_right_gradients_are_never_called_wrong(name: str, scale: float, dtype: str, seed: int) -> None:
    function, derivative = SMOOTH[name]
    z = (scale * np.random.default_rng(seed).standard_normal(3)).clip(-5, 5).astype(dtype)
    # The gradient is computed in float64, so that it is right however narrow forward is.
    found = check_gradient(function, lambda dz, z: dz * derivative(z.astype(float)), [z], seed=seed)
    assert found.verdict != "wrong", found


@pytest.mark.spec("GRAD-D2", "GRAD-D4")
def test_noise_in_forward_is_measured_not_assumed() -> None:
    z = np.linspace(-1, 1, 9) + 0.05

    def noisy(z: Array) -> Array:
        return np.asarray(np.sin(z) * (1 + 1e-6 * np.sin(1e12 * z)))

    def noisier(z: Array) -> Array:
        return np.asarray(np.sin(z) * (1 + 1e-2 * np.sin(1e12 * z)))

    right = [(noisy, "right"), (noisier, "unclear"), (lambda z: np.sin(z.astype(np.float32)), "right")]
    for function, verdict in right:
        assert check_gradient(function, lambda dz, z: dz * np.cos(z), [z]).verdict == verdict
        assert check_gradient(function, lambda dz, z: -dz * np.cos(z), [z]).verdict == "wrong"
    message = str(check_gradient(noisier, lambda dz, z: dz * np.cos(z), [z]))
    assert "the difference cannot tell" in message


def relu(z: Array) -> Array:
    return np.asarray(np.maximum(z, 0))


@pytest.mark.spec("GRAD-D3", "GRAD-D4")
def test_kinks_are_recognised() -> None:
    z, dz = np.array([-1.0, 0.0, 2.0]), np.ones(3)
    found = check_gradient(relu, lambda dz, z: dz * (z > 0), [z], dz=dz)
    assert str(found) == "dz: unclear: at [1] forward has a kink: its derivative is 0 on one side and 1 on the other"
    assert check_gradient(relu, lambda dz, z: dz * (z >= 0), [z], dz=dz).verdict == "unclear"
    outside = check_gradient(relu, lambda dz, z: dz * np.where(z > 0, 1, np.where(z < 0, 0, 1.5)), [z], dz=dz)
    assert outside.verdict == "wrong"
    assert "at [1] it is 1.5" in str(outside)


@pytest.mark.spec("GRAD-D3")
def test_a_kink_nearby_is_none() -> None:
    z = np.array([1e-3, -1e-4, 1e-5])
    assert check_gradient(relu, lambda dz, z: dz * (z > 0), [z]).verdict == "right"
    assert check_gradient(relu, lambda dz, z: dz * (z < 0), [z]).verdict == "wrong"


@pytest.mark.spec("GRAD-D1")
@pytest.mark.parametrize("function", [relu, lambda z: z**3, np.abs], ids=["relu", "cube", "abs"])
def test_exact_mode_says_where_it_is_not_exact(function: Callable[[Array], Array]) -> None:
    found = check_gradient(function, lambda dz, z: dz, [np.array([0, 1])])
    why = "the difference cannot tell: it is not exact: forward bends more than a parabola; use floats"
    assert str(found).partition(": ")[2] in (f"unclear: at [0] {why}", f"unclear: at [1] {why}")


@pytest.mark.spec("GRAD-D1")
def test_exact_mode_takes_quadratic_functions_and_fractions() -> None:
    z = np.array([Fraction(1, 3), Fraction(-7, 2)], object)
    assert check_gradient(lambda z: z * z, lambda dz, z: 2 * dz * z, [z]).passed
    assert check_gradient(lambda z: z * z, lambda dz, z: 3 * dz * z, [z]).verdict == "wrong"
    third = np.array([Fraction(1, 3), Fraction(5, 7)], object)
    assert check_gradient(lambda z: z * z, lambda dz, z: 2 * dz * z, [z], dz=third).passed


@pytest.mark.spec("GRAD-D1", "GRAD-D4")
def test_in_exact_mode_the_derivative_is_that_of_the_step_1_and_may_not_be_finite() -> None:
    (cube,) = check_gradient(lambda z: z**3, lambda dz, z: dz, [np.array([0])], dz=np.array([1])).arguments
    assert cube.derivative is not None
    assert cube.derivative.tolist() == [1]  # with a step of 2 it would be 4
    for odd in (np.inf, -np.inf, np.nan):
        found = check_gradient(lambda z, odd=odd: np.where(z > 1, odd, z), lambda dz, z: dz, [np.array([Fraction(1)])])
        assert str(found) == "dz: unclear: at [0] the difference cannot tell: it is not finite"


@pytest.mark.spec("GRAD-D2", "GRAD-D4")
def test_outside_the_domain_it_cannot_tell() -> None:
    found = check_gradient(np.log, lambda dz, z: dz / z, [np.array([1.0, -1.0])])
    assert found.verdict == "unclear"
    assert str(found).partition(": ")[2] == "unclear: at [0] the difference cannot tell: it is not finite"
    assert check_gradient(np.log, lambda dz, z: dz / z, [np.array([1.0, 0.01])]).passed  # steps outside are left out


@pytest.mark.spec("GRAD-D4")
def test_eight_units_in_the_last_place_are_rounding_and_nine_are_not() -> None:
    for units, verdict in ((8, "right"), (9, "wrong")):
        narrow = np.array([1 + units * 2.0**-23], np.float32)
        assert check_gradient(lambda z: z, lambda dz, z, g=narrow: g, [np.ones(1)], dz=np.ones(1)).verdict == verdict
    found = check_gradient(np.sin, lambda dz, z: -0.0 * dz, [np.ones(1)], dz=np.ones(1))
    assert str(found).partition(": ")[2].startswith("wrong: at [0] it is 0, the difference is 0.5403")


@pytest.mark.spec("GRAD-D4")
def test_what_is_not_known_is_no_measure_of_what_is() -> None:
    def forward(z: Array) -> Array:
        alone = 0 if z[1] == -1 else np.nan
        return 1e-6 * np.array([np.sin(z[0]) * (1 + 1e-2 * np.sin(1e12 * z[0])), alone])

    found = check_gradient(forward, lambda dz, z: 1e-6 * dz * np.array([np.cos(z[0]), 1]), [np.array([0.5, -1])])
    assert str(found).startswith("dz: unclear: at [0] the difference cannot tell: it is ")


@pytest.mark.spec("GRAD-D4")
def test_nan_gradients_and_wrong_shapes_are_wrong() -> None:
    assert check_gradient(np.sin, lambda dz, z: dz * np.nan, [X]).verdict == "wrong"
    found = check_gradient(forward, lambda dz, x, w: [g.ravel() for g in backward(dz, x, w)], (X, W, B))
    assert "it has shape (36,), its argument (2, 2, 3, 3)" in str(found)


@pytest.mark.spec("GRAD-D2")
def test_a_forward_that_writes_into_its_argument_does_no_harm() -> None:
    def careless(z: Array) -> Array:
        np.sin(z, out=z)
        return z

    z = np.array([0.3, -2.0])
    assert check_gradient(careless, lambda dz, z: dz * np.cos(z), [z]).passed
    assert z.tolist() == [0.3, -2.0]


@pytest.mark.spec("GRAD-D4")
def test_derivatives_that_are_all_0_are_right() -> None:
    z = np.array([-1.0, -2.0])
    assert check_gradient(relu, lambda dz, z: 0 * z, [z]).passed
    assert check_gradient(relu, lambda dz, z: 0 * z + 1e-3, [z]).verdict == "wrong"
    assert check_gradient(lambda x, y: x, lambda dz, x, y: [dz, 0 * y], [z, z]).passed


@pytest.mark.spec("GRAD-D1")
def test_exact_mode_forgives_nothing() -> None:
    z = np.array([3, 4])
    assert check_gradient(np.square, lambda dz, z: 2 * dz * z, [z]).passed
    assert check_gradient(np.square, lambda dz, z: 2 * dz * z * (1 + 1e-15), [z]).verdict == "wrong"


@pytest.mark.spec("GRAD-C2", "GRAD-D4")
def test_odd_answers() -> None:
    empty = check_gradient(dense_forward, dense_backward, (np.zeros((0, 2)), np.ones((2, 1)), np.ones(1)))
    assert empty.passed
    assert check_gradient(np.sin, lambda dz, z: dz * np.cos(z) + 1j, [X]).verdict == "wrong"
    assert check_gradient(np.sin, lambda dz, z: dz * np.cos(z) * 1e300, [X]).verdict == "wrong"

    def with_an_option(dz: Array, x: Array, w: Array, scale: float = 1.0) -> Gradients:
        return [scale * g for g in backward(dz, x, w)]

    assert check_gradient(forward, with_an_option, (X, W, B)).passed


STEEP: dict[str, tuple[Callable[[Array], Array], Callable[[Array], Array], Array]] = {
    "saturated": (sigmoid, sigmoid_prime, np.array([40.0])),
    "saturated tanh": (np.tanh, lambda z: 1 / np.cosh(z) ** 2, np.array([15.0])),
    "flat in float32": (np.cos, lambda z: -np.sin(z), np.array([1e-3], np.float32)),
    "a large constant": (lambda z: np.float32(1000) + z * z, lambda z: 2 * z, np.array([1e-3], np.float32)),
    "tiny": (np.square, lambda z: 2 * z, np.array([3e-31, -2e-30])),
    "steep": (lambda z: sigmoid(1e6 * z), lambda z: 1e6 * sigmoid_prime(1e6 * z), np.array([1e-6])),
    "fast": (lambda z: np.sin(1e6 * z), lambda z: 1e6 * np.cos(1e6 * z), np.array([0.3, 2.0])),
    "nearly singular": (np.cbrt, lambda z: 1 / (3 * np.cbrt(z) ** 2), np.array([1e-7])),
    "far out": (np.sin, np.cos, np.array([3e7, -2e8])),
    "nearly out of the domain": (np.log, lambda z: 1 / z, np.array([1e-9])),
    "a kink close by": (lambda z: np.maximum(z, 0), lambda z: (z > 0) * 1.0, np.array([1e-6])),
}


@pytest.mark.spec("GRAD-D2", "GRAD-D4")
@pytest.mark.parametrize("name", STEEP)
def test_hard_places_are_never_called_wrong_when_right_nor_right_when_wrong(name: str) -> None:
    function, derivative, z = STEEP[name]
    right = check_gradient(function, lambda dz, z: dz * derivative(z.astype(float)), [z])
    assert right.verdict != "wrong", right
    doubled = check_gradient(function, lambda dz, z: 2 * dz * derivative(z.astype(float)), [z])
    assert doubled.verdict != "right", doubled


@pytest.mark.spec("GRAD-D4")
def test_infinite_gradients_are_wrong() -> None:
    for z in (np.array([1.0, 2.0]), np.array([1, 2])):
        found = check_gradient(np.square, lambda dz, z: dz * np.array([2.0 * z[0], np.inf]), [z])
        assert found.verdict == "wrong"
        assert found.arguments[0].index == (1,)


@pytest.mark.spec("GRAD-D1")
def test_exact_answers_are_shown_exactly() -> None:
    z = np.array([Fraction(1, 3)])
    found = check_gradient(np.square, lambda dz, z: 2 * dz * z + Fraction(1, 10**30), [z])
    assert "the difference is exactly" in str(found)
    assert "00000000000000" in str(found)
    floats = np.array([0.1, 0.7], object)
    assert check_gradient(lambda z: z * z, lambda dz, z: 2 * dz * z, [floats]).passed


@pytest.mark.spec("GRAD-D4", "GRAD-C2")
def test_each_argument_has_its_own_verdict_with_its_numbers() -> None:
    x, y, t = np.array([1.0]), np.array([2.0, 3.0]), np.array([4.0])

    def answer(dz: Array, x: Array, e: Array, y: Array, c: Array, t: Array) -> Gradients:
        return [np.zeros((1, 1)), np.zeros(0), dz.sum() * np.ones(2), dz.sum() + 1j * np.ones(1), -dz]

    found = check_gradient(
        lambda x, e, y, c, t: x + y.sum() + c + t, answer, (x, np.zeros(0), y, x, t), dz=np.ones(1), names="xeyct"
    )
    shape, empty, right, compl, wrong = found.arguments
    assert (shape.name, shape.verdict, shape.index) == ("x", "wrong", None)
    bare = ArgumentCheck("x", "right", "")
    assert (bare.index, bare.gradient, bare.derivative, bare.error) == (None, None, None, None)
    assert shape.reason == "it has shape (1, 1), its argument (1,)"
    assert (empty.name, empty.verdict, empty.reason, empty.index) == ("e", "right", "there is no entry", None)
    assert (right.name, right.verdict, right.index) == ("y", "right", None)
    assert right.reason == "2 entries agree with the differences"
    assert (compl.name, compl.verdict, compl.index) == ("c", "wrong", None)
    assert compl.reason == "it is complex, its argument is not"
    assert (wrong.name, wrong.verdict, wrong.index) == ("t", "wrong", (0,))
    assert wrong.reason == "at [0] it is -1, the difference is 1 ± " + wrong.reason.rpartition("± ")[2]
    assert "; its one entry is wrong" in wrong.reason or "e-" in wrong.reason
    gradients = [a.gradient for a in found.arguments]
    assert [g.shape for g in gradients if g is not None] == [(1, 1), (0,), (2,), (1,), (1,)]
    assert [a.derivative is None for a in found.arguments] == [True, True, False, True, False]
    assert [a.error is None for a in found.arguments] == [True, True, False, True, False]
    assert str(found).splitlines() == [f"d{a.name}: {a.verdict}: {a.reason}" for a in found.arguments]


@pytest.mark.spec("GRAD-D2", "GRAD-D4")
@pytest.mark.parametrize("constant", [np.float32(1000), np.float32(1e6), 1e14])
def test_a_slope_is_not_nothing_where_both_sides_round_alike(constant: Any) -> None:
    """The constant swallows what is between the two sides and the middle, and nothing of what they differ by."""
    w = np.array([1e-3, -2e-3, 1e-5], np.asarray(constant).dtype)

    def forward(w: Array) -> Array:
        return np.asarray(np.sum(constant + w * w))

    assert check_gradient(forward, lambda dz, w: 2 * w * dz, [w]).verdict == "unclear"
    assert not check_gradient(forward, lambda dz, w: 0 * w * dz, [w]).passed
