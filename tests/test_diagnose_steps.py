"""How an explanation is found, step by step, with mistakes made for the purpose."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from strategies import Array

from reference_cnn import dense_backward, dense_forward
from reference_cnn.dense import DenseGradients
from reference_cnn.oracle import Case
from reference_cnn.oracle.diagnose import (
    FEW,
    QUESTIONS,
    Probe,
    _alike,
    _changed,
    _concerns,
    _differ,
    _fits,
    _narrow,
    _pairs,
    _plausible,
    _probe,
    _reproduces,
    _told_apart,
    _with_another,
)
from reference_cnn.oracle.evidence import Explanation, Observation
from reference_cnn.oracle.layers import LAYERS
from reference_cnn.oracle.mistakes import MISTAKES, Mistake
from reference_cnn.oracle.notation import read
from reference_cnn.oracle.targets.ask import Answer

Change = Callable[[Any], Any]
IDS = [name for name, m in MISTAKES.items() if "dense_backward" in m.functions]
FORWARD, BACKWARD = (Case(f"dense_{way}", read("x=2x3 w=3x2")) for way in ("forward", "backward"))
REAL = replace(FORWARD, tier="rounding", dtype="float32")


def mistake(number: int = 0, *, native: bool = False, stateful: bool = False) -> Mistake:
    """One of the catalogue in name only."""
    return replace(MISTAKES[IDS[number]], native=native, stateful=stateful)


def changing(change: Change, of: Mistake | None = None) -> Explanation:
    """The mistake to change the answer so."""
    return Explanation.of((of or mistake(), lambda below: lambda *a, **o: change(below(*a, **o))))


def gradient(name: str, change: Change, of: Mistake | None = None) -> Explanation:
    return changing(lambda g: g._replace(**{name: change(g._asdict()[name])}), of)


def answered(case: Case, *explanations: Explanation, wrong: bool = True, compared: bool = True) -> Observation:
    """What the reference answers with these mistakes in it, the last upon the first."""
    steps = [step for e in explanations for step in e.steps]
    answer = Explanation.of(*steps).implementation(case)(*case.arguments.values())
    outputs = answer._asdict() if isinstance(answer, DenseGradients) else {"z": answer}
    return Observation(case, Answer("answered", outputs), wrong, compared)


def raised(case: Case) -> Observation:
    return Observation(case, Answer("failed", {}, "out of order"), wrong=True)


def identity(z: Any) -> Any:
    return z


def longer(a: Array) -> Array:
    return np.concatenate([a, a])


DOUBLED, PLUS = changing(lambda z: 2 * z), changing(lambda z: z + 1, mistake(1))


@pytest.mark.spec("ORC-D9")
def test_one_question_is_enough_and_every_answer_that_is_compared_counts() -> None:
    good, right = answered(FORWARD, DOUBLED), answered(FORWARD, wrong=False)
    assert _reproduces(DOUBLED, [good])
    assert not _reproduces(PLUS, [good])
    assert not _reproduces(DOUBLED, [good, right])
    skipped = answered(FORWARD, compared=False)
    assert _reproduces(DOUBLED, [good, skipped])
    assert not _reproduces(DOUBLED, [good, skipped, right])
    # Nothing wrong, nothing told.
    assert not _reproduces(changing(identity), [right])
    assert not _reproduces(changing(longer), [raised(FORWARD)])


def small_shift(case: Case) -> tuple[Array, Any]:
    """Move the smallest number by what is a rounding beside the largest, and none beside itself."""
    right = case.expected["z"].value.astype(case.dtype)
    place = np.unravel_index(np.abs(right).argmin(), right.shape)
    unit = np.finfo(case.dtype).eps / 2 * np.abs(right).max()

    def shift(z: Array) -> Array:
        z = z.copy()
        z[place] += 6 * unit
        return z

    return right, shift


@pytest.mark.spec("ORC-D9")
def test_mistakes_of_the_arithmetic_are_compared_number_by_number() -> None:
    _, shift = small_shift(REAL)
    native, loose = changing(shift, mistake(native=True)), changing(shift)
    shifted, plain = answered(REAL, native), answered(REAL)
    assert _reproduces(native, [shifted])
    assert not _reproduces(loose, [shifted])
    assert not _reproduces(native, [plain])
    assert not _reproduces(native, [shifted, plain])
    nothing = changing(identity, mistake(1, native=True))
    assert _differ(native, nothing, [plain])
    assert not _differ(loose, nothing, [plain])
    assert not _differ(nothing, changing(identity), [plain])


@pytest.mark.spec("ORC-D9")
@pytest.mark.parametrize("one", [True, False])
def test_explanations_differ_where_they_foretell_something_else_each_in_its_own_arithmetic(one: bool) -> None:
    def in_float32(below: Any) -> Any:
        return lambda x, w: below(x, w) * (2 if x.dtype == np.float32 else 1)

    native = Explanation.of((mistake(native=True), in_float32))
    plain = changing(identity, mistake(1))
    assert _differ(*((native, plain) if one else (plain, native)), [answered(REAL)])
    assert not _differ(replace(native, native=False), plain, [answered(REAL)])


@pytest.mark.spec("ORC-D9")
def test_another_mistake_is_another_than_the_first_and_changes_something() -> None:
    both = answered(FORWARD, DOUBLED, PLUS)
    found = _with_another(DOUBLED, [DOUBLED, PLUS], [both], [both])
    assert [e.steps for e in found] == [DOUBLED.steps + PLUS.steps]
    reverse = answered(FORWARD, PLUS, DOUBLED)
    found = _with_another(DOUBLED, [PLUS], [reverse], [reverse])
    assert [e.steps for e in found] == [PLUS.steps + DOUBLED.steps]
    # The same mistake made in another way, and one that does nothing, are none.
    again = changing(lambda z: z + 1, DOUBLED.steps[0][0])
    assert _with_another(DOUBLED, [DOUBLED, again], [both], [both]) == []
    nothing = changing(identity, mistake(1))
    alone = answered(FORWARD, DOUBLED)
    assert _with_another(DOUBLED, [nothing], [alone], [alone]) == []


def names(pairs: Iterator[Explanation]) -> list[tuple[str, ...]]:
    return [tuple(m.id for m, _ in e.steps) for e in pairs]


@pytest.mark.spec("ORC-D9")
def test_pairs_change_only_what_is_wrong_somewhere() -> None:
    dx, dw, db = (gradient(n, lambda a: 3 * a, mistake(i)) for i, n in enumerate(("dx", "dw", "db")))
    nothing = changing(identity, mistake(3))
    seen = answered(BACKWARD, dx, dw)
    assert names(_pairs([dx, dw, db, nothing], [seen])) == [(IDS[0], IDS[1]), (IDS[1], IDS[0])]
    assert names(_pairs([dx, dw, db], [raised(BACKWARD)])) == names(
        _pairs([dx, dw, db], [answered(BACKWARD, dx, dw, db)])
    )
    assert len(names(_pairs([dx, dw, db], [raised(BACKWARD)]))) == 6
    # In two ways it is one mistake all the same; what is right elsewhere is wrong here.
    other_way = gradient("dw", lambda a: 3 * a, dx.steps[0][0])
    assert names(_pairs([dx, other_way], [seen])) == []
    elsewhere = answered(replace(BACKWARD, seed=1), db, wrong=False)
    assert len(names(_pairs([dx, dw, db], [seen, elsewhere]))) == 2
    assert len(names(_pairs([dx, dw, db], [seen, replace(elsewhere, wrong=True)]))) == 6


@pytest.mark.spec("ORC-D9")
def test_arithmetic_is_paired_on_real_numbers_only() -> None:
    double, native = changing(lambda z: 2 * z), changing(lambda z: z * 3, mistake(1, native=True))
    for case, count in ((FORWARD, 0), (REAL, 2)):
        assert len(names(_pairs([double, native], [answered(case, double, native)]))) == count


@pytest.mark.spec("ORC-D9")
@pytest.mark.parametrize(("others", "count"), [(FEW - 2, 2), (FEW - 1, 0)])
def test_of_many_mistakes_those_are_paired_that_can_explain_the_first_answer(others: int, count: int) -> None:
    """What dx of the one is, alone, is not what was answered; the mistakes between them are of the same id."""
    seen = answered(BACKWARD, gradient("dx", lambda a: 3 * a), gradient("dw", lambda a: 3 * a, mistake(1)))
    wrong_dx = gradient("dx", lambda a: 4 * a)
    ways = [gradient("dw", lambda a: 3 * a, mistake(1))] + [
        gradient("dx", lambda a: 5 * a, wrong_dx.steps[0][0]) for _ in range(others)
    ]
    assert len(names(_pairs([wrong_dx, *ways], [seen]))) == (count and 2 * (others + 1))


@pytest.mark.spec("ORC-D9")
def test_a_probe_says_what_changes_and_what_is_as_answered() -> None:
    dx, dw = (gradient(n, lambda a: 3 * a) for n in ("dx", "dw"))
    seen = answered(BACKWARD, dx)
    assert _probe(dx, seen) == Probe({"dx"}, {"dx", "dw", "db"}, False)
    assert _probe(dw, seen) == Probe({"dw"}, {"db"}, False)
    absent = replace(seen, answer=Answer("answered", {**seen.answer.outputs, "dx": None}))
    assert _probe(dw, absent) == Probe({"dw"}, {"dx", "db"}, False)
    loud = Probe(set(), set(), True)
    assert _probe(changing(longer), answered(FORWARD)) == loud
    assert _probe(dx, raised(BACKWARD)) == loud

    def refuses(answer: Any) -> Any:
        raise ValueError

    assert _probe(changing(refuses), seen) == loud
    assert _probe(gradient("dx", lambda a: 3 * a, mistake(stateful=True)), seen) == loud
    # In the arithmetic that the explanation has.
    of_float32 = Explanation.of(
        (mistake(native=True), lambda below: lambda x, w: below(x, w) * (x.dtype.itemsize == 4))
    )
    assert _probe(of_float32, answered(REAL)).agreed == {"z"}
    assert _probe(replace(of_float32, native=False), answered(REAL)).agreed == set()
    # As closely as the explanation is judged.
    _, shift = small_shift(REAL)
    assert _probe(changing(shift, mistake(native=True)), answered(REAL)).agreed == set()
    assert _probe(changing(shift), answered(REAL)).agreed == {"z"}


@pytest.mark.spec("ORC-D9")
def test_a_pair_is_plausible_if_what_only_one_changes_is_as_answered() -> None:
    seen = answered(BACKWARD, gradient("dx", lambda a: 3 * a), gradient("dw", lambda a: 3 * a))
    dx, dw = Probe({"dx"}, {"dx", "db"}, False), Probe({"dw"}, {"dw", "db"}, False)
    loud, off = Probe(set(), set(), True), Probe({"dx"}, {"db"}, False)
    assert _plausible(dx, dw, {"db"}, seen)
    assert _plausible(dw, dx, {"db"}, seen)
    assert not _plausible(dx, dw, set(), seen)
    assert not _plausible(off, dw, {"db"}, seen)
    assert not _plausible(dw, off, {"db"}, seen)
    assert not _plausible(dx, dx, {"db"}, seen)
    # What both change nobody knows before; nor what a loud one makes of it.
    assert _plausible(off, Probe({"dx", "dw"}, {"dw", "db"}, False), {"db"}, seen)
    assert _plausible(loud, off, set(), seen)
    assert _plausible(off, loud, set(), seen)
    assert _plausible(dx, off, set(), raised(BACKWARD))


@pytest.mark.spec("ORC-D9")
def test_what_changes_is_what_is_not_right() -> None:
    seen = answered(BACKWARD)
    assert _changed(seen, None) == {"dx", "dw", "db"}
    assert _changed(seen, seen.right) == set()
    right = dense_backward(*BACKWARD.arguments.values())
    assert _changed(seen, {"dx": None, "dw": right.dw + 1, "db": right.db}) == {"dw"}


@pytest.mark.spec("ORC-D9")
def test_a_mistake_concerns_what_it_changes_first() -> None:
    dx, nothing = gradient("dx", lambda a: 3 * a), changing(identity)
    seen = answered(BACKWARD)
    assert _concerns(dx, [seen], {"dx", "dw"})
    assert not _concerns(dx, [seen], {"dw"})
    assert not _concerns(nothing, [seen], {"dx", "dw", "db"})
    first = answered(Case("dense_backward", read("x=1x3 w=3x2")))
    both = changing(lambda g: g._replace(dx=3 * g.dx, dw=3 * g.dw) if len(g.dx) > 1 else g)
    assert _concerns(both, [first, seen], {"dx", "dw"})
    assert not _concerns(both, [first, seen], {"dx"})
    # Further ones do not matter.
    more = changing(lambda g: g._replace(dx=3 * g.dx, dw=(3 if len(g.dx) > 1 else 1) * g.dw))
    assert _concerns(more, [first, seen], {"dx"})
    of_float32 = Explanation.of(
        (mistake(native=True), lambda below: lambda x, w: below(x, w) * (x.dtype.itemsize == 4))
    )
    assert not _concerns(of_float32, [answered(REAL)], {"z"})
    assert _concerns(replace(of_float32, native=False), [answered(REAL)], {"z"})


def cases_of(count: int, shape: str = "x=2x3 w=3x2") -> list[Case]:
    return [Case("dense_forward", read(shape), seed=seed) for seed in range(count)]


def asked(explanation: Explanation, calls: list[Case]) -> Callable[[Case], Answer]:
    def ask(case: Case) -> Answer:
        calls.append(case)
        return answered(case, explanation).answer

    return ask


@pytest.mark.spec("ORC-D9")
def test_questions_are_asked_on_which_explanations_differ() -> None:
    calls: list[Case] = []
    found = [DOUBLED, PLUS]
    assert _told_apart(found, asked(PLUS, calls), cases_of(9)) == [PLUS]
    assert calls == cases_of(1)
    assert _told_apart(found, None, cases_of(9)) == found
    assert _told_apart(found, asked(PLUS, calls), []) == found
    # An answer that neither foretells.
    assert _told_apart(found, asked(changing(lambda z: z - 1), calls), cases_of(9)) == []


@pytest.mark.spec("ORC-D9")
def test_no_question_is_asked_that_tells_nothing_and_few_of_the_others() -> None:
    calls: list[Case] = []
    large = changing(lambda z: 2 * z if len(z) < 3 else z + 1, mistake(1))
    indifferent, telling = cases_of(2, "x=1x1 w=1x1"), cases_of(1, "x=5x1 w=1x1")
    assert _told_apart([DOUBLED, large], asked(DOUBLED, calls), indifferent + telling) == [DOUBLED]
    assert calls == telling
    # Of one name in two ways nothing need be told, and what has a memory is not asked out of turn.
    calls.clear()
    two_ways = [DOUBLED, changing(lambda z: z + 1)]
    assert _told_apart(two_ways, asked(DOUBLED, calls), cases_of(3)) == two_ways
    remembering = [DOUBLED, changing(lambda z: z + 1, mistake(1, stateful=True))]
    assert _told_apart(remembering, asked(DOUBLED, calls), cases_of(3)) == remembering
    assert calls == []


def case_number(z: Array) -> int:
    """Which of the cases an answer is to."""
    known = [case.expected["z"].value for case in cases_of(20)]
    return next(k for k, value in enumerate(known) if np.array_equal(z, value))


@pytest.mark.spec("ORC-D9")
def test_so_many_questions_are_asked_and_no_more() -> None:
    """Explanations of which each question leaves one less."""
    calls: list[Case] = []

    def wrong_in(number: int) -> Explanation:
        return changing(lambda z: z + 1 if case_number(z) == number else z, mistake(number))

    found = [wrong_in(number) for number in range(9)]
    left = _told_apart(found, asked(changing(identity), calls), cases_of(20))
    assert calls == cases_of(QUESTIONS)
    assert left == found[QUESTIONS:]


@pytest.mark.spec("ORC-D9")
def test_answers_in_the_arithmetic_of_each_explanation_are_compared_as_closely_as_it_is() -> None:
    _, shift = small_shift(REAL)
    native, plain = changing(shift, mistake(native=True)), changing(lambda z: z + 1, mistake(1))
    assert _told_apart([native, plain], lambda case: answered(case).answer, [REAL]) == []
    assert _told_apart([native, plain], lambda case: answered(case, native).answer, [REAL]) == [native]
    of_float32 = Explanation.of(
        (mistake(native=True), lambda below: lambda x, w: below(x, w) * (x.dtype.itemsize == 4))
    )
    assert _told_apart([of_float32, plain], lambda case: answered(case).answer, [REAL]) == [of_float32]


@pytest.mark.spec("ORC-D9")
def test_predictions_are_alike_where_all_outputs_are() -> None:
    seen = answered(BACKWARD)
    right: dict[str, Any] = {**seen.right}
    assert _alike(seen, right, right)
    assert not _alike(seen, right, {**right, "db": right["db"] + 1})
    assert _alike(seen, None, None)
    assert not _alike(seen, None, right)
    assert not _alike(seen, right, None)
    value, shift = small_shift(REAL)
    real = answered(REAL)
    strict = changing(identity, mistake(native=True))
    assert _alike(real, {"z": shift(value)}, {"z": value})
    assert not _alike(real, {"z": shift(value)}, {"z": value}, strict)


def narrowed(case: Case, narrow: Any = np.float32, digits: Any = None) -> Observation:
    """Formed in a narrower dtype."""
    x, w = (a.astype(narrow) for a in case.arguments.values())
    z = dense_forward(x, w).astype(case.dtype if digits is None else digits)
    return Observation(case, Answer("answered", {"z": z}), wrong=True)


WIDE = replace(FORWARD, tier="rounding")


@pytest.mark.spec("ORC-D9")
def test_sums_in_a_narrower_dtype_are_recognised() -> None:
    found = ("narrow-accumulation",)
    exact = answered(FORWARD, wrong=False)
    assert _narrow([exact, narrowed(WIDE)]) == found
    half = replace(WIDE, dtype="float32")
    assert _narrow([narrowed(half, np.float16)]) == found
    right = answered(WIDE, wrong=False)
    assert _narrow([right, narrowed(WIDE)]) == found
    # What has 16 bits is owed sums in float32; formed in itself it is no further off than that.
    for dtype in ("float16", "bfloat16"):
        case = replace(WIDE, dtype=dtype)
        value, bound = replace(case, accumulate=dtype).expected["z"]
        off: dict[str, Any] = {"z": (value + 0.5 * bound).astype(np.float64)}
        assert _narrow([Observation(case, Answer("answered", off), wrong=True)]) == found
    assert _narrow([narrowed(WIDE), answered(WIDE, DOUBLED)]) == ()
    # Whole numbers that are wrong have another reason; a caller who asks for narrow sums gets them judged so.
    assert _narrow([replace(exact, wrong=True), narrowed(WIDE)]) == ()
    assert _narrow([narrowed(replace(WIDE, accumulate="float32"))]) == ()


def rounded(case: Case, narrow: Any, names: str, then: Any = float) -> Observation:
    """Some arguments rounded first, and perhaps the answer."""
    arrays = {n: a.astype(narrow).astype(case.dtype) if n in names else a for n, a in case.arguments.items()}
    value = np.asarray(LAYERS[case.function].reference(*arrays.values())).astype(then).astype(case.dtype)
    return Observation(case, Answer("answered", {LAYERS[case.function].outputs[0]: value}), wrong=True)


@pytest.mark.spec("ORC-D9")
def test_numbers_that_were_rounded_first_are_recognised() -> None:
    found = ("narrow-arithmetic",)
    gates = Case("sigmoid", read("z=4"), "rounding")
    assert _narrow([rounded(gates, np.float32, "z", np.float32)]) == found
    assert _narrow([rounded(gates, np.float32, "z")]) == found
    for narrow in (np.float16, ml_dtypes.bfloat16):
        single = replace(WIDE, dtype="float32")
        assert _narrow([rounded(single, narrow, names) for names in ("x", "x")]) == found
        assert _narrow([rounded(single, narrow, "xw")]) == found
        assert _narrow([rounded(single, narrow, "x"), rounded(single, narrow, "w")]) == ()
    assert _narrow([rounded(WIDE, np.float16, "x")]) == ()  # two steps narrower
    assert _narrow([Observation(gates, Answer("answered", {"a": np.ones(4, complex)}), wrong=True)]) == ()
    # What rounds nothing has to be equal.
    assert _narrow([rounded(Case("relu", read("z=8"), "rounding"), np.float32, "z")]) == found
    # Numbers too large for float16 are none of its.
    large = Case("dense_forward", read("x=3x4 w=4x2 scale=1e+09"), "rounding", "float32")
    assert _narrow([rounded(large, ml_dtypes.bfloat16, "x")]) == found
    # What is no more than nearly so has more digits, or is farther off; and of 16 bits there is nothing narrower.
    value = gates.expected["a"].value.astype(float)
    for other in (value * (1 + 1e-9), (value * 1.01).astype(np.float32).astype(float)):
        assert _narrow([Observation(gates, Answer("answered", {"a": other}), wrong=True)]) == ()
    assert _narrow([rounded(replace(gates, dtype="float16"), np.float16, "z")]) == ()


@pytest.mark.spec("ORC-D9")
@pytest.mark.parametrize(
    ("function", "text"),
    [
        ("conv_forward", "x=2x3x4x4 w=2x3x2x2"),
        ("dense_forward", "x=3x4 w=4x2"),
        ("max_pool_backward", "x=2x2x5x5 window=3 stride=1"),
        ("avg_pool_forward", "x=2x2x5x5 window=3"),
        ("squared_error", "o=3x4"),
    ],
)
def test_families_that_add_up(function: str, text: str) -> None:
    case = Case(function, read(text), "rounding")
    value = {n: e.value.astype(np.float32).astype(float) for n, e in case.expected.items()}
    seen: Sequence[Observation] = [Observation(case, Answer("answered", {**value}), wrong=True)]
    assert _narrow(seen) == ("narrow-accumulation",)


@pytest.mark.spec("ORC-D9")
def test_an_answer_fits_a_narrower_dtype_if_it_has_its_digits_and_its_bounds() -> None:
    seen = narrowed(WIDE)
    assert _fits(seen, "float32")
    assert not _fits(answered(WIDE), "float32")  # it has more digits
    assert not _fits(raised(WIDE), "float32")
    twice = {"z": longer(np.asarray(seen.answer.outputs["z"]))}
    assert not _fits(replace(seen, answer=Answer("answered", {**twice})), "float32")
    bound = replace(WIDE, accumulate="float32").expected["z"].bound
    value = WIDE.expected["z"].value.astype(float)
    for units, fits in ((3.6, True), (4.4, False), (-3.6, True), (-4.4, False)):
        off = (value + units * bound).astype(np.float32).astype(float)
        assert _fits(replace(seen, answer=Answer("answered", {"z": off})), "float32") is fits
    # The same dtype again: no arguments were rounded, and there are no digits to lack.
    half = replace(WIDE, dtype="float16")
    rounded, right = replace(half, accumulate="float16").expected["z"], half.expected["z"].value
    for units, fits in ((0.6, True), (1.5, False)):
        off = (right + units * rounded.bound).astype(np.float64)
        assert _fits(Observation(half, Answer("answered", {"z": off}), wrong=True), "float16") is fits
    gradients = Case("dense_backward", read("x=2x3 w=3x2"), "rounding")
    some: dict[str, Any] = {n: e.value.astype(np.float32) for n, e in gradients.expected.items()}
    assert _fits(Observation(gradients, Answer("answered", {**some, "dx": None}), wrong=True), "float32")
    assert not _fits(Observation(gradients, Answer("answered", {**some, "dx": 2 * some["dx"]}), wrong=True), "float32")
    overflowing: Any = {"z": np.full((2, 2), 1e30)}
    assert not _fits(Observation(half, Answer("answered", overflowing), wrong=True), "float16")
    assert not _fits(Observation(replace(half, dtype="float32"), Answer("answered", overflowing), True), "float16")
