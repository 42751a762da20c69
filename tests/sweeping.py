"""How often the oracle is wrong: right targets that it rejects, and known mistakes that it accepts, over seeds.

`python tests/sweeping.py alarms torch --dtype float32 --seeds 20` and `python tests/sweeping.py accepts` print what
there is to look at, and last the figures.
"""

import argparse
from collections import Counter

from diagnosing import made, ways

from reference_cnn.oracle import cases, check
from reference_cnn.oracle.judge import judge
from reference_cnn.oracle.layers import LAYERS
from reference_cnn.oracle.targets.ask import ask


def alarms(target: str, dtype: str, seeds: range, profile: str, functions: list[str] | None) -> None:
    """Check a target with every seed; each function that is wrong is printed with its smallest case."""
    verdicts, wrong, cases_asked = Counter[str](), Counter[str](), 0
    for seed in seeds:
        report = check(target, dtype=dtype, seed=seed, profile=profile, functions=functions)
        for name, result in report.results.items():
            verdicts[result.verdict] += 1
            cases_asked += result.cases
            if result.failure:
                wrong[name] += 1
                print(f"{seed} {name} {result.failure.case.text}: {result.failure.message}", flush=True)
    print(f"{target}, {dtype}, {len(seeds)} seeds: {dict(verdicts)}, {cases_asked} cases; wrong: {dict(wrong)}")


def accepts(dtype: str, seeds: range, functions: list[str] | None) -> None:
    """Ask every mistake with every seed, until it is rejected; each that is not is printed."""
    outcomes = Counter[str]()
    for seed in seeds:
        for function in functions or LAYERS:
            asked = cases(function, dtype=dtype, seed=seed)
            for mistake, way in ways(function):
                implementation = made(function, (mistake, way))
                rejected = any(judge(case, ask(implementation, case)).failure for case in asked)
                outcomes["rejected" if rejected else mistake.id] += 1
                if not rejected:
                    print(seed, function, mistake.id, way, flush=True)
    print(f"{dtype}, {len(seeds)} seeds: {dict(outcomes)}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("what", choices=["alarms", "accepts"])
    parser.add_argument("target", nargs="?", default="reference")
    parser.add_argument("--dtype", default="float64")
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--profile", default="standard")
    parser.add_argument("--only", action="append")
    options = parser.parse_args()
    chosen = range(options.first, options.first + options.seeds)
    if options.what == "alarms":
        alarms(options.target, options.dtype, chosen, options.profile, options.only)
    else:
        accepts(options.dtype, chosen, options.only)
