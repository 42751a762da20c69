"""Which cases show which mistakes: the kill matrix, spec/kill_matrix.md.

`python tests/kill_matrix.py --write` writes it anew. It has the cases of seed 0 in float64; test_kill_matrix looks at
what they can tell.
"""

import hashlib
import sys
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import get_args

import numpy as np
from diagnosing import Way, made, ways

from reference_cnn.oracle.cases import Case, Tier, cases
from reference_cnn.oracle.judge import judge
from reference_cnn.oracle.layers import LAYERS
from reference_cnn.oracle.targets.ask import Answer, ask

MATRIX = Path(__file__).parents[1] / "spec" / "kill_matrix.md"
START = "<!-- matrix, written by nox -s kills -->\n"


@dataclass(frozen=True)
class Kills:
    """What became of every case of a function under every mistake: `shown` and a `print` of the answer, way by case."""

    function: str
    asked: list[Case]
    ways: list[Way]
    shown: np.ndarray
    prints: np.ndarray

    @cached_property
    def names(self) -> list[str]:
        """The mistakes, one for each way."""
        return [m.id for m, _ in self.ways]

    def of(self, name: str) -> np.ndarray:
        """By case, whether any way of making a mistake shows."""
        return np.asarray(self.shown[[n == name for n in self.names]].any(axis=0))

    def telling(self, one: str, other: str) -> np.ndarray:
        """By case, whether it tells two mistakes apart, in whatever way each is made."""
        mine, theirs = (self.prints[[n == name for n in self.names]] for name in (one, other))
        return np.asarray((mine[:, None] != theirs[None]).all(axis=(0, 1)))

    def same(self, one: str, other: str) -> bool:
        """Whether there is a way of making each that no case tells from the other."""
        mine, theirs = (self.prints[[n == name for n in self.names]] for name in (one, other))
        return bool((mine[:, None] == theirs[None]).all(axis=2).any())


def _print(answer: Answer) -> str:
    """The answer to twenty bits, six digits; how something loud comes about does not matter."""
    if answer.outcome != "answered":
        return "loud"
    digest = hashlib.sha256()
    for a in answer.outputs.values():
        if a is not None:
            digest.update(f"{a.shape}".encode())
            mantissa, exponent = np.frexp(np.asarray(a, float))
            rounded = np.ldexp(np.round(np.ldexp(mantissa, 20)), exponent - 20)
            # There are two zeros, and more than one NaN.
            digest.update(np.where(np.isnan(rounded), np.nan, rounded + 0.0).tobytes())
    return digest.hexdigest()[:12]


@cache
def kills(function: str, seed: int = 0) -> Kills:
    """Ask every case of every mistake of a function."""
    asked = cases(function, seed=seed)
    known = ways(function)
    shown, prints = [], []
    for way in known:
        implementation = made(function, way)
        answers = [ask(implementation, c) for c in asked]
        shown.append([judge(c, a).failure is not None for c, a in zip(asked, answers)])
        prints.append([_print(a) for a in answers])
    return Kills(function, asked, known, np.array(shown), np.array(prints))


def matrix() -> str:
    """The whole table in Markdown, a part for each function."""
    return "\n\n".join(table(kills(function)) for function in LAYERS)


def table(found: Kills) -> str:
    """What became of the mistakes of one function, in Markdown."""
    tiers = [t for t in get_args(Tier) if any(c.tier == t for c in found.asked)]
    counts = ", ".join(f"{sum(c.tier == t for c in found.asked)} {t}" for t in tiers)
    lines = [f"## {found.function}", "", f"Of {counts} cases each mistake shows in so many:", ""]
    lines += [
        f"| mistake | {' | '.join(tiers)} | smallest case | hardest to tell from |",
        "|---" * (len(tiers) + 3) + "|",
    ]
    for name in dict.fromkeys(found.names):
        row = found.of(name)
        numbers = [str(sum(bool(s) for s, c in zip(row, found.asked) if c.tier == t)) for t in tiers]
        smallest = min((c for s, c in zip(row, found.asked) if s), key=lambda c: c.size, default=None)
        shown = f"`{smallest.text}`" if smallest else "none"
        lines.append(f"| {name} | {' | '.join(numbers)} | {shown} | {_hardest(found, name)} |")
    return "\n".join(lines)


def _hardest(found: Kills, name: str) -> str:
    """The mistake that the fewest cases tell from this one."""
    others = [n for n in dict.fromkeys(found.names) if n != name]
    if not others:
        return ""
    counts = {n: int(found.telling(name, n).sum()) for n in others}
    least = min(others, key=lambda n: counts[n])
    return f"{least} ({counts[least]})"


def written() -> dict[str, str]:
    """What spec/kill_matrix.md has below its mark, function by function."""
    parts = MATRIX.read_text(encoding="utf-8").split(START)[1].rstrip().split("\n## ")[1:]
    return {part.partition("\n")[0]: f"## {part.strip()}" for part in parts}


if __name__ == "__main__" and "--write" in sys.argv:
    head = MATRIX.read_text(encoding="utf-8").split(START)[0]
    MATRIX.write_text(f"{head}{START}\n{matrix()}\n", encoding="utf-8")
