"""Ask one function everything, and put the answers together into a verdict."""

from collections.abc import Callable
from dataclasses import replace
from itertools import combinations
from typing import Any, get_args

import numpy as np

from reference_cnn.oracle import numbers
from reference_cnn.oracle.call import PROFILES, Effort, Offered, keyword_of, numpy_draw
from reference_cnn.oracle.cases import Case, Tier
from reference_cnn.oracle.conditions import condition
from reference_cnn.oracle.diagnose import diagnose
from reference_cnn.oracle.judge import Failure, Kind, judge
from reference_cnn.oracle.layers import LAYERS
from reference_cnn.oracle.purity import impurity
from reference_cnn.oracle.report import Result, Verdict
from reference_cnn.oracle.shapes import more_calls
from reference_cnn.oracle.shrink import smallest
from reference_cnn.oracle.special import answerable
from reference_cnn.oracle.targets import keywords_missing
from reference_cnn.oracle.targets.ask import Answer, ask

PLAIN: tuple[Tier, ...] = ("exact", "rounding")

Answers = list[tuple[Case, Answer]]


def examine(
    function: Callable[..., Any], asked: list[Case], effort: Effort | None, besides: list[Case], *, strict: bool
) -> Result:
    """Ask all, see what is offered, ask more of that, judge, shrink, and diagnose.

    Without an effort, only what is asked is judged; the cases besides serve the diagnosis.
    """
    name = asked[0].function
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
    offered_answers = _offered_only(answers, refused)
    judgements = [(c, judge(c, a, required, strict=strict)) for c, a in offered_answers]
    judged = [j for c, j in judgements if j.failure or c.informative]
    silent = len(judgements) - len(judged)
    not_offered = (*omitted, *sorted(lacking | refused), *_combinations(answers, refused))
    if not judged:
        nothing = () if silent else ("any call",) if answers else not_offered
        return Result("missing", not_offered=nothing, uninformative=silent)
    failures = [j.failure for j in judged if j.failure] or _impurities(function, answers)
    notes = tuple(dict.fromkeys(j.note for j in judged if j.note))
    if not failures:
        return Result("pass", len(judged), max(j.worst for j in judged), not_offered, notes=notes, uninformative=silent)
    first = min(failures, key=lambda f: (get_args(Kind).index(f.kind), get_args(Tier).index(f.case.tier), f.case.size))

    def attempt(case: Case) -> Failure | None:
        if (case.tier == "exact" and not numbers.exact(case)) or (case.call.special and not answerable(case.call)):
            return None
        answer = ask(function, case)
        unjudged = answer.outcome in ("not implemented", "not asked")
        return None if unjudged else judge(case, answer, required, strict=strict).failure

    # Each attempt at a smaller case that crashes or hangs would cost a start or the time limit.
    as_it_is = effort is None or first.kind in ("crash", "hang", "purity")
    failure = first if as_it_is else smallest(first, attempt, offered)
    also = _answers(function, [c for c in besides if not lacking & set(c.keywords)])
    offered_answers += _offered_only(also, _refused(also))
    more_questions = _more(asked[0], offered, effort or PROFILES["standard"], 2)
    named = diagnose(offered_answers, lambda c: ask(function, c), more_questions)
    failure = replace(failure, diagnosis=failure.diagnosis or named)
    if not failure.diagnosis:
        failure = replace(failure, condition=condition([(c, j.failure is not None) for c, j in judgements]))
    verdict: Verdict = "fail" if answered or failure.kind != "exception" else "error"
    unasked = len(questions) - len(answers)
    return Result(verdict, len(judged), np.inf, not_offered, failure, len(failures), unasked, notes, silent)


def _impurities(function: Callable[..., Any], answers: Answers) -> list[Failure]:
    """Look at what else the function does, in a small case, in one with every feature, and in one large one."""
    answered = sorted((c for c, a in answers if a.outcome == "answered"), key=lambda c: c.size)
    telling = {0, len(answered) - 1, *sorted(range(len(answered)), key=lambda k: len(answered[k].call.features))[-1:]}
    found = (impurity(function, answered[k]) for k in sorted(telling) if answered)
    return [failure for failure in found if failure]


def _answers(function: Callable[..., Any], questions: list[Case]) -> Answers:
    """Ask; leave out what was not asked, since the target has died too often [PROTO-C3]."""
    answers = [(case, ask(function, case)) for case in questions]
    return [(case, answer) for case, answer in answers if answer.outcome != "not asked"]


def _offered_only(answers: Answers, refused: set[str]) -> Answers:
    """Answers to calls that the target offers."""
    return [(c, a) for c, a in answers if a.outcome != "not implemented" and not refused & c.call.features]


def _more(case: Case, offered: Offered, effort: Effort, batch: int = 1) -> list[Case]:
    """Cases drawn from what the target offers, so that every pair of features that it has is asked about."""
    calls = more_calls(case.function, numpy_draw(case.seed, case.rank, batch), case.rank, offered, effort)
    questions = [replace(case, call=call, tier=tier) for call in calls for tier in PLAIN]
    return [question for question in questions if question.tier != "exact" or numbers.exact(question)]


def _refused(answers: Answers) -> set[str]:
    """Features with which every call is refused, while calls without them are answered."""
    refused = set()
    for feature in sorted({f for c, _ in answers for f in c.call.features}):
        having = [a.outcome in ("refused", "not implemented") for c, a in answers if feature in c.call.features]
        others = [a.outcome == "answered" for c, a in answers if feature not in c.call.features]
        if all(having) and any(others):
            refused.add(feature)
    return refused


def _combinations(answers: Answers, refused: set[str]) -> list[str]:
    """What the calls that are "not implemented" for no single feature have in common, as the target says it."""
    left = [c.call.features for c, a in answers if a.outcome == "not implemented" and not refused & c.call.features]
    answered = [c.call.features for c, a in answers if a.outcome == "answered"]
    pairs = {
        p for features in left for p in combinations(sorted(features), 2) if not any(set(p) <= f for f in answered)
    }
    unexplained = [features for features in left if not any(set(p) <= features for p in pairs)]
    return [" with ".join(p) for p in sorted(pairs)] + [f"{len(unexplained)} other calls"] * bool(unexplained)
