"""Ask a target everything, one function after the other, and put the verdicts together."""

import shlex
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import replace
from itertools import combinations
from typing import Any, get_args

import numpy as np

from reference_cnn.oracle import notation, numbers
from reference_cnn.oracle.call import PROFILES, Effort, Offered, keyword_of, numpy_draw
from reference_cnn.oracle.cases import Case, Tier, cases
from reference_cnn.oracle.judge import Failure, Kind, judge
from reference_cnn.oracle.layers import LAYERS
from reference_cnn.oracle.report import Report, Result, Verdict
from reference_cnn.oracle.shapes import fits, more_calls
from reference_cnn.oracle.shrink import smallest
from reference_cnn.oracle.targets import Target, TargetError, UsageError, keywords_missing
from reference_cnn.oracle.targets.ask import Answer, ask
from reference_cnn.oracle.targets.process import TIMEOUT
from reference_cnn.oracle.targets.remote import reach


def check(
    target: Any,
    *,
    functions: Sequence[str] | None = None,
    dtype: str = "float64",
    rank: int = 2,
    accumulate: str | None = None,
    case: str | None = None,
    profile: str = "standard",
    seed: int = 0,
    timeout: float = TIMEOUT,
    memory: int | None = None,
    in_process: bool = False,
    progress: Callable[[str], None] = lambda function: None,
) -> Report:
    """Judge an implementation of the layers: whether it is right, and if not, on which smallest input it is wrong.

    Parameters
    ----------
    target : module, object, mapping, path or str
        It offers any subset of the six functions under their names and signatures; arrays are passed by position.
        A str is a built-in name ("reference", "loops", "article", "scipy", "onnx"), a path that ends with .py, the
        dotted name of a module, or `"exec:PROGRAM ARGUMENTS"`, a program that speaks the protocol of spec/protocol.md.
        What a str or a path names runs in a process of its own, anything else in this one.
    functions : sequence of str, optional
        Judge only these.
    dtype : str
        "float64", "float32", "float16" or "bfloat16": what the arguments have and the answers are owed in.
    rank : int
        Spatial axes of the convolutions.
    accumulate : str, optional
        The dtype in which a right answer may form its sums; without it float32 for 16-bit floats, else dtype itself.
    case : str, optional
        Ask this one question, `"x=3x2x6x5 w=2x2x2x2 stride=3,4"`, instead of the standard ones.
    profile : str
        "quick", "standard" or "thorough": how many calls are drawn besides the fixed ones.
    seed : int
        Draws other shapes, options and numbers; at least 0.
    timeout : float
        Seconds that the target's process may take for one call; then it is ended, and the call is a failure.
    memory : int, optional
        Bytes of address space that the target's process may take besides those it has when loaded (Linux only).
    in_process : bool
        Load the target into this process after all, as a debugger wants it: without limits, and a crash is a crash.
    progress : callable
        Told the name of each function before it is judged.

    Returns
    -------
    Report
        `.passed`, `.results[name]`, `.to_json()`, `str()`.

    Raises
    ------
    TargetError
        The target cannot be loaded, or offers none of the functions asked for (a UsageError).
    UsageError
        An unknown function or dtype, a rank below 1, a malformed case (a ValueError).

    Examples
    --------
    >>> import numpy as np
    >>> from reference_cnn.oracle import check
    >>> report = check({"dense_forward": lambda x, w, b=0: x @ w - b}, functions=["dense_forward"])
    >>> report.passed, report.results["dense_forward"].failure.case.text
    (False, 'x=1x1 w=1x1 b=1')
    """
    with closing(reach(target, timeout=timeout, memory=memory, in_process=in_process)) as found:
        chosen: dict[str, Any] = {
            "dtype": dtype,
            "rank": rank,
            "profile": profile,
            "seed": seed,
            "accumulate": accumulate,
        }
        standard = {f: cases(f, **chosen) for f in functions or LAYERS}
        questions = standard if case is None else _one_question(standard, case)
        if not any(f in found.functions for f in questions):
            raise TargetError(f"{found.name} offers none of {', '.join(questions)}, so there is nothing to judge")
        effort = PROFILES[profile] if case is None else None
        results = {}
        for name, asked in questions.items():
            progress(name)
            results[name] = _examine(found, asked, effort) if name in found.functions else Result("missing")
    return Report(found.name, dtype, seed, results, found.in_process)


def _one_question(standard: dict[str, list[Case]], text: str) -> dict[str, list[Case]]:
    """The case of this text for each function that it fits, in each tier that the function has."""
    call = notation.read(text)
    questions = {}
    for name, asked in standard.items():
        if fits(name, call):
            tiers = [replace(c, call=call) for c in {c.tier: c for c in asked}.values()]
            try:
                questions[name] = [c for c in tiers if c.tier != "exact" or numbers.exact(c)]
                # What the reference refuses is no question.
                _ = [question.expected for question in questions[name]]
            except (ValueError, TypeError, MemoryError) as error:
                raise UsageError(f"check: case {text!r}: {error}") from error
    if not questions:
        raise UsageError(
            f"check: case {text!r} fits none of {', '.join(standard)}; a convolution has x and w of three or more "
            "axes, a dense layer x and w of two, both may have b in the forward pass; a pooling has x and window, an "
            "activation or a loss of logits z, softmax_backward a, squared_error o"
        )
    return questions


