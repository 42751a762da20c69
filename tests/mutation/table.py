"""What became of the mutants: kept between runs, explained where one survives, summed up in spec/mutation.md."""

import hashlib
import json
import re
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from mutants import PACKAGE, ROOT, Mutant

KEPT = ROOT / "build" / "mutation"
EXPLAINED = Path(__file__).with_name("equivalent.toml")


@dataclass(frozen=True)
class Group:
    """Modules, and the tests that are there for them."""

    modules: tuple[str, ...]
    tests: tuple[str, ...]

    @property
    def files(self) -> list[str]:
        return [str(ROOT / "tests" / f"test_{name}.py") for name in self.tests]

    def state(self) -> str:
        """Changes when the package or a test does."""
        paths = [*PACKAGE.rglob("*.py"), *(ROOT / "tests").glob("*.py")]
        return hashlib.sha256(b"".join(path.read_bytes() for path in sorted(paths))).hexdigest()


def load(path: Path, state: str) -> dict[str, tuple[str, str]]:
    """Verdict and killing test by mutant, as far as they still hold: all of one state, else those that were killed."""
    found = {}
    if path.is_file():
        for line in path.read_text(encoding="utf-8").splitlines():
            record = json.loads(line)
            if record["state"] == state or (record["verdict"] == "killed" and record["test"] != "import"):
                found[record["key"]] = record["verdict"], record["test"]
    return found


def save(path: Path, state: str, mutant: Mutant, verdict: str, test: str) -> None:
    record = {"key": mutant.key, "verdict": verdict, "test": test, "state": state}
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(record, ensure_ascii=False) + "\n")


class Explanations:
    """The mutants that change nothing that anybody could see, and why."""

    def __init__(self) -> None:
        table = tomllib.loads(EXPLAINED.read_text(encoding="utf-8"))
        self.rules, self.single = table.get("rule", []), table.get("equivalent", [])

    def is_rule(self, mutant: Mutant) -> bool:
        """Whether a rule covers it."""
        return any(_same(rule["ignoring"], mutant.before, mutant.after) for rule in self.rules)

    def why(self, mutant: Mutant) -> str:
        """The reason, or nothing."""
        for rule in self.rules:
            if mutant.before != mutant.after and _same(rule["ignoring"], mutant.before, mutant.after):
                return str(rule["why"])
        for one in self.single:
            place = (one["module"], one["function"], one["before"])
            if place == (mutant.module, mutant.function, mutant.before) and mutant.after in one["after"]:
                return str(one["why"])
        return ""


def _same(pattern: str, before: str, after: str) -> bool:
    """Whether two texts are the same but for what a pattern matches."""
    return re.sub(pattern, "", before) == re.sub(pattern, "", after)
