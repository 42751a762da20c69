"""Which questions the oracle asks, and with which numbers."""

import math
import zlib
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import Any, Literal, get_args

import numpy as np

from reference_cnn._validate import Array
from reference_cnn.oracle import bounds, judge, normwise, notation, numbers, special
from reference_cnn.oracle.call import PROFILES, TIES, Call, numpy_draw, windows_of
from reference_cnn.oracle.layers import LAYERS, WINDOWED
from reference_cnn.oracle.mistakes import CONVENTIONS, MISTAKES
from reference_cnn.oracle.shapes import calls, sized_calls
from reference_cnn.oracle.targets import UsageError
from reference_cnn.oracle.targets.ask import ask
from reference_cnn.oracle.text import failure_text

Tier = Literal["exact", "rounding", "special"]
Shape = tuple[int, ...]

# The part of the numbers in whose place a 0 has to be noticed.
TOLD = 1 / 4
DTYPES = ("float64", "float32", "float16", "bfloat16")


@dataclass(frozen=True)
class Case:
    """One question: a function, the shapes and options of a call, and how its numbers are drawn.

    The numbers follow from the fields alone, so that a case that is printed can be asked again. `accumulate` is the
    dtype in which a correct answer may form its sums; None stands for the default, float32 for 16-bit floats. `accept`
    has conventions of the catalogue by which the answer is judged; `algorithm` says whose rounding is admitted.
    """

    function: str
    call: Call
    tier: Tier = "exact"
    dtype: str = "float64"
    seed: int = 0
    accumulate: str | None = None
    accept: tuple[str, ...] = ()
    algorithm: str = "direct"

    def __getstate__(self) -> dict[str, Any]:
        """The fields alone: what follows from them is not sent to other processes."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    def __str__(self) -> str:
        return f"{self.function} {self.text} {self.dtype} {self.tier}"

    @property
    def text(self) -> str:
        """Shapes and options as `--case` takes them."""
        return notation.write(self.call)

    @property
    def positional(self) -> tuple[Any, ...]:
        """The options that follow the arrays without a keyword."""
        options = dict(self.call.options)
        return tuple(options[name] for name in LAYERS[self.function].positional)

    @property
    def keywords(self) -> dict[str, Any]:
        """The keyword arguments of the call."""
        return {k: v for k, v in self.call.options if k not in LAYERS[self.function].positional}

    @property
    def rank(self) -> int:
        """The number of spatial axes, where a layer has such; else of axes."""
        windowed = LAYERS[self.function].family in WINDOWED
        return len(self.call.shapes[0][1]) - 2 * windowed

    @cached_property
    def shapes(self) -> dict[str, Shape]:
        """The shapes of the arrays by name, in the order of the function's parameters."""
        stated, layer = dict(self.call.shapes), LAYERS[self.function]
        if "transposed-weights" in self.accept:
            stated["w"] = stated["w"][::-1]
        return {n: stated[n] if n in stated else self._derived(n) for n in layer.arguments if n in stated or n != "b"}

    @property
    def size(self) -> int:
        """The number of elements of all arguments."""
        return sum(math.prod(shape) for shape in self.shapes.values())

    @property
    def exact(self) -> bool:
        """Whether its numbers are integers whose sums are exact."""
        return self.tier == "exact" or (self.tier == "special" and numbers.exact(self))

    @property
    def special(self) -> tuple[float, str]:
        """The special value and the argument that it is put into; only on the special tier."""
        if self.call.special is None:
            raise UsageError(f"case {self.text} has no special value")
        return float(self.call.special[0]), self.call.special[1]

    @cached_property
    def place(self) -> tuple[int, ...]:
        """Where in the argument the special value is put."""
        return special.place(self.plain[self.special[1]].shape, self._generator())

    @cached_property
    def plain(self) -> dict[str, Array]:
        """The arrays of the call by name, without a special value."""
        arrays = numbers.draw(self, self.shapes, self._generator)
        if arrays is None:
            raise UsageError(f"case {self.text}: too large for exact data in {self.dtype}")
        return arrays

    @cached_property
    def arguments(self) -> dict[str, Array]:
        """The arrays of the call by name, in the order of the function's parameters."""
        if self.tier != "special" or self.call.special == TIES:
            return self.plain
        number, name = self.special
        spoiled = {**self.plain, name: self.plain[name].copy()}
        spoiled[name][self.place] = number
        return spoiled

    def with_numbers(self, plain: dict[str, Array], dtype: str | None = None) -> "Case":
        """The same case with other numbers than are drawn for it, which may have another dtype."""
        case = replace(self, dtype=dtype or self.dtype)
        vars(case)["plain"] = plain
        return case

    @cached_property
    def expected(self) -> dict[str, bounds.Expected]:
        """The right answer and how far rounding may take it, output by output."""
        plain = normwise.widened(self, bounds.expected(self))
        return special.expected(self, plain) if self.tier == "special" else plain

    @property
    def informative(self) -> bool:
        """Whether its bounds say something: zeros, the mean and a shifted answer are rejected [ORC-N5].

        On the exact tier, whether they tell one whole number from the next.
        """
        if not any(value.size for value, _ in self.expected.values()):
            return False
        if self.tier == "exact":
            return all((bound < 1 / 2).all() for _, bound in self.expected.values())
        if self.tier != "rounding":
            return True
        for value, bound in self.expected.values():
            some = value != 0
            if some.any() and (np.abs(value) > bound)[some].mean() < TOLD:
                return False
            # One after the other, since they may be large.
            others = (np.mean, lambda v: np.roll(v, 1)) if value.size and np.ptp(value) > 0 else ()
            if any((np.abs(value - other(value)) <= bound).all() for other in others):
                return False
        return True

    def check(self, function: Callable[..., Any]) -> None:
        """Ask `function` this question; raise an AssertionError with the whole message if the answer is wrong.

        A function that raises NotImplementedError does not offer the call: it is raised again, for a test to skip.
        """
        answer = ask(function, self)
        if answer.outcome == "not implemented":
            raise NotImplementedError(f"{self}: {answer.error}")
        failure = judge.judge(self, answer).failure
        if failure and failure.kind == "values":
            # One answer is too few for a diagnosis.
            remedy = "Whether it is a known mistake is told by reference-cnn check, which asks more than this."
            failure = replace(failure, remedy=remedy, otherwise=failure.clause)
        if failure:
            raise AssertionError(failure_text(failure))

    def _generator(self) -> np.random.Generator:
        return np.random.default_rng([self.seed, zlib.crc32(f"{self.text} {self.tier}".encode())])

    def _derived(self, name: str) -> Shape:
        """The shape of an argument that follows from those of the others."""
        shapes = dict(self.call.shapes)
        match name:
            case "dz" if LAYERS[self.function].family == "dense":
                return (shapes["x"][0], shapes["w"][1])
            case "dz":
                return (shapes["x"][0], shapes["w"][0], *windows_of(self.call).out)
            case "dy":
                return (*shapes["x"][:2], *windows_of(self.call).out)
            case "labels":
                return shapes["z"][:1]
            case _:  # y is like o, da like a
                return self.call.shapes[0][1]


