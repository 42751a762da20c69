"""How often a mistake is named: every single one and a sample of pairs, measured through `check` itself or by cases.

`python tests/diagnosing.py --seeds 20 --dtype float32` prints the figures; `--first 5 --seeds 5` those of the second
five seeds alone.
"""

import argparse
import hashlib
import time
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from reference_cnn.oracle import Failure, check
from reference_cnn.oracle.cases import Case, cases
from reference_cnn.oracle.diagnose import diagnose
from reference_cnn.oracle.judge import judge
from reference_cnn.oracle.layers import LAYERS
from reference_cnn.oracle.mistakes import Implementation, Mistake, of_function
from reference_cnn.oracle.targets.ask import Answer, ask

Way = tuple[Mistake, int]


def ways(function: str) -> list[Way]:
    """Every mistake that concerns a function, in every way in which it is made."""
    return [(m, i) for m in of_function(function) for i in range(len(m.wraps[function]))]


def made(function: str, *steps: Way) -> Implementation:
    """The reference with mistakes in it."""
    implementation: Implementation = LAYERS[function].reference
    for mistake, way in steps:
        implementation = mistake.wraps[function][way](implementation)
    return implementation


def answers(implementation: Implementation, asked: list[Case]) -> list[tuple[Case, Answer]]:
    """What an implementation answers to all cases."""
    return [(case, ask(implementation, case)) for case in asked]


def fingerprint(given: list[tuple[Case, Answer]]) -> str:
    """What is the same for the same answers."""
    digest = hashlib.sha256()
    for _, answer in given:
        digest.update(answer.outcome.encode())
        for array in answer.outputs.values():
            digest.update(b"None" if array is None else f"{array.dtype}{array.shape}".encode() + array.tobytes())
    return digest.hexdigest()


def wrong(given: list[tuple[Case, Answer]]) -> bool:
    """Whether a single answer is rejected."""
    return any(judge(case, answer).failure for case, answer in given)


def failure_of(name: str, implementation: Callable[..., Any], **options: Any) -> Failure:
    """What is wrong with a wrong function."""
    asked = {"profile": "quick", "functions": [name], **options}
    failure = check({name: implementation}, **asked).results[name].failure
    assert failure is not None
    return failure


def drawn_pairs(function: str, seed: int, count: int) -> Iterator[tuple[Way, Way]]:
    """Pairs of different mistakes."""
    known, rng = ways(function), np.random.default_rng(seed)
    for _ in range(count if len({m.id for m, _ in known}) > 1 else 0):
        while True:
            one, other = (known[i] for i in rng.integers(len(known), size=2))
            if one[0] is not other[0]:
                break
        yield one, other


def measure(dtype: str, first: int, seeds: int, pairs: int) -> None:
    """Print what became of the single mistakes and of the pairs, and the longest processor time of a diagnosis."""
    single, double, longest = Counter[str](), Counter[str](), 0.0
    for seed in range(first, first + seeds):
        for function in LAYERS:
            asked, others = (cases(function, dtype=dtype, seed=s) for s in (seed, seed + 1000))
            tries = [(way,) for way in ways(function)] + list(drawn_pairs(function, seed, pairs))
            for steps in tries:
                given = answers(made(function, *steps), asked)
                start = time.process_time()
                named = diagnose(given)
                longest = max(longest, time.process_time() - start)
                outcome = verdict(named, steps, given, others)
                (single if len(steps) == 1 else double)[outcome] += 1
                if outcome not in ("first", "not seen", "no pair"):
                    print(seed, function, [(m.id, i) for m, i in steps], outcome, named, flush=True)
        print(
            f"{dtype}, seeds {first} to {seed}: single {dict(single)}, pairs {dict(double)}, longest {longest:.2f} s",
            flush=True,
        )


def verdict(
    named: tuple[str, ...], steps: tuple[Way, ...], given: list[tuple[Case, Answer]], others: list[Case]
) -> str:
    """Tell whether the true name came first, among others, in another guise, or not at all.

    A pair of which one mistake hides the other is no pair. Another name that fits the answers to `others` as well names
    the same function in other words.
    """
    true = {m.id for m, _ in steps}
    if not wrong(given):
        return "not seen"
    asked, function = [case for case, _ in given], given[0][0].function
    if len(steps) == 2 and any(alike(given, answers(made(function, step), asked)) for step in steps):
        return "no pair"
    if not named:
        return "nothing claimed"
    if set(named[0].split("+")) == true:
        return "first"
    if any(set(n.split("+")) == true for n in named):
        return "among others"
    again = diagnose(answers(made(function, *steps), others))
    return "the same in other words" if named[0] in again else "another name"


def alike(one: list[tuple[Case, Answer]], other: list[tuple[Case, Answer]]) -> bool:
    """Whether two lists of answers are the same but for rounding."""
    return all(_alike(a, b) for (_, a), (_, b) in zip(one, other, strict=True))


def _alike(one: Answer, other: Answer) -> bool:
    if (one.outcome, one.outputs.keys()) != (other.outcome, other.outputs.keys()):
        return False
    pairs = [(a, b) for a, b in zip(one.outputs.values(), other.outputs.values(), strict=True) if a is not None]
    return all(
        b is not None and a.shape == b.shape and np.allclose(a.astype(float), b.astype(float), 1e-3, 1e-9, True)
        for a, b in pairs
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--pairs", type=int, default=20)
    parser.add_argument("--dtype", default="float64")
    options = parser.parse_args()
    measure(options.dtype, options.first, options.seeds, options.pairs)
