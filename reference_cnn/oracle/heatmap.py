"""Wrong answers as heat maps of error ÷ bound: inline SVG, a matrix each, every cell to be read on hover or focus."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import chain, islice
from typing import NamedTuple

import numpy as np

from reference_cnn._validate import Array
from reference_cnn.oracle.judge import Failure
from reference_cnn.oracle.layers import axes
from reference_cnn.oracle.markup import Markup, tag

CELL, GAP, MARGIN, LINE = 24, 2, 26, 15
# The longest line below a map has some 32 characters.
WIDEST = 236
DARKEST = 4
STAR = Markup(
    '<svg width="0" height="0" aria-hidden="true"><defs><path id="star" d="M11 3l2.2 5.3 5.7.4-4.4 3.7 1.4 5.6-4.9-3'
    '-4.9 3 1.4-5.6L3.1 8.7l5.7-.4z"/></defs></svg>'
)

Index = tuple[int, ...]


class Part(NamedTuple):
    """A matrix over the last two axes, or what is shown of it: the index of the others, rows and columns."""

    outer: Index
    rows: range
    columns: range


def parts(shape: Index, room: int, at: Index = ()) -> list[Part]:
    """The matrices of an array in order; where they have more than so many cells, parts around an index, its first."""
    *outside, height, width = flat(shape)
    here = (*[0] * (len(outside) + 2 - len(at)), *at)
    side = max(math.isqrt(room), 1)
    rows, columns = _around(here[-2], height, side), _around(here[-1], width, side)
    size = len(rows) * len(columns)
    if not size:
        return []
    first = here[:-2]
    order: Iterable[Index] = np.ndindex(*outside)
    if size * math.prod(outside) > room:
        order = chain([first], (o for o in np.ndindex(*outside) if o != first))
    return [Part(outer, rows, columns) for outer in islice(order, max(room // size, 1))]


def flat(shape: Index) -> Index:
    """The shape as that of matrices: a number is one of one entry, a vector a single row."""
    return (*[1] * (2 - len(shape)), *shape)


def _around(place: int, size: int, most: int) -> range:
    start = max(min(place - most // 2, size - most), 0)
    return range(start, min(start + most, size))


def unshown(shape: Index, shown: list[Part]) -> str:
    """What is said where not all is shown."""
    few, all_of_them = sum(len(p.rows) * len(p.columns) for p in shown), math.prod(shape)
    return f"{few} of {all_of_them} entries are shown." if few < all_of_them else ""


def title(failure: Failure, name: str, shape: Index, outer: Index) -> str:
    """Which matrix this is: "dw: filter 0, channel 1"."""
    named = axes(failure.case.function, name, failure.case.rank)
    if math.prod(shape[:-2]) <= 1:
        return name
    if len(named) != len(shape):
        return f"{name}[{', '.join(map(str, outer))}]"
    return f"{name}: {', '.join(f'{axis} {k}' for axis, k in zip(named, outer))}"


@dataclass(frozen=True)
class Entries:
    """The entries of a wrong output, as matrices of one kind: `level` is 0 where right, else 1 to DARKEST."""

    output: str
    shape: Index
    got: Array
    right: Array
    bound: Array
    wrong: Array
    excess: Array
    level: Array

    @classmethod
    def of(cls, failure: Failure) -> "Entries | None":
        """Those of a failure, if it has any."""
        got, right, wrong = failure.answer, failure.right, failure.wrong
        if got is None or right is None or wrong is None or failure.output is None:
            return None
        bound = np.broadcast_to(failure.case.expected[failure.output].bound, got.shape)
        with np.errstate(all="ignore"):
            error = np.abs(got - right) / np.where(bound > 0, bound, 1)
        excess = np.where(wrong, np.nan_to_num(error, nan=np.inf), error)
        matrices = [a.reshape(flat(got.shape)) for a in (got, right, bound, wrong, excess, _levels(excess, wrong))]
        return cls(failure.output, got.shape, *matrices)

    @property
    def axes(self) -> int:
        """How many the output has: none, one, or as many as there are here."""
        return len(self.shape)

    def row(self, index: Index) -> tuple[str, ...]:
        """One entry: its place, got, expected, bound, error ÷ bound."""
        bound, excess = float(self.bound[index]), float(self.excess[index])
        place = f"{self.output}{list(index[len(index) - self.axes :])}"
        times = f"{excess:.3g}" if bound else "must be exact"
        return place, plain(self.got[index]), plain(self.right[index]), f"{bound:.3g}", times

    def lines(self, index: Index) -> list[str]:
        """The same, line by line."""
        place, got, right, bound, times = self.row(index)
        verdict = "wrong" if self.wrong[index] else "right"
        return [f"{place} is {verdict}", f"got {got}", f"expected {right}", f"bound {bound}", f"error ÷ bound: {times}"]

    @property
    def scale(self) -> str:
        """What the colours stand for."""
        most = self.excess[self.wrong & np.isfinite(self.excess)]
        unit = "error ÷ bound" if (self.bound[self.wrong] > 0).all() else "error"
        spread = f", here from {most.min():.3g} to {most.max():.3g}" if most.size and most.min() < most.max() else ""
        return f"A star marks a wrong entry; the stronger its colour, the larger the {unit}{spread}."


def plain(number: float) -> str:
    """A number in full, a whole one without a point."""
    return repr(float(number)).removesuffix(".0")


def _levels(excess: Array, wrong: Array) -> Array:
    """From 1 to DARKEST by the logarithm; what differs by less than a factor of two is alike."""
    with np.errstate(all="ignore"):
        size = np.log10(excess)
    finite = size[wrong & np.isfinite(size)]
    least, most = (finite.min(), finite.max()) if finite.size else (0.0, 0.0)
    if most - least < math.log10(2):
        return np.where(wrong, DARKEST, 0)
    steps = 1 + np.round((DARKEST - 1) * (np.clip(size, least, most) - least) / (most - least))
    return np.where(wrong, np.nan_to_num(steps), 0).astype(int)


def heat_map(entries: Entries, part: Part, worst: Index, name: str) -> Markup:
    """One matrix. Below it stands what the cell says that is pointed at or has the focus, at first the worst."""
    places = [(*part.outer, r, c) for r in part.rows for c in part.columns]
    below = MARGIN + CELL * len(part.rows) + 4
    width = max(MARGIN + CELL * len(part.columns), WIDEST)
    rest = entries.lines(worst) if worst in places else ["Point at a cell to read it."]
    count = sum(int(entries.wrong[i]) for i in places)
    return tag(
        "svg",
        *(_label(k, MARGIN + CELL * (c + 0.5), MARGIN - 8, "top") for c, k in enumerate(part.columns)),
        *(_label(k, MARGIN - 8, MARGIN + CELL * (r + 0.65), "left") for r, k in enumerate(part.rows)),
        *(_cell(entries, i, i[-1] - part.columns[0], i[-2] - part.rows[0], below) for i in places),
        _readout(rest, below, "rest"),
        role="group",
        aria_label=f"{name}: {count} of {len(places)} entries wrong",
        viewBox=f"0 0 {width} {below + 5 * LINE + 8}",
        width=width,
    )


def _label(number: int, x: float, y: float, side: str) -> Markup:
    return tag("text", str(number), class_=side, x=f"{x:g}", y=f"{y:g}")


def _cell(entries: Entries, index: Index, column: int, row: int, below: int) -> Markup:
    x, y = MARGIN + CELL * column, MARGIN + CELL * row
    square = tag("rect", class_=f"l{entries.level[index]}", x=x, y=y, width=CELL - GAP, height=CELL - GAP, rx=3)
    tip = _readout(entries.lines(index), below, "tip")
    if not entries.wrong[index]:
        return tag("g", square, tip, class_="cell")
    return tag("g", square, tag("use", href="#star", x=x, y=y), tip, class_="cell", tabindex=0)


def _readout(lines: list[str], below: int, kind: str) -> Markup:
    return tag("text", *(tag("tspan", line, x=0, dy=LINE) for line in lines), class_=kind, y=below)
