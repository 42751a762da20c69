"""One answer against the reference: what is said of each kind of wrong answer, entry by entry."""

from dataclasses import fields
from typing import Any

import numpy as np
import pytest
from strategies import Array

from reference_cnn import sigmoid, sigmoid_prime
from reference_cnn.oracle import Case, bounds, cases, notation
from reference_cnn.oracle.judge import KINDS, LOSES_TAIL, Failure, Judgement, judge, sizes_of
from reference_cnn.oracle.layers import several
from reference_cnn.oracle.targets.ask import Answer, Outcome, ask

DENSE = Case("dense_forward", notation.read("x=3x4 w=4x2"))
ROUNDED = Case("dense_forward", notation.read("x=3x4 w=4x2"), "rounding", "float32")
BACKWARD = Case("dense_backward", notation.read("x=3x4 w=4x2"))


def answered(case: Case, **changed: Any) -> Answer:
    """The right answers in the case's dtype, but for some."""
    right: dict[str, Array | None] = {n: e.value.astype(case.dtype) for n, e in case.expected.items()}
    return Answer("answered", right | changed)


def value_of(case: Case, output: str = "z") -> Array:
    return case.expected[output].value.astype(case.dtype)


@pytest.mark.spec("ORC-D1", "ORC-D4")
@pytest.mark.parametrize("case", [DENSE, ROUNDED, BACKWARD], ids=str)
def test_right_answers_have_no_failure_and_no_note(case: Case) -> None:
    worst, failure, note = judge(case, answered(case))
    assert (failure, note) == (None, "")
    assert (worst == 0) == case.exact
    assert 0 <= worst <= 1


@pytest.mark.spec("ORC-D2")
@pytest.mark.parametrize(
    ("outcome", "kind"),
    [
        *(("failed", "exception"), ("refused", "exception"), ("not implemented", "exception")),
        *(("malformed", "dtype"), ("crash", "crash"), ("hang", "hang"), ("not asked", "exception")),
    ],
)
def test_what_is_no_answer_has_its_kind_and_says_what_happened(outcome: Outcome, kind: str) -> None:
    answer = Answer(outcome, {}, "ZeroDivisionError: no")
    worst, failure, note = judge(DENSE, answer)
    assert failure is not None
    assert (worst, note, failure.case, failure.kind, failure.clause) == (np.inf, "", DENSE, kind, "DENSE-F1")
    assert failure.message == answer.finding
    assert set(KINDS) == {"malformed", "crash", "hang"}


@pytest.mark.spec("ORC-D4")
def test_a_gradient_may_be_none_but_not_only_sometimes() -> None:
    some = answered(BACKWARD, dw=None)
    assert judge(BACKWARD, some) == Judgement(0, None)
    assert judge(BACKWARD, some, ["dx", "db"]) == Judgement(0, None)
    worst, failure, note = judge(BACKWARD, some, ["dw"])
    assert failure is not None
    assert (worst, note, failure.case, failure.kind, failure.clause) == (np.inf, "", BACKWARD, "dtype", "DENSE-B2")
    assert (failure.message, failure.output) == ("dw is None here, though not in every call", "dw")
    # What follows a gradient that is not offered is judged all the same.
    wrong = judge(BACKWARD, answered(BACKWARD, dw=None, db=value_of(BACKWARD, "db") + 1)).failure
    assert wrong is not None
    assert (wrong.output, wrong.clause, wrong.kind) == ("db", "DENSE-B3", "values")


@pytest.mark.spec("ORC-D4")
def test_complex_answers_and_other_shapes_are_wrong() -> None:
    right = value_of(DENSE)
    worst, failure, note = judge(DENSE, answered(DENSE, z=right + 0j))
    assert failure is not None
    assert (worst, note, failure.case, failure.kind, failure.clause) == (np.inf, "", DENSE, "dtype", "DENSE-F1")
    assert (failure.message, failure.output) == ("z is complex: complex128", "z")
    worst, failure, note = judge(DENSE, answered(DENSE, z=right.T))
    assert failure is not None
    assert (worst, note, failure.case, failure.kind, failure.clause) == (np.inf, "", DENSE, "shape", "DENSE-F1")
    assert (failure.message, failure.output) == ("z has shape (2, 3), expected (3, 2)", "z")
    assert np.array_equal(failure.answer, right.T)  # type: ignore[arg-type]  # it is there
    assert np.array_equal(failure.right, right)  # type: ignore[arg-type]  # it is there


