"""Rung 2 for pooling, relu, softmax and losses: Keras on JAX with its gradients, and ONNX's reference."""

from collections.abc import Callable
from typing import Any

import jax
import keras
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from onnx import helper
from onnx.reference import ReferenceEvaluator
from strategies import Array, pool_calls, seeds

import reference_cnn as reference
from reference_cnn._windows import Windows
from reference_cnn.oracle.bounds import gamma

UNIT = 2.0**-53
Pooling = tuple[tuple[int, ...], tuple[int, ...], dict[str, Any]]


def gradient(function: Callable[..., Any], upstream: Array, x: Array) -> Array:
    """What JAX's automatic differentiation makes of it."""
    _, transposed = jax.vjp(function, x)
    return np.asarray(transposed(jax.numpy.asarray(upstream))[0])


def keras_pool(x: Any, call: Pooling, mode: str) -> Any:
    """Keras has pads "valid" and "same" only: others are put on first, with what never wins or adds nothing."""
    _, window, options = call
    padding = options.get("padding", "valid")
    if not isinstance(padding, str):
        fill = -np.inf if mode == "max" else 0.0
        x = jax.numpy.pad(x, [(0, 0), (0, 0), *padding], constant_values=fill)
        padding = "valid"
    pool = keras.ops.max_pool if mode == "max" else keras.ops.average_pool
    return pool(x, window, options.get("stride", window), padding, "channels_first")


@pytest.mark.spec("POOL-D1", "POOL-F1", "POOL-B1", "WIN-D3")
@settings(max_examples=60)
@given(pool_calls(dilated=False), seeds)
def test_max_pool_in_keras(call: Pooling, seed: int) -> None:
    size, window, options = call
    rng = np.random.default_rng(seed)
    x = rng.permutation(np.prod(size)).reshape(size) - np.prod(size) / 1.5
    y = reference.max_pool_forward(x, window, **options)
    assert np.array_equal(y, keras_pool(x, call, "max"))
    dy = rng.integers(-9, 10, y.shape).astype(float)
    assert np.array_equal(
        reference.max_pool_backward(dy, x, window, **options), gradient(lambda x: keras_pool(x, call, "max"), dy, x)
    )


@pytest.mark.spec("POOL-F2", "POOL-B2")
@settings(max_examples=60)
@given(pool_calls(dilated=False), seeds)
def test_avg_pool_in_keras(call: Pooling, seed: int) -> None:
    size, window, options = call
    rng = np.random.default_rng(seed)
    x = rng.standard_normal(size)
    # Keras leaves its own "same" padding out of the mean; pads that were put on first are counted.
    counted = {"include_padding": not isinstance(options.get("padding", "valid"), str)}
    bound = gamma(int(np.prod(window)) + 2, UNIT)
    y = reference.avg_pool_forward(x, window, **options, **counted)
    size_of = reference.avg_pool_forward(np.abs(x), window, **options, **counted)
    assert (np.abs(y - keras_pool(x, call, "avg")) <= 2 * bound * size_of).all()
    dy = rng.standard_normal(y.shape)
    dx = reference.avg_pool_backward(dy, x, window, **options, **counted)
    theirs = gradient(lambda x: keras_pool(x, call, "avg"), dy, x)
    size_of = reference.avg_pool_backward(np.abs(dy), x, window, **options, **counted)
    assert (np.abs(dx - theirs) <= 2 * bound * size_of).all()


def onnx_pool(x: Array, call: Pooling, operator: str, **attributes: Any) -> Array:
    size, window, options = call
    stride, dilation = options.get("stride", window), options.get("dilation", 1)
    windows = Windows.of("test", size[2:], window, stride, options.get("padding", 0), dilation)
    attributes |= {"kernel_shape": window, "strides": windows.stride, "dilations": windows.dilation}
    attributes["pads"] = [p for p, _ in windows.pads] + [p for _, p in windows.pads]
    element = helper.np_dtype_to_tensor_dtype(x.dtype)
    graph = helper.make_graph(
        [helper.make_node(operator, ["x"], ["y"], **attributes)], operator,
        [helper.make_tensor_value_info("x", element, x.shape)], [helper.make_tensor_value_info("y", element, None)],
    )  # fmt: skip
    outputs: Any = ReferenceEvaluator(helper.make_model(graph)).run(None, {"x": x})
    return np.asarray(outputs[0])


