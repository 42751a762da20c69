"""Mistakes in the losses and their derivatives."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from reference_cnn._validate import Array
from reference_cnn.activation import softmax
from reference_cnn.oracle.mistakes.entry import Implementation, Mistake, Wrap, answering, instead

LOSSES = ("squared_error", "squared_error_prime", "cross_entropy", "cross_entropy_prime")


def _scaled(factor: Callable[[Array], float], *functions: str) -> dict[str, tuple[Wrap, ...]]:
    """The answer times a number that follows from the first argument."""

    def change(answer: Any, first: Array, second: Array) -> Array:
        return np.asarray(np.asarray(answer) * factor(first)).astype(np.asarray(answer).dtype)

    return {name: (answering(change),) for name in functions}


def _broadcast(o: Array, y: Array) -> Array:
    """The difference o − y where y has lost its axis of size 1: every output against every label."""
    return np.asarray(o - y.ravel() if o.ndim == 2 and o.shape[1] == 1 else o - y)


def _broadcast_error(below: Implementation) -> Implementation:
    return lambda o, y: np.asarray((_broadcast(o, y).astype(np.float64) ** 2).sum() / 2).astype(o.dtype)


# What is added to a probability, or what it is cut off at, so that no logarithm is infinite.
EPSILONS = (1e-12, 1e-7, 1e-8, 1e-10, 1e-9, 1e-6, 1e-5, 1e-15, 1e-16, 2.0**-52)
# 1 and one of these is 1, or nearly.
TINY = 1e-14


def _log_of_softmax(change: Callable[[Array], Array]) -> Callable[[Array, Array], Array]:
    """The cross-entropy by way of the probabilities, changed."""
    return lambda z, labels: -np.log(change(softmax(z)[np.arange(len(z)), labels])).sum()


def _beside_the_label(z: Array, labels: Array) -> Array:
    label = z[np.arange(len(z)), labels]
    return np.asarray(np.log(np.exp(z - label[:, None]).sum(axis=1)).sum())


def _log_with(epsilon: float) -> Iterator[Callable[[Array, Array], Array]]:
    yield _log_of_softmax(lambda p: p + epsilon)
    yield _log_of_softmax(lambda p: np.clip(p, epsilon, 1 - epsilon))
    yield _log_of_softmax(lambda p: np.maximum(p, epsilon))


def _divided_with(epsilon: float) -> Callable[[Array], Array]:
    def safe(z: Array) -> Array:
        e = np.exp(z - z.max(axis=-1, keepdims=True))
        return np.asarray(e / (e.sum(axis=-1, keepdims=True) + epsilon))

    return safe


def _without_label(below: Implementation) -> Implementation:
    return lambda z, labels: softmax(z)


def _labels_of_all(below: Implementation) -> Implementation:
    def wrong(z: Array, labels: Array) -> Array:
        dz = softmax(z)
        dz[:, labels] -= 1
        return dz

    return wrong


LOSS = (
    Mistake(
        "loss-broadcast",
        "You subtract labels of shape (N,) from outputs of shape (N, 1), which gives (N, N).",
        "Bring both into one shape first, and refuse others.",
        "one example; outputs with more than one column",
        {"squared_error": (_broadcast_error,), "squared_error_prime": (lambda below: _broadcast,)},
        ("pytorch#16045",),
    ),
    Mistake(
        "loss-extra-mean",
        "You divide by the number of examples: a mean where the definition sums.",
        "Sum; if you want the mean, divide in one place only; or keep your convention and say so.",
        "one example",
        _scaled(lambda a: 1 / len(a), *LOSSES),
        ("GraphSAGE#12✓",),
        "convention",
        makes_it="is a mean",
    ),
    Mistake(
        "loss-mean-of-entries",
        "You divide by the number of entries: a mean where the definition sums.",
        "Sum over everything; or keep your convention and say so.",
        "one entry",
        _scaled(lambda a: 1 / a.size, "squared_error", "squared_error_prime"),
        kind="convention",
        makes_it="is a mean",
    ),
    Mistake(
        "loss-unhalved",
        "Your squared error lacks the factor ½.",
        "E = Σ (y − o)²/2, whose derivative is o − y; or keep your convention and say so.",
        "outputs that are right",
        _scaled(lambda a: 2, "squared_error", "squared_error_prime"),
        kind="convention",
    ),
    Mistake(
        "log-of-softmax",
        "You take the logarithm of the softmax, or exp(z − z[label]): log 0, or ∞, where the label's is far below.",
        "log softmax(z) = z − max − log Σ exp(z − max): no logarithm of 0 is taken.",
        "labels whose probability does not underflow to 0",
        {"cross_entropy": instead(_log_of_softmax(lambda p: p), _beside_the_label)},
        native=True,
    ),
    Mistake(
        "added-epsilon",
        "You add a small ε, or cut off at one, against log 0 or a division by 0, which shifts your answer.",
        "Nothing here is ever 0: subtract the largest logit, and take z − max − log Σ exp(z − max).",
        "tolerances wider than ε, and labels whose probability is far from 0 and 1",
        {
            "cross_entropy": instead(*(way for e in EPSILONS for way in _log_with(e))),
            "softmax": instead(*(_divided_with(e) for e in EPSILONS if e > TINY)),
        },
    ),
    Mistake(
        "softmax-twice",
        "You apply the softmax twice: to the logits, and to what comes out.",
        "Your function is given logits: take their softmax once.",
        "one class",
        {
            name: (lambda below: lambda z, labels: below(softmax(z), labels),)
            for name in ("cross_entropy", "cross_entropy_prime")
        },
    ),
    Mistake(
        "labels-of-all",
        "You subtract 1 in every row at the labels of all rows: dz[:, labels] −= 1.",
        "Each row has one label: dz[np.arange(N), labels] −= 1.",
        "one row, or labels that are all the same",
        {"cross_entropy_prime": (_labels_of_all,)},
    ),
    Mistake(
        "label-not-subtracted",
        "Your derivative is the softmax alone: the 1 at the label is not subtracted.",
        "dz = softmax(z); dz[n, label] −= 1.",
        "nowhere",
        {"cross_entropy_prime": (_without_label,)},
    ),
)
