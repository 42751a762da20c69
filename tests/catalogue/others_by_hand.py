"""Other layers with one mistake each, as people write them: nothing that the catalogue is made of."""

from collections.abc import Callable
from typing import Any

import numpy as np
from scipy.special import log_softmax
from strategies import Array

from reference_cnn import (
    avg_pool_backward,
    avg_pool_forward,
    dense_backward,
    max_pool_backward,
    max_pool_forward,
    sigmoid,
    softmax,
)

Function = Callable[..., Any]


def summing_integers(x: Any, w: Any, b: Any = None) -> Any:
    z = np.zeros((len(x), w.shape[1]), dtype=int)
    z[...] = x @ w if b is None else x @ w + b
    return z


def mean_of_errors(dz: Any, x: Any, w: Any) -> Any:
    d = dz / len(dz)
    return {"dx": dz @ w.T, "dw": x.T @ d, "db": d.sum(axis=0)}


def masks_assigned(dy: Any, x: Any, window: int, stride: int | None = None) -> Any:
    dx, step = np.zeros(x.shape), stride or window
    for n, c, i, j in np.ndindex(dy.shape):
        rows, columns = (slice(k * step, k * step + window) for k in (i, j))
        part = x[n, c, rows, columns]
        dx[n, c, rows, columns] = (part == part.max()) * dy[n, c, i, j]
    return dx


def argmax_of_padded(fill: float, *, cropped: bool = True) -> Any:
    def max_pool_backward(dy: Any, x: Any, window: int, *, padding: int = 0, stride: int | None = None) -> Any:
        padded = np.pad(x, ((0, 0), (0, 0), (padding, padding), (padding, padding)), constant_values=fill)
        dx, step = np.zeros(padded.shape), stride or window
        for n, c, i, j in np.ndindex(dy.shape):
            part = padded[n, c, i * step : i * step + window, j * step : j * step + window]
            row, column = np.unravel_index(part.argmax(), part.shape)
            dx[n, c, i * step + row, j * step + column] += dy[n, c, i, j]
        start = padding if cropped else 0
        return dx[:, :, start : start + x.shape[2], start : start + x.shape[3]]

    return max_pool_backward


def running_maximum(start: float, *, place: bool) -> Any:
    """From `start`, which has a place in the window from the beginning, or none."""

    def max_pool_backward(dy: Any, x: Any, window: int, *, stride: int | None = None) -> Any:
        dx, step = np.zeros(x.shape), stride or window
        for n, c, i, j in np.ndindex(dy.shape):
            best, where = start, (i * step, j * step) if place else None
            for row, column in np.ndindex(window, window):
                if x[n, c, i * step + row, j * step + column] > best:
                    where = (i * step + row, j * step + column)
                    best = x[n, c, *where]
            if where:
                dx[n, c, *where] += dy[n, c, i, j]
        return dx

    return max_pool_backward


def lowest(start: float) -> Any:
    def largest(x: Any, window: int, *, stride: int | None = None) -> Any:
        views = np.lib.stride_tricks.sliding_window_view(x, (window, window), (2, 3))
        step = stride or window
        return views[:, :, ::step, ::step].max(axis=(4, 5), initial=start)

    return largest


def max_pool_backward_of_averages(dy: Any, x: Any, window: Any, stride: Any = None) -> Any:
    return max_pool_backward(dy, x, window, stride=stride)


def sums(x: Any, window: int, stride: int | None = None) -> Any:
    step = stride or window
    views = np.lib.stride_tricks.sliding_window_view(x, (window, window), (2, 3))[:, :, ::step, ::step]
    return views.sum(axis=(4, 5))


def safe_softmax(z: Any) -> Any:
    e = np.exp(z - z.max(axis=-1, keepdims=True))
    return e / (e.sum(axis=-1, keepdims=True) + 1e-8)


def weights_first(dz: Array, x: Array, w: Array) -> tuple[Array, ...]:
    dx, dw, db = dense_backward(dz, x, w)
    return dw, db, dx


