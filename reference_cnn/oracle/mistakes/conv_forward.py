"""Mistakes in what a convolution multiplies: kernel, channels, groups."""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from reference_cnn._validate import Array
from reference_cnn.oracle.mistakes.entry import (
    Backward,
    Mistake,
    Options,
    Wrap,
    answering,
    asking,
    gradients,
    last_zero,
    merged,
)


def _space(a: Array) -> tuple[int, ...]:
    return tuple(range(2, a.ndim))


def _kernel(change: Callable[[Array], Array], back: Callable[[Array], Array]) -> dict[str, tuple[Wrap, ...]]:
    """A kernel read otherwise, in both passes: what is learnt is then read `back`."""
    return {
        "conv_forward": (asking(lambda x, w, b, o: (x, change(w), b, o)),),
        "conv_backward": (
            gradients(
                dx=lambda call: call.again(w=change(call.w)).dx,
                dw=lambda call: back(call.again(w=change(call.w)).dw),
            ),
        ),
    }


def _flip(w: Array) -> Array:
    return np.flip(w, _space(w))


def _transpose(w: Array) -> Array:
    return w.swapaxes(-1, -2) if w.ndim > 3 else w


def _taps_first(w: Array) -> Array:
    """What code finds that looks for (kh, kw, C) in the memory of (C, kh, kw)."""
    return np.moveaxis(w.reshape(len(w), *w.shape[2:], w.shape[1]), -1, 1)


def _taps_first_back(dw: Array) -> Array:
    return np.moveaxis(dw, 1, -1).reshape(dw.shape)


def _memory_as(axes: Callable[[Array], Array]) -> dict[str, tuple[Wrap, ...]]:
    return {"conv_forward": (asking(lambda x, w, b, o: (axes(x), w, b, o)),)}


def _channels_last(x: Array) -> Array:
    return np.moveaxis(x.reshape(len(x), *x.shape[2:], x.shape[1]), -1, 1)


def _guessed(x: Array) -> Array:
    return np.moveaxis(x, -1, 1) if len(set(x.shape[1:])) == 1 else x


def _round_robin(count: int, groups: int) -> Array:
    """Filters or channels in an order in which each group's are neighbours, if k belongs to group k % groups."""
    return np.arange(count).reshape(-1, groups).T.ravel()


def _interleaved(below: Callable[..., Any]) -> Callable[..., Any]:
    def wrong(x: Array, w: Array, b: Any = None, **o: Any) -> Array:
        order = _round_robin(len(w), o.get("groups", 1))
        z: Array = below(x, w[order], None if b is None else b[order], **o)
        return z[:, np.argsort(order)]

    return wrong


def _interleaved_depthwise(below: Callable[..., Any]) -> Callable[..., Any]:
    """In the code for one channel in each group alone."""
    wrong = _interleaved(below)
    return lambda x, w, b=None, **o: (wrong if w.shape[1] == 1 else below)(x, w, b, **o)


def _interleaved_back(below: Callable[..., Any]) -> Callable[..., Any]:
    def wrong(dz: Array, x: Array, w: Array, **o: Any) -> Any:
        order = _round_robin(len(w), o.get("groups", 1))
        g = below(dz[:, order], x, w[order], **o)
        return g._replace(dw=g.dw[np.argsort(order)], db=g.db[np.argsort(order)])

    return wrong


def _channels_in_turn(x: Array, o: Options) -> Array:
    return np.take(x, _round_robin(x.shape[1], o.get("groups", 1)), axis=1)


def _channels_in_turn_back(call: Backward) -> Array:
    order = _round_robin(call.x.shape[1], call.options.get("groups", 1))
    return np.take(call.again(x=_channels_in_turn(call.x, call.options)).dx, np.argsort(order), axis=1)


def _short_kernel(axis: int) -> dict[str, tuple[Wrap, ...]]:
    """A loop over an axis of the kernel that leaves out the last."""
    cut = partial(last_zero, axes=(axis,))
    return _kernel(cut, cut)


def _images_last(z: Array, *a: Any, **o: Any) -> Array:
    """Columns with the images last, (F, O·N), read as (F, N, O)."""
    filters_first = np.moveaxis(z.swapaxes(0, 1), 1, -1)
    return filters_first.reshape(z.swapaxes(0, 1).shape).swapaxes(0, 1)


