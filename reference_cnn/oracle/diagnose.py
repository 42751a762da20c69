"""Which known mistake explains the answers: one that reproduces every one of them, or none."""

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import combinations, permutations
from typing import NamedTuple

import numpy as np

from reference_cnn.oracle import bounds
from reference_cnn.oracle.call import TIES
from reference_cnn.oracle.cases import Case
from reference_cnn.oracle.evidence import Explanation, Observation, Outputs
from reference_cnn.oracle.judge import judge
from reference_cnn.oracle.layers import LAYERS
from reference_cnn.oracle.mistakes import of_function
from reference_cnn.oracle.targets.ask import Answer

Answers = Sequence[tuple[Case, Answer]]
# Cases of fewer elements agree too easily.
TINY = 40
# Larger cases cost too much to answer in so many wrong ways.
LARGE = 10_000
# So few mistakes are paired without looking whether what the one changes alone is right.
FEW = 30
# How many further questions may be asked to tell two explanations apart.
QUESTIONS = 4
# Dtypes in which somebody may have computed, or formed sums, who should have done so in a wider one.
NARROWER = {
    "float64": ("float32",),
    "float32": ("float16", "bfloat16"),
    "float16": ("float16",),
    "bfloat16": ("bfloat16",),
}

# What a maximum must not start from a finite number for.
LOWEST = ("-inf", "x")

# Functions that add up.
SUMS = ("conv", "dense", "max pool", "average pool", "error")


def diagnose(
    answers: Answers,
    ask: Callable[[Case], Answer] | None = None,
    more: Iterable[Case] = (),
) -> tuple[str, ...]:
    """Return the known mistakes, and if no single one does, the pairs, that reproduce every answer; best first.

    Parameters
    ----------
    answers : sequence of (Case, Answer)
        Everything that one function was asked, in order, without calls that it does not offer; large cases are
        passed over.
    ask : callable, optional
        Asks the function one more question.
    more : iterable of Case
        Questions that may be asked to tell two explanations apart.

    Returns
    -------
    tuple of str
        Ids of mistakes, two of them joined by "+". Empty where nothing in the catalogue explains every answer.
    """
    every = [_observed(case, answer) for case, answer in answers]
    seen = [o for o in every if o.compared]
    # An exception is no evidence: a mistake has to reproduce a wrong number.
    if not any(o.wrong and o.outputs is not None for o in seen):
        return ()
    exact = [o for o in seen if o.case.exact]
    telling = exact if any(o.wrong for o in exact) else seen
    singles = _singles(seen)
    found = _explaining(singles, telling, every) or _explaining(
        [replace(e, native=True) for e in singles], telling, every
    )
    if found and telling is exact:
        # What has a memory was asked everything, the others whole numbers only.
        others = [o for o in seen if not o.case.exact]
        all_of_it = [e for e in found if e.stateful or _reproduces(e, others, told=True)]
        all_of_it = all_of_it or _with_another(found[0], singles, seen, every)
        found = all_of_it or [e for e in found if _roughly(e, seen)]
    if not found:
        found = [e for e in _explaining(_pairs(singles, telling), telling, every) if _roughly(e, seen)]
    found = _told_apart(found, ask, more)
    return tuple(dict.fromkeys(e.name for e in found)) or _narrow(seen)


def _observed(case: Case, answer: Answer) -> Observation:
    """A large case costs too much; a NaN that should not be there, or should, is no mistake of the catalogue."""
    special = (None, TIES, LOWEST) if case.function == "max_pool_forward" else (None, TIES)
    compared = case.size <= LARGE and case.call.special in special
    return Observation(case, answer, compared and judge(case, answer).failure is not None, compared)


def _singles(seen: Sequence[Observation]) -> list[Explanation]:
    case = seen[0].case
    known = [m for m in of_function(case.function) if m.id not in case.accept]
    return [Explanation.of((m, wrap)) for m in known for wrap in m.wraps[case.function]]


def _explaining(
    candidates: Iterable[Explanation], telling: Sequence[Observation], every: Sequence[Observation]
) -> list[Explanation]:
    """Those that reproduce everything, in the order of the catalogue; what has a memory is asked it all again."""
    order = _most_telling_first(telling)
    return [e for e in candidates if _reproduces(e, every if e.stateful else order)]