@pytest.mark.spec("POOL-F2")
@settings(max_examples=60)
@given(pool_calls(), st.booleans(), seeds)
def test_avg_pool_in_onnx(call: Pooling, include_padding: bool, seed: int) -> None:
    size, window, options = call
    if "dilation" in options:
        options = {k: v for k, v in options.items() if k != "dilation"}
    x = np.random.default_rng(seed).standard_normal(size)
    y = reference.avg_pool_forward(x, window, include_padding=include_padding, **options)
    theirs = onnx_pool(x, (size, window, options), "AveragePool", count_include_pad=int(include_padding))
    scale = reference.avg_pool_forward(np.abs(x), window, include_padding=include_padding, **options)
    assert (np.abs(y - theirs) <= 2 * gamma(int(np.prod(window)) + 2, UNIT) * scale).all()


@pytest.mark.spec("POOL-F1")
@settings(max_examples=60)
@given(pool_calls(ranks=(2,)), seeds)
def test_max_pool_in_onnx(call: Pooling, seed: int) -> None:
    # On one axis, and where pads differ but neither stride nor dilation does anything, the reference of onnx 1.23.2 is
    # wrong itself (spec/deviations.md).
    size, window, options = call
    stride, dilation = options.get("stride", window), options.get("dilation", 1)
    windows = Windows.of("test", size[2:], window, stride, options.get("padding", 0), dilation)
    assume(max(windows.stride + windows.dilation) > 1 or len({p for pair in windows.pads for p in pair}) == 1)
    x = np.random.default_rng(seed).permutation(np.prod(size)).reshape(size) - np.prod(size) / 1.5
    y = reference.max_pool_forward(x, window, **options)
    assert np.array_equal(y, onnx_pool(x, call, "MaxPool"))


@pytest.mark.spec("ACT-F2", "ACT-B2")
def test_relu_in_keras() -> None:
    z = np.array([-3.0, -0.5, 0.0, 0.5, 3.0, np.inf, -np.inf])
    assert np.array_equal(reference.relu(z), keras.ops.relu(z))
    assert np.array_equal(reference.relu_prime(z), gradient(keras.ops.relu, np.ones_like(z), z))


@pytest.mark.spec("ACT-F3", "ACT-B3", "LOSS-F2", "LOSS-B2")
@settings(max_examples=60)
@given(st.integers(1, 5), st.integers(2, 7), st.sampled_from([0.1, 3.0, 100.0]), seeds)
def test_softmax_and_cross_entropy_in_keras(rows: int, classes: int, scale: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    z, labels = scale * rng.standard_normal((rows, classes)), rng.integers(0, classes, rows)
    # An exponential turns the rounding of its argument, at most twice the largest logit, into a relative error.
    allowed = 2 * UNIT * (8 + classes + 4 * np.abs(z).max())
    a = reference.softmax(z)
    assert (np.abs(a - keras.ops.softmax(z)) <= allowed * a).all()
    da = rng.standard_normal(z.shape)
    terms = a * (np.abs(da) + (np.abs(da) * a).sum(axis=1, keepdims=True))
    assert (np.abs(reference.softmax_backward(da, a) - gradient(keras.ops.softmax, da, z)) <= 2 * allowed * terms).all()

    def loss(z: Any) -> Any:
        return keras.ops.sum(keras.ops.sparse_categorical_crossentropy(labels, z, from_logits=True))

    assert abs(reference.cross_entropy(z, labels) - loss(z)) <= rows * allowed * (1 + 2 * np.abs(z).max())
    theirs = gradient(loss, np.array(1.0), z)
    assert (np.abs(reference.cross_entropy_prime(z, labels) - theirs) <= 2 * allowed * a + 4 * UNIT).all()


@pytest.mark.spec("LOSS-F1", "LOSS-B1")
@given(st.integers(1, 20), seeds)
def test_squared_error_in_jax(count: int, seed: int) -> None:
    o, y = np.random.default_rng(seed).standard_normal((2, count))
    theirs = float(jax.numpy.sum((y - o) ** 2) / 2)
    assert abs(reference.squared_error(o, y) - theirs) <= 2 * gamma(count + 4, UNIT) * theirs
    assert np.array_equal(
        reference.squared_error_prime(o, y), gradient(lambda o: ((y - o) ** 2).sum() / 2, np.array(1.0), o)
    )
