"""What is wrong only under a condition, at a size or in a range of numbers, and is found all the same."""

import inspect
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from strategies import Array

import reference_cnn
from reference_cnn import conv_forward, dense_forward, max_pool_forward, sigmoid, softmax, squared_error
from reference_cnn.oracle import check

Functions = dict[str, Callable[..., Any]]


def conditional(condition: Callable[..., bool], keywords: tuple[str, ...]) -> Callable[..., Any]:
    """A convolution that is wrong under a condition, and offers these keywords as ints only."""

    def conv(x: Array, w: Array, b: Any = None, **options: Any) -> Array:
        if not all(isinstance(v, int) for v in options.values()):
            raise TypeError("int only")
        z = conv_forward(x, w, b, **options)
        return 2 * z if condition(x, w, b, z, **options) else z

    parameters = [inspect.Parameter(n, inspect.Parameter.POSITIONAL_OR_KEYWORD) for n in ("x", "w")]
    parameters.append(inspect.Parameter("b", inspect.Parameter.POSITIONAL_OR_KEYWORD, default=None))
    parameters += [inspect.Parameter(k, inspect.Parameter.KEYWORD_ONLY, default=1) for k in keywords]
    conv.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]  # inspect reads it
    return conv


# Wrong under a condition only: what few keywords leave room for.
CONDITIONAL: dict[str, Callable[..., Any]] = {
    "a bias and a stride": conditional(lambda x, w, b, z, stride=1: b is not None and stride > 1, ("stride",)),
    "a bias and groups": conditional(lambda x, w, b, z, groups=1: b is not None and groups > 1, ("groups",)),
    "groups and a stride": conditional(
        lambda x, w, b, z, groups=1, stride=1: groups > 1 and stride > 1, ("groups", "stride")
    ),
    "dilation and a stride": conditional(
        lambda x, w, b, z, dilation=1, stride=1, padding=0: dilation > 1 and stride > 1,
        ("stride", "padding", "dilation"),
    ),
    "many groups": conditional(lambda x, w, b, z, groups=1: groups > 32, ("groups",)),
    "a far-reaching kernel": conditional(lambda x, w, b, z, dilation=1: dilation >= 12, ("dilation",)),
    "dilation and padding": conditional(
        lambda x, w, b, z, dilation=1, stride=1, padding=0: dilation > 1 and padding > 0,
        ("stride", "padding", "dilation"),
    ),
    "channels like rows and columns": conditional(lambda x, w, b, z: x.shape[1] == x.shape[2] == x.shape[3], ()),
    "a bias, and filters like columns": conditional(lambda x, w, b, z: b is not None and z.shape[1] == z.shape[3], ()),
    "a 1×1 kernel": conditional(lambda x, w, b, z: w.shape[2:] == (1, 1), ()),
    "a 3×3 kernel": conditional(lambda x, w, b, z: w.shape[2:] == (3, 3), ()),
    "a square kernel": conditional(lambda x, w, b, z: w.shape[2] == w.shape[3] > 1, ()),
}


@pytest.mark.spec("ORC-D2", "ORC-D3")
@pytest.mark.parametrize("name", CONDITIONAL)
def test_few_keywords_are_no_refuge(name: str) -> None:
    for seed in range(2):
        report = check({"conv_forward": CONDITIONAL[name]}, seed=seed)
        assert report.results["conv_forward"].verdict == "fail", f"seed {seed}\n{report}"


def doubled(function: str, condition: Callable[..., bool]) -> Functions:
    """A layer without keywords whose answer is twice the right one where its arguments meet a condition."""
    right = getattr(reference_cnn, function)

    def layer(*arrays: Any) -> Any:
        answer = right(*arrays)
        if not condition(*arrays):
            return answer
        return [2 * gradient for gradient in answer] if isinstance(answer, tuple) else 2 * answer

    return {function: layer}


def lowest(bound: float) -> Callable[..., Array]:
    """A running maximum that starts from what is meant to be lower than all."""
    return lambda x, window, **o: np.maximum(max_pool_forward(x, window, **o), bound).astype(x.dtype)


def flushed(z: Array) -> Array:
    return np.where(np.abs(z) < 1e-5, 0, z)


