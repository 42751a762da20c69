"""Whether a backward is the derivative of the same target's forward, whatever that computes [ORC-D13]."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np

from reference_cnn._pattern import describe
from reference_cnn._validate import Array
from reference_cnn.gradcheck import ArgumentCheck, GradientCheck, check_gradient
from reference_cnn.oracle import bounds, numbers
from reference_cnn.oracle.call import PROFILES, numpy_draw
from reference_cnn.oracle.cases import Case, cases
from reference_cnn.oracle.judge import Failure
from reference_cnn.oracle.layers import LAYERS, axes
from reference_cnn.oracle.mistakes import MISTAKES, accepted
from reference_cnn.oracle.report import Result
from reference_cnn.oracle.shapes import more_calls
from reference_cnn.oracle.targets.ask import UnansweredError, call

Function = Callable[..., Any]
Arrays = dict[str, Array]

# Each derivative, and what it is the derivative of.
FORWARD = {
    "conv_backward": "conv_forward",
    "dense_backward": "dense_forward",
    "sigmoid_prime": "sigmoid",
    "relu_prime": "relu",
    "max_pool_backward": "max_pool_forward",
    "avg_pool_backward": "avg_pool_forward",
    "softmax_backward": "softmax",
    "squared_error_prime": "squared_error",
    "cross_entropy_prime": "cross_entropy",
}
UPSTREAM = ("dz", "dy", "da")
# Arguments of a loss that nothing is derived by.
GIVEN = ("y", "labels")
# Functions that bend at places: there, integers are moved apart, so that no difference reaches from side to side.
BENT = ("max pool", "activation")
# Cases of more elements are not asked at all; of more than that, not at every coordinate; tiny ones show no pattern.
LARGE, MANY, TINY = 400, 150, 40
# Of functions that take 57 calls or more for a derivative, so many cases of so many elements, no wider than that.
SMOOTH, FEW, WIDE = 4, 30, 4.0
# An answer that is no multiple of 1 ÷ this has been rounded.
FINEST = 2.0**16


class UntoldError(Exception):
    """There is no answer that could be compared."""


class Found(NamedTuple):
    """How one case was asked, what the differences say, and whether its forward and its backward are wrong there."""

    pair: "Pair"
    check: GradientCheck
    forward_wrong: bool
    backward_wrong: bool


@dataclass(frozen=True)
class Pair:
    """A backward and a forward of one target, and a case of the backward."""

    case: Case
    forward: Function
    backward: Function
    exact: bool
    bias: bool

    @property
    def name(self) -> str:
        """The forward's name."""
        return FORWARD[self.case.function]

    @property
    def reach(self) -> int:
        """How far a coordinate may be moved; a 16-bit float has few exact integers."""
        return 99 if np.dtype(self.case.dtype).itemsize > 2 else 1

    @property
    def arrays(self) -> Arrays:
        """The forward's arrays by name."""
        found = {n: a for n, a in self.case.arguments.items() if n not in UPSTREAM}
        if "a" in found:
            # What it is the softmax of may be any numbers.
            found = {"z": 4 * found["a"]}
        if self.bias and "w" in found:
            # One for each filter or neuron, whichever way round an accepted convention has the weights.
            found["b"] = np.arange(self.case.arguments["dz"].shape[1]) % 5 - 2
        if self.exact and LAYERS[self.name].family in BENT:
            found = {n: 4 * self.reach * np.where((a == 0) & (n == "z"), 1, a) for n, a in found.items()}
        return found

    @property
    def variables(self) -> Arrays:
        """What is derived by, in whole numbers where the differences are exact."""
        wide = np.int64 if self.exact else np.float64
        return {n: a.astype(wide) for n, a in self.arrays.items() if n not in GIVEN}

    def found(self) -> Found | None:
        """Derive along one line for each variable; None where nothing can be compared."""
        # What divides by three is not exact; in float64 the extrapolated differences tell all the same.
        floating = [replace(self, exact=False)] * (self.exact and self.case.dtype == "float64")
        for pair in (self, *floating):
            try:
                check = pair.along_lines()
                if check.verdict != "unclear":
                    return Found(pair, check, *pair._wrong())
            except UntoldError:
                pass
        return None

    def along_lines(self) -> GradientCheck:
        """The differences in one random direction for each variable, all coordinates at once."""
        rng, start = np.random.default_rng(self.case.seed), self.variables
        lines: Arrays = {
            n: rng.choice([-1, 1], a.shape) * rng.integers(1, self.reach + 1, a.shape) for n, a in start.items()
        }
        if not self.exact:
            lines = {n: v / self.reach for n, v in lines.items()}
        upstream = self._upstream(self.output(start))

        def forward(*t: Array) -> Array:
            return self.output({n: a + step * lines[n] for (n, a), step in zip(start.items(), t)})

        def backward(dz: Array, *t: Array) -> dict[str, Array | None]:
            gradients = self.gradients(upstream, start)
            return {f"d{n}": None if g is None else np.array([(g * lines[n]).sum()]) for n, g in gradients.items()}

        origins = [np.zeros(1, a.dtype) for a in start.values()]
        return _checked(forward, backward, origins, upstream, list(start))

    def everywhere(self) -> GradientCheck:
        """The differences at every coordinate."""
        start = self.variables
        upstream = self._upstream(self.output(start))

        def forward(*arrays: Array) -> Array:
            return self.output(dict(zip(start, arrays)))

        def backward(dz: Array, *arrays: Array) -> dict[str, Array | None]:
            return {f"d{n}": g for n, g in self.gradients(upstream, dict(zip(start, arrays))).items()}

        return _checked(forward, backward, list(start.values()), upstream, list(start))

    def output(self, variables: Arrays) -> Array:
        """What the forward answers, as fractions where it is to be exact."""
        z = self._called(self.forward, self.name, {**self.arrays, **variables})[LAYERS[self.name].outputs[0]]
        if z is None or (self.exact and (z.astype(float) * FINEST % 1 != 0).any()):
            raise UntoldError
        return np.asarray(np.vectorize(Fraction, otypes=[object])(z.astype(float))) if self.exact else z

    def gradients(self, upstream: Array, variables: Arrays) -> dict[str, Array | None]:
        """What the backward answers, by variable."""
        layer, arrays = LAYERS[self.case.function], {**self.arrays, **variables}
        if "a" in layer.arguments:
            arrays["a"] = self.output(variables)
        arrays |= {n: upstream for n in layer.arguments if n in UPSTREAM}
        answered = self._called(self.backward, self.case.function, arrays)
        if len(answered) > 1:
            gradients: dict[str, Array | None] = {n: answered[f"d{n}"] for n in variables}
        else:
            (answer,), (name,) = answered.values(), variables
            gradients = {name: answer}
            if layer.family == "activation" and answer is not None:
                gradients = {name: upstream.astype(float) * answer}
        if any(g is not None and g.shape != variables[n].shape for n, g in gradients.items()):
            raise UntoldError
        return gradients

    def _called(self, function: Function, name: str, arrays: Arrays) -> dict[str, Array | None]:
        """Ask with arrays in the case's dtype, in the order of the signature."""
        case, names = self.case, [n for n in LAYERS[name].arguments if n in arrays]
        typed = [arrays[n] if n == "labels" else arrays[n].astype(case.dtype) for n in names]
        answer = call(function, name, [*typed, *case.positional], case.keywords)[0]
        if answer.outcome in ("crash", "hang", "not asked"):
            raise UnansweredError(answer.outcome, answer.error)
        outputs = answer.outputs.values()
        if answer.outcome != "answered" or any(a is not None and not _usable(a) for a in outputs):
            raise UntoldError
        return answer.outputs

    def _upstream(self, z: Array) -> Array:
        """∂E/∂z: the case's own, 1 of a loss, whole numbers of what has none."""
        whole = 1.0 + np.arange(z.size).reshape(z.shape) % 7
        upstream = next((a for n, a in self.case.arguments.items() if n in UPSTREAM), whole)
        if upstream.shape != z.shape:
            raise UntoldError
        return upstream.astype(np.int64 if self.exact else np.float64)

    def _wrong(self) -> tuple[bool, bool]:
        """Whether forward and backward differ from the reference; what depends on the calls before cannot be told."""
        right = replace(self, forward=_reference(self.case, self.name), backward=_reference(self.case))
        start = self.variables
        mine, theirs = self.output(start), right.output(start)
        upstream = self._upstream(theirs)
        gradients, again = (list(self.gradients(upstream, start).values()) for _ in range(2))
        if not all(g is None or np.array_equal(g, a) for g, a in zip(gradients, again) if a is not None):
            raise UnansweredError("failed", "it answers the same question differently")
        pairs = zip(gradients, right.gradients(upstream, start).values())
        return _differ(mine, theirs), any(g is not None and r is not None and _differ(g, r) for g, r in pairs)

    @property
    def fits(self) -> bool:
        """Whether every number that the forward may meet on the way is exact in the dtype."""
        if not self.exact:
            return True
        largest = {n: np.abs(a.astype(float)) + 2 * self.reach * (n not in GIVEN) for n, a in self.arrays.items()}
        sizes = bounds.magnitudes(replace(self.case, function=self.name), largest)
        limit = 2 ** int(bounds.finfo(self.case.dtype).nmant)
        return all(bool((s <= limit).all()) for s in sizes.values())