def _most_telling_first(telling: Sequence[Observation]) -> list[Observation]:
    """Wrong numbers first, with many features at once; small cases before large ones, but not tiny ones."""
    return sorted(telling, key=_bluntness)


def _bluntness(o: Observation) -> tuple[bool, bool, int, bool, int]:
    return not o.wrong, o.loud(o.outputs), -len(o.case.call.features), o.case.size < TINY, o.case.size


def _reproduces(explanation: Explanation, order: Sequence[Observation], *, told: bool = False) -> bool:
    """Whether it reproduces every answer, and a wrong one by its numbers, unless it has done so before."""
    if not order:
        return told
    # Made once: it may have a memory.
    function = explanation.implementation(order[0].case)
    for observation in order:
        predicted = observation.predict(function, native=explanation.native)
        if not observation.compared:
            continue
        if not observation.agrees(predicted, explanation):
            return False
        told = told or observation.tells(predicted, explanation)
    return told


def _roughly(explanation: Explanation, seen: Sequence[Observation]) -> bool:
    """Whether answers to real numbers, too, are those predicted but for digits that are lost besides."""
    function = explanation.implementation(seen[0].case)
    return explanation.stateful or all(o.near(o.predict(function, native=explanation.native)) for o in seen)


def _with_another(
    first: Explanation, singles: Sequence[Explanation], seen: Sequence[Observation], every: Sequence[Observation]
) -> list[Explanation]:
    """The first with one more mistake, made before or after it, that changes what it answers."""
    others = [e for e in singles if e.steps[0][0] is not first.steps[0][0]]
    both = [Explanation.of(*a.steps, *b.steps) for e in others for a, b in ((first, e), (e, first))]
    return [e for e in _explaining(both, seen, every) if _differ(e, first, seen)]


def _differ(one: Explanation, other: Explanation, seen: Sequence[Observation]) -> bool:
    """Whether two explanations foretell different answers to anything."""
    a, b = (e.implementation(seen[0].case) for e in (one, other))
    return any(not _alike(o, o.predict(a, native=one.native), o.predict(b, native=other.native), one) for o in seen)


class Probe(NamedTuple):
    """What a mistake does at one observation: outputs that it changes, and where that is what was answered."""

    changed: set[str]
    agreed: set[str]
    loud: bool


def _pairs(singles: Sequence[Explanation], telling: Sequence[Observation]) -> Iterator[Explanation]:
    """Pairs of mistakes, in both orders, that each change something, and only outputs that are wrong."""
    order = _most_telling_first(telling)
    affected = {name for o in telling if o.wrong for name in _changed(o, o.outputs)}
    # On exact numbers no arithmetic shows.
    exact = order[0].case.exact
    able = [e for e in singles if not (exact and e.native) and _concerns(e, order, affected)]
    probes = [_probe(e, order[0]) for e in able]
    untouched = set(order[0].right) - _changed(order[0], order[0].outputs)
    for (one, p), (other, q) in permutations(zip(able, probes), 2):
        if one.steps[0][0] is other.steps[0][0]:
            continue
        if len(able) <= FEW or _plausible(p, q, untouched, order[0]):
            yield Explanation.of(*one.steps, *other.steps)


def _probe(explanation: Explanation, o: Observation) -> Probe:
    predicted = o.predict(explanation.implementation(o.case), native=explanation.native)
    # What depends on the calls before says nothing about one call.
    if explanation.stateful or o.loud(predicted) or predicted is None or o.outputs is None:
        return Probe(set(), set(), True)
    agreed = {name for name, got in o.outputs.items() if got is None or o.same(got, predicted[name], explanation)}
    return Probe(_changed(o, predicted), agreed, False)


def _plausible(one: Probe, other: Probe, untouched: set[str], o: Observation) -> bool:
    """Whether two mistakes can explain the answer: what one of them alone changes must already agree."""
    if one.loud or other.loud:
        return True
    for name in o.outputs or ():
        by = [p for p in (one, other) if name in p.changed]
        if len(by) < 2 and name not in (by[0].agreed if by else untouched):
            return False
    return True


def _changed(o: Observation, answered: Outputs | None) -> set[str]:
    """The outputs that differ from the right ones; all of them where there is an exception."""
    if answered is None:
        return set(o.right)
    return {name for name, got in answered.items() if got is not None and not o.same(got, o.right[name])}


