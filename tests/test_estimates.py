"""How far differences may be off: what the gradient check says, against figures worked out by hand and loops."""

from collections.abc import Callable
from functools import partial
from itertools import pairwise
from operator import methodcaller
from typing import Any

import numpy as np
import pytest
from scipy.special import erf, erfc
from strategies import Array

import reference_cnn
from reference_cnn import _differences, check_gradient, sigmoid, softmax, softmax_backward
from reference_cnn._differences import Differences, differences

EPS = 2.0**-52
TINY = float(np.finfo(float).smallest_normal)


def at(x: float, forward: Callable[[Array], Any], dtype: Any = float) -> tuple[Any, Any, Any]:
    """Derivative, error and jump of a function of one number, dz = 1."""
    found: Differences = differences(lambda z: np.asarray(forward(z)), np.array([x], dtype), np.ones(1))
    derivative, error, jump = (column[0] for column in found)
    return derivative, error, jump


@pytest.mark.spec("GRAD-D2")
@pytest.mark.parametrize(("x", "dtype", "coarsest", "finest"), [
    (0.0, "f8", 0, -27), (3.0, "f8", 1, -27), (-5.0, "f8", 2, -27), (1.5 * 2.0**-10, "f8", 0, -37),
    (3e7, "f8", 24, -25), (0.0, "f4", 0, -27), (3.0, "f4", 1, -19), (1.5 * 2.0**-10, "f4", 0, -30),
    (2.0**-1000, "f8", 0, -127),
])  # fmt: skip
def test_steps_go_by_halves_from_the_magnitude_to_its_finest(x: float, dtype: str, coarsest: int, finest: int) -> None:
    """FINEST times the magnitude, or 1; but 8 units in the last place: 2⁻²² at 3, and 2⁻²⁸ at 3·10⁷ in float64."""
    seen: set[float] = set()

    def forward(z: Array) -> Array:
        seen.update(abs(float(v) - float(np.array(x, dtype))) for v in z)
        return z

    differences(forward, np.array([x], dtype), np.ones(1))
    assert seen == {0.0} | {2.0**k for k in range(finest, coarsest + 1)}


@pytest.mark.spec("GRAD-D2")
def test_the_noise_of_exact_numbers_is_what_rounding_must_cost() -> None:
    """A quotient owes ε·|f| and ε·(|x| + h)·(|slope| + |bend|), over h, and half of that four times for the jump."""
    for dtype, eps in (("f8", EPS), ("f4", 2.0**-23)):
        derivative, error, jump = at(0.0, methodcaller("astype", dtype))
        assert (derivative, jump) == (1, 0)
        assert error == pytest.approx(3 * (eps + EPS), abs=0, rel=1e-9)
    # At 1 the noise is 2·ε·(1 + h); its share is least at h = 1/2, where the first extrapolation ends.
    assert at(1.0, lambda z: z)[1] == pytest.approx(3 * 2 * EPS * (1 + 2), abs=0, rel=1e-9)
    # z² has bends of 2·h: ε·h·(2 + 3·h), least at the smallest step.
    assert at(0.0, lambda z: z + z * z)[1] == pytest.approx(6 * EPS, abs=0, rel=1e-6)
    # What does not change may still underflow.
    assert at(0.0, lambda z: 0 * z)[1] == pytest.approx(3 * 2 * TINY, abs=0, rel=1e-9)


@pytest.mark.spec("GRAD-D3")
@pytest.mark.parametrize("c", [36, 38, 39, 41, 42, 43])
def test_a_kink_is_a_jump_of_more_than_ten_times_its_error_and_a_smaller_one_is_covered(c: int) -> None:
    """The jump of z + c·ε·|z| is 2·c·ε, and its error 8·ε: that of four quotients, each of 2·ε."""
    derivative, error, jump = at(0.0, lambda z: z + c * EPS * np.abs(z))
    assert derivative == 1
    assert jump == (2 * c * EPS if 2 * c > 10 * 8 else 0)
    assert error == pytest.approx((2 + (8 if jump else 2 * c + 8) / 2) * EPS, abs=0, rel=1e-9)


