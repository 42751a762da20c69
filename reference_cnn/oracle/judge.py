"""One answer against the reference."""

import math
from collections.abc import Collection
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np

from reference_cnn._pattern import describe
from reference_cnn._validate import Array
from reference_cnn.oracle import bounds
from reference_cnn.oracle.call import TIES
from reference_cnn.oracle.layers import LAYERS, axes, several
from reference_cnn.oracle.special import ELEMENTWISE, gathered
from reference_cnn.oracle.targets.ask import Answer

if TYPE_CHECKING:
    from reference_cnn.oracle.cases import Case


# What is wrong with an answer, the most telling first.
Kind = Literal["values", "shape", "dtype", "purity", "exception", "crash", "hang", "note"]
LOSES_TAIL = "loses digits where σ(z) is near 1, as σ(z)·(1 − σ(z)) does"
KINDS: dict[str, Kind] = {"malformed": "dtype", "crash": "crash", "hang": "hang"}


@dataclass(frozen=True)
class Failure:
    """A wrong answer to one case.

    `message` is one line: the `finding`, and the pattern if there is one. Where values are wrong, `output` names them,
    `index` is the worst entry and `got`, `expected` and `bound` its values; `pattern` says what the wrong entries,
    `wrong`, have in common. `answer` and `right` are the whole outputs, for a wrong shape too. `diagnosis` has the ids
    of the known mistakes that explain every answer of the function, best first, two together joined by "+". Of a
    backward, `consistent` says whether it is the derivative of the target's own forward, None where that cannot be
    told, and `consistency` puts it into words. `condition` says in which cases the function is wrong, where that is
    known and no mistake explains the answers. `larger` is a wrong answer that shows more plainly where. `remedy` says
    what helps where not the answer to the case is wrong, but what happens besides, or where it would be right if asked
    otherwise; `otherwise` is the clause about that. `layout` is the one that the target was asked in.
    """

    case: "Case"
    kind: Kind
    finding: str
    clause: str
    output: str | None = None
    index: tuple[int, ...] | None = None
    got: float | None = None
    expected: float | None = None
    bound: float | None = None
    answer: Array | None = None
    right: Array | None = None
    wrong: Array | None = None
    reproduce: str = ""
    diagnosis: tuple[str, ...] = ()
    consistent: bool | None = None
    consistency: str = ""
    condition: str = ""
    larger: "Failure | None" = None
    remedy: str = ""
    otherwise: str = ""
    layout: str = "channels_first"

    # Not before somebody reads them: hundreds of answers may be wrong, of which one is shown.
    @cached_property
    def pattern(self) -> str:
        """What the wrong entries have in common; "" where no values are wrong."""
        if self.output is None or self.wrong is None or self.answer is None or self.right is None:
            return ""
        case, bound = self.case, self.case.expected[self.output].bound
        names, arguments = axes(case.function, self.output, case.rank), list(case.arguments.values())
        # A filter is in one group, and so is a channel of x; the channels of w are counted within a group.
        groups = {"channel" if self.output == "dx" else "filter": case.keywords.get("groups", 1)}
        one = LAYERS[case.function].family == "activation"
        argument = arguments[0].astype(np.float64) if one else None
        return describe(self.answer, self.right, self.wrong, bound, names, sizes_of(case), groups, argument)

    @property
    def message(self) -> str:
        """What is wrong, in one line."""
        return f"{self.finding}: {self.pattern}" if self.pattern else self.finding


class Judgement(NamedTuple):
    """The largest error ÷ bound over all outputs (0 on the exact tier), what is wrong if anything is, and a note."""

    worst: float
    failure: Failure | None
    note: str = ""


