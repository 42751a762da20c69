"""The verdicts in words, for a terminal, and for programs."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from io import StringIO
from typing import Any, Literal
from xml.etree import ElementTree

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from reference_cnn.oracle import html
from reference_cnn.oracle.judge import Failure
from reference_cnn.oracle.markup import printable
from reference_cnn.oracle.text import WIDTH, failure_text
from reference_cnn.oracle.words import share

Verdict = Literal["pass", "fail", "missing", "error"]

NAMED = 7
SAYS_NOTHING = "the answer has no elements, or rounding may take a right one as far as a wrong one"
STYLES = {"pass": "green", "fail": "bold red", "error": "bold red", "missing": "dim"}


@dataclass(frozen=True)
class Result:
    """The verdict on one function.

    `cases` were judged and `failed` of them wrong; `worst` is the largest error ÷ bound (0: exact everywhere, inf:
    wrong); `not_offered` names keywords, features and outputs that the target lacks; `unasked` cases were not asked,
    since the target's process had died or hung too often; `notes` say what is no failure unless the check is strict;
    `uninformative` cases are not counted, since their bounds would let zeros, a mean or a shifted answer pass.
    """

    verdict: Verdict
    cases: int = 0
    worst: float = 0.0
    not_offered: tuple[str, ...] = ()
    failure: Failure | None = None
    failed: int = 0
    unasked: int = 0
    notes: tuple[str, ...] = ()
    uninformative: int = 0


@dataclass(frozen=True)
class Report:
    """What `check` found; `str()` of it is what the command prints.

    `remarks` tell of workers that were not asked; a report that is `complete` passes only if nothing is missing.
    """

    target: str
    dtype: str
    seed: int
    results: Mapping[str, Result]
    in_process: bool = False
    remarks: tuple[str, ...] = ()
    algorithm: str = "direct"
    accept: tuple[str, ...] = ()
    complete: bool = False

    @property
    def passed(self) -> bool:
        """Whether something was judged and nothing was wrong."""
        verdicts = {r.verdict for r in self.results.values()}
        return "pass" in verdicts and not verdicts & {"fail", "error", *["missing"] * self.complete}

    def __str__(self) -> str:
        out = StringIO()
        self.print(Console(file=out, width=WIDTH, color_system=None))
        return out.getvalue().rstrip()

    def print(self, console: Console) -> None:
        """Print the table, then each failure with its smallest case, then one sentence."""
        console.print(self._table())
        for name, result in self.results.items():
            if result.failure:
                unasked = f"; {result.unasked} more were not asked" if result.unasked else ""
                headline = f"{name}: wrong in {result.failed} of {result.cases} cases{unasked}"
                console.print(Text(headline, style=STYLES["fail"]))
                # The line that asks again must stay one line, or it cannot be copied.
                console.print(Text(failure_text(result.failure)), soft_wrap=True)
                console.print()
        for name, result in self.results.items():
            for note in result.notes:
                console.print(Text(f"note: {name}: {note}"))
            if result.uninformative:
                some = "1 case does" if result.uninformative == 1 else f"{result.uninformative} cases do"
                console.print(Text(f"note: {name}: {some} not count: {SAYS_NOTHING}"))
        for remark in self.remarks:
            console.print(Text(f"note: {remark}"))
        console.print(Text(self.summary))

    @property
    def summary(self) -> str:
        """One sentence: what is right, what is wrong."""
        where = f"{self.target}, {self.dtype}, seed {self.seed}" + ", in process" * self.in_process
        if self.accept:
            where += f", relative to {' and '.join(self.accept)}"
        if self.algorithm != "direct":
            where += f", convolutions within the bounds of {self.algorithm}, in norm only"
        if all(r.verdict == "pass" for r in self.results.values()) and len(self.results) > 1:
            return f"{where}. All {len(self.results)} functions are right."
        said = []
        for verdict, words in (
            ("fail", "wrong"),
            ("error", "not judged"),
            ("pass", "right"),
            ("missing", "missing" if self.complete else "not offered"),
        ):
            names = [n for n, r in self.results.items() if r.verdict == verdict]
            listed = ", ".join(names) if verdict != "missing" or len(names) <= NAMED else f"{len(names)} functions"
            said += [f"{words}: {listed}"] * bool(names)
        nothing = all(r.verdict == "missing" for r in self.results.values())
        other = ", or ask in another dtype" * (self.dtype != "float64")
        return f"{where}. {'; '.join(said).capitalize()}." + (
            f" Nothing could be judged yet: fill in a function and check again{other}." * nothing
        )

    def _table(self) -> Table:
        table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
        for heading in ("function", "verdict"):
            table.add_column(heading, no_wrap=True)
        for heading in ("cases", "error ÷ bound"):
            table.add_column(heading, justify="right", no_wrap=True)
        table.add_column("not offered")
        for name, result in self.results.items():
            if result.verdict == "missing" and not result.not_offered and not result.uninformative:
                continue  # the last sentence names it
            judged = result.verdict in ("pass", "fail")
            worst = share(result.worst) if judged else ""
            verdict = Text(result.verdict.upper() if result.failure else result.verdict, STYLES[result.verdict])
            table.add_row(
                name, verdict, str(result.cases) if judged else "", worst, Text(_shortened(result.not_offered))
            )
        return table

    def to_json(self) -> str:
        """The report as JSON, version 1: the names of the attributes; infinities and NaN are strings."""
        results = {name: _plain_result(result) for name, result in self.results.items()}
        plain = {
            "version": 1,
            "target": self.target,
            "dtype": self.dtype,
            "seed": self.seed,
            "in_process": self.in_process,
            "remarks": list(self.remarks),
            "algorithm": self.algorithm,
            "accept": list(self.accept),
            "passed": self.passed,
            "results": results,
        }
        return json.dumps(plain, indent=1, ensure_ascii=False, allow_nan=False)

    def to_html(self) -> str:
        """The report as one HTML file, with heat maps of what is wrong; it needs neither a network nor scripts."""
        return html.page(self)

    def to_junit(self) -> str:
        """The report as JUnit's XML: one test case for each function; what is missing is skipped."""
        verdicts = [r.verdict for r in self.results.values()]
        counts = {
            "tests": len(verdicts),
            "failures": verdicts.count("fail"),
            "errors": verdicts.count("error"),
            "skipped": 0,
        }
        absent = "failure" if self.complete else "skipped"
        counts["failures" if self.complete else "skipped"] += verdicts.count("missing")
        suite = ElementTree.Element("testsuite", name=f"reference-cnn check {self.target}")
        suite.attrib.update({name: str(count) for name, count in counts.items()})
        for name, result in self.results.items():
            case = ElementTree.SubElement(suite, "testcase", classname=f"{self.target}.{self.dtype}", name=name)
            if result.failure:
                kind = "error" if result.verdict == "error" else "failure"
                found = ElementTree.SubElement(case, kind, message=printable(result.failure.message))
                found.text = printable(failure_text(result.failure))
            elif result.verdict == "missing":
                ElementTree.SubElement(case, absent, message="not offered")
        ElementTree.indent(suite)
        return ElementTree.tostring(suite, encoding="unicode", xml_declaration=True)

    def raise_for_failures(self) -> None:
        """Raise an AssertionError with the whole report unless it passed."""
        if not self.passed:
            raise AssertionError(f"\n{self}")


