"""The verdicts on pooling, relu, softmax and losses."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from strategies import Array

import reference_cnn as reference
from reference_cnn._windows import Windows
from reference_cnn.oracle import cases, check, notation
from reference_cnn.oracle.layers import LAYERS

Functions = dict[str, Callable[..., Any]]
NEW = [name for name, layer in LAYERS.items() if layer.family not in ("conv", "dense") and "sigmoid" not in name]


@pytest.mark.spec("ORC-D2")
@pytest.mark.parametrize("rank", [1, 3])
def test_other_ranks(rank: int) -> None:
    for dtype in ("float64", "bfloat16"):
        report = check("reference", functions=[n for n in NEW if "pool" in n], dtype=dtype, rank=rank, seed=rank)
        assert report.passed, f"\n{report}"


@pytest.mark.spec("ORC-D2", "RND-N4")
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_other_right_formulas_pass(dtype: str) -> None:
    def log_softmax(z: Array) -> Array:
        return z - np.logaddexp.reduce(z, axis=-1, keepdims=True)

    def jacobian(da: Array, a: Array) -> Array:
        matrices = a[..., :, None] * (np.eye(a.shape[-1], dtype=a.dtype) - a[..., None, :])
        return np.asarray((matrices @ da[..., None])[..., 0])

    def by_differences(da: Array, a: Array) -> Array:
        """Right, since a adds up to 1."""
        return np.asarray((a[..., :, None] * a[..., None, :] * (da[..., :, None] - da[..., None, :])).sum(axis=-1))

    def less_one(z: Array, labels: Array) -> Array:
        dz = np.exp(log_softmax(z))
        dz[np.arange(len(z)), labels] -= 1
        return dz

    def by_reciprocal(x: Array, window: Any, **options: Any) -> Array:
        ones = reference.avg_pool_forward(np.ones_like(x), window, **options | {"include_padding": True})
        size = np.prod(window if isinstance(window, tuple) else (window,) * (x.ndim - 2))
        sums = reference.avg_pool_forward(x * x.dtype.type(size), window, **options | {"include_padding": True})
        return np.asarray(
            sums * (1 / size if options.get("include_padding") else 1 / np.round(ones * size)).astype(x.dtype)
        )

    others: list[Functions] = [
        {
            "relu": lambda z: np.clip(z, 0, None),
            "relu_prime": lambda z: np.heaviside(z, 0),
            "softmax": lambda z: np.exp(log_softmax(z)),
            "softmax_backward": jacobian,
            "squared_error": lambda o, y: np.square(y - o).sum() * 0.5,
            "squared_error_prime": lambda o, y: -(y - o),
            "cross_entropy": lambda z, labels: -log_softmax(z)[np.arange(len(z)), labels].sum(),
            "cross_entropy_prime": less_one,
            "avg_pool_forward": by_reciprocal,
        },
        {
            "relu": lambda z: np.maximum(z, 0),
            "softmax_backward": by_differences,
            "squared_error": lambda o, y: float(((o - y) / 2 * (o - y)).sum()),
        },
    ]
    for functions in others:
        for seed in range(2):
            report = check(functions, dtype=dtype, seed=seed)
            assert report.passed, f"\n{report}"


def zero_padded(x: Array, window: Any, *, padding: Any = 0, **options: Any) -> Array:
    """Max pooling after padding with 0."""
    size = window if isinstance(window, tuple) else (window,) * (x.ndim - 2)
    windows = Windows.of("test", x.shape[2:], size, options.get("stride", size), padding, options.get("dilation", 1))
    return reference.max_pool_forward(np.pad(x, ((0, 0), (0, 0), *windows.pads)), window, **options)


def one_max_for_all(z: Array) -> Array:
    e = np.exp(z - z.max())
    return np.asarray(e / e.sum(axis=-1, keepdims=True))


def without_max(z: Array) -> Array:
    e = np.exp(z)
    return np.asarray(e / e.sum(axis=-1, keepdims=True))


def log_of_softmax(z: Array, labels: Array) -> Any:
    return -np.log(reference.softmax(z)[np.arange(len(z)), labels]).sum()


def broadcast(o: Array, y: Array) -> Any:
    """(N, 1) − (N,) is (N, N)."""
    return ((y.ravel() - o) ** 2).sum() / 2 if o.ndim == 2 and o.shape[1] == 1 else reference.squared_error(o, y)


def averaged(function: Callable[..., Any], axis: int = 0) -> Callable[..., Any]:
    return lambda *a: function(*a) / a[0].shape[axis]


WRONG: dict[str, Functions] = {
    "pool-zero-pad": {"max_pool_forward": zero_padded},
    "pool-small-init": {"max_pool_forward": lambda *a, **o: np.maximum(reference.max_pool_forward(*a, **o), 0)},
    "stride 1 by default": {
        "avg_pool_forward": lambda x, window, stride=1, **o: reference.avg_pool_forward(x, window, stride=stride, **o)
    },
    "pool-divisor": {
        "avg_pool_forward": lambda x, window, include_padding=False, **o: reference.avg_pool_forward(
            x, window, include_padding=not include_padding, **o
        )
    },
    "pool-backward-divisor": {
        "avg_pool_backward": lambda dy, x, window, include_padding=False, **o: reference.avg_pool_backward(
            dy, x, window, include_padding=True, **o
        )
    },
    "sum for mean": {"avg_pool_forward": lambda x, window, **o: reference.avg_pool_forward(2 * x, window, **o)},
    "leaky": {"relu": lambda z: np.where(z > 0, z, 0.01 * z)},
    "absolute": {"relu": np.abs},
    "relu-mask": {"relu_prime": lambda z: (z >= 0).astype(z.dtype)},
    "softmax-axis": {"softmax": lambda z: reference.softmax(z.T).T if z.ndim == 2 else reference.softmax(z)},
    "softmax-global-max": {"softmax": one_max_for_all},
    "softmax-no-max": {"softmax": without_max},
    "softmax-diagonal": {"softmax_backward": lambda da, a: a * (1 - a) * da},
    "log-of-softmax": {"cross_entropy": log_of_softmax},
    "loss-extra-mean": {
        "cross_entropy": averaged(reference.cross_entropy),
        "cross_entropy_prime": averaged(reference.cross_entropy_prime),
        "squared_error": averaged(reference.squared_error),
    },
    "loss-broadcast": {"squared_error": broadcast},
    "the other way round": {"squared_error_prime": lambda o, y: y - o},
    "no half": {"squared_error": lambda o, y: 2 * reference.squared_error(o, y)},
    "the label forgotten": {"cross_entropy_prime": lambda z, labels: reference.softmax(z)},
}


@pytest.mark.spec("ORC-D2", "ORC-D6")
@pytest.mark.parametrize("name", WRONG)
def test_mistakes_are_found(name: str) -> None:
    for seed, dtype in enumerate(("float64", "float32")):
        report = check(WRONG[name], dtype=dtype, seed=seed)
        for function in WRONG[name]:
            result = report.results[function]
            assert result.verdict == "fail", f"{function} passed in {dtype} with seed {seed}\n{report}"
            assert result.failure is not None
            assert result.failure.case.size <= 60


@pytest.mark.spec("ORC-D2")
@pytest.mark.parametrize("dtype", ["float64", "float32", "float16", "bfloat16"])
def test_no_maximum_is_a_tie_and_some_maps_are_negative(dtype: str) -> None:
    for rank in (1, 2, 3):
        for case in cases("max_pool_forward", dtype=dtype, rank=rank, tiers=("exact", "rounding")):
            x = case.arguments["x"].astype(float)
            tops = x.max(axis=tuple(range(2, x.ndim)))
            assert (tops < 0).any() or tops.size == 1, case
            for index in np.ndindex(x.shape[:2]):
                assert len(np.unique(x[index])) == x[index].size or x[index].size > 128, case


@pytest.mark.spec("ORC-D1")
def test_large_maps_repeat_a_block_as_large_as_a_window() -> None:
    for dtype in ("bfloat16", "float16"):
        report = check("reference", dtype=dtype, case="x=1x4x40x40 window=3 stride=2 padding=1")
        assert report.passed
        assert report.results["max_pool_backward"].cases == 2


@pytest.mark.spec("ORC-D1")
def test_options_of_poolings_can_be_written_and_read() -> None:
    for text in (
        "x=2x3x8x8 window=2",
        "x=2x3x8x8 window=2,3 stride=2 padding=0:1,1:0 include_padding=True",
        "o=3x1",
        "a=3x4",
    ):
        assert notation.write(notation.read(text)) == text
    with pytest.raises(ValueError, match="it must be True or False"):
        notation.read("x=2x3x8x8 window=2 include_padding=yes")
    assert set(check("reference", case="x=1x1x4x4 window=2 dilation=1").results) == {
        "max_pool_forward", "max_pool_backward",
    }  # fmt: skip
    assert set(check("reference", case="z=3x4").results) == {
        "sigmoid", "sigmoid_prime", "relu", "relu_prime", "softmax", "cross_entropy", "cross_entropy_prime",
    }  # fmt: skip
    assert check("reference", case="z=0x3").passed  # no row at all
    with pytest.raises(ValueError, match=r"POOL-C3"):
        check("reference", case="x=1x1x4x4 window=2 padding=2")


def under(condition: Callable[..., Any], function: Callable[..., Any]) -> Callable[..., Any]:
    """Right but for a factor 2 under a condition."""
    return lambda *a, **o: function(*a, **o) * (2 if condition(*a, **o) else 1)


# Wrong only where more is asked than a tile of eight, for a window of 1, or for the first label.
LARGE: dict[str, Functions] = {
    "a large image": {"max_pool_forward": under(lambda x, w, **o: x.shape[-1] > 16, reference.max_pool_forward)},
    "a large image backward": {
        "max_pool_backward": under(lambda dy, x, w, **o: x.shape[-1] > 16, reference.max_pool_backward)
    },
    "many channels": {"avg_pool_forward": under(lambda x, w, **o: x.shape[1] > 8, reference.avg_pool_forward)},
    "a large window": {"max_pool_forward": under(lambda x, w, **o: np.max(w) > 4, reference.max_pool_forward)},
    "a window of 1": {"avg_pool_forward": under(lambda x, w, **o: w == 1, reference.avg_pool_forward)},
    "many classes": {"softmax": under(lambda z: z.shape[-1] > 32, reference.softmax)},
    "one axis": {"softmax": under(lambda z: z.ndim == 1, reference.softmax)},
    "the first label": {"cross_entropy": under(lambda z, labels: (labels == 0).all(), reference.cross_entropy)},
    "the last label": {
        "cross_entropy": under(lambda z, labels: (labels == z.shape[1] - 1).all(), reference.cross_entropy)
    },
    "a grid of many rows": {"conv_forward": under(lambda x, w, *b, **o: x.shape[-1] > 32, reference.conv_forward)},
    "many input channels": {"conv_forward": under(lambda x, w, *b, **o: x.shape[1] > 32, reference.conv_forward)},
    "a kernel of 1 with padding": {
        "conv_forward": lambda x, w, b=None, **o: reference.conv_forward(
            x, w, b, **(o | {"padding": 0} if set(w.shape[2:]) == {1} else o)
        )
    },
    "an image as large as the kernel": {
        "conv_forward": lambda x, w, b=None, **o: reference.conv_forward(
            x, w, b, **(o | {"padding": 0} if x.shape[2:] == w.shape[2:] else o)
        )
    },
    "many neurons": {"dense_forward": under(lambda x, w, *b: w.shape[1] > 64, reference.dense_forward)},
    "a sigmoid of 0": {"sigmoid": lambda z: np.where(z == 0, 0, reference.sigmoid(z))},
    "equal logits": {
        "cross_entropy": under(
            lambda z, labels: (np.ptp(z, axis=1) == 0).any() and z.shape[1] > 1, reference.cross_entropy
        )
    },
    "a clipped logarithm": {
        "cross_entropy": lambda z, labels: (
            -np.log(np.clip(reference.softmax(z)[np.arange(len(z)), labels], 1e-15, 1)).sum()
        )
    },
}


@pytest.mark.spec("ORC-D2")
@pytest.mark.parametrize("name", LARGE)
def test_what_few_inputs_show_is_asked(name: str) -> None:
    for seed in range(2):
        assert not check(LARGE[name], seed=seed).passed
