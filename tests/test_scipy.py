"""Rung 2: `scipy.signal.correlate2d` and `convolve2d`, and `scipy.special.expit`, within the rounding bound."""

from typing import Any, Literal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal
from scipy.signal import convolve2d, correlate2d
from strategies import arrays_of, conv_calls, integers, seeds

import reference_cnn as reference
from reference_cnn.oracle import Case, cases
from reference_cnn.oracle.call import Call
from reference_cnn.oracle.targets import scipy

Mode = Literal["valid", "full", "same"]


@pytest.mark.spec("CONV-D1", "CONV-F1", "WIN-D2", "WIN-D3")
@given(
    st.tuples(*[st.integers(4, 9)] * 2),
    st.tuples(*[st.integers(1, 4)] * 2),
    st.sampled_from(["valid", "full", "same"]),
    seeds,
)
def test_every_mode_of_correlate2d_is_a_padding(
    size: tuple[int, int], kernel: tuple[int, int], mode: Mode, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    x, w = integers(rng, size), integers(rng, kernel)
    padding: Any = {"valid": "valid", "same": "same", "full": tuple(k - 1 for k in kernel)}[mode]
    ours = reference.conv_forward(x[None, None], w[None, None], padding=padding)
    assert_array_equal(ours[0, 0], correlate2d(x, w, mode))


@pytest.mark.spec("CONV-B1")
@given(st.tuples(*[st.integers(4, 9)] * 2), st.tuples(*[st.integers(1, 4)] * 2), seeds)
def test_dx_is_the_full_convolution_of_dz_with_the_kernel(
    size: tuple[int, int], kernel: tuple[int, int], seed: int
) -> None:
    rng = np.random.default_rng(seed)
    x, w = integers(rng, size), integers(rng, kernel)
    dz = integers(rng, correlate2d(x, w, "valid").shape)
    dx, dw, _ = reference.conv_backward(dz[None, None], x[None, None], w[None, None])
    assert_array_equal(dx[0, 0], convolve2d(dz, w, "full"))
    assert_array_equal(dw[0, 0], correlate2d(x, dz, "valid"))


@pytest.mark.spec("CONV-F1", "CONV-B1", "CONV-B2", "CONV-B3", "RND-N1")
@pytest.mark.parametrize("dtype", ["float64", "float32"])
@settings(max_examples=60)
@given(conv_calls(ranks=(2,)), seeds)
def test_convolutions_agree_within_the_bound(dtype: str, call: Call, seed: int) -> None:
    Case("conv_forward", call, "rounding", dtype, seed).check(scipy.conv_forward)
    Case("conv_backward", call.without_bias(), "rounding", dtype, seed).check(scipy.conv_backward)


@pytest.mark.spec("ACT-F1", "RND-N2")
@pytest.mark.parametrize("case", cases("sigmoid"), ids=str)
def test_expit_agrees_within_the_bound(case: Case) -> None:
    case.check(scipy.sigmoid)


@pytest.mark.spec("CONV-F1")
def test_the_witness_itself_is_compared_with_plain_correlate2d() -> None:
    x, w = arrays_of(Call((("x", (2, 3, 6, 5)), ("w", (4, 3, 2, 3)))), 0, float)
    expected = [[sum(correlate2d(x[n, c], w[f, c], "valid") for c in range(3)) for f in range(4)] for n in range(2)]
    assert_array_equal(scipy.conv_forward(x, w), expected)
