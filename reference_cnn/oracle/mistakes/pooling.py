"""Mistakes in pooling."""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from reference_cnn._validate import Array
from reference_cnn._windows import Index, Windows
from reference_cnn.oracle.mistakes.entry import Implementation, Mistake, Options, Wrap, answering

# What people take for −∞: the lowest numbers of 16, 32 bits and of float32 among it.
LOW = (
    *(-1e9, -1, -100, -999, -1e3, -9999, -1e4, -65504, -1e5, -1e6, -(2.0**31), -1e10, -1e38),
    -float(np.finfo(np.float32).max),
)


def windows(x: Array, window: Any, o: Options) -> Windows:
    """Where the windows of a call lie."""
    kernel = (window,) * (x.ndim - 2) if np.ndim(window) == 0 else tuple(window)
    stride = kernel if o.get("stride") is None else o["stride"]
    return Windows.of("mistake", x.shape[2:], kernel, stride, o.get("padding", 0), o.get("dilation", 1))


def tap_values(x: Array, win: Windows, fill: float) -> Array:
    """What each tap reads, (*K, N, C, *O), with `fill` for padding."""
    whole, inside = win.padded(x.shape, x.dtype)
    whole[...] = fill
    inside[...] = x
    return win.view(whole)


def pooled(x: Array, window: Any, o: Options, fill: float) -> tuple[Array, tuple[int, ...]]:
    """What each tap reads, (*K, N, C, *O), with `fill` for padding; and which axes are the window's."""
    win = windows(x, window, o)
    return tap_values(x, win, fill), tuple(range(len(win.kernel)))


def counted(win: Windows, o: Options) -> Array:
    """How many elements each window has, (1, 1, *O): those of x, or with the padding if that is to be counted."""
    ones = tap_values(np.ones((1, 1, *win.size)), win, float(o.get("include_padding", False)))
    return np.asarray(ones.sum(axis=tuple(range(len(win.kernel)))))


def elements(x: Array, window: Any, o: Options) -> Array:
    """The same for the windows of a call."""
    return counted(windows(x, window, o), o)


def _padded_with(below: Implementation, fill: float = 0) -> Implementation:
    def wrong(x: Array, window: Any, **o: Any) -> Array:
        taps, axes = pooled(x, window, o, fill)
        return np.asarray(taps.max(axis=axes))

    return wrong


def _at_least(lowest: float) -> Wrap:
    return answering(lambda y, *a, **o: np.maximum(y, np.asarray(lowest, y.dtype)))


def _lost(*, fill: float = 0, padding: bool = False, ties: bool = False) -> Wrap:
    """A gradient of no element where a number wins that is none: all of it that is larger, or as large and before.

    The number is where the maximum starts, or stands in the padding only. With ties, those as large lose nothing.
    """

    def wrap(below: Implementation) -> Implementation:
        def wrong(dy: Array, x: Array, window: Any, **o: Any) -> Array:
            reads, axes = pooled(x, window, o, -np.inf)
            largest = reads.max(axis=axes)
            lost = largest < fill if ties else largest <= fill
            if padding:
                flat = pooled(x, window, o, fill)[0].reshape(-1, *dy.shape)
                outside = pooled(np.zeros_like(x), window, o, 1)[0].reshape(flat.shape) == 1
                first = np.take_along_axis(outside, flat.argmax(axis=0)[None], axis=0)[0]
                lost &= first
            return np.asarray(below(np.where(lost, 0, dy), x, window, **o))

        return wrong

    return wrap


def _first_if_none(below: Implementation) -> Implementation:
    """Where no element is above the 0 that the maximum starts from, the place is still the first of the window."""

    def wrong(dy: Array, x: Array, window: Any, **o: Any) -> Array:
        win = windows(x, window, o)
        whole, inside = win.padded(x.shape, np.float64)
        reads = tap_values(x, win, -np.inf)
        none = reads.max(axis=tuple(range(len(win.kernel)))) <= 0
        win.view(whole, writeable=True)[(0,) * len(win.kernel)] += np.where(none, dy, 0)
        return np.asarray(below(np.where(none, 0, dy), x, window, **o) + inside.astype(dy.dtype))

    return wrong


def shared(dy: Array, x: Array, win: Windows, o: Options) -> Array:
    """The gradient of the padded image: each dy in equal parts to what its window, anywhere, reads."""
    whole, _ = win.padded(x.shape, np.float64)
    targets, share = win.view(whole, writeable=True), dy.astype(np.float64) / np.maximum(counted(win, o), 1)
    for k in np.ndindex(win.kernel):
        targets[k] += share
    return whole


