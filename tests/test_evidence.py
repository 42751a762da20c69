"""What was answered against what a mistake would have answered: when that is the same, and when it is evidence."""

import warnings
from typing import Any

import numpy as np
import pytest
from strategies import Array

from reference_cnn import conv_forward, cross_entropy, dense_forward
from reference_cnn.oracle import Case, bounds
from reference_cnn.oracle.evidence import UNITS, Explanation, Observation
from reference_cnn.oracle.mistakes import MISTAKES
from reference_cnn.oracle.notation import read
from reference_cnn.oracle.targets.ask import Answer, Outcome

CALL = read("x=2x3 w=3x2")
BACK = Case("dense_backward", CALL)


def made(*ids: str, function: str = "conv_forward") -> Explanation:
    """The mistakes, the last upon the first, each in its first way."""
    return Explanation.of(*((MISTAKES[name], MISTAKES[name].wraps[function][0]) for name in ids))


def seen(case: Case, outcome: Outcome = "answered", *, wrong: bool = True, **outputs: Any) -> Observation:
    """What was answered to a case: the right arrays, but for some."""
    right = {name: e.value for name, e in case.expected.items()}
    return Observation(case, Answer(outcome, right | outputs if outcome == "answered" else {}), wrong)


def near(dtype: str, tier: Any = "rounding") -> Observation:
    return seen(Case("dense_forward", CALL, tier, dtype))


PLAIN = made("missing-bias")
NATIVE, STATEFUL = made("narrow-accumulation"), made("dw-doubled", function="conv_backward")


@pytest.mark.spec("ORC-D9")
def test_an_explanation_is_named_in_the_order_of_the_catalogue() -> None:
    ids = [name for name, m in MISTAKES.items() if "conv_forward" in m.functions]
    assert made(ids[0], ids[1]).name == made(ids[1], ids[0]).name == f"{ids[0]}+{ids[1]}"


@pytest.mark.spec("ORC-D9")
def test_an_explanation_is_in_float64_unless_one_of_its_mistakes_is_of_the_dtype() -> None:
    assert (NATIVE.native, NATIVE.strict) == (True, True)
    assert (PLAIN.native, PLAIN.strict, PLAIN.stateful) == (False, False, False)
    both = made("missing-bias", "narrow-accumulation")
    assert (both.native, both.strict) == (True, True)
    assert PLAIN.native is False
    assert Explanation(PLAIN.steps).native is False
    assert STATEFUL.stateful
    assert Explanation(PLAIN.steps + STATEFUL.steps).stateful


@pytest.mark.spec("ORC-D9")
def test_the_last_mistake_is_made_upon_the_first_and_both_upon_what_is_accepted() -> None:
    def adding(n: float) -> Any:
        return lambda below: lambda *arguments: below(*arguments) + n

    def twice(below: Any) -> Any:
        return lambda *arguments: 2 * below(*arguments)

    any_mistake = MISTAKES["missing-bias"]
    case = Case("dense_forward", CALL)
    x, w = case.arguments.values()
    order = Explanation.of((any_mistake, adding(1)), (any_mistake, twice)).implementation(case)
    np.testing.assert_array_equal(order(x, w), 2 * (dense_forward(x, w) + 1))
    turned = Case("dense_forward", read("x=2x3 w=3x4"), accept=("transposed-weights",))
    x, w = turned.arguments.values()
    assert w.shape == (4, 3)
    again = Explanation.of((any_mistake, twice)).implementation(turned)
    np.testing.assert_array_equal(again(x, w), 2 * dense_forward(x, w.T))


@pytest.mark.spec("ORC-D9")
@pytest.mark.parametrize("native", [True, False])
def test_a_prediction_is_made_of_copies_in_float64_or_in_the_dtype_itself(native: bool) -> None:
    case = Case("cross_entropy", read("z=2x3"), "rounding", "float32")
    given: list[Array] = []

    def writing(z: Array, labels: Array) -> Any:
        given.extend((z, labels))
        answer = cross_entropy(z, labels)
        z *= np.exp(np.float64(1000))  # overflows
        return answer

    before = case.arguments["z"].copy()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        predicted = seen(case).predict(writing, native=native)
    assert predicted is not None
    assert [a.dtype for a in given] == [np.dtype("float32" if native else "float64"), case.arguments["labels"].dtype]
    assert case.arguments["labels"].dtype.kind in "iu"
    np.testing.assert_array_equal(case.arguments["z"], before)
    (foretold,), (right,) = predicted.values(), case.expected.values()
    assert foretold is not None
    assert float(foretold) == pytest.approx(float(right.value), rel=1e-6)


