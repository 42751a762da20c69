"""Exact answers, the same on every machine: in fractions, and with exponentials in decimals of two hundred digits."""

from collections.abc import Callable
from dataclasses import replace
from decimal import ROUND_CEILING, Context, Decimal, localcontext
from fractions import Fraction

import numpy as np

from reference_cnn._validate import Array
from reference_cnn.oracle import bounds
from reference_cnn.oracle.layers import LAYERS
from reference_cnn.oracle.vectors.question import Question

# So many that 1 + exp(−400) is not 1.
DIGITS = 200
# Bounds are written with so many digits, rounded up from a millionth more: where one is a round number, its last bit,
# which may differ between machines, must not decide.
BOUND, MARGIN = Context(prec=3, rounding=ROUND_CEILING), Decimal("1.000001")


def values(question: Question) -> dict[str, Array]:
    """Return the exact outputs, each rounded to float64 once."""
    layer = LAYERS[question.function]
    if question.function in SMOOTH:
        with localcontext(prec=DIGITS):
            answer = SMOOTH[question.function](question.arguments)
        return {layer.outputs[0]: answer.astype(np.float64)}
    answers = layer.reference(*fractions(question).values(), *question.positional, **question.keywords)
    parts = answers if isinstance(answers, tuple) else (answers,)
    return {name: np.asarray(a).astype(np.float64) for name, a in zip(layer.outputs, parts)}


def fractions(question: Question) -> dict[str, Array]:
    """The arguments as fractions; labels stay."""
    return {n: a if n == "labels" else _each(Fraction, a) for n, a in question.arguments.items()}


def limits(question: Question, dtype: str, answers: dict[str, Array]) -> dict[str, Array]:
    """How far an answer in a dtype may lie from the written one, which is itself rounded to float64."""
    whole = question.tier == "exact"
    if (whole and question.function not in bounds.ROUNDED_BETWEEN) or question.function in bounds.SELECTING:
        return {name: np.zeros(v.shape) for name, v in answers.items()}
    exact = question.arguments if question.function in SMOOTH else fractions(question)
    found = bounds.limits(replace(question, dtype=dtype), exact, answers, 0, whole=whole)
    # Whole numbers are written as they are.
    written = 0 if question.tier == "exact" else bounds.unit(np.float64)
    return {n: found[n].astype(np.float64) + written * np.abs(v) for n, v in answers.items()}


def rounded_up(bound: float) -> float:
    """Round a bound to three digits, upwards.

    Examples
    --------
    >>> rounded_up(4.4408e-15)
    4.45e-15
    """
    return float(BOUND.multiply(Decimal(bound), MARGIN))


def dtypes(question: Question, asked: tuple[str, ...]) -> tuple[str, ...]:
    """In which of the dtypes the arguments are exact, and on the exact tier every partial sum too [RND-D3]."""
    floats = [a for name, a in question.arguments.items() if name != "labels"]
    held = [d for d in asked if all((a.astype(d).astype(np.float64) == a).all() for a in floats)]
    if question.tier == "exact":
        largest = max(float(m.max()) for m in bounds.magnitudes(question, question.arguments).values())
        held = [d for d in held if largest <= 2 ** (bounds.finfo(d).nmant + 1) * question.grid]
    return tuple(held)


def _each(change: Callable[[float], object], array: Array) -> Array:
    """Change every element, into an array of objects."""
    changed = np.empty(array.shape, object)
    changed.ravel()[...] = [change(v) for v in array.ravel().tolist()]
    return changed


def _sigmoid(arguments: dict[str, Array]) -> Array:
    return _each(lambda z: 1 / (1 + (-Decimal(z)).exp()), arguments["z"])


def _sigmoid_prime(arguments: dict[str, Array]) -> Array:
    e = _each(lambda z: (-abs(Decimal(z))).exp(), arguments["z"])
    return np.asarray(e / (1 + e) ** 2)


def _softmax(arguments: dict[str, Array]) -> Array:
    z = _each(Decimal, arguments["z"])
    e = _each(Decimal.exp, z - z.max(axis=-1, keepdims=True))  # type: ignore[arg-type]  # the array has decimals
    return np.asarray(e / e.sum(axis=-1, keepdims=True))


def _cross_entropy(arguments: dict[str, Array]) -> Array:
    z, labels = _each(Decimal, arguments["z"]), arguments["labels"]
    total = Decimal(0)
    for row, label in zip(z.tolist(), labels.tolist()):
        top = max(row)
        total += sum((v - top).exp() for v in row).ln() + top - row[label]
    return np.array(total)


def _cross_entropy_prime(arguments: dict[str, Array]) -> Array:
    dz, labels = _softmax(arguments), arguments["labels"]
    rows = np.arange(len(dz))
    dz[rows, labels] = 0
    dz[rows, labels] = -dz.sum(axis=1)
    return dz


# Functions with exponentials, which fractions cannot have.
SMOOTH: dict[str, Callable[[dict[str, Array]], Array]] = {
    "sigmoid": _sigmoid,
    "sigmoid_prime": _sigmoid_prime,
    "softmax": _softmax,
    "cross_entropy": _cross_entropy,
    "cross_entropy_prime": _cross_entropy_prime,
}
