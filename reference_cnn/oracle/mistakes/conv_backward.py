"""Mistakes in the gradients of a convolution's kernel and bias."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from reference_cnn._validate import Array
from reference_cnn.oracle.mistakes.entry import (
    Backward,
    Change,
    Implementation,
    Mistake,
    Options,
    Wrap,
    gradients,
    merged,
)
from reference_cnn.oracle.mistakes.geometry import correlated, places, windows

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


def _means(name: str) -> dict[str, tuple[Wrap, ...]]:
    """A gradient divided by the number of images; of a convolution also by that of images and positions."""
    by_images, by_outputs = (gradients(**{name: _divided(name, count)}) for count in (_images, _outputs))
    return {"conv_backward": (by_images, by_outputs), "dense_backward": (by_images,)}


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


def _dw_dilation(call: Backward) -> Array:
    win = windows(call.x, call.w, call.options)
    return correlated(call.dz, call.x, _groups(call.options), places(win, dilation=(1,) * len(win.dilation)))


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


def _db_kept(call: Backward) -> Array:
    db: Array = call.answer.db
    return db.reshape(1, -1, *[1] * (call.dz.ndim - 2))


def _db_of_all(call: Backward) -> Array:
    return np.full_like(call.answer.db, call.dz.sum(dtype=np.float64))


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
        "Leave it to the loss: one that is a mean has divided already; or keep your convention and say so.",
        "one image",
        {name: (gradients(**{g: _divided(g, _images) for g in ("dx", "dw", "db")}),) for name in BACKWARD_NAMES},
        kind="convention",
    ),
    Mistake(
        "mean-over-positions",
        "You divide dw and db by the number of images times the number of output positions.",
        "A kernel is used at every position: sum over all of them; or keep your convention and say so.",
        "one image and one output position",
        _conv(dw=_divided("dw", _outputs), db=_divided("db", _outputs)),
        ("sebgao/cTensor#3✓",),
        "convention",
    ),
    Mistake(
        "dw-stride",
        "In dw your window of output o starts at o, not at o·stride.",
        "dw[k] is the sum over all outputs o of dz[o] · x[o·stride + k·dilation − before].",
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
        "dw-ignored-dilation",
        "In dw you ignore the dilation: the taps of a window are neighbours.",
        "dw[k] is the sum over all outputs o of dz[o] · x[o·stride + k·dilation − before].",
        "dilation 1",
        _conv(dw=_dw_dilation),
    ),
    Mistake(
        "dw-flipped",
        "Your dw is turned by 180°.",
        "dw is the correlation of x with dz, not the convolution: dw[k] sums dz[o]·x[o + k].",
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
        "Of the whole batch one image alone reaches your dw: the last, or the first.",
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
        "You multiply the mean of the images by the mean of their errors (N times), not image by image.",
        "Multiply each image by its own error, then sum: the mean of products is not the product of means.",
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
        "Filter f learns from the channels [j·C/groups : (j + 1)·C/groups] of its group j = f // (F/groups).",
        "one group",
        _conv(dw=_dw_ignored_groups),
        ("pytorch#51430✓", "burn#1891✓"),
    ),
    Mistake(
        "dw-doubled",
        "Your dw adds up from one call to the next.",
        "Set the gradient to 0 before each backward pass, or return a new array.",
        "the first call",
        dict.fromkeys(BACKWARD_NAMES, (_accumulating,)),
        ("micrograd#102",),
        stateful=True,
    ),
    Mistake(
        "dw-mean",
        "Your dw is a mean over the images, or over images and positions, where the definition sums.",
        "Sum over the images and positions, and divide by nothing.",
        "one image (and one output position)",
        _means("dw"),
    ),
    Mistake(
        "db-mean",
        "Your db is a mean over the images, or over images and positions, where the definition sums.",
        "Sum dz over everything but the filters (the neurons), and divide by nothing.",
        "one image (and one output position)",
        _means("db"),
    ),
    Mistake(
        "db-kept-axes",
        "Your db keeps axes of size 1, as keepdims=True leaves them.",
        "db has the shape of b: (F,), or (n,).",
        "comparisons that broadcast",
        merged(_both(db=_db_kept), _both(db=lambda call: call.answer.db[:, None])),
    ),
    Mistake(
        "db-one-image",
        "Of the whole batch one image alone reaches your db: the first, or the last.",
        "Sum dz over the images too.",
        "one image",
        {
            name: (gradients(db=_one_image("db", slice(0, 1))), gradients(db=_one_image("db", slice(-1, None))))
            for name in BACKWARD_NAMES
        },
    ),
    Mistake(
        "db-one-number",
        "You sum db over everything: all filters, or neurons, get one number.",
        "Each filter, or neuron, has its own sum: over the images (and the spatial axes) alone.",
        "one filter, or one neuron",
        _both(db=_db_of_all),
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
