"""How far rounding may take a correct answer: one bound per element (derived in spec/rounding.md)."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import ml_dtypes
import numpy as np

from reference_cnn._validate import Array
from reference_cnn.oracle.layers import LAYERS
from reference_cnn.oracle.mistakes import accepted

if TYPE_CHECKING:
    from reference_cnn.oracle.cases import Case


finfo: Callable[[Any], Any] = ml_dtypes.finfo  # NumPy's own knows nothing of bfloat16; it has no types


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


def unit(dtype: Any) -> float:
    """Unit roundoff: half the distance from 1 to the next number."""
    return float(finfo(dtype).eps) / 2


def gamma(terms: int, u: float) -> float:
    """γₙ(u) = n·u/(1 − n·u), which bounds the relative error of n roundings in a row [RND-D1]."""
    if terms * u >= 1:
        return math.inf
    return terms * u / (1 - terms * u)


def expected(case: "Case") -> dict[str, Expected]:
    """The right answers to a case, with their bounds; the exact tier has bound 0."""
    wide = _wide(case)
    arguments: dict[str, Array] = {name: a.astype(wide) for name, a in case.arguments.items()}
    values = _call(case, arguments)
    # A mean of whole numbers need not be whole: it is judged like any other number that was rounded.
    if case.tier == "exact" and not any((v % 1 != 0).any() for v in values.values()):
        return {name: Expected(v, np.zeros(v.shape)) for name, v in values.items()}
    precision = Precision.of(case.dtype, case.accumulate)
    if case.function.startswith("sigmoid"):
        z = arguments["z"]
        return {
            name: Expected(v, _activation_bound(case.function, z, v, precision, case.accept))
            for name, v in values.items()
        }
    sizes = magnitudes(case, arguments)
    counts = _terms(case)
    # A convention, a mean say, may round once before the sum, and the result twice.
    also = bool(case.accept)
    return {
        name: Expected(
            v,
            (1 + also) * _sum_bound(v, sizes[name], counts[name] + also, arguments.get("b"), precision, unit(wide)),
        )
        for name, v in values.items()
    }


def magnitudes(case: "Case", arguments: dict[str, Array]) -> dict[str, Array]:
    """Σ|x||w| + |b| for every element of every output: the reference run on absolute values [RND-D2]."""
    return _call(case, {name: np.abs(a) for name, a in arguments.items()})


def _wide(case: "Case") -> type:
    """The dtype to compute the right answer in: float64, and for float64 an even wider one where that is cheap."""
    products = case.arguments["w"].size * case.arguments["x"].size if "w" in case.arguments else 0
    return np.longdouble if case.dtype == "float64" and products < 10**7 else np.float64


def _call(case: "Case", arguments: dict[str, Array]) -> dict[str, Array]:
    layer = LAYERS[case.function]
    answer = accepted(case.function, case.accept)(*arguments.values(), **case.keywords)
    return dict(zip(layer.outputs, answer if isinstance(answer, tuple) else (answer,)))


def _terms(case: "Case") -> dict[str, int]:
    """How many roundings an element of each output goes through at most: a product and n − 1 additions for n terms."""
    a = {name: array.shape for name, array in case.arguments.items()}
    bias = int("b" in a)
    if case.function == "dense_forward":
        return {"z": a["x"][1] + bias}
    if case.function == "dense_backward":
        return {"dx": a["dz"][1], "dw": a["x"][0], "db": a["x"][0]}
    taps = math.prod(a["w"][2:])
    if case.function == "conv_forward":
        return {"z": a["w"][1] * taps + bias}
    positions = a["dz"][0] * math.prod(a["dz"][2:])
    groups = case.keywords.get("groups", 1)
    return {"dx": a["w"][0] // groups * taps, "dw": positions, "db": positions}


def _sum_bound(
    value: Array, size: Array, terms: int, bias: Array | None, precision: Precision, reference_unit: float
) -> Array:
    """Bound a sum of products [RND-N1]: accumulation, rounding of the result, underflow, the reference's error."""
    sums = gamma(terms, unit(precision.accumulate)) * size
    rounding: Array | float = 0.0
    if unit(precision.accumulate) < precision.output_unit:
        # The sum may be rounded to the result's dtype before the bias is added, and again after it.
        before = 0 if bias is None else np.abs(value - bias.reshape(-1, *[1] * (value.ndim - 2)))
        u = precision.output_unit
        rounding = u * (1 + u) * (np.abs(value) + before + 2 * sums)
    underflow = (terms + 2) * precision.output_tiny
    return np.asarray(sums + rounding + underflow + gamma(terms, reference_unit) * size)


def _activation_bound(function: str, z: Array, value: Array, precision: Precision, accept: tuple[str, ...]) -> Array:
    """(8 + 2|z|)·u relatively, for the derivative also 2u·a absolutely: a·(1 − a) is everybody's formula [RND-N2]."""
    relative = (8 + 2 * np.abs(z)) * np.abs(value)
    # A convention of the sigmoid is one of accuracy: absolute, not relative.
    absolute = 2 * LAYERS["sigmoid"].reference(z) if function == "sigmoid_prime" else 2 * bool(accept)
    return np.asarray(precision.output_unit * (relative + absolute) + precision.output_tiny)
