"""Mistakes in where the windows of a convolution lie: stride, dilation, padding, the ends of loops."""

import math
from collections.abc import Callable, Iterator
from typing import Any

from reference_cnn._validate import Array
from reference_cnn._windows import Windows
from reference_cnn.oracle.mistakes.entry import (
    Backward,
    Implementation,
    Mistake,
    Options,
    Wrap,
    answering,
    asking,
    gradients,
    last_zero,
    merged,
)
from reference_cnn.oracle.mistakes.geometry import (
    Places,
    convolved,
    correlated,
    places,
    scattered,
    windows,
)
from reference_cnn.oracle.mistakes.pooling import windows as pooled


def _with(change: Callable[[Array, Array, Options], Options]) -> dict[str, tuple[Wrap, ...]]:
    """Options read otherwise, in the forward pass."""
    return {"conv_forward": (_options(change),)}


def _options(change: Callable[[Array, Array, Options], Options]) -> Wrap:
    return asking(lambda x, w, b, o: (x, w, b, {**o, **change(x, w, o)}))


Order = Callable[[tuple[int, ...]], tuple[int, ...]]
# What people take for a value per axis: the reverse order, that of the first or the last axis for all.
ORDERS: tuple[Order, ...] = (
    lambda s: s[::-1],
    lambda s: (s[0],) * len(s),
    lambda s: (s[-1],) * len(s),
)


def _of_another_axis(name: str, *more: Order) -> dict[str, tuple[Wrap, ...]]:
    """An option per axis in another order: for the size of the output too, or for the places of the windows alone."""
    orders = (*ORDERS, *more)

    def chosen(order: Order) -> Wrap:
        return _options(lambda x, w, o: {name: order(getattr(windows(x, w, o), name))})

    def where(order: Order, x: Array, w: Array, o: Options) -> Places:
        win = windows(x, w, o)
        return places(win, **{name: order(getattr(win, name))})

    def misplaced(order: Order) -> Wrap:
        def wrap(below: Implementation) -> Implementation:
            return lambda x, w, b=None, **o: convolved(x, w, b, o.get("groups", 1), where(order, x, w, o))

        return wrap

    def back(order: Order) -> Iterator[Wrap]:
        def dx(call: Backward) -> Array:
            groups = call.options.get("groups", 1)
            return scattered(call.dz, call.x, call.w, groups, where(order, call.x, call.w, call.options))

        def dw(call: Backward) -> Array:
            groups = call.options.get("groups", 1)
            return correlated(call.dz, call.x, groups, where(order, call.x, call.w, call.options))

        yield from (gradients(dx=dx, dw=dw), gradients(dx=dx), gradients(dw=dw))

    return {
        "conv_forward": (*map(chosen, orders), *map(misplaced, orders)),
        "conv_backward": tuple(wrap for order in orders for wrap in back(order)),
    }


def _same(o: Options) -> bool:
    return bool(o.get("padding") == "same")


def _same_only(pads: Callable[[Array, Array, Options], Any]) -> dict[str, tuple[Wrap, ...]]:
    """Pads worked out otherwise where "same" is asked for."""
    return _with(lambda x, w, o: {"padding": pads(x, w, o)} if _same(o) else {})


def _exchanged(win: Windows) -> tuple[tuple[int, int], ...]:
    return tuple((after, before) for before, after in win.pads)


def _lower(of: Callable[[Array, Any, Options], Windows]) -> Wrap:
    """In whatever has x and its kernel or window for last arguments."""

    def wrap(below: Implementation) -> Implementation:
        def wrong(*arrays: Any, **o: Any) -> Any:
            lower = {"padding": _exchanged(of(arrays[-2], arrays[-1], o))} if _same(o) else {}
            return below(*arrays, **{**o, **lower})

        return wrong

    return wrap


def _pads_as_flat_list(x: Array, w: Array, o: Options) -> Options:
    """[before…, after…] read as [before, after, …], one axis after the other."""
    pads = windows(x, w, o).pads
    flat = [p for pair in pads for p in pair]
    return {"padding": tuple(zip(flat[: len(pads)], flat[len(pads) :]))}


def _last_axis_first(x: Array, w: Array, o: Options) -> Options:
    return {"padding": windows(x, w, o).pads[::-1]}


def _one_more(x: Array, w: Array, o: Options) -> Options:
    return {"dilation": tuple(d + 1 for d in windows(x, w, o).dilation)} if "dilation" in o else {}


def _short_loop(axes: Callable[[int], tuple[int, ...]]) -> dict[str, tuple[Wrap, ...]]:
    """A loop over these axes of the output that leaves out the last."""

    def cut(z: Array) -> Array:
        return last_zero(z, axes(z.ndim))

    return {
        "conv_forward": (answering(lambda z, *a, **o: cut(z)),),
        "conv_backward": (
            gradients(
                dx=lambda call: call.again(dz=cut(call.dz)).dx,
                dw=lambda call: call.again(dz=cut(call.dz)).dw,
            ),
        ),
    }


