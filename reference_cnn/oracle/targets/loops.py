"""The formulas of the specification as explicit loops: slow, and too plain to be wrong in a clever way.

Written from spec/*.md, and sharing nothing with the layers but the dtype to compute in.
"""

import math
from collections.abc import Iterable, Sequence
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
    for output, tap, pixel in _terms(len(x), w, axes, groups):
        z[output] += kernel[tap] * image[pixel]
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
    for output, tap, pixel in _terms(len(x), w, axes, groups):
        dx[pixel] += d[output] * kernel[tap]
        dw[tap] += d[output] * image[pixel]
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
    """Yield the indices [n, f, o] of z, [f, c, k] of w and [n, g·C/groups + c, i] of x of every product inside x."""
    filters, channels = w.shape[:2]
    places = []
    for o, k in product(np.ndindex(*(a.out for a in axes)), np.ndindex(w.shape[2:])):
        i = tuple(p * a.stride + t * a.dilation - a.before for p, t, a in zip(o, k, axes))
        if all(0 <= j < a.size for j, a in zip(i, axes)):
            places.append((o, k, i))
    for n, f, c in np.ndindex(images, filters, channels):
        for o, k, i in places:
            yield (n, f, *o), (f, c, *k), (n, f // (filters // groups) * channels + c, *i)


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
        y[(n, c, *o)] = _largest(x[(n, c, *i)] for i in places)
    return y


def _largest(values: Iterable[Any]) -> Any:
    """The first of the largest; NaN, which differs from itself, is larger than anything."""
    found = None
    for value in values:
        if found is None or value > found or value != value:  # noqa: PLR0124  # what NaN is known by
            found = value
        if found != found:  # noqa: PLR0124
            return found
    return found


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
    axes, windows = _pool_axes(x, window, stride, padding, dilation), []
    for o in np.ndindex(*(a.out for a in axes)):
        places = [
            tuple(p * a.stride + t * a.dilation - a.before for p, t, a in zip(o, k, axes))
            for k in np.ndindex(_window(x, window))
        ]
        windows.append((o, [i for i in places if all(0 <= j < a.size for j, a in zip(i, axes))]))
    for n, c in np.ndindex(x.shape[:2]):
        for o, places in windows:
            yield n, c, o, places


def relu(z: Array) -> Array:
    """The larger of z and 0, number by number."""
    return np.array([0 if v <= 0 else v for v in z.flat], z.dtype).reshape(z.shape)


def relu_prime(z: Array) -> Array:
    """1 where z is above 0, else 0, number by number."""
    return np.array([int(v > 0) for v in z.flat]).reshape(z.shape).astype(z.dtype)


def softmax(z: Array) -> Array:
    """exp(z_i) / Σ_j exp(z_j), row by row, with the largest z taken from all."""
    a = np.array([p for row in z.reshape(-1, z.shape[-1]) for p in _softmax([float(v) for v in row])])
    return a.reshape(z.shape).astype(z.dtype)


def softmax_backward(da: Array, a: Array) -> Array:
    """dz_i = Σ_j da_j · a_j · (δ_ij − a_i), row by row."""
    work = working_dtype(da.dtype)
    rows, upstream = (v.astype(work).reshape(-1, a.shape[-1]).tolist() for v in (a, da))
    dz = [
        [sum(d * p * ((i == j) - q) for j, (d, p) in enumerate(zip(above, row))) for i, q in enumerate(row)]
        for above, row in zip(upstream, rows)
    ]
    return np.array(dz, work).reshape(a.shape).astype(da.dtype)


def squared_error(o: Array, y: Array) -> Array:
    """Σ (y − o)² / 2, term by term."""
    work = working_dtype(o.dtype)
    total = np.zeros((), work)
    for p, q in zip(o.astype(work).flat, y.astype(work).flat):
        total = total + (q - p) * (q - p) / 2
    return total.astype(o.dtype)


def squared_error_prime(o: Array, y: Array) -> Array:
    """O − y, number by number."""
    return np.array([p - q for p, q in zip(o.flat, y.flat)], o.dtype).reshape(o.shape)


def cross_entropy(z: Array, labels: Array) -> Array:
    """Σ_n (log Σ_j exp(z_nj) − z_n,label), with the largest z taken from all."""
    total = 0.0
    for row, label in zip(z.astype(float), labels):
        top = max(row)
        total += math.log(sum(math.exp(v - top) for v in row)) + top - row[label]
    return np.asarray(total).astype(z.dtype)


def cross_entropy_prime(z: Array, labels: Array) -> Array:
    """softmax(z), less 1 at the label, row by row."""
    dz = [[p - (j == label) for j, p in enumerate(_softmax(row))] for row, label in zip(z.astype(float), labels)]
    return np.array(dz).reshape(z.shape).astype(z.dtype)


def _softmax(row: Sequence[float]) -> list[float]:
    top = max(row)
    e = [math.exp(v - top) for v in row]
    total = sum(e)
    return [v / total for v in e]
