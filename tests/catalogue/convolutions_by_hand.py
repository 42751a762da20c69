"""Convolutions with one mistake each, as people write them: nothing that the catalogue is made of."""

from collections.abc import Callable
from typing import Any

import numpy as np
from strategies import Array

from reference_cnn import conv_backward, conv_forward

Function = Callable[..., Any]


def naive_forward(x: Any, w: Any, *, flip: bool) -> Any:
    """A true convolution, or a correlation, by loops that share nothing with the catalogue."""
    height, width = (i - k + 1 for i, k in zip(x.shape[2:], w.shape[2:]))
    z = np.zeros((len(x), len(w), height, width))
    for i, j in np.ndindex(w.shape[2:]):
        tap = w[:, :, -1 - i, -1 - j] if flip else w[:, :, i, j]
        z += np.einsum("nchw,fc->nfhw", x[:, :, i : i + height, j : j + width], tap)
    return z


def last_image(dz: Any, x: Any, w: Any) -> Any:
    dw = np.zeros(w.shape)
    for image, errors in zip(x, dz):
        for i, j in np.ndindex(w.shape[2:]):
            piece = image[:, i : i + dz.shape[2], j : j + dz.shape[3]]
            dw[:, :, i, j] = np.einsum("fhw,chw->fc", errors, piece)
    return {"dw": dw}


def bias_in_the_loop(x: Any, w: Any, b: Any = None) -> Any:
    z = np.zeros((len(x), len(w), *(i - k + 1 for i, k in zip(x.shape[2:], w.shape[2:]))))
    for i, j in np.ndindex(w.shape[2:]):
        z += np.einsum("nchw,fc->nfhw", x[:, :, i : i + z.shape[2], j : j + z.shape[3]], w[:, :, i, j])
        z += 0 if b is None else b[:, None, None]
    return z


def one_column_less(x: Any, w: Any) -> Any:
    return naive_forward(x, np.concatenate([w[..., :-1], 0 * w[..., -1:]], axis=-1), flip=False)


def taps_assigned(dz: Any, x: Any, w: Any) -> Any:
    dx = np.zeros(x.shape)
    for i, j in np.ndindex(w.shape[2:]):
        dx[:, :, i : i + dz.shape[2], j : j + dz.shape[3]] = np.einsum("nfhw,fc->nchw", dz, w[:, :, i, j])
    return {"dx": dx}


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


# The function, how somebody wrote it, and the mistake in it.
CONVOLUTIONS: list[tuple[str, Function, str]] = [
    ("conv_forward", lambda x, w: naive_forward(x, w, flip=True), "flipped-kernel"),
    ("conv_forward", lambda x, w: naive_forward(x, w.transpose(0, 1, 3, 2), flip=False), "transposed-kernel"),
    ("conv_forward", bias_in_the_loop, "bias-per-tap"),
    ("conv_forward", one_column_less, "short-kernel-loop"),
    (
        "conv_forward",
        lambda x, w, *b, **o: conv_forward(x.astype(np.float32).astype(x.dtype), w, *b, **o),
        "narrow-arithmetic",
    ),
    ("conv_forward", product_in_blocks, "sum-tail"),
    ("conv_forward", output_in_tiles, "output-tail"),
    ("conv_forward", return_in_the_loop, "one-image-only"),
    ("conv_forward", patches_reshaped, "reshaped-output"),
    ("conv_forward", same_without_dilation, "same-dilation-1"),
    ("conv_forward", bias_within_the_group, "bias-of-first-group"),
    ("conv_backward", last_image, "dw-last-image"),
    ("conv_backward", taps_assigned, "dx-overwrite"),
    ("conv_backward", kernel_reshaped, "dx-reshaped-kernel"),
    ("conv_backward", last_filter, "dx-overwrite"),
    ("conv_backward", strides_exchanged, "stride-axis"),
]