def taken_apart_by_height(dy: Array, x: Array, window: Any, *, stride: Any = None) -> Array:
    height, width = window if isinstance(window, tuple) else (window, window)
    down, right = (height, width) if stride is None else stride if isinstance(stride, tuple) else (stride, stride)
    dx = np.zeros(x.shape)
    for n, c, i, j in np.ndindex(dy.shape):
        k = int(x[n, c, i * down : i * down + height, j * right : j * right + width].argmax())
        dx[n, c, i * down + k // height, j * right + k % height] += dy[n, c, i, j]
    return dx


def rounded_up(x: Array, window: int, *, stride: int | None = None) -> Array:
    step = stride or window
    rows, columns = (
        out - ((out - 1) * step >= size) for size in x.shape[2:] for out in [-(-(size - window) // step) + 1]
    )
    y = np.zeros((*x.shape[:2], rows, columns))
    for i, j in np.ndindex(rows, columns):
        y[:, :, i, j] = x[:, :, i * step : i * step + window, j * step : j * step + window].max((2, 3))
    return y


def dense_taps(x: Array, window: int, *, stride: int | None = None, dilation: int = 1) -> Array:
    step, span = stride or window, dilation * (window - 1) + 1
    rows, columns = ((size - span) // step + 1 for size in x.shape[2:])
    y = np.zeros((*x.shape[:2], rows, columns))
    for i, j in np.ndindex(rows, columns):
        y[:, :, i, j] = x[:, :, i * step : i * step + window, j * step : j * step + window].max((2, 3))
    return y


def one_without_stride(dy: Array, x: Array, window: int, *, stride: int = 1) -> Array:
    dx = np.zeros(x.shape)
    for i, j in np.ndindex(dy.shape[2:]):
        part = dx[:, :, i * stride : i * stride + window, j * stride : j * stride + window]
        part += (dy[:, :, i, j] / window**2)[:, :, None, None]
    return dx


def labels_in_every_row(z: Array, labels: Array) -> Array:
    p = softmax(z)
    p[:, labels] -= 1
    return p


def given_logits(da: Array, z: Array) -> Array:
    a = np.exp(z) / np.exp(z).sum(axis=-1, keepdims=True)
    jacobians = a[..., None] * (np.eye(a.shape[-1]) - a[..., None, :])
    return np.asarray(np.einsum("...i,...ij->...j", da, jacobians))


def quotients_of_exponentials(z: Array, labels: Array) -> Array:
    p = np.exp(z)
    p /= p.sum(axis=1, keepdims=True)
    p[range(len(p)), labels] -= 1
    return p


def ratio(z: Array) -> Array:
    e = np.exp(z)
    return np.asarray(e / (1 + e))


def derivative_by_tanh(z: Array) -> Array:
    a = 0.5 + 0.5 * np.tanh(z / 2)
    return a * (1 - a)


# The function, how somebody wrote it, and the mistake in it.
OTHERS: list[tuple[str, Function, str]] = [
    ("dense_forward", summing_integers, "integer-output"),
    ("dense_forward", lambda x, w, b=0: x @ w - b, "subtracted-bias"),
    ("dense_forward", lambda x, w, b=0: np.maximum(x @ w + b, 0), "activated"),
    ("dense_backward", mean_of_errors, "mean-over-batch"),
    ("dense_backward", lambda dz, x, w: {"dx": dz @ w, "dw": x.T @ dz}, "dense-untransposed"),
    ("dense_backward", lambda dz, x, w: {"dx": dz @ w.T, "dw": x.T @ dz, "db": dz.sum(1)}, "db-neurons"),
    ("dense_backward", weights_first, "gradient-order"),
    ("dense_backward", lambda dz, x, w: (dz @ w.T, x.T @ dz / len(x), dz.sum(axis=0)), "dw-mean"),
    ("dense_backward", lambda dz, x, w: (dz @ w.T, x.T @ dz, dz.sum(axis=0, keepdims=True)), "db-kept-axes"),
    ("max_pool_forward", lowest(-9999), "pool-finite-init"),
    ("max_pool_forward", lowest(-1), "pool-finite-init"),
    ("max_pool_forward", lambda x, window, **o: -max_pool_forward(-x, window, **o), "pool-minimum"),
    ("max_pool_forward", rounded_up, "pool-rounded-up"),
    ("max_pool_forward", dense_taps, "pool-ignored-dilation"),
    ("max_pool_backward", masks_assigned, "pool-mask"),
    ("max_pool_backward", argmax_of_padded(0), "pool-zero-pad"),
    ("max_pool_backward", argmax_of_padded(-1e9), "pool-finite-init"),
    ("max_pool_backward", argmax_of_padded(-np.inf, cropped=False), "dx-crop"),
    ("max_pool_backward", running_maximum(0, place=False), "pool-small-init"),
    ("max_pool_backward", running_maximum(0, place=True), "pool-small-init"),
    ("max_pool_backward", taken_apart_by_height, "pool-argmax-side"),
    (
        "max_pool_backward",
        lambda dy, x, window, stride=None: avg_pool_backward(dy, x, window, stride=stride),
        "pool-kind",
    ),
    ("avg_pool_forward", sums, "pool-sum"),
    ("avg_pool_backward", max_pool_backward_of_averages, "pool-kind"),
    ("avg_pool_backward", one_without_stride, "pool-default-stride"),
    *(
        (name, lambda *a, f=f, by=by, **o: f(*a, **{**o, "include_padding": by}), f"{named}divisor")
        for name, f, named in (
            ("avg_pool_forward", avg_pool_forward, "pool-"),
            ("avg_pool_backward", avg_pool_backward, "pool-backward-"),
        )
        for by in (False, True)
    ),
    ("sigmoid", lambda z: 0.5 * (np.tanh(0.5 * z) + 1), "sigmoid-by-tanh"),
    ("sigmoid", lambda z: sigmoid(np.clip(z, -30, 30)), "sigmoid-clip"),
    ("sigmoid", lambda z: sigmoid(z.astype(np.float32)).astype(z.dtype), "narrow-arithmetic"),
    ("sigmoid", ratio, "sigmoid-ratio"),
    ("sigmoid_prime", lambda z: z - z * z, "prime-of-input"),
    ("sigmoid_prime", lambda z: 1 / np.cosh(z) ** 2, "tanh-for-sigmoid"),
    ("sigmoid_prime", derivative_by_tanh, "sigmoid-by-tanh"),
    ("relu", lambda z: np.where(z < 0, z / 100, z), "relu-leaky"),
    ("relu_prime", np.sign, "relu-absolute"),
    ("softmax", safe_softmax, "added-epsilon"),
    ("softmax", lambda z: np.exp(z - z.max()) / np.exp(z - z.max()).sum(), "softmax-all"),
    ("softmax_backward", lambda da, a: da - (a * da).sum(-1)[..., None], "softmax-unweighted"),
    ("softmax_backward", lambda da, a: a * da, "softmax-no-sum"),
    ("softmax_backward", given_logits, "softmax-of-output"),
    ("squared_error", lambda o, y: np.linalg.norm(o - y), "root-of-squares"),
    (
        "cross_entropy",
        lambda z, labels: -np.log(np.maximum(softmax(z)[np.arange(len(z)), labels], 1e-15)).sum(),
        "added-epsilon",
    ),
    (
        "cross_entropy",
        lambda z, labels: -log_softmax(z, -1)[np.arange(len(z)), labels].sum() / np.log(2),
        "log-base",
    ),
    (
        "cross_entropy",
        lambda z, labels: sum(np.log(sum(np.exp(row))) - row[k] for row, k in zip(z, labels)),
        "softmax-no-max",
    ),
    ("cross_entropy_prime", labels_in_every_row, "labels-of-all"),
    ("cross_entropy_prime", quotients_of_exponentials, "softmax-no-max"),
]
