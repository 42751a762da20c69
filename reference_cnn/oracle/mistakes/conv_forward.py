"""Mistakes in the forward pass of a convolution, and those that a backward pass shares with it."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from reference_cnn._validate import Array
from reference_cnn.oracle.mistakes.entry import Mistake, Options, Wrap, answering, asking, gradients
from reference_cnn.oracle.mistakes.geometry import windows


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


def _with(change: Callable[[Array, Array, Options], Options]) -> dict[str, tuple[Wrap, ...]]:
    """Options read otherwise, in the forward pass."""
    return {"conv_forward": (_options(change),)}


def _options(change: Callable[[Array, Array, Options], Options]) -> Wrap:
    return asking(lambda x, w, b, o: (x, w, b, {**o, **change(x, w, o)}))


def _stride(choose: Callable[[tuple[int, ...]], tuple[int, ...]]) -> Wrap:
    return _options(lambda x, w, o: {"stride": choose(windows(x, w, o).stride)})


def _same_only(pads: Callable[[Array, Array, Options], Any]) -> dict[str, tuple[Wrap, ...]]:
    """Pads worked out otherwise where "same" is asked for."""
    return _with(lambda x, w, o: {"padding": pads(x, w, o)} if o.get("padding") == "same" else {})


def _pads_as_flat_list(x: Array, w: Array, o: Options) -> Options:
    """[before…, after…] read as [before, after, …], one axis after the other."""
    pads = windows(x, w, o).pads
    flat = [p for pair in pads for p in pair]
    return {"padding": tuple(zip(flat[: len(pads)], flat[len(pads) :]))}


def _one_more(x: Array, w: Array, o: Options) -> Options:
    return {"dilation": tuple(d + 1 for d in windows(x, w, o).dilation)} if "dilation" in o else {}


def _last_zero(axes: Callable[[int], tuple[int, ...]]) -> dict[str, tuple[Wrap, ...]]:
    def cut(z: Array) -> Array:
        z = z.copy()
        for axis in axes(z.ndim):
            z[(slice(None),) * axis + (-1,)] = 0
        return z

    return {
        "conv_forward": (answering(lambda z, *a, **o: cut(z)),),
        "conv_backward": (
            gradients(
                dx=lambda call: call.again(dz=cut(call.dz)).dx,
                dw=lambda call: call.again(dz=cut(call.dz)).dw,
            ),
        ),
    }


def _short_loop() -> dict[str, tuple[Wrap, ...]]:
    ways = [_last_zero(axes) for axes in (lambda n: (n - 1,), lambda n: (2,), lambda n: tuple(range(2, n)))]
    return {name: tuple(way[name][0] for way in ways) for name in ways[0]}


def _memory_as(axes: Callable[[Array], Array]) -> dict[str, tuple[Wrap, ...]]:
    return {"conv_forward": (asking(lambda x, w, b, o: (axes(x), w, b, o)),)}


def _channels_last(x: Array) -> Array:
    return np.moveaxis(x.reshape(len(x), *x.shape[2:], x.shape[1]), -1, 1)


def _guessed(x: Array) -> Array:
    return np.moveaxis(x, -1, 1) if len(set(x.shape[1:])) == 1 else x


def _swapped_sizes(below: Callable[..., Any]) -> Callable[..., Any]:
    """Flat memory walked with height and width exchanged."""

    def wrong(x: Array, w: Array, b: Any = None, **o: Any) -> Array:
        out = windows(x, w, o).out
        z: Array = below(x.reshape(*x.shape[:2], *x.shape[:1:-1]), w, b, **o)
        return z.reshape(len(x), len(w), *out) if math.prod(z.shape[2:]) == math.prod(out) else z

    return wrong


def _round_robin(filters: int, groups: int) -> Array:
    """The filters in an order in which each group's are neighbours, if f belongs to group f % groups."""
    return np.arange(filters).reshape(-1, groups).T.ravel()


def _interleaved(below: Callable[..., Any]) -> Callable[..., Any]:
    def wrong(x: Array, w: Array, b: Any = None, **o: Any) -> Array:
        order = _round_robin(len(w), o.get("groups", 1))
        z: Array = below(x, w[order], None if b is None else b[order], **o)
        return z[:, np.argsort(order)]

    return wrong


