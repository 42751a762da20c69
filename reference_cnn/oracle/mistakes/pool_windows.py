"""Mistakes in where the windows of a pooling lie."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np

from reference_cnn._validate import Array
from reference_cnn._windows import Index, Windows
from reference_cnn.oracle.mistakes.entry import Implementation, Mistake, Options, Wrap
from reference_cnn.oracle.mistakes.geometry import CROPS
from reference_cnn.oracle.mistakes.pooling import interior, shared, tap_values, windows

FORWARDS = ("max_pool_forward", "avg_pool_forward")
Back = Callable[[Array, Array, Windows, Options], Array]


def _reads(x: Array, win: Windows) -> Array:
    """What each tap reads, numbered, (|K|, N, C, *O), with −∞ for padding."""
    return tap_values(x.astype(np.float64), win, -np.inf).reshape(-1, *x.shape[:2], *win.out)


def _to_the_largest(dy: Array, x: Array, win: Windows, o: Options) -> Array:
    """The gradient of the padded image: each dy to the first maximum of its window."""
    whole, _ = win.padded(x.shape, np.float64)
    view, winner = win.view(whole, writeable=True), _reads(x, win).argmax(axis=0)
    for number, k in enumerate(np.ndindex(win.kernel)):
        view[k] += np.where(winner == number, dy, 0)
    return whole


BACK: dict[str, Back] = {"max_pool_backward": _to_the_largest, "avg_pool_backward": shared}


def _gradient(back: Back, change: Callable[[Windows, Options], Windows]) -> Wrap:
    """The gradient for windows elsewhere, as many as dy has."""

    def wrap(below: Implementation) -> Implementation:
        def wrong(dy: Array, x: Array, window: Any, **o: Any) -> Array:
            win = windows(x, window, o)
            return interior(back(dy, x, change(win, o), o), win).astype(dy.dtype)

        return wrong

    return wrap


def _cropped(back: Back, crop: Callable[[int, tuple[int, int]], slice]) -> Wrap:
    """The gradient of the padded image, cropped otherwise."""

    def wrap(below: Implementation) -> Implementation:
        def wrong(dy: Array, x: Array, window: Any, **o: Any) -> Array:
            win = windows(x, window, o)
            inside: Index = (..., *(crop(i, p) for i, p in zip(win.size, win.pads)))
            return back(dy, x, win, o)[inside].astype(dy.dtype)

        return wrong

    return wrap


# For the mistake that convolutions have too.
POOLED_CROPS = {name: tuple(_cropped(back, crop) for crop in CROPS) for name, back in BACK.items()}


def _stride_one(below: Implementation) -> Implementation:
    return lambda *a, **o: below(*a, **{**o, "stride": 1 if o.get("stride") is None else o["stride"]})


def _one_without_stride(win: Windows, o: Options) -> Windows:
    return win._replace(stride=(1,) * len(win.stride)) if o.get("stride") is None else win


def _neighbours(win: Windows, o: Options) -> Windows:
    return win._replace(dilation=(1,) * len(win.dilation))


def _undilated(below: Implementation) -> Implementation:
    def wrong(x: Array, window: Any, **o: Any) -> Array:
        reads = _reads(x, _neighbours(windows(x, window, o), o))
        return np.asarray(reads.max(axis=0)).astype(x.dtype)

    return wrong


def _without_dilation(below: Implementation) -> Implementation:
    return lambda *a, **o: below(*a, **{**o, "dilation": 1})


def _rounded_up(below: Implementation, *, always: bool = False) -> Implementation:
    """One window more where something is left, if it begins in the image or before it, or always."""

    def more(win: Windows) -> Iterator[tuple[int, int]]:
        for size, (before, after), span, step, out in zip(win.size, win.pads, win.spans, win.stride, win.out):
            missing = -(size + before + after - span) % step
            yield before, after + (missing if missing and (always or out * step < size + before) else 0)

    def wrong(x: Array, window: Any, **o: Any) -> Any:
        return below(x, window, **{**o, "padding": tuple(more(windows(x, window, o)))})

    return wrong


def _divided_by_height(below: Implementation, *, roomy: bool = False) -> Implementation:
    """The number of the largest element is taken apart by the wrong side; what lies outside raises, if not roomy."""

    def wrong(dy: Array, x: Array, window: Any, **o: Any) -> Array:
        win = windows(x, window, o)
        winner = _reads(x, win).argmax(axis=0)
        tap = np.unravel_index(winner, win.kernel[::-1])
        where = [
            np.arange(out).reshape(-1, *[1] * (len(win.out) - 1 - axis)) * step + k * gap
            for axis, (out, step, k, gap) in enumerate(zip(win.out, win.stride, tap, win.dilation))
        ]
        room = tuple(i + sum(p) + roomy * max(win.kernel) ** 2 * max(win.dilation) for i, p in zip(win.size, win.pads))
        whole = np.zeros((*x.shape[:2], *room))
        images, channels = np.ix_(*map(np.arange, x.shape[:2]))
        n, c = (a.reshape(*a.shape, *[1] * len(win.out)) for a in (images, channels))
        np.add.at(whole, tuple(np.broadcast_arrays(n, c, *where)), dy)
        return interior(whole, win).astype(dy.dtype)

    return wrong


POOL_WINDOWS = (
    Mistake(
        "pool-default-stride",
        "Without a stride your windows move by one element, not by their size.",
        "stride=None stands for the size of the window.",
        "calls with a stride, windows of one element",
        {
            **dict.fromkeys(FORWARDS, (_stride_one,)),
            **{name: (_stride_one, _gradient(back, _one_without_stride)) for name, back in BACK.items()},
        },
    ),
    Mistake(
        "pool-ignored-dilation",
        "You ignore the dilation: the taps of a window are neighbours.",
        "Tap k reads element o·stride + k·dilation.",
        "dilation 1; windows of one element",
        {
            "max_pool_forward": (_undilated, _without_dilation),
            "max_pool_backward": (_gradient(_to_the_largest, _neighbours),),
        },
    ),
    Mistake(
        "pool-rounded-up",
        "You round the number of windows up (ceil_mode): the last one hangs over the end of the image.",
        "There are (size + pads − dilation·(window − 1) − 1) // stride + 1 windows: what no whole one reads is left.",
        "windows that end where the padded image ends",
        dict.fromkeys(FORWARDS, (_rounded_up, partial(_rounded_up, always=True))),
    ),
    Mistake(
        "pool-argmax-side",
        "You take the number of the largest element apart by the wrong side of the window: its height, not its width.",
        "row, column = divmod(number, width), or np.unravel_index(number, window).",
        "square windows",
        {"max_pool_backward": (_divided_by_height, partial(_divided_by_height, roomy=True))},
    ),
)