@pytest.mark.spec("ORC-D4", "ORC-N3")
def test_a_wider_dtype_is_noted_and_strictly_wrong() -> None:
    note = "z has dtype float64"
    wide = answered(ROUNDED, z=value_of(ROUNDED).astype(np.float64))
    assert judge(ROUNDED, wide).failure is None
    assert judge(ROUNDED, wide).note == note
    worst, failure, again = judge(ROUNDED, wide, strict=True)
    assert failure is not None
    assert (failure.case, failure.kind, failure.message, failure.clause) == (ROUNDED, "note", note, "DENSE-F1")
    assert again == note
    assert worst <= 1
    for answer in (answered(ROUNDED), answered(ROUNDED, z=value_of(ROUNDED).astype(np.float16).astype(int) * 0)):
        assert judge(ROUNDED, answer).note == ""
    assert judge(ROUNDED, answered(ROUNDED), strict=True).failure is None
    # The first note of several outputs stands.
    case = Case("dense_backward", notation.read("x=3x4 w=4x2"), "rounding", "float32")
    both = answered(case, **{name: value_of(case, name).astype(float) for name in ("dw", "db")})
    assert judge(case, both).note == "dw has dtype float64"
    number = Case("squared_error", notation.read("o=3x2"), "exact", "float32")
    assert judge(number, answered(number, E=value_of(number, "E").astype(float))).note == ""


@pytest.mark.spec("ORC-D3", "ORC-D5")
def test_the_entry_farthest_out_of_its_bound_is_the_one_that_is_reported() -> None:
    right, bound = ROUNDED.expected["z"]
    tight = tuple(int(i) for i in np.unravel_index(bound.argmin(), bound.shape))
    loose = tuple(int(i) for i in np.unravel_index(bound.argmax(), bound.shape))
    assert bound[loose] > 1.1 * bound[tight]
    got = right.copy()
    got[loose] += 3.5 * bound[loose]
    got[tight] -= 3.6 * bound[tight]
    worst, failure, note = judge(ROUNDED, answered(ROUNDED, z=got))
    assert failure is not None
    assert (worst, note, failure.kind, failure.output, failure.index) == (np.inf, "", "values", "z", tight)
    assert (failure.case, failure.clause) == (ROUNDED, "DENSE-F1")
    assert (failure.got, failure.expected, failure.bound) == (got[tight], right[tight], bound[tight])
    assert failure.pattern.startswith("2 of 6 entries are wrong")
    assert failure.message == f"z is wrong: {failure.pattern}"
    assert np.array_equal(failure.answer, got)  # type: ignore[arg-type]  # they are there
    assert np.array_equal(failure.right, right)  # type: ignore[arg-type]  # it is there
    assert np.argwhere(failure.wrong).tolist() == sorted(map(list, (tight, loose)))  # type: ignore[arg-type]  # it is there
    # On the exact tier the bound is 0, and the largest error counts.
    got = value_of(DENSE)
    got[0, 1] += 1
    got[1, 0] -= 2
    failure = judge(DENSE, answered(DENSE, z=got)).failure
    assert failure is not None
    assert failure.index == (1, 0)


@pytest.mark.spec("ORC-D3")
def test_the_worst_is_the_largest_share_of_the_bound_of_all_outputs() -> None:
    case = Case("dense_backward", notation.read("x=3x4 w=4x2"), "rounding", "float32")
    right, bounds = ({n: getattr(e, part) for n, e in case.expected.items()} for part in ("value", "bound"))
    for output in right:
        got: dict[str, Array | None] = dict(right)
        moved = right[output].copy()
        moved.flat[1] += bounds[output].flat[1] / 2
        got[output] = moved
        assert judge(case, Answer("answered", got)).worst == pytest.approx(0.5)


@pytest.mark.spec("ORC-N1", "ORC-D3")
def test_nan_and_infinity_are_right_only_where_they_are_due() -> None:
    for number in (np.nan, np.inf, -np.inf):
        for case, output in ((DENSE, "z"), (ROUNDED, "z")):
            got = value_of(case, output).astype(float)
            got[2, 1] = number
            got[0, 0] += 5
            failure = judge(case, answered(case, **{output: got})).failure
            assert failure is not None
            assert failure.index == (2, 1)
    given = Case("dense_forward", notation.read("x=3x4 w=4x2 nan=x"), "special")
    right = value_of(given)
    assert np.isnan(right).any()
    assert not np.isnan(right).all()
    assert judge(given, answered(given)) == Judgement(0, None)
    swallowed = judge(given, answered(given, z=np.nan_to_num(right))).failure
    assert swallowed is not None
    assert np.isnan(right[swallowed.index])
    note = "z is NaN also where the special value in x is no factor"
    for dtype in ("float64", "float32"):
        case = Case("dense_forward", given.call, "special", dtype)
        assert judge(case, answered(case, z=np.full_like(right, np.nan, dtype))) == Judgement(0, None, note)
    # An infinity where a number is due is no leak.
    infinite = np.where(np.isnan(right), right, np.inf)
    assert judge(given, answered(given, z=infinite)).failure is not None
    plus = Case("dense_forward", notation.read("x=3x4 w=4x2 inf=x"), "special")
    assert judge(plus, answered(plus)).failure is None
    assert judge(plus, answered(plus, z=-value_of(plus))).failure is not None


