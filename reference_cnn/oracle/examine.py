"""Ask one function everything, and put the answers together into a verdict."""

from collections.abc import Callable
from dataclasses import replace
from importlib import import_module
from itertools import combinations
from typing import Any, get_args

import numpy as np

from reference_cnn.oracle import numbers
from reference_cnn.oracle.call import PROFILES, Effort, Offered, keyword_of, numpy_draw, windows_of
from reference_cnn.oracle.cases import Case, Tier
from reference_cnn.oracle.conditions import condition, scaled, seen_best, typical
from reference_cnn.oracle.diagnose import diagnose
from reference_cnn.oracle.judge import Failure, Kind, judge
from reference_cnn.oracle.layers import LAYERS, WINDOWED
from reference_cnn.oracle.other_dtypes import right_dtypes
from reference_cnn.oracle.purity import impurity, touched
from reference_cnn.oracle.report import Result, Verdict
from reference_cnn.oracle.shapes import more_calls
from reference_cnn.oracle.targets import keywords_missing
from reference_cnn.oracle.targets.ask import ask
from reference_cnn.oracle.workers import AskAll, Found, UnrepeatableError

PLAIN: tuple[Tier, ...] = ("exact", "rounding")


def examine(
    function: Callable[..., Any],
    asked: list[Case],
    effort: Effort | None,
    besides: list[Case],
    *,
    strict: bool,
    ask_all: AskAll | None = None,
) -> Result:
    """Ask all, see what is offered, ask more of that, judge, shrink, and diagnose.

    Without an effort, only what is asked is judged; the cases besides serve the diagnosis. `ask_all` has questions
    asked by workers; what is wrong is asked again here, and made smaller.

    Raises
    ------
    UnrepeatableError
        Workers have found what does not come again here, so that what was asked before must matter.
    """
    name = asked[0].function
    several = ask_all or (lambda function, cases: [Found.by(function, case, strict=strict) for case in cases])
    lacking = keywords_missing(function, {k for c in asked for k in c.keywords})
    questions = [c for c in asked if not lacking & set(c.keywords)]
    found = _found(several, function, questions)
    if "no b" in _refused(found):
        # A target that insists on a bias refuses each feature for want of one: ask again, with one.
        with_bias = [replace(f.case, call=f.case.call.with_bias()) for f in found if "no b" in f.case.call.features]
        questions += with_bias
        found += _found(several, function, with_bias)
    refused = _refused(found)

    def offered(feature: str) -> bool:
        return feature not in refused and keyword_of(feature) not in lacking

    if effort:
        more = _more(asked[0], offered, effort)
        questions += more
        found += _found(several, function, more)
    answered = [f.answer for f in found if f.answer.outcome == "answered"]
    omitted = [o for o in LAYERS[name].outputs if answered and all(a.outputs[o] is None for a in answered)]
    required = set(LAYERS[name].outputs) - set(omitted)
    of_offered = [_complete(f, required, strict=strict) for f in _offered_only(found, refused)]
    judged = [f for f in of_offered if f.informative]
    silent = len(of_offered) - len(judged)
    not_offered = (*omitted, *sorted(lacking | refused), *_combinations(found, refused))
    if not judged:
        nothing = () if silent else ("any call",) if found else not_offered
        return Result("missing", not_offered=nothing, uninformative=silent)
    wrong = [f for f in judged if f.judgement.failure]
    failures = [f.judgement.failure for f in wrong if f.judgement.failure] or _impurities(function, found)
    notes = tuple(dict.fromkeys(f.judgement.note for f in judged if f.judgement.note))
    if not failures:
        worst = max(f.judgement.worst for f in judged)
        return Result("pass", len(judged), worst, not_offered, notes=notes, uninformative=silent)
    first = min(failures, key=lambda f: (get_args(Kind).index(f.kind), get_args(Tier).index(f.case.tier), f.case.size))
    if ask_all and any(f.case == first.case and not _comes_again(function, f) for f in wrong):
        raise UnrepeatableError

    def attempt(case: Case) -> Failure | None:
        if case.tier == "exact" and not numbers.exact(case):
            return None
        answer = ask(function, case)
        unjudged = answer.outcome in ("not implemented", "not asked")
        return None if unjudged else judge(case, answer, required, strict=strict).failure

    # Each attempt at a smaller case that crashes or hangs would cost a start or the time limit.
    as_it_is = effort is None or first.kind in ("crash", "hang") or bool(first.remedy)
    failure = first if as_it_is else _smallest(first, attempt, offered)
    also = [Found.by(function, c, strict=strict) for c in besides if not lacking & set(c.keywords)]
    offered_answers = [(f.case, f.answer) for f in (*of_offered, *_offered_only(also, _refused(also)))]
    more_questions = _more(asked[0], offered, effort or PROFILES["standard"], 2)
    named = diagnose(offered_answers, lambda c: ask(function, c), more_questions)
    failure = replace(failure, diagnosis=failure.diagnosis or named)
    right_in = "" if as_it_is or failure.diagnosis else right_dtypes(function, found, wrong, required, strict=strict)
    failure = _described(failure, of_offered, right_in)
    verdict: Verdict = "fail" if answered or failure.kind != "exception" else "error"
    unasked = len(questions) - len(found)
    return Result(verdict, len(judged), np.inf, not_offered, failure, len(failures), unasked, notes, silent)


