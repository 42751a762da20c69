"""Convolution backwards with windows in any place, right or wrong, for the mistakes that no other call expresses."""

from typing import Any, Literal

import numpy as np

from reference_cnn._validate import Array
from reference_cnn._windows import Windows
from reference_cnn.oracle.mistakes.entry import Options

# Per spatial axis, which element of the input tap k of window o reads: (O, K).
Places = list[Array]


def windows(x: Array, w: Array, o: Options) -> Windows:
    """Where the windows of a call lie."""
    return Windows.of(
        "mistake", x.shape[2:], w.shape[2:], o.get("stride", 1), o.get("padding", 0), o.get("dilation", 1)
    )


def places(win: Windows, stride: Any = None, dilation: Any = None, kernel: Any = None) -> Places:
    """Elements that the taps read, with another stride or dilation if so asked."""
    return [
        np.add.outer(np.arange(n) * s, np.arange(k) * d) - before
        for n, k, s, d, (before, _) in zip(
            win.out, kernel or win.kernel, stride or win.stride, dilation or win.dilation, win.pads
        )
    ]


def correlated(dz: Array, x: Array, groups: int, where: Places) -> Array:
    """Gradients of a kernel for windows in these places; an element outside the image counts as 0."""
    rank, taps = len(where), x.astype(np.float64)
    for axis, i in enumerate(where):
        taps = np.take(taps, i.clip(0, x.shape[2 + axis] - 1), axis=2 + 2 * axis)
        inside = (i >= 0) & (i < x.shape[2 + axis])
        taps = taps * inside.reshape(*i.shape, *[1] * (rank - 1 - axis))
    taps = taps.reshape(len(x), groups, -1, *taps.shape[2:])
    d = dz.astype(np.float64).reshape(len(dz), groups, -1, *dz.shape[2:])
    outputs, kernel = "opqrst"[:rank], "hijklm"[:rank]
    both = "".join(o + k for o, k in zip(outputs, kernel))
    dw: Array = np.einsum(f"ngf{outputs},ngc{both}->gfc{kernel}", d, taps)
    return dw.reshape(-1, *dw.shape[2:]).astype(dz.dtype)


def scattered(
    dz: Array, x: Array, w: Array, groups: int, where: Places, *, order: Literal["window", "tap", None] = None
) -> Array:
    """Gradients of images for windows in these places, added, or overwritten in the order of windows or of taps."""
    d = dz.astype(np.float64).reshape(len(dz), groups, -1, *dz.shape[2:])
    kernel = w.astype(np.float64).reshape(groups, -1, *w.shape[1:])
    dx: Array = np.zeros(x.shape)
    taps = list(np.ndindex(w.shape[2:]))
    # The last window that covers an element reaches it with its first tap: taps in reverse order overwrite alike.
    for k in taps if order == "tap" else taps[::-1]:
        part = np.einsum("ngf...,gfc->ngc...", d, kernel[(..., *k)]).reshape(len(dz), -1, *dz.shape[2:])
        columns = [i[:, t] for i, t in zip(where, k)]
        inside = [np.flatnonzero((c >= 0) & (c < size)) for c, size in zip(columns, x.shape[2:])]
        target: Any = (slice(None), slice(None), *np.ix_(*(c[i] for c, i in zip(columns, inside))))
        read: Any = (slice(None), slice(None), *np.ix_(*inside))
        dx[target] = part[read] if order else dx[target] + part[read]
    return dx.astype(dz.dtype)