def cases(
    function: str,
    *,
    dtype: str = "float64",
    rank: int = 2,
    profile: str = "standard",
    seed: int = 0,
    tiers: tuple[Tier, ...] = ("exact", "rounding", "special"),
    accumulate: str | None = None,
    accept: tuple[str, ...] = (),
    algorithm: str = "direct",
) -> list[Case]:
    """The cases that `check` asks of one function, for any test runner: `case.check(my_function)`.

    Parameters
    ----------
    function : str
        The name of one of the layers' functions, such as "conv_forward" or "max_pool_backward".
    dtype : str
        "float64", "float32", "float16" or "bfloat16".
    rank : int
        Spatial axes of convolutions and poolings, 1 or more.
    profile : str
        "quick", "standard" or "thorough": how many calls are drawn besides the fixed ones.
    seed : int
        Draws other shapes, options and numbers.
    tiers : tuple of "exact", "rounding", "special"
        Exact: small integers, compared with `==`. Rounding: real numbers, compared within a bound per element.
        Special: a NaN or an infinity in an argument, which has to reach what it is a factor of.
    accumulate : str, optional
        The dtype in which sums may be formed; without it float32 for 16-bit floats, else the dtype itself.
    accept : tuple of str
        Conventions, by their ids in the catalogue, by which answers are judged.
    algorithm : str
        "direct"; "winograd" and "fft" admit convolutions whose errors are bounded in norm only.

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
        ("profile", profile, tuple(PROFILES)),
        ("algorithm", algorithm, normwise.ALGORITHMS),
        *(("tier", tier, get_args(Tier)) for tier in tiers),
        *(("accept", name, CONVENTIONS) for name in accept),
    ):
        if not isinstance(value, str) or value not in known:
            raise UsageError(f"cases: {name} must be one of {', '.join(known)}, is {value!r}")
    for name, number, least in (("rank", rank, 1), ("seed", seed, 0)):
        if not isinstance(number, int | np.integer):
            raise UsageError(f"cases: {name} must be an integer, is {number!r}")
        if number < least:
            raise UsageError(f"cases: {name} must be at least {least}, is {number}")
    # A convention of other functions changes nothing here.
    accept = tuple(name for name in accept if function in MISTAKES[name].functions)
    asked = calls(function, numpy_draw(seed, rank), rank, dtype, PROFILES[profile])
    questions = [
        Case(function, call, tier, dtype, seed, accumulate, accept, algorithm)
        for call in asked
        for tier in tiers
        if tier != "special"
    ]
    plain: tuple[Tier, ...] = tuple(tier for tier in ("exact", "rounding") if tier in tiers)
    for call in sized_calls(function, rank):
        of_sizes = [Case(function, call, tier, dtype, seed, accumulate, accept, algorithm) for tier in plain]
        questions += [case for case in of_sizes if case.tier != "exact" or numbers.exact(case)][:1]
    if "special" in tiers:
        chosen = special.special_calls(function, asked)
        if algorithm != "direct" and LAYERS[function].family == "conv":
            # In a transform, infinities turn into NaN.
            chosen = [call for call in chosen if call.special and call.special[0] == special.NAN]
        questions += [Case(function, call, "special", dtype, seed, accumulate, accept, algorithm) for call in chosen]
    return [case for case in questions if case.tier != "exact" or numbers.exact(case)]
