"""One answer against the reference."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np

from reference_cnn._pattern import describe
from reference_cnn._validate import Array
from reference_cnn.oracle.layers import LAYERS, axes
from reference_cnn.oracle.targets.ask import Answer

if TYPE_CHECKING:
    from reference_cnn.oracle.cases import Case


# What is wrong with an answer, the most telling first.
Kind = Literal["values", "shape", "dtype", "exception"]


@dataclass(frozen=True)
class Failure:
    """A wrong answer to one case.

    `message` is one line. Where values are wrong, `output` names them, `index` is the worst entry and `got`, `expected`
    and `bound` its values; `pattern` says what the wrong entries, `wrong`, have in common. `answer` and `right` are the
    whole outputs, for a wrong shape too. `diagnosis` has the ids of the known mistakes that explain every answer of the
    function, best first, two together joined by "+".
    """

    case: "Case"
    kind: Kind
    message: str
    clause: str
    output: str | None = None
    index: tuple[int, ...] | None = None
    got: float | None = None
    expected: float | None = None
    bound: float | None = None
    pattern: str = ""
    answer: Array | None = None
    right: Array | None = None
    wrong: Array | None = None
    reproduce: str = ""
    diagnosis: tuple[str, ...] = ()


class Judgement(NamedTuple):
    """The largest error ÷ bound over all outputs (0 on the exact tier), and what is wrong if anything is."""

    worst: float
    failure: Failure | None


def judge(case: "Case", answer: Answer, required: Collection[str] = ()) -> Judgement:
    """Judge every output that was answered; the first that is wrong, or required and absent, is the failure."""
    clauses = LAYERS[case.function].clauses
    if answer.outcome == "malformed":
        return Judgement(np.inf, Failure(case, "dtype", f"it returns {answer.error}", clauses[0]))
    if answer.outcome != "answered":
        return Judgement(np.inf, Failure(case, "exception", f"it raises {answer.error}", clauses[0]))
    worst = 0.0
    for output, clause in zip(LAYERS[case.function].outputs, clauses):
        got = answer.outputs[output]
        if got is None and output in required:
            message = f"{output} is None here, though not in every call"
            return Judgement(np.inf, Failure(case, "dtype", message, clause, output))
        if got is not None:
            ratio, failure = _compare(case, output, clause, got)
            if failure:
                return Judgement(np.inf, failure)
            worst = max(worst, ratio)
    return Judgement(worst, None)


def _compare(case: "Case", output: str, clause: str, got: Array) -> Judgement:
    value, bound = case.expected[output]
    if got.dtype.kind == "c":
        return Judgement(np.inf, Failure(case, "dtype", f"{output} is complex: {got.dtype}", clause, output))
    got = got.astype(value.dtype)
    if got.shape != value.shape:
        message = f"{output} has shape {got.shape}, expected {value.shape}"
        return Judgement(np.inf, Failure(case, "shape", message, clause, output, answer=got, right=value))
    error = np.abs(got - value)
    wrong = ~(error <= bound)
    if not wrong.any():
        return Judgement(float(np.max(error / np.where(bound > 0, bound, 1), initial=0)), None)
    excess = np.where(wrong, np.nan_to_num(error / np.where(bound > 0, bound, 1), nan=np.inf), -1)
    index = tuple(int(i) for i in np.unravel_index(excess.argmax(), got.shape))
    pattern = describe(got, value, wrong, bound, axes(case.function, output, case.rank))
    failure = Failure(
        case,
        "values",
        f"{output} is wrong: {pattern}",
        clause,
        output,
        index,
        got=float(got[index]),
        expected=float(value[index]),
        bound=float(bound[index]),
        pattern=pattern,
        answer=got,
        right=value,
        wrong=wrong,
    )
    return Judgement(np.inf, failure)