@pytest.mark.spec("GRAD-D2", "GRAD-D3")
def test_polynomials_are_extrapolated_exactly_from_a_few_steps() -> None:
    """With 2, 4, 6 and 8 as powers of the central quotient, and 1, 3, 5 and 7 of the difference of one-sided ones."""

    def seen(forward: Callable[[Array], Array], steps: int) -> Callable[[Array], Array]:
        return lambda z: np.where((z != 0) & (np.abs(z) < 2.0**-steps), np.nan, forward(z))

    odd = at(0.0, seen(lambda z: z + z**3 + z**5 + z**7 + z**9, 8))
    assert odd[0] == 1
    even = at(0.0, seen(lambda z: np.abs(z) + z**2 + z**4 + z**6 + z**8, 4))
    assert even[2] == pytest.approx(2, abs=0, rel=1e-15)


@pytest.mark.spec("GRAD-D2")
@pytest.mark.skipif(bool(np.finfo(np.longdouble).eps > 1e-18), reason="longdouble is no wider than float64 here")
def test_sums_are_formed_in_longdouble() -> None:
    large = 2.0**60
    found = differences(lambda z: np.concatenate([large * z, z, -large * z]), np.zeros(1), np.ones(3))
    assert found.derivative[0] == 1
    third = np.longdouble(1) + np.longdouble(2) ** -60
    # ε·((1 + h) + h)/h at h = 1/2, three times.
    eps = float(np.finfo(np.longdouble).eps)
    assert at(0.0, lambda z: z + third, np.longdouble)[1] == pytest.approx(12 * eps, abs=0, rel=1e-9)


@pytest.mark.spec("GRAD-D2")
def test_the_scatter_of_quotients_is_the_noise() -> None:
    h = 2.0 ** -np.arange(31)[None]
    # An error of ±a in E moves quotients by ±a/h: by 3·a/(2·h) from one step to the next, on average.
    alternating = 1 + 0.01 * (-1.0) ** np.arange(31) / h
    np.testing.assert_allclose(_differences._scatter(h, alternating), np.full((1, 31), 0.015), rtol=1e-12)
    # Samples of 30, 29, … 1: in the finer third of them from the step on, but four at least.
    falling = np.cumsum(2 * np.arange(31, 0, -1) / np.roll(h, 1))[None]
    noise = _differences._scatter(h, falling)[0]
    np.testing.assert_allclose(noise[:21], 10, rtol=1e-9)
    np.testing.assert_allclose(noise[20:], [10, 9, 8, 7, 6, 5, 4, 4, 4, 4, 4], rtol=1e-9)
    np.testing.assert_allclose(_differences._scatter(h[:, :11], falling[:, :11])[0], 24, rtol=1e-9)
    np.testing.assert_allclose(_differences._scatter(h[:, :3], falling[:, :3])[0], 30, rtol=1e-9)
    # Nobody is believed to be less noisy than most.
    three = np.concatenate([alternating, np.ones((1, 31)), alternating])
    np.testing.assert_allclose(_differences._scatter(np.repeat(h, 3, axis=0), three), np.full((3, 31), 0.015))


def shaken(a: float, slope: float) -> Callable[[Array], Array]:
    """A line with an error of ±a in turn from one step to the next."""
    return lambda z: slope * z + a * np.sign(z) * (-1.0) ** np.log2(np.where(z == 0, 1, np.abs(z)))