def _smallest(failure: Failure, attempt: Callable[[Case], Failure | None], offered: Offered) -> Failure:
    """`shrink.smallest`: with Hypothesis, which every process would take as long to import as NumPy."""
    smallest: Callable[..., Failure] = import_module("reference_cnn.oracle.shrink").smallest
    return smallest(failure, attempt, offered)


def _found(several: AskAll, function: Callable[..., Any], questions: list[Case]) -> list[Found]:
    """Ask; leave out what was not asked, since the target has died too often [PROTO-C3]."""
    return [f for f in several(function, questions) if f.answer.outcome != "not asked"]


def _complete(found: Found, required: set[str], *, strict: bool) -> Found:
    """Judge anew where an output is absent that other calls have: before all were asked, nobody could know."""
    answer = found.answer
    if answer.outcome != "answered" or all(answer.outputs[output] is not None for output in required):
        return found
    judgement = judge(found.case, answer, required, strict=strict)
    return found._replace(judgement=judgement, informative=True)


def _comes_again(function: Callable[..., Any], found: Found) -> bool:
    """Whether a worker's answer is what is answered here: where it is not, what was asked before it must matter."""
    again = ask(function, found.case)
    return (again.outcome, again.error) == (found.answer.outcome, found.answer.error) and all(
        np.asarray(a).tobytes() == np.asarray(again.outputs[name]).tobytes() for name, a in found.answer.outputs.items()
    )


def _described(shown: Failure, found: list[Found], right_in: str) -> Failure:
    """Say in which cases it is wrong, or which factor or pattern these have in common; and give one to look at."""
    failures = [f.judgement.failure for f in found if f.judgement.failure]
    if shown.diagnosis:
        return replace(shown, larger=seen_best(failures, shown))
    when, larger = condition([(f.case, f.judgement.failure is not None) for f in found]) or scaled(failures), None
    if not when:
        when, larger = typical(failures, shown)
    condition_in_words = " ".join(filter(None, (when, right_in)))
    return replace(shown, condition=condition_in_words, larger=larger or seen_best(failures, shown))


def _impurities(function: Callable[..., Any], found: list[Found]) -> list[Failure]:
    """Look at what else the function does.

    At everything in a small call of each kind and feature, one with most, and a large one; at its arguments in all.
    """
    # Of a call that was asked with several kinds of numbers the last: rounding leaves whole ones as they are.
    calls = {f.case.call: f.case for f in found if f.answer.outcome == "answered"}
    answered = sorted(calls.values(), key=lambda c: c.size)
    simple = sorted(answered, key=lambda c: len(c.call.features))
    kinds = {_kind(case): case for case in answered[::-1]}
    features = {feature: case for case in simple[::-1] for feature in case.call.features}
    asked = dict.fromkeys([*kinds.values(), *features.values(), *answered[-1:], *simple[-1:]])
    impure = [impurity(function, case) for case in asked]
    others = [case for case in answered if case.tier != "special" and case not in asked]
    return [failure for failure in impure if failure] or list(touched(function, others))


def _kind(case: Case) -> tuple[Any, ...]:
    """What calls have in common that may be answered by code of their own: small kernels, alike shapes, few axes."""
    alike = len(set(case.shapes.values())) < len(case.shapes)
    if LAYERS[case.function].family not in WINDOWED:
        shapes = list(case.shapes.values())
        return alike, len(shapes[0]), any(1 in shape for shape in shapes)
    windows = windows_of(case.call)
    small = len(set(windows.kernel)) == 1 and windows.kernel[0] <= 3
    return alike, windows.out == case.shapes["x"][2:], windows.kernel if small else ()


def _offered_only(found: list[Found], refused: set[str]) -> list[Found]:
    """Answers to calls that the target offers."""
    return [f for f in found if f.answer.outcome != "not implemented" and not refused & f.case.call.features]


def _more(case: Case, offered: Offered, effort: Effort, batch: int = 1) -> list[Case]:
    """Cases drawn from what the target offers, so that every pair of features that it has is asked about."""
    calls = more_calls(case.function, numpy_draw(case.seed, case.rank, batch), case.rank, offered, effort)
    questions = [replace(case, call=call, tier=tier) for call in calls for tier in PLAIN]
    return [question for question in questions if question.tier != "exact" or numbers.exact(question)]


def _refused(found: list[Found]) -> set[str]:
    """Features with which every call that tells is refused, while calls without them are answered."""
    refused = set()
    for feature in sorted({feature for f in found for feature in f.case.call.features}):
        having = [f for f in found if feature in f.case.call.features]
        # Who refuses groups may accept one, and who wants equal strides may accept them for each axis.
        having = [f for f in having if f.case.call.tells(feature)] or having
        others = [f.answer.outcome == "answered" for f in found if feature not in f.case.call.features]
        if all(f.answer.outcome in ("refused", "not implemented") for f in having) and any(others):
            refused.add(feature)
    return refused


def _combinations(found: list[Found], refused: set[str]) -> list[str]:
    """What the calls that are "not implemented" for no single feature have in common, as the target says it."""
    outcomes = [(f.case.call.features, f.answer.outcome) for f in found]
    left = [features for features, outcome in outcomes if outcome == "not implemented" and not refused & features]
    answered = [features for features, outcome in outcomes if outcome == "answered"]
    pairs = {
        p for features in left for p in combinations(sorted(features), 2) if not any(set(p) <= f for f in answered)
    }
    unexplained = [features for features in left if not any(set(p) <= features for p in pairs)]
    return [" with ".join(p) for p in sorted(pairs)] + [f"{len(unexplained)} other calls"] * bool(unexplained)