def compared(results: Mapping[str, Result], functions: Mapping[str, Function]) -> dict[str, Result]:
    """Return the results; a failure of a backward says whether it is the derivative of the target's own forward."""
    told = dict(results)
    for backward, forward in FORWARD.items():
        result, other = results.get(backward), results.get(forward)
        if result and other and result.failure and other.verdict != "missing":
            told[backward] = replace(result, failure=_told(result, result.failure, other, functions))
    return told


def _told(result: Result, failure: Failure, other: Result, functions: Mapping[str, Function]) -> Failure:
    """Say of a failed backward what the differences of the forward tell."""
    backward = failure.case.function
    forward = FORWARD[backward]
    conventions = [MISTAKES[name].functions for name in failure.case.accept]
    if failure.kind not in ("values", "shape") or any((backward in f) != (forward in f) for f in conventions):
        return failure
    if failure.otherwise:
        return failure
    if other.failure and other.failure.kind in ("exception", "crash", "hang"):
        words = f"Whether it is the derivative of your own {forward} cannot be judged: that one fails to answer."
        return replace(failure, consistency=words)
    bias = "b" not in other.not_offered
    pairs = [
        Pair(c, functions[forward], functions[backward], exact, bias) for c, exact in _asked(failure, result, other)
    ]
    try:
        found = [f for pair in pairs if pair.fits and (f := pair.found())]
        return _judged(failure, other, found)
    except UnansweredError:
        return failure