@pytest.mark.spec("GRAD-D2", "GRAD-D4")
def test_scatter_counts_eight_times_and_a_thousandth_must_be_seen() -> None:
    """The scatter is 3·a/2, so the noise 12·a, at h = 1/2 that of a quotient 24·a, and that of a jump four times that.

    The quotients 1 + a and 1 − 2·a at the two largest steps extrapolate to 1 − 3·a, which has moved by 4·a.
    """
    for a in (1e-6, 1e-9):
        derivative, error, jump = at(0.0, shaken(a, 1))
        assert derivative == pytest.approx(1 - 3 * a, abs=1e-15)
        assert error == pytest.approx((24 + 4 + 96 / 2) * a, abs=0, rel=1e-4)
        assert jump == 0
    # 76·a is told from 1/2000 of the derivative, and from 10⁻³⁰.
    for slope, a, verdict in ((1, 6e-6, "right"), (1, 7e-6, "unclear"), (0, 1e-32, "right"), (0, 2e-32, "unclear")):
        found = check_gradient(shaken(a, slope), lambda dz, z, s=slope: s * dz, [np.zeros(1)], dz=np.ones(1))
        assert found.verdict == verdict


def by_loops(values: Array, noise: Array, powers: tuple[int, ...]) -> tuple[float, float]:
    """Neville's table and the errors of its entries, entry by entry."""
    best, error = 0.0, np.inf
    table = list(values)
    for column, power in enumerate(powers, 1):
        above = table
        table = [b + (b - a) / (2.0**power - 1) for a, b in pairwise(above)]
        for k, entry in enumerate(table):
            finer = [abs(v - entry) - 2 * noise[column + k + 1 + i] for i, v in enumerate(table[k + 1 :])]
            moved = max(abs(entry - above[k]), abs(entry - above[k + 1]), *(v for v in finer if np.isfinite(v)), 0)
            if np.isfinite(entry) and moved + noise[column + k] < error:
                best, error = entry, moved + noise[column + k]
    return best, error


@pytest.mark.spec("GRAD-D2")
def test_a_forward_may_refuse_what_is_far_away() -> None:
    def forward(x: Array) -> Array:
        if abs(x).max() > 9:
            raise ValueError("out of range")
        return np.full_like(x, 1e18)

    assert check_gradient(forward, lambda dz, x: 0 * dz, [np.ones(2)]).verdict == "unclear"


def half(z: Array) -> Array:
    """The square, computed with 11 bits and returned with 53."""
    return (z.astype(np.float16) ** 2).astype(z.dtype)


@pytest.mark.spec("GRAD-D2")
@pytest.mark.parametrize("right", [True, False])
def test_a_slope_that_rounding_swallows_is_not_known(right: bool) -> None:
    """One term of 9·10⁸ takes the unit in the last place of a float32 to 32, in which the others are lost."""
    o, y = np.array([3e4, 1, 2], np.float32), np.zeros(3, np.float32)

    def prime(do: Any, o: Array, y: Array) -> tuple[Array, Array]:
        small = 1 if right else np.array([1, 0, 0])
        return do * (o - y) * small, do * (y - o) * small

    assert check_gradient(reference_cnn.squared_error, prime, [o, y]).arguments[0].verdict == "unclear"
    for backward in (lambda dz, x: dz, lambda dz, x: 0 * dz):
        assert check_gradient(lambda x: 1e18 + x, backward, [np.ones(2)]).arguments[0].verdict == "unclear"


@pytest.mark.spec("GRAD-D2")
def test_what_is_swallowed_is_a_unit_in_the_last_place_over_the_largest_step() -> None:
    derivative, error, jump = at(3.0, lambda z: 2.0**60 + z)
    assert (derivative, jump) == (0, 0)
    assert 2.0**8 / 2 <= error <= 4 * 2.0**8  # steps from 2 on; and a jump may hide, too
    # What does not depend on it does not change farther away either; and a slope of 1 would have been seen here.
    for constant in (2.0**60, 5.0, 0.0):
        assert at(3.0, partial(np.full_like, fill_value=constant))[1] < 1e-300
    mask, x = np.array([True, False]), np.array([1, 2], np.float32)
    for lowest in (np.float32(-1e9), np.finfo(np.float32).min):
        masked = partial(np.where, mask, lowest)
        assert check_gradient(masked, lambda dz, z: dz * ~mask, [x]).verdict == "right"


