"""Convolution with windows in any place, right or wrong, for the mistakes that no other call expresses."""

from collections.abc import Callable
from typing import Any, Literal

import numpy as np

from reference_cnn._validate import Array
from reference_cnn._windows import Windows
from reference_cnn.oracle.mistakes.entry import Options

# Per spatial axis, which element of the input tap k of window o reads: (O, K).
Places = list[Array]

# What crops an axis of a padded gradient wrongly, given the size that is left and the pads: a slice.
CROPS: tuple[Callable[[int, tuple[int, int]], slice], ...] = (
    lambda size, p: slice(p[1], p[1] + size),
    lambda size, p: slice(None),
    lambda size, p: slice(p[0], -p[1]),
    lambda size, p: slice(0, size),
)
# The letters of output axes and of the kernel's.
OUTPUTS, KERNEL = "opqrst", "hijklm"


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


def _read(x: Array, groups: int, where: Places) -> tuple[Array, str]:
    """What windows in these places read, (N, groups, C/groups, O, K, …), and the letters of the last axes.

    An element outside the image counts as 0.
    """
    rank, taps = len(where), x.astype(np.float64)
    for axis, i in enumerate(where):
        taps = np.take(taps, i.clip(0, x.shape[2 + axis] - 1), axis=2 + 2 * axis)
        inside = (i >= 0) & (i < x.shape[2 + axis])
        taps = taps * inside.reshape(*i.shape, *[1] * (rank - 1 - axis))
    letters = "".join(o + k for o, k in zip(OUTPUTS[:rank], KERNEL))
    return taps.reshape(len(x), groups, -1, *taps.shape[2:]), letters


def convolved(x: Array, w: Array, b: Any, groups: int, where: Places) -> Array:
    """The forward pass for windows in these places."""
    taps, letters = _read(x, groups, where)
    kernel = w.astype(np.float64).reshape(groups, -1, *w.shape[1:])
    outputs = OUTPUTS[: len(where)]
    z: Array = np.einsum(f"ngc{letters},gfc{KERNEL[: len(where)]}->ngf{outputs}", taps, kernel)
    z = z.reshape(len(x), len(w), *z.shape[3:])
    return (z if b is None else z + b.reshape(-1, *[1] * len(where))).astype(x.dtype)


def correlated(dz: Array, x: Array, groups: int, where: Places) -> Array:
    """Gradients of a kernel for windows in these places."""
    taps, letters = _read(x, groups, where)
    d = dz.astype(np.float64).reshape(len(dz), groups, -1, *dz.shape[2:])
    rank = len(where)
    dw: Array = np.einsum(f"ngf{OUTPUTS[:rank]},ngc{letters}->gfc{KERNEL[:rank]}", d, taps)
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
