"""How far rounding may take a correct answer: one bound per element (derived in spec/rounding.md)."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

import ml_dtypes
import numpy as np

from reference_cnn._validate import Array
from reference_cnn.oracle.call import windows_of
from reference_cnn.oracle.layers import LAYERS
from reference_cnn.oracle.mistakes import accepted

if TYPE_CHECKING:
    from reference_cnn.oracle.cases import Case


finfo: Callable[[Any], Any] = cache(ml_dtypes.finfo)  # NumPy's own knows nothing of bfloat16; it has no types


class Expected(NamedTuple):
    """A right answer, and how far from it an element may lie; both in a dtype at least as wide as float64."""

    value: Array
    bound: Array


@dataclass(frozen=True)
class Precision:
    """The arithmetic that an answer is owed: the dtype of the result and that of the sums."""

    dtype: str
    accumulate: str

    @classmethod
    def of(cls, dtype: str, accumulate: str | None = None) -> "Precision":
        """The default: 16-bit floats accumulate in float32, others in themselves."""
        return cls(dtype, accumulate or ("float32" if np.dtype(dtype).itemsize == 2 else dtype))

    @property
    def output_unit(self) -> float:
        """Unit roundoff of the result."""
        return unit(self.dtype)

    @property
    def output_tiny(self) -> float:
        """What underflow may cost the result: flush to zero is allowed, but not in float16 [RND-N3]."""
        info = finfo(self.dtype)
        return float(info.smallest_subnormal if self.dtype == "float16" else info.smallest_normal)

    @property
    def largest(self) -> float:
        """The largest number; sums that may exceed it may overflow [RND-N3]."""
        return float(finfo(self.dtype).max)


def unit(dtype: Any) -> float:
    """Unit roundoff: half the distance from 1 to the next number."""
    return float(finfo(dtype).eps) / 2


def gamma(terms: int, u: float) -> float:
    """γₙ(u) = n·u/(1 − n·u), which bounds the relative error of n roundings in a row [RND-D1]."""
    if terms * u >= 1:
        return math.inf
    return terms * u / (1 - terms * u)


def expected(case: "Case") -> dict[str, Expected]:
    """The right answers to a case, with their bounds, which are 0 where they are exact; without a special value."""
    wide = _wide(case)
    if case.exact and adds_products(case):
        # The dtype itself has all the sums, in whatever order, and the narrowest is the fastest.
        exact = call(case, case.plain)
        return {name: Expected(v.astype(wide), np.zeros(v.shape)) for name, v in exact.items()}
    arguments = {name: a if name == "labels" else a.astype(wide) for name, a in case.plain.items()}
    values = call(case, arguments)
    # A mean, as a convention may want it, of whole numbers need not be whole: it is rounded like any other number.
    broken = case.accept and any((v % 1 != 0).any() for v in values.values())
    whole = case.exact and not broken
    if (whole and case.function not in ROUNDED_BETWEEN) or case.function in SELECTING:
        return {name: Expected(v, np.zeros(v.shape)) for name, v in values.items()}
    limit = limits(case, arguments, values, unit(wide), whole=whole)
    return {name: Expected(v, limit[name]) for name, v in values.items()}


def adds_products(case: "Case") -> bool:
    """Whether every element of its outputs is a sum of products of elements of its arguments, and of nothing else."""
    return LAYERS[case.function].family in ("conv", "dense") and not case.accept


def limits(
    case: "Case", arguments: dict[str, Array], values: dict[str, Array], reference_unit: float, *, whole: bool
) -> dict[str, Array]:
    """How far from `values`, computed in arithmetic of `reference_unit`, answers in the case's dtype may lie.

    That dtype has the values themselves if they are whole.
    """
    precision = Precision.of(case.dtype, case.accumulate)
    if case.function in ALLOWED:
        # A convention of the sigmoid is one of accuracy: absolute, not relative.
        absolute = 2 if "sigmoid-by-tanh" in case.accept else 0
        allowed = ALLOWED[case.function](arguments, values) + absolute
        return {name: np.asarray(precision.output_unit * allowed + precision.output_tiny) for name in values}
    sizes, counts, bias = magnitudes(case, arguments), terms(case), arguments.get("b")
    # A convention, a mean say, may round once before the sum, and the result twice.
    also = bool(case.accept)
    with np.errstate(invalid="ignore"):  # 0 · ∞, of sums that may overflow
        return {
            name: (1 + also)
            * _sum_bound(v, sizes[name], counts[name] + also, bias, precision, reference_unit, whole=whole)
            for name, v in values.items()
        }


def magnitudes(case: "Case", arguments: dict[str, Array]) -> dict[str, Array]:
    """Σ|x||w| + |b| for every element of every output: the reference run on absolute values [RND-D2]."""
    sizes = {name: np.abs(a) for name, a in arguments.items()}
    if case.function.startswith("max_pool"):
        # Which element is the largest must not change.
        sizes["x"] = arguments["x"]
    if case.function.startswith("squared_error"):
        # Only the difference is rounded, and it may be much smaller than what it is taken of.
        return {name: np.asarray(np.abs(difference)) for name, difference in call(case, arguments).items()}
    if case.function == "softmax_backward":
        da, a = sizes["da"], sizes["a"]
        return {"dz": a * (da + (da * a).sum(axis=-1, keepdims=True))}
    return call(case, sizes)


def _wide(case: "Case") -> type:
    """The dtype to compute the right answer in: float64, and for float64 an even wider one where that is cheap."""
    products = case.arguments["w"].size * case.arguments["x"].size if "w" in case.arguments else 0
    return np.longdouble if case.dtype == "float64" and products < 10**7 else np.float64


def call(case: "Case", arguments: dict[str, Array]) -> dict[str, Array]:
    """Return the reference's outputs by name."""
    layer = LAYERS[case.function]
    with np.errstate(over="ignore", invalid="ignore"):  # of sums that may overflow nothing is owed
        answer = accepted(case.function, case.accept)(*arguments.values(), *case.positional, **case.keywords)
    answers = answer if isinstance(answer, tuple) else (answer,)
    return {name: np.asarray(a) for name, a in zip(layer.outputs, answers)}


