"""Mistakes in the losses and their derivatives."""

from collections.abc import Callable
from typing import Any

import numpy as np

from reference_cnn._validate import Array
from reference_cnn.activation import softmax
from reference_cnn.oracle.mistakes.entry import Implementation, Mistake, Wrap, answering

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


def _log_of_softmax(below: Implementation) -> Implementation:
    def wrong(z: Array, labels: Array) -> Array:
        with np.errstate(all="ignore"):
            return np.asarray(-np.log(softmax(z)[np.arange(len(z)), labels]).sum()).astype(z.dtype)

    return wrong


def _without_label(below: Implementation) -> Implementation:
    return lambda z, labels: softmax(z)


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
        "You take the logarithm of the softmax, which is log 0 once it underflows.",
        "log softmax(z) = z − max − log Σ exp(z − max): no logarithm of 0 is taken.",
        "labels whose probability does not underflow to 0",
        {"cross_entropy": (_log_of_softmax,)},
        native=True,
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
        "label-not-subtracted",
        "Your derivative is the softmax alone: the 1 at the label is not subtracted.",
        "dz = softmax(z); dz[n, label] −= 1.",
        "nowhere",
        {"cross_entropy_prime": (_without_label,)},
    ),
)
