"""The report as one HTML file, complete without a network, scripts, colours or a mouse."""

from typing import TYPE_CHECKING

import numpy as np

from reference_cnn._validate import Array
from reference_cnn.oracle.heatmap import STAR, Entries, Part, flat, heat_map, parts, title, unshown
from reference_cnn.oracle.judge import Failure
from reference_cnn.oracle.markup import Markup, tag
from reference_cnn.oracle.words import explanation, more, share, worst_entry

if TYPE_CHECKING:
    from reference_cnn.oracle.report import Report, Result

# Cells of heat maps and entries of each array, shared out among all failures; a cell takes some 500 bytes.
CELLS = 900
# Rows of a failure's table of wrong entries, likewise.
ROWS = 200
# The numbers of a case of more elements are seen on request.
FOLDED = 200
VERDICTS = {"pass": "✓ pass", "fail": "✗ FAIL", "error": "✗ ERROR", "missing": "– missing"}
HEADINGS = ("function", "verdict", "cases", "worst error ÷ bound", "not offered", "notes")

STYLE = Markup("""
:root { color-scheme: light dark; --ink: #1b1f24; --soft: #59636e; --page: #fff; --panel: #f4f6f8; --line: #d0d7de;
  --cell: #dde3ea; --good: #116329; --bad: #b3141f; --heat: #d1242f; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6edf3; --soft: #9aa5b1; --page: #0d1117; --panel: #161b22;
  --line: #3d444d; --cell: #2b323b; --good: #56d364; --bad: #ff8a80; --heat: #d63a41; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 72rem; padding: 1rem; color: var(--ink); background: var(--page);
  font: 16px/1.5 system-ui, sans-serif; }
h1, h2, h3, summary, p, code { overflow-wrap: anywhere; }
h1 { font-size: 1.4rem; } h2 { font-size: 1.2rem; } h3, .h3 { font-size: 1rem; font-weight: 700; margin: 1rem 0 .3rem; }
code, pre, .matrix, svg text, .entries { font-family: ui-monospace, Menlo, Consolas, monospace; }
code, pre, .matrix, .entries { font-size: .85rem; }
a { color: inherit; }
:focus-visible { outline: 3px solid #4493f8; outline-offset: 1px; }
.pass { color: var(--good); } .fail, .error { color: var(--bad); font-weight: 600; }
.missing, .soft { color: var(--soft); }
section { margin: 1.5rem 0; padding: .5rem 1rem 1rem; border: 1px solid var(--line); border-left: 4px solid var(--heat);
  border-radius: 6px; background: var(--panel); }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; }
.verdicts th, .verdicts td, .entries th, .entries td { padding: .25rem .8rem .25rem 0; text-align: left;
  border-bottom: 1px solid var(--line); vertical-align: top; }
.verdicts td:nth-child(2) { white-space: nowrap; }
.verdicts .number, .entries td { text-align: right; white-space: nowrap; font-variant-numeric: tabular-nums; }
.row { display: flex; flex-wrap: wrap; gap: 1rem 1.5rem; align-items: flex-start; }
.row > * { max-width: 100%; margin: 0; } .row > .soft { flex-basis: 100%; }
figcaption { font-weight: 600; font-size: .9rem; white-space: nowrap; }
.matrix td, .matrix th { padding: .05rem .45rem; text-align: right; white-space: nowrap; }
.matrix th, svg .top, svg .left { color: var(--soft); fill: var(--soft); font-weight: 400; }
.matrix .wrong { color: var(--bad); font-weight: 700; }
summary { cursor: pointer; margin: .8rem 0 .4rem; }
svg { display: block; max-width: 100%; height: auto; print-color-adjust: exact; -webkit-print-color-adjust: exact; }
svg text { font-size: 11px; fill: var(--ink); }
svg .top { text-anchor: middle; } svg .left { text-anchor: end; }
svg .tip { opacity: 0; pointer-events: none; }
.cell:hover .tip, .cell:focus .tip { opacity: 1; }
svg:has(.cell:hover) .rest, svg:has(.cell:focus) .rest,
svg:has(.cell:hover) .cell:focus:not(:hover) .tip { opacity: 0; }
.cell:hover rect, .cell:focus rect { stroke: var(--ink); stroke-width: 2; }
.cell:focus { outline: none; }
.cell use { fill: var(--ink); pointer-events: none; }
.l0 { fill: var(--cell); } .l1, .l2, .l3, .l4 { fill: var(--heat); }
.l1 { fill-opacity: .3; } .l2 { fill-opacity: .5; } .l3 { fill-opacity: .75; }
@media (max-width: 40rem) { body { padding: .6rem; } section { padding: .2rem .6rem .6rem; }
  .verdicts, .entries { font-size: .8rem; } .verdicts th, .verdicts td { padding-right: .5rem; } }
@media print { body { max-width: none; } section, figure { break-inside: avoid; }
  details::details-content { content-visibility: visible; height: auto; } }
""")
# Should an escape ever be missing, the browser still runs nothing and fetches nothing.
HEAD = Markup(
    '<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">'
    "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">"
)


