"""What reports say of a failure, on a terminal and in HTML alike."""

import math
import re

import numpy as np

from reference_cnn.oracle.call import TIES
from reference_cnn.oracle.judge import LOSES_TAIL, Failure
from reference_cnn.oracle.layers import LAYERS, WINDOWED, axes, channels_last, signature
from reference_cnn.oracle.mistakes import MISTAKES

LISTED = 8
# What is off by less, and wrong all the same, has lost digits, not its way.
NEAR = 1e-3


def share(worst: float) -> str:
    """The worst error ÷ bound of a function; infinity is a wrong answer."""
    return f"{worst:.2f}" if math.isfinite(worst) else "wrong"


def explanation(failure: Failure) -> list[str]:
    """Paragraphs: what is wrong, in the second person, and what helps; other explanations by name; consistency."""
    named = _diagnosis(failure)
    said = [failure.condition, failure.consistency, "" if named else _help(failure)]
    return named + [words for words in said if words]


def more(failure: Failure) -> list[str]:
    """What `explain` can say about it: the mistake, the function, or the clause that governs the failure."""
    return list(failure.diagnosis[:1]) or [failure.case.function if _called_otherwise(failure) else _clause(failure)]


def _called_otherwise(failure: Failure) -> bool:
    """Whether the function has not even begun, since it has other parameters."""
    return bool(re.search(r"TypeError: \S*\(\) (missing|takes|got an unexpected|got some pos)", failure.finding))


def _clause(failure: Failure) -> str:
    if failure.otherwise:
        return failure.otherwise
    if failure.remedy:
        return "ORC-N2"
    if failure.case.call.special == TIES:
        return "ORC-N4"
    return "ORC-N1" if failure.case.call.special else failure.clause


def _help(failure: Failure) -> str:
    """What helps where no known mistake explains the answers."""
    case = failure.case
    if failure.remedy:
        return f"help: {failure.remedy}"
    if failure.kind in ("exception", "crash", "hang"):
        return f"help: {_help_to_answer(failure)}"
    if failure.kind in ("shape", "dtype", "note"):
        return f"help: {_help_with_arrays(failure)}"
    if case.call.special:
        return f"help: {_special_help(failure)}"
    if _is_near(failure):
        return (
            "help: Nearly right: digits are lost, in a difference of larger numbers such as two running sums, in a "
            "narrower dtype, or in a constant that has few; or something small is added."
        )
    relative = f", relative to {' and '.join(case.accept)}" if case.accept else ""
    return (
        f"help: No known mistake explains every answer{relative}. Work this case out by hand, and compare step by step."
    )


def _help_to_answer(failure: Failure) -> str:
    """What helps who does not answer at all."""
    if _called_otherwise(failure):
        return f"It is called as {signature(failure.case.function)}; let a wrapper do the rest."
    refuse = " If you do not offer it, raise NotImplementedError." * (failure.kind == "exception")
    wait = " Flush its output after every answer, or give it more time: --timeout." * (failure.kind == "hang")
    return (
        f"The call is a valid one{_axes(failure)}.{refuse} Ask this case alone: Python with --in-process under a "
        f"debugger, a program of another language by hand [PROTO-D1].{wait}"
    )


def _axes(failure: Failure) -> str:
    """What the axes of the arguments are, as the target is given them, where they have names; and what follows them."""
    case = failure.case
    named = {n: axes(case.function, n, case.rank) for n in case.arguments}
    if failure.layout != "channels_first" and LAYERS[case.function].family in WINDOWED:
        named = {n: channels_last(a, n) for n, a in named.items()}
    said = [f"{n} ({', '.join(names)})" for n, names in named.items() if not names[0].startswith("axis")]
    said += [
        f"{name} as a number"
        for name in LAYERS[case.function].positional
        if isinstance(dict(case.call.options)[name], int)
    ]
    return f": {', '.join(said)}" if said else ""


def _help_with_arrays(failure: Failure) -> str:
    """What helps with another array than is owed, or with what is noted of one."""
    if failure.kind == "shape":
        return "Look at how sizes follow from the options, and for axes that are kept or dropped."
    if failure.finding.endswith(LOSES_TAIL):
        return "exp(−|z|)/(1 + exp(−|z|))² keeps them [RND-N2]."
    if failure.finding.endswith(" alone"):
        return "Return that alone; what else a backward may need is not asked for."
    if failure.kind == "note" and failure.case.call.special:
        return "Something is multiplied with 0 that need not be: 0 · ∞ and 0 · NaN are NaN."
    return f"What is owed is an array of {failure.case.dtype}."


def _is_near(failure: Failure) -> bool:
    """Whether wrong values would be right to NEAR of the largest."""
    if failure.answer is None or failure.right is None or failure.wrong is None:
        return False
    off = np.abs(failure.answer - failure.right)[failure.wrong]
    return bool(off.max() <= NEAR * np.abs(failure.right).max())


def _special_help(failure: Failure) -> str:
    if failure.case.call.special == TIES:
        return "Equal maxima share a window's gradient in any way, but the parts must add up to it."
    number, argument = failure.case.special
    if math.isinf(number) and failure.got is not None and math.isnan(failure.got):
        return f"0·∞, ∞ − ∞ and ∞/∞ are NaN: look for the one that the {number:g} in {argument} runs into."
    if argument == "x" and failure.case.function == "max_pool_forward":
        return f"The {number:g} in x has to come out of every window whose maximum it is; NaN counts as the largest."
    return f"The {number:g} in {argument} has to reach what it is a factor or a term of, and nothing else."


def _diagnosis(failure: Failure) -> list[str]:
    if not failure.diagnosis:
        return []
    first, *others = failure.diagnosis
    found = [MISTAKES[name] for name in first.split("+")]
    paragraphs = [f"{m.id}{_in_brackets(m.errata)}: {m.diagnosis}" for m in found]
    paragraphs += [f"help: {m.remedy}" for m in found]
    conventions = [m.id for m in found if m.kind == "convention"]
    if conventions:
        accept = " ".join(f"--accept {name}" for name in conventions)
        this, it = f"{'This' if len(found) == 1 else conventions[0]} is another convention", "it"
        if len(conventions) > 1:
            this, it = "These are other conventions", "them"
        paragraphs.append(f"{this}; {accept} judges the rest relative to {it}.")
    if others:
        more = f" and {len(others) - LISTED} more" * (len(others) > LISTED)
        paragraphs.append(f"No question told it from: {', '.join(others[:LISTED])}{more}.")
    return paragraphs


def _in_brackets(ids: tuple[str, ...]) -> str:
    return f" [{', '.join(ids)}]" if ids else ""


def worst_entry(failure: Failure) -> list[str]:
    """The worst entry: what it is, and what it should be."""
    if failure.got is None or failure.expected is None or failure.bound is None:
        return []
    place = f"{failure.output}{list(failure.index) if failure.index else ''}"
    if not math.isfinite(failure.expected):
        return [f"{place} is {failure.got:g}, expected {failure.expected:g}"]
    if failure.bound == 0:
        return [f"{place} is {failure.got:.17g}, expected exactly {failure.expected:.17g}"]
    off = abs(failure.got - failure.expected) / failure.bound
    return [
        f"{place} is {failure.got!r},",
        f"expected {failure.expected + 0.0!r} ± {failure.bound:.2g}"
        + f": {off:.3g} times the bound" * math.isfinite(off),
    ]