def terms(case: "Case") -> dict[str, int]:
    """How many roundings an element of each output goes through at most: a product and n − 1 additions for n terms."""
    shape = case.shapes
    bias = int("b" in shape)
    match LAYERS[case.function].family, case.function:
        case "dense", "dense_forward":
            return {"z": shape["x"][1] + bias}
        case "dense", _:
            return {"dx": shape["dz"][1], "dw": shape["x"][0], "db": shape["x"][0]}
        case "conv", "conv_forward":
            return {"z": math.prod(shape["w"][1:]) + bias}
        case "conv", _:
            positions = shape["dz"][0] * math.prod(shape["dz"][2:])
            filters = shape["w"][0] // case.keywords.get("groups", 1)
            return {"dx": filters * math.prod(shape["w"][2:]), "dw": positions, "db": positions}
        case _, "softmax_backward":
            count = shape["a"][-1] + 3
        case _, "squared_error":  # with a factor √½ in the square: difference, factor and product count twice
            count = math.prod(shape["o"]) + 6
        case _, "squared_error_prime":
            count = 1
        case _, "avg_pool_forward":  # which may be a running mean
            taps = math.prod(windows_of(case.call).kernel)
            count = taps + 3 + math.ceil(2 * sum(1 / k for k in range(1, taps + 1)))
        case _:  # the gradient of a pooling, whose count may be inverted and multiplied with
            count = math.prod(windows_of(case.call).kernel) + 1
    return {LAYERS[case.function].outputs[0]: count}


