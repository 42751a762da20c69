"""Activation functions and their derivatives, element by element; clauses ACT, spec/activation.md."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from reference_cnn._validate import Array, native, number_array, result_dtype, shape, working_dtype


def sigmoid(z: ArrayLike) -> Array:
    """The logistic function 1/(1 + exp(−z)), without overflow [ACT-F1].

    Parameters
    ----------
    z : array of any shape
        Dimensionless. Floats keep their dtype, integers become float64; complex numbers are allowed.

    Returns
    -------
    a : array like z
        In [0, 1], within 4 ulp of the exact value over the whole range of float16, float32 and float64.

    Raises
    ------
    TypeError
        z is no array of numbers [ARR-C1], or of objects, which have no exponential [ACT-C1].

    Notes
    -----
    exp is only taken of numbers whose real part is negative or 0, so nothing overflows, and 1 − a is never formed,
    so nothing cancels. Source: spec/activation.md; the article, "Non-linear Transformation".

    Examples
    --------
    >>> sigmoid(np.array([-1000.0, 0.0, 1000.0]))
    array([0. , 0.5, 1. ])
    """
    z, dtype = _number("sigmoid", z)
    with np.errstate(under="ignore"):
        e = _decaying(z)
        below = 1 + e
        a = _rising(z, e)
        a /= below
        return a.astype(dtype, copy=False)


def sigmoid_prime(z: ArrayLike) -> Array:
    """The derivative of `sigmoid` at z (not at a = sigmoid(z)): exp(−|z|)/(1 + exp(−|z|))² [ACT-B1].

    Parameters
    ----------
    z : array of any shape
        The argument of the sigmoid, dimensionless; dtypes as for `sigmoid`.

    Returns
    -------
    da/dz : array like z
        In [0, ¼], within 4 ulp of the exact value over the whole range: sigmoid_prime(40) is 4.2e-18, not 0.

    Raises
    ------
    TypeError
        As `sigmoid` [ARR-C1, ACT-C1].

    Notes
    -----
    a·(1 − a), the formula in terms of a, is 0 for z ≥ 37 in float64 since 1 − a cancels. (1 + e)² is multiplied out to
    1 + e·(2 + e): the rounding of 1 + e, squared, would cost 4.1 ulp where this costs 2.5.
    Source: spec/activation.md; the article, "Backward Propagation".

    Examples
    --------
    >>> sigmoid_prime(np.array([-40.0, 0.0, 40.0]))
    array([4.24835426e-18, 2.50000000e-01, 4.24835426e-18])
    """
    z, dtype = _number("sigmoid_prime", z)
    with np.errstate(under="ignore"):
        e = _decaying(z)
        e /= 1 + e * (2 + e)
        return e.astype(dtype, copy=False)


def relu(z: ArrayLike) -> Array:
    """The rectifier max(z, 0) [ACT-F2].

    Parameters
    ----------
    z : array of any shape
        Any real number dtype, any unit.

    Returns
    -------
    a : array like z
        NaN stays NaN.

    Raises
    ------
    TypeError
        z is no array of numbers [ARR-C1], or complex [ACT-C2].

    Notes
    -----
    Source: spec/activation.md.

    Examples
    --------
    >>> relu(np.array([-2, 0, 3]))
    array([0, 0, 3])
    """
    z = _real("relu", z)
    # Objects and bfloat16 would warn of NaN, and of objects only the second stays NaN.
    with np.errstate(invalid="ignore"):
        return np.asarray(np.maximum(0, z))


def relu_prime(z: ArrayLike) -> Array:
    """The derivative of `relu` at z: 1 right of 0, else 0, also at 0 itself [ACT-B2].

    Parameters
    ----------
    z : array of any shape
        The argument of the rectifier; any real number dtype.

    Returns
    -------
    da/dz : array like z
        NaN stays NaN.

    Raises
    ------
    TypeError
        As `relu` [ARR-C1, ACT-C2].

    Notes
    -----
    At 0 every number from 0 to 1 is a subgradient; 0 is the convention. Source: spec/activation.md.

    Examples
    --------
    >>> relu_prime(np.array([-2.0, 0.0, 3.0]))
    array([0., 0., 1.])
    """
    z = _real("relu_prime", z)
    with np.errstate(invalid="ignore"):
        step = (z > 0).astype(z.dtype)
    return np.where(z != z, z, step)  # noqa: PLR0124  # what differs from itself is NaN, in object arrays too


def softmax(z: ArrayLike) -> Array:
    """Exponentials over their sum, along the last axis: a_i = exp(z_i) / Σ_j exp(z_j) [ACT-F3].

    Parameters
    ----------
    z : array (…, K)
        Logits, dimensionless, at least one axis and K ≥ 1. Floats keep their dtype, integers become float64.

    Returns
    -------
    a : array like z
        Each row sums to 1. The largest logit of the row is subtracted first, so nothing overflows.

    Raises
    ------
    TypeError
        z is no array of numbers [ARR-C1], of objects [ACT-C1], or complex [ACT-C2].
    ValueError
        z has no axis, or an empty last one [ACT-C3].

    Notes
    -----
    Source: spec/activation.md.

    Examples
    --------
    >>> softmax(np.array([[1000.0, 1000.0], [0.0, np.log(3.0)]]))
    array([[0.5 , 0.5 ],
           [0.25, 0.75]])
    """
    _real("softmax", z)
    z, dtype = _number("softmax", z)
    _rows("softmax", z)
    with np.errstate(under="ignore"):
        e = np.exp(z - z.max(axis=-1, keepdims=True))
        return np.asarray(e / e.sum(axis=-1, keepdims=True)).astype(dtype, copy=False)


def softmax_backward(da: ArrayLike, a: ArrayLike) -> Array:
    """Gradient of an error E with respect to the z of a = `softmax`(z), given da = ∂E/∂a [ACT-B3].

    dz_i = a_i · (da_i − Σ_j da_j · a_j).

    Parameters
    ----------
    da : array (…, K)
        ∂E/∂a.
    a : array (…, K)
        The output of `softmax`, not its argument.

    Returns
    -------
    dz : array (…, K)
        The promoted dtype of da and a.

    Raises
    ------
    TypeError
        da or a is no array of numbers, or they have no common dtype [ARR-C1, ARR-C2].
    ValueError
        a has no axis, or an empty last one [ACT-C3]; da has another shape [ACT-C4].

    Notes
    -----
    Source: spec/activation.md; the softmax has the Jacobian diag(a) − a·aᵀ.

    Examples
    --------
    >>> softmax_backward(np.array([1.0, 0.0]), np.array([0.25, 0.75]))
    array([ 0.1875, -0.1875])
    """
    da, a = number_array("softmax_backward", "da", da), number_array("softmax_backward", "a", a)
    _rows("softmax_backward", a)
    shape("softmax_backward", "da", da, a.shape, "the shape of a", "ACT-C4")
    dtype = result_dtype("softmax_backward", da, a)
    da, a = (v.astype(working_dtype(dtype), copy=False) for v in (da, a))
    return np.asarray(a * (da - (da * a).sum(axis=-1, keepdims=True))).astype(dtype, copy=False)


def _real(function: str, z: ArrayLike) -> Array:
    z = number_array(function, "z", z)
    if z.dtype.kind == "c":
        raise TypeError(f"{function}: z is {z.dtype}, and complex numbers have no order [ACT-C2]")
    return native(z)


def _rows(function: str, z: Array) -> None:
    if z.ndim < 1 or z.shape[-1] < 1:
        raise ValueError(f"{function}: there must be an axis of classes, and no empty one, shape is {z.shape} [ACT-C3]")


def _number(function: str, z: ArrayLike) -> tuple[Array, np.dtype[Any]]:
    """Return z in the dtype to compute in, and the dtype of the result."""
    z = native(number_array(function, "z", z))
    if z.dtype == object:
        raise TypeError(f"{function}: z has dtype object, which has no exponential; use floats [ACT-C1]")
    dtype = np.dtype(np.float64) if z.dtype.kind in "iu" else z.dtype
    # NumPy's float32 exp is good to 2.5 ulp only, which the formulas would double; float64 leaves one rounding.
    work = np.float64 if np.can_cast(dtype, np.float64) else dtype
    return z.astype(work, copy=False), dtype


def _decaying(z: Array) -> Array:
    """exp(min(z, −z)), with complex numbers in the same order."""
    # Of real numbers that is −|z|, which setting the sign gives in half the time.
    exponent: Array = np.asarray(np.minimum(z, -z) if z.dtype.kind == "c" else np.copysign(z, -1))
    return np.exp(exponent, out=exponent)


def _rising(z: Array, decaying: Array) -> Array:
    """exp(min(z, 0)), out of exp(min(z, −z)) and in its place: 1 where z ≥ 0."""
    if z.dtype.kind == "c":
        decaying[z >= 0] = 1
        return decaying
    # Of real numbers the larger one is 1 or exp(−|z|); choosing element by element takes three times as long.
    return np.maximum(decaying, z >= 0, out=decaying)
