"""What became of the mutants: kept between runs, explained where one survives, summed up in spec/mutation.md."""

import datetime
import hashlib
import json
import platform
import re
import tomllib
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from pathlib import Path

from mutants import PACKAGE, ROOT, Mutant, mutants

KEPT = ROOT / "build" / "mutation"
EXPLAINED = Path(__file__).with_name("equivalent.toml")


@dataclass(frozen=True)
class Group:
    """Modules, and the tests that are there for them."""

    modules: tuple[str, ...]
    tests: tuple[str, ...]

    @property
    def files(self) -> list[str]:
        paths = [ROOT / "tests" / name for name in self.tests]
        return [str(path.with_name(f"test_{path.name}.py")) for path in paths]

    def state(self) -> str:
        """Changes when one of its tests does."""
        shared = [ROOT / "tests" / name for name in ("conftest.py", "strategies.py")]
        return _hash([*map(Path, self.files), *shared])

    def place(self) -> str:
        """Changes when one of its modules or tests does: where lines are, and who reaches them."""
        return _hash([*(PACKAGE / f"{module}.py" for module in self.modules), *map(Path, self.files)])


def load(path: Path, state: str) -> dict[str, str]:
    """The verdict on each mutant, as far as it still holds: while its module is the same, and a survivor's tests."""
    found: dict[str, str] = {}
    if path.is_file():
        for line in path.read_text(encoding="utf-8").splitlines():
            record = json.loads(line)
            text = _text(record["module"])
            if record["text"] == text and (record["state"] == state or record["verdict"] != "survived"):
                found[record["key"]] = record["verdict"]
    return found


def save(path: Path, state: str, mutant: Mutant, verdict: str, test: str) -> None:
    """Write down what became of a mutant."""
    text = _text(mutant.module)
    record = {
        "key": mutant.key,
        "module": mutant.module,
        "verdict": verdict,
        "test": test,
        "state": state,
        "text": text,
    }
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(record, ensure_ascii=False) + "\n")


@cache
def _text(module: str) -> str:
    return _hash([PACKAGE / f"{module}.py"])


def _hash(paths: Iterable[Path]) -> str:
    return hashlib.sha256(b"".join(path.read_bytes() for path in sorted(paths))).hexdigest()[:12]


class Explanations:
    """The mutants that change nothing that anybody could see, and why."""

    def __init__(self) -> None:
        table = tomllib.loads(EXPLAINED.read_text(encoding="utf-8"))
        self.rules, self.single = table.get("rule", []), table.get("equivalent", [])

    def why(self, mutant: Mutant) -> str:
        """The reason, or nothing."""
        rules = (rule["why"] for rule in self.rules if _same(rule["ignoring"], mutant.before, mutant.after))
        return next(rules, "") or self.one_by_one(mutant)

    def one_by_one(self, mutant: Mutant) -> str:
        """The reason that is for this mutant and not for all of a kind."""
        place = {"module": mutant.module, "function": mutant.function, "before": mutant.before}
        reasons = (one["why"] for one in self.single if place.items() <= one.items() and mutant.after in one["after"])
        return next(reasons, "")


def _same(pattern: str, before: str, after: str) -> bool:
    """Whether two texts are the same but for what a pattern matches."""
    return re.sub(pattern, "", before) == re.sub(pattern, "", after)


def summary(groups: dict[str, Group]) -> str:
    """What is known of all groups, as spec/mutation.md has it."""
    explanations, rows, reasons = Explanations(), [], Counter[str]()
    for name, group in groups.items():
        state = group.state()
        known = load(KEPT / f"{name}.jsonl", state)
        for module in group.modules:
            count = Counter[str]()
            for mutant in mutants(module):
                verdict, why = known.get(mutant.key, "untried"), explanations.why(mutant)
                if verdict != "killed" and why:
                    verdict, reasons[f"{module}.py: {why}"] = "explained", reasons[f"{module}.py: {why}"] + 1
                count[verdict] += 1
            cells = [count.total(), *(count[v] for v in ("killed", "timeout", "explained", "survived", "untried"))]
            rows.append(f"| `{module}.py` | `{_text(module)}` | {' | '.join(map(str, cells))} |")
    versions = ", ".join(f"{p} {version(p)}" for p in ("mutmut", "numpy", "hypothesis", "pytest"))
    return TEXT.format(
        date=datetime.date.today().isoformat(),
        python=platform.python_version(),
        versions=versions,
        rows="\n".join(rows),
        reasons="\n".join(
            f"| {r.partition(': ')[0]} | {n} | {r.partition(': ')[2]} |" for r, n in sorted(reasons.items())
        ),
    )


TEXT = """# Mutation testing

Written by `nox -s mutation -- --write` on {date}, with Python {python}, {versions}.

Every small change that mutmut knows, to a statement, a default or a constant of these modules, is a mutant. The tests
that reach it run against it until one fails: then it is *killed*, or ended by a *timeout* if it never stops. An
*explained* one changes nothing that anybody could see, and no test sees it; the reasons are below, and one by one in
`tests/mutation/equivalent.toml`. A *surviving* one is a gap in the tests. A verdict counts until its module
changes, that of a survivor until its tests do; then the mutant is *untried*. The SHA-256 of the module's file, of
which the first twelve digits are here, tells whether a row is still about it.

| module | SHA-256 | mutants | killed | timeout | explained | surviving | untried |
|---|---|---|---|---|---|---|---|
{rows}

`nox -s mutation_layers` does the layers alone.

## What survives with a reason

| module | mutants | reason |
|---|---|---|
{reasons}
"""
