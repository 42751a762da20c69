"""Mutation testing: `python tests/mutation [GROUP …]` tries every mutant of the modules in the groups.

It goes on where it stopped; --fresh starts again. --minutes stops after that long (0: try none), --jobs mutants run
at a time. --only tries those whose name has a text in it.
--known leaves out the mutants that are explained. --write writes spec/mutation.md from what is known of all groups.
Status 1: a mutant survives that equivalent.toml does not explain.
"""

import argparse
import os
import sys
import time
from collections import Counter

import table
import trial
from mutants import ROOT, Mutant, mutants

LAYERS = ("_validate", "_windows", "conv", "dense", "activation", "pooling", "loss")
GROUPS = {
    "layers": table.Group(
        LAYERS,
        (
            *("article_numbers", "bad_input", "windows", "arrays", "loops", "adjoint", "differences", "symbolic"),
            "sigmoid_range",
        ),
    ),
    "gradcheck": table.Group(
        ("gradcheck", "_differences"), ("gradcheck", "gradcheck_arguments", "estimates", "bad_input")
    ),
    "judge": table.Group(("oracle/judge", "oracle/bounds"), ("judge", "bounds", "special", "patterns")),
    "cases": table.Group(("oracle/cases",), ("cases", "special")),
    "offers": table.Group(("oracle/offers",), ("offers",)),
    "conditions": table.Group(("oracle/conditions",), ("condition_words", "patterns")),
    "diagnose": table.Group(
        ("oracle/diagnose", "oracle/evidence"), ("diagnose_steps", "evidence", "patterns", "catalogue/diagnose")
    ),
    "consistency": table.Group(("oracle/consistency",), ("consistency_pairs", "consistency_words", "consistency")),
}


def run(name: str, group: table.Group, options: argparse.Namespace) -> int:
    """Try what is not known yet; say what survives, and return how much of it nobody has explained."""
    table.KEPT.mkdir(parents=True, exist_ok=True)
    kept, reached = table.KEPT / f"{name}.jsonl", table.KEPT / f"{name}-{group.place()}.json"
    if options.fresh:
        kept.unlink(missing_ok=True)
    explanations, state = table.Explanations(), group.state()
    every = [m for module in group.modules for m in mutants(module) if options.only in m.key]
    known = table.load(kept, state)
    todo = [m for m in every if m.key not in known and not (options.known and explanations.why(m))]
    end = time.monotonic() + 60 * options.minutes

    def record(mutant: Mutant, verdict: str, test: str) -> None:
        table.save(kept, state, mutant, verdict, test)

    if todo and options.minutes:
        if not reached.is_file():
            trial.apart(lambda: trial.measure(group.files, reached))
        trial.try_all(todo, trial.Reach(reached), group.files, options.jobs, record, end)
    known = table.load(kept, state)
    count = Counter[str]()
    for mutant in every:
        why = explanations.why(mutant)
        verdict = known.get(mutant.key, "left out" if options.known and why else "untried")
        if verdict == "survived" and why:
            verdict = "explained"
        if verdict == "survived":
            print(f"\n{mutant.module}.py:{mutant.lines[0]}: {mutant.function}\n- {mutant.before}\n+ {mutant.after}")
        if verdict == "killed" and explanations.one_by_one(mutant):
            print(f"\nexplained, but killed: {mutant.key}")
        count[verdict] += 1
    print(f"{name}: {len(every)} mutants: " + ", ".join(f"{n} {verdict}" for verdict, n in sorted(count.items())))
    return count["survived"] + count["untried"]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("groups", nargs="*", choices=[*GROUPS, []], default=[])
    parser.add_argument("--fresh", action="store_true")
    parser.add_argument("--known", action="store_true")
    parser.add_argument("--only", default="")
    parser.add_argument("--minutes", type=float, default=600)
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    os.environ["HYPOTHESIS_PROFILE"] = "mutation"
    os.chdir(ROOT)
    wanting = sum([run(name, GROUPS[name], options) for name in options.groups or GROUPS])
    if options.write:
        (ROOT / "spec" / "mutation.md").write_text(table.summary(GROUPS), encoding="utf-8")
    return int(wanting > 0)


if __name__ == "__main__":
    sys.exit(main())