def _shortened(names: tuple[str, ...]) -> str:
    """The first few names; the JSON report has them all."""
    more = len(names) - NAMED
    return ", ".join(names) if more < 2 else ", ".join(names[:NAMED]) + f" and {more} more"


def _plain_result(result: Result) -> dict[str, Any]:
    failure = result.failure
    return {
        "verdict": result.verdict,
        "cases": result.cases,
        "failed": result.failed,
        "unasked": result.unasked,
        "notes": list(result.notes),
        "uninformative": result.uninformative,
        "worst": _plain_number(result.worst),
        "not_offered": list(result.not_offered),
        "failure": None
        if failure is None
        else {
            "case": failure.case.text,
            "tier": failure.case.tier,
            "clause": failure.clause,
            "kind": failure.kind,
            "message": failure.message,
            "output": failure.output,
            "index": None if failure.index is None else list(failure.index),
            "got": _plain_number(failure.got),
            "expected": _plain_number(failure.expected),
            "bound": _plain_number(failure.bound),
            "pattern": failure.pattern,
            "diagnosis": list(failure.diagnosis),
            "consistent": failure.consistent,
            "consistency": failure.consistency,
            "condition": failure.condition,
            "reproduce": failure.reproduce,
        },
    }


def _plain_number(value: float | None) -> float | str | None:
    return (
        value
        if value is None or math.isfinite(value)
        else {math.inf: "Infinity", -math.inf: "-Infinity"}.get(value, "NaN")
    )
