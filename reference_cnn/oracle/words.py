"""What reports say of a failure, on a terminal and in HTML alike."""

import math

from reference_cnn.oracle.judge import Failure
from reference_cnn.oracle.mistakes import MISTAKES

LISTED = 8


def share(worst: float) -> str:
    """The worst error ÷ bound of a function; infinity is a wrong answer."""
    return f"{worst:.2f}" if math.isfinite(worst) else "wrong"


def explanation(failure: Failure) -> list[str]:
    """Paragraphs: what is wrong, in the second person, and what helps; other explanations by name; consistency."""
    return _diagnosis(failure) + [failure.consistency] * bool(failure.consistency)


def _diagnosis(failure: Failure) -> list[str]:
    if not failure.diagnosis:
        return []
    first, *others = failure.diagnosis
    found = [MISTAKES[name] for name in first.split("+")]
    paragraphs = [f"{m.id}{_in_brackets(m.errata)}: {m.diagnosis}" for m in found]
    paragraphs += [f"help: {m.remedy}" for m in found]
    if all(m.kind == "convention" for m in found):
        accept = " ".join(f"--accept {m.id}" for m in found)
        paragraphs.append(f"This is another convention; {accept} judges the rest relative to it.")
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
    place = f"{failure.output}{list(failure.index or ())}"
    if failure.bound == 0:
        return [f"{place} is {failure.got:.17g}, expected exactly {failure.expected:.17g}"]
    off = abs(failure.got - failure.expected) / failure.bound
    return [
        f"{place} is {failure.got!r},",
        f"expected {failure.expected!r} ± {failure.bound:.2g}: {off:.3g} times the bound",
    ]