def _examine(target: Target, asked: list[Case], effort: Effort | None) -> Result:
    """Ask all, see what is offered, ask more of that, judge, shrink; without an effort, only what is asked."""
    name = asked[0].function
    function = target.functions[name]
    lacking = keywords_missing(function, {k for c in asked for k in c.keywords})
    questions = [c for c in asked if not lacking & set(c.keywords)]
    answers = _answers(function, questions)
    if "no b" in _refused(answers):
        # A target that insists on a bias refuses each feature for want of one: ask again, with one.
        with_bias = [replace(c, call=c.call.with_bias()) for c, _ in answers if "no b" in c.call.features]
        questions += with_bias
        answers += _answers(function, with_bias)
    refused = _refused(answers)

    def offered(feature: str) -> bool:
        return feature not in refused and keyword_of(feature) not in lacking

    if effort:
        more = _more(asked[0], offered, effort)
        questions += more
        answers += _answers(function, more)
    answered = [a for _, a in answers if a.outcome == "answered"]
    omitted = [o for o in LAYERS[name].outputs if answered and all(a.outputs[o] is None for a in answered)]
    required = set(LAYERS[name].outputs) - set(omitted)
    judged = [
        judge(c, a, required) for c, a in answers if a.outcome != "not implemented" and not refused & c.call.features
    ]
    not_offered = (*omitted, *sorted(lacking | refused), *_combinations(answers, refused))
    if not judged:
        return Result("missing", not_offered=("any call",) if answers else not_offered)
    failures = [j.failure for j in judged if j.failure]
    if not failures:
        return Result("pass", len(judged), max(j.worst for j in judged), not_offered)
    first = min(failures, key=lambda f: (get_args(Kind).index(f.kind), f.case.tier != "exact", f.case.size))

    def attempt(case: Case) -> Failure | None:
        if case.tier == "exact" and not numbers.exact(case):
            return None
        answer = ask(function, case)
        unjudged = answer.outcome in ("not implemented", "not asked")
        return None if unjudged else judge(case, answer, required).failure

    # Each attempt at a smaller case that crashes or hangs would cost a start or the time limit.
    as_it_is = effort is None or first.kind in ("crash", "hang")
    failure = first if as_it_is else smallest(first, attempt, offered)
    failure = replace(failure, reproduce=_reproduce(target, failure.case))
    verdict: Verdict = "fail" if answered or failure.kind != "exception" else "error"
    unasked = len(questions) - len(answers)
    return Result(verdict, len(judged), np.inf, not_offered, failure, len(failures), unasked)


def _answers(function: Callable[..., Any], questions: list[Case]) -> list[tuple[Case, Answer]]:
    """Ask; leave out what was not asked, since the target has died too often [PROTO-C3]."""
    answers = [(case, ask(function, case)) for case in questions]
    return [(case, answer) for case, answer in answers if answer.outcome != "not asked"]


def _more(case: Case, offered: Offered, effort: Effort) -> list[Case]:
    """Cases drawn from what the target offers, so that every pair of features that it has is asked about."""
    calls = more_calls(case.function, numpy_draw(case.seed, case.rank, 1), case.rank, offered, effort)
    questions = [replace(case, call=call, tier=tier) for call in calls for tier in get_args(Tier)]
    return [question for question in questions if question.tier != "exact" or numbers.exact(question)]


def _refused(answers: list[tuple[Case, Answer]]) -> set[str]:
    """Features with which every call is refused, while calls without them are answered."""
    refused = set()
    for feature in sorted({f for c, _ in answers for f in c.call.features}):
        having = [a.outcome in ("refused", "not implemented") for c, a in answers if feature in c.call.features]
        others = [a.outcome == "answered" for c, a in answers if feature not in c.call.features]
        if all(having) and any(others):
            refused.add(feature)
    return refused


def _combinations(answers: list[tuple[Case, Answer]], refused: set[str]) -> list[str]:
    """What the calls that are "not implemented" for no single feature have in common, as the target says it."""
    left = [c.call.features for c, a in answers if a.outcome == "not implemented" and not refused & c.call.features]
    answered = [c.call.features for c, a in answers if a.outcome == "answered"]
    pairs = {
        p for features in left for p in combinations(sorted(features), 2) if not any(set(p) <= f for f in answered)
    }
    unexplained = [features for features in left if not any(set(p) <= features for p in pairs)]
    return [" with ".join(p) for p in sorted(pairs)] + [f"{len(unexplained)} other calls"] * bool(unexplained)


def _reproduce(target: Target, case: Case) -> str:
    options = {"dtype": (case.dtype, "float64"), "accumulate": (case.accumulate, None), "seed": (case.seed, 0)}
    changed = {name: value for name, (value, default) in options.items() if value != default}
    if target.command is None:
        words = [f"functions=[{case.function!r}]", f"case={case.text!r}"] + [f"{k}={v!r}" for k, v in changed.items()]
        return f"check(target, {', '.join(words)})"
    flags = "".join(f" --{k} {v}" for k, v in changed.items())
    where = shlex.quote(target.command)
    return f'reference-cnn check {where} --only {case.function} --case "{case.text}"{flags}'
