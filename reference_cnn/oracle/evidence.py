"""What was answered, what a mistake would have answered, and whether these are the same."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from reference_cnn._validate import Array
from reference_cnn.oracle import bounds
from reference_cnn.oracle.cases import Case
from reference_cnn.oracle.layers import LAYERS
from reference_cnn.oracle.mistakes import MISTAKES, Implementation, Mistake, accepted
from reference_cnn.oracle.mistakes.entry import Wrap
from reference_cnn.oracle.targets.ask import Answer, outputs

Outputs = dict[str, Array | None]

# How many units of roundoff two ways to compute the same wrong number may lie apart.
UNITS = 8
# How far from the largest number an answer may lie that has lost digits besides.
ROUGHLY = 0.05


@dataclass(frozen=True)
class Explanation:
    """One mistake, or two, made in a certain way, the last upon the first; `native` in the case's own arithmetic."""

    steps: tuple[tuple[Mistake, Wrap], ...]
    native: bool = False

    @property
    def name(self) -> str:
        """The ids in the order of the catalogue, joined by +."""
        order = list(MISTAKES)
        return "+".join(sorted((m.id for m, _ in self.steps), key=order.index))

    @classmethod
    def of(cls, *steps: tuple[Mistake, Wrap]) -> "Explanation":
        """In float64, unless it is the dtype's own arithmetic that goes wrong."""
        return cls(steps, any(m.native for m, _ in steps))

    @property
    def strict(self) -> bool:
        """Whether small numbers have to agree as closely as large ones."""
        return any(m.native for m, _ in self.steps)

    @property
    def stateful(self) -> bool:
        """Whether an answer depends on the calls before."""
        return any(m.stateful for m, _ in self.steps)

    def implementation(self, case: Case) -> Implementation:
        """What a case is judged by, with the mistakes in it."""
        built = accepted(case.function, case.accept)
        for _, wrap in self.steps:
            built = wrap(built)
        return built