def _judged(failure: Failure, other: Result, found: list[Found]) -> Failure:
    forward = FORWARD[failure.case.function]
    wrong = [f.pair for f in found if f.check.verdict == "wrong"]
    if wrong:
        words = f"It is not the derivative of your own {forward}"
        words += f" either: {_where(wrong)}." if other.failure else ", which is right."
        return replace(failure, consistent=False, consistency=words)
    # Both must have been seen to be wrong, or that one is the derivative of the other says nothing about the failure.
    if any(f.forward_wrong for f in found) and any(f.backward_wrong for f in found):
        words = f"It is the derivative of your own {forward}, which {_is(other)}: they belong together."
        return replace(failure, consistent=True, consistency=words)
    return failure


def _is(result: Result) -> str:
    """What a wrong function is, to stand after "which"."""
    named = result.failure.diagnosis if result.failure else ()
    if not named:
        return "is wrong itself"
    return MISTAKES[named[0]].makes_it if named[0] in MISTAKES and MISTAKES[named[0]].makes_it else f"has {named[0]}"


def _asked(failure: Failure, *results: Result) -> list[tuple[Case, bool]]:
    """The case of the failure, and small ones that use only what both functions offer; whether their sums are exact."""
    case, lacking = failure.case, {name for r in results for name in r.not_offered} - {"b", "no b"}

    def offered(feature: str) -> bool:
        return feature not in lacking

    drawn = more_calls(case.function, numpy_draw(case.seed, case.rank, 3), case.rank, offered, PROFILES["quick"])
    standard = cases(case.function, dtype=case.dtype, rank=case.rank, seed=case.seed)
    calls = dict.fromkeys(c for c in [case.call, *drawn, *(c.call for c in standard)] if c.special is None)
    usable = [replace(case, call=c) for c in calls if all(map(offered, c.features))]
    exact = [c for c in (replace(c, tier="exact") for c in usable) if _exact(c) and c.size <= LARGE]
    if exact or case.dtype != "float64":
        return [(c, True) for c in exact]
    smooth = [c for c in (replace(c, tier="rounding") for c in usable) if c.call.scale <= WIDE and c.size <= FEW]
    return [(c, False) for c in smooth[:SMOOTH]]


def _exact(case: Case) -> bool:
    """Whether neither the backward nor its forward rounds."""
    return all(numbers.exact(replace(case, function=f)) for f in (case.function, FORWARD[case.function]))


def _where(pairs: list[Pair]) -> str:
    """What is wrong, in the smallest case that shows more than one entry or two."""
    pair = min(pairs, key=lambda p: (p.case.size < TINY, p.case.size))
    places = _wrong_ones(pair.everywhere()) if pair.case.size <= MANY else []
    first = next(iter(places or _wrong_ones(pair.along_lines())), None)
    if first is None:  # it answers differently now
        return f"in {pair.case.text}"
    names = LAYERS[pair.case.function].outputs
    output = names[0] if len(names) == 1 else f"d{first.name}"
    if not places or first.gradient is None or first.derivative is None or first.error is None:
        return f"{output} is wrong"
    got, right = first.gradient.astype(float), first.derivative.astype(float)
    slack = np.nan_to_num(first.error) + 8 * np.finfo(float).eps * np.abs(got)
    off = ~(np.abs(got - right) <= slack)
    if not off.any():
        return f"{output} is wrong"
    pattern = describe(got, right, off, slack, axes(pair.case.function, output, pair.case.rank))
    return f"in {pair.case.text}, {output}: {pattern}"


def _wrong_ones(check: GradientCheck) -> list[ArgumentCheck]:
    return [a for a in check.arguments if a.verdict == "wrong"]


def _checked(
    forward: Function, backward: Function, start: list[Array], upstream: Array, names: list[str]
) -> GradientCheck:
    try:
        return check_gradient(forward, backward, start, dz=upstream, names=names)
    except ValueError as error:  # no gradient is offered of what there is
        raise UntoldError from error


def _reference(case: Case, name: str = "") -> Function:
    return accepted(name or case.function, case.accept)


def _usable(array: Array) -> bool:
    return array.dtype.kind != "c" and bool(np.isfinite(array.astype(float)).all())


def _differ(one: Array, other: Array) -> bool:
    return one.shape != other.shape or not np.allclose(one.astype(float), other.astype(float), rtol=1e-6, atol=1e-9)
