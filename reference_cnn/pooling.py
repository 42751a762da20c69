"""Max and average pooling over any number of spatial axes; clauses POOL, spec/pooling.md."""

import math
from functools import reduce
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from reference_cnn._validate import Array, native, number_array, shape, working_dtype
from reference_cnn._windows import Padding, PerAxis, Windows, positive


def max_pool_forward(
    x: ArrayLike, window: PerAxis, *, stride: PerAxis | None = None, padding: Padding = 0, dilation: PerAxis = 1
) -> Array:
    """Take the largest element of each window; padding never wins [POOL-F1].

    y[n, c, o] = max_k x[n, c, o·stride + k·dilation − before] over the k for which that lies inside x.

    Parameters
    ----------
    x : array (N, C, *D)
        Images; any real number dtype, any unit.
    window : int or one int per spatial axis
        Size of the window, in elements.
    stride : int or one int per spatial axis, optional
        Elements between neighbouring windows; without it the size of the window.
    padding : int, one int per axis, one (before, after) pair per axis, "valid" or "same"
        Elements around the image that belong to no maximum; fewer than the window spans, on each side.
    dilation : int or one int per spatial axis
        Elements between neighbouring taps of a window.

    Returns
    -------
    y : array (N, C, *O)
        x's dtype. NaN in a window is its maximum.

    Raises
    ------
    TypeError
        x is no array of numbers [ARR-C1] or complex [POOL-C5]; another argument no integer
        [POOL-C2, WIN-C1, WIN-C2, WIN-C3].
    ValueError
        x has too few axes or an empty one [POOL-C1], too much padding [POOL-C3], values out of range, windows that do
        not fit [POOL-C2, WIN-C1, WIN-C2, WIN-C3, WIN-C4].

    Notes
    -----
    Source: spec/pooling.md; ONNX, operator MaxPool.

    Examples
    --------
    >>> max_pool_forward(np.array([[[[1, 7, 2, 3], [11, 1, 23, 0]]]]), 2)
    array([[[[11, 23]]]])
    """
    x, windows = _arguments("max_pool_forward", x, window, stride, padding, dilation)
    return _largest("max_pool_forward", x, windows)[0]


def max_pool_backward(
    dy: ArrayLike, x: ArrayLike, window: PerAxis, *,
    stride: PerAxis | None = None, padding: Padding = 0, dilation: PerAxis = 1,
) -> Array:  # fmt: skip
    """Gradient of an error E with respect to the x of `max_pool_forward`, given dy = ∂E/∂y [POOL-B1].

    Each dy goes to the largest element of its window, the first of them in C order if there are several; where windows
    overlap, what an element receives is added up.

    Parameters
    ----------
    dy : array (N, C, *O)
        ∂E/∂y, shaped like the output of `max_pool_forward`.
    x, window, stride, padding, dilation
        As given to `max_pool_forward`.

    Returns
    -------
    dx : array (N, C, *D)
        dy's dtype.

    Raises
    ------
    TypeError, ValueError
        As `max_pool_forward`; a dy of another shape than the output is a ValueError [POOL-C4].

    Notes
    -----
    Source: spec/pooling.md.

    Examples
    --------
    >>> max_pool_backward(np.array([[[[5, 6]]]]), np.array([[[[1, 7, 2, 3], [11, 1, 23, 0]]]]), 2)
    array([[[[0, 0, 0, 0],
             [5, 0, 6, 0]]]])
    """
    x, windows = _arguments("max_pool_backward", x, window, stride, padding, dilation)
    dy = _upstream("max_pool_backward", dy, x, windows)
    winner = _largest("max_pool_backward", x, windows)[1]
    dx = np.zeros(x.shape, working_dtype(dy.dtype))
    for number, (outputs, inputs) in enumerate(windows.taps(), 1):
        dx[inputs] += np.where(winner[outputs] == number, dy[outputs], 0)
    return dx.astype(dy.dtype, copy=False)


def avg_pool_forward(
    x: ArrayLike, window: PerAxis, *,
    stride: PerAxis | None = None, padding: Padding = 0, include_padding: bool = False,
) -> Array:  # fmt: skip
    """Average each window [POOL-F2].

    y[n, c, o] = Σ_k x[n, c, o·stride + k − before] / count[o], x counting as 0 outside itself.

    Parameters
    ----------
    x : array (N, C, *D)
        Images; any number dtype, any unit.
    window, stride, padding
        As for `max_pool_forward`.
    include_padding : bool
        count is the size of the window; without it, the number of elements of x in the window.

    Returns
    -------
    y : array (N, C, *O)
        x's dtype; integers become float64.

    Raises
    ------
    TypeError, ValueError
        As `max_pool_forward`, but complex numbers are allowed [ARR-C1, POOL-C1, POOL-C3]; an include_padding that is
        neither True nor False is a TypeError [POOL-C6].

    Notes
    -----
    Source: spec/pooling.md; ONNX, operator AveragePool.

    Examples
    --------
    >>> avg_pool_forward(np.array([[[[1, 7, 2, 3], [11, 1, 23, 0]]]]), 2)
    array([[[[5., 7.]]]])
    """
    x, windows = _arguments("avg_pool_forward", x, window, stride, padding, 1)
    include_padding = _flag("avg_pool_forward", include_padding)
    dtype = _mean_dtype(x.dtype)
    sums = np.zeros((*x.shape[:2], *windows.out), working_dtype(dtype))
    for outputs, inputs in windows.taps():
        sums[outputs] += x[inputs]
    return np.asarray(sums / _counts(windows, include_padding)).astype(dtype, copy=False)