@pytest.mark.spec("ORC-N1")
@pytest.mark.parametrize("number", ["nan", "inf"])
def test_where_0_times_the_given_number_may_be_formed_or_not_anything_is_right(number: str) -> None:
    call = notation.read(f"x=1x1x3 w=1x1x2 padding=1 {number}=dz")
    given = next(
        case
        for case in (Case("conv_backward", call, "special", seed=seed) for seed in range(20))
        if np.isinf(case.expected["dw"].bound).any()
    )
    either = np.isinf(given.expected["dw"].bound)
    assert not either.all()
    for answer in (np.nan, np.inf, 7.0):
        got = np.where(either, answer, value_of(given, "dw"))
        assert judge(given, answered(given, dw=got)) == Judgement(0, None)
        failure = judge(given, answered(given, dw=np.where(either, answer, 0.5))).failure
        assert failure is not None
        assert failure.index is not None
        assert not either[failure.index]


@pytest.mark.spec("ORC-D6")
def test_a_failure_says_nothing_of_what_it_does_not_know() -> None:
    failure = Failure(DENSE, "note", "a note", "DENSE-F1")
    given = ("case", "kind", "finding", "clause")
    nothing = {"reproduce": "", "diagnosis": (), "consistency": "", "condition": "", "remedy": ""}
    nothing |= {"layout": "channels_first", "otherwise": ""}
    for field in fields(failure):
        if field.name not in given:
            assert getattr(failure, field.name) == nothing.get(field.name)


@pytest.mark.spec("ORC-D3")
def test_the_least_error_is_found_among_right_entries() -> None:
    got = value_of(DENSE)
    got[2, 0] += 0.25
    failure = judge(DENSE, answered(DENSE, z=got)).failure
    assert failure is not None
    assert failure.index == (2, 0)


@pytest.mark.spec("ORC-D6")
@pytest.mark.parametrize(("function", "text", "sizes"), [
    ("conv_backward", "x=2x4x5x6 w=6x2x2x3 groups=2", {
        "images": 2, "channels": 4, "rows": 5, "columns": 6, "filters": 6, "kernel rows": 2, "kernel columns": 3,
        "output positions": 16, "kernel entries": 6,
    }),
    ("conv_backward", "x=2x4x7 w=6x4x3", {
        "images": 2, "channels": 4, "positions": 7, "filters": 6, "kernel positions": 3, "output positions": 5,
        "kernel entries": 3,
    }),
    ("dense_backward", "x=3x4 w=4x2", {"examples": 3, "features": 4, "neurons": 2}),
    ("avg_pool_backward", "x=2x3x5x7 window=2,3 stride=1", {
        "images": 2, "channels": 3, "rows": 5, "columns": 7, "output positions": 20,
    }),
])  # fmt: skip
def test_a_wrong_factor_that_is_a_size_is_named_by_what_it_counts(
    function: str, text: str, sizes: dict[str, int]
) -> None:
    case = Case(function, notation.read(text))
    for name, size in sizes.items():
        output = next(iter(case.expected))
        failure = judge(case, answered(case, **{output: size * value_of(case, output)})).failure
        assert failure is not None
        assert f"every entry is {size} times what it should be; {size} is the number of " in failure.pattern
        assert name in failure.pattern or list(sizes.values()).count(size) > 1
    assert sizes_of(case) == sizes