def interior(whole: Array, win: Windows) -> Array:
    """What of the padded image is the image."""
    inside: Index = (..., *(slice(p, p + i) for i, (p, _) in zip(win.size, win.pads)))
    return np.asarray(whole[inside])


def spread(dy: Array, x: Array, window: Any, o: Options) -> Array:
    """Gradients of an average, for windows that may be dilated too."""
    win = windows(x, window, o)
    return interior(shared(dy, x, win, o), win).astype(dy.dtype)


def _all_ties(below: Implementation) -> Implementation:
    def wrong(dy: Array, x: Array, window: Any, **o: Any) -> Array:
        win = windows(x, window, o)
        whole, inside = win.padded(x.shape, np.float64)
        targets, taps = win.view(whole, writeable=True), tap_values(x.astype(np.float64), win, -np.inf)
        top = taps.max(axis=tuple(range(len(win.kernel))))
        for k in np.ndindex(win.kernel):
            targets[k] += np.where(taps[k] == top, dy.astype(np.float64), 0)
        return inside.astype(dy.dtype)

    return wrong


def _overwriting_max(below: Implementation, *, whole: bool = False, ties: bool = False) -> Implementation:
    """Windows in order; where one gives dy to its maximum, what that had is lost, or what its whole window had."""

    def wrong(dy: Array, x: Array, window: Any, **o: Any) -> Array:
        win = windows(x, window, o)
        room, inside = win.padded(x.shape, dy.dtype)
        view, reads = win.view(room, writeable=True), tap_values(x, win, -np.inf)
        for n, c, *p in np.ndindex(dy.shape):
            one = reads[(..., n, c, *p)]
            top = one == one.max() if ties else np.arange(one.size).reshape(one.shape) == np.argmax(one)
            target = view[(..., n, c, *p)]
            target[...] = np.where(top, dy[(n, c, *p)], 0 if whole else target)
        return inside.copy()

    return wrong


def _overwriting_average(below: Implementation, *, by_tap: bool = False) -> Implementation:
    """Windows in order, or taps."""

    def wrong(dy: Array, x: Array, window: Any, **o: Any) -> Array:
        win = windows(x, window, o)
        whole, inside = win.padded(x.shape, np.float64)
        view = win.view(whole, writeable=True)
        share = dy.astype(np.float64) / elements(x, window, o)
        taps = list(np.ndindex(win.kernel))
        # The last window that covers an element reaches it with its first tap.
        for k in taps if by_tap else taps[::-1]:
            view[k] = share
        return inside.astype(dy.dtype)

    return wrong


def _other_divisor(below: Implementation) -> Implementation:
    return lambda *a, **o: below(*a, **{**o, "include_padding": not o.get("include_padding", False)})


def _clamped_at(start: bool) -> Callable[[Array, Any, Options], Array]:
    """Counts that leave out the padding of one end only."""

    def counts(x: Array, window: Any, o: Options) -> Array:
        if o.get("include_padding"):
            return elements(x, window, o)
        win = windows(x, window, o)
        ones, inside = win.padded((1, 1, *x.shape[2:]), np.float64)
        reaching: Any = (..., *(slice(p, None) if start else slice(0, p + i) for i, (p, _) in zip(win.size, win.pads)))
        ones[reaching] = inside[...] = 1
        return np.asarray(win.view(ones).sum(axis=tuple(range(len(win.kernel)))))

    return counts


def _divided_by(counts: Callable[[Array, Any, Options], Array]) -> tuple[Wrap, Wrap]:
    """Averages, and gradients of averages, with other counts."""

    def forward(below: Implementation) -> Implementation:
        def wrong(x: Array, window: Any, **o: Any) -> Array:
            mean = below(x, window, **o).astype(np.float64)
            return np.asarray((mean * elements(x, window, o) / counts(x, window, o)).astype(x.dtype))

        return wrong

    def backward(below: Implementation) -> Implementation:
        def wrong(dy: Array, x: Array, window: Any, **o: Any) -> Array:
            other = dy.astype(np.float64) * elements(x, window, o) / counts(x, window, o)
            return np.asarray(below(other, x, window, **o)).astype(dy.dtype)

        return wrong

    return forward, backward


CLAMPED = tuple(_divided_by(_clamped_at(start)) for start in (True, False))


