"""Mistakes in the activations and their derivatives."""

from typing import Any

import numpy as np

from reference_cnn._validate import Array
from reference_cnn.activation import sigmoid, softmax
from reference_cnn.oracle.mistakes.entry import Implementation, Mistake, answering, instead


def _naive(z: Array) -> Array:
    return np.asarray(1 / (1 + np.exp(-z)))


def _ratio(z: Array) -> Array:
    e = np.exp(z)
    return np.asarray(e / (1 + e))


def _by_tanh(z: Array) -> Array:
    return np.asarray((1 + np.tanh(z / 2)) / 2)


def _clipped(limit: float) -> Any:
    return lambda z: _naive(np.clip(z, -limit, limit))


def _prime_of_activation(z: Array) -> Array:
    a = sigmoid(z)
    return np.asarray(a * (1 - a))


def _in_place(below: Implementation) -> Implementation:
    """The answer is written over the argument."""

    def wrong(*arrays: Array) -> Array:
        arrays[0][...] = below(*arrays)
        return arrays[0].copy()

    return wrong


def _rows_as_columns(below: Implementation) -> Implementation:
    """The first axis in the place of the last."""

    def wrong(*arrays: Array) -> Array:
        return np.asarray(below(*(a.swapaxes(0, -1) for a in arrays))).swapaxes(0, -1)

    return wrong


def _exponentials(z: Array, top: Any) -> Array:
    e = np.exp(z - top)
    return np.asarray(e / e.sum(axis=-1, keepdims=True))


def _labelled(rows: Array, labels: Array) -> Array:
    """Of each row the element at its label."""
    return np.asarray(rows[np.arange(len(rows)), labels])


def _step(z: Array) -> Array:
    return np.asarray(z >= 0)