@pytest.mark.spec("ORC-D9")
def test_a_prediction_is_made_with_the_options_and_none_where_the_mistake_raises() -> None:
    case = Case("max_pool_forward", read("x=1x1x4x4 window=2 stride=1"))

    def asked(x: Array, window: int, *, stride: int) -> Array:
        return np.array([window, stride])

    def raising(kind: type[Exception]) -> Any:
        def raises(*arguments: Any, **options: Any) -> Any:
            raise kind

        return raises

    observation = seen(case)
    predicted = observation.predict(asked, native=False)
    assert predicted is not None
    np.testing.assert_array_equal(predicted["y"], [2, 1])
    for kind in (ValueError, TypeError, IndexError):
        assert observation.predict(raising(kind), native=False) is None
    with pytest.raises(ZeroDivisionError):
        observation.predict(raising(ZeroDivisionError), native=False)


@pytest.mark.spec("ORC-D9")
def test_a_wrong_shape_and_an_exception_agree_with_each_other_and_with_no_numbers() -> None:
    right = seen(BACK).right
    short: Any = {**right, "db": np.zeros(1)}
    raised, wrong_shape, numbers = seen(BACK, "refused"), seen(BACK, db=np.zeros(5)), seen(BACK)
    for observation in (raised, wrong_shape):
        assert observation.agrees(None, PLAIN)
        # Of two wrong shapes, one is not the other.
        assert observation.agrees(short, PLAIN) is (observation is raised)
        assert not observation.agrees(right, PLAIN)
        assert not observation.tells(None, PLAIN)
    assert not numbers.agrees(None, PLAIN)
    assert not numbers.agrees(short, PLAIN)
    assert numbers.agrees(right, PLAIN)
    assert wrong_shape.agrees({**right, "db": np.zeros(5)}, PLAIN)
    assert not wrong_shape.agrees({**right, "db": np.ones(5)}, PLAIN)
    assert not raised.tells(right, PLAIN)


@pytest.mark.spec("ORC-D9")
def test_every_gradient_has_to_agree_but_one_that_is_not_offered() -> None:
    wrong = seen(BACK, db=np.array([7.0, 9]))
    foretold: Any = {**wrong.right, "db": np.array([7.0, 9])}
    assert wrong.agrees(foretold, PLAIN)
    assert not wrong.agrees(wrong.right, PLAIN)
    assert not seen(BACK).agrees(foretold, PLAIN)
    assert seen(BACK, dw=None).agrees({**wrong.right, "dw": np.zeros((3, 2))}, PLAIN)


@pytest.mark.spec("ORC-D9")
def test_only_wrong_numbers_that_differ_from_the_right_ones_are_evidence() -> None:
    changed: Any = {"db": np.array([7.0, 9])}
    wrong = seen(BACK, **changed)
    foretold = {**wrong.right, **changed}
    assert wrong.tells(foretold, PLAIN)
    assert not wrong.tells(wrong.right, PLAIN)
    assert not seen(BACK, **changed, wrong=False).tells(foretold, PLAIN)
    # dx and dw agree, and are right: no evidence.
    assert not wrong.tells({**wrong.right, "db": np.array([1.0, 2])}, PLAIN)
    assert not seen(BACK, db=None).tells(foretold, PLAIN)
    # Told as closely as it is judged: number by number if strictly, and within the slack if not.
    real = near("float32")
    twice = 2 * np.asarray(real.right["z"])
    largest = UNITS * bounds.unit("float32") * np.abs(twice).max()
    near_enough = largest + real.slack("z")
    answered = seen(real.case, z=twice)
    cases = ((0.5 * largest, NATIVE, False), (0.9 * near_enough, PLAIN, True), (1.1 * near_enough, PLAIN, False))
    for off, explanation, told in cases:
        assert answered.tells({"z": twice + off}, explanation) is told
    assert 0.9 * near_enough > largest