def _one_divisor(include: bool) -> Wrap:
    """Whatever is asked for."""
    return lambda below: lambda *a, **o: below(*a, **{**o, "include_padding": include})


def _summed(below: Implementation) -> Implementation:
    def wrong(x: Array, window: Any, **o: Any) -> Array:
        return np.asarray((below(x, window, **o).astype(np.float64) * elements(x, window, o)).astype(x.dtype))

    return wrong


def _undivided(below: Implementation) -> Implementation:
    def wrong(dy: Array, x: Array, window: Any, **o: Any) -> Array:
        whole = (dy.astype(np.float64) * elements(x, window, o)).astype(dy.dtype)
        return np.asarray(below(whole, x, window, **o))

    return wrong


POOLING = (
    Mistake(
        "pool-zero-pad",
        "Your max pooling pads with 0, and 0 wins where a window's numbers are all negative (its dy is lost).",
        "Pad with −∞, or leave padding out of the maximum.",
        "no padding; data that are not negative",
        {
            "max_pool_forward": (_padded_with,),
            "max_pool_backward": (_lost(padding=True), _lost(padding=True, ties=True)),
        },
        ("distdl#195✓",),
    ),
    Mistake(
        "pool-small-init",
        "Your maximum starts from 0, or from the smallest positive number; or a rectifier follows.",
        "Start from the window's first element, or from −∞, and return what comes out.",
        "a positive number in every window",
        {
            "max_pool_forward": (_at_least(0), _at_least(float(np.finfo(np.float32).tiny))),
            "max_pool_backward": (_lost(), _lost(ties=True), _first_if_none),
        },
        ("oneDNN#1677✓",),
    ),
    Mistake(
        "pool-finite-init",
        "Your maximum starts from a finite number such as −1e9, or your padding is one, and it wins over smaller ones.",
        "Start from the window's first element, or from −∞, and pad with −∞.",
        "numbers that are not as small",
        {
            "max_pool_forward": tuple(
                wrap for low in LOW for wrap in (_at_least(low), partial(_padded_with, fill=low))
            ),
            "max_pool_backward": tuple(_lost(fill=low, padding=padding) for low in LOW for padding in (True, False)),
        },
    ),
    Mistake(
        "pool-all-ties",
        "You give dy to every element that is as large as the maximum, each in full.",
        "One element gets it (the first), or the tied ones share it; or keep your convention and say so.",
        "no two equal maxima in a window",
        {"max_pool_backward": (_all_ties,)},
        ("ORT#7217✓",),
        "convention",
    ),
    Mistake(
        "pool-overwrite",
        "You overwrite where windows overlap.",
        "Use += : an element gets a share from every window that it belongs to.",
        "a stride no smaller than the window",
        {
            "max_pool_backward": (_overwriting_max, partial(_overwriting_max, whole=True)),
            "avg_pool_backward": (_overwriting_average, partial(_overwriting_average, by_tap=True)),
        },
    ),
    Mistake(
        "pool-mask",
        "You assign dy times a mask of the maxima: windows that overlap overwrite, and equal maxima get dy in full.",
        "Use +=, and give dy to one maximum of each window, the first, or let the tied ones share it.",
        "a stride no smaller than the window, and no two equal maxima in a window",
        {"max_pool_backward": (partial(_overwriting_max, whole=True, ties=True),)},
    ),
    Mistake(
        "pool-sum",
        "You do not divide: yours is the sum of each window, or for the gradient dy itself.",
        "Divide by the number of elements of x in the window; with include_padding, by all.",
        "windows of one element",
        {"avg_pool_forward": (_summed,), "avg_pool_backward": (_undivided,)},
    ),
    Mistake(
        "pool-divisor",
        "You count padding in the average where it is not to be counted, or the reverse.",
        "Divide by the number of elements of x in the window, unless include_padding is asked for.",
        "no padding",
        {"avg_pool_forward": (_other_divisor, _one_divisor(False), _one_divisor(True), *(f for f, _ in CLAMPED))},
        ("tract#2851✓", "ORT#27375✓"),
    ),
    Mistake(
        "pool-backward-divisor",
        "Your gradient counts padding where it is not to be counted, or the reverse.",
        "Divide by the number of elements of x in the window, unless include_padding is asked for.",
        "no padding",
        {"avg_pool_backward": (_other_divisor, _one_divisor(False), _one_divisor(True), *(b for _, b in CLAMPED))},
        ("pytorch#198119",),
    ),
)
