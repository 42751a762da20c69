"""Whether a backward is the derivative of a forward, at every coordinate; clauses GRAD, spec/gradcheck.md."""

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike

from reference_cnn._differences import Differences, differences, exact_differences
from reference_cnn._gradients import unpack
from reference_cnn._pattern import describe
from reference_cnn._validate import Array, number_array, working_dtype

Verdict = Literal["right", "wrong", "unclear"]

# A derivative known no better than this share of the argument's largest one could not tell a factor of 1.001 from 1.
RESOLUTION = 5e-4
# An error below this is none: it is what underflow leaves where every derivative is 0.
NEGLIGIBLE = 1e-30


@dataclass(frozen=True)
class ArgumentCheck:
    """The verdict on the gradient of one argument.

    `gradient` is what backward said, `derivative` what the differences say and `error` how far they may be off
    (0 in exact arithmetic), all shaped like the argument; `index` is the entry that the reason speaks of.
    """

    name: str
    verdict: Verdict
    reason: str
    index: tuple[int, ...] | None = None
    gradient: Array | None = None
    derivative: Array | None = None
    error: Array | None = None


@dataclass(frozen=True)
class GradientCheck:
    """What `check_gradient` found, argument by argument."""

    arguments: tuple[ArgumentCheck, ...]

    @property
    def verdict(self) -> Verdict:
        """`wrong` if any argument's gradient is, else `unclear` if any could not be told, else `right`."""
        verdicts = {a.verdict for a in self.arguments}
        return "wrong" if "wrong" in verdicts else "unclear" if "unclear" in verdicts else "right"

    @property
    def passed(self) -> bool:
        """Whether every gradient is right."""
        return self.verdict == "right"

    def __str__(self) -> str:
        return "\n".join(f"d{a.name}: {a.verdict}: {a.reason}" for a in self.arguments)


def check_gradient(
    forward: Callable[..., ArrayLike],
    backward: Callable[..., Any],
    args: Sequence[ArrayLike | None],
    *,
    dz: ArrayLike | None = None,
    names: Sequence[str] | None = None,
    seed: int = 0,
) -> GradientCheck:
    """Compare backward(dz, *args) with differences of forward(*args), coordinate by coordinate.

    Parameters
    ----------
    forward : callable
        forward(*args) returns one array z of any shape. Called 57 to a few hundred times per coordinate (4 times in
        exact mode), with copies of your arrays, so it may write to its arguments.
    backward : callable
        backward(dz, *args) returns ∂E/∂arg for each argument where E = Σ dz·z: a sequence in the order of args, a
        mapping or object with the names "d" + name, or an array for a single argument; None for a gradient that is
        not offered. Trailing arguments that it has no positional parameter for (a bias) are left out.
    args : sequence of arrays
        Where to differentiate. All integers or objects (Fractions): exact mode. Otherwise floats; 16-bit ones are
        handed on as float32, since their differences tell nothing, and integers as floats, unless backward returns
        None for them, as for labels. None is handed on as it is.
    dz : array shaped like z, optional
        The upstream gradient; without it random numbers, none of them 0.
    names : sequence of str, optional
        What to call the arguments; without it the names of forward's parameters.
    seed : int
        For the random dz.

    Returns
    -------
    GradientCheck
        With a `verdict`: "right"; "wrong"; or "unclear" with the reason, where the difference is too noisy to tell,
        where forward has a kink, or where it is not finite. `str()` of it is the message.

    Raises
    ------
    TypeError
        An argument, dz or what forward returns is complex or no array of numbers [ARR-C1, GRAD-C1].
    ValueError
        Backward does not return one gradient per argument, dz has another shape than z, nothing to check [GRAD-C2]; a
        number of dz is beyond float64 where the differences are floats [GRAD-C1].

    Notes
    -----
    Exact mode takes central differences with h = 1 and h = 2, which are the derivative of any function that is at most
    quadratic in each coordinate, and compares with `==` [GRAD-D1]. Otherwise central differences over 28 steps or more
    are extrapolated to h = 0 (Richardson 1911; the choice of the best entry follows Ridders 1982), each with an
    estimate of its truncation error and of the noise in forward, which is measured, not assumed [GRAD-D2]. One-sided
    differences that do not meet are a kink [GRAD-D3].

    Examples
    --------
    >>> import numpy as np
    >>> from reference_cnn import dense_backward, dense_forward
    >>> x, w, b = np.array([[1, 2]]), np.array([[3, 0], [4, 5]]), np.array([6, 7])
    >>> print(check_gradient(dense_forward, dense_backward, (x, w, b)))
    dx: right: 2 entries equal the exact differences
    dw: right: 4 entries equal the exact differences
    db: right: 2 entries equal the exact differences
    >>> print(check_gradient(np.sin, lambda dz, x: -dz * np.cos(x), [np.array([0.5, 1.5])], names=["x"]).verdict)
    wrong
    """
    arrays = [None if a is None else _argument(a, k) for k, a in enumerate(args)]
    z = _call(forward, arrays)
    exact = z.dtype.kind in "iuO" and all(a is None or a.dtype.kind in "iuO" for a in arrays)
    numbers = [None if a is None else a if exact and a.dtype == object else a.astype(_dtype(a, exact)) for a in arrays]
    upstream = _upstream(dz, z, exact, seed)
    labels = _names(forward, names, len(arrays))
    # Integers beside floats are numbers like them, unless backward has no gradient for them: labels, or indices.
    arrays = [a if a is not None and not exact and a.dtype.kind in "iu" else n for a, n in zip(arrays, numbers)]
    gradients = _gradients(backward, upstream, arrays, labels)
    if any(g is not None and a is not n for g, a, n in zip(gradients, arrays, numbers)):
        arrays = [a if g is None else n for g, a, n in zip(gradients, arrays, numbers)]
        gradients = _gradients(backward, upstream, arrays, labels)
    checks = []
    for k, (array, answer) in enumerate(zip(arrays, gradients)):
        if array is None or answer is None:
            continue
        gradient = number_array("check_gradient", f"d{labels[k]}", answer)
        if gradient.shape != array.shape:
            reason = f"it has shape {gradient.shape}, its argument {array.shape}"
            checks.append(ArgumentCheck(labels[k], "wrong", reason, None, gradient))
            continue
        if not array.size:
            checks.append(ArgumentCheck(labels[k], "right", "there is no entry", None, gradient))
            continue
        if gradient.dtype.kind == "c":
            checks.append(ArgumentCheck(labels[k], "wrong", "it is complex, its argument is not", None, gradient))
            continue
        differentiate = exact_differences if exact else differences
        found = differentiate(partial(_with, forward, arrays, k), array, upstream)
        checks.append(_judge(labels[k], gradient, array.dtype, found))
    if not checks:
        raise ValueError("check_gradient: there is no argument with a gradient to check [GRAD-C2]")
    return GradientCheck(tuple(checks))


