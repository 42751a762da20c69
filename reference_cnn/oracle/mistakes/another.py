"""Mistakes of taking one function for another: another activation, another loss, another pooling."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from reference_cnn._validate import Array
from reference_cnn.activation import relu, sigmoid, softmax
from reference_cnn.oracle.mistakes.entry import Implementation, Mistake, Wrap, answering, instead, times
from reference_cnn.oracle.mistakes.pooling import elements, pooled, spread
from reference_cnn.pooling import max_pool_backward, max_pool_forward

# Slopes of a rectifier below 0, as libraries and papers have them.
SLOPES = (0.01, 0.1, 0.2, 0.3)


def _activated(activation: Callable[[Array], Any]) -> Wrap:
    return answering(lambda z, *a, **o: np.asarray(activation(z)).astype(z.dtype))


def _leaky(slope: float) -> Callable[[Array], Array]:
    return lambda z: np.where(z > 0, z, slope * z)


def _leaky_prime(slope: float) -> Callable[[Array], Array]:
    return lambda z: np.where(z > 0, 1, slope)


def _log_softmax(z: Array) -> Array:
    below = z - z.max(axis=-1, keepdims=True)
    return np.asarray(below - np.log(np.exp(below).sum(axis=-1, keepdims=True)))


def _over_all(z: Array) -> Array:
    return softmax(z.ravel()).reshape(z.shape)


def _logarithms_to(base: int) -> Wrap:
    return answering(lambda e, *a: np.asarray(e / math.log(base)).astype(np.asarray(e).dtype))


def _root(o: Array, y: Array) -> Array:
    return np.asarray(np.sqrt(np.square(o - y).sum()))


def _root_mean(o: Array, y: Array) -> Array:
    return np.asarray(np.sqrt(np.square(o - y).mean()))


def _averages(below: Implementation) -> Implementation:
    def wrong(x: Array, window: Any, **o: Any) -> Array:
        taps, axes = pooled(x, window, o, 0)
        return np.asarray(taps.astype(np.float64).sum(axis=axes) / elements(x, window, o)).astype(x.dtype)

    return wrong


def _maxima(below: Implementation) -> Implementation:
    return lambda x, window, include_padding=False, **o: max_pool_forward(x, window, **o)


def _to_the_largest(below: Implementation) -> Implementation:
    return lambda dy, x, window, include_padding=False, **o: max_pool_backward(dy, x, window, **o)


def _lowest(below: Implementation) -> Implementation:
    return lambda *a, **o: -below(-a[0], *a[1:], **o)


def _gradient_of_lowest(below: Implementation) -> Implementation:
    return lambda dy, x, window, **o: below(dy, -x, window, **o)


def _spread(below: Implementation) -> Implementation:
    """Everybody in the window gets an equal part."""
    return lambda dy, x, window, **o: spread(dy, x, window, o)


ANOTHER = (
    Mistake(
        "activated",
        "You apply the activation too: your z is an activation already.",
        "Return the sums as they are; the activation is a function of its own.",
        "positive answers, if yours is a rectifier",
        dict.fromkeys(("conv_forward", "dense_forward"), (_activated(relu), _activated(sigmoid))),
    ),
    Mistake(
        "tanh-for-sigmoid",
        "You compute tanh, not the sigmoid.",
        "σ(z) = 1/(1 + exp(−z)) lies between 0 and 1, and its derivative is σ(z)·(1 − σ(z)).",
        "nowhere",
        {
            "sigmoid": instead(np.tanh),
            "sigmoid_prime": instead(lambda z: 1 - np.tanh(z) ** 2, lambda z: 1 / np.cosh(z) ** 2),
        },
        makes_it="is tanh",
    ),
    Mistake(
        "prime-not-derived",
        "You return the function itself, not its derivative.",
        "σ′(z) = σ(z)·(1 − σ(z)), and relu′(z) is 1 where z > 0, else 0.",
        "z ≤ 0 and z = 1, for relu",
        {"sigmoid_prime": instead(sigmoid), "relu_prime": instead(relu)},
    ),
    Mistake(
        "relu-leaky",
        "Your rectifier leaks: below 0 it has a slope.",
        "relu(z) is 0 below 0, and so is its derivative.",
        "no negative numbers",
        {"relu": instead(*map(_leaky, SLOPES)), "relu_prime": instead(*map(_leaky_prime, SLOPES))},
        makes_it="leaks",
    ),
    Mistake(
        "relu-capped",
        "Your rectifier is cut off at 6.",
        "relu(z) is z for every z > 0: cut off nothing.",
        "numbers up to 6",
        {"relu": instead(lambda z: np.clip(z, 0, 6)), "relu_prime": instead(lambda z: (z > 0) & (z < 6))},
        makes_it="is cut off at 6",
    ),
    Mistake(
        "relu-absolute",
        "You take the absolute value, or for the derivative the sign.",
        "relu(z) = max(z, 0), and its derivative is 1 where z > 0, else 0.",
        "no negative numbers",
        {"relu": instead(np.abs), "relu_prime": instead(lambda z: np.sign(z.astype(np.float64)))},
        makes_it="is the absolute value",
    ),
    Mistake(
        "softmax-log",
        "You return the logarithm of the softmax.",
        "Return exp(z − max)/Σ exp(z − max) itself.",
        "nowhere",
        {"softmax": instead(_log_softmax, lambda z: np.log(softmax(z)))},
    ),
    Mistake(
        "softmax-all",
        "You normalise over the whole array, not each row for itself.",
        "Sum over the last axis, and keep it: e.sum(axis=-1, keepdims=True).",
        "one row",
        {"softmax": instead(_over_all), "softmax_backward": instead(lambda da, a: a * (da - (da * a).sum()))},
    ),
    Mistake(
        "log-base",
        "Your logarithm has another base, 2 or 10.",
        "Take the natural logarithm.",
        "labels whose probability is 1",
        {"cross_entropy": tuple(map(_logarithms_to, (2, 10)))},
    ),
    Mistake(
        "negated-loss",
        "Your loss has the wrong sign.",
        "E = −Σ log softmax(z)[label], and Σ (y − o)²/2: neither is ever negative.",
        "a loss of 0",
        times(-1, ("squared_error", "cross_entropy")),
    ),
    Mistake(
        "absolute-error",
        "You take absolute differences, not squares, or for the derivative their sign.",
        "E = Σ (y − o)²/2, whose derivative is o − y.",
        "outputs that are right",
        {
            "squared_error": instead(lambda o, y: np.abs(o - y).sum()),
            "squared_error_prime": instead(lambda o, y: np.sign((o - y).astype(np.float64))),
        },
    ),
    Mistake(
        "root-of-squares",
        "You take the root of the sum, or of the mean, of the squares.",
        "E = Σ (y − o)²/2: take no root.",
        "outputs that are right",
        {"squared_error": instead(_root, _root_mean)},
    ),
    Mistake(
        "ones-subtracted",
        "You subtract 1 from every class, not from the label's alone.",
        "dz = softmax(z); dz[np.arange(N), labels] −= 1.",
        "one class",
        {"cross_entropy_prime": (lambda below: lambda z, labels: softmax(z) - 1,)},
    ),
    Mistake(
        "pool-kind",
        "You average where the maximum is asked for, or the reverse.",
        "Max pooling takes the largest element of each window, average pooling their mean.",
        "windows of one element, or of equal ones",
        {
            "max_pool_forward": (_averages,),
            "avg_pool_forward": (_maxima,),
            "max_pool_backward": (_spread,),
            "avg_pool_backward": (_to_the_largest,),
        },
    ),
    Mistake(
        "pool-minimum",
        "You take the smallest element of each window, not the largest.",
        "Take the maximum, and send dy where it is.",
        "windows of one element",
        {"max_pool_forward": (_lowest,), "max_pool_backward": (_gradient_of_lowest,)},
        makes_it="takes the smallest element",
    ),
)
