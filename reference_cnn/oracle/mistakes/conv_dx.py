"""Mistakes in the gradient of a convolution's input."""

from collections.abc import Callable
from functools import partial
from typing import Literal

import numpy as np

from reference_cnn._validate import Array
from reference_cnn._windows import Index, Windows
from reference_cnn.oracle.mistakes.entry import Backward, Change, Mistake, Options, Wrap, gradients, merged
from reference_cnn.oracle.mistakes.geometry import CROPS, places, scattered, windows
from reference_cnn.oracle.mistakes.pool_windows import POOLED_CROPS


def _conv(dx: Change) -> dict[str, tuple[Wrap, ...]]:
    return {"conv_backward": (gradients(dx=dx),)}


def _groups(o: Options) -> int:
    return int(o.get("groups", 1))


def _flip(w: Array) -> Array:
    return np.flip(w, tuple(range(2, w.ndim)))


def _turned(quarters: int) -> dict[str, tuple[Wrap, ...]]:
    """By 90°, where there are two axes to turn."""

    def turned(w: Array) -> Array:
        return np.rot90(w, quarters, (-2, -1)) if w.ndim > 3 else w

    return _conv(dx=lambda call: call.again(w=turned(call.w)).dx)


def _dx_stride(call: Backward) -> Array:
    win = windows(call.x, call.w, call.options)
    return scattered(call.dz, call.x, call.w, _groups(call.options), places(win, stride=(1,) * len(win.stride)))


def _dx_dilation(call: Backward) -> Array:
    win = windows(call.x, call.w, call.options)
    return scattered(call.dz, call.x, call.w, _groups(call.options), places(win, dilation=(1,) * len(win.dilation)))


def _dx_overwrite(call: Backward, order: Literal["window", "tap"] = "window") -> Array:
    win = windows(call.x, call.w, call.options)
    return scattered(call.dz, call.x, call.w, _groups(call.options), places(win), order=order)


def _last_filters(call: Backward) -> Array:
    """The kernel with zeros but in the last filter of each group."""
    w, per_group = call.w, len(call.w) // _groups(call.options)
    last = (np.arange(len(w)) % per_group == per_group - 1).reshape(-1, *[1] * (w.ndim - 1))
    return np.where(last, w, 0).astype(w.dtype)


def _dx_of_last_filters(call: Backward) -> Array:
    return np.asarray(call.again(w=_last_filters(call)).dx)


def _dx_overwrite_filters(call: Backward) -> Array:
    """Of the filters, too, the last alone is kept."""
    return _dx_overwrite(call._replace(w=_last_filters(call)))


def _dx_reshaped_kernel(call: Backward) -> Array:
    """In each group, filters and channels are exchanged by counting anew."""
    groups, (filters, channels, *space) = _groups(call.options), call.w.shape
    counted = call.w.reshape(groups, channels, filters // groups, *space)
    return np.asarray(call.again(w=counted.swapaxes(1, 2).reshape(call.w.shape)).dx)


def _whole(call: Backward) -> tuple[Array, Windows]:
    """The gradient of the padded image, before it is cropped."""
    win = windows(call.x, call.w, call.options)
    padded = np.pad(call.x, ((0, 0), (0, 0), *win.pads))
    return call.again(x=padded, options={**call.options, "padding": 0}).dx, win


def _cropped(part: Callable[[int, tuple[int, int]], slice]) -> Wrap:
    """Crop each axis of the padded gradient to part(size, (before, after))."""

    def dx(call: Backward) -> Array:
        whole, win = _whole(call)
        inside: Index = (..., *(part(i, p) for i, p in zip(win.size, win.pads)))
        return np.asarray(whole[inside])

    return gradients(dx=dx)


def _tail(win: Windows) -> tuple[int, ...]:
    """How many elements at the end of each axis no window reads."""
    return tuple((i + sum(p) - e) % s for i, p, e, s in zip(win.size, win.pads, win.spans, win.stride))


def _dx_without_tail(call: Backward) -> Array:
    dx, win = call.answer.dx, windows(call.x, call.w, call.options)
    return np.asarray(dx[(..., *(slice(0, i - t) for i, t in zip(win.size, _tail(win))))])


def _dx_shifted_by_tail(call: Backward) -> Array:
    """The zeros of the unread tail come before instead of after."""
    whole, win = _whole(call)
    rolled = np.roll(whole, _tail(win), tuple(range(2, whole.ndim)))
    inside: Index = (..., *(slice(b, b + i) for i, (b, _) in zip(win.size, win.pads)))
    return np.asarray(rolled[inside])


INPUT_GRADIENT = (
    Mistake(
        "dx-unrotated",
        "In dx you have the kernel the wrong way round: turned by 180° where it should not be, the reverse, or by 90°.",
        "Add dz[o]·w[k] to dx[o + k], w as it is; only a full correlation of dz needs it turned by 180°.",
        "1×1 kernels, and kernels that look the same turned by 180°",
        merged(_conv(dx=lambda call: call.again(w=_flip(call.w)).dx), *map(_turned, (1, -1))),
        ("DeepLearnToolbox#41",),
    ),
    Mistake(
        "dx-stride",
        "In dx your window of output o starts at o, not at o·stride.",
        "Add dz[o]·w[k] to dx[o·stride + k·dilation − before]; a convolution needs stride − 1 zeros between errors.",
        "stride 1",
        _conv(dx=_dx_stride),
        ("candle#633",),
    ),
    Mistake(
        "dx-ignored-dilation",
        "In dx you ignore the dilation: the taps of a window are neighbours.",
        "Add dz[o]·w[k] to dx[o·stride + k·dilation − before].",
        "dilation 1",
        _conv(dx=_dx_dilation),
    ),
    Mistake(
        "dx-overwrite",
        "In dx you overwrite where windows overlap, or from filter to filter.",
        "Use += : every window that covers an element, and every filter, adds to its gradient.",
        "a stride no smaller than the window, and one filter",
        {
            "conv_backward": tuple(
                gradients(dx=change)
                for change in (
                    *(_dx_overwrite, _dx_overwrite_filters, partial(_dx_overwrite, order="tap")),
                    _dx_of_last_filters,
                )
            )
        },
        ("cunn#71✓",),
    ),
    Mistake(
        "dx-crop",
        "You crop the padding off dx wrongly: at the wrong side, not at all, or with [p:-p], which is empty for p = 0.",
        "Crop to [before : before + size] on each axis.",
        "as much padding before as after; no padding (not cropped); padding on every side ([p:-p])",
        {
            "conv_backward": tuple(map(_cropped, CROPS)),
            **POOLED_CROPS,
        },
    ),
    Mistake(
        "dx-reshaped-kernel",
        "In dx you reshape the kernel from (F, C, …) to (C, F, …) where the axes have to be exchanged.",
        "Use w.swapaxes(0, 1), in each group by itself; reshape only counts its numbers anew.",
        "one filter, or one channel",
        _conv(dx=_dx_reshaped_kernel),
    ),
    Mistake(
        "dx-tail",
        "Where the stride does not divide, no window reads the end of x: there your dx is too short, or shifted.",
        "Give dx the size of x; the unread end has gradient 0.",
        "a last window that ends where the padded image ends",
        {"conv_backward": (gradients(dx=_dx_without_tail), gradients(dx=_dx_shifted_by_tail))},
        ("backpack#30✓", "FlagGems#1576✓"),
    ),
)