@pytest.mark.spec("ORC-D9")
def test_what_is_right_for_a_strict_explanation_is_no_evidence_either() -> None:
    observation = near("float32")
    right = observation.right["z"]
    assert right is not None
    units = bounds.unit("float32") * np.abs(right).max()
    # Beside the largest number the change is a rounding, beside the smallest it is none.
    place = np.unravel_index(np.abs(right).argmin(), right.shape)
    shifted = right.copy()
    shifted[place] += 6 * units
    wrong = seen(observation.case, z=shifted.astype(np.float32))
    assert not wrong.tells({"z": shifted}, PLAIN)
    assert wrong.tells({"z": shifted}, NATIVE) == (6 * units > UNITS * bounds.unit("float32") * abs(right[place]))
    assert wrong.tells({"z": shifted}, NATIVE)


@pytest.mark.spec("ORC-D9")
def test_the_slack_is_the_largest_bound_as_if_nothing_were_whole() -> None:
    exact, rounded = near("float64", "exact"), near("float64", "rounding")
    assert exact.case.expected["z"].bound.max() == 0
    arguments = {n: a.astype(float) for n, a in exact.case.arguments.items()}
    limit = bounds.limits(exact.case, arguments, {"z": exact.case.expected["z"].value}, 0, whole=False)["z"]
    assert exact.slack("z") == pytest.approx(float(limit.max()))
    assert exact.slack("z") > 0
    assert rounded.slack("z") == pytest.approx(float(rounded.case.expected["z"].bound.max()))
    selecting = seen(Case("relu", read("z=4")))
    assert selecting.slack("a") == 0
    empty = seen(Case("dense_forward", read("x=0x3 w=3x2")))
    assert empty.slack("z") == 0
    # Where sums may overflow anything is right; that is no slack for the others.
    overflowing = seen(Case("dense_forward", read("x=2x3 w=3x2 scale=1e30"), "rounding", "float32"))
    bound = overflowing.case.expected["z"].bound
    assert np.isinf(bound).any()
    assert overflowing.slack("z") == pytest.approx(float(bound[np.isfinite(bound)].max()))
    assert not overflowing.same(np.full(2, np.longdouble("1e400")), np.ones(2))


@pytest.mark.spec("ORC-D9")
def test_an_answer_agrees_within_the_slack_unless_the_explanation_is_strict() -> None:
    observation = near("float32")
    right, slack = observation.right["z"], observation.slack("z")
    assert right is not None
    off = right + 0.9 * slack
    assert slack > UNITS * bounds.unit("float32") * np.abs(right).max() / 4
    predicted: Any = {"z": right + 0.9 * slack + 0.9 * UNITS * bounds.unit("float32") * np.abs(right).max()}
    assert seen(observation.case, z=right).agrees(predicted, PLAIN)
    assert not seen(observation.case, z=right).agrees(predicted, NATIVE)
    assert seen(observation.case, z=off).tells({"z": right + 100}, PLAIN) is False


@pytest.mark.spec("ORC-D9")
@pytest.mark.parametrize("dtype", ["float64", "float32", "float16", "bfloat16"])
def test_numbers_are_the_same_within_some_units_of_the_largest(dtype: str) -> None:
    observation, unit = near(dtype), bounds.unit(dtype)
    large = np.array([1.5, 0.0009765625])  # both in all dtypes
    for factor, same in ((0.8, True), (1.25, False)):
        off = large + np.array([0, factor * UNITS * unit * 1.5])
        assert observation.same(off, large) is same
        assert observation.same(large, large) is True
        # Strictly, every number within units of its own.
        assert not observation.same(off, large, NATIVE)
        own = large * (1 + factor * UNITS * unit)
        assert observation.same(own, large, NATIVE) is same
    stateful = UNITS**2 if unit < 1e-6 else UNITS
    for factor, same in ((0.8, True), (1.25, False)):
        assert observation.same(large + np.array([0, factor * stateful * unit * 1.5]), large, STATEFUL) is same


