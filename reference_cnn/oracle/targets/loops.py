"""The formulas of the specification as explicit loops: slow, and too plain to be wrong in a clever way.

Written from spec/*.md, and sharing nothing with the layers but the dtype to compute in.
"""

import math
from itertools import product
from typing import Any, NamedTuple

import numpy as np

from reference_cnn._validate import Array, working_dtype


def conv_forward(
    x: Array,
    w: Array,
    b: Array | None = None,
    *,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> Array:
    """z[n, f, o] = b[f] + Σ_{c, k} w[f, c, k] · x[n, g·C/groups + c, o·stride + k·dilation − before]."""
    axes = _axes(x.shape[2:], w.shape[2:], stride, padding, dilation)
    work = working_dtype(np.result_type(x, w))
    image, kernel, z = x.astype(work), w.astype(work), np.zeros((len(x), len(w), *(a.out for a in axes)), work)
    for n, f, c, o, k, i in _terms(len(x), w, axes, groups):
        z[(n, f, *o)] += kernel[(f, c % w.shape[1], *k)] * image[(n, c, *i)]
    if b is not None:
        for f in range(len(w)):
            z[:, f] += b[f]
    return z.astype(np.result_type(x, w))


def conv_backward(
    dz: Array, x: Array, w: Array, *, stride: Any = 1, padding: Any = 0, dilation: Any = 1, groups: int = 1
) -> tuple[Array, Array, Array]:
    """Each product in `conv_forward` is differentiated by each of its factors, and times dz."""
    axes = _axes(x.shape[2:], w.shape[2:], stride, padding, dilation)
    work = working_dtype(np.result_type(dz, x, w))
    dx, dw, db = np.zeros(x.shape, work), np.zeros(w.shape, work), np.zeros(len(w), work)
    d, image, kernel = dz.astype(work), x.astype(work), w.astype(work)
    for n, f, c, o, k, i in _terms(len(x), w, axes, groups):
        dx[(n, c, *i)] += d[(n, f, *o)] * kernel[(f, c % w.shape[1], *k)]
        dw[(f, c % w.shape[1], *k)] += d[(n, f, *o)] * image[(n, c, *i)]
    for n, f, *o in np.ndindex(dz.shape):
        db[f] += d[(n, f, *o)]
    return dx.astype(dz.dtype), dw.astype(dz.dtype), db.astype(dz.dtype)


class _Axis(NamedTuple):
    """One spatial axis: sizes of input and output, stride, dilation, padding before."""

    size: int
    out: int
    stride: int
    dilation: int
    before: int


def _axes(size: Any, kernel: Any, stride: Any, padding: Any, dilation: Any) -> list[_Axis]:
    """Read the options axis by axis; the output is counted, start by start."""
    axes = []
    for a, (i, k) in enumerate(zip(size, kernel)):
        s, d, p = (o[a] if isinstance(o, tuple) else o for o in (stride, dilation, padding))
        span = d * (k - 1) + 1
        if padding == "same":
            total = max((math.ceil(i / s) - 1) * s + span - i, 0)
            p = (total // 2, total - total // 2)
        before, after = (0, 0) if padding == "valid" else p if isinstance(p, tuple) else (p, p)
        starts = [start for start in range(-before, i + after, s) if start + span <= i + after]
        axes.append(_Axis(i, len(starts), s, d, before))
    return axes


def _terms(images: int, w: Array, axes: list[_Axis], groups: int) -> Any:
    """Yield n, f, c (of x), o, k and the position i of x, for every product whose i lies inside x."""
    filters, channels = w.shape[:2]
    outputs = list(np.ndindex(*(a.out for a in axes)))
    for n, f, c in np.ndindex(images, filters, channels):
        for o, k in product(outputs, np.ndindex(w.shape[2:])):
            i = tuple(p * a.stride + t * a.dilation - a.before for p, t, a in zip(o, k, axes))
            if all(0 <= j < a.size for j, a in zip(i, axes)):
                yield n, f, f // (filters // groups) * channels + c, o, k, i


def dense_forward(x: Array, w: Array, b: Array | None = None) -> Array:
    """z[n, j] = b[j] + Σ_i x[n, i] · w[i, j]."""
    work = working_dtype(np.result_type(x, w))
    rows, weights, z = x.astype(work), w.astype(work), np.zeros((len(x), w.shape[1]), work)
    for n, i, j in np.ndindex(len(x), *w.shape):
        z[n, j] += rows[n, i] * weights[i, j]
    return (z if b is None else z + b.astype(work)).astype(np.result_type(x, w))


def dense_backward(dz: Array, x: Array, w: Array) -> tuple[Array, Array, Array]:
    """dx[n, i] = Σ_j dz[n, j] · w[i, j]; dw[i, j] = Σ_n x[n, i] · dz[n, j]; db[j] = Σ_n dz[n, j]."""
    work = working_dtype(np.result_type(dz, x, w))
    dx, dw, db = np.zeros(x.shape, work), np.zeros(w.shape, work), np.zeros(w.shape[1], work)
    d, rows, weights = dz.astype(work), x.astype(work), w.astype(work)
    for n, i, j in np.ndindex(len(x), *w.shape):
        dx[n, i] += d[n, j] * weights[i, j]
        dw[i, j] += rows[n, i] * d[n, j]
    for n, j in np.ndindex(dz.shape):
        db[j] += d[n, j]
    return dx.astype(dz.dtype), dw.astype(dz.dtype), db.astype(dz.dtype)


def sigmoid(z: Array) -> Array:
    """1/(1 + exp(−z)) where exp cannot overflow, else exp(z)/(1 + exp(z)), number by number."""
    return np.array([_logistic(float(v)) for v in z.flat]).reshape(z.shape).astype(z.dtype)


def sigmoid_prime(z: Array) -> Array:
    """sigmoid(z) · sigmoid(−z), number by number."""
    return np.array([_logistic(float(v)) * _logistic(-float(v)) for v in z.flat]).reshape(z.shape).astype(z.dtype)


def _logistic(v: float) -> float:
    return 1 / (1 + math.exp(-v)) if v >= 0 else math.exp(v) / (1 + math.exp(v))


def max_pool_forward(x: Array, window: Any, *, stride: Any = None, padding: Any = 0, dilation: Any = 1) -> Array:
    """y[n, c, o] = max_k x[n, c, o·stride + k·dilation − before]."""
    y = np.empty((*x.shape[:2], *(a.out for a in _pool_axes(x, window, stride, padding, dilation))), x.dtype)
    for n, c, o, places in _pools(x, window, stride, padding, dilation):
        y[(n, c, *o)] = max(x[(n, c, *i)] for i in places)
    return y


def max_pool_backward(
    dy: Array, x: Array, window: Any, *, stride: Any = None, padding: Any = 0, dilation: Any = 1
) -> Array:
    """Each dy to the first of the largest elements of its window."""
    dx = np.zeros(x.shape, working_dtype(dy.dtype))
    for n, c, o, places in _pools(x, window, stride, padding, dilation):
        largest = max(x[(n, c, *i)] for i in places)
        first = next(i for i in places if x[(n, c, *i)] == largest)
        dx[(n, c, *first)] += dy[(n, c, *o)]
    return dx.astype(dy.dtype)


def avg_pool_forward(
    x: Array, window: Any, *, stride: Any = None, padding: Any = 0, include_padding: bool = False
) -> Array:
    """y[n, c, o] = Σ_k x[n, c, o·stride + k − before] / count."""
    work = x.astype(working_dtype(x.dtype))
    y = np.empty((*x.shape[:2], *(a.out for a in _pool_axes(x, window, stride, padding, 1))), work.dtype)
    for n, c, o, places in _pools(x, window, stride, padding, 1):
        count = math.prod(_window(x, window)) if include_padding else len(places)
        y[(n, c, *o)] = sum(work[(n, c, *i)] for i in places) / count
    return y.astype(x.dtype)


def avg_pool_backward(
    dy: Array, x: Array, window: Any, *, stride: Any = None, padding: Any = 0, include_padding: bool = False
) -> Array:
    """Each dy/count to every element of its window."""
    dx, work = np.zeros(x.shape, working_dtype(dy.dtype)), dy.astype(working_dtype(dy.dtype))
    for n, c, o, places in _pools(x, window, stride, padding, 1):
        count = math.prod(_window(x, window)) if include_padding else len(places)
        for i in places:
            dx[(n, c, *i)] += work[(n, c, *o)] / count
    return dx.astype(dy.dtype)


def _window(x: Array, window: Any) -> tuple[int, ...]:
    return window if isinstance(window, tuple) else (window,) * (x.ndim - 2)


def _pool_axes(x: Array, window: Any, stride: Any, padding: Any, dilation: Any) -> list[_Axis]:
    return _axes(x.shape[2:], _window(x, window), window if stride is None else stride, padding, dilation)


def _pools(x: Array, window: Any, stride: Any, padding: Any, dilation: Any) -> Any:
    """Yield n, c, o and the positions of x, in C order, that the window at o reads."""
    axes = _pool_axes(x, window, stride, padding, dilation)
    for n, c, *o in np.ndindex(*x.shape[:2], *(a.out for a in axes)):
        places = [
            tuple(p * a.stride + t * a.dilation - a.before for p, t, a in zip(o, k, axes))
            for k in np.ndindex(_window(x, window))
        ]
        yield n, c, o, [i for i in places if all(0 <= j < a.size for j, a in zip(i, axes))]
