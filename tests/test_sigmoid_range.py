"""Rung 2 for the sigmoid: mpmath at 50 digits over the whole range of each dtype."""

from collections.abc import Callable
from typing import Any

import mpmath
import numpy as np
import pytest
from strategies import Array

from reference_cnn import sigmoid, sigmoid_prime

FUNCTIONS: dict[str, tuple[Callable[[Any], Array], Callable[[Any], Any]]] = {
    "sigmoid": (sigmoid, lambda z: 1 / (1 + mpmath.exp(-z))),
    "sigmoid_prime": (sigmoid_prime, lambda z: mpmath.exp(-z) / (1 + mpmath.exp(-z)) ** 2),
}


def samples(dtype: type[np.floating[Any]]) -> Array:
    """Every float16; of the others a ramp to beyond underflow, every power of two, and both sides of each."""
    if dtype is np.float16:
        z = np.arange(2**16, dtype=np.uint16).view(np.float16)
        return z[np.isfinite(z)]
    info = np.finfo(dtype)
    limit = 110 if dtype is np.float32 else 760
    powers = 2.0 ** np.arange(info.minexp, np.log2(limit))
    positive = np.concatenate([np.linspace(0, limit, 3001), np.geomspace(1e-20, limit, 3001), powers]).astype(dtype)
    near = np.concatenate([positive, np.nextafter(positive, dtype(np.inf)), np.nextafter(positive, dtype(-np.inf))])
    return np.concatenate([near, -near, [info.max, info.min, info.smallest_subnormal]]).astype(dtype)


def exactly(value: np.longdouble) -> Any:
    """A longdouble as mpmath's number, as the sum of two doubles."""
    return mpmath.mpf(float(value)) + mpmath.mpf(float(value - np.longdouble(float(value))))


@pytest.mark.spec("ACT-F1", "ACT-B1", "ACT-N1")
@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_within_4_ulp_without_a_warning(name: str, dtype: type[np.floating[Any]]) -> None:
    function, exact = FUNCTIONS[name]
    z = samples(dtype)
    with np.errstate(all="raise"):
        got = function(z)
    assert got.dtype == dtype
    worst = 0.0
    with mpmath.workdps(50):
        for value, argument in zip(got, z):
            truth = exact(mpmath.mpf(float(argument)))
            with np.errstate(under="ignore"):
                ulp = float(np.spacing(np.float64(float(truth)).astype(dtype)))
            worst = max(worst, float(abs(mpmath.mpf(float(value)) - truth) / ulp))
    limit = 4 if dtype is np.float64 else 0.51
    assert worst <= limit, f"{name} is {worst} ulp off"


@pytest.mark.spec("ACT-N1")
def test_the_tails_are_there() -> None:
    assert sigmoid_prime(np.array(40.0)) == pytest.approx(4.248354255291589e-18, rel=1e-15)
    assert sigmoid_prime(np.array(-700.0)) == pytest.approx(9.85967654375977e-305, rel=1e-15)
    assert sigmoid(np.array([-np.inf, np.inf])).tolist() == [0, 1]
    assert sigmoid_prime(np.array([-np.inf, np.inf])).tolist() == [0, 0]
    assert np.isnan(sigmoid(np.array(np.nan)))


@pytest.mark.spec("ACT-N1")
def test_longdouble_is_as_good_as_its_exponential() -> None:
    z = np.linspace(-50, 50, 1001).astype(np.longdouble)
    eps = np.finfo(np.longdouble).eps
    with mpmath.workdps(50):
        for name, (function, exact) in FUNCTIONS.items():
            got = function(z)
            assert got.dtype == np.longdouble, name
            for value, argument in zip(got, z):
                truth = exact(exactly(argument))
                assert abs(exactly(value) / truth - 1) < 8 * float(eps), name


@pytest.mark.spec("ACT-N2")
def test_integers_give_float64_and_complex_numbers_stay() -> None:
    assert sigmoid(np.array([0, 1])).dtype == np.float64
    assert sigmoid_prime(np.array([0, 1], np.int8)).dtype == np.float64
    z = np.array([0.3 - 2j, -800 + 1j, 800 - 1j])
    assert sigmoid(z).dtype == np.complex128
    assert sigmoid(z)[2] == 1
    # On the imaginary axis too, where neither of exp(z) and exp(−z) is small.
    z = np.array([0.3 - 2j, -0.3 - 2j, 2j, -2j, 0])
    e = np.exp(-z)
    np.testing.assert_allclose(sigmoid(z), 1 / (1 + e), rtol=1e-15)
    np.testing.assert_allclose(sigmoid_prime(z), e / (1 + e) ** 2, rtol=1e-15)