def avg_pool_backward(
    dy: ArrayLike, x: ArrayLike, window: PerAxis, *,
    stride: PerAxis | None = None, padding: Padding = 0, include_padding: bool = False,
) -> Array:  # fmt: skip
    """Gradient of an error E with respect to the x of `avg_pool_forward`, given dy = ∂E/∂y [POOL-B2].

    Each dy, divided by its count, goes to every element of its window; what lands on padding is dropped.

    Parameters
    ----------
    dy : array (N, C, *O)
        ∂E/∂y, shaped like the output of `avg_pool_forward`.
    x, window, stride, padding, include_padding
        As given to `avg_pool_forward`; of x only the shape matters.

    Returns
    -------
    dx : array (N, C, *D)
        dy's dtype; integers become float64.

    Raises
    ------
    TypeError, ValueError
        As `avg_pool_forward`; a dy of another shape than the output is a ValueError [POOL-C4].

    Notes
    -----
    Source: spec/pooling.md; the transpose of the linear map `avg_pool_forward`.

    Examples
    --------
    >>> avg_pool_backward(np.array([[[[4, 8]]]]), np.zeros((1, 1, 2, 4)), 2)
    array([[[[1., 1., 2., 2.],
             [1., 1., 2., 2.]]]])
    """
    x, windows = _arguments("avg_pool_backward", x, window, stride, padding, 1)
    include_padding = _flag("avg_pool_backward", include_padding)
    dy = _upstream("avg_pool_backward", dy, x, windows)
    dtype = _mean_dtype(dy.dtype)
    share = dy.astype(working_dtype(dtype), copy=False) / _counts(windows, include_padding)
    dx = np.zeros(x.shape, working_dtype(dtype))
    for outputs, inputs in windows.taps():
        dx[inputs] += share[outputs]
    return dx.astype(dtype, copy=False)


def _arguments(
    function: str, x: ArrayLike, window: PerAxis, stride: PerAxis | None, padding: Padding, dilation: PerAxis
) -> tuple[Array, Windows]:
    x = number_array(function, "x", x)
    if x.ndim < 3 or 0 in x.shape[1:]:
        raise ValueError(
            f"{function}: x must be (N, C, *D) with at least one spatial axis and no empty one, "
            f"has shape {x.shape} [POOL-C1]"
        )
    kernel = positive(function, "window", window, x.ndim - 2, "POOL-C2")
    windows = Windows.of(function, x.shape[2:], kernel, kernel if stride is None else stride, padding, dilation)
    if any(max(p) >= s for p, s in zip(windows.pads, windows.spans)) or not all(
        i.any(axis=1).all() for i in windows.inside
    ):
        raise ValueError(
            f"{function}: padding must be smaller than the window, and no window may lie in it alone; "
            f"pads are {windows.pads}, windows span {windows.spans} [POOL-C3]"
        )
    return native(x), windows


def _flag(function: str, value: object) -> bool:
    if not isinstance(value, bool | np.bool_):
        raise TypeError(f"{function}: include_padding must be True or False, is {value!r} [POOL-C6]")
    return bool(value)


def _upstream(function: str, dy: ArrayLike, x: Array, windows: Windows) -> Array:
    dy = number_array(function, "dy", dy)
    shape(function, "dy", dy, (*x.shape[:2], *windows.out), "the shape of the forward pass's output", "POOL-C4")
    return native(dy)


def _largest(function: str, x: Array, windows: Windows) -> tuple[Array, Array]:
    """The maximum of each window, and the number, from 1, of the tap that it is first found at, both (N, C, *O)."""
    if x.dtype.kind == "c":
        raise TypeError(f"{function}: x is {x.dtype}, and complex numbers have no order [POOL-C5]")
    y = np.zeros((*x.shape[:2], *windows.out), x.dtype)
    # In as few bytes as the numbers need; 0 is no tap yet.
    winner = np.zeros(y.shape, np.min_scalar_type(math.prod(windows.kernel)))
    with np.errstate(invalid="ignore"):  # of which bfloat16 would warn, comparing NaN
        for number, (outputs, inputs) in enumerate(windows.taps(), 1):
            # The tap is read three times: packed, it is faster.
            best, found, tap = y[outputs], winner[outputs], x[inputs].copy()
            # NaN is not larger than anything, but it is the maximum; what differs from itself is NaN.
            better = (found == 0) | (~(tap <= best) & (best == best))  # noqa: PLR0124  # so it works for objects too
            y[outputs] = np.where(better, tap, best)
            winner[outputs] = np.maximum(found, better * winner.dtype.type(number))
    return y, winner


def _counts(windows: Windows, include_padding: bool) -> Array | int:
    """How many elements each window averages, (*O)."""
    if include_padding:
        return math.prod(windows.kernel)
    return np.asarray(reduce(np.multiply.outer, (i.sum(axis=1) for i in windows.inside)))


def _mean_dtype(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """As NumPy's true division: integers become float64."""
    return np.dtype(np.float64) if dtype.kind in "iu" else dtype
