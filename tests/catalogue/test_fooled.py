"""What has fooled the oracle once: wrong layers that passed, and right ones that were rejected."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from strategies import Array

from reference_cnn import (
    avg_pool_forward,
    conv_backward,
    conv_forward,
    dense_forward,
    max_pool_backward,
    max_pool_forward,
    sigmoid,
    softmax,
    squared_error,
)
from reference_cnn.oracle import check
from reference_cnn.oracle.targets import UsageError

Functions = dict[str, Callable[..., Any]]


def without_bias(size: int, **rare: Any) -> Functions:
    """A fast path for one size of kernel that forgets the bias."""

    def forward(x: Array, w: Array, b: Any = None, **options: Any) -> Array:
        fast = w.shape[2:] == (size, size) and options == rare
        return conv_forward(x, w, None if fast else b, **options)

    return {"conv_forward": forward}


def last_column_lost(wanted: Callable[[Array, Array, dict[str, Any]], bool]) -> Functions:
    """A path of its own for some calls, whose loop is one short."""

    def forward(x: Array, w: Array, b: Any = None, **options: Any) -> Array:
        z = conv_forward(x, w, b, **options)
        if wanted(x, w, options):
            z[..., -1] = 0
        return z

    return {"conv_forward": forward}


def no_last_of_32(answer: Array, axis: int) -> Array:
    """The last of a whole number of vectors is 0, as by a mask of (1 << length % 32) − 1."""
    last = np.arange(answer.shape[axis]) >= answer.shape[axis] - 32
    if answer.shape[axis] % 32 == 0:
        np.moveaxis(answer, axis, -1)[..., last] = 0
    return answer


def body_of_16(z: Array) -> Array:
    if z.shape[-1] >= 16:
        z[..., 15] = z[..., 0]
    return z


def as_floats32(dy: Array, x: Array, window: Any, **options: Any) -> Array:
    return max_pool_backward(dy, x.astype(np.float32), window, **options)


def a_view(x: Array, window: Any, **options: Any) -> Array:
    return x[:] if window == 1 and not options else max_pool_forward(x, window, **options)


def into_its_argument(dz: Array, x: Array, w: Array, **options: Any) -> Any:
    g = conv_backward(dz, x, w, **options)
    if dz.shape != x.shape:
        return g
    dz[...] = g.dx
    return g._replace(dx=dz)


def memory_order(x: Array, w: Array, b: Any = None, **options: Any) -> Array:
    """Takes memory in the order in which it lies, if it is packed."""
    return conv_forward(x.ravel("K").reshape(x.shape) if x.flags.f_contiguous else x, w, b, **options)


def refuses_read_only(x: Array, w: Array, b: Any = None, **options: Any) -> Array:
    """As Cython's buffers do; and then takes no notice of strides."""
    if not x.flags.writeable:
        raise ValueError("buffer source array is read-only")
    return conv_forward(x if x.flags.c_contiguous else x + 1, w, b, **options)


def packed_once() -> Functions:
    """Weights packed for as long as the array is the same, though an optimizer changes it in place."""
    packed: list[Any] = [None, None]

    def forward(x: Array, w: Array, b: Any = None, **options: Any) -> Array:
        if packed[0] is not w:
            packed[:] = w, w.copy()
        return conv_forward(x, packed[1], b, **options)

    return {"conv_forward": forward}


def shares(how: Callable[[Array], Array]) -> Callable[..., Array]:
    """Max pooling backward over two axes that shares each gradient among the maxima of its window as told."""

    def backward(dy: Array, x: Array, window: Any, *, stride: Any = None) -> Array:
        k = np.broadcast_to(window, 2)
        s = k if stride is None else np.broadcast_to(stride, 2)
        dx = np.zeros_like(x)
        for place in np.ndindex(*dy.shape[2:]):
            corner: tuple[Any, ...] = tuple(slice(p * t, p * t + e) for p, t, e in zip(place, s, k))
            inside = x[(..., *corner)].reshape(*x.shape[:2], -1)
            parts = how(inside == inside.max(axis=-1, keepdims=True)) * dy[(..., *place)][..., None]
            dx[(..., *corner)] += parts.reshape(dx[(..., *corner)].shape)
        return dx

    return backward