@pytest.mark.spec("ORC-D16")
def test_groups_are_those_of_the_axis_that_is_divided() -> None:
    def pattern(case: Case, output: str, index: Any) -> str:
        got = value_of(case, output)
        got[index] += 1
        failure = judge(case, answered(case, **{output: got})).failure
        assert failure is not None
        return failure.pattern

    case = Case("conv_backward", notation.read("x=2x4x3x3 w=6x2x2x2 groups=2"))
    assert pattern(case, "dx", np.s_[:, 2:]).endswith("all at the channels of group 1")
    assert pattern(case, "dw", np.s_[3:]).endswith("all at the filters of group 1")
    assert pattern(case, "dw", np.s_[:, 1]).endswith("all at channel 1 (the last)")
    case = Case("conv_forward", notation.read("x=1x1x3x3 w=2x1x2x2"))
    assert pattern(case, "z", np.s_[:, 1]).endswith("all at filter 1 (the last)")


@pytest.mark.spec("ORC-D16")
def test_what_follows_from_two_arguments_is_not_said_to_depend_on_the_sign_of_one() -> None:
    case = Case("squared_error_prime", notation.read("o=3x4"))
    negative, value = case.arguments["o"] < 0, value_of(case, "do")
    assert negative.any()
    failure = judge(case, answered(case, do=np.where(negative, value + 1, value))).failure
    assert failure is not None
    assert "argument" not in failure.pattern
    case = Case("relu_prime", notation.read("z=3x4"))
    negative, value = case.arguments["z"] < 0, value_of(case, "a_prime")
    failure = judge(case, answered(case, a_prime=np.where(negative, value + 1, value))).failure
    assert failure is not None
    assert failure.pattern.endswith("those whose argument is negative")


@pytest.mark.spec("ORC-D6")
def test_what_is_counted_has_a_plural() -> None:
    names = ["row", "class", "axis 1", "kernel row"]
    assert list(map(several, names)) == ["rows", "classes", "entries along axis 1", "kernel rows"]


@pytest.mark.spec("ORC-D3")
def test_an_answer_that_is_wider_than_the_dtype_is_not_rounded_before_it_is_judged() -> None:
    case = Case("dense_forward", notation.read("x=3x4 w=4x2"), "rounding", "float64")
    value = case.expected["z"].value
    assert value.dtype == np.longdouble
    assert judge(case, Answer("answered", {"z": value})).worst == 0
    assert judge(case, answered(case)).worst > 0


@pytest.mark.spec("ORC-D16")
def test_a_gradient_with_the_shape_of_another_is_said_to_have_it() -> None:
    right = {n: value_of(BACKWARD, n) for n in ("dx", "dw", "db")}
    dw, db = right["dw"], right["db"]
    failure = judge(BACKWARD, answered(BACKWARD, dw=db, db=dw)).failure
    assert failure is not None
    assert failure.message == "dw has shape (2,), expected (4, 2): the shape of db"
    both = Case("dense_backward", notation.read("x=4x4 w=4x4"))
    failure = judge(both, answered(both, db=value_of(both, "dx"))).failure
    assert failure is not None
    assert failure.message == "db has shape (4, 4), expected (4,): the shape of dx and dw"
    # What is transposed may have it by accident.
    square = Case("dense_backward", notation.read("x=2x4 w=4x2"))
    transposed = judge(square, answered(square, dw=value_of(square, "dw").T)).failure
    assert transposed is not None
    assert transposed.message == "dw has shape (2, 4), expected (4, 2)"


@pytest.mark.spec("ORC-N3", "RND-N2")
@pytest.mark.parametrize("dtype", ["float64", "float32", "bfloat16"])
def test_a_derivative_that_loses_its_tail_is_noted_and_strictly_wrong(dtype: str) -> None:
    def of_activation(z: Any) -> Any:
        a = sigmoid(z)
        return a * (1 - a)

    assert LOSES_TAIL == "loses digits where σ(z) is near 1, as σ(z)·(1 − σ(z)) does"
    for implementation, noted in ((of_activation, True), (sigmoid_prime, False)):
        found = [(c, ask(implementation, c)) for c in cases("sigmoid_prime", dtype=dtype)]
        notes = {judge(case, answer).note for case, answer in found} - {""}
        assert notes == ({f"a_prime {LOSES_TAIL}"} if noted else set())
        assert any(judge(case, answer, strict=True).failure for case, answer in found) is noted
        assert not any(judge(case, answer).failure for case, answer in found)


@pytest.mark.spec("ORC-N3", "RND-N2")
def test_a_tail_is_lost_beyond_what_underflow_may_cost() -> None:
    case, tiny = Case("sigmoid_prime", notation.read("z=1"), "rounding"), np.finfo(float).smallest_normal
    assert not bounds.tail_is_lost(case, np.array([tiny]), np.zeros(1))
    assert bounds.tail_is_lost(case, np.array([np.nextafter(tiny, 1)]), np.zeros(1))