# Wrong only where a tile, a vector or a counter is at its end.
LARGE: dict[str, Functions] = {
    "8 images": doubled("conv_forward", lambda x, w, *b: len(x) > 8),
    "32 images": doubled("conv_forward", lambda x, w, *b: len(x) > 32),
    "128 images": doubled("conv_forward", lambda x, w, *b: len(x) > 128),
    "8 channels": doubled("conv_backward", lambda dz, x, w: w.shape[1] > 8),
    "128 channels": doubled("conv_forward", lambda x, w, *b: w.shape[1] > 128),
    "16 filters": doubled("conv_forward", lambda x, w, *b: len(w) > 16),
    "128 filters": doubled("conv_forward", lambda x, w, *b: len(w) > 128),
    "16 columns": doubled("conv_forward", lambda x, w, *b: x.shape[-1] > 16),
    "256 columns": doubled("conv_forward", lambda x, w, *b: x.shape[-1] > 256),
    "1024 positions": doubled("conv_forward", lambda x, w, *b: math.prod(x.shape[2:]) > 1024),
    "8 columns of a kernel": doubled("conv_backward", lambda dz, x, w: w.shape[-1] > 8),
    "1024 taps": doubled("conv_forward", lambda x, w, *b: w[0].size > 1024),
    "8 examples": doubled("dense_forward", lambda x, w, *b: len(x) > 8),
    "8 examples backward": doubled("dense_backward", lambda dz, x, w: len(x) > 8),
    "128 examples": doubled("dense_forward", lambda x, w, *b: len(x) > 128),
    "8 neurons": doubled("dense_forward", lambda x, w, *b: w.shape[1] > 8),
    "256 neurons": doubled("dense_forward", lambda x, w, *b: w.shape[1] > 256),
    "1024 features": doubled("dense_forward", lambda x, w, *b: len(w) > 1024),
    "128 pooled images": doubled("max_pool_forward", lambda x, window: len(x) > 128),
    "128 pooled channels": doubled("avg_pool_forward", lambda x, window: x.shape[1] > 128),
    "256 pooled columns": doubled("avg_pool_forward", lambda x, window: x.shape[-1] > 256),
    "4096 numbers": doubled("sigmoid", lambda z: z.size > 4096),
    "1024 classes": doubled("softmax", lambda z: z.shape[-1] > 1024),
    "256 labels": doubled("cross_entropy", lambda z, labels: len(z) > 256),
    "labels of 8 bits": {"cross_entropy": lambda z, labels: reference_cnn.cross_entropy(z, labels % 256)},
    "8192 errors": {"squared_error": lambda o, y: squared_error(o.ravel()[:8192], y.ravel()[:8192])},
}
# Wrong only for numbers that are large, small, or have a sign.
RANGES: dict[str, Functions] = {
    "small answers are 0": {"conv_forward": lambda x, w, *b: flushed(conv_forward(x, w, *b))},
    "small answers of neurons are 0": {"dense_forward": lambda x, w, *b: flushed(dense_forward(x, w, *b))},
    "large answers are cut off": {"conv_forward": lambda x, w, *b: np.clip(conv_forward(x, w, *b), -1e5, 1e5)},
    "tiny negative numbers": {"sigmoid": lambda z: np.where((z < 0) & (z > -1e-3), 0.5, sigmoid(z))},
    "lower than −1000": {"max_pool_forward": lowest(-1000)},
    "lower than −10⁹": {"max_pool_forward": lowest(-1e9)},
    "lower than the lowest of C's floats": {"max_pool_forward": lowest(float(np.finfo(np.float32).min))},
    "lower than the lowest number": {"max_pool_forward": lowest(float(np.finfo(np.float64).min))},
    "a threshold of the rectifier": {"relu": lambda z: np.where(z > 1e-7, z, 0) + np.where(np.isnan(z), z, 0)},
    "a threshold of its derivative": {"relu_prime": lambda z: np.where(np.isnan(z), z, z > np.finfo(float).eps)},
    "a kernel of 5 and no option": {"conv_forward": lambda x, w: conv_forward(x, w) + (w.shape[2:] == (5, 5))},
    "a window of 5 and no option": doubled("avg_pool_forward", lambda x, window: window == 5),
    "tiny weights are pruned": {"conv_forward": lambda x, w: conv_forward(x, np.where(np.abs(w) < 1e-8, 0, w))},
}