@pytest.mark.spec("ORC-D9")
def test_so_many_units_and_no_more_and_no_slack_where_it_is_strict() -> None:
    observation, limit = near("float32"), UNITS * bounds.unit("float32")
    for explanation in (None, NATIVE):
        assert observation.same(np.array([1 + limit]), np.ones(1), explanation)
        assert not observation.same(np.array([1 + 1.01 * limit]), np.ones(1), explanation)
    assert observation.same(np.array([1.5]), np.ones(1), PLAIN, 0.5)
    assert not observation.same(np.array([1.5]), np.ones(1), NATIVE, 0.5)


@pytest.mark.spec("ORC-D9")
def test_what_underflows_is_the_same_as_zero() -> None:
    observation, tiny = near("float32"), bounds.Precision.of("float32").output_tiny
    assert observation.same(np.array([3.9 * tiny]), np.array([0.0]))
    assert observation.same(np.array([3.9 * tiny]), np.array([0.0]), NATIVE)
    assert not observation.same(np.array([4.1 * tiny]), np.array([0.0]))


@pytest.mark.spec("ORC-D9")
def test_whole_numbers_are_equal_or_not_the_same() -> None:
    observation = near("float32", "exact")
    large = np.array([2.0**20, 5])
    for explanation, slack, same in ((PLAIN, 2, False), (STATEFUL, 2, True), (None, 2, False)):
        assert observation.same(large + np.array([0, 1]), large, explanation, slack) is same
    # What is not whole need not be equal, on the exact tier too; nor what is so large that the dtype skips some.
    assert observation.same(large + np.array([0, 0.01]), large)
    assert observation.same(large, large + np.array([0, 0.01]))
    skipping = np.array([2.0**25])
    assert observation.same(skipping + 8, skipping)
    assert not observation.same(np.array([2.0**24 + 2]), np.array([2.0**24]))
    assert not observation.same(large, large + np.array([0, 1]), None, 2)
    assert near("float32").same(large + np.array([0, 1]), large, None, 2)
    # A prediction is rounded to the dtype first.
    assert near("float16", "exact").same(np.array([2048.0]), np.array([2049.0]))


@pytest.mark.spec("ORC-D9")
def test_shapes_complex_numbers_and_what_is_not_finite() -> None:
    observation = near("float16")
    assert not observation.same(np.ones((2, 1)), np.ones((1, 2)))
    assert not observation.same(np.ones(2, complex), np.ones(2))
    inf, nan = np.array([np.inf, 1]), np.array([np.nan, 1])
    assert observation.same(inf, inf)
    assert observation.same(nan, nan)
    assert not observation.same(nan, inf)
    assert not observation.same(inf, nan)
    assert not observation.same(-inf, inf)
    assert not observation.same(np.array([1e4, 1]), inf, None, 1e9)
    assert not observation.same(nan, np.ones(2), None, 1e9)
    # Beyond the dtype's largest number a prediction is infinite.
    assert observation.same(inf, np.array([1e6, 1]))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        observation.same(inf, np.array([1e300, np.nan]))
    assert observation.same(np.zeros((0, 2)), np.zeros((0, 2)))


@pytest.mark.spec("ORC-D9")
def test_loud_is_an_exception_or_a_wrong_shape() -> None:
    observation = seen(BACK)
    assert observation.loud(None)
    assert not observation.loud(observation.right)
    assert not observation.loud({**observation.right, "db": None})
    assert observation.loud({**observation.right, "dx": np.zeros((3, 2))})


@pytest.mark.spec("ORC-D9")
def test_a_case_is_compared_unless_it_is_said_not_to_be() -> None:
    assert seen(BACK).compared
    assert seen(BACK, "failed").outputs is None
    np.testing.assert_equal(seen(BACK).outputs, seen(BACK).right)
    x = Case("conv_forward", read("x=1x1x3 w=1x1x2"))
    predicted = seen(x).predict(conv_forward, native=False)
    assert predicted is not None
    np.testing.assert_equal(predicted["z"], x.expected["z"].value)