def judge(case: "Case", answer: Answer, required: Collection[str] = (), *, strict: bool = False) -> Judgement:
    """Judge every output that was answered; the first that is wrong, or required and absent, is the failure.

    Strictly, a note is a failure too.
    """
    clauses = LAYERS[case.function].clauses
    if answer.outcome != "answered":
        kind = KINDS.get(answer.outcome, "exception")
        return Judgement(np.inf, Failure(case, kind, answer.finding, clauses[0]))
    worst = 0.0
    notes: list[str] = []
    for output, clause in zip(LAYERS[case.function].outputs, clauses):
        got = answer.outputs[output]
        if got is None and output in required:
            message = f"{output} is None here, though not in every call"
            return Judgement(np.inf, Failure(case, "dtype", message, clause, output))
        if got is not None:
            found = _compare(case, output, clause, got)
            if found.failure:
                return found
            worst, notes = max(worst, found.worst), [*notes, found.note]
    note = next((note for note in notes if note), "")
    return Judgement(worst, Failure(case, "note", note, clauses[0]) if strict and note else None, note)


def _alike(got: Array, value: Array) -> Array:
    """Where both are NaN, or the same infinity, or anyway equal."""
    return np.asarray((got == value) | (np.isnan(got) & np.isnan(value)))


def sizes_of(case: "Case") -> dict[str, int]:
    """The sizes that a wrong factor may come from, by what they count."""
    found: dict[str, int] = {}
    for argument in [n for n in case.arguments if n not in ("dz", "dy")]:
        for name, size in zip(axes(case.function, argument, case.rank), case.arguments[argument].shape):
            found.setdefault(several(name), size)
    for argument in ("dz", "dy"):
        if argument in case.arguments and case.arguments[argument].ndim > 2:
            found["output positions"] = math.prod(case.arguments[argument].shape[2:])
    if "w" in case.arguments and case.arguments["w"].ndim > 2:
        found["kernel entries"] = math.prod(case.arguments["w"].shape[2:])
    return found


def _compare(case: "Case", output: str, clause: str, got: Array) -> Judgement:
    value, bound = case.expected[output]
    if got.dtype.kind == "c":
        return Judgement(np.inf, Failure(case, "dtype", f"{output} is complex: {got.dtype}", clause, output))
    wider = got.ndim and got.dtype.kind == "f" and got.dtype.itemsize > np.dtype(case.dtype).itemsize
    note = f"{output} has dtype {got.dtype}" if wider else ""
    got = got.astype(value.dtype)
    if got.shape != value.shape:
        message = f"{output} has shape {got.shape}, expected {value.shape}"
        others = [name for name, other in case.expected.items() if other.value.shape == got.shape]
        # Gradients in another order; what has the same sizes in another order may be transposed.
        if others and sorted(got.shape) != sorted(value.shape):
            message += f": the shape of {' and '.join(others)}"
        return Judgement(np.inf, Failure(case, "shape", message, clause, output, answer=got, right=value))
    if case.call.special == TIES and not case.accept:
        got = gathered(case, got)
    if (got == value).all():
        return Judgement(0.0, None, note)
    with np.errstate(invalid="ignore"):
        error = np.asarray(np.abs(got - value))
    either = np.isinf(bound)
    error[either] = 0
    # A NaN where none should be is wrong; not so on the special tier, where it has come from the one that was given.
    leaked = np.asarray(False)
    if case.tier == "special" and case.call.special != TIES:
        error[_alike(got, value)] = 0
        leaked = np.isnan(got) & np.isfinite(value) & ~either
        if case.function in ELEMENTWISE:
            leaked[case.place] = False
    wrong = ~((error <= bound) | leaked)
    if not wrong.any():
        if leaked.any():
            note = f"{output} is NaN also where the special value in {case.special[1]} is no factor"
        elif case.function == "sigmoid_prime" and bounds.tail_is_lost(case, error, value):
            note = f"{output} {LOSES_TAIL}"
        error /= np.where(bound > 0, bound, 1)
        return Judgement(float(np.max(error, initial=0, where=~leaked)), None, note)
    with np.errstate(invalid="ignore"):  # an infinite error where either is right, and so not wrong
        excess = np.where(wrong, np.nan_to_num(error / np.where(bound > 0, bound, 1), nan=np.inf), -1)
    index = tuple(int(i) for i in np.unravel_index(excess.argmax(), got.shape))
    failure = Failure(
        case,
        "values",
        f"{output} is wrong",
        clause,
        output,
        index,
        got=float(got[index]),
        expected=float(value[index]),
        bound=float(bound[index]),
        answer=got,
        right=value,
        wrong=wrong,
    )
    return Judgement(np.inf, failure)