WRONG: dict[str, Functions] = {
    "a rectifier that multiplies": {"relu": lambda z: z * (z > 0)},
    "no bias at 3×3, padding": without_bias(3, padding=1),
    "no bias at 3×3, padding, stride": without_bias(3, padding=1, stride=2),
    "no bias at 1×1": without_bias(1),
    "depthwise": last_column_lost(lambda x, w, o: o == {"padding": 1, "groups": x.shape[1]} and w.shape[-1] == 3),
    "depthwise, stride": last_column_lost(lambda x, w, o: o.keys() == {"padding", "groups", "stride"} and len(w) == 3),
    "dilated": last_column_lost(lambda x, w, o: o == {"padding": "same", "dilation": 2} and w.shape[-2:] == (3, 3)),
    "5×5, padding": last_column_lost(lambda x, w, o: o == {"padding": 2} and w.shape[-2:] == (5, 5)),
    "a vector of 16": {"conv_forward": lambda x, w: body_of_16(conv_forward(x, w))},
    "a pooled vector of 16": {
        "max_pool_forward": lambda x, window, **o: body_of_16(max_pool_forward(x, window, **o)),
        "avg_pool_forward": lambda x, window, **o: body_of_16(avg_pool_forward(x, window, **o)),
    },
    "half of many columns": {
        "conv_forward": lambda x, w: conv_forward(x, w) * (1 + (np.arange(x.shape[3] - w.shape[3] + 1) >= 18))
    },
    "wide groups": {
        "conv_forward": lambda x, w, groups=1: conv_forward(x, w, groups=groups) * (1 + (groups > 1 and w.shape[1] > 8))
    },
    "four axes": {"softmax": lambda z: softmax(z) if z.ndim < 4 else np.swapaxes(softmax(np.swapaxes(z, 1, 3)), 1, 3)},
    "compared in float32": {"max_pool_backward": as_floats32},
    "all() for any()": {
        "conv_forward": lambda x, w, b=None, **o: conv_forward(x, w, b if np.all(b) else None, **o)
    },
    "a bias for 16 filters": {
        "conv_forward": lambda x, w, b=None, **o: (
            conv_forward(x, w, None if b is None else b[np.arange(len(b)) % 16], **o)
        )
    },
    "no bias for a patch": {
        "conv_forward": lambda x, w, b=None, stride=1, **o: (
            conv_forward(x, w, None if stride == w.shape[2] > 1 else b, stride=stride, **o)
        )
    },
    "no bias for large kernels": {
        "conv_forward": lambda x, w, b=None, **o: conv_forward(x, w, b if w.shape[2] < 5 else None, **o)
    },
    "no last of 32 columns": {"conv_forward": lambda x, w, *b, **o: no_last_of_32(conv_forward(x, w, *b, **o), 3)},
    "no last of 32 filters": {"conv_forward": lambda x, w, *b, **o: no_last_of_32(conv_forward(x, w, *b, **o), 1)},
    "no last of 32 images": {"avg_pool_forward": lambda *x, **o: no_last_of_32(avg_pool_forward(*x, **o), 0)},
    "no last of 32 classes": {"softmax": lambda z: no_last_of_32(softmax(z), -1)},
    "tiny numbers are 0": {"relu": lambda z: np.where(z <= 1e-12, 0, z)},
    "padding for 8 images": {
        "conv_forward": lambda x, w, *b, padding=0, **o: (
            conv_forward(x, w, *b, padding=padding, **o) * (1 + (padding != 0 and len(x) > 8))
        )
    },
    "NaN in w is 0": {"conv_forward": lambda x, w, *b, **o: conv_forward(x, np.nan_to_num(w), *b, **o)},
    "NaN in b is 0": {"dense_forward": lambda x, w, b=0: dense_forward(x, w) + np.nan_to_num(b)},
    "a square multiplied out": {"squared_error": lambda o, y: ((o * o).sum() - 2 * (o * y).sum() + (y * y).sum()) / 2},
    "squares multiplied out": {"squared_error": lambda o, y: (o * o - 2 * o * y + y * y).sum() / 2},
    "no error above a million": {"squared_error": lambda o, y: np.minimum(squared_error(o, y), 1e6)},
    "NaN in y is 0": {"squared_error": lambda o, y: squared_error(o, np.nan_to_num(y))},
    "NaN at 1×1 is 0": {
        "conv_forward": lambda x, w, *b, **o: conv_forward(np.nan_to_num(x) if w[0, 0].size == 1 else x, w, *b, **o)
    },
    "a view": {"max_pool_forward": a_view},
    "into its argument": {"conv_backward": into_its_argument},
    "packed once": packed_once(),
    "all ties": {"max_pool_backward": shares(lambda tied: tied)},
    "ties where windows overlap": {
        "max_pool_backward": lambda dy, x, window, **o: (
            shares(lambda tied: tied)(dy, x, window, **o)
            if o == {"stride": 1} and x.ndim == 4
            else max_pool_backward(dy, x, window, **o)
        )
    },
    "infinity in w is 0": {
        "conv_forward": lambda x, w, *b, **o: conv_forward(x, np.where(np.isinf(w), 0, w), *b, **o)
    },
    "infinity in b is 0": {"dense_forward": lambda x, w, b=0: dense_forward(x, w) + np.where(np.isinf(b), 0, b)},
    "−∞ in x is 0": {"conv_forward": lambda x, w, *b, **o: conv_forward(np.where(x == -np.inf, 0, x), w, *b, **o)},
    "backwards": {"dense_forward": lambda x, w, b=0: dense_forward(x[..., ::-1] if min(x.strides) < 0 else x, w) + b},
    "memory order": {"conv_forward": memory_order},
    "read-only": {"conv_forward": refuses_read_only},
}  # fmt: skip


