"""Errors that a network is trained to make small, summed over everything, and their derivatives; clauses LOSS."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from reference_cnn._validate import Array, native, number_array, result_dtype, shape, working_dtype
from reference_cnn.activation import softmax


def squared_error(o: ArrayLike, y: ArrayLike) -> Any:
    """Half the sum of squared differences, E = Σ (y − o)² / 2 [LOSS-F1].

    Parameters
    ----------
    o : array of any shape
        What the network puts out; any number dtype, any unit.
    y : array shaped like o
        What it should put out.

    Returns
    -------
    E : number
        In the unit of o squared. The promoted dtype of the arguments; integers become float64.

    Raises
    ------
    TypeError
        o or y is no array of numbers, or they have no common dtype [ARR-C1, ARR-C2].
    ValueError
        They have different shapes: nothing is broadcast [LOSS-C1].

    Notes
    -----
    Source: spec/loss.md; the article, "Backward Propagation".

    Examples
    --------
    >>> float(squared_error(np.array([0.5, 1.0]), np.array([1.0, 3.0])))
    2.125
    """
    o, y, dtype = _pair("squared_error", o, y)
    halved = np.float64 if dtype.kind in "iu" else dtype
    # An array of no axes turns into a plain number on the way, which may have no sum.
    half = np.asarray((y - o) ** 2).sum() / 2
    return half if dtype.kind == "O" else half.astype(halved)


def squared_error_prime(o: ArrayLike, y: ArrayLike) -> Array:
    """The derivative of `squared_error` with respect to o: o − y [LOSS-B1].

    Parameters
    ----------
    o, y
        As for `squared_error`.

    Returns
    -------
    do : array shaped like o
        The promoted dtype of the arguments.

    Raises
    ------
    TypeError, ValueError
        As `squared_error` [ARR-C1, ARR-C2, LOSS-C1].

    Notes
    -----
    Source: spec/loss.md.

    Examples
    --------
    >>> squared_error_prime(np.array([0.5, 1.0]), np.array([1.0, 3.0]))
    array([-0.5, -2. ])
    """
    o, y, dtype = _pair("squared_error_prime", o, y)
    return np.asarray(o - y).astype(dtype, copy=False)


def cross_entropy(z: ArrayLike, labels: ArrayLike) -> Any:
    """The negative logarithm of the softmax at the labels, summed: E = Σ_n (log Σ_j exp(z_nj) − z_n,label) [LOSS-F2].

    Parameters
    ----------
    z : array (N, K)
        Logits of K classes. Floats keep their dtype, integers become float64.
    labels : array (N,) of int
        The right class of each example, from 0 to K − 1.

    Returns
    -------
    E : number
        In nats; z's dtype. No logarithm of 0 is taken, however sure the network is of the wrong class.

    Raises
    ------
    TypeError
        z is no array of numbers, complex or of objects [ARR-C1, ACT-C1, ACT-C2]; labels are no integers [LOSS-C3].
    ValueError
        z is not (N, K) with K ≥ 1, labels not (N,) [LOSS-C2] or out of range [LOSS-C3].

    Notes
    -----
    Source: spec/loss.md.

    Examples
    --------
    >>> float(cross_entropy(np.array([[0.0, 0.0], [-1000.0, 1000.0]]), np.array([0, 0])))
    2000.69314718056
    """
    z, labels, dtype = _logits("cross_entropy", z, labels)
    top = z.max(axis=1)
    with np.errstate(under="ignore"):
        spread = np.log(np.exp(z - top[:, None]).sum(axis=1))
    return (spread + (top - z[np.arange(len(z)), labels])).sum().astype(dtype)


def cross_entropy_prime(z: ArrayLike, labels: ArrayLike) -> Array:
    """The derivative of `cross_entropy` with respect to z: softmax(z), less 1 at the label [LOSS-B2].

    Parameters
    ----------
    z, labels
        As for `cross_entropy`.

    Returns
    -------
    dz : array (N, K)
        z's dtype; integers become float64.

    Raises
    ------
    TypeError, ValueError
        As `cross_entropy` [ARR-C1, ACT-C1, ACT-C2, LOSS-C2, LOSS-C3].

    Notes
    -----
    Source: spec/loss.md.

    Examples
    --------
    >>> cross_entropy_prime(np.array([[0.0, 0.0]]), np.array([1]))
    array([[ 0.5, -0.5]])
    """
    z, labels, dtype = _logits("cross_entropy_prime", z, labels)
    dz = softmax(z)
    rows = np.arange(len(z))
    # Not softmax − 1, which cancels where the network is sure and right: minus the sum of the others.
    at_labels = dz[rows, labels]
    dz[rows, labels] = 0
    # Of one class the others are none; a NaN is one all the same.
    dz[rows, labels] = 0 * at_labels - dz.sum(axis=1)
    return dz.astype(dtype, copy=False)


def _pair(function: str, o: ArrayLike, y: ArrayLike) -> tuple[Array, Array, np.dtype[Any]]:
    """Both arrays in the dtype to compute in, and the promoted dtype."""
    o, y = number_array(function, "o", o), number_array(function, "y", y)
    shape(function, "y", y, o.shape, "the shape of o; nothing is broadcast", "LOSS-C1")
    dtype = result_dtype(function, o, y)
    return o.astype(working_dtype(dtype)), y.astype(working_dtype(dtype)), dtype


def _logits(function: str, z: ArrayLike, labels: ArrayLike) -> tuple[Array, Array, np.dtype[Any]]:
    """Logits in the dtype to compute in, checked labels, and the result's dtype."""
    z, labels = native(number_array(function, "z", z)), number_array(function, "labels", labels)
    if z.dtype.kind in "cO":
        clause = "ACT-C2" if z.dtype.kind == "c" else "ACT-C1"
        raise TypeError(f"{function}: z has dtype {z.dtype}, of which there is no softmax; use floats [{clause}]")
    if z.ndim != 2 or z.shape[1] < 1:
        raise ValueError(f"{function}: z must be (N, K) with K ≥ 1, has shape {z.shape} [LOSS-C2]")
    shape(function, "labels", labels, (len(z),), "one label per row of z", "LOSS-C2")
    if labels.dtype.kind not in "iu":
        raise TypeError(f"{function}: labels must be integers, have dtype {labels.dtype} [LOSS-C3]")
    if len(z) and (labels.min() < 0 or labels.max() >= z.shape[1]):
        raise ValueError(
            f"{function}: labels must be from 0 to {z.shape[1] - 1}, are {labels.min()} to {labels.max()} [LOSS-C3]"
        )
    dtype = np.dtype(np.float64) if z.dtype.kind in "iu" else z.dtype
    return z.astype(np.float64 if np.can_cast(dtype, np.float64) else dtype), labels, dtype
