"""The article's two-layer network and its training, with the text's equations; clauses NET, spec/network.md.

What the article's code does otherwise, and what comes of it, is in spec/errata.md.
"""

import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from reference_cnn._validate import Array
from reference_cnn._windows import Padding, PerAxis
from reference_cnn.activation import sigmoid, sigmoid_prime
from reference_cnn.conv import conv_forward, parameter_gradients
from reference_cnn.dense import dense_backward, dense_forward
from reference_cnn.loss import squared_error, squared_error_prime


class Parameters(NamedTuple):
    """What is learned: filters (F, C, height, width), b1 (F,), weights (features, n), b2 (n,); gradients alike."""

    filters: Array
    b1: Array
    weights: Array
    b2: Array


class Layers(NamedTuple):
    """What the layers put out: z1 and a1 (N, F, *O), z2 and o (N, n)."""

    z1: Array
    a1: Array
    z2: Array
    o: Array


class Epoch(NamedTuple):
    """One step of gradient descent on all images: loss and accuracy before it, and the parameters after it."""

    number: int
    loss: float
    accuracy: float
    parameters: Parameters


def binary(labels: Array) -> Array:
    """Whether each digit is 5 or more, as a column of 0 and 1, (N, 1): the article's two classes [NET-D1]."""
    return np.asarray(labels >= 5).astype(float)[:, None]


def initialise(
    seed: int, *, filters: int = 3, size: tuple[int, int] = (28, 28), kernel: int = 5,
    stride: PerAxis = 1, padding: Padding = 0,
) -> Parameters:  # fmt: skip
    """Draw filters and weights from normal distributions of variance 1/inputs; biases are 0 [NET-D2].

    Examples
    --------
    >>> [p.shape for p in initialise(0)]
    [(3, 1, 5, 5), (3,), (1728, 1), (1,)]
    """
    rng = np.random.default_rng(seed)
    w = rng.standard_normal((filters, 1, kernel, kernel)) / kernel
    features = math.prod(conv_forward(np.zeros((1, 1, *size)), w, stride=stride, padding=padding).shape)
    return Parameters(w, np.zeros(filters), rng.standard_normal((features, 1)) / math.sqrt(features), np.zeros(1))


def forward(p: Parameters, x: Array, *, stride: PerAxis = 1, padding: Padding = 0) -> Layers:
    """z1 = x ⋆ filters + b1; a1 = σ(z1); z2 = a1 @ weights + b2; o = σ(z2) [NET-F1]."""
    z1 = conv_forward(x, p.filters, p.b1, stride=stride, padding=padding)
    a1 = sigmoid(z1)
    z2 = dense_forward(a1.reshape(len(x), -1), p.weights, p.b2)
    return Layers(z1, a1, z2, sigmoid(z2))


def loss(o: Array, y: Array) -> float:
    """E = Σ (y − o)² / 2, over all images [NET-F2]."""
    return float(squared_error(o, y))


def backward(
    p: Parameters, x: Array, layers: Layers, y: Array, *, stride: PerAxis = 1, padding: Padding = 0
) -> Parameters:
    """∂E/∂p for every parameter, by the chain rule from the last layer to the first [NET-B1]."""
    dz2 = squared_error_prime(layers.o, y) * sigmoid_prime(layers.z2)
    dense = dense_backward(dz2, layers.a1.reshape(len(x), -1), p.weights)
    dz1 = dense.dx.reshape(layers.z1.shape) * sigmoid_prime(layers.z1)
    filters, b1 = parameter_gradients(dz1, x, p.filters, stride=stride, padding=padding)
    return Parameters(filters, b1, dense.dw, dense.db)


def step(p: Parameters, gradients: Parameters, learning_rate: float) -> Parameters:
    """Return p − learning_rate · ∂E/∂p, all at once [NET-B2]."""
    return Parameters(*(value - learning_rate * gradient for value, gradient in zip(p, gradients)))


def train(p: Parameters, x: Array, y: Array, *, epochs: int = 500, learning_rate: float = 0.0003) -> Iterator[Epoch]:
    """Take steps of gradient descent, each on all images; yield every one.

    Accuracy is the share of images with o on the right side of ½.
    """
    for number in range(1, epochs + 1):
        layers = forward(p, x)
        accuracy = float(((layers.o > 0.5) == (y > 0.5)).mean())
        before = loss(layers.o, y)
        p = step(p, backward(p, x, layers, y), learning_rate)
        yield Epoch(number, before, accuracy, p)
