"""Rung 2: Keras on its JAX backend and JAX's automatic differentiation, values and gradients, in float64."""

from typing import Any

import jax
import keras
import numpy as np
import pytest
from hypothesis import given, settings
from strategies import Array, conv_calls, dense_calls, seeds

from reference_cnn.oracle import Case, cases
from reference_cnn.oracle.call import Call


def conv_forward(
    x: Any, w: Any, b: Any = None, *, stride: Any = 1, padding: Any = 0, dilation: Any = 1, groups: int = 1
) -> Any:
    """`keras.ops.conv`, which reads groups off the shapes; pads other than "same" and "valid" are put on first."""
    rank = x.ndim - 2
    word = padding if isinstance(padding, str) else "valid"
    if not isinstance(padding, str):
        pads = padding if isinstance(padding, tuple) else (padding,) * rank
        x = keras.ops.pad(x, [(0, 0), (0, 0), *(p if isinstance(p, tuple) else (p, p) for p in pads)])
    kernel = keras.ops.transpose(w, (*range(2, 2 + rank), 1, 0))
    z = keras.ops.conv(x, kernel, stride, word, "channels_first", dilation)
    return z if b is None else z + keras.ops.reshape(b, (-1, *[1] * rank))


def conv_backward(dz: Array, x: Array, w: Array, **options: Any) -> list[Array]:
    b = np.zeros(len(w), w.dtype)
    _, transposed = jax.vjp(lambda x, w, b: conv_forward(x, w, b, **options), x, w, b)
    return [np.asarray(g) for g in transposed(jax.numpy.asarray(dz))]


def dense_forward(x: Any, w: Any, b: Any = None) -> Any:
    z = keras.ops.matmul(x, w)
    return z if b is None else z + b


def dense_backward(dz: Array, x: Array, w: Array) -> list[Array]:
    _, transposed = jax.vjp(dense_forward, x, w, np.zeros(w.shape[1], w.dtype))
    return [np.asarray(g) for g in transposed(jax.numpy.asarray(dz))]


def sigmoid_prime(z: Array) -> Array:
    _, transposed = jax.vjp(keras.ops.sigmoid, z)
    return np.asarray(transposed(jax.numpy.ones_like(z))[0])


@pytest.mark.spec("CONV-F1", "CONV-D2", "WIN-D1", "WIN-D2", "WIN-D3", "RND-N1")
@settings(max_examples=60)
@given(conv_calls(), seeds)
def test_conv_forward(call: Call, seed: int) -> None:
    Case("conv_forward", call, "rounding", "float64", seed).check(conv_forward)
    Case("conv_forward", call, "exact", "float64", seed).check(conv_forward)


@pytest.mark.spec("CONV-B1", "CONV-B2", "CONV-B3", "RND-N1")
@settings(max_examples=60)
@given(conv_calls(), seeds)
def test_conv_backward_is_what_automatic_differentiation_gives(call: Call, seed: int) -> None:
    Case("conv_backward", call.without_bias(), "rounding", "float64", seed).check(conv_backward)
    Case("conv_backward", call.without_bias(), "exact", "float64", seed).check(conv_backward)


@pytest.mark.spec("DENSE-F1", "DENSE-B1", "DENSE-B2", "DENSE-B3", "RND-N1")
@settings(max_examples=40)
@given(dense_calls(), seeds)
def test_dense(call: Call, seed: int) -> None:
    Case("dense_forward", call, "rounding", "float64", seed).check(dense_forward)
    Case("dense_backward", call.without_bias(), "rounding", "float64", seed).check(dense_backward)


@pytest.mark.spec("ACT-F1", "ACT-B1", "RND-N2")
@pytest.mark.parametrize("case", cases("sigmoid"), ids=str)
def test_sigmoid(case: Case) -> None:
    case.check(keras.ops.sigmoid)
    Case("sigmoid_prime", case.call, "rounding", "float64").check(sigmoid_prime)
