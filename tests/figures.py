"""The figures of spec/walkthrough.md, drawn from what the functions return; compared by test_figures.

`python tests/figures.py --write` writes spec/figures/*.svg anew.
"""

import math
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import numpy as np

from reference_cnn import conv_backward, conv_forward, sigmoid, sigmoid_prime
from reference_cnn._validate import Array

FOLDER = Path(__file__).parents[1] / "spec" / "figures"

IMAGE = np.array([[[[1, 7, 2], [11, 1, 23], [2, 2, 2]]]])
FILTER = np.array([[[[1, 1], [0, 1]]]])
ERRORS = np.array([[[[1, 2], [3, 4]]]])
WINDOWS = [(0, 0), (0, 1), (1, 0), (1, 1)]

# Two palettes, and a sheet of their own: a figure is readable wherever it is shown.
STYLE = """\
text { font-family: system-ui, sans-serif; font-size: 16px; fill: #1f2328; text-anchor: middle }
text.small { font-size: 13px } text.note { font-size: 11px; fill: #0550ae } text.left { text-anchor: start }
text.right { text-anchor: end } text.sum { font-weight: 600 }
.sheet { fill: #ffffff } .cell { fill: none; stroke: #8c959f } .on { fill: #ddf4ff; stroke: #0969da; stroke-width: 2 }
.faint { fill: none; stroke: #d0d7de } polyline { fill: none; stroke-width: 2 }
.one { stroke: #bc4c00 } .central { stroke: #0969da } .complex { stroke: #1a7f37 } .integer { stroke: #8250df }
path.mark { fill: #ffffff; stroke-width: 1.5 }
text.one { fill: #bc4c00; stroke: none } text.central { fill: #0969da; stroke: none }
text.complex { fill: #1a7f37; stroke: none } text.integer { fill: #8250df; stroke: none }
@media (prefers-color-scheme: dark) {
text { fill: #e6edf3 } text.note { fill: #79c0ff } .sheet { fill: #0d1117 } .cell { stroke: #6e7681 }
.on { fill: #0c2d6b; stroke: #58a6ff } .faint { stroke: #30363d } path.mark { fill: #0d1117 }
.one { stroke: #f0883e } .central { stroke: #58a6ff } .complex { stroke: #3fb950 } .integer { stroke: #bc8cff }
text.one { fill: #f0883e } text.central { fill: #58a6ff } text.complex { fill: #3fb950 } text.integer { fill: #bc8cff }
}"""


def sheet(width: int, height: int, title: str, description: str, body: list[str]) -> str:
    """A whole SVG file."""
    return "\n".join([
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        'role="img" aria-labelledby="title description">',
        f'<title id="title">{title}</title>',
        f'<desc id="description">{description}</desc>',
        f"<style>\n{STYLE}\n</style>",
        f'<rect class="sheet" width="{width}" height="{height}" rx="8"/>',
        *body,
        "</svg>\n",
    ])  # fmt: skip


def place(number: float) -> str:
    """A coordinate, to a tenth: the last digits of a float, which vary between machines, do not show."""
    return f"{number:.1f}".removesuffix(".0")


def text(x: float, y: float, words: object, style: str = "") -> str:
    """Words centred at x (or as the style says), with their baseline at y."""
    kind = f' class="{style}"' if style else ""
    return f'<text x="{place(x)}" y="{place(y)}"{kind}>{words}</text>'


def grid(x: int, y: int, values: Array, notes: Mapping[tuple[int, ...], str], shown: int | None = None) -> list[str]:
    """Draw a matrix; cells with a note are highlighted, and only the first few are filled in where `shown` says so."""
    size, drawn = 44, []
    # Highlighted cells last, so that their frame lies on top of their neighbours'.
    for index in sorted(np.ndindex(values.shape), key=lambda i: i in notes):
        left, top = x + size * index[1], y + size * index[0]
        style = "cell on" if index in notes else "cell"
        drawn.append(f'<rect class="{style}" x="{left}" y="{top}" width="{size}" height="{size}"/>')
        if shown is None or np.ravel_multi_index(index, values.shape) < shown:
            drawn.append(text(left + size / 2, top + 27, values[index]))
        if notes.get(index):
            drawn.append(text(left + size - 4, top + size - 4, notes[index], "note right"))
    return drawn