@pytest.mark.spec("ORC-D2", "ORC-N1", "ORC-N2", "ORC-N4")
@pytest.mark.parametrize("name", WRONG)
def test_it_fails(name: str) -> None:
    for seed in range(2):
        report = check(WRONG[name], functions=list(WRONG[name]), seed=seed)
        assert {r.verdict for r in report.results.values()} == {"fail"}


def running_mean(x: Array, window: Any, **options: Any) -> Array:
    """Welford's, over the taps of each window in turn, which would lose an infinity to ∞ − ∞."""
    if options or not isinstance(window, int):
        raise ValueError("a window alone")
    n, c, *size = x.shape
    y = np.zeros((n, c, *(s // window for s in size)), x.dtype)
    for place in np.ndindex(*y.shape[2:]):
        corner: tuple[Any, ...] = tuple(slice(p * window, (p + 1) * window) for p in place)
        taps = x[(..., *corner)].reshape(n, c, -1)
        for k in range(taps.shape[-1]):
            difference = taps[..., k] - y[(..., *place)]
            y[(..., *place)] += np.where(np.isfinite(y[(..., *place)]), difference / x.dtype.type(k + 1), taps[..., k])
    return y


RIGHT: dict[str, Functions] = {
    "a norm": {"squared_error": lambda o, y: np.linalg.norm((o - y).ravel()) ** 2 / 2},
    "a mean": {"squared_error": lambda o, y: ((o - y) ** 2).mean() * o.size / 2},
    "a factor in the square": {"squared_error": lambda o, y: ((0.5**0.5 * (o - y)) ** 2).sum().astype(o.dtype)},
    "an even share of ties": {"max_pool_backward": shares(lambda tied: tied / tied.sum(axis=-1, keepdims=True))},
    "the last of ties": {
        "max_pool_backward": shares(lambda tied: tied & (tied[..., ::-1].cumsum(axis=-1)[..., ::-1] == 1))
    },
    "a running mean": {"avg_pool_forward": running_mean},
}


@pytest.mark.spec("ORC-D2", "RND-D3", "ORC-N4")
@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("name", RIGHT)
def test_it_passes(name: str, dtype: str) -> None:
    for seed in range(2):
        report = check(RIGHT[name], functions=list(RIGHT[name]), dtype=dtype, seed=seed)
        assert report.passed, f"\n{report}"


@pytest.mark.spec("ORC-D4")
def test_what_is_no_exception_is_a_finding() -> None:
    """As a panic of Rust's comes through PyO3."""

    def panics(z: Array) -> Array:
        raise type("PanicException", (BaseException,), {})("index out of bounds")

    failure = check({"sigmoid": panics}).results["sigmoid"].failure
    assert failure is not None
    assert failure.message.startswith("it raises PanicException: index out of bounds (test_fooled.py, line ")


@pytest.mark.spec("ORC-N5")
def test_a_case_without_an_element_says_nothing() -> None:
    result = check({"sigmoid": lambda z: z}, case="z=0x3").results["sigmoid"]
    assert (result.verdict, result.cases, result.uninformative) == ("missing", 0, 1)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"functions": []}, "lists of names"),
        ({"functions": "relu"}, "lists of names"),
        ({"accept": "flipped-kernel"}, "lists of names"),
        ({"dtype": np.dtype("float32")}, "dtype must be one of"),
        ({"seed": 1.5}, "seed must be an integer"),
        ({"rank": "2"}, "rank must be an integer"),
    ],
)
def test_an_option_of_another_type_is_named(options: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        check({"sigmoid": sigmoid}, **options)