def page(report: "Report") -> str:
    """The whole document."""
    failures = {name: r.failure for name, r in report.results.items() if r.failure}
    heading = f"reference-cnn check {report.target}"
    summary = tag("p", tag("strong", report.summary, class_="pass" if report.passed else "fail"))
    told = [_told(name, report.results[name], f, len(failures)) for name, f in failures.items()]
    body = tag("body", STAR, tag("main", tag("h1", heading), summary, _table(report), *told))
    head = tag("head", HEAD, tag("title", heading), tag("style", STYLE))
    return f"<!DOCTYPE html>\n{tag('html', head, body, lang='en')}\n"


def _scroll(label: str, content: Markup) -> Markup:
    """Something that may be wide: with the focus on it, the arrow keys move it."""
    return tag("div", content, class_="scroll", tabindex=0, role="region", aria_label=label)


def _grid(kind: str, head: str, *rows: Markup) -> Markup:
    return tag("table", tag("thead", head) if head else "", tag("tbody", *rows), class_=kind)


def _table(report: "Report") -> Markup:
    head = tag("tr", *(tag("th", heading, scope="col") for heading in HEADINGS))
    rows = [_verdict(name, result) for name, result in report.results.items()]
    return _scroll("verdicts", _grid("verdicts", head, *rows))


def _verdict(name: str, result: "Result") -> Markup:
    judged = result.verdict in ("pass", "fail")
    return tag(
        "tr",
        tag("th", tag("a", name, href=f"#{name}") if result.failure else name, scope="row"),
        tag("td", VERDICTS[result.verdict], class_=result.verdict),
        tag("td", str(result.cases) if judged else "", class_="number"),
        tag("td", share(result.worst) if judged else "", class_="number"),
        tag("td", ", ".join(result.not_offered)),
        tag("td", "; ".join(result.notes)),
    )