def window(corner: tuple[int, int], labels: Array) -> dict[tuple[int, ...], str]:
    """The cells under the filter when its corner is here, each with its label."""
    return {(corner[0] + i, corner[1] + j): str(labels[i, j]) for i, j in np.ndindex(2, 2)}


def sliding() -> str:
    """The worked example: the filter at its four places, and the sum at each."""
    w, z = FILTER[0, 0], conv_forward(IMAGE, FILTER)[0, 0]
    body = [text(16, 88, "image", "left"), text(16, 106, "× filter", "left"), text(16, 192, "sum", "left"),
            text(16, 268, "output", "left")]  # fmt: skip
    for k, (i, j) in enumerate(WINDOWS):
        x, under = 110 + 182 * k, IMAGE[0, 0, i : i + 2, j : j + 2]
        body += grid(x, 20, IMAGE[0, 0], window((i, j), np.char.add("×", w.astype(str))))
        products = " + ".join(f"{a}·{b}" for a, b in zip(under.flat, w.flat))
        body += [text(x + 66, 184, products, "small"), text(x + 66, 204, f"= {z[i, j]}", "sum")]
        body += grid(x + 22, 220, z, {(i, j): ""}, shown=k + 1)
    return sheet(
        838, 328, "A filter slides over an image",
        "The 2 by 2 filter lies at four places of the 3 by 3 image. At each, the four pixels under it are multiplied "
        f"by its weights and summed: {', '.join(map(str, z.flat))}.", body,
    )  # fmt: skip


def scatter() -> str:
    """The gradient of the image: each error puts the filter, times itself, where the filter lay."""
    w, so_far = FILTER[0, 0], np.zeros_like(ERRORS)
    body = [text(16, 60, "error dz", "left"), text(16, 78, "of one output", "left"), text(16, 152, "added", "left"),
            text(16, 240, "gradient dx", "left"), text(16, 258, "so far", "left")]  # fmt: skip
    for k, (i, j) in enumerate(WINDOWS):
        x, e = 150 + 182 * k, ERRORS[0, 0, i, j]
        so_far[0, 0, i, j] = e
        body += grid(x + 22, 20, ERRORS[0, 0], {(i, j): ""})
        rows = ", ".join(f"({', '.join(str(v) for v in row)})" for row in e * w)
        body.append(text(x + 66, 152, f"{e} × filter = {rows}", "small"))
        body += grid(
            x, 176, conv_backward(so_far, IMAGE, FILTER).dx[0, 0], window((i, j), np.char.add("+", (e * w).astype(str)))
        )
    return sheet(
        878, 328, "The gradient of the image is a scatter of the same windows",
        "Each of the four errors adds the filter, times itself, to the four places of the image's gradient that its "
        "window covered. Where windows overlap the contributions add up.", body,
    )  # fmt: skip


# Where the differences are taken: worst relative error over these.
PLACES = np.arange(-4, 4.25, 0.25).astype(np.float32)


def smooth_errors(quotient: Callable[[np.float32], Array]) -> Iterator[tuple[float, float]]:
    """Yield step and worst relative error of a quotient for the derivative of sigmoid.

    In single precision, since there our sigmoid is computed in double and rounded: the same bits on every machine, so
    that the noise is too.
    """
    right = sigmoid_prime(PLACES.astype(float))
    for k in range(27):
        found = quotient(np.float32(2.0**-k))
        assert found.dtype == np.float32
        yield 2.0**-k, float(np.max(np.abs(found - right) / right))


def one_sided(h: np.float32) -> Array:
    """(f(z + h) − f(z)) / h."""
    return np.asarray((sigmoid(PLACES + h) - sigmoid(PLACES)) / h)


def central(h: np.float32) -> Array:
    """(f(z + h) − f(z − h)) / 2h."""
    return np.asarray((sigmoid(PLACES + h) - sigmoid(PLACES - h)) / (2 * h))


def complex_step(h: np.float32) -> Array:
    """Im f(z + ih) / h, with f computed in double and rounded, as sigmoid itself does for real numbers."""
    return np.asarray(sigmoid(PLACES.astype(complex) + 1j * float(h)).astype(np.complex64).imag / h)


def integer_errors() -> Iterator[tuple[float, float]]:
    """Yield step and worst error of the central difference for the worked convolution, in integers."""
    right = conv_backward(ERRORS, IMAGE, FILTER).dw
    for h in (1, 2, 4, 8, 16):
        found = np.zeros_like(FILTER, dtype=float)
        for index in np.ndindex(FILTER.shape):
            moved = np.zeros_like(FILTER)
            moved[index] = h
            above, below = ((ERRORS * conv_forward(IMAGE, w)).sum() for w in (FILTER + moved, FILTER - moved))
            found[index] = (above - below) / (2 * h)
        yield float(h), float(np.abs(found - right).max())


