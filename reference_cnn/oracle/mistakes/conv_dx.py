"""Mistakes in the gradient of a convolution's input."""

from collections.abc import Callable
from functools import partial
from typing import Literal

import numpy as np

from reference_cnn._validate import Array
from reference_cnn._windows import Index, Windows
from reference_cnn.oracle.mistakes.entry import Backward, Change, Mistake, Options, Wrap, gradients
from reference_cnn.oracle.mistakes.geometry import places, scattered, windows


def _conv(dx: Change) -> dict[str, tuple[Wrap, ...]]:
    return {"conv_backward": (gradients(dx=dx),)}


def _groups(o: Options) -> int:
    return int(o.get("groups", 1))


def _flip(w: Array) -> Array:
    return np.flip(w, tuple(range(2, w.ndim)))


def _dx_stride(call: Backward) -> Array:
    win = windows(call.x, call.w, call.options)
    return scattered(call.dz, call.x, call.w, _groups(call.options), places(win, stride=(1,) * len(win.stride)))


def _dx_dilation(call: Backward) -> Array:
    win = windows(call.x, call.w, call.options)
    return scattered(call.dz, call.x, call.w, _groups(call.options), places(win, dilation=(1,) * len(win.dilation)))


def _dx_overwrite(call: Backward, order: Literal["window", "tap"] = "window") -> Array:
    win = windows(call.x, call.w, call.options)
    return scattered(call.dz, call.x, call.w, _groups(call.options), places(win), order=order)


def _dx_overwrite_filters(call: Backward) -> Array:
    """Of the filters, too, the last alone is kept."""
    w, per_group = call.w, len(call.w) // _groups(call.options)
    last = (np.arange(len(w)) % per_group == per_group - 1).reshape(-1, *[1] * (w.ndim - 1))
    return _dx_overwrite(call._replace(w=np.where(last, w, 0).astype(w.dtype)))


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
        "In dx you have the kernel the wrong way round: turned by 180° where it should not be, or the reverse.",
        "Add dz[o]·w[k] to dx[o + k], w as it is; only a full correlation of dz needs it turned by 180°.",
        "1×1 kernels, and kernels that look the same turned by 180°",
        _conv(dx=lambda call: call.again(w=_flip(call.w)).dx),
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
                for change in (_dx_overwrite, _dx_overwrite_filters, partial(_dx_overwrite, order="tap"))
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
            "conv_backward": (
                _cropped(lambda size, p: slice(p[1], p[1] + size)),
                _cropped(lambda size, p: slice(None)),
                _cropped(lambda size, p: slice(p[0], -p[1])),
                _cropped(lambda size, p: slice(0, size)),
            )
        },
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