@pytest.mark.spec("ORC-D2")
@pytest.mark.parametrize("name", [*LARGE, *RANGES])
def test_sizes_beyond_a_tile_and_numbers_out_of_the_ordinary_are_asked(name: str) -> None:
    functions = {**LARGE, **RANGES}[name]
    for seed in range(2):
        report = check(functions, functions=list(functions), seed=seed)
        assert {r.verdict for r in report.results.values()} == {"fail"}


def far_apart(x: Array, w: Array, b: Any = None, **options: Any) -> Array:
    rare = options.get("stride") == 4 and options.get("padding") == "same" and w[0, 0].size == 1
    return conv_forward(x, w, b, **options) + rare


@pytest.mark.spec("ORC-D6")
@pytest.mark.parametrize(
    ("functions", "text"),
    [
        (LARGE["16 filters"], "x=1x1x1x1 w=17x1x1x1"),
        (LARGE["8 neurons"], "x=1x1 w=1x9"),
        (doubled("conv_backward", lambda dz, x, w: w.shape[1] > 32), "x=1x33x1x1 w=1x33x1x1"),
        ({"conv_forward": far_apart}, "x=1x1x1x1 w=1x1x1x1 stride=4 padding=same"),
        ({"softmax": lambda z: np.zeros(z.shape) if z.shape[-1] > 100 else softmax(z)}, "z=1x101"),
    ],
)  # fmt: skip
def test_a_case_that_few_meet_is_made_as_small_as_it_can_be(functions: Functions, text: str) -> None:
    """No random call may fail; then the one at hand loses sizes and options until it would be answered rightly."""
    (name,) = functions
    failure = check(functions, functions=[name]).results[name].failure
    assert failure is not None
    assert failure.case.text == text


@pytest.mark.spec("ORC-D2", "WIN-D3")
def test_same_as_for_stride_1_is_found() -> None:
    def same(x: Array, w: Array, b: Any = None, *, stride: int = 1, padding: Any = 0) -> Array:
        if not isinstance(stride, int) or not isinstance(padding, int | str):
            raise TypeError
        if padding == "same":
            padding = tuple(((k - 1) // 2, k - 1 - (k - 1) // 2) for k in w.shape[2:])
        return conv_forward(x, w, b, stride=stride, padding=padding)

    for seed in range(2):
        assert not check({"conv_forward": same}, seed=seed).passed


def beyond(function: str, size: Callable[..., int], most: int) -> Functions:
    """A layer that is wrong where a size of its call is larger."""
    right = getattr(reference_cnn, function)

    def layer(*arrays: Any, **options: Any) -> Any:
        answer = right(*arrays, **options)
        changed = size(*arrays, answer) > most
        return [g + changed for g in answer] if isinstance(answer, tuple) else answer + changed

    return {function: layer}


# With one axis and with three, too, since signals are long and volumes have many elements.
LONG: list[tuple[str, int, Callable[..., int], int]] = [
    ("conv_forward", 1, lambda x, w, *rest: rest[-1].shape[-1], 1024),
    ("conv_forward", 1, lambda x, w, *rest: math.prod(w.shape[1:]), 1024),
    ("conv_forward", 1, lambda x, w, *rest: w.shape[-1], 64),
    ("conv_backward", 1, lambda dz, x, w, g: dz.shape[-1], 1024),
    *(("max_pool_forward", rank, lambda x, window, y: math.prod(y.shape[2:]), 1024) for rank in (1, 3)),
    *(("max_pool_backward", rank, lambda dy, x, window, dx: math.prod(x.shape[2:]), 2**15) for rank in (1, 3)),
    ("avg_pool_forward", 1, lambda x, window, y: int(np.max(window)), 64),
]


@pytest.mark.spec("ORC-D2")
@pytest.mark.parametrize(("function", "rank", "size", "most"), LONG)
def test_long_signals_and_large_volumes_are_asked(
    function: str, rank: int, size: Callable[..., int], most: int
) -> None:
    report = check(beyond(function, size, most), functions=[function], rank=rank)
    assert report.results[function].verdict == "fail"
