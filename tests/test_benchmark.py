"""The page of benchmarks is as the script writes it; what it found is not judged, and nothing is timed here."""

import math
import re
from pathlib import Path

import benchmark
import benchmark_page

# A figure, a dash where a peer is missing, and a verdict may be anything; titles, shapes and goals may not.
CELL = re.compile(r"(–|-?[\d.]+(e[+-]\d+)?|nan|inf)?(, (reached|missed))?")


class Everything(dict[str, float]):
    """A result of 1 for every question."""

    def get(self, key: str, default: object = None) -> float:
        return 1.0


def form(page: str) -> list[str]:
    """The lines of a page with the figures left out; what it says about a machine is only there to be read."""
    lines = []
    for line in page.splitlines():
        if line.startswith("- "):
            lines.append(line.split(":")[0])
        elif line.startswith("| "):
            first, *cells = line.strip("| ").split(" | ")
            lines.append(" | ".join([first, *("#" if CELL.fullmatch(c.strip()) else c for c in cells)]))
        else:
            lines.append(line)
    return lines


def test_the_committed_page_has_the_form_that_the_script_writes() -> None:
    committed = benchmark.PAGE.read_text(encoding="utf-8")
    assert form(committed) == form(benchmark_page.page(Everything(), benchmark_page.machine())), "run `nox -s bench`"


def test_a_goal_is_reached_or_missed_by_what_was_measured() -> None:
    def verdicts(**changed: float) -> list[str]:
        keys = [f"{t} {d} {benchmark.label(s)} {who} {way}" for t in (1, 2) for d in benchmark.DTYPES
                for s in benchmark.NINE for who in ("ours", "torch") for way in ("forward", "backward")]  # fmt: skip
        found = {k: changed.get(k.split()[-2], 1.0) for k in keys}
        rows = [r for r in benchmark_page.page(found, []).splitlines() if "ward ÷ PyTorch, geometric mean" in r]
        return [r.split(" | ")[2].split(", ")[1] for r in rows]

    assert verdicts(ours=0.5) == ["reached"] * 4
    assert verdicts(ours=2) == ["missed"] * 4
    assert verdicts(ours=1.1) == ["missed", "missed", "reached", "missed"]


def test_what_was_not_measured_is_a_dash() -> None:
    page = benchmark_page.page({}, [])
    assert "reached" not in page.split("## Goals")[1]
    assert "nan" not in page
    assert math.isnan(benchmark_page.mean([]))
    assert benchmark_page.mean([1, 4, math.nan]) == 2


def test_the_readme_quotes_the_page() -> None:
    root = Path(__file__).parents[1]
    page, readme = ((root / name).read_text(encoding="utf-8") for name in ("spec/benchmarks.md", "README.md"))
    found = re.findall(r"^\| float\d\d (?:for|back)ward ÷ PyTorch, geometric mean[^|]*\|[^|]*\| ([\d.]+), ", page, re.M)
    quoted = re.search(
        r"float64 takes (\S+) of PyTorch's time forward and (\S+) backward, float32 (\S+) and (\S+)\.\s", readme
    )
    assert quoted is not None
    assert [f"{float(ratio):.2f}" for ratio in found] == list(quoted.groups())
