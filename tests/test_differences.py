"""Rung 3: every coordinate of every gradient against differences of the forward pass."""

from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from strategies import Array, arrays_of, conv_calls, dense_calls, examples, integers, pool_calls, seeds

import reference_cnn as reference
from reference_cnn import (
    check_gradient,
    conv_backward,
    conv_forward,
    dense_backward,
    dense_forward,
    sigmoid,
    sigmoid_prime,
)
from reference_cnn.oracle.call import Call


def assert_integer_differences(forward: Callable[..., Array], arrays: list[Array], dz: Array, gradients: Any) -> None:
    """Twice each entry of each gradient is E(+1) − E(−1) in that coordinate: exact, as forward is linear in it."""
    for k, (array, gradient) in enumerate(zip(arrays, gradients)):
        assert gradient.shape == array.shape
        for index in np.ndindex(array.shape):
            above, below = ([a.copy() for a in arrays] for _ in range(2))
            above[k][index] += 1
            below[k][index] -= 1
            assert (dz * (forward(*above) - forward(*below))).sum() == 2 * gradient[index]


@pytest.mark.spec("CONV-B1", "CONV-B2", "CONV-B3", "CONV-B4")
@examples(40)
@given(conv_calls(), seeds)
def test_conv_backward(call: Call, seed: int) -> None:
    x, w, *_ = arrays_of(call, seed)
    options = dict(call.options)
    rng = np.random.default_rng(seed + 1)
    b = integers(rng, (len(w),))
    dz = integers(rng, conv_forward(x, w, b, **options).shape)
    gradients = conv_backward(dz, x, w, **options)
    assert_integer_differences(lambda *a: conv_forward(*a, **options), [x, w, b], dz, gradients)


@pytest.mark.spec("DENSE-B1", "DENSE-B2", "DENSE-B3", "DENSE-B4")
@examples(40)
@given(dense_calls(), seeds)
def test_dense_backward(call: Call, seed: int) -> None:
    x, w, *_ = arrays_of(call, seed)
    rng = np.random.default_rng(seed + 1)
    b = integers(rng, (w.shape[1],))
    dz = integers(rng, (len(x), w.shape[1]))
    assert_integer_differences(dense_forward, [x, w, b], dz, dense_backward(dz, x, w))


@pytest.mark.spec("ACT-B1", "ACT-N2")
def test_sigmoid_prime_is_the_complex_step_of_sigmoid() -> None:
    z = np.concatenate([np.linspace(-40, 40, 4001), np.linspace(-650, 650, 57)])
    step = 1e-10  # nothing is subtracted, so the error is the square of the step, 1e-20
    np.testing.assert_allclose(sigmoid(z + 1j * step).imag / step, sigmoid_prime(z), rtol=1e-14, atol=0)


@pytest.mark.spec("CONV-B1", "CONV-B2", "CONV-B3", "DENSE-B1", "DENSE-B2", "DENSE-B3", "ACT-B1")
def test_a_network_of_all_layers_by_extrapolated_differences() -> None:
    rng = np.random.default_rng(0)
    x, filters, b1 = rng.standard_normal((2, 2, 5, 4)), rng.standard_normal((3, 2, 2, 3)), rng.standard_normal(3)
    weights, b2 = rng.standard_normal((3 * 3 * 2, 2)), rng.standard_normal(2)
    options: dict[str, Any] = {"stride": (2, 1), "padding": ((1, 0), (0, 0))}

    def forward(x: Array, filters: Array, b1: Array, weights: Array, b2: Array) -> Array:
        hidden = sigmoid(conv_forward(x, filters, b1, **options))
        return sigmoid(dense_forward(hidden.reshape(len(x), -1), weights, b2))

    def backward(da: Array, x: Array, filters: Array, b1: Array, weights: Array, b2: Array) -> list[Array]:
        z1 = conv_forward(x, filters, b1, **options)
        hidden = sigmoid(z1).reshape(len(x), -1)
        z2 = dense_forward(hidden, weights, b2)
        dense = dense_backward(da * sigmoid_prime(z2), hidden, weights)
        conv = conv_backward(dense.dx.reshape(z1.shape) * sigmoid_prime(z1), x, filters, **options)
        return [*conv, dense.dw, dense.db]

    found = check_gradient(forward, backward, (x, filters, b1, weights, b2))
    assert found.passed, found
    assert max(float(a.error.max()) for a in found.arguments if a.error is not None) < 1e-9


Pooling = tuple[tuple[int, ...], tuple[int, ...], dict[str, Any]]


@pytest.mark.spec("POOL-B1")
@examples(60)
@given(pool_calls(), seeds)
def test_max_pool_backward(call: Pooling, seed: int) -> None:
    size, window, options = call
    rng = np.random.default_rng(seed)
    x = 10 * rng.permutation(np.prod(size)).reshape(size)  # steps of 1 change no maximum
    found = check_gradient(
        lambda x: reference.max_pool_forward(x, window, **options),
        lambda dy, x: reference.max_pool_backward(dy, x, window, **options),
        [x],
    )
    assert found.passed, found


@pytest.mark.spec("POOL-B2")
@examples(40)
@given(pool_calls(dilated=False), seeds)
def test_avg_pool_backward(call: Pooling, seed: int) -> None:
    size, window, options = call
    x = np.vectorize(Fraction, otypes=[object])(integers(np.random.default_rng(seed), size))
    found = check_gradient(
        lambda x: reference.avg_pool_forward(x, window, **options),
        lambda dy, x: reference.avg_pool_backward(dy, x, window, **options),
        [x],
    )
    assert found.passed, found


@pytest.mark.spec("ACT-F2", "ACT-B2")
def test_relu_prime() -> None:
    z = np.array([-3.0, -1e-3, 1e-3, 2.0])
    assert check_gradient(reference.relu, lambda dz, z: dz * reference.relu_prime(z), [z]).passed
    assert reference.relu_prime(np.array([-1, 0, 1])).tolist() == [0, 0, 1]
    at_0 = check_gradient(reference.relu, lambda dz, z: dz * reference.relu_prime(z), [np.zeros(1)])
    assert "kink" in str(at_0)


@pytest.mark.spec("ACT-F3", "ACT-B3", "LOSS-F1", "LOSS-B1", "LOSS-F2", "LOSS-B2")
def test_softmax_and_losses_by_extrapolated_differences() -> None:
    rng = np.random.default_rng(0)
    z, o, y, labels = (
        rng.standard_normal((4, 5)),
        rng.standard_normal((2, 3)),
        rng.standard_normal((2, 3)),
        [0, 4, 2, 2],
    )
    pairs: list[tuple[Any, Any, list[Array]]] = [
        (reference.softmax, lambda da, z: reference.softmax_backward(da, reference.softmax(z)), [z]),
        (
            lambda z: reference.cross_entropy(z, labels),
            lambda dE, z: dE * reference.cross_entropy_prime(z, labels),
            [z],
        ),
        (
            reference.squared_error,
            lambda dE, o, y: [dE * reference.squared_error_prime(o, y), dE * reference.squared_error_prime(y, o)],
            [o, y],
        ),
    ]
    for forward, backward, arguments in pairs:
        found = check_gradient(forward, backward, arguments)
        assert found.passed, found
    exact = check_gradient(reference.squared_error, pairs[2][1], [np.rint(9 * o), np.rint(9 * y)])
    assert exact.passed