@pytest.mark.spec("GRAD-D2")
@pytest.mark.parametrize("forward", [half, lambda z: np.round(z**2, 4)])
def test_a_staircase_is_no_constant(forward: Any) -> None:
    """Over the smallest steps nothing changes, over larger ones it rises as the square does."""
    derivative, error, _ = at(0.7, forward)
    assert abs(derivative - 1.4) <= error
    assert error >= abs(derivative)  # so that it may be 0
    z = np.array([0.3, -0.7, 1.9])
    for backward in (lambda dz, z: 2 * dz * z, lambda dz, z: 0 * z):
        assert check_gradient(forward, backward, [z]).arguments[0].verdict == "unclear"
    assert check_gradient(forward, lambda dz, z: -6 * dz * z, [z]).arguments[0].verdict == "wrong"


@pytest.mark.spec("GRAD-D2")
@pytest.mark.parametrize("below", [0.5, 0.1, 1e-3, 1e-6])
def test_what_is_constant_around_a_place_and_rises_farther_away_is_no_staircase(below: float) -> None:
    for forward in (lambda z: np.maximum(z, 0), lambda z: np.where(z > 0, z**2, 0)):
        assert at(-below, forward)[:2] == (0, pytest.approx(0, abs=1e-9))
    # On both sides of a place, too.
    dead = below / 5
    for odd in (lambda z: np.where(abs(z) > dead, z, 0), lambda z: z - np.clip(z, -dead, dead)):
        assert at(0.0, odd)[:2] == (0, pytest.approx(0, abs=1e-9))
        assert check_gradient(odd, lambda dz, z: 0 * z, [np.zeros(3)]).verdict == "right"
        assert check_gradient(odd, lambda dz, z: 7 * dz, [np.zeros(3)]).verdict == "wrong"


def gelu(z: Array) -> Array:
    """z·Φ(z), with the 1 + erf in which digits are lost where z is negative."""
    return np.asarray(z / 2 * (1 + erf(z / np.sqrt(2)).astype(z.dtype)))


def gelu_backward(dz: Array, z: Array) -> Array:
    wide = z.astype(float)
    return np.asarray(dz * (erfc(-wide / np.sqrt(2)) / 2 + wide * np.exp(-(wide**2) / 2) / np.sqrt(2 * np.pi)))


def softplus(z: Array) -> Array:
    return np.asarray(np.log(1 + np.exp(z)))


@pytest.mark.spec("GRAD-D2")
@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_what_forward_has_rounded_inside_is_not_the_gradients_mistake(dtype: str, seed: int) -> None:
    """Between the stairs of 1 + erf the other factor rises: the smallest steps agree on a slope that is not E's."""
    z = (10 * np.random.default_rng(seed).standard_normal((4, 6))).astype(dtype)
    for forward, backward in (
        (gelu, gelu_backward),
        (softplus, lambda dz, z: dz * sigmoid(z.astype(float))),
        (softmax, lambda dz, z: softmax_backward(dz, softmax(z.astype(float)))),
    ):
        assert check_gradient(forward, backward, [z]).verdict != "wrong"
        assert check_gradient(forward, lambda dz, z, b=backward: 2 * b(dz, z), [z]).verdict == "wrong"
    derivative, error, _ = at(-7.0, gelu)
    assert abs(derivative - gelu_backward(np.ones(1), np.array([-7.0]))) <= error


@pytest.mark.spec("GRAD-D2")
def test_slopes_that_kinks_explain_are_no_stairs() -> None:
    z = np.array([0.01, -0.02, 1e-4, 0.3])
    for forward, slope in ((np.abs, np.sign), (lambda z: np.maximum(z, z / 8), lambda z: np.where(z > 0, 1, 1 / 8))):
        assert check_gradient(forward, lambda dz, z, s=slope: dz * s(z), [z]).verdict == "right"


def scaled(slope: float, dz: Array, z: Array) -> Array:
    """The gradient of a function with one slope."""
    return slope * dz


