"""JAX: the operators of `jax.lax` and `jax.nn`, and its vector-Jacobian products for what goes backward."""

from collections.abc import Callable
from itertools import count
from typing import Any

import jax
import numpy as np
from jax import lax

from reference_cnn._validate import Array
from reference_cnn._windows import Windows

# Without it, float64 is silently float32.
jax.config.update("jax_enable_x64", True)  # type: ignore[no-untyped-call]  # jax has no type for it

CALLS = count(1)


def conv_forward(x: Array, w: Array, b: Array | None = None, **options: Any) -> Any:
    """conv_general_dilated, and the bias added."""
    forget()
    z = _conv(x, w, options)
    return z if b is None else z + b.reshape(-1, *[1] * (x.ndim - 2))


def conv_backward(dz: Array, x: Array, w: Array, **options: Any) -> Any:
    """The gradients of the same."""
    spread = (-1, *[1] * (x.ndim - 2))
    zeros = np.zeros(len(w), dz.dtype)
    return gradients(lambda x, w, b: _conv(x, w, options) + b.reshape(spread), dz, x, w, zeros)


def dense_forward(x: Array, w: Array, b: Array | None = None) -> Any:
    """X @ w + b."""
    z = jax.numpy.matmul(x, w)
    return z if b is None else z + b


def dense_backward(dz: Array, x: Array, w: Array) -> Any:
    """The gradients of the same."""
    return gradients(lambda x, w, b: jax.numpy.matmul(x, w) + b, dz, x, w, dz[0])


def sigmoid(z: Array) -> Any:
    """jax.nn.sigmoid."""
    return jax.nn.sigmoid(z)


def sigmoid_prime(z: Array) -> Any:
    """Its gradient."""
    return gradients(jax.nn.sigmoid, np.ones_like(z), z)[0]


def relu(z: Array) -> Any:
    """jax.nn.relu."""
    return jax.nn.relu(z)


def relu_prime(z: Array) -> Any:
    """Its gradient."""
    return gradients(jax.nn.relu, np.ones_like(z), z)[0]


def softmax(z: Array) -> Any:
    """jax.nn.softmax."""
    return jax.nn.softmax(z)


def max_pool_forward(x: Array, window: Any, **options: Any) -> Any:
    """reduce_window with the maximum."""
    forget()
    return _max_pool(x, pool_windows(x, window, options))


def max_pool_backward(dy: Array, x: Array, window: Any, **options: Any) -> Any:
    """Its gradient."""
    windows = pool_windows(x, window, options)
    return gradients(lambda x: _max_pool(x, windows), dy, x)[0]


def avg_pool_forward(x: Array, window: Any, *, include_padding: bool = False, **options: Any) -> Any:
    """reduce_window with the sum, divided by how many were added."""
    forget()
    return _avg_pool(x, pool_windows(x, window, options), include_padding)


def avg_pool_backward(dy: Array, x: Array, window: Any, *, include_padding: bool = False, **options: Any) -> Any:
    """Its gradient."""
    windows = pool_windows(x, window, options)
    return gradients(lambda x: _avg_pool(x, windows, include_padding), dy, x)[0]


def squared_error(o: Array, y: Array) -> Any:
    """Half the sum of the squares."""
    return jax.numpy.sum((o - y) ** 2) / 2


def squared_error_prime(o: Array, y: Array) -> Any:
    """Its gradient."""
    return gradients(lambda o: jax.numpy.sum((o - y) ** 2) / 2, np.ones((), o.dtype), o)[0]


def cross_entropy(z: Array, labels: Array) -> Any:
    """log_softmax at the labels, summed."""
    return -jax.numpy.take_along_axis(jax.nn.log_softmax(z), labels[:, None], 1).sum()


def cross_entropy_prime(z: Array, labels: Array) -> Any:
    """Its gradient."""
    return gradients(lambda z: cross_entropy(z, labels), np.ones((), z.dtype), z)[0]


def gradients(function: Callable[..., Any], upstream: Array, *arrays: Array) -> Any:
    """What automatic differentiation makes of a function."""
    forget()
    result, transposed = jax.vjp(function, *map(jax.numpy.asarray, arrays))
    # A result may be wider than what it is made from.
    return transposed(jax.numpy.asarray(upstream, result.dtype))


def forget() -> None:
    """Drop what has been compiled, every so often: each new shape is, and kept, until there is no memory left."""
    if next(CALLS) % 50 == 0:
        jax.clear_caches()  # type: ignore[no-untyped-call]  # jax has no type for it


def pool_windows(x: Array, window: Any, options: dict[str, Any]) -> Windows:
    """Where the windows of a pooling lie."""
    kernel = window if isinstance(window, tuple) else (window,) * (x.ndim - 2)
    given: dict[str, Any] = {"stride": kernel, "padding": 0, "dilation": 1} | options
    return Windows.of("jax", x.shape[2:], kernel, **given)


def _conv(x: Any, w: Any, options: dict[str, Any]) -> Any:
    given = {"stride": 1, "padding": 0, "dilation": 1, "groups": 1} | options
    groups = given.pop("groups")
    windows = Windows.of("jax", x.shape[2:], w.shape[2:], **given)
    return lax.conv_general_dilated(
        x, w, windows.stride, windows.pads, rhs_dilation=windows.dilation, feature_group_count=groups
    )


def _max_pool(x: Any, windows: Windows) -> Any:
    return _reduced(x, np.asarray(-np.inf, x.dtype), lax.max, windows)


def _avg_pool(x: Any, windows: Windows, include_padding: bool) -> Any:
    zero = np.zeros((), x.dtype)
    sums = _reduced(x, zero, lax.add, windows)
    if include_padding:
        return sums / np.asarray(np.prod(windows.kernel), x.dtype)
    return sums / _reduced(np.ones(x.shape, x.dtype), zero, lax.add, windows)


def _reduced(x: Any, initial: Any, operation: Any, windows: Windows) -> Any:
    ones = (1, 1)
    return lax.reduce_window(
        x,
        initial,
        operation,
        ones + windows.kernel,
        ones + windows.stride,
        ((0, 0), (0, 0), *windows.pads),
        window_dilation=ones + windows.dilation,
    )
