"""Mistakes in the backward pass of a convolution."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from reference_cnn._validate import Array
from reference_cnn._windows import Index, Windows
from reference_cnn.oracle.mistakes.entry import Backward, Implementation, Mistake, Options, Wrap, gradients
from reference_cnn.oracle.mistakes.geometry import correlated, places, scattered, windows

Change = Callable[[Backward], Any]
BACKWARD_NAMES = ("conv_backward", "dense_backward")


def _groups(o: Options) -> int:
    return int(o.get("groups", 1))


def _conv(**changes: Change) -> dict[str, tuple[Wrap, ...]]:
    return {"conv_backward": (gradients(**changes),)}


def _both(**changes: Change) -> dict[str, tuple[Wrap, ...]]:
    return {name: (gradients(**changes),) for name in BACKWARD_NAMES}


def _divided(name: str, count: Callable[[Array], float]) -> Change:
    """The gradient divided by a number that follows from dz."""

    def change(call: Backward) -> Array:
        g: Array = getattr(call.answer, name)
        return (g / count(call.dz)).astype(g.dtype)

    return change


def _images(dz: Array) -> int:
    return len(dz)


def _outputs(dz: Array) -> int:
    return len(dz) * math.prod(dz.shape[2:])


def _one_image(name: str, image: slice) -> Change:
    return lambda call: getattr(call.again(dz=call.dz[image], x=call.x[image]), name)


def _flip(w: Array) -> Array:
    return np.flip(w, tuple(range(2, w.ndim)))


def _dw_stride(call: Backward) -> Array:
    win = windows(call.x, call.w, call.options)
    return correlated(call.dz, call.x, _groups(call.options), places(win, stride=(1,) * len(win.stride)))


def _dw_stride_dilation(call: Backward) -> Array:
    """As many taps as fit into the padded image, cut to the kernel's size."""
    win = windows(call.x, call.w, call.options)
    room = [size + sum(p) - d * (n - 1) - 1 for size, p, d, n in zip(win.size, win.pads, win.dilation, win.out)]
    if min(room) < 0:
        raise ValueError("the dilated errors are larger than the padded image")
    kernel = tuple(min(r // s + 1, k) for r, s, k in zip(room, win.stride, win.kernel))
    return correlated(call.dz, call.x, _groups(call.options), places(win, win.dilation, win.stride, kernel))


def _dw_transposed(call: Backward) -> Array:
    dw: Array = call.answer.dw
    return dw.swapaxes(-1, -2) if dw.ndim > 3 else dw


def _dw_ignored_groups(call: Backward) -> Array:
    """Every filter is paired with the channels of the first group."""
    groups = _groups(call.options)
    first = np.concatenate([call.x[:, : call.x.shape[1] // groups]] * groups, axis=1)
    dw: Array = call.again(x=first).dw
    return dw


def _product_of_means(call: Backward) -> Array:
    # N times the product of two means is the product of the sums, divided by N only once: exact for integers.
    dw: Array = call.again(dz=call.dz.sum(axis=0, keepdims=True), x=call.x.sum(axis=0, keepdims=True)).dw
    return (dw / len(call.x)).astype(dw.dtype)


def _scrambled_map(call: Backward) -> Array:
    images, filters, *space = call.dz.shape
    dw: Array = call.again(dz=np.moveaxis(call.dz.reshape(images, *space, filters), -1, 1)).dw
    return dw


def _dz_reshaped(call: Backward) -> Array:
    images, filters, *space = call.dz.shape
    dw: Array = call.again(dz=call.dz.reshape(filters, images, *space).swapaxes(0, 1)).dw
    return dw


def _accumulating(below: Implementation) -> Implementation:
    """One buffer for each shape of w, never set to 0."""
    kept: dict[tuple[int, ...], Array] = {}

    def wrong(dz: Array, x: Array, w: Array, **o: Any) -> Any:
        g = below(dz, x, w, **o)
        kept[w.shape] = kept.get(w.shape, 0) + g.dw
        return g._replace(dw=kept[w.shape].astype(g.dw.dtype))

    return wrong


def _dx_stride(call: Backward) -> Array:
    win = windows(call.x, call.w, call.options)
    return scattered(call.dz, call.x, call.w, _groups(call.options), places(win, stride=(1,) * len(win.stride)))


def _dx_overwrite(call: Backward) -> Array:
    win = windows(call.x, call.w, call.options)
    return scattered(call.dz, call.x, call.w, _groups(call.options), places(win), overwrite=True)


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


def _db_axes(call: Backward) -> Array:
    dz = call.dz
    return np.asarray(dz.sum(axis=tuple(range(dz.ndim - 1)), dtype=np.float64)).astype(dz.dtype)


BACKWARD = (
    Mistake(
        "mean-over-batch",
        "You divide dw and db by the number of images: a mean where the definition sums.",
        "Sum over the batch; divide in the loss if you want its mean; or keep your convention and say so.",
        "one image",
        {name: (gradients(dw=_divided("dw", _images), db=_divided("db", _images)),) for name in BACKWARD_NAMES},
        kind="convention",
    ),
    Mistake(
        "mean-of-gradients",
        "You divide all gradients, dx too, by the number of images.",
        "The loss has already divided where it is a mean; or keep your convention and say so.",
        "one image",
        {name: (gradients(**{g: _divided(g, _images) for g in ("dx", "dw", "db")}),) for name in BACKWARD_NAMES},
        kind="convention",
    ),
    Mistake(
        "mean-over-positions",
        "You divide dw and db by the number of images times that of output positions.",
        "A kernel is used at every position: sum over all of them; or keep your convention and say so.",
        "one image and one output position",
        _conv(dw=_divided("dw", _outputs), db=_divided("db", _outputs)),
        ("sebgao/cTensor#3✓",),
        "convention",
    ),
    Mistake(
        "dw-stride",
        "In dw your windows lie at o, not at o·stride.",
        "dw[k] = Σ dz[o] · x[o·stride + k·dilation − before].",
        "stride 1",
        _conv(dw=_dw_stride),
    ),
    Mistake(
        "dw-stride-dilation",
        "In dw you exchange stride and dilation.",
        "As a convolution with dz for kernel, dw has the layer's stride as dilation, and its dilation as stride.",
        "a stride equal to the dilation",
        _conv(dw=_dw_stride_dilation),
        ("iree-turbine#1223", "candle#2337✓"),
    ),
    Mistake(
        "dw-flipped",
        "Your dw is turned by 180°.",
        "dw is a correlation of x with dz: x[o + k], not x[o − k].",
        "1×1 kernels",
        _conv(dw=lambda call: _flip(call.answer.dw)),
        ("nntrainer#705✓", "NNPACK#15✓"),
    ),
    Mistake(
        "dw-transposed",
        "Your dw is transposed: its rows are columns.",
        "dw[f, c, row, column] has the order of w.",
        "1×1 kernels; another shape comes out if the kernel is not square",
        _conv(dw=_dw_transposed),
        ("nntrainer#705✓",),
    ),
    Mistake(
        "dw-swapped-channels",
        "Your dw comes as (C, F, …): input channels and filters are exchanged.",
        "dw[f, c] has the order of w.",
        "one filter and one channel; another shape comes out if there are not as many of each",
        _conv(dw=lambda call: call.answer.dw.swapaxes(0, 1)),
        ("NNPACK#15✓",),
    ),
    Mistake(
        "dw-last-image",
        "Of the batch, a single image reaches your dw.",
        "Use += over the images, and return after the loop, not in it.",
        "one image",
        {
            name: (gradients(dw=_one_image("dw", slice(-1, None))), gradients(dw=_one_image("dw", slice(0, 1))))
            for name in BACKWARD_NAMES
        },
        ("CNN-from-scratch#1✓",),
    ),
    Mistake(
        "dw-product-of-means",
        "You average the images and their errors before you multiply them.",
        "Multiply image by image, then sum: the mean of products is not the product of means.",
        "one image; images or errors that are all the same",
        _both(dw=_product_of_means),
        ("the article",),
        errata=("ERR-D2",),
    ),
    Mistake(
        "dw-scrambled-map",
        "You reshape dz from (F, height, width) to (height, width, F), which scrambles the maps.",
        "Move the axis (transpose, np.moveaxis), do not reshape.",
        "one filter; a dz that is the same everywhere",
        _conv(dw=_scrambled_map),
        ("the article",),
        errata=("ERR-D3",),
    ),
    Mistake(
        "dw-reshaped-errors",
        "You reshape dz from (N, F, …) to (F, N, …) where the axes have to be exchanged.",
        "Use dz.swapaxes(0, 1).reshape(F, -1), not dz.reshape(F, -1).",
        "one image, or one filter",
        _conv(dw=_dz_reshaped),
    ),
    Mistake(
        "dw-ignored-groups",
        "Your dw takes every group's channels from the first group.",
        "Filter f learns from channels j·C/groups and following, where j = f // (F/groups).",
        "one group",
        _conv(dw=_dw_ignored_groups),
        ("pytorch#51430✓", "burn#1891✓"),
    ),
    Mistake(
        "dw-doubled",
        "Your dw adds up from call to call.",
        "Set the gradient to 0 before each backward pass, or return a new array.",
        "the first call",
        dict.fromkeys(BACKWARD_NAMES, (_accumulating,)),
        ("micrograd#102",),
        stateful=True,
    ),
    Mistake(
        "dx-unrotated",
        "In dx the kernel is the wrong way round: turned by 180° where it is not to be, or the reverse.",
        "Scatter dz[o]·w[k] to o + k as it is; only as a full correlation of dz does it need the rotated kernel.",
        "1×1 kernels, and kernels that look the same turned by 180°",
        _conv(dx=lambda call: call.again(w=_flip(call.w)).dx),
        ("DeepLearnToolbox#41",),
    ),
    Mistake(
        "dx-stride",
        "In dx your windows lie at o, not at o·stride.",
        "Add dz[o]·w[k] to dx[o·stride + k·dilation − before]; as a convolution, put stride − 1 zeros between dz's.",
        "stride 1",
        _conv(dx=_dx_stride),
        ("candle#633",),
    ),
    Mistake(
        "dx-overwrite",
        "In dx you overwrite where windows overlap.",
        "Use += : every window that covers an element adds to its gradient.",
        "a stride no smaller than the window",
        {"conv_backward": (gradients(dx=_dx_overwrite), gradients(dx=_dx_overwrite_filters))},
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
        "Your dx is wrong where a tail of x is read by no window: the stride does not divide.",
        "Give dx the size of x; the unread tail, at the end, has gradient 0.",
        "(size + pads − span) divisible by the stride",
        {"conv_backward": (gradients(dx=_dx_without_tail), gradients(dx=_dx_shifted_by_tail))},
        ("backpack#30✓", "FlagGems#1576✓"),
    ),
    Mistake(
        "db-mean",
        "Your db is a mean over the images, or over images and positions, where it is a sum.",
        "db[f] = dz.sum() over everything but the filters.",
        "one image (and one output position)",
        {
            "conv_backward": (gradients(db=_divided("db", _images)), gradients(db=_divided("db", _outputs))),
            "dense_backward": (gradients(db=_divided("db", _images)),),
        },
    ),
    Mistake(
        "db-one-image",
        "Of the batch, a single image reaches your db.",
        "Sum dz over the images too.",
        "one image",
        {
            name: (gradients(db=_one_image("db", slice(0, 1))), gradients(db=_one_image("db", slice(-1, None))))
            for name in BACKWARD_NAMES
        },
    ),
    Mistake(
        "db-axes",
        "Your db is summed over the wrong axes: all but the last.",
        "The filters are axis 1: sum over the images and the spatial axes, (0, 2, 3) for (N, F, H, W).",
        "one filter and one column; another shape comes out unless there are as many filters as columns",
        _conv(db=_db_axes),
        ("mlpack#3679✓",),
    ),
)
