"""Hypothesis strategies and small helpers that several test files share."""

from collections.abc import Callable
from typing import Any

import numpy as np
from hypothesis import settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from reference_cnn.oracle.call import Call
from reference_cnn.oracle.shapes import draw_dense
from reference_cnn.oracle.windowed import draw_conv

Array = NDArray[Any]
seeds = st.integers(0, 2**32 - 1)


def examples(count: int) -> settings:
    """So many examples, or as few as the profile has: a mutant (tests/mutation) shows in the first few or never."""
    return settings(max_examples=min(count, settings().max_examples))


@st.composite
def conv_calls(
    draw: st.DrawFn, ranks: tuple[int, ...] = (1, 2, 3), offered: Callable[[str], bool] = lambda feature: True
) -> Call:
    """Any call of a convolution, of any of the ranks."""
    rank = draw(st.sampled_from(ranks))
    return draw_conv(lambda low, high: draw(st.integers(low, high)), rank, offered)


@st.composite
def dense_calls(draw: st.DrawFn) -> Call:
    """Any call of a dense layer."""
    return draw_dense(lambda low, high: draw(st.integers(low, high)))


def integers(rng: np.random.Generator, shape: tuple[int, ...], dtype: Any = np.int64) -> Array:
    """Integers from −9 to 9."""
    return rng.integers(-9, 10, shape).astype(dtype)


def arrays_of(call: Call, seed: int, dtype: Any = np.int64) -> list[Array]:
    """Integer arrays for x, w and, if the call has one, b."""
    rng = np.random.default_rng(seed)
    return [integers(rng, shape, dtype) for _, shape in call.shapes]


def inner(a: Any, b: Any) -> Any:
    """The inner product over everything, in Python's own numbers where the arrays are objects."""
    return (np.asarray(a) * np.asarray(b)).sum()


@st.composite
def pool_calls(
    draw: st.DrawFn, dilated: bool = True, ranks: tuple[int, ...] = (1, 2, 3)
) -> tuple[tuple[int, ...], tuple[int, ...], dict[str, Any]]:
    """Shape of x, window and options of a pooling, of any rank; no window lies in the padding alone."""
    rank = draw(st.sampled_from(ranks))
    sizes = st.tuples(*[st.integers(2, 6)] * rank)
    window = draw(st.tuples(*[st.integers(1, 3)] * rank))
    options: dict[str, Any] = {}
    if draw(st.booleans()):
        options["stride"] = draw(st.tuples(*[st.integers(1, 3)] * rank))
    if draw(st.booleans()):
        options["padding"] = draw(
            st.one_of(
                st.just("same"), st.tuples(*[st.tuples(st.integers(0, k - 1), st.integers(0, k - 1)) for k in window])
            )
        )
    elif dilated and draw(st.booleans()):
        options["dilation"] = draw(st.integers(1, 2))
    gap = options.get("dilation", 1)
    size = tuple(max(s, gap * (k - 1) + 1) for s, k in zip(draw(sizes), window))
    return (draw(st.integers(1, 3)), draw(st.integers(1, 3)), *size), window, options