@dataclass(frozen=True)
class Observation:
    """One question, its answer, and whether that is wrong; one that is not compared may still be remembered later."""

    case: Case
    answer: Answer
    wrong: bool
    compared: bool = True

    @cached_property
    def wide(self) -> list[Array]:
        """The arguments in float64, in which integers stay exact whatever a mistake does to them."""
        return [a if a.dtype.kind in "iu" else a.astype(np.float64) for a in self.case.arguments.values()]

    @property
    def right(self) -> Outputs:
        """The reference's answer."""
        return {name: e.value for name, e in self.case.expected.items()}

    def predict(self, implementation: Implementation, *, native: bool) -> Outputs | None:
        """What the implementation answers; None where it raises."""
        arguments = list(self.case.arguments.values()) if native else self.wide
        try:
            with np.errstate(all="ignore"):
                answer = implementation(*(a.copy() for a in arguments), *self.case.positional, **self.case.keywords)
            return outputs(answer, LAYERS[self.case.function].outputs, arguments[0].ndim)
        except (ValueError, TypeError, IndexError):
            return None

    def agrees(self, predicted: Outputs | None, explanation: Explanation) -> bool:
        """Whether the answer is the one predicted; where one raises, the other may have a wrong shape."""
        if predicted is None or self.outputs is None:
            return self.loud(predicted) and self.loud(self.outputs)
        # What has another shape may be another output, with other roundings.
        outputs = list(predicted) if self.loud(predicted) else []
        return all(
            got is None or self._is_within_slack(got, predicted[name], explanation, [name, *outputs])
            for name, got in self.outputs.items()
        )

    def _is_within_slack(self, got: Any, predicted: Any, explanation: Explanation, outputs: list[str]) -> bool:
        """Whether they are the same, or but for the slack of some outputs: to work that out costs as much as a call."""
        return self.same(got, predicted, explanation) or self.same(
            got, predicted, explanation, max(map(self.slack, outputs))
        )

    def near(self, predicted: Outputs | None) -> bool:
        """Whether the answer is roughly the one predicted."""
        if predicted is None or self.outputs is None:
            return self.loud(predicted) and self.loud(self.outputs)
        for name, got in self.outputs.items():
            expected = predicted[name]
            if got is None or expected is None or got.shape != expected.shape:
                continue
            far = ROUGHLY * np.abs(expected.astype(np.float64)).max(initial=0) + self.slack(name)
            if got.dtype.kind == "c" or (np.abs(got.astype(np.float64) - expected) > far).any():
                return False
        return True

    @property
    def outputs(self) -> Outputs | None:
        """What was answered; None for an exception."""
        return self.answer.outputs if self.answer.outcome == "answered" else None

    def loud(self, answered: Outputs | None) -> bool:
        """Whether an answer is an exception or has a wrong shape."""
        return answered is None or any(
            a is not None and a.shape != self.case.expected[name].value.shape for name, a in answered.items()
        )

    def tells(self, predicted: Outputs | None, explanation: Explanation) -> bool:
        """Whether an answer that agrees is evidence: it is wrong, and by its numbers."""
        if not self.wrong or predicted is None or self.outputs is None:
            return False
        # Many pairs leave nothing but 0, and so does somebody who has computed nothing.
        if len(explanation.steps) > 1 and not any(np.any(value) for value in predicted.values()):
            return False
        return any(
            got is not None
            and self._is_within_slack(got, predicted[name], explanation, [name])
            and not self.same(self.right[name], predicted[name], explanation)
            for name, got in self.outputs.items()
        )

    def slack(self, name: str) -> float:
        """How far rounding may take a right answer; what a mistake makes of whole numbers may not be whole."""
        return max(_largest(self.case.expected[name].bound), self._rounding.get(name, 0))

    @cached_property
    def _rounding(self) -> dict[str, float]:
        """The largest bound of each output, were the numbers not whole."""
        if self.case.function in bounds.SELECTING:
            return {}
        arguments = dict(zip(self.case.arguments, self.wide))
        values = {name: e.value for name, e in self.case.expected.items()}
        limits = bounds.limits(self.case, arguments, values, 0, whole=False)
        return {name: _largest(limit) for name, limit in limits.items()}

    def same(self, got: Any, predicted: Any, explanation: Explanation | None = None, slack: float = 0) -> bool:
        """Whole numbers must be equal, after rounding to the dtype; others within a few units in the last place."""
        if np.asarray(got).dtype.kind == "c":
            return False  # no known mistake turns real numbers into complex ones
        dtype = self.case.dtype
        with np.errstate(all="ignore"):
            got = np.asarray(got).astype(np.float64)
            rounded = np.asarray(predicted).astype(dtype).astype(np.float64)
            if got.shape != rounded.shape:
                return False
            equal = got == rounded
            if equal.all():
                return True
            unit, tiny = bounds.unit(dtype), 4 * bounds.Precision.of(dtype).output_tiny
            strict, stateful = (explanation.strict, explanation.stateful) if explanation else (False, False)
            size = np.abs(rounded) if strict else np.abs(rounded[np.isfinite(rounded)]).max(initial=0)
            # What adds up over many calls, so does its rounding.
            units = UNITS**2 if stateful and unit < 1e-6 else UNITS
            whole = (got % 1 == 0) & (rounded % 1 == 0) & (np.abs(rounded) * unit <= 1)
            near = np.abs(got - rounded) <= units * unit * size + tiny + (0 if strict else slack)
            # Nothing is near infinity but infinity.
            near &= np.isfinite(rounded)
            if self.case.exact and not stateful:
                near &= ~whole
            return bool((equal | near | (np.isnan(got) & np.isnan(rounded))).all())


def _largest(bound: Array) -> float:
    """The largest bound that is one: where sums may overflow, there is none."""
    return float(bound[np.isfinite(bound)].max(initial=0))
