"""Layers with one mistake each, as people write them: loops and patches, nothing that the catalogue is made of."""

from collections.abc import Callable
from typing import Any

import numpy as np
from strategies import Array

from reference_cnn import conv_backward, conv_forward, dense_backward, softmax

Function = Callable[..., Any]


def patches(x: Array, height: int, width: int) -> Array:
    """One row of (C, height, width) numbers for each window, (N, rows, columns, …)."""
    rows, columns = x.shape[2] - height + 1, x.shape[3] - width + 1
    found = np.zeros((len(x), rows, columns, x.shape[1] * height * width))
    for i in range(rows):
        for j in range(columns):
            found[:, i, j] = x[:, :, i : i + height, j : j + width].reshape(len(x), -1)
    return found


def product_in_blocks(x: Array, w: Array) -> Array:
    columns, kernel, block = patches(x, *w.shape[2:]), w.reshape(len(w), -1), 16
    z = np.zeros((*columns.shape[:3], len(w)))
    for k in range(max(kernel.shape[1] // block, 1)):
        z += columns[..., k * block : (k + 1) * block] @ kernel[:, k * block : (k + 1) * block].T
    return np.moveaxis(z, -1, 1)


def output_in_tiles(x: Array, w: Array) -> Array:
    whole = conv_forward(x, w)
    z = np.zeros_like(whole)
    for i in range(whole.shape[2] // 4):
        for j in range(whole.shape[3] // 4):
            tile = (..., slice(4 * i, 4 * i + 4), slice(4 * j, 4 * j + 4))
            z[tile] = whole[tile]
    return z


def return_in_the_loop(x: Array, w: Array) -> Array:
    z = np.zeros((len(x), len(w), x.shape[2] - w.shape[2] + 1, x.shape[3] - w.shape[3] + 1))
    for n in range(len(x)):
        z[n] = conv_forward(x[n : n + 1], w)[0]
        return z
    return z


def patches_reshaped(x: Array, w: Array) -> Array:
    columns = patches(x, *w.shape[2:])
    n, rows, columns_out, size = columns.shape
    return (columns.reshape(-1, size) @ w.reshape(len(w), -1).T).reshape(n, len(w), rows, columns_out)


def same_without_dilation(x: Array, w: Array, *, padding: str = "valid", dilation: int = 1) -> Array:
    if not isinstance(padding, str):
        raise TypeError(padding)
    total = [k - 1 if padding == "same" else 0 for k in w.shape[2:]]
    padded = np.pad(x, ((0, 0), (0, 0), *((t // 2, t - t // 2) for t in total)))
    return conv_forward(padded, w, dilation=dilation)


def bias_within_the_group(x: Array, w: Array, b: Any = None, *, groups: int = 1) -> Array:
    z = conv_forward(x, w, groups=groups)
    each = len(w) // groups
    for f in range(len(w) if b is not None else 0):
        z[:, f] += b[f % each]
    return z


def weights_first(dz: Array, x: Array, w: Array) -> tuple[Array, ...]:
    dx, dw, db = dense_backward(dz, x, w)
    return dw, db, dx


def kernel_reshaped(dz: Array, x: Array, w: Array) -> tuple[Array, ...]:
    _, dw, db = conv_backward(dz, x, w)
    height, width = w.shape[2:]
    padded = np.pad(dz, ((0, 0), (0, 0), (height - 1, height - 1), (width - 1, width - 1)))
    return conv_forward(padded, w[:, :, ::-1, ::-1].reshape(w.shape[1], len(w), height, width)), dw, db


def last_filter(dz: Array, x: Array, w: Array) -> tuple[Array, ...]:
    dx, dw, db = conv_backward(dz, x, w)
    for f in range(len(w)):
        dx = conv_backward(dz[:, f : f + 1], x, w[f : f + 1]).dx
    return dx, dw, db


def strides_exchanged(dz: Array, x: Array, w: Array, *, stride: Any = 1) -> tuple[Array, ...]:
    _, dw, db = conv_backward(dz, x, w, stride=stride)
    down, right = stride if isinstance(stride, tuple) else (stride, stride)
    room = 9 * max(x.shape[2:])  # for wherever a wrong stride leads
    dx = np.zeros((*x.shape[:2], room, room))
    for i, j in np.ndindex(dz.shape[2:]):
        part = np.einsum("nf,fcij->ncij", dz[:, :, i, j], w)
        dx[:, :, i * right : i * right + w.shape[2], j * down : j * down + w.shape[3]] += part
    return dx[:, :, : x.shape[2], : x.shape[3]], dw, db


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


def uncropped(dy: Array, x: Array, window: int, *, stride: int | None = None, padding: int = 0) -> Array:
    step = stride or window
    padded = np.pad(x, ((0, 0), (0, 0), (padding, padding), (padding, padding)), constant_values=-np.inf)
    dx = np.zeros(padded.shape)
    for n, c, i, j in np.ndindex(dy.shape):
        part = padded[n, c, i * step : i * step + window, j * step : j * step + window]
        row, column = np.unravel_index(part.argmax(), part.shape)
        dx[n, c, i * step + row, j * step + column] += dy[n, c, i, j]
    return dx[:, :, : x.shape[2], : x.shape[3]]


def labels_in_every_row(z: Array, labels: Array) -> Array:
    p = softmax(z)
    p[:, labels] -= 1
    return p


def ratio(z: Array) -> Array:
    e = np.exp(z)
    return np.asarray(e / (1 + e))


def derivative_by_tanh(z: Array) -> Array:
    a = 0.5 + 0.5 * np.tanh(z / 2)
    return a * (1 - a)


BY_HAND: list[tuple[str, Function, str]] = [
    ("conv_forward", product_in_blocks, "sum-tail"),
    ("conv_forward", output_in_tiles, "output-tail"),
    ("conv_forward", return_in_the_loop, "one-image-only"),
    ("conv_forward", patches_reshaped, "reshaped-output"),
    ("conv_forward", same_without_dilation, "same-dilation-1"),
    ("conv_forward", bias_within_the_group, "bias-of-first-group"),
    ("dense_backward", weights_first, "gradient-order"),
    ("conv_backward", kernel_reshaped, "dx-reshaped-kernel"),
    ("conv_backward", last_filter, "dx-overwrite"),
    ("conv_backward", strides_exchanged, "stride-axis"),
    ("max_pool_backward", taken_apart_by_height, "pool-argmax-side"),
    ("max_pool_backward", uncropped, "dx-crop"),
    ("max_pool_forward", rounded_up, "pool-rounded-up"),
    ("max_pool_forward", dense_taps, "pool-ignored-dilation"),
    ("avg_pool_backward", one_without_stride, "pool-default-stride"),
    ("cross_entropy_prime", labels_in_every_row, "labels-of-all"),
    ("sigmoid", ratio, "sigmoid-ratio"),
    ("sigmoid_prime", derivative_by_tanh, "sigmoid-by-tanh"),
]