LEFT, RIGHT, TOP, BOTTOM, ZERO = 90, 700, 30, 390, 430
DECADES_X, DECADES_Y = (-8, 2), (-8, 1)


def at(step: float, error: float) -> tuple[float, float]:
    """Where a point of the plot lies; an error of exactly 0 has a line of its own below the scale."""
    first, last = DECADES_X
    x = LEFT + (math.log10(step) - first) / (last - first) * (RIGHT - LEFT)
    first, last = DECADES_Y
    return x, BOTTOM - (math.log10(error) - first) / (last - first) * (BOTTOM - TOP) if error else ZERO


def axes() -> list[str]:
    """Lines and powers of ten, and the line for 0."""
    drawn = []
    for decade in range(DECADES_X[0], DECADES_X[1] + 1, 2):
        x = place(at(10.0**decade, 1)[0])
        drawn += [f'<path class="faint" d="M{x} {TOP}V{ZERO}"/>', text(float(x), ZERO + 24, power(decade), "small")]
    for decade in range(DECADES_Y[0], DECADES_Y[1], 2):
        y = place(at(1, 10.0**decade)[1])
        drawn += [f'<path class="faint" d="M{LEFT} {y}H{RIGHT}"/>',
                  text(LEFT - 10, float(y) + 5, power(decade), "small right")]  # fmt: skip
    return [
        *drawn, f'<path class="faint" d="M{LEFT} {ZERO}H{RIGHT}"/>',
        text(LEFT - 10, ZERO + 5, "exactly 0", "small right"),
        text((LEFT + RIGHT) / 2, ZERO + 48, "step h"), text(LEFT - 70, TOP - 8, "error of the derivative", "left"),
    ]  # fmt: skip


def power(decade: int) -> str:
    """A power of ten, with its exponent raised."""
    raised = str(decade).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))
    return f"10{raised}" if decade else "1"


MARKS = {
    "one": "m-3 0a3 3 0 1 0 6 0a3 3 0 1 0 -6 0", "central": "m-3 -3h6v6h-6z",
    "complex": "m0 -4l4 7h-8z", "integer": "m0 -5l5 5l-5 5l-5 -5z",
}  # fmt: skip


def curve(style: str, points: list[tuple[float, float]]) -> list[str]:
    """A line through the points, and a mark at each."""
    placed = [f"{place(x)} {place(y)}" for x, y in (at(*point) for point in points)]
    return [f'<polyline class="{style}" points="{", ".join(placed)}"/>',
            f'<path class="mark {style}" d="{"".join(f"M{p}{MARKS[style]}" for p in placed)}"/>']  # fmt: skip


def steps() -> str:
    """Error against step size."""
    smooth = {"one": one_sided, "central": central, "complex": complex_step}
    points = {style: list(smooth_errors(quotient)) for style, quotient in smooth.items()}
    points["integer"] = list(integer_errors())
    best = {style: "a step of {:.1g} with an error of {:.1g}".format(*min(p, key=lambda s: s[1]))
            for style, p in points.items()}  # fmt: skip
    body = axes()
    for style, found in points.items():
        body += curve(style, found)
    body += [
        text(452, 112, "one-sided", "one"), text(402, 262, "central", "central"),
        text(250, 330, "complex", "complex"), text(600, ZERO - 14, "integer, of a convolution", "integer"),
    ]  # fmt: skip
    return sheet(
        740, 492, "Error of a derivative against the step size",
        f"Log-log plot. For the sigmoid in single precision the one-sided difference is best at {best['one']}, the "
        f"central one at {best['central']}; at smaller steps both drown in rounding. The complex step does not: its "
        "error falls to that of rounding and stays there. The integer difference of a convolution has an error of "
        f"{max(error for _, error in points['integer']):g} at every step.", body,
    )  # fmt: skip


FIGURES = {"sliding": sliding, "scatter": scatter, "steps": steps}

if __name__ == "__main__" and "--write" in sys.argv:
    FOLDER.mkdir(exist_ok=True)
    for name, draw in FIGURES.items():
        (FOLDER / f"{name}.svg").write_text(draw(), encoding="utf-8", newline="\n")