def _argument(value: ArrayLike, position: int) -> Array:
    array = _real(f"args[{position}]", value)
    if array.dtype == object and any(isinstance(v, float) for v in array.flat):
        array = array.astype(float)
    return array


def _real(name: str, value: ArrayLike) -> Array:
    array = number_array("check_gradient", name, value)
    if array.dtype.kind == "c":
        raise TypeError(f"check_gradient: {name} is complex; check real and imaginary parts apart [GRAD-C1]")
    return array


def _dtype(array: Array, exact: bool) -> Any:
    """int64 or float64 for integers; float32 for 16-bit floats, whose differences are noise; else its own."""
    if array.dtype.kind in "iuO":
        return np.int64 if exact else np.float64
    return working_dtype(array.dtype)


def _call(forward: Callable[..., ArrayLike], arrays: Sequence[Array | None]) -> Array:
    """Call forward with copies, so that nothing it does to them is seen again; domain errors become NaN."""
    with np.errstate(all="ignore"):
        z = forward(*(None if a is None else a.copy() for a in arrays))
        if isinstance(z, tuple) and any(getattr(part, "ndim", 0) for part in z):
            raise TypeError(
                f"check_gradient: forward returned {len(z)} parts, expected one array: pass a function that returns "
                f"z alone, without what backward needs besides [GRAD-C1]"
            )
        return np.array(_real("forward's output", z))


def _with(forward: Callable[..., ArrayLike], arrays: Sequence[Array | None], k: int, array: Array) -> Array:
    """Call forward with another k-th argument."""
    return _call(forward, [*arrays[:k], array, *arrays[k + 1 :]])


def _upstream(dz: ArrayLike | None, z: Array, exact: bool, seed: int) -> Array:
    if dz is not None:
        given = _real("dz", dz)
        if given.shape != z.shape:
            raise ValueError(f"check_gradient: dz has shape {given.shape}, forward's output {z.shape} [GRAD-C2]")
        return given if exact or given.dtype != object else _floats(given)
    rng = np.random.default_rng(seed)
    sign = rng.choice([-1, 1], z.shape)
    if exact:
        whole = sign * rng.integers(1, 6, z.shape)
        # Fractions of Python's integers, so that a division by a count stays exact, and nothing overflows.
        return np.vectorize(Fraction, otypes=[object])(whole.astype(object)) if z.dtype == object and z.size else whole
    return np.asarray(sign * rng.uniform(0.5, 1.5, z.shape)).astype(z.dtype if z.dtype.kind == "f" else float)


def _floats(dz: Array) -> Array:
    """Objects, fractions say, as floats, which the differences are multiplied with."""
    try:
        return dz.astype(float)
    except OverflowError as error:
        raise ValueError("check_gradient: dz has a number that is too large for float64 [GRAD-C1]") from error


def _names(forward: Callable[..., Any], names: Sequence[str] | None, count: int) -> list[str]:
    if names is None:
        names = [p.name for p in _positional(forward) if p.kind is not p.VAR_POSITIONAL]
    return [names[k] if k < len(names) else str(k) for k in range(count)]


