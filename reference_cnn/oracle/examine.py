"""Ask one function everything, and put the answers together into a verdict."""

from collections.abc import Callable
from dataclasses import replace
from importlib import import_module
from typing import Any, get_args

import numpy as np

from reference_cnn.oracle import numbers, offers
from reference_cnn.oracle.arranged import rearranged
from reference_cnn.oracle.call import PROFILES, Effort, Offered, windows_of
from reference_cnn.oracle.cases import Case, Tier
from reference_cnn.oracle.conditions import condition, confined, otherwise_wrong, scaled, seen_best, typical
from reference_cnn.oracle.diagnose import diagnose
from reference_cnn.oracle.judge import Failure, Kind, judge
from reference_cnn.oracle.layers import LAYERS, WINDOWED
from reference_cnn.oracle.otherwise import right_dtypes, right_within
from reference_cnn.oracle.purity import impurity, touched
from reference_cnn.oracle.readings import misread
from reference_cnn.oracle.report import Result, Verdict
from reference_cnn.oracle.targets.ask import ask
from reference_cnn.oracle.targets.layout import layout_of
from reference_cnn.oracle.workers import AskAll, Found, UnrepeatableError


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
    ask_each = ask_all or (lambda function, cases: [Found.by(function, case, strict=strict) for case in cases])
    inquiry = offers.inquire(function, asked, effort, ask_each)
    found, offered = inquiry.found, inquiry.offered
    answered = [f.answer for f in found if f.answer.outcome == "answered"]
    omitted = [o for o in LAYERS[name].outputs if answered and all(a.outputs[o] is None for a in answered)]
    required = set(LAYERS[name].outputs) - set(omitted)
    answers = [_complete(f, required, strict=strict) for f in offers.of_offered(found)]
    judged = [f for f in answers if f.informative]
    silent = len(answers) - len(judged)
    not_offered = (*omitted, *inquiry.not_offered)
    if not judged:
        nothing = () if silent else ("any call",) if found else not_offered
        return Result("missing", not_offered=nothing, uninformative=silent)
    wrong = [f for f in judged if f.judgement.failure]
    failures = [f.judgement.failure for f in wrong if f.judgement.failure] or _impurities(function, found)
    notes = (*dict.fromkeys(f.judgement.note for f in judged if f.judgement.note), *inquiry.notes)
    if not failures:
        worst = max(f.judgement.worst for f in judged)
        return Result("pass", len(judged), worst, not_offered, notes=notes, uninformative=silent)
    first = min(failures, key=lambda f: (get_args(Kind).index(f.kind), get_args(Tier).index(f.case.tier), f.case.size))
    if ask_all and any(f.case == first.case and not _comes_again(function, f) for f in wrong):
        raise UnrepeatableError

    def attempt(case: Case) -> Failure | None:
        if (case.tier == "exact" and not numbers.exact(case)) or not all(map(offered, case.call.features)):
            return None
        answer = ask(function, case)
        unjudged = answer.outcome in ("not implemented", "not asked")
        return None if unjudged else judge(case, answer, required, strict=strict).failure

    # Each attempt at a smaller case that crashes or hangs would cost a start or the time limit.
    as_it_is = effort is None or first.kind in ("crash", "hang") or bool(first.remedy)
    failure = first if as_it_is else _smallest(first, attempt, offered)
    also = [Found.by(function, c, strict=strict) for c in besides if not inquiry.lacking & set(c.keywords)]
    offered_answers = [(f.case, f.answer) for f in (*answers, *offers.of_offered(also))]
    more_questions = offers.more(asked[0], offered, effort or PROFILES["standard"], 2)
    # Who does not have a convention that is accepted has not made the mistake of not having it.
    plainly = bool(first.case.accept) and all(_right_by_definition(f) for f in answers)
    named = () if plainly else diagnose(offered_answers, lambda c: ask(function, c), more_questions)
    failure = replace(failure, diagnosis=failure.diagnosis or named)
    if plainly:
        failure = _unconventional(failure)
    elif not failure.diagnosis and not failure.remedy:
        failure = rearranged(failure, answers, layout_of(function))
        # Who takes arguments for something else is wrong in most calls.
        if not failure.remedy and 2 * len(wrong) >= len(judged):
            failure = misread(failure, function, wrong)
    if not failure.condition:
        unexplained = not failure.diagnosis and not failure.remedy
        in_dtypes = (
            right_dtypes(function, found, wrong, required, strict=strict) if unexplained and not as_it_is else ""
        )
        failure = _described(failure, answers, in_dtypes, right_within(wrong) if unexplained else "")
    verdict: Verdict = "fail" if answered or failure.kind != "exception" else "error"
    unasked, wrong_cases = len(inquiry.questions) - len(found), len({f.case for f in failures})
    return Result(verdict, len(judged), np.inf, not_offered, failure, wrong_cases, unasked, notes, silent)


def _smallest(failure: Failure, attempt: Callable[[Case], Failure | None], offered: Offered) -> Failure:
    """`shrink.smallest`: with Hypothesis, which every process would take as long to import as NumPy."""
    smallest: Callable[..., Failure] = import_module("reference_cnn.oracle.shrink").smallest
    return smallest(failure, attempt, offered)


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


def _described(shown: Failure, found: list[Found], *right_in: str) -> Failure:
    """Say in which cases it is wrong, or which factor or pattern these have in common; and give one to look at."""
    failures = [f.judgement.failure for f in found if f.judgement.failure]
    if shown.diagnosis:
        return replace(shown, larger=seen_best(failures, shown))
    judged = [(f.case, f.judgement.failure is not None) for f in found]
    where, pattern, larger = " ".join(filter(None, (condition(judged, shown.case), scaled(failures)))), "", None
    if not where:
        where, (pattern, larger) = confined(judged, shown.case), typical(failures, shown)
    condition_in_words = " ".join(filter(None, (where, pattern, *right_in, otherwise_wrong(failures, shown))))
    return replace(shown, condition=condition_in_words, larger=larger or seen_best(failures, shown))


def _right_by_definition(found: Found) -> bool:
    return judge(replace(found.case, accept=()), found.answer).failure is None


def _unconventional(failure: Failure) -> Failure:
    names = " or ".join(failure.case.accept)
    remedy = f"Judge this function without --accept {names}."
    said = f"Right by the definition itself, not by {names}."
    return replace(failure, condition=said, remedy=remedy, otherwise="ORC-D10")


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
    plain = [case for case in answered if case.tier != "special"]
    return [failure for failure in impure if failure] or list(touched(function, plain))


def _kind(case: Case) -> tuple[Any, ...]:
    """What calls have in common that may be answered by code of their own: small kernels, alike shapes, few axes."""
    alike = len(set(case.shapes.values())) < len(case.shapes)
    if LAYERS[case.function].family not in WINDOWED:
        shapes = list(case.shapes.values())
        return alike, len(shapes[0]), any(1 in shape for shape in shapes)
    windows = windows_of(case.call)
    small = len(set(windows.kernel)) == 1 and windows.kernel[0] <= 5
    return alike, windows.out == case.shapes["x"][2:], windows.kernel if small else ()