def _concerns(explanation: Explanation, order: Sequence[Observation], affected: set[str]) -> bool:
    """Whether a mistake changes anything, and where first it does, only what is wrong somewhere."""
    function = explanation.implementation(order[0].case)
    for o in order:
        changed = _changed(o, o.predict(function, native=explanation.native))
        if changed:
            return changed <= affected
    return False


def _told_apart(
    found: list[Explanation], ask: Callable[[Case], Answer] | None, more: Iterable[Case]
) -> list[Explanation]:
    """Ask further questions on which the explanations differ, and keep those that foretell the answers."""
    asked = 0
    for case in more if ask else ():
        if len({e.name for e in found}) < 2 or asked == QUESTIONS or any(e.stateful for e in found):
            break
        unknown = Observation(case, Answer("answered", {}), True)
        predicted = [unknown.predict(e.implementation(case), native=e.native) for e in found]
        if all(_alike(unknown, predicted[0], p) for p in predicted[1:]):
            continue
        asked += 1
        assert ask is not None
        known = replace(unknown, answer=ask(case))
        # An answer that nothing foretells means that it is no known mistake after all.
        found = [e for e, p in zip(found, predicted) if known.agrees(p, e)]
    return found


def _alike(o: Observation, one: Outputs | None, other: Outputs | None, explanation: Explanation | None = None) -> bool:
    """Whether two predictions are the same, as closely as an explanation is judged."""
    if one is None or other is None:
        return one is other
    return all(o.same(one[name], other[name], explanation) for name in one)


def _narrow(seen: Sequence[Observation]) -> tuple[str, ...]:
    """Whether all is right for sums formed in a narrower dtype, or for arguments that were rounded to it."""
    case, wrong = seen[0].case, [o for o in seen if o.wrong]
    if case.accumulate is not None or any(o.case.exact for o in wrong):
        return ()
    adds = LAYERS[case.function].family in SUMS and case.function not in bounds.SELECTING
    for narrow in NARROWER[case.dtype] if adds else ():
        # One wrong rounding of the right sum, such as cutting it off, is no narrow sum.
        if all(_fits(o, narrow) for o in wrong) and not (narrow == case.dtype and all(map(_cut_off, wrong))):
            return ("narrow-accumulation",)
    names = sorted({name for o in wrong for name in o.case.plain if name != "labels"})
    for narrow in NARROWER[case.dtype]:
        computed = all(_within(o, o.case.with_numbers(o.case.plain, narrow), digits=narrow) for o in wrong)
        subsets = [some for k in range(len(names)) for some in combinations(names, k + 1)]
        kept = (all(_within(o, _rounded(o.case, narrow, some)) for o in wrong) for some in subsets)
        if narrow != case.dtype and (computed or any(kept)):
            return ("narrow-arithmetic",)
    return ()


def _fits(o: Observation, narrow: str) -> bool:
    """Whether an answer is right for sums formed in a narrower dtype, or in the same where a wider one is owed."""
    case = replace(o.case, accumulate=narrow)
    # Arguments that were rounded to the narrower dtype first bring three more roundings to every product.
    return _within(o, case) if narrow == o.case.dtype else _within(o, case, slack=4, digits=narrow)


def _cut_off(o: Observation) -> bool:
    """Whether an answer lies no farther off than one unit in the last place, besides its bound."""
    unit = 2 * bounds.unit(o.case.dtype)
    return all(
        (np.abs(got.astype(np.float64) - e.value) <= unit * np.abs(e.value) + e.bound).all()
        for e, got in ((o.case.expected[name], got) for name, got in (o.outputs or {}).items() if got is not None)
    )


def _within(o: Observation, case: Case, slack: float = 1, digits: str | None = None) -> bool:
    """Whether an answer is right for another case, and has the digits of a narrower dtype."""
    if o.outputs is None or o.loud(o.outputs):
        return False
    for name, got in o.outputs.items():
        if got is not None:
            if got.dtype.kind == "c":
                return False
            wide = got.astype(np.float64)
            with np.errstate(over="ignore"):
                if digits and not np.array_equal(wide, wide.astype(digits)):
                    return False
            if not (np.abs(wide - case.expected[name].value) <= slack * case.expected[name].bound).all():
                return False
    return True


def _rounded(case: Case, narrow: str, names: Collection[str]) -> Case:
    """The same case with some arguments rounded to a narrower dtype."""
    with np.errstate(over="ignore"):
        return case.with_numbers({n: a.astype(narrow) if n in names else a for n, a in case.plain.items()})