def _interleaved_back(below: Callable[..., Any]) -> Callable[..., Any]:
    def wrong(dz: Array, x: Array, w: Array, **o: Any) -> Any:
        order = _round_robin(len(w), o.get("groups", 1))
        g = below(dz[:, order], x, w[order], **o)
        return g._replace(dw=g.dw[np.argsort(order)], db=g.db[np.argsort(order)])

    return wrong


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


def _bias(change: Callable[[Array, Array], Any]) -> Wrap:
    """Another bias, where there is one: change(b, w)."""
    return asking(lambda x, w, b, o: (x, w, None if b is None else change(b, w), o))


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


def _running_sum(below: Callable[..., Any]) -> Callable[..., Any]:
    """Every tap and channel is added, and every sum rounded to half precision (float32 for float64)."""

    def wrong(x: Array, w: Array, b: Any = None, **o: Any) -> Array:
        narrow = np.float32 if x.dtype == np.float64 else np.float16 if x.dtype == np.float32 else x.dtype
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
        "as many filters as channels, and 1 of each; otherwise the sizes do not fit",
        {"conv_forward": (asking(lambda x, w, b, o: (x, w.swapaxes(0, 1), b, o)),)},
        ("systemds#541",),
    ),
    Mistake(
        "stride-axis",
        "You take the stride of one axis for another.",
        "The first stride moves along rows (height), the second along columns (width).",
        "equal strides on all axes",
        {
            "conv_forward": (
                _stride(lambda s: s[::-1]),
                _stride(lambda s: (s[0],) * len(s)),
                _stride(lambda s: (s[-1],) * len(s)),
            )
        },
        ("Paddle#20997✓",),
    ),
    Mistake(
        "ignored-stride",
        "You ignore the stride: the window moves by one element each time.",
        "Start window o at o·stride.",
        "stride 1; otherwise there are too many outputs",
        _with(lambda x, w, o: {"stride": 1}),
    ),
    Mistake(
        "swapped-space",
        "You exchange height and width.",
        "The sizes of x are (N, C, height, width), in this order.",
        "square images",
        {"conv_forward": (_swapped_sizes,)},
        ("Flux#700", "burn#1182"),
    ),
    Mistake(
        "pad-side",
        "You pad on the wrong side: what belongs before the image comes after it.",
        'Of a pair (before, after) the first goes in front; the odd zero of "same" goes after.',
        "as much padding before as after",
        _with(lambda x, w, o: {"padding": tuple(p[::-1] for p in windows(x, w, o).pads)}),
        ("MIPVerify#23✓", "root#21793✓"),
    ),
    Mistake(
        "same-lower",
        'Your "same" puts the odd zero before the image (ONNX calls that SAME_LOWER).',
        "Pad total // 2 before and the rest after; or keep your convention and say so.",
        'an even number of zeros, and padding other than "same"',
        _same_only(lambda x, w, o: tuple(p[::-1] for p in windows(x, w, o).pads)),
        ("onnx, SAME_LOWER",),
        "convention",
    ),
    Mistake(
        "pad-order",
        "You read the pads in another order: (top, bottom, left, right) as (top, left, bottom, right).",
        "There is one (before, after) pair for each axis.",
        "as much padding below as on the left",
        _with(_pads_as_flat_list),
        ("onnxruntime#17325✓",),
    ),
    Mistake(
        "pad-half",
        'You pad kernel // 2 on both sides for "same", whatever the size and the stride.',
        "The total is (ceil(size / stride) − 1)·stride + span − size; half of it goes before.",
        "stride 1 with an odd kernel",
        _same_only(lambda x, w, o: tuple(k // 2 for k in w.shape[2:])),
        ("root#21737",),
    ),
    Mistake(
        "same-stride-1",
        'You pad for "same" as if the stride were 1.',
        "The total is (ceil(size / stride) − 1)·stride + span − size, which depends on the stride.",
        "stride 1, and sizes at which the totals agree",
        _same_only(lambda x, w, o: windows(x, w, {**o, "stride": 1}).pads),
    ),
    Mistake(
        "ignored-padding",
        "You ignore the padding.",
        "Surround x with zeros before the windows are taken.",
        "padding 0; otherwise there are too few outputs, unless the stride absorbs it",
        _with(lambda x, w, o: {"padding": 0}),
    ),
    Mistake(
        "ignored-dilation",
        "You ignore the dilation: the taps of a window are neighbours.",
        "Tap k reads element o·stride + k·dilation.",
        "dilation 1",
        _with(lambda x, w, o: {"dilation": 1}),
        ("mxnet#1457✓", "onnx#2043✓"),
    ),
    Mistake(
        "dilation-plus-one",
        "You take the dilation for the number of elements skipped: your taps lie one too far apart.",
        "With dilation d, tap k reads element o·stride + k·d; d = 1 skips nothing.",
        "calls without a dilation, 1×1 kernels",
        _with(_one_more),
    ),
    Mistake(
        "stride-dilation",
        "You exchange stride and dilation.",
        "Window o starts at o·stride, its tap k lies k·dilation further.",
        "a stride equal to the dilation",
        _with(lambda x, w, o: {"stride": o.get("dilation", 1), "dilation": o.get("stride", 1)}),
    ),
    Mistake(
        "short-loop",
        "Your loop over the output ends one too early: the last row or column stays 0.",
        "There are (size + pads − span) // stride + 1 outputs on each axis; range() already leaves out its end.",
        "data that are 0 there",
        _short_loop(),
        ("open-iris#225✓",),
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
        "You reshape (F, N, …) into (N, F, …) where the axes have to be exchanged.",
        "Use transpose (swapaxes(0, 1)), which moves numbers; reshape only counts them anew.",
        "one image, or one filter",
        {"conv_forward": (answering(lambda z, *a, **o: z.swapaxes(0, 1).reshape(z.shape)),)},
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
        "Channels come first, always; do not infer it.",
        "all sizes but C = H = W",
        _memory_as(_guessed),
        ("candle#3405✓",),
    ),
    Mistake(
        "interleaved-groups",
        "You deal filters out to the groups in turn: filter f to group f % groups.",
        "The first F/groups filters are the first group's: f // (F/groups).",
        "one group; one filter for each group",
        {"conv_forward": (_interleaved,), "conv_backward": (_interleaved_back,)},
    ),
    Mistake(
        "ignored-groups",
        "Every group reads the channels of the first.",
        "Group j reads channels j·C/groups to (j + 1)·C/groups.",
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
        "You overwrite instead of adding: of the channels only the last remains.",
        "Use += over the input channels.",
        "one channel",
        {"conv_forward": (_one_channel(-1),)},
    ),
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
        "subtracted-bias",
        "You subtract the bias.",
        "z = … + b.",
        "calls without a bias, or with b = 0",
        {name: (_bias(lambda b, w: -b),) for name in ("conv_forward", "dense_forward")},
    ),
    Mistake(
        "bias-axis",
        "You add the bias along the last axis, one for each column instead of each filter.",
        "Give it the shape (F, 1, 1) before adding: b[:, None, None].",
        "one filter; it raises unless there are as many filters as columns",
        {"conv_forward": (_trailing_bias,)},
    ),
    Mistake(
        "integer-output",
        "You keep the result in an array of integers: what follows the point is cut off.",
        "Give the output array the dtype of the product: np.result_type(x, w).",
        "whole numbers",
        {name: (answering(_truncated),) for name in ("conv_forward", "dense_forward", "avg_pool_forward")},
        ("mahotas#75✓",),
    ),
    Mistake(
        "narrow-accumulation",
        "Your sums are right, but formed in a narrower dtype than the numbers deserve.",
        "Accumulate in the dtype of the arguments, and 16-bit floats in float32.",
        "small sums: 2048 + 1 = 2048 in float16",
        {"conv_forward": (_running_sum,)},
        ("oneDNN#5041✓",),
        native=True,
    ),
    Mistake(
        "ignored-strides",
        "You read a view as if its numbers lay one after the other in memory.",
        "Use the array's strides, or make it contiguous first: np.ascontiguousarray(x).",
        "contiguous arrays",
        {name: (asking(lambda x, w, b, o: (_packed(x), _packed(w), _packed(b), o)),) for name in ("conv_forward",)},
        ("pytorch#180984✓",),
        native=True,
    ),
)