def _told(name: str, result: "Result", failure: Failure, failures: int) -> Markup:
    """A failure: which mistake it is, the smallest case, the map of what is wrong, how to see it again."""
    case, room = failure.case, max(CELLS // failures, 1)
    unasked = f"; {result.unasked} more were not asked" if result.unasked else ""
    return tag(
        "section",
        tag("h2", f"{name}: wrong in {result.failed} of {result.cases} cases{unasked}", class_="fail"),
        *(tag("p", paragraph) for paragraph in explanation(failure)),
        tag("p", f"{failure.message} [{failure.clause}]"),
        tag("p", " ".join(worst_entry(failure))),
        tag("h3", "The case"),
        tag("p", tag("code", case.text), f" ({case.dtype}, {case.tier}, seed {case.seed})"),
        _arguments(failure, room),
        _answers(failure, room, max(ROWS // failures, 1)),
        _larger(failure, room),
        tag("h3", "See it again"),
        tag("p", tag("code", failure.reproduce)) if failure.reproduce else "",
        *(tag("p", "More: ", tag("code", f"reference-cnn explain {d}")) for d in more(failure)),
        id=name,
    )


def _arguments(failure: Failure, room: int) -> Markup:
    """As tables; many numbers are folded, so that the map of what is wrong is seen first."""
    arrays = failure.case.arguments.items()
    tables = _row(*(table for n, a in arrays for table in _tables(failure, n, n, a, room)))
    return tag("details", tag("summary", "Its numbers"), tables) if failure.case.size > FOLDED else tables


def _row(*content: Markup) -> Markup:
    return _scroll("numbers", tag("div", *content, class_="row"))


def _tables(failure: Failure, name: str, called: str, array: Array, room: int) -> list[Markup]:
    """An array as one small table for each matrix; where it is the wrong answer, wrong entries carry a star."""
    wrong = failure.wrong if array is failure.answer else None
    shown = parts(array.shape, room, (failure.index or ()) if array is failure.answer or array is failure.right else ())
    matrices, marks = array.reshape(flat(array.shape)), np.zeros(array.shape, bool) if wrong is None else wrong
    marks = marks.reshape(flat(array.shape))
    tables = []
    for part in shown:
        words = title(failure, name, array.shape, part.outer).replace(name, called, 1)
        tables.append(tag("figure", tag("figcaption", words), _matrix(matrices, marks, part)))
    if not shown:
        tables.append(tag("p", f"{called} has no entries: its shape is {array.shape}."))
    return [*tables, *_left_out(array, shown)]


def _matrix(matrices: Array, wrong: Array, part: Part) -> Markup:
    """Rows and columns are numbered, but for a single number."""
    single = matrices.shape[-2:] == (1, 1)
    head = tag("tr", tag("td"), *(tag("th", str(c), scope="col") for c in part.columns))
    rows = [
        tag(
            "tr",
            "" if single else tag("th", str(r), scope="row"),
            *(_entry(matrices, wrong, (*part.outer, r, c)) for c in part.columns),
        )
        for r in part.rows
    ]
    return _grid("matrix", "" if single else head, *rows)


def _entry(matrices: Array, wrong: Array, index: tuple[int, ...]) -> Markup:
    value = f"{float(matrices[index]) + 0:.6g}"
    return tag("td", f"*{value}", class_="wrong") if wrong[index] else tag("td", value)


def _left_out(array: Array, shown: list[Part]) -> list[Markup]:
    said = unshown(array.shape, shown)
    return [tag("p", said, class_="soft")] if said else []


def _answers(failure: Failure, room: int, rows: int) -> Markup:
    """The answer and the right one: as tables; where they can be compared, as maps, and the wrong entries in a list."""
    if failure.answer is None or failure.right is None or failure.output is None:
        return Markup()
    pair = (("your", failure.answer), ("right", failure.right))
    tables = [t for words, a in pair for t in _tables(failure, failure.output, f"{words} {failure.output}", a, room)]
    numbers = [tag("h3", "The answer"), _row(*tables)]
    entries = Entries.of(failure)
    if entries:
        numbers = [_maps(failure, entries, room), *numbers, _list(entries, rows)]
    return Markup("".join(numbers))


def _maps(failure: Failure, entries: Entries, room: int) -> Markup:
    shape, name = entries.wrong.shape, f"{failure.output}"
    at = (*[0] * (len(shape) - entries.axes), *(failure.index or ()))
    shown = parts(shape, room, at)
    figures = []
    for part in shown:
        words = title(failure, name, entries.shape, part.outer)
        figures.append(tag("figure", tag("figcaption", words), heat_map(entries, part, at, words)))
    return tag(
        "details",
        tag("summary", f"Where {name} is wrong", class_="h3"),
        tag("p", entries.scale),
        tag("div", *figures, class_="row"),
        *_left_out(entries.wrong, shown),
        open="",
    )


def _larger(failure: Failure, room: int) -> Markup:
    """The map of a larger case: in the smallest there may be no border and no other channel to be seen."""
    larger = failure.larger
    entries, shown = (Entries.of(f) if f else None for f in (larger, failure))
    if larger is None or entries is None or shown is None or entries.wrong.size <= shown.wrong.size:
        return Markup()
    words = tag("p", tag("code", larger.case.text), f": {larger.message}.")
    return Markup("".join((tag("h3", "A larger case"), words, _maps(larger, entries, room))))


def _list(entries: Entries, rows: int) -> Markup:
    """The wrong entries in a table, for those who cannot point at them."""
    places = np.argwhere(entries.wrong)
    head = tag("tr", *(tag("th", h, scope="col") for h in ("entry", "got", "expected", "bound", "error ÷ bound")))
    body = [tag("tr", *(tag("td", cell) for cell in entries.row(tuple(p)))) for p in places[:rows].tolist()]
    more = f" (the first {rows} of {len(places)})" if len(places) > rows else ""
    table = _scroll("wrong entries", _grid("entries", head, *body))
    return tag("details", tag("summary", f"The wrong entries in numbers{more}"), table)