ACTIVATION = (
    Mistake(
        "prime-of-input",
        "You compute z·(1 − z): the derivative in terms of a = sigmoid(z), but it is given z.",
        "Take a = sigmoid(z) first, then a·(1 − a).",
        "nowhere",
        {"sigmoid_prime": instead(lambda z: z * (1 - z))},
        ("the article", "libBrain#78"),
        errata=("ERR-D10",),
    ),
    Mistake(
        "prime-twice",
        "You apply the sigmoid twice before you differentiate: σ′(σ(z)).",
        "Your function is given z; do not pass it sigmoid(z).",
        "nowhere",
        {"sigmoid_prime": (lambda below: lambda z: below(sigmoid(z)),)},
    ),
    Mistake(
        "prime-one",
        "You leave out the derivative: yours is 1 everywhere.",
        "Multiply by σ′(z) (or relu′(z)) on the way back.",
        "positive numbers, for relu",
        {name: instead(np.ones_like) for name in ("sigmoid_prime", "relu_prime")},
    ),
    Mistake(
        "sigmoid-sign",
        "You compute 1/(1 + exp(z)): the sign of the exponent is missing.",
        "σ(z) = 1/(1 + exp(−z)).",
        "z = 0",
        {"sigmoid": (answering(lambda a, z: (1 - a).astype(a.dtype)),)},
    ),
    Mistake(
        "sigmoid-overflow",
        "You compute 1/(1 + exp(−z)) as it stands: exp overflows for large negative z.",
        "Take exp only of numbers up to 0: for z < 0 it is exp(z)/(1 + exp(z)).",
        "float64 and float32, but for a warning; float16 down to z = −11",
        {"sigmoid": instead(_naive)},
        ("NumPyCNN#13", "JAX 0.10.2 in float16"),
        native=True,
    ),
    Mistake(
        "sigmoid-ratio",
        "You compute exp(z)/(1 + exp(z)) for every z: exp overflows for large positive z, and ∞/∞ is NaN.",
        "Take exp only of numbers up to 0: for z ≥ 0 it is 1/(1 + exp(−z)).",
        "z up to 88 in float32 and 709 in float64",
        {"sigmoid": instead(_ratio)},
        native=True,
    ),
    Mistake(
        "sigmoid-by-tanh",
        "You compute (1 + tanh(z/2))/2, which loses all digits for negative z.",
        "Use exp(z)/(1 + exp(z)) for z < 0; or say that absolute accuracy is enough for you.",
        "z above 0, and a few units below 0",
        {"sigmoid": instead(_by_tanh), "sigmoid_prime": instead(lambda z: _by_tanh(z) * (1 - _by_tanh(z)))},
        kind="convention",
        native=True,
    ),
    Mistake(
        "sigmoid-clip",
        "You clip z before you take the exponential: beyond the limit your answer stays the same.",
        "Clip nothing: take exp only of numbers up to 0, for z < 0 as exp(z)/(1 + exp(z)).",
        "z within the limits; and where σ(z) is too small to matter to you",
        {"sigmoid": instead(*map(_clipped, (500, 700, 100, 88, 50, 30, 20)))},
        native=True,
    ),
    Mistake(
        "sigmoid-prime-cancel",
        "You compute a·(1 − a), which is 0 as soon as a rounds to 1.",
        "Use exp(−|z|)/(1 + exp(−|z|))², which keeps the tail.",
        "z up to 17 in float32 and 37 in float64; what is lost beyond is so small that no check asks for it",
        {"sigmoid_prime": instead(_prime_of_activation)},
        native=True,
    ),
    Mistake(
        "relu-mask",
        "Your derivative of relu is 1 at 0, where the definition says 0.",
        "Use z > 0, not z >= 0; every number from 0 to 1 is a subgradient, so you may keep yours and say so.",
        "data without exact zeros",
        {"relu_prime": instead(_step)},
        kind="convention",
    ),
    Mistake(
        "written-input",
        "You write into your argument.",
        "Work on a copy, as z = z.copy() makes one, or with functions that do not write where they read.",
        "callers that never use the argument again",
        dict.fromkeys(("relu", "relu_prime", "sigmoid", "sigmoid_prime", "softmax"), (_in_place,)),
        ("caffe#2413",),
        native=True,
    ),
    Mistake(
        "softmax-diagonal",
        "You use only the diagonal of the softmax's derivative: a·(1 − a)·da.",
        "Every output depends on every input: dz = a·(da − Σ da·a).",
        "one class",
        {"softmax_backward": instead(lambda da, a: a * (1 - a) * da)},
        ("libnd4j#440✓",),
    ),
    Mistake(
        "softmax-unweighted",
        "You leave out a factor a in the softmax's derivative: of the whole, or in the sum.",
        "Every output is weighted by its own a, twice: dz = a·(da − Σ da·a).",
        "one class",
        {
            "softmax_backward": instead(
                lambda da, a: da - (da * a).sum(axis=-1, keepdims=True),
                lambda da, a: a * (da - da.sum(axis=-1, keepdims=True)),
            )
        },
    ),
    Mistake(
        "softmax-no-sum",
        "You leave out the sum in the softmax's derivative: yours is a·da.",
        "Every output depends on every input: dz = a·(da − Σ da·a).",
        "errors whose sum Σ da·a is 0",
        {"softmax_backward": instead(lambda da, a: a * da)},
    ),
    Mistake(
        "softmax-of-output",
        "You take the softmax of what is one already: your function is given its output a, not z.",
        "softmax_backward(da, a) has a = softmax(z): use it as it is.",
        "one class",
        {"softmax_backward": (lambda below: lambda da, a: below(da, softmax(a)),)},
    ),
    Mistake(
        "softmax-global-max",
        "You subtract the largest logit of the whole array: rows far below it become 0/0.",
        "Subtract each row's own maximum.",
        "logits of moderate and similar size",
        {"softmax": instead(lambda z: _exponentials(z, z.max()))},
        ("uTensor#175",),
        native=True,
    ),
    Mistake(
        "softmax-no-max",
        "You take the exponentials of the logits as they are: they overflow.",
        "Subtract each row's maximum first; the quotient stays the same, and log Σ exp(z) is max + log Σ exp(z − max).",
        "logits of moderate size",
        {
            "softmax": instead(lambda z: _exponentials(z, 0)),
            "cross_entropy": instead(
                lambda z, labels: (np.log(np.exp(z).sum(axis=1)) - _labelled(z, labels)).sum(),
                lambda z, labels: -np.log(_labelled(_exponentials(z, 0), labels)).sum(),
            ),
            "cross_entropy_prime": instead(
                lambda z, labels: _exponentials(z, 0) - (labels[:, None] == np.arange(z.shape[1]))
            ),
        },
        ("uTensor#175",),
        native=True,
    ),
    Mistake(
        "softmax-axis",
        "You normalise along the first axis: over the batch, not over the classes.",
        "Sum over the last axis: axis=-1, keepdims=True.",
        "inputs of one axis; it never shows in a shape",
        dict.fromkeys(("softmax", "softmax_backward"), (_rows_as_columns,)),
    ),
)