def _swapped_sizes(below: Callable[..., Any]) -> Callable[..., Any]:
    """Flat memory walked with height and width exchanged."""

    def wrong(x: Array, w: Array, b: Any = None, **o: Any) -> Array:
        out = windows(x, w, o).out
        z: Array = below(x.reshape(*x.shape[:2], *x.shape[:1:-1]), w, b, **o)
        return z.reshape(len(x), len(w), *out) if math.prod(z.shape[2:]) == math.prod(out) else z

    return wrong


WINDOWS = (
    Mistake(
        "stride-axis",
        "You use the stride of one axis for another axis.",
        "The first stride moves along rows (height), the second along columns (width).",
        "equal strides on all axes",
        _of_another_axis("stride"),
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
        merged(
            _with(lambda x, w, o: {"padding": _exchanged(windows(x, w, o))}),
            # Where they are given, and not where "same" works them out.
            _with(lambda x, w, o: {} if _same(o) else {"padding": _exchanged(windows(x, w, o))}),
        ),
        ("MIPVerify#23✓", "root#21793✓"),
    ),
    Mistake(
        "same-lower",
        'Your "same" puts the odd zero before the image (ONNX calls that SAME_LOWER).',
        "Pad total // 2 before and the rest after; or keep your convention and say so.",
        'an even number of zeros, and padding other than "same"',
        {
            **_same_only(lambda x, w, o: _exchanged(windows(x, w, o))),
            "conv_backward": (_lower(windows),),
            **{f"{kind}_pool_{way}": (_lower(pooled),) for kind in ("max", "avg") for way in ("forward", "backward")},
        },
        ("onnx, SAME_LOWER",),
        "convention",
    ),
    Mistake(
        "pad-order",
        "You read the pads in another order: those of rows as those of columns, or all tops and lefts before the rest.",
        "There is one (before, after) pair for each axis.",
        "as much padding on every side",
        merged(_with(_pads_as_flat_list), _with(_last_axis_first)),
        ("onnxruntime#17325✓",),
    ),
    Mistake(
        "pad-half",
        'You pad kernel // 2 on both sides for "same", whatever the size and the stride.',
        "The total is (ceil(size / stride) − 1)·stride + dilation·(kernel − 1) + 1 − size; half of it goes before.",
        "stride 1 with an odd kernel",
        _same_only(lambda x, w, o: tuple(k // 2 for k in w.shape[2:])),
        ("root#21737",),
    ),
    Mistake(
        "same-stride-1",
        'You pad for "same" as if the stride were 1.',
        "The total is (ceil(size / stride) − 1)·stride + dilation·(kernel − 1) + 1 − size: the stride counts.",
        "stride 1, and sizes at which the totals agree",
        _same_only(lambda x, w, o: windows(x, w, {**o, "stride": 1}).pads),
    ),
    Mistake(
        "same-dilation-1",
        'You pad for "same" as if the dilation were 1.',
        "The total is (ceil(size / stride) − 1)·stride + dilation·(kernel − 1) + 1 − size: the dilation counts.",
        "dilation 1, and 1×1 kernels",
        _same_only(lambda x, w, o: windows(x, w, {**o, "dilation": 1}).pads),
    ),
    Mistake(
        "padding-twice",
        "You pad twice: the image, and then again where its windows are taken.",
        "Pad once.",
        "padding 0; otherwise there are too many outputs, unless the stride absorbs it",
        _with(lambda x, w, o: {"padding": tuple((2 * before, 2 * after) for before, after in windows(x, w, o).pads)}),
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
        "calls that leave the dilation out; 1×1 kernels",
        _with(_one_more),
    ),
    Mistake(
        "dilation-axis",
        "You use the dilation of one axis for another axis.",
        "The first dilation spreads the kernel's rows, the second its columns.",
        "equal dilations on all axes",
        # Or of one axis alone, the others having none.
        _of_another_axis("dilation", lambda d: (d[0], *[1] * (len(d) - 1)), lambda d: (*[1] * (len(d) - 1), d[-1])),
    ),
    Mistake(
        "stride-dilation",
        "You exchange stride and dilation.",
        "Window o starts at o·stride; its tap k lies k·dilation further on.",
        "a stride equal to the dilation",
        _with(lambda x, w, o: {"stride": o.get("dilation", 1), "dilation": o.get("stride", 1)}),
    ),
    Mistake(
        "short-loop",
        "Your loop over the output ends one too early: the last row or column stays 0.",
        "Go through all (size + pads − dilation·(kernel − 1) − 1) // stride + 1 outputs: range(n) leaves out n itself.",
        "outputs that are 0 there anyway",
        merged(*map(_short_loop, (lambda n: (n - 1,), lambda n: (2,), lambda n: tuple(range(2, n))))),
        ("open-iris#225✓",),
    ),
)
