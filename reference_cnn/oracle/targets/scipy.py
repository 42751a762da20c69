"""Convolution in two dimensions by `scipy.signal.correlate2d` and `convolve2d`, sigmoid by `scipy.special.expit`."""

from typing import Any

import numpy as np
from scipy.signal import convolve2d, correlate2d
from scipy.special import expit

from reference_cnn._validate import Array
from reference_cnn._windows import Windows


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
    """Correlate each channel of each padded image with each dilated kernel; keep every stride-th result."""
    windows, padded = _prepare(x, w, stride, padding, dilation)
    z = np.zeros((len(x), len(w), *windows.out), x.dtype)
    for n, f, c, own in _pairs(len(x), w, groups):
        full = correlate2d(padded[n, c], _spread(w[f, own], windows.dilation), mode="valid")
        z[n, f] += full[:: windows.stride[0], :: windows.stride[1]]
    return z if b is None else z + b[:, None, None]


def conv_backward(
    dz: Array, x: Array, w: Array, *, stride: Any = 1, padding: Any = 0, dilation: Any = 1, groups: int = 1
) -> tuple[Array, Array, Array]:
    """With dz spread by the stride: dw correlates the image with it, dx convolves it with the kernel."""
    windows, padded = _prepare(x, w, stride, padding, dilation)
    dpadded, dw = np.zeros_like(padded), np.zeros_like(w)
    for n, f, c, own in _pairs(len(x), w, groups):
        spread = _spread(dz[n, f], windows.stride)
        kernel = _spread(w[f, own], windows.dilation)
        rows, columns = (slice(s + k - 1) for s, k in zip(spread.shape, kernel.shape))
        dpadded[n, c, rows, columns] += convolve2d(spread, kernel)
        full = correlate2d(padded[n, c, rows, columns], spread, mode="valid")
        dw[f, own] += full[:: windows.dilation[0], :: windows.dilation[1]]
    (top, _), (left, _) = windows.pads
    dx = dpadded[:, :, top : top + x.shape[2], left : left + x.shape[3]]
    return dx, dw, dz.sum(axis=(0, 2, 3))


def sigmoid(z: Array) -> Array:
    """scipy.special.expit."""
    return np.asarray(expit(z))


def _prepare(x: Array, w: Array, stride: Any, padding: Any, dilation: Any) -> tuple[Windows, Array]:
    if x.ndim != 4 or x.dtype not in (np.float32, np.float64):
        raise NotImplementedError("correlate2d: two spatial axes, float32 and float64")
    windows = Windows.of("scipy", x.shape[2:], w.shape[2:], stride, padding, dilation)
    padded = np.pad(x, ((0, 0), (0, 0), *windows.pads))
    return windows, padded


def _spread(a: Array, gaps: tuple[int, ...]) -> Array:
    """Put gaps − 1 zeros between neighbours."""
    spread = np.zeros([(n - 1) * g + 1 for n, g in zip(a.shape, gaps)], a.dtype)
    spread[:: gaps[0], :: gaps[1]] = a
    return spread


def _pairs(images: int, w: Array, groups: int) -> list[tuple[int, int, int, int]]:
    """Image, filter, channel of x, and channel of w, for all that meet."""
    filters, channels = w.shape[:2]
    own_group = filters // groups
    return [(n, f, f // own_group * channels + c, c) for n, f, c in np.ndindex(images, filters, channels)]