def _first_group(x: Array, w: Array, b: Any, o: Options) -> tuple[Any, ...]:
    """Every group reads the channels of the first."""
    groups = o.get("groups", 1)
    return np.concatenate([x[:, : x.shape[1] // groups]] * groups, axis=1), w, b, o


def _one_channel(channel: int) -> Wrap:
    def only(w: Array) -> Array:
        kept = np.zeros_like(w)
        kept[:, channel] = w[:, channel]
        return kept

    return asking(lambda x, w, b, o: (x, only(w), b, o))


FORWARD = (
    Mistake(
        "flipped-kernel",
        "You flip the kernel: this is true convolution, where the definition is cross-correlation.",
        "Multiply x[o + k] with w[k], not with w[K − 1 − k]; or keep your convention and say so.",
        "1×1 kernels, and kernels that look the same turned by 180°",
        _kernel(_flip, _flip),
        ("NNlib#208", "ndarray-conv#6"),
        "convention",
        errata=("ERR-D1",),
        makes_it="is a true convolution",
    ),
    Mistake(
        "transposed-kernel",
        "You use the kernel transposed: its rows as columns.",
        "Index w[f, c, row, column] in the same order as x[n, c, row, column].",
        "1×1 kernels and symmetric ones; another shape comes out if the kernel is not square",
        _kernel(_transpose, _transpose),
        ("mlpack#3376✓",),
    ),
    Mistake(
        "swapped-channels",
        "You read the kernel as (C, F, …): input channels and filters are exchanged.",
        "The first axis of w counts filters, the second input channels: w[f, c].",
        "one filter and one channel; the sizes do not fit unless there are as many of each",
        {"conv_forward": (asking(lambda x, w, b, o: (x, w.swapaxes(0, 1), b, o)),)},
        ("systemds#541",),
    ),
    Mistake(
        "im2col-order",
        "Your patches are flattened as (kh, kw, C), your kernel as (C, kh, kw).",
        "Flatten both in the same order, for example x's windows as (C, kh, kw) and w.reshape(F, -1).",
        "one channel; 1×1 kernels",
        _kernel(_taps_first, _taps_first_back),
    ),
    Mistake(
        "reshaped-output",
        "You reshape your output where its axes have to be exchanged, for example (F, N, …) into (N, F, …).",
        "Use transpose (swapaxes(0, 1)), which moves numbers; reshape only counts them anew.",
        "one image, or one filter",
        {
            "conv_forward": (
                answering(lambda z, *a, **o: z.swapaxes(0, 1).reshape(z.shape)),
                answering(lambda z, *a, **o: np.moveaxis(z, 1, -1).reshape(z.shape)),
                answering(_images_last),
            )
        },
        ("autograd#245✓",),
    ),
    Mistake(
        "reinterpreted-layout",
        "You read the memory of an (N, C, H, W) image as (N, H, W, C).",
        "Move the axis (np.moveaxis, permute), do not reshape.",
        "one channel",
        _memory_as(_channels_last),
        ("MMdnn#250",),
    ),
    Mistake(
        "guessed-layout",
        "You guess the layout from the sizes, and guess wrong where channels, height and width agree.",
        "Channels come first, always: do not infer the layout.",
        "all sizes but C = H = W",
        _memory_as(_guessed),
        ("candle#3405✓",),
    ),
    Mistake(
        "interleaved-groups",
        "You deal filters out to the groups in turn: filter f to group f % groups.",
        "The first F/groups filters are the first group's: filter f belongs to group f // (F/groups).",
        "one group; one filter for each group",
        {"conv_forward": (_interleaved, _interleaved_depthwise), "conv_backward": (_interleaved_back,)},
    ),
    Mistake(
        "interleaved-channels",
        "You deal input channels out to the groups in turn: channel c to group c % groups.",
        "The first C/groups channels are the first group's: channel c belongs to group c // (C/groups).",
        "one group; one channel for each group",
        {
            "conv_forward": (asking(lambda x, w, b, o: (_channels_in_turn(x, o), w, b, o)),),
            "conv_backward": (
                gradients(
                    dx=_channels_in_turn_back,
                    dw=lambda call: call.again(x=_channels_in_turn(call.x, call.options)).dw,
                ),
            ),
        },
    ),
    Mistake(
        "ignored-groups",
        "You let every group read the channels of the first.",
        "Group j reads the channels [j·C/groups : (j + 1)·C/groups].",
        "one group",
        {"conv_forward": (asking(_first_group),)},
    ),
    Mistake(
        "first-channel-only",
        "You use the first channel only.",
        "Sum over all input channels.",
        "one channel",
        {"conv_forward": (_one_channel(0),)},
        ("micrograd-rs#31✓",),
    ),
    Mistake(
        "channels-not-summed",
        "You overwrite instead of adding: of the input channels only the last remains.",
        "Use += over the input channels.",
        "one channel",
        {"conv_forward": (_one_channel(-1),)},
    ),
    Mistake(
        "short-kernel-loop",
        "Your loop over the kernel ends one too early: its last column, row or channel counts for nothing.",
        "Go through all of the kernel: range(n) leaves out n itself.",
        "forwards, a kernel that is 0 there",
        merged(*map(_short_kernel, (-1, 2, 1))),
    ),
)
