"""The numbers of a case: small integers whose sums are exact, or real numbers."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from reference_cnn._validate import Array
from reference_cnn._windows import Index
from reference_cnn.oracle import bounds
from reference_cnn.oracle.call import TIES, windows_of
from reference_cnn.oracle.layers import LAYERS
from reference_cnn.oracle.shapes import SPREADS

if TYPE_CHECKING:
    from reference_cnn.oracle.cases import Case

Arrays = dict[str, Array]
Shapes = dict[str, tuple[int, ...]]

# How large the integers of the exact tier may be, and which part of them is not 0: the first that stay exact are taken.
STEPS = [(5, 1.0), (3, 1.0), (2, 1.0), (1, 1.0)] + [(1, 2.0**-k) for k in range(1, 30)]
# Elements of o and y of whose error rounding in between may take whole numbers to others.
MANY = 500
# So many classes a row far from 0 may have: a running logarithm, which RND-N4 does not grant, but many use, keeps too
# few digits of more.
LONGEST_FAR = 17
# A number of many digits.
DIGITS = 0.7310585786300049
# From so many filters or neurons on, one bias is 0: somebody may then take all of them for none.
BIASES_WITH_ZERO = 4
# The sign of all numbers of an array on the exact tier, mostly none.
ONE_SIGN = (-1, 1, *[0] * 6)


@dataclass(frozen=True)
class Draw:
    """Draws arrays from a generator; `largest` and `density` are those of the integers."""

    rng: np.random.Generator
    case: "Case"
    largest: int = 1
    density: float = 1.0

    @property
    def limit(self) -> int:
        """The largest integer up to which the dtype has all."""
        return int(2 ** (bounds.finfo(self.case.dtype).nmant + 1))

    def integers(self, shape: tuple[int, ...]) -> Array:
        """Signed integers, none of them 0 but for the density; of large arrays a quarter have one sign, and zeros."""
        rng = self.rng
        signed = rng.choice([-1.0, 1], shape) * rng.integers(1, self.largest + 1, shape)
        sign = rng.choice(ONE_SIGN) if signed.size >= 8 else 0
        if sign:
            signed = sign * np.abs(signed) * (rng.random(shape) < 3 / 4)
        drawn = np.asarray(signed * (rng.random(shape) < self.density))
        if drawn.size > 1 and (drawn == np.flip(drawn)).all():
            # The same numbers backwards would hide that somebody reads them so.
            last = drawn[(-1,) * drawn.ndim]
            drawn[(-1,) * drawn.ndim] = last - np.sign(last) if abs(last) > 1 else -last
        return drawn

    def reals(self, shape: tuple[int, ...]) -> Array:
        """Normal numbers."""
        return self.rng.standard_normal(shape)

    def magnitudes(self, shape: tuple[int, ...]) -> Array:
        """Powers of two from 1/scale to scale, both among them; so numbers lose nothing."""
        largest = int(math.log2(self.case.call.scale))
        exponents = np.linspace(-largest, largest, math.prod(shape)).round()
        return np.asarray(2.0 ** self.rng.permutation(exponents).reshape(shape))

    def labels(self, shape: tuple[int, ...]) -> Array:
        """Classes of the rows of z; the first row's is the first or the last, which loops miss."""
        classes = dict(self.case.call.shapes)["z"][1]
        labels = self.rng.integers(0, classes, shape)
        labels[:1] = self.rng.choice([0, classes - 1])
        return labels

    def distinct(self, shape: tuple[int, ...]) -> Array:
        """All different within a window, and half the maps negative throughout.

        So no maximum is a tie, and none is that of the padding, or of an initial 0. Where a map has more elements than
        the dtype has such numbers, it repeats a block that is as large as a window.
        """
        size = shape[2:]
        block = size if math.prod(size) <= self.limit // 2 else windows_of(self.case.call).spans
        count = math.prod(block)
        maps = np.array([self.rng.permutation(count) for _ in range(math.prod(shape[:2]))]).reshape(*shape[:2], *block)
        lowest = np.where(np.indices(shape[:2]).sum(axis=0) % 2 == 0, count, count // 2)
        maps -= lowest.reshape(*shape[:2], *[1] * len(size))
        repeats = [-(-s // b) for s, b in zip(size, block)]
        inside: Index = (..., *(slice(s) for s in size))
        return np.asarray(np.tile(maps, (1, 1, *repeats))[inside])

    def close(self, distinct: Array) -> Array:
        """In the order of these integers, as close to each other as numbers of the dtype are."""
        negative = distinct.max(axis=tuple(range(2, distinct.ndim)), keepdims=True) < 0
        return np.asarray(np.where(negative, -1, 1) + distinct * float(bounds.finfo(self.case.dtype).eps))

    def huge(self, distinct: Array) -> Array:
        """In the order of these integers, nearly as large as numbers of the dtype are."""
        return np.ldexp(distinct, int(bounds.finfo(self.case.dtype).maxexp) - int(np.abs(distinct).max()).bit_length())

    def one_of_each(self, shape: tuple[int, ...]) -> Array:
        """A 1 in each map, and zeros."""
        ones = np.zeros((math.prod(shape[:2]), math.prod(shape[2:])))
        ones[np.arange(len(ones)), self.rng.integers(ones.shape[1], size=len(ones))] = 1
        return ones.reshape(shape)

    def probabilities(self, shape: tuple[int, ...], bits: int) -> Array:
        """Rows that add up to exactly 1, multiples of 2**−bits, some of them 0 where there are many."""
        if 0 in shape:
            return np.zeros(shape)
        rows = self.rng.multinomial(2**bits, [1 / shape[-1]] * shape[-1], shape[:-1])
        return np.asarray(rows / 2**bits)

    def ramp(self, shape: tuple[int, ...]) -> Array:
        """From −scale to scale with a little noise, so that both tails are asked, and 0, which belongs to neither."""
        scale = self.case.call.scale
        ramp = np.linspace(-scale, scale, math.prod(shape)).reshape(shape) + 0.01 * scale * self.reals(shape)
        if ramp.size > 1:
            ramp.flat[ramp.size // 2] = 0
        return ramp

    def logits(self, shape: tuple[int, ...]) -> Array:
        """Rows by turns wide, around 0, and narrow, around ± scale if short: what one row needs is wrong for the next.

        The fifth, where there are so many, is all 0, as at the start of a training: every class is the largest.
        """
        numbers, scale = self.reals(shape), self.case.call.scale
        if len(shape) < 2:
            return scale * numbers
        turn = np.indices(shape[:-1]).sum(axis=0)[..., None]
        wide = min(scale, SPREADS[self.case.dtype]) * numbers
        # Some ascend: the largest is the last, which loops miss.
        wide = np.where(turn % 4 == 2, np.sort(wide, axis=-1), wide)
        far = scale if shape[-1] <= LONGEST_FAR else 0
        rows = np.where(turn % 2 == 0, wide, np.where(turn % 4 == 1, far, -far) + 2 * numbers)
        return np.where(turn == 4, 0, rows)


def draw(case: "Case", shapes: Shapes, generator: Callable[[], np.random.Generator]) -> Arrays | None:
    """Draw the arrays of a case; None if no numbers of these shapes are exact in the dtype."""
    if not case.exact:
        return typed(_reals(Draw(generator(), case), shapes), case.dtype)
    for largest, density in STEPS:
        drawing = Draw(generator(), case, largest, density)
        arrays, grid = _integers(drawing, shapes)
        # No element is made of more products than these, so that nothing need be added up.
        if bounds.adds_products(case) and max(bounds.terms(case).values()) * largest**2 <= drawing.limit:
            return typed(arrays, case.dtype)
        # In float64, for which there are fast products of matrices, and in which integers below the limit are exact.
        sizes = bounds.magnitudes(case, {n: a if n == "labels" else a.astype(np.float64) for n, a in arrays.items()})
        if all(m.max(initial=0) <= drawing.limit * grid for m in sizes.values()):
            return typed(arrays, case.dtype)
    return None


def exact(case: "Case") -> bool:
    """Whether a right answer is exact, or nearly so: no exponentials, no division but by powers of two."""
    family = LAYERS[case.function].family
    if family == "average pool":
        return all(count & (count - 1) == 0 for count in _counts(case) | {math.prod(windows_of(case.call).kernel)})
    if case.function == "squared_error" and case.size > MANY:
        return False
    smooth = ("sigmoid", "sigmoid_prime", "softmax", "cross_entropy", "cross_entropy_prime")
    return case.function not in smooth


def typed(arrays: Arrays, dtype: str) -> Arrays:
    """The arrays in a dtype, but for labels; a ValueError if it has no such numbers."""
    with np.errstate(over="ignore"):
        found = {name: a if name == "labels" else a.astype(dtype) for name, a in arrays.items()}
    if not all(np.isfinite(a).all() for a in found.values()):
        raise ValueError(f"its numbers are too large for {dtype}")
    return found


def _integers(draw: Draw, shapes: Shapes) -> tuple[Arrays, float]:
    """Integers, and of which number every partial sum is a multiple."""
    case = draw.case
    arrays = {name: draw.integers(shape) for name, shape in shapes.items()}
    if "b" in arrays and len(arrays["b"]) >= BIASES_WITH_ZERO:
        arrays["b"][1] = 0
    if LAYERS[case.function].family == "max pool":
        tied = case.call.special == TIES
        arrays["x"] = draw.rng.integers(-2, 1, shapes["x"]) if tied else draw.distinct(shapes["x"])
        if tied and any(s < e for s, e in zip(windows_of(case.call).stride, windows_of(case.call).spans)):
            arrays["dy"] *= draw.one_of_each(shapes["dy"])
    if case.function.startswith("relu"):
        # 0 is where the rectifier bends, and −0 is no other.
        arrays["z"] = draw.rng.choice([-1.0, 1], shapes["z"]) * draw.rng.integers(0, draw.largest + 1, shapes["z"])
    if case.function.startswith("avg_pool"):
        # The largest count divides by the smaller ones, all powers of two.
        arrays = {name: a * max(_counts(case)) for name, a in arrays.items()}
    if case.function == "squared_error":
        return arrays, 1 / 2
    if case.function == "softmax_backward":
        bits = min(draw.largest, 4)
        arrays["a"] = draw.probabilities(shapes["a"], bits)
        return arrays, 4.0**-bits
    return arrays, 1


def _reals(draw: Draw, shapes: Shapes) -> Arrays:
    function, family = draw.case.function, LAYERS[draw.case.function].family
    arrays = {name: draw.labels(s) if name == "labels" else draw.reals(s) for name, s in shapes.items()}
    if family in ("conv", "dense") and draw.case.call.scale != 1:
        arrays = {name: a * draw.magnitudes(a.shape) for name, a in arrays.items()}
    if family == "error" and draw.case.call.scale != 1:
        # Outputs close to their targets, as after training, or far from them.
        arrays["o"] = arrays["y"] + draw.case.call.scale * arrays["o"]
    if family == "activation":
        arrays["z"] = draw.ramp(shapes["z"])
    if "z" in arrays and family in ("softmax", "logits"):
        arrays["z"] = draw.logits(shapes["z"])
    if "labels" in arrays:
        # The least likely class of some wide rows, whose probability is 0 where it has underflowed.
        arrays["labels"][2::2] = arrays["z"][2::2].argmin(axis=-1)
    if family == "max pool":
        distinct = draw.distinct(shapes["x"])
        # So that narrower arithmetic shows; and some that differ in the last bit, or are lower than what somebody may
        # take for lower than all.
        way = draw.rng.integers(6)
        arrays["x"] = draw.close(distinct) if way == 4 else draw.huge(distinct) if way == 5 else DIGITS * distinct
    if function == "softmax_backward":
        # They must add up to 1 in the dtype, or formulas that rely on it would be off.
        arrays["a"] = draw.probabilities(shapes["a"], bounds.finfo(draw.case.dtype).nmant)
    return arrays


def _counts(case: "Case") -> set[int]:
    """By which numbers an average pooling divides."""
    windows = windows_of(case.call)
    if case.keywords.get("include_padding"):
        return {math.prod(windows.kernel)}
    products = {1}
    for inside in windows.inside:
        products = {p * int(n) for p in products for n in inside.sum(axis=1)}
    return products
