"""Ten classes: two convolutions with rectifiers and max pooling, a dense layer, and cross-entropy; clauses NET."""

import math
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np

from reference_cnn._validate import Array
from reference_cnn.activation import relu, relu_prime
from reference_cnn.conv import conv_backward, conv_forward, parameter_gradients
from reference_cnn.dense import dense_backward, dense_forward
from reference_cnn.loss import cross_entropy, cross_entropy_prime
from reference_cnn.pooling import max_pool_backward, max_pool_forward

POOL = 2


class Parameters(NamedTuple):
    """What is learned: two kernels with biases, weights (features, classes) and their bias; gradients alike."""

    w1: Array
    b1: Array
    w2: Array
    b2: Array
    w3: Array
    b3: Array


class Layers(NamedTuple):
    """What the layers put out: convolutions z, pooled rectified ones p, and the logits z3 (N, classes)."""

    z1: Array
    p1: Array
    z2: Array
    p2: Array
    z3: Array


class Epoch(NamedTuple):
    """One pass over all images: the mean loss and the accuracy on the way, and the parameters after it."""

    number: int
    loss: float
    accuracy: float
    parameters: Parameters


def initialise(seed: int, *, filters: int = 8, classes: int = 10, size: tuple[int, int] = (28, 28)) -> Parameters:
    """Draw kernels and weights from normal distributions of variance 2/inputs, as rectifiers want; biases are 0.

    The first convolution has `filters` filters of 5 × 5, the second twice as many of 3 × 3, both with "same" padding.
    """
    rng = np.random.default_rng(seed)

    def normal(*shape: int, inputs: int) -> Array:
        return (rng.standard_normal(shape) * math.sqrt(2 / inputs)).astype(np.float32)

    features = 2 * filters * math.prod(s // POOL // POOL for s in size)
    zeros = [np.zeros(n, np.float32) for n in (filters, 2 * filters, classes)]
    return Parameters(
        normal(filters, 1, 5, 5, inputs=25), zeros[0],
        normal(2 * filters, filters, 3, 3, inputs=9 * filters), zeros[1],
        normal(features, classes, inputs=features), zeros[2],
    )  # fmt: skip


def forward(p: Parameters, x: Array) -> Layers:
    """Convolution, rectifier and pooling, twice; then the dense layer [NET-F3]."""
    z1 = conv_forward(x, p.w1, p.b1, padding="same")
    p1 = max_pool_forward(relu(z1), POOL)
    z2 = conv_forward(p1, p.w2, p.b2, padding="same")
    p2 = max_pool_forward(relu(z2), POOL)
    return Layers(z1, p1, z2, p2, dense_forward(p2.reshape(len(x), -1), p.w3, p.b3))


def backward(p: Parameters, x: Array, layers: Layers, labels: Array) -> Parameters:
    """∂E/∂p of the cross-entropy, for every parameter [NET-B3]."""
    dense = dense_backward(cross_entropy_prime(layers.z3, labels), layers.p2.reshape(len(x), -1), p.w3)
    dz2 = max_pool_backward(dense.dx.reshape(layers.p2.shape), relu(layers.z2), POOL) * relu_prime(layers.z2)
    second = conv_backward(dz2, layers.p1, p.w2, padding="same")
    dz1 = max_pool_backward(second.dx, relu(layers.z1), POOL) * relu_prime(layers.z1)
    w1, b1 = parameter_gradients(dz1, x, p.w1, padding="same")
    return Parameters(w1, b1, second.dw, second.db, dense.dw, dense.db)


def accuracy(p: Parameters, x: Array, labels: Array, *, batch: int = 500) -> float:
    """The share of images whose largest logit is the right one."""
    right = [
        (forward(p, x[i : i + batch]).z3.argmax(axis=1) == labels[i : i + batch]).sum() for i in range(0, len(x), batch)
    ]
    return float(sum(right)) / len(x)


def train(
    p: Parameters, x: Array, labels: Array, *, seed: int, epochs: int = 3, learning_rate: float = 0.1, batch: int = 64,
    watch: Callable[[float, Epoch], None] = lambda done, epoch: None,
) -> Iterator[Epoch]:  # fmt: skip
    """Stochastic gradient descent on shuffled batches, with the mean gradient of each; the rate falls to 0 linearly.

    After each batch `watch` is told how many epochs are done, with their parts, and the epoch as it stands.
    """
    rng = np.random.default_rng(seed)
    batches, done = math.ceil(len(x) / batch), 0
    for number in range(1, epochs + 1):
        total = right = 0.0
        order = rng.permutation(len(x))
        for start in range(0, len(x), batch):
            chosen = order[start : start + batch]
            layers = forward(p, x[chosen])
            total += float(cross_entropy(layers.z3, labels[chosen]))
            right += float((layers.z3.argmax(axis=1) == labels[chosen]).sum())
            rate = np.float32(learning_rate * (1 - done / (epochs * batches)) / len(chosen))
            gradients = backward(p, x[chosen], layers, labels[chosen])
            p = Parameters(*(value - rate * gradient for value, gradient in zip(p, gradients)))
            done += 1
            seen = start + len(chosen)
            watch(done / batches, Epoch(number, total / seen, right / seen, p))
        yield Epoch(number, total / len(x), right / len(x), p)
