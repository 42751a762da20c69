"""The dense (fully connected, linear) layer; clauses DENSE, spec/dense.md."""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from reference_cnn._validate import Array, number_array, result_dtype, shape, working_dtype


class DenseGradients(NamedTuple):
    """Gradients of the error with respect to input, weights and bias, shaped like them."""

    dx: Array
    dw: Array
    db: Array


def dense_forward(x: ArrayLike, w: ArrayLike, b: ArrayLike | None = None) -> Array:
    """Multiply each row of x with the weights and add the bias: z = x @ w + b [DENSE-F1].

    Parameters
    ----------
    x : array (N, m)
        N examples of m features. Any number dtype; any unit.
    w : array (m, n)
        Weights from m features to n neurons, as in the article: its Wᵀ·X + b is this z transposed.
    b : array (n,), optional
        Bias, in the unit of x·w.

    Returns
    -------
    z : array (N, n)
        The promoted dtype of the arguments.

    Raises
    ------
    TypeError
        x, w or b is no array of numbers [ARR-C1, ARR-C2].
    ValueError
        x or w is not a matrix [DENSE-C1], their sizes differ [DENSE-C2], b is not (n,) [DENSE-C3].

    Notes
    -----
    Source: spec/dense.md; the article, "Linear Transformation".

    Examples
    --------
    >>> dense_forward(np.array([[1, 2, 3, 4]]), np.array([[1, 0], [0, 1], [1, 1], [2, 0]]), np.array([10, 20]))
    array([[22, 25]])
    """
    x, w = _matrices("dense_forward", x, w)
    arrays = [x, w]
    if b is not None:
        b = number_array("dense_forward", "b", b)
        shape("dense_forward", "b", b, (w.shape[1],), "one bias per column of w", "DENSE-C3")
        arrays.append(b)
    dtype = result_dtype("dense_forward", *arrays)
    work = working_dtype(dtype)
    z = x.astype(work, copy=False) @ w.astype(work, copy=False)
    if b is not None:
        z += b.astype(work, copy=False)
    return np.asarray(z.astype(dtype, copy=False))


def dense_backward(dz: ArrayLike, x: ArrayLike, w: ArrayLike) -> DenseGradients:
    """Gradients of an error E with respect to the arguments of `dense_forward`, given dz = ∂E/∂z.

    dx = dz @ wᵀ;  dw = xᵀ @ dz;  db = Σ_n dz[n] [DENSE-B1, DENSE-B2, DENSE-B3].

    Parameters
    ----------
    dz : array (N, n)
        ∂E/∂z, shaped like the output of `dense_forward`.
    x, w
        As given to `dense_forward`.

    Returns
    -------
    DenseGradients
        dx (N, m) in the promoted dtype of dz and w, dw (m, n) in that of dz and x, db (n,) in that of dz.
        Sums over the batch, not means; complex numbers are not conjugated.

    Raises
    ------
    TypeError, ValueError
        As `dense_forward`; a dz of another shape than the output is a ValueError [DENSE-C4].

    Notes
    -----
    Source: spec/dense.md; the transpose of the linear map `dense_forward`.

    Examples
    --------
    >>> dense_backward(np.array([[1, 2]]), np.array([[3, 4, 5]]), np.array([[1, 0], [0, 1], [1, 1]]))
    DenseGradients(dx=array([[1, 2, 3]]), dw=array([[ 3,  6],
           [ 4,  8],
           [ 5, 10]]), db=array([1, 2]))
    """
    x, w = _matrices("dense_backward", x, w)
    dz = number_array("dense_backward", "dz", dz)
    shape("dense_backward", "dz", dz, (len(x), w.shape[1]), "the shape of dense_forward's output", "DENSE-C4")
    dx_dtype, dw_dtype, db_dtype = (result_dtype("dense_backward", dz, *a) for a in ([w], [x], []))
    work = working_dtype(dx_dtype)
    dx = dz.astype(work, copy=False) @ w.astype(work, copy=False).T
    work = working_dtype(dw_dtype)
    dw = x.astype(work, copy=False).T @ dz.astype(work, copy=False)
    db = dz.sum(axis=0, dtype=working_dtype(db_dtype))
    return DenseGradients(*(g.astype(t, copy=False) for g, t in ((dx, dx_dtype), (dw, dw_dtype), (db, db_dtype))))


def _matrices(function: str, x: ArrayLike, w: ArrayLike) -> tuple[Array, Array]:
    x = number_array(function, "x", x)
    w = number_array(function, "w", w)
    for name, array, axes in (("x", x, "(N, m)"), ("w", w, "(m, n)")):
        if array.ndim != 2 or 0 in array.shape[name == "x" :]:
            raise ValueError(
                f"{function}: {name} must be a matrix {axes} with m, n ≥ 1, has shape {array.shape} [DENSE-C1]"
            )
    if x.shape[1] != len(w):
        raise ValueError(f"{function}: w expects {len(w)} features, x has {x.shape[1]} [DENSE-C2]")
    return x, w