def _positional(function: Callable[..., Any]) -> list[inspect.Parameter]:
    """The positional parameters, as far as the function tells."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return [inspect.Parameter("args", inspect.Parameter.VAR_POSITIONAL)]
    return [p for p in parameters if p.kind not in (p.KEYWORD_ONLY, p.VAR_KEYWORD)]


def _gradients(
    backward: Callable[..., Any], dz: Array, arrays: Sequence[Array | None], names: Sequence[str]
) -> list[Any]:
    """Call backward with as many arguments as it takes, and bring its gradients into the order of the arguments."""
    parameters = _positional(backward)
    taken = len(arrays)
    if not any(p.kind is p.VAR_POSITIONAL for p in parameters):
        # A parameter with a default is an option, unless it has the argument's name.
        slots = zip(names, parameters[1:])
        taken = len([name for name, p in slots if p.default is p.empty or p.name == name])
    answer = backward(dz.copy(), *(None if a is None else a.copy() for a in arrays[:taken]))
    if len(arrays) == 1 and (answer is None or hasattr(answer, "__array__")):
        return [answer]
    expected = [f"d{name}" for name in names]
    if isinstance(answer, Mapping) and (unknown := [key for key in answer if key not in expected]):
        raise ValueError(f"check_gradient: backward returned {unknown[0]!r}, expected {', '.join(expected)} [GRAD-C2]")
    if isinstance(answer, tuple) and len(answer) > len(expected):
        answer = list(answer)  # whatever their names: one too many is that of an argument that was not given
    try:
        return unpack(answer, expected)
    except ValueError as error:
        raise ValueError(
            f"check_gradient: backward returned {error}; one gradient per argument, so pass the bias too [GRAD-C2]"
        ) from error


def _judge(name: str, gradient: Array, argument: np.dtype[Any], found: Differences) -> ArgumentCheck:
    """Compare every entry; any that is wrong decides, else any that is unclear."""
    derivative, error, jump = found
    exact = derivative.dtype == object
    plain = gradient.astype(float)
    # A float is rounded too, whatever way it was computed; and so is the difference, a float64.
    rounded = gradient.dtype.kind == "f" and not exact
    own: Array | float = 0.0
    if rounded:
        # What is less than a unit of the largest entry, in the argument's dtype, is lost beside it.
        largest = np.max(np.abs(derivative), initial=0, where=error < np.abs(derivative))
        wide, narrow = (8 * max(np.finfo(t).eps for t in (gradient.dtype, also)) for also in (float, argument))
        own = np.maximum(wide * np.abs(plain), narrow * largest)
    with np.errstate(invalid="ignore"):
        near = np.abs(gradient - derivative) <= error + own + np.abs(jump) / 2
    wrong = np.isfinite(error) & ~(near & np.isfinite(plain))
    known = np.where(np.isfinite(error), np.abs(derivative), 0)
    noisy = np.asarray(error > max(RESOLUTION * float(known.max()), NEGLIGIBLE))
    kinked = jump != 0

    def verdict(word: Verdict, where: Array, reason: Callable[[tuple[int, ...]], str]) -> ArgumentCheck:
        index = tuple(int(i) for i in np.argwhere(where)[0])
        return ArgumentCheck(name, word, f"at {list(index)} {reason(index)}", index, gradient, derivative, error)

    if wrong.any():
        truth = derivative.astype(float)
        pattern = describe(plain, truth, wrong, error + 1e-12 * np.abs(truth), [f"axis {a}" for a in range(plain.ndim)])
        return verdict(
            "wrong", wrong, lambda i: f"it is {_plain(gradient[i])}, the difference {_value(found, i)}; {pattern}"
        )
    if kinked.any():
        return verdict("unclear", kinked, lambda i: f"forward has a kink: its derivative is {_value(found, i)}")
    if noisy.any():
        return verdict("unclear", noisy, lambda i: f"the difference cannot tell: it {_value(found, i)}")
    one = gradient.size == 1
    how = f"equal{'s' * one} the exact differences" if exact else f"agree{'s' * one} with the differences"
    entries = "1 entry" if one else f"{gradient.size} entries"
    return ArgumentCheck(name, "right", f"{entries} {how}", None, gradient, derivative, error)


def _plain(number: Any) -> str:
    return f"{number + 0:.9g}" if isinstance(number, np.floating) else str(number)


def _value(found: Differences, index: tuple[int, ...]) -> str:
    """A derivative with its error, in words."""
    derivative, error, jump = (column[index] for column in found)
    if not np.isfinite(error):
        exact = isinstance(derivative, Fraction)
        return "is not exact: forward bends more than a parabola; use floats" if exact else "is not finite"
    if jump:
        return f"{derivative - jump / 2:.6g} on one side and {derivative + jump / 2:.6g} on the other"
    if not error:
        return f"is exactly {derivative}"
    return f"is {derivative:.9g} ± {error:.1g}"
