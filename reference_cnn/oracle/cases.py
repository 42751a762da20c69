"""Which questions the oracle asks, and with which numbers."""

import math
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, get_args

import numpy as np

from reference_cnn._validate import Array
from reference_cnn.oracle import bounds, judge, notation, report
from reference_cnn.oracle.layers import LAYERS
from reference_cnn.oracle.mistakes import CONVENTIONS
from reference_cnn.oracle.shapes import Call, activation_calls, conv_calls, dense_calls, numpy_draw, windows_of
from reference_cnn.oracle.targets import UsageError
from reference_cnn.oracle.targets.ask import ask

Tier = Literal["exact", "rounding"]
Shape = tuple[int, ...]

DTYPES = ("float64", "float32", "float16", "bfloat16")


@dataclass(frozen=True)
class Case:
    """One question: a function, the shapes and options of a call, and how its numbers are drawn.

    The numbers follow from the fields alone, so that a case that is printed can be asked again. `accumulate` is the
    dtype in which a correct answer may form its sums; None stands for the default, float32 for 16-bit floats. `accept`
    has conventions of the catalogue by which the answer is judged.
    """

    function: str
    call: Call
    tier: Tier = "exact"
    dtype: str = "float64"
    seed: int = 0
    accumulate: str | None = None
    accept: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.function} {self.text} {self.dtype} {self.tier}"

    @property
    def text(self) -> str:
        """Shapes and options as `--case` takes them."""
        return notation.write(self.call)

    @property
    def keywords(self) -> dict[str, Any]:
        """The keyword arguments of the call."""
        return dict(self.call.options)

    @property
    def rank(self) -> int:
        """The number of spatial axes; for the activations, of axes."""
        return len(self.call.shapes[0][1]) - 2 * self.function.startswith("conv")

    @property
    def size(self) -> int:
        """The number of elements of all arguments."""
        return sum(a.size for a in self.arguments.values())

    @cached_property
    def arguments(self) -> dict[str, Array]:
        """The arrays of the call by name, in the order of the function's parameters."""
        shapes = dict(self.call.shapes)
        if "dz" in LAYERS[self.function].arguments:
            conv = self.function.startswith("conv")
            features = (shapes["w"][0], *windows_of(self.call).out) if conv else (shapes["w"][1],)
            shapes["dz"] = (shapes["x"][0], *features)
        if "transposed-weights" in self.accept:
            shapes["w"] = shapes["w"][::-1]
        names = [name for name in LAYERS[self.function].arguments if name in shapes]
        draw = self._integers if self.tier == "exact" else self._reals
        return dict(zip(names, draw([shapes[name] for name in names])))

    @cached_property
    def expected(self) -> dict[str, bounds.Expected]:
        """The right answer and how far rounding may take it, output by output."""
        return bounds.expected(self)

    def check(self, function: Callable[..., Any]) -> None:
        """Ask `function` this question; raise an AssertionError with the whole message if the answer is wrong."""
        failure = judge.judge(self, ask(function, self)).failure
        if failure:
            raise AssertionError(report.failure_text(failure))

    @property
    def _generator(self) -> np.random.Generator:
        return np.random.default_rng([self.seed, zlib.crc32(f"{self.text} {self.tier}".encode())])

    def _integers(self, shapes: list[Shape]) -> Iterator[Array]:
        """Integers so small, and if need be so sparse, that every partial sum of the answer is exact in the dtype."""
        limit = 2 ** (bounds.finfo(self.dtype).nmant + 1)
        for largest, density in [(5, 1.0), (3, 1.0), (2, 1.0), (1, 1.0)] + [(1, 2.0**-k) for k in range(1, 30)]:
            rng = self._generator
            arrays = [
                rng.choice([-1, 1], s) * rng.integers(1, largest + 1, s) * (rng.random(s) < density) for s in shapes
            ]
            named = dict(zip(LAYERS[self.function].arguments, arrays))
            if all(m.max(initial=0) <= limit for m in bounds.magnitudes(self, named).values()):
                return (a.astype(self.dtype) for a in arrays)
        raise UsageError(f"case {self.text}: too large for exact data in {self.dtype}")

    def _reals(self, shapes: list[Shape]) -> Iterator[Array]:
        """Normal numbers; for the activations also a ramp over ± scale, so that both tails are asked."""
        rng, scale = self._generator, self.call.scale
        for s in shapes:
            numbers = rng.standard_normal(s)
            if self.function.startswith("sigmoid"):
                numbers = np.linspace(-scale, scale, math.prod(s)).reshape(s) + 0.01 * scale * numbers
            yield numbers.astype(self.dtype)


def cases(
    function: str,
    *,
    dtype: str = "float64",
    rank: int = 2,
    seed: int = 0,
    tiers: tuple[Tier, ...] = ("exact", "rounding"),
    accumulate: str | None = None,
    accept: tuple[str, ...] = (),
) -> list[Case]:
    """The cases that `check` asks of one function, for any test runner: `case.check(my_function)`.

    Parameters
    ----------
    function : str
        "conv_forward", "conv_backward", "dense_forward", "dense_backward", "sigmoid" or "sigmoid_prime".
    dtype : str
        "float64", "float32", "float16" or "bfloat16".
    rank : int
        Spatial axes of the convolutions, 1 or more.
    seed : int
        Draws other shapes, options and numbers.
    tiers : tuple of "exact", "rounding"
        Exact: small integers, compared with `==`. Rounding: real numbers, compared within a bound per element.
    accumulate : str, optional
        The dtype in which sums may be formed; without it float32 for 16-bit floats, else the dtype itself.
    accept : tuple of str
        Conventions, by their ids in the catalogue, by which answers are judged.

    Returns
    -------
    list of Case
        Each prints as one line, and has `.check(function)`.

    Raises
    ------
    UsageError
        An unknown function, dtype or tier, a rank below 1 or a negative seed (a ValueError).

    Examples
    --------
    >>> from reference_cnn import dense_forward
    >>> first = cases("dense_forward", dtype="float32")[0]
    >>> print(first)
    dense_forward x=3x4 w=4x2 float32 exact
    >>> first.check(dense_forward)
    """
    for name, value, known in (
        ("function", function, tuple(LAYERS)),
        ("dtype", dtype, DTYPES),
        ("accumulate", accumulate or dtype, DTYPES),
        *(("tier", tier, get_args(Tier)) for tier in tiers),
        *(("accept", name, CONVENTIONS) for name in accept),
    ):
        if value not in known:
            raise UsageError(f"cases: {name} must be one of {', '.join(known)}, is {value!r}")
    for name, number, least in (("rank", rank, 1), ("seed", seed, 0)):
        if number < least:
            raise UsageError(f"cases: {name} must be at least {least}, is {number}")
    kind, draw = function.partition("_")[0], numpy_draw(seed, rank)
    if kind == "sigmoid":
        # No value of a sigmoid but those at 0 and infinity is exact in floating point.
        tiers = tuple(t for t in tiers if t != "exact")
        calls = activation_calls(draw, dtype)
    else:
        calls = conv_calls(rank, draw) if kind == "conv" else dense_calls(draw)
    if "b" not in LAYERS[function].arguments:
        calls = [call.without_bias() for call in calls]
    # Without their biases some calls are the same.
    return [
        Case(function, call, tier, dtype, seed, accumulate, accept) for call in dict.fromkeys(calls) for tier in tiers
    ]
