"""Ask a target everything, one function after the other, and put the verdicts together."""

import shlex
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import combinations
from typing import Any, get_args

import numpy as np

from reference_cnn.oracle import notation
from reference_cnn.oracle.cases import Case, Tier, cases
from reference_cnn.oracle.diagnose import diagnose
from reference_cnn.oracle.judge import Failure, Kind, judge
from reference_cnn.oracle.layers import LAYERS
from reference_cnn.oracle.report import Report, Result, Verdict
from reference_cnn.oracle.shapes import Call, keyword_of, more_calls, numpy_draw
from reference_cnn.oracle.shrink import smallest
from reference_cnn.oracle.targets import Target, TargetError, UsageError, keywords_missing, load
from reference_cnn.oracle.targets.ask import Answer, ask


def check(
    target: Any,
    *,
    functions: Sequence[str] | None = None,
    dtype: str = "float64",
    rank: int = 2,
    accumulate: str | None = None,
    case: str | None = None,
    accept: Sequence[str] = (),
    seed: int = 0,
    progress: Callable[[str], None] = lambda function: None,
) -> Report:
    """Judge an implementation of the layers: whether it is right, and if not, on which smallest input it is wrong.

    Parameters
    ----------
    target : module, object, mapping, path or str
        It offers any subset of the six functions under their names and signatures; arrays are passed by position.
        A str is a built-in name ("reference", "loops", "article", "scipy", "onnx"), a path that ends with .py, or the
        dotted name of a module.
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
    accept : sequence of str
        Conventions, by their ids in the catalogue of mistakes, by which answers are judged, as "flipped-kernel".
    seed : int
        Draws other shapes, options and numbers; at least 0.
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
    found = load(target)
    wanted = functions or LAYERS
    standard = {
        f: cases(f, dtype=dtype, rank=rank, seed=seed, accumulate=accumulate, accept=tuple(accept)) for f in wanted
    }
    questions = standard if case is None else _one_question(standard, case)
    if not any(f in found.functions for f in questions):
        raise TargetError(f"{found.name} offers none of {', '.join(questions)}, so there is nothing to judge")
    results = {}
    for name, asked in questions.items():
        progress(name)
        # A case that is given alone tells mistakes apart badly; the standard ones are asked too, for the diagnosis.
        besides = standard[name] if case is not None else None
        results[name] = _examine(found, asked, besides) if name in found.functions else Result("missing")
    return Report(found.name, dtype, seed, results)


def _one_question(standard: dict[str, list[Case]], text: str) -> dict[str, list[Case]]:
    """The case of this text for each function that it fits, in each tier that the function has."""
    call = notation.read(text)
    questions = {}
    for name, asked in standard.items():
        if _fits(name, call):
            questions[name] = [replace(c, call=call) for c in {c.tier: c for c in asked}.values()]
            try:
                # What the reference refuses is no question.
                _ = [question.expected for question in questions[name]]
            except (ValueError, TypeError, MemoryError) as error:
                raise UsageError(f"check: case {text!r}: {error}") from error
    if not questions:
        raise UsageError(
            f"check: case {text!r} fits none of {', '.join(standard)}; a convolution has x and w of three or more "
            "axes, a dense layer x and w of two, both may have b in the forward pass, an activation has z"
        )
    return questions


def _fits(function: str, call: Call) -> bool:
    shapes = dict(call.shapes)
    if function.startswith("sigmoid"):
        return set(shapes) == {"z"} and not call.options
    if call.options and not function.startswith("conv"):
        return False
    needed = {"x", "w"} | ({"b"} & set(shapes) if "b" in LAYERS[function].arguments else set())
    return set(shapes) == needed and (len(shapes["x"]) > 2) == function.startswith("conv")


def _examine(target: Target, asked: list[Case], besides: list[Case] | None) -> Result:
    """Ask all, see what is offered, ask more of that, judge, and shrink the first failure; one case stays alone."""
    name, one = asked[0].function, besides is not None
    function = target.functions[name]
    lacking = keywords_missing(function, {k for c in asked for k in c.keywords})
    answers = [(c, ask(function, c)) for c in asked if not lacking & set(c.keywords)]
    if "no b" in _refused(answers):
        # A target that insists on a bias refuses each feature for want of one: ask again, with one.
        with_bias = [replace(c, call=c.call.with_bias()) for c, _ in answers if "no b" in c.call.features]
        answers += [(c, ask(function, c)) for c in with_bias]
    refused = _refused(answers)

    def offered(feature: str) -> bool:
        return feature not in refused and keyword_of(feature) not in lacking

    if not one:
        answers += [(c, ask(function, c)) for c in _more(asked[0], offered)]
    answered = [a for _, a in answers if a.outcome == "answered"]
    omitted = [o for o in LAYERS[name].outputs if answered and all(a.outputs[o] is None for a in answered)]
    required = set(LAYERS[name].outputs) - set(omitted)
    offered_answers = _offered_only(answers, refused)
    judged = [judge(c, a, required) for c, a in offered_answers]
    not_offered = (*omitted, *sorted(lacking | refused), *_combinations(answers, refused))
    if not judged:
        return Result("missing", not_offered=not_offered or ("any call",))
    failures = [j.failure for j in judged if j.failure]
    if not failures:
        return Result("pass", len(judged), max(j.worst for j in judged), not_offered)
    first = min(failures, key=lambda f: (get_args(Kind).index(f.kind), f.case.tier != "exact", f.case.size))

    def attempt(case: Case) -> Failure | None:
        answer = ask(function, case)
        return None if answer.outcome == "not implemented" else judge(case, answer, required).failure

    failure = first if one else smallest(first, attempt, offered)
    if besides:
        also = [(c, ask(function, c)) for c in besides if not lacking & set(c.keywords)]
        offered_answers += _offered_only(also, _refused(also))
    named = diagnose(offered_answers, lambda c: ask(function, c), _more(asked[0], offered, 2))
    failure = replace(failure, reproduce=_reproduce(target, failure.case), diagnosis=named)
    verdict: Verdict = "fail" if answered or failure.kind != "exception" else "error"
    return Result(verdict, len(judged), np.inf, not_offered, failure, len(failures))


def _offered_only(answers: list[tuple[Case, Answer]], refused: set[str]) -> list[tuple[Case, Answer]]:
    """Answers to calls that the target offers."""
    return [(c, a) for c, a in answers if a.outcome != "not implemented" and not refused & c.call.features]


def _more(case: Case, offered: Callable[[str], bool], batch: int = 1) -> list[Case]:
    """Cases drawn from what the target offers, so that every pair of features that it has is asked about."""
    draw = numpy_draw(case.seed, case.rank, batch)
    calls = more_calls(case.function, case.rank, draw, offered)
    return [replace(case, call=call, tier=tier) for call in calls for tier in get_args(Tier)]


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
    options: dict[str, tuple[Any, Any]] = {
        "dtype": (case.dtype, "float64"),
        "accumulate": (case.accumulate, None),
        "seed": (case.seed, 0),
    }
    changed = {name: value for name, (value, default) in options.items() if value != default}
    if target.command is None:
        changed |= {"accept": list(case.accept)} if case.accept else {}
        words = [f"functions=[{case.function!r}]", f"case={case.text!r}"] + [f"{k}={v!r}" for k, v in changed.items()]
        return f"check(target, {', '.join(words)})"
    flags = "".join(f" --{k} {v}" for k, v in changed.items()) + "".join(f" --accept {name}" for name in case.accept)
    where = shlex.quote(target.command)
    return f'reference-cnn check {where} --only {case.function} --case "{case.text}"{flags}'
