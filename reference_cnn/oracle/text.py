"""A failure as text for a terminal: the case, its arrays side by side, and what is wrong in them."""

import math
import textwrap

import numpy as np

from reference_cnn._validate import Array
from reference_cnn.oracle.influence import idle
from reference_cnn.oracle.judge import Failure
from reference_cnn.oracle.words import LISTED, explanation, more, worst_entry

WIDTH = 80
# A failure takes no more lines than a terminal has.
LINES = 25
# Arrays are printed in full up to this many elements; of larger ones the wrong entries.
FULL = 150
# Digits of a number: those that are enough to read, and all that float64 has.
FEW, MOST = 6, 17


def failure_text(failure: Failure) -> str:
    """A failure in full: which known mistake it is, the case with its wrong entries marked, how to see it again."""
    case = failure.case
    above = [f"  {line}" for p in explanation(failure) for line in wrapped(p, WIDTH - 4)]
    above += [
        *(f"  {line}" for line in wrapped(f"{failure.message} [{failure.clause}]", WIDTH - 4)),
        f"  {case.text}  ({case.dtype}, {case.tier}, seed {case.seed})",
    ]
    below = [f"  {line}" for line in worst_entry(failure)]
    below += [f"  again: {failure.reproduce}"] * bool(failure.reproduce)
    below += [f"  more: reference-cnn explain {name}" for name in more(failure)]
    arrays = [f"  {line}".rstrip() for line in _arrays(failure, LINES - len(above) - len(below) - 2)]
    return "\n".join([*above, *([""] if arrays else []), *arrays, *below])


def wrapped(paragraph: str, width: int = WIDTH) -> list[str]:
    """A paragraph in lines; command words stay whole."""
    return textwrap.wrap(paragraph, width, break_on_hyphens=False)


def _arrays(failure: Failure, room: int) -> list[str]:
    """Arguments, then got and expected, side by side, if they fit into so many lines; else the wrong entries."""
    named = list(failure.case.arguments.items())
    answered = [] if failure.answer is None else [failure.answer]
    if sum(a.size for a in [*failure.case.arguments.values(), *answered]) > FULL:
        return _listed(failure, room)
    comparable = failure.kind == "values" and failure.case.call.special is None and failure.wrong is not None
    aside = idle(failure.case, str(failure.output), failure.wrong) if comparable and failure.wrong is not None else {}
    given = [block for name, a in named for block in blocks_of(name, a.astype(float), aside=aside.get(name))]
    answers: list[list[str]] = []
    if failure.answer is not None and failure.right is not None:
        digits = _digits(failure)
        answers += blocks_of(f"your {failure.output}", failure.answer, failure.wrong, digits=digits)
        answers += blocks_of(f"right {failure.output}", failure.right, digits=digits)
    lines = laid_out(given, answers, room)
    if any(a.any() for a in aside.values()):
        lines[-1:] = ["In brackets: what the right values at * do not depend on.", ""]
    fits = len(lines) <= room and max(map(len, lines)) <= WIDTH - 2
    return lines if fits else _listed(failure, room)


def _digits(failure: Failure, few: int = FEW) -> int:
    """As many as tell the wrong entries from the right ones, but no fewer."""
    if failure.answer is None or failure.right is None or failure.wrong is None:
        return few
    pairs = list(zip(failure.answer[failure.wrong], failure.right[failure.wrong]))
    return next((n for n in range(few, MOST) if all(f"{a:.{n}g}" != f"{b:.{n}g}" for a, b in pairs)), MOST)


def _listed(failure: Failure, room: int) -> list[str]:
    if failure.answer is None or failure.right is None or failure.wrong is None:
        return []
    places, most = np.argwhere(failure.wrong), max(min(LISTED, room - 2), 1)
    if len(places) == 1:  # the worst, of which the line below says the same
        return []
    digits = _digits(failure, 9)
    lines = [
        f"{failure.output}{p.tolist()} is {failure.answer[tuple(p)]:.{digits}g}, "
        f"expected {failure.right[tuple(p)]:.{digits}g}"
        for p in places[:most]
    ]
    return lines + [f"… and {len(places) - most} more"] * (len(places) > most) + [""]


def blocks_of(
    name: str, array: Array, wrong: Array | None = None, *, aside: Array | None = None, digits: int = FEW
) -> list[list[str]]:
    """One block of text for each matrix over the last two axes; wrong entries carry a star, idle ones brackets."""
    if array.ndim < 2:
        array = array.reshape(1, -1)
    marks, brackets = (np.zeros(array.shape, bool) if m is None else m.reshape(array.shape) for m in (wrong, aside))
    blocks = []
    for outer in np.ndindex(array.shape[:-2]):
        rows = zip(array[outer] + 0, marks[outer], brackets[outer])
        cells = [[_cell(v, m, a, digits) for v, m, a in zip(*row)] for row in rows]
        width = max((len(c) for row in cells for c in row), default=0)
        title = f"{name}[{', '.join(map(str, outer))}]" if outer and math.prod(array.shape[:-2]) > 1 else name
        blocks.append([title, *(" ".join(c.rjust(width) for c in row) for row in cells)])
    return blocks


def _cell(value: float, wrong: bool, idle_here: bool, digits: int) -> str:
    return f"({value:.{digits}g})" if idle_here else f"{'*' if wrong else ''}{value:.{digits}g}"


def laid_out(given: list[list[str]], answers: list[list[str]], room: int) -> list[str]:
    """Arguments and answers in one row of blocks; else the answers in a row of their own, if there is room."""
    together, apart = side_by_side(given + answers), side_by_side(given) + side_by_side(answers)
    return together if together.count("") == 1 or len(apart) > room else apart


def side_by_side(blocks: list[list[str]]) -> list[str]:
    """Blocks of text next to each other as far as they fit into a line, each row followed by an empty line."""
    if not blocks:
        return []
    lines: list[str] = []
    row: list[list[str]] = []

    def flush() -> None:
        height = max(len(b) for b in row)
        for k in range(height):
            cells = [(b[k] if k < len(b) else "").ljust(max(map(len, b))) for b in row]
            lines.append("   ".join(cells).rstrip())
        lines.append("")

    for block in blocks:
        if row and sum(max(map(len, b)) + 3 for b in [*row, block]) > WIDTH - 2:
            flush()
            row = []
        row.append(block)
    flush()
    return lines