@pytest.mark.spec("GRAD-D2")
@pytest.mark.parametrize("least", [1e-8, 1e-12])
def test_what_is_steeper_than_the_steps_show_is_not_known(least: float) -> None:
    for forward in (lambda z: z / max(np.linalg.norm(z), least), lambda z: z / (abs(z) + least), np.sign):
        for slope in (1 / least, 0.0):
            assert check_gradient(forward, partial(scaled, slope), [np.zeros(3)]).verdict == "unclear"
    # What comes down over the steps is known.
    for slope, verdict in ((1e5, "right"), (1e6, "unclear"), (1e7, "unclear")):
        steep = check_gradient(lambda z, s=slope: np.tanh(s * z), partial(scaled, slope), [np.zeros(2)])
        assert steep.verdict == verdict


@pytest.mark.spec("GRAD-D2")
def test_one_output_may_swallow_what_another_shows() -> None:
    """Next to a 1 in float32, what it loses to the other class is nothing, and as much as that class wins."""
    z, dz = np.array([0, 20], np.float32), np.ones(2, np.float32)
    found = differences(softmax, z, dz)
    assert abs(found.derivative[0]) <= found.error[0]
    assert 2.0**-24 < found.error[0] < 2.0**-20
    # An output that nothing changes, however far, swallows nothing.
    alone = differences(lambda z: np.array([1e-9 * z[0], 1], np.float32), z, dz)
    assert alone.error[0] < 1e-12


@pytest.mark.spec("GRAD-D4")
def test_what_is_lost_beside_the_largest_entry_is_not_wrong() -> None:
    for dtype in ("float64", "float32"):
        z, unit = np.array([1.0, 2.0], dtype), float(np.finfo(dtype).eps)
        for off, verdict in ((7 * unit, "right"), (1e4 * unit, "wrong")):
            gradient = np.array([1.0, off])
            assert check_gradient(lambda z: z[:1], lambda dz, z, g=gradient: dz * g, [z]).verdict == verdict


@pytest.mark.spec("GRAD-D2")
@pytest.mark.parametrize("seed", range(20))
def test_the_extrapolation_is_that_of_explicit_loops(seed: int) -> None:
    rng = np.random.default_rng(seed)
    h = 2.0 ** -np.arange(12)
    noise = rng.uniform(0, 1e-3, (4, 12)) / h
    values = rng.standard_normal((4, 1)) * h**2 + rng.standard_normal((4, 1)) * h**3 + noise * rng.uniform(-1, 1, 12)
    values[0, :2], values[1, 9:], values[2] = np.nan, np.nan, np.nan
    if seed % 2:  # any entry may be the best
        values, noise = rng.uniform(-1, 1, (4, 12)), rng.uniform(0, 1e-3, (4, 12))
    best, error = _differences._extrapolate(values, noise, (2, 4, 6, 8))
    right = [by_loops(v, n, (2, 4, 6, 8)) for v, n in zip(values, noise)]
    np.testing.assert_allclose(best, [b for b, _ in right], rtol=1e-12)
    np.testing.assert_allclose(error, [e for _, e in right], rtol=1e-12)


@pytest.mark.spec("GRAD-D2", "GRAD-D4")
@pytest.mark.parametrize("value", [np.inf, -np.inf, np.nan, 1e300, 5e-324])
def test_no_argument_is_too_strange(value: float) -> None:
    def forward(z: Array) -> Array:
        return np.where(np.isfinite(z), z, 0)

    z = np.array([1.0, value, 2.0])
    found = str(check_gradient(forward, lambda dz, z: dz, [z]))
    unclear = "dz: unclear: at [1] the difference cannot tell: it is not finite"
    assert found == ("dz: right: 3 entries agree with the differences" if np.isfinite(value) else unclear)
    assert check_gradient(forward, lambda dz, z: -dz, [z]).verdict == "wrong"


@pytest.mark.spec("GRAD-D2")
def test_steps_to_where_forward_is_infinite_are_left_out() -> None:
    z = np.array([1.0])
    for forward in (lambda z: np.where(z < 0.8, np.inf, z), lambda z: np.where(z > 1.2, -np.inf, z)):
        assert check_gradient(forward, lambda dz, z: dz, [z]).passed
