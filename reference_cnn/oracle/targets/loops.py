"""The formulas of the specification as explicit loops: slow, and too plain to be wrong in a clever way.

Written from spec/*.md, and sharing nothing with the layers but the dtype to compute in.
"""

import math
from collections.abc import Iterable, Iterator, Sequence
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
    out = (len(x), len(w), *(a.out for a in axes))
    image, kernel, z = _maps(x, work), _maps(w, work), _zeros(out, work)
    places = _places(axes, w.shape[2:])
    for n, f, c, g in _channels(len(x), w, groups):
        outputs, taps, pixels = z[n][f], kernel[f][c], image[n][g]
        for o, k, i in places:
            outputs[o] += taps[k] * pixels[i]
    if b is not None:
        for n, f in np.ndindex(out[:2]):
            z[n][f] = [number + b[f] for number in z[n][f]]
    return _array(z, out, np.result_type(x, w))


def conv_backward(
    dz: Array, x: Array, w: Array, *, stride: Any = 1, padding: Any = 0, dilation: Any = 1, groups: int = 1
) -> tuple[Array, Array, Array]:
    """Each product in `conv_forward` is differentiated by each of its factors, and times dz."""
    axes = _axes(x.shape[2:], w.shape[2:], stride, padding, dilation)
    work = working_dtype(np.result_type(dz, x, w))
    d, image, kernel = _maps(dz, work), _maps(x, work), _maps(w, work)
    dx, dw, db = _zeros(x.shape, work), _zeros(w.shape, work), np.zeros(len(w), work)
    places = _places(axes, w.shape[2:])
    for n, f, c, g in _channels(len(x), w, groups):
        errors, taps, pixels, to_taps, to_pixels = d[n][f], kernel[f][c], image[n][g], dw[f][c], dx[n][g]
        for o, k, i in places:
            to_pixels[i] += errors[o] * taps[k]
            to_taps[k] += errors[o] * pixels[i]
    for n, f in np.ndindex(dz.shape[:2]):
        for error in d[n][f]:
            db[f] += error
    return _array(dx, x.shape, dz.dtype), _array(dw, w.shape, dz.dtype), db.astype(dz.dtype)


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


def _maps(array: Array, dtype: Any) -> list[list[list[Any]]]:
    """The numbers of each map, of an image or a filter, one after the other: a list is read faster than an array."""
    return [[list(numbers.ravel()) for numbers in maps] for maps in array.astype(dtype)]


def _zeros(shape: tuple[int, ...], dtype: Any) -> list[list[list[Any]]]:
    return _maps(np.zeros(shape, int), dtype)  # of integers, so that exact numbers stay exact


def _array(maps: list[list[list[Any]]], shape: tuple[int, ...], dtype: Any) -> Array:
    return np.array([numbers for image in maps for numbers in image]).reshape(shape).astype(dtype)


def _channels(images: int, w: Array, groups: int) -> Iterator[tuple[int, int, int, int]]:
    """Image n, filter f, channel c of w, and the channel of x that it belongs to: g·C/groups + c."""
    filters, channels = w.shape[:2]
    for n, f, c in np.ndindex(images, filters, channels):
        yield n, f, c, f // (filters // groups) * channels + c


def _places(axes: list[_Axis], kernel: Any) -> list[tuple[int, int, int]]:
    """The numbers of output, tap and pixel, each counted row by row, of every product inside the image."""
    pixels = {i: number for number, i in enumerate(np.ndindex(*(a.size for a in axes)))}
    places = []
    for o, output in enumerate(np.ndindex(*(a.out for a in axes))):
        for k, tap in enumerate(np.ndindex(kernel)):
            i = tuple(p * a.stride + t * a.dilation - a.before for p, t, a in zip(output, tap, axes))
            if i in pixels:
                places.append((o, k, pixels[i]))
    return places


def dense_forward(x: Array, w: Array, b: Array | None = None) -> Array:
    """z[n, j] = b[j] + Σ_i x[n, i] · w[i, j]."""
    work = working_dtype(np.result_type(x, w))
    rows, weights = ([list(row) for row in matrix.astype(work)] for matrix in (x, w))
    z = np.zeros((len(x), w.shape[1]), work)
    for n, j in np.ndindex(z.shape):
        for i, number in enumerate(rows[n]):
            z[n, j] += number * weights[i][j]
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
    windows, out = _windows(x, window, stride, padding, dilation)
    y = [
        [[_largest(pixels[i] for i in places) for places in windows] for pixels in image] for image in _maps(x, x.dtype)
    ]
    return _array(y, out, x.dtype)


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
    windows, _ = _windows(x, window, stride, padding, dilation)
    work = working_dtype(dy.dtype)
    d, image, dx = _maps(dy, work), _maps(x, x.dtype), _zeros(x.shape, work)
    for n, c in np.ndindex(x.shape[:2]):
        errors, pixels, to_pixels = d[n][c], image[n][c], dx[n][c]
        for o, places in enumerate(windows):
            largest = max(pixels[i] for i in places)
            to_pixels[next(i for i in places if pixels[i] == largest)] += errors[o]
    return _array(dx, x.shape, dy.dtype)


def avg_pool_forward(
    x: Array, window: Any, *, stride: Any = None, padding: Any = 0, include_padding: bool = False
) -> Array:
    """y[n, c, o] = Σ_k x[n, c, o·stride + k − before] / count."""
    windows, out = _windows(x, window, stride, padding, 1)
    whole = math.prod(_sizes(x, window)) if include_padding else 0
    y = [
        [[sum(pixels[i] for i in places) / (whole or len(places)) for places in windows] for pixels in image]
        for image in _maps(x, working_dtype(x.dtype))
    ]
    return _array(y, out, x.dtype)


def avg_pool_backward(
    dy: Array, x: Array, window: Any, *, stride: Any = None, padding: Any = 0, include_padding: bool = False
) -> Array:
    """Each dy/count to every element of its window."""
    windows, _ = _windows(x, window, stride, padding, 1)
    whole = math.prod(_sizes(x, window)) if include_padding else 0
    work = working_dtype(dy.dtype)
    d, dx = _maps(dy, work), _zeros(x.shape, work)
    for n, c in np.ndindex(x.shape[:2]):
        for error, places in zip(d[n][c], windows):
            for i in places:
                dx[n][c][i] += error / (whole or len(places))
    return _array(dx, x.shape, dy.dtype)


def _sizes(x: Array, window: Any) -> tuple[int, ...]:
    return window if isinstance(window, tuple) else (window,) * (x.ndim - 2)


def _windows(
    x: Array, window: Any, stride: Any, padding: Any, dilation: Any
) -> tuple[list[list[int]], tuple[int, ...]]:
    """The numbers of the pixels that the window of each output reads, and the shape of all outputs."""
    sizes = _sizes(x, window)
    axes = _axes(x.shape[2:], sizes, window if stride is None else stride, padding, dilation)
    out = tuple(a.out for a in axes)
    windows: list[list[int]] = [[] for _ in range(math.prod(out))]
    for o, _, i in _places(axes, sizes):
        windows[o].append(i)
    return windows, (*x.shape[:2], *out)


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
