"""Mistakes in what is added to the sums, and in what they are kept: bias, dtype, memory."""

from collections.abc import Callable
from typing import Any

import numpy as np

from reference_cnn._validate import Array
from reference_cnn.oracle.mistakes.entry import NARROWER, Mistake, Options, Wrap, answering, asking


def _bias(change: Callable[[Array, Array], Any]) -> Wrap:
    """Another bias, where there is one: change(b, w)."""
    return asking(lambda x, w, b, o: (x, w, None if b is None else change(b, w), o))


def _first_bias(x: Array, w: Array, b: Any, o: Options) -> tuple[Any, ...]:
    groups = o.get("groups", 1)
    return x, w, None if b is None else np.tile(b[: len(b) // groups], groups), o


def _trailing_bias(below: Callable[..., Any]) -> Callable[..., Any]:
    def wrong(x: Array, w: Array, b: Any = None, **o: Any) -> Array:
        z: Array = below(x, w, None, **o)
        return z if b is None else (z + b).astype(z.dtype)

    return wrong


def _packed(a: Any) -> Any:
    """Elements in the order in which they lie in memory, taken for C order."""
    return a if a is None else a.ravel("K").reshape(a.shape)


def _truncated(z: Array, *a: Any, **o: Any) -> Array:
    return np.trunc(z.astype(np.float64)).astype(z.dtype)


def _floored(z: Array, *a: Any, **o: Any) -> Array:
    return np.floor(z.astype(np.float64)).astype(z.dtype)


def _running_sum(below: Callable[..., Any]) -> Callable[..., Any]:
    """Every tap and channel is added, and every sum rounded to half precision (float32 for float64)."""

    def wrong(x: Array, w: Array, b: Any = None, **o: Any) -> Array:
        narrow = NARROWER.get(x.dtype, x.dtype)
        zero = np.zeros_like(w)
        total: Array | None = None
        for tap in np.ndindex(w.shape[1:]):
            one = zero.copy()
            one[(slice(None), *tap)] = w[(slice(None), *tap)]
            part = below(x, one, None, **o).astype(narrow)
            total = part if total is None else (total + part).astype(narrow)
        z = np.asarray(total)
        return (z if b is None else z + b.reshape(-1, *[1] * (z.ndim - 2))).astype(x.dtype)

    return wrong


BIAS_AND_DTYPE = (
    Mistake(
        "missing-bias",
        "You leave out the bias.",
        "Add b[f] to every output of filter f (b[j] to every output of neuron j).",
        "calls without a bias, or with b = 0",
        {name: (_bias(lambda b, w: None),) for name in ("conv_forward", "dense_forward")},
        ("the article",),
        errata=("ERR-D5",),
    ),
    Mistake(
        "bias-per-channel",
        "You add the bias once for every input channel.",
        "Add the bias once, after the sum over channels.",
        "one channel; b = 0",
        {"conv_forward": (_bias(lambda b, w: (b * w.shape[1]).astype(b.dtype)),)},
    ),
    Mistake(
        "bias-per-tap",
        "You add the bias once for every tap of the kernel.",
        "Add the bias once, after the sum over the kernel.",
        "1×1 kernels of one channel; b = 0",
        {
            "conv_forward": (
                _bias(lambda b, w: (b * w[0].size).astype(b.dtype)),
                _bias(lambda b, w: (b * w[0, 0].size).astype(b.dtype)),
            )
        },
    ),
    Mistake(
        "bias-twice",
        "You add the bias twice.",
        "Add the bias once, after the sum.",
        "calls without a bias, or with b = 0",
        {name: (_bias(lambda b, w: (2 * b).astype(b.dtype)),) for name in ("conv_forward", "dense_forward")},
    ),
    Mistake(
        "subtracted-bias",
        "You subtract the bias.",
        "Add it: the bias has a plus.",
        "calls without a bias, or with b = 0",
        {name: (_bias(lambda b, w: -b),) for name in ("conv_forward", "dense_forward")},
    ),
    Mistake(
        "bias-of-first-group",
        "You give every group the bias of the first group's filters.",
        "Filter f has the bias b[f], whichever group it is in: count filters from 0 to F, not within a group.",
        "one group; calls without a bias, or with b = 0",
        {"conv_forward": (asking(_first_bias),)},
    ),
    Mistake(
        "bias-axis",
        "You add the bias along the last axis, one for each column instead of each filter.",
        "Give b the shape (F, 1, 1) before you add it: b[:, None, None].",
        "one filter; it raises unless there are as many filters as columns",
        {"conv_forward": (_trailing_bias,)},
    ),
    Mistake(
        "integer-output",
        "You round the result to a whole number, as an array of integers does.",
        "Give the output array the dtype of the result, np.result_type(x, w) for a product.",
        "whole numbers",
        {
            name: (answering(_truncated), answering(_floored))
            for name in ("conv_forward", "dense_forward", "avg_pool_forward")
        },
        ("mahotas#75✓",),
    ),
    Mistake(
        "narrow-accumulation",
        "Your sums are right, but formed or kept in too narrow a dtype, which loses digits.",
        "Accumulate in the arguments' dtype, 16-bit floats in float32; look for arrays made with another, or without.",
        "small whole numbers: float16 has them all up to 2048, but 2048 + 1 = 2048",
        {"conv_forward": (_running_sum,)},
        ("oneDNN#5041✓",),
        native=True,
    ),
    Mistake(
        "ignored-strides",
        "You read a view as if its numbers lay one after the other in memory.",
        "Use the array's strides, or make it contiguous first: np.ascontiguousarray(x).",
        "contiguous arrays",
        {"conv_forward": (asking(lambda x, w, b, o: (_packed(x), _packed(w), _packed(b), o)),)},
        ("pytorch#180984✓",),
        native=True,
    ),
)
