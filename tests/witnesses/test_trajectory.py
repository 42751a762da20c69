"""The strongest evidence that forward, backward, loss and update are right together: fifty steps beside Keras.

Both start from the same values and the same images, in float64. Rounding errors are taken as independent, so that a sum
of n terms is off by about √n·u times the sum of their sizes (Higham and Mary 2019), and steps add up.
"""

from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import keras
import numpy as np
import pytest
from strategies import Array

from reference_cnn import article, conv_backward, conv_forward, dense_backward, sigmoid_prime, squared_error_prime
from reference_cnn.conv import parameter_gradients
from reference_cnn.datasets import article_images

STEPS, RATE = 50, 0.0003
UNIT = 2.0**-53


def ours() -> Iterator[tuple[article.Parameters, article.Parameters]]:
    """Parameters after each step, and how far rounding may have taken them."""
    x, labels = article_images()
    y, p = article.binary(labels), article.initialise(0)
    bound = article.Parameters(*(np.zeros_like(v) for v in p))
    for epoch in article.train(p, x, y, epochs=STEPS, learning_rate=RATE):
        layers = article.forward(p, x)
        dz2 = np.abs(layers.o - y) * sigmoid_prime(layers.z2)
        dense = dense_backward(dz2, layers.a1.reshape(len(x), -1), np.abs(p.weights))
        dz1 = dense.dx.reshape(layers.z1.shape) * sigmoid_prime(layers.z1)
        conv = conv_backward(dz1, np.abs(x), np.abs(p.filters))
        terms = np.sqrt([dz1[:, 0].size, dz1[:, 0].size, len(x), len(x)])
        sizes = (conv.dw, conv.db, dense.dw, dense.db)
        p = epoch.parameters
        bound = article.Parameters(
            *(b + UNIT * (np.abs(v) + 4 * RATE * n * s) for b, v, n, s in zip(bound, p, terms, sizes))
        )
        yield p, bound


@cache
def keras_trajectory() -> list[article.Parameters]:
    """Parameters after each step of plain SGD in Keras, in our order of axes."""
    x, labels = article_images()
    start = article.initialise(0)
    keras.config.set_floatx("float64")
    model = keras.Sequential([
        keras.Input((28, 28, 1)),
        keras.layers.Conv2D(3, 5, activation="sigmoid"),
        keras.layers.Flatten(),
        keras.layers.Dense(1, activation="sigmoid"),
    ])  # fmt: skip
    # Channels last: kernels (height, width, C, F), and flattening in the order (height, width, F).
    dense = start.weights.reshape(3, 24, 24, 1).transpose(1, 2, 0, 3).reshape(1728, 1)
    model.set_weights([start.filters.transpose(2, 3, 1, 0), start.b1, dense, start.b2])
    model.compile(keras.optimizers.SGD(RATE), lambda y, o: keras.ops.sum((y - o) ** 2) / 2)
    steps = []
    for _ in range(STEPS):
        model.train_on_batch(x.transpose(0, 2, 3, 1), article.binary(labels))
        w1, b1, w2, b2 = (np.asarray(w.value) for w in model.weights)
        steps.append(article.Parameters(
            w1.transpose(3, 2, 0, 1), b1, w2.reshape(24, 24, 3, 1).transpose(2, 0, 1, 3).reshape(1728, 1), b2
        ))  # fmt: skip
    return steps


def strays() -> list[str]:
    """Where the two trajectories are farther apart than rounding may take them."""
    found = []
    for number, ((p, bound), theirs) in enumerate(zip(ours(), keras_trajectory(), strict=True), 1):
        for name, mine, other, far in zip(p._fields, p, theirs, bound):
            if not (np.abs(mine - other) <= far).all():
                found.append(
                    f"{name} after {number} steps: {np.abs(mine - other).max():.2g} apart, {far.max():.2g} allowed"
                )
    return found


@pytest.mark.spec("NET-F1", "NET-F2", "NET-B1", "NET-B2", "CONV-B2", "CONV-B3", "DENSE-B1", "DENSE-B2", "DENSE-B3")
def test_fifty_steps_follow_keras_within_rounding() -> None:
    assert strays() == []


def a_billionth_more(function: Callable[..., Any]) -> Callable[..., Any]:
    def disturbed(*arguments: Any, **options: Any) -> Any:
        result = function(*arguments, **options)
        if isinstance(result, tuple):
            return result._replace(dw=result.dw * (1 + 1e-9))  # type: ignore[attr-defined]  # gradients are named tuples
        return result * (1 + 1e-9)

    return disturbed


def disturbed_parameters(*arguments: Any, **options: Any) -> tuple[Array, Array]:
    dw, db = parameter_gradients(*arguments, **options)
    return dw * (1 + 1e-9), db


def disturbed_step(p: article.Parameters, g: article.Parameters, rate: float) -> article.Parameters:
    values: list[Array] = [v - rate * (1 + 1e-9) * d for v, d in zip(p, g)]
    return article.Parameters(*values)


DISTURBED: dict[str, Callable[..., Any]] = {
    "conv_forward": a_billionth_more(conv_forward),
    "parameter_gradients": disturbed_parameters,
    "dense_backward": a_billionth_more(dense_backward),
    "sigmoid_prime": a_billionth_more(sigmoid_prime),
    "squared_error_prime": a_billionth_more(squared_error_prime),
    "step": disturbed_step,
}


@pytest.mark.spec("NET-F1", "NET-F2", "NET-B1", "NET-B2")
@pytest.mark.parametrize("name", DISTURBED)
def test_a_disturbance_by_a_billionth_shows(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(article, name, DISTURBED[name])
    assert strays() != []