def _sum_bound(
    value: Array,
    size: Array,
    terms: int,
    bias: Array | None,
    precision: Precision,
    reference_unit: float,
    *,
    whole: bool,
) -> Array:
    """Bound a sum of products [RND-N1]: accumulation, rounding of the result, underflow, the reference's error."""
    # Of nothing there is no error, however many terms.
    bound = np.where(size == 0, 0, gamma(terms, unit(precision.accumulate)) * size)
    narrower = unit(precision.accumulate) < precision.output_unit
    if narrower and whole:
        # What a sum is rounded to is no farther from it than the value, which is a number of that dtype.
        bound *= 2
    elif narrower:
        # The sum may be rounded to the result's dtype before the bias is added, and again after it.
        before = 0 if bias is None else np.abs(value - bias.reshape(-1, *[1] * (value.ndim - 2)))
        u = precision.output_unit
        bound += u * (1 + u) * (np.abs(value) + before + 2 * bound)
    # In place, since these arrays may be large.
    bound += (terms + 2) * precision.output_tiny
    bound += gamma(terms, reference_unit) * size
    # Or is no number, where the reference itself has overflowed.
    bound[~(size <= precision.largest)] = np.inf
    return bound


Allowance = Callable[[dict[str, Array], dict[str, Array]], Array]


def _relative(z: Array, values: Array) -> Array:
    return np.asarray((8 + 2 * np.abs(z)) * values)


def _sigmoid(arguments: dict[str, Array], values: dict[str, Array]) -> Array:
    """(8 + 2|z|)·a [RND-N2]."""
    return _relative(arguments["z"], values["a"])


def _sigmoid_prime(arguments: dict[str, Array], values: dict[str, Array]) -> Array:
    """(8 + 2|z|)·a′, and 2·a absolutely: a·(1 − a) is everybody's formula [RND-N2]."""
    z = arguments["z"]
    return np.asarray(_relative(z, values["a_prime"]) + 2 * LAYERS["sigmoid"].reference(z))


def tail_is_lost(case: "Case", error: Array, values: Array) -> bool:
    """Whether the derivative of a sigmoid is farther off than without what a·(1 − a) is granted, all of its tail."""
    if case.tier == "special" or case.accept:
        return False
    precision = Precision.of(case.dtype)
    allowed = _relative(case.arguments["z"].astype(np.float64), values)
    return bool((error > precision.output_unit * allowed + precision.output_tiny).any())


def _row_allowance(z: Array) -> Array:
    """K + 8 + 4·R + 2·max|z| for each row of K logits of range R: what the softmax owes, relatively [RND-N4]."""
    largest = np.abs(z).max(axis=-1, keepdims=True)
    return np.asarray(z.shape[-1] + 8 + 4 * np.ptp(z, axis=-1, keepdims=True) + 2 * largest)


def _softmax(arguments: dict[str, Array], values: dict[str, Array]) -> Array:
    return np.asarray(_row_allowance(arguments["z"]) * values["a"])


def _cross_entropy(arguments: dict[str, Array], values: dict[str, Array]) -> Array:
    """The softmax's allowance for each row's logarithm, and a sum of N terms of at most 2·R + log K [RND-N4]."""
    z = arguments["z"]
    terms = 2 * np.ptp(z, axis=-1) + math.log(z.shape[-1])
    return np.asarray(_row_allowance(z).sum() + (len(z) + 2) * terms.sum())


def _cross_entropy_prime(arguments: dict[str, Array], values: dict[str, Array]) -> Array:
    """The softmax's allowance; at the label absolutely, since a − 1 and −Σ of the others are both right [RND-N4]."""
    z, labels = arguments["z"], arguments["labels"]
    at_label = np.arange(z.shape[-1]) == labels[:, None]
    return np.asarray(_row_allowance(z) * np.where(at_label, 1, values["dz"]) + z.shape[-1] * at_label)


# What functions with exponentials may be off by, in units of u.
ALLOWED: dict[str, Allowance] = {
    "sigmoid": _sigmoid,
    "sigmoid_prime": _sigmoid_prime,
    "softmax": _softmax,
    "cross_entropy": _cross_entropy,
    "cross_entropy_prime": _cross_entropy_prime,
}
# Of whole numbers too: a norm that is squared, a running mean.
ROUNDED_BETWEEN = ("squared_error", "avg_pool_forward")
# Functions that select numbers round none.
SELECTING = ("relu", "relu_prime", "max_pool_forward")
