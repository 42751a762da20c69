"""Keras 3 on its JAX backend: the operators of `keras.ops`, which pad with "valid" and "same" only."""

import os
from typing import Any

import numpy as np

from reference_cnn._validate import Array
from reference_cnn.oracle.targets.jax import forget, gradients

# Keras reads it once, when it is imported.
os.environ.setdefault("KERAS_BACKEND", "jax")

from keras import ops  # after the backend is chosen

FIRST = "channels_first"


def conv_forward(x: Array, w: Array, b: Array | None = None, **options: Any) -> Any:
    """keras.ops.conv, whose kernel is (*K, C/groups, F), and the bias added."""
    forget()
    z = _conv(x, w, **options)
    return z if b is None else z + b.reshape(-1, *[1] * (x.ndim - 2))


def conv_backward(dz: Array, x: Array, w: Array, **options: Any) -> Any:
    """The gradients of the same; of the bias it has none of its own."""
    dx, dw = gradients(lambda x, w: _conv(x, w, **options), dz, x, w)
    return {"dx": dx, "dw": dw}


def dense_forward(x: Array, w: Array, b: Array | None = None) -> Any:
    """keras.ops.matmul, and the bias added."""
    z = ops.matmul(x, w)
    return z if b is None else z + b


def dense_backward(dz: Array, x: Array, w: Array) -> Any:
    """The gradients of the same."""
    return gradients(lambda x, w, b: ops.matmul(x, w) + b, dz, x, w, dz[0])


def sigmoid(z: Array) -> Any:
    """keras.ops.sigmoid."""
    return ops.sigmoid(z)


def sigmoid_prime(z: Array) -> Any:
    """Its gradient."""
    return gradients(ops.sigmoid, np.ones_like(z), z)[0]


def relu(z: Array) -> Any:
    """keras.ops.relu."""
    return ops.relu(z)


def relu_prime(z: Array) -> Any:
    """Its gradient."""
    return gradients(ops.relu, np.ones_like(z), z)[0]


def softmax(z: Array) -> Any:
    """keras.ops.softmax."""
    return ops.softmax(z)


def max_pool_forward(x: Array, window: Any, *, stride: Any = None, padding: Any = "valid") -> Any:
    """keras.ops.max_pool."""
    forget()
    return ops.max_pool(x, window, stride, _named(padding), FIRST)


def max_pool_backward(dy: Array, x: Array, window: Any, *, stride: Any = None, padding: Any = "valid") -> Any:
    """Its gradient."""
    return gradients(lambda x: ops.max_pool(x, window, stride, _named(padding), FIRST), dy, x)[0]


def avg_pool_forward(x: Array, window: Any, *, stride: Any = None, padding: Any = "valid") -> Any:
    """keras.ops.average_pool, which leaves padding out of the mean."""
    forget()
    return ops.average_pool(x, window, stride, _named(padding), FIRST)


def avg_pool_backward(dy: Array, x: Array, window: Any, *, stride: Any = None, padding: Any = "valid") -> Any:
    """Its gradient."""
    return gradients(lambda x: ops.average_pool(x, window, stride, _named(padding), FIRST), dy, x)[0]


def cross_entropy(z: Array, labels: Array) -> Any:
    """keras.ops.sparse_categorical_crossentropy of logits, summed."""
    return ops.sum(ops.sparse_categorical_crossentropy(labels, z, from_logits=True))


def cross_entropy_prime(z: Array, labels: Array) -> Any:
    """Its gradient."""
    return gradients(lambda z: cross_entropy(z, labels), np.ones((), z.dtype), z)[0]


def _conv(x: Any, w: Any, *, stride: Any = 1, padding: Any = "valid", dilation: Any = 1, groups: int = 1) -> Any:
    # How many groups there are, it sees from the shapes.
    kernel = ops.transpose(w, (*range(2, w.ndim), 1, 0))
    return ops.conv(x, kernel, stride, _named(padding), FIRST, dilation)


def _named(padding: Any) -> str:
    if not isinstance(padding, str):
        raise NotImplementedError('padding is "valid" or "same"')
    return padding
