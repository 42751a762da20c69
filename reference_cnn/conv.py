"""Convolution (cross-correlation) over any number of spatial axes; clauses CONV, spec/conv.md."""

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from reference_cnn._validate import Array, integer, number_array, result_dtype, shape, working_dtype
from reference_cnn._windows import Index, Padding, PerAxis, Scratch, Windows


class ConvGradients(NamedTuple):
    """Gradients of the error with respect to input, kernel and bias, shaped like them."""

    dx: Array
    dw: Array
    db: Array


def conv_forward(
    x: ArrayLike,
    w: ArrayLike,
    b: ArrayLike | None = None,
    *,
    stride: PerAxis = 1,
    padding: Padding = 0,
    dilation: PerAxis = 1,
    groups: int = 1,
) -> Array:
    """Cross-correlate images with a kernel; the kernel is not flipped.

    z[n, f, o] = b[f] + Σ_{c, k} w[f, c, k] · x[n, j·C/groups + c, o·stride + k·dilation − before],
    where j = f // (F/groups) is f's group, and x counts as 0 outside itself [CONV-D1, CONV-F1].

    Parameters
    ----------
    x : array (N, C, *D)
        Images: N of them, C channels, one or more spatial axes D. Any number dtype; any unit.
    w : array (F, C/groups, *K)
        Kernel: F filters.
    b : array (F,), optional
        Bias, in the unit of x·w.
    stride, dilation : int or one int per spatial axis
        Elements between neighbouring windows, and between neighbouring taps of a window; at least 1.
    padding : int, one int per axis, one (before, after) pair per axis, "valid" or "same"
        Zeros around the image, in elements; "same" gives ceil(D/stride) outputs, the odd zero after [WIN-D3].
    groups : int
        Channels and filters are split into this many groups, each convolved on its own.

    Returns
    -------
    z : array (N, F, *O)
        O = (D + before + after − dilation·(K−1) − 1) // stride + 1. The promoted dtype of the arguments.

    Raises
    ------
    TypeError
        x, w or b is no array of numbers [ARR-C1, ARR-C2]; stride, padding, dilation or groups no integer
        [WIN-C1, WIN-C2, WIN-C3, CONV-C4].
    ValueError
        Shapes that do not fit [CONV-C1, CONV-C2, CONV-C3, WIN-C4], values out of range
        [WIN-C1, WIN-C2, WIN-C3, CONV-C4].

    Notes
    -----
    Source: spec/conv.md; the article, "Convolution Layer"; Dumoulin and Visin 2016, relationships 1–6 and 15.

    Examples
    --------
    >>> image = np.array([[[[1, 7, 2], [11, 1, 23], [2, 2, 2]]]])
    >>> conv_forward(image, np.array([[[[1, 1], [0, 1]]]]))[0, 0]
    array([[ 9, 32],
           [14, 26]])
    """
    x, w, windows, groups = _arguments("conv_forward", x, w, stride, padding, dilation, groups)
    arrays = [x, w]
    if b is not None:
        b = number_array("conv_forward", "b", b)
        shape("conv_forward", "b", b, (len(w),), "one bias per filter of w", "CONV-C3")
        arrays.append(b)
    dtype = result_dtype("conv_forward", *arrays)
    kernel = _by_group(w, groups).astype(working_dtype(dtype), copy=False)
    bias = None if b is None else b.astype(kernel.dtype, copy=False).reshape(groups, -1, 1)
    z = np.empty((len(x), groups, len(w) // groups, *windows.out), kernel.dtype)
    columns = Scratch(kernel.dtype)
    for images, blocks in windows.blocks(x.shape):
        taps = windows.view(_pad(x[images], windows, kernel.dtype))
        for rows in blocks:
            block, out = _contiguous(_images_first(_rows(taps, rows)), columns), z[images, :, :, rows]
            right = block.reshape(len(block), groups, kernel.shape[2], -1)
            # Rows of a map follow each other in memory, so that this is a view of z.
            out = np.matmul(kernel, right, out=out.reshape(*out.shape[:3], -1))
            if bias is not None:
                out += bias
    return z.reshape(len(x), len(w), *windows.out).astype(dtype, copy=False)


def conv_backward(
    dz: ArrayLike,
    x: ArrayLike,
    w: ArrayLike,
    *,
    stride: PerAxis = 1,
    padding: Padding = 0,
    dilation: PerAxis = 1,
    groups: int = 1,
) -> ConvGradients:
    """Gradients of an error E with respect to the arguments of `conv_forward`, given dz = ∂E/∂z.

    dx[n, c, i] = Σ dz[n, f, o] · w[f, c − j·C/groups, k] over the f, o, k
    for which o·stride + k·dilation − before = i and f lies in c's group j [CONV-B1];
    dw[f, c, k] = Σ_{n, o} dz[n, f, o] · x[n, j·C/groups + c, o·stride + k·dilation − before] [CONV-B2];
    db[f] = Σ_{n, o} dz[n, f, o] [CONV-B3].

    Parameters
    ----------
    dz : array (N, F, *O)
        ∂E/∂z, shaped like the output of `conv_forward`.
    x, w, stride, padding, dilation, groups
        As given to `conv_forward`.

    Returns
    -------
    ConvGradients
        dx (N, C, *D) in the promoted dtype of dz and w, dw (F, C/groups, *K) in that of dz and x,
        db (F,) in that of dz. Sums over the batch, not means; complex numbers are not conjugated.

    Raises
    ------
    TypeError, ValueError
        As `conv_forward`; a dz of another shape than the output is a ValueError [CONV-C5].

    Notes
    -----
    Source: spec/conv.md; the transpose of the linear map `conv_forward`.

    Examples
    --------
    >>> x, w = np.arange(9).reshape(1, 1, 3, 3), np.array([[[[1, 1], [0, 1]]]])
    >>> dx, dw, db = conv_backward(np.array([[[[1, 0], [0, 0]]]]), x, w)
    >>> dx[0, 0]
    array([[1, 1, 0],
           [0, 1, 0],
           [0, 0, 0]])
    >>> dw[0, 0], db
    (array([[0, 1],
           [3, 4]]), array([1]))
    """
    call = _backward_call("conv_backward", dz, x, w, stride, padding, dilation, groups)
    return ConvGradients(_dx(call), _dw(call), _db(call.dz))


def parameter_gradients(
    dz: ArrayLike,
    x: ArrayLike,
    w: ArrayLike,
    *,
    stride: PerAxis = 1,
    padding: Padding = 0,
) -> tuple[Array, Array]:
    """The dw and db of `conv_backward`, for a first layer: nobody asks for the dx of what is data, half of the work.

    Arguments, results and errors as there, but without dilation and groups.
    """
    call = _backward_call("parameter_gradients", dz, x, w, stride, padding, dilation=1, groups=1)
    return _dw(call), _db(call.dz)


class _Backward(NamedTuple):
    """What gradients are computed from, checked."""

    function: str
    dz: Array
    x: Array
    w: Array
    windows: Windows
    groups: int


def _backward_call(
    function: str, dz: ArrayLike, x: ArrayLike, w: ArrayLike,
    stride: PerAxis, padding: Padding, dilation: PerAxis, groups: int,
) -> _Backward:  # fmt: skip
    x, w, windows, groups = _arguments(function, x, w, stride, padding, dilation, groups)
    dz = number_array(function, "dz", dz)
    shape(function, "dz", dz, (len(x), len(w), *windows.out), "the shape of conv_forward's output", "CONV-C5")
    return _Backward(function, dz, x, w, windows, groups)


def _dx(call: _Backward) -> Array:
    """kernelᵀ @ dz, each product added to the element of x that its tap reads [CONV-B1]."""
    function, dz, x, w, windows, groups = call
    dtype = result_dtype(function, dz, w)
    kernel = _by_group(w, groups).astype(working_dtype(dtype), copy=False).swapaxes(1, 2)
    dx = np.empty(x.shape, dtype)
    errors, products = Scratch(kernel.dtype), Scratch(kernel.dtype)
    for images, blocks in windows.blocks(x.shape):
        scattered, inside = windows.padded(x[images].shape, kernel.dtype)
        targets = windows.view(scattered, writeable=True)
        for rows in blocks:
            target, d = _rows(targets, rows), _upstream(dz, images, rows, groups, errors)
            product = np.matmul(kernel, d, out=products.shaped(*kernel.shape[:2], d.shape[2]))
            parts = product.reshape(_channels_first(target).shape)
            for k in np.ndindex(windows.kernel):
                # The windows of one tap never overlap, so += adds every element once.
                target[k] += parts[(slice(None), *k)].swapaxes(0, 1)
        dx[images] = inside
    return dx


def _dw(call: _Backward) -> Array:
    """The columns that `conv_forward` multiplies with the kernel, times dz [CONV-B2]."""
    function, dz, x, w, windows, groups = call
    dtype = result_dtype(function, dz, x)
    # One column per filter, as the product of columns and errors has it: OpenBLAS is faster than the other way round.
    dw = np.zeros((groups, w[0].size, len(w) // groups), working_dtype(dtype))
    columns, errors = Scratch(dw.dtype), Scratch(dw.dtype)
    for images, blocks in windows.blocks(x.shape):
        taps = windows.view(_pad(x[images], windows, dw.dtype))
        for rows in blocks:
            d = _upstream(dz, images, rows, groups, errors)
            dw += _columns(taps, rows, groups, columns) @ d.swapaxes(1, 2)
    return dw.swapaxes(1, 2).reshape(w.shape).astype(dtype, copy=False)


def _db(dz: Array) -> Array:
    """The sum over images and places [CONV-B3]."""
    dtype, axes = dz.dtype.newbyteorder("="), (0, *range(2, dz.ndim))
    return np.asarray(dz.sum(axis=axes, dtype=working_dtype(dtype)).astype(dtype, copy=False))


def _arguments(
    function: str, x: ArrayLike, w: ArrayLike, stride: PerAxis, padding: Padding, dilation: PerAxis, groups: int
) -> tuple[Array, Array, Windows, int]:
    x = number_array(function, "x", x)
    w = number_array(function, "w", w)
    if x.ndim < 3 or 0 in x.shape[1:]:
        raise ValueError(
            f"{function}: x must be (N, C, *D) with at least one spatial axis and no empty one, "
            f"has shape {x.shape} [CONV-C1]"
        )
    if w.ndim != x.ndim or 0 in w.shape:
        raise ValueError(
            f"{function}: w must be (F, C/groups, *K) with {x.ndim - 2} spatial axes like x and no empty one, "
            f"has shape {w.shape} [CONV-C1]"
        )
    groups = integer(function, "groups", groups, 1, "CONV-C4")
    if x.shape[1] % groups or len(w) % groups:
        raise ValueError(
            f"{function}: groups must divide the {x.shape[1]} channels of x and the {len(w)} filters of w, "
            f"is {groups} [CONV-C4]"
        )
    if w.shape[1] * groups != x.shape[1]:
        raise ValueError(
            f"{function}: w expects {w.shape[1]} input channels per group, "
            f"x has {x.shape[1]} in {groups} group{'s' * (groups > 1)} [CONV-C2]"
        )
    return x, w, Windows.of(function, x.shape[2:], w.shape[2:], stride, padding, dilation), groups


def _by_group(w: Array, groups: int) -> Array:
    """Return w (F, C/groups, *K) as one matrix per group, (groups, F/groups, C/groups·|K|)."""
    return w.reshape(groups, len(w) // groups, -1)


def _pad(x: Array, windows: Windows, dtype: np.dtype[Any]) -> Array:
    if not any(map(any, windows.pads)):
        return x.astype(dtype, copy=False)
    whole, inside = windows.padded(x.shape, dtype)
    inside[...] = x
    return whole


def _rows(taps: Array, rows: slice) -> Array:
    """Restrict taps (*K, N, C, *O) to some rows of the first output axis."""
    rank = taps.ndim // 2 - 1
    index: Index = (..., rows, *[slice(None)] * (rank - 1))
    return np.asarray(taps[index])


def _channels_first(taps: Array) -> Array:
    """Move the channels of taps (*K, N, C, *O) to the front, as in the kernel: (C, *K, N, *O)."""
    middle = taps.ndim // 2
    return taps.transpose(middle, *range(middle), *range(middle + 1, taps.ndim))


def _images_first(taps: Array) -> Array:
    """Move images and channels of taps (*K, N, C, *O) to the front: (N, C, *K, *O)."""
    rank = taps.ndim // 2 - 1
    return taps.transpose(rank, rank + 1, *range(rank), *range(rank + 2, taps.ndim))


def _upstream(dz: Array, images: slice, rows: slice, groups: int, scratch: Scratch) -> Array:
    """Some images and rows of dz (N, F, *O) as one matrix per group, (groups, F/groups, N·|O|)."""
    part = dz.reshape(len(dz), groups, -1, *dz.shape[2:])[images, :, :, rows]
    return _contiguous(part.transpose(1, 2, 0, *range(3, part.ndim)), scratch).reshape(*part.shape[1:3], -1)


def _contiguous(block: Array, scratch: Scratch) -> Array:
    """Return the block as it lies if it lies in order, else a copy in the scratch's dtype."""
    if block.flags.c_contiguous:
        return block
    copy = scratch.shaped(*block.shape)
    copy[...] = block
    return copy


def _columns(taps: Array, rows: slice, groups: int, scratch: Scratch) -> Array:
    """Copy taps (*K, N, C, *O) into the columns of one matrix per group, (groups, C/groups·|K|, N·|O|)."""
    block = _contiguous(_channels_first(_rows(taps, rows)), scratch)
    rank = taps.ndim // 2 - 1
    return block.reshape(groups, len(block) // groups * math.prod(block.shape[1 : 1 + rank]), -1)
