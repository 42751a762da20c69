"""What is said of wrong answers that no known mistake explains: a pattern, and in which cases they are wrong."""

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from reference_cnn import conv_forward, cross_entropy, max_pool_backward, relu, squared_error
from reference_cnn._pattern import describe
from reference_cnn.oracle import cases, check
from reference_cnn.oracle.call import windows_of
from reference_cnn.oracle.cases import Case
from reference_cnn.oracle.conditions import condition, kinds_of, scaled, typical
from reference_cnn.oracle.influence import idle
from reference_cnn.oracle.judge import judge
from reference_cnn.oracle.notation import read
from reference_cnn.oracle.targets.ask import ask

AXES = ("image", "channel", "row", "column")
RIGHT = np.random.default_rng(0).permutation(3 * 2 * 4 * 5).reshape(3, 2, 4, 5) - 40.0


def with_entries(index: Any, change: float = 1) -> Any:
    got = RIGHT.copy()
    got[index] += change
    return got


PATTERNS: list[tuple[str, Any, str]] = [
    ("a factor", RIGHT * 6, "every entry is 6 times what it should be; 6 is the number of images times channels"),
    ("a mean", RIGHT / 5, "every entry is 1/5 times what it should be; 5 is the number of columns"),
    ("a factor that is no size", RIGHT * 7, "every entry is 7 times what it should be"),
    ("a sign", -RIGHT, "every entry has the wrong sign"),
    ("zeros", 0 * RIGHT, "every entry is 0"),
    ("a flip", RIGHT[:, :, ::-1], "flipped along row"),
    ("a turn", RIGHT[..., ::-1, ::-1], "flipped along row and column"),
    ("a shift", np.pad(RIGHT, [(0, 0)] * 3 + [(1, 0)])[..., :-1], "shifted by 1 along column"),
    ("a shift back", np.pad(RIGHT, [(0, 0)] * 2 + [(0, 2), (0, 0)])[:, :, 2:], "shifted by -2 along row"),
    ("a roll", np.roll(RIGHT, 1, 2), "shifted by 1 along row, and round to the other end"),
    ("an order", RIGHT[[1, 0, 2]], "in another order along image: 1, 0, 2"),
    ("a column", with_entries((..., 4)), "24 of 120 entries are wrong, all at column 4 (the last)"),
    (
        "the border",
        with_entries((..., [0, 3], slice(None))),
        "60 of 120 entries are wrong, all at the first and last row",
    ),
    ("a channel", with_entries((slice(None), 0)), "60 of 120 entries are wrong, all at channel 0"),
    ("no less than -20", np.maximum(RIGHT, -20), "20 of 120 entries are wrong, all -20"),
    (
        "two that are no more than 77",
        np.minimum(RIGHT, 77),
        "2 of 120 entries are wrong, all at image 2 (the last) and at rows 1 and 2 and at columns 1 and 4",
    ),
    ("two columns", with_entries((..., [0, 2])), "48 of 120 entries are wrong, all at columns 0 and 2"),
    ("later images", with_entries(slice(1, None)), "80 of 120 entries are wrong, all from image 1 on"),
    ("negative ones", abs(RIGHT), "40 of 120 entries are wrong, those that should be negative"),
    ("positive ones", np.minimum(RIGHT, 0), "79 of 120 entries are wrong, those that should be positive"),
    ("no pattern", RIGHT + 1, "120 of 120 entries are wrong"),
]


@pytest.mark.spec("ORC-D16")
def test_one_group_is_said() -> None:
    def patterns(wrong: Any, count: int) -> str:
        return describe(wrong, RIGHT, wrong != RIGHT, 1e-9, AXES, None, {"row": count})

    assert patterns(with_entries((..., [2, 3], slice(None))), 2) == (
        "60 of 120 entries are wrong, all at the rows of group 1"
    )
    assert patterns(with_entries((..., [1], slice(None))), 4) == (
        "30 of 120 entries are wrong, all at row 1, which is group 1"
    )
    # Two of one group and one of another, and a part of one, are no group.
    assert "group" not in patterns(with_entries((..., [1, 2], slice(None))), 2)
    assert "group" not in patterns(with_entries((..., [1], slice(None))), 2)

    def last_group(x: Any, w: Any, b: Any = None, *, groups: int = 1, **o: Any) -> Any:
        z = conv_forward(x, w, b, groups=groups, **o)
        z[:, len(w) - len(w) // groups :] += groups > 1
        return z

    failure = check({"conv_forward": last_group}, case="x=2x4x3x3 w=6x2x2x2 groups=2").results["conv_forward"].failure
    assert failure is not None
    assert failure.pattern.endswith("all at the filters of group 1")


@pytest.mark.spec("ORC-D16")
@pytest.mark.parametrize(("index", "words"), [
    ((0,), "at index 0 of axis 0"),
    ((slice(1, None),), "from index 1 of axis 0 on"),
    ((..., [0, 2]), "at indices 0 and 2 of axis 3"),
    ((..., [0, 4]), "at the first and last index of axis 3"),
])  # fmt: skip
def test_axes_without_a_name_have_indices(index: Any, words: str) -> None:
    got = with_entries(index)
    assert describe(got, RIGHT, got != RIGHT, 1e-9, [f"axis {a}" for a in range(4)]).endswith(f"wrong, all {words}")


@pytest.mark.spec("ORC-D16")
def test_a_sign_says_more_than_places_along_several_axes() -> None:
    right = np.array([[1.0, 2, 3, 4], [5, -6, 7, -8], [9, -10, 11, 12]])
    wrong = right < 0
    assert (
        describe(right + wrong, right, wrong, 0, AXES[:2]) == "3 of 12 entries are wrong, those that should be negative"
    )
    right = np.array([[1.0, 2, 3, 4], [-5, -6, -7, -8], [9, 10, 11, 12]])
    wrong = right < 0
    assert describe(right + wrong, right, wrong, 0, AXES[:2]) == "4 of 12 entries are wrong, all at image 1"


@pytest.mark.spec("ORC-D16")
def test_negative_arguments_are_said() -> None:
    def leaky(z: Any) -> Any:
        return np.where(z < 0, z / 8, z)

    failure = check({"relu": leaky}, case="z=4x9").results["relu"].failure
    assert failure is not None
    assert failure.pattern.endswith("those whose argument is negative")


@pytest.mark.spec("ORC-D16")
def test_what_is_right_somewhere_is_not_multiplied_everywhere() -> None:
    right, bound = np.array([0.0, 4, 3]), np.array([0, 0.01, 0.02])
    got = right * 1.004
    words = describe(got, right, abs(got - right) > bound, bound, ["column"])
    assert words == "1 of 3 entries is wrong, all at column 1"


@pytest.mark.spec("ORC-D16")
@pytest.mark.parametrize(("got", "words"), [p[1:] for p in PATTERNS], ids=[p[0] for p in PATTERNS])
def test_patterns(got: Any, words: str) -> None:
    sizes = {"images": 3, "channels": 2, "rows": 4, "columns": 5}
    assert describe(got, RIGHT, got != RIGHT, 1e-9, AXES, sizes) == words


def calls_of(change: Callable[[Any, int, dict[str, Any]], bool], function: Any) -> Any:
    """A function that is wrong where the change says so of x, of how many calls there were, and of the options."""
    count = 0

    def wrong(*arguments: Any, **options: Any) -> Any:
        nonlocal count
        count += 1
        answer = function(*arguments, **options)
        return answer + 1 if change(arguments[0], count, options) else answer

    return wrong


def given(options: dict[str, Any], name: str) -> bool:
    return bool(np.any(np.asarray(options.get(name, 1)) != 1))


CONDITIONS: list[tuple[str, Any, str]] = [
    (
        "conv_forward",
        calls_of(lambda x, n, o: given(o, "stride") and given(o, "groups"), conv_forward),
        "Wrong in exactly the cases with stride and groups together.",
    ),
    (
        "conv_forward",
        calls_of(lambda x, n, o: x.shape[-1] % 2 == 1, conv_forward),
        "Wrong in exactly the cases with an odd number of columns.",
    ),
    (
        "conv_forward",
        calls_of(lambda x, n, o: len(x) > 2, conv_forward),
        "Wrong in exactly the cases with more than 2 images.",
    ),
    (
        "conv_forward",
        calls_of(lambda x, n, o: (x % 1 != 0).any(), conv_forward),
        "Wrong in exactly the cases with numbers that are not whole, special values aside.",
    ),
    (
        "relu",
        calls_of(lambda z, n, o: n > 9, relu),
        "Right in the first 9 calls, wrong in every later one, special values aside.",
    ),
    ("relu", calls_of(lambda z, n, o: True, relu), ""),
]


@pytest.mark.spec("ORC-D16")
@pytest.mark.parametrize(("function", "wrong", "words"), CONDITIONS)
def test_conditions(function: str, wrong: Any, words: str) -> None:
    # Whether NaN and infinity fit depends on the shapes at which they are asked, which changes with the questions.
    asked = [c for c in cases(function) if "aside" in words or c.tier != "special"]
    assert condition([(c, judge(c, ask(wrong, c)).failure is not None) for c in asked]) == words


@pytest.mark.spec("ORC-D16")
def test_what_a_single_entry_cannot_show_is_said_of_a_larger_case() -> None:
    def last_column_lost(x: Any, w: Any, b: Any = None, **options: Any) -> Any:
        z = conv_forward(x, w, b, **options)
        z[..., -1] += 1
        return z

    def one_more(x: Any, w: Any, b: Any = None, **options: Any) -> Any:
        return conv_forward(x, w, b, **options) + 1

    failure = check({"conv_forward": last_column_lost}).results["conv_forward"].failure
    assert failure is not None
    assert failure.pattern == "its one entry is wrong"
    said = re.fullmatch(r"In (\d+) of (\d+) wrong cases, (.+) for one, the wrong entries are (.+)\.", failure.condition)
    assert said is not None
    case = Case("conv_forward", read(said[3]))
    got = conv_forward(*case.arguments.values(), **case.keywords)
    found = judge(case, ask(last_column_lost, case)).failure
    assert found is not None
    assert found.pattern.endswith(f"all at column {got.shape[-1] - 1} (the last)")
    assert said[4] == "all at column −1 (the last)"
    assert 4 <= int(said[1]) <= int(said[2])
    # Where there is none, and where the case that is shown has it, nothing is said.
    failure = check({"conv_forward": one_more}).results["conv_forward"].failure
    assert failure is not None
    assert failure.condition == ""
    assert failure.larger is not None
    assert failure.larger.right is not None
    assert failure.larger.right.size >= 24
    assert typical([found] * 4, failure)[0].startswith("In every wrong case, ")
    for failures, shown in (([found] * 3, failure), ([found] * 4, found), ([failure] * 4, found)):
        assert typical(failures, shown)[0] == ""


@pytest.mark.spec("ORC-D16")
@pytest.mark.parametrize(("factor", "dtype", "words"), [
    (lambda z: z.shape[1], "float64", "times the number of classes"),
    (lambda z: 1 / z.size, "float32", "divided by the number of entries"),
    (lambda z: 3.0, "float32", "times 3"),
    (lambda z: 1 / 8, "float64", "divided by 8"),
    (lambda z: 7.0, "float64", "times 7"),
    (lambda z: 1 + 1e-6, "float64", ""),
    (lambda z: 3.0 if len(z) > 1 else 2.0, "float64", ""),
])  # fmt: skip
def test_a_single_number_is_wrong_by_a_factor_that_all_cases_tell(factor: Any, dtype: str, words: str) -> None:
    def loss(z: Any, labels: Any) -> Any:
        return np.asarray(cross_entropy(z, labels) * factor(z)).astype(z.dtype)

    failure = check({"cross_entropy": loss}, dtype=dtype, functions=["cross_entropy"]).results["cross_entropy"].failure
    assert failure is not None
    said = f"Every wrong answer is the right one {words}." if words else ""
    assert failure.condition.partition("The same calls")[0].strip() == said
    assert scaled([failure] * 3) == ""


@pytest.mark.spec("ORC-D16")
def test_every_wrong_answer_is_every_one() -> None:
    def loss(other: Callable[[Any], Any]) -> Any:
        return lambda o, y: 2 * squared_error(o, y) if o.size > 4 else other(squared_error(o, y))

    def refused(e: Any) -> Any:
        raise RuntimeError

    for other in (lambda e: e * 0, lambda e: np.array([e]), refused):
        failure = check({"squared_error": loss(other)}, functions=["squared_error"]).results["squared_error"].failure
        assert failure is not None
        assert "Every wrong answer" not in failure.condition


@pytest.mark.spec("ORC-D16")
@pytest.mark.parametrize(("pattern", "kinds"), [
    ("6 of 24 entries are wrong, all at column 3 (the last)",
     {"the wrong entries are all at column 3", "the wrong entries are all at column −1 (the last)"}),
    ("1 of 3 entries is wrong, all at index 0 of axis 0", {"the wrong entries are all at index 0 of axis 0"}),
    ("every entry is 1/5 times what it should be; 5 is the number of columns",
     {"every entry is 1/5 times what it should be",
      "every entry is 1/n times what it should be, n being the number of columns"}),
    ("shifted by -2 along axis 1", {"shifted by -2 along axis 1"}),
    ("4 of 9 entries are wrong", set()), ("its one entry is wrong", set()), ("", set()),
])  # fmt: skip
def test_a_pattern_has_words_that_hold_for_other_sizes(pattern: str, kinds: set[str]) -> None:
    assert kinds_of(pattern) == kinds


@pytest.mark.spec("ORC-D16")
def test_conditions_are_those_of_the_windows_and_of_options_that_do_something() -> None:
    asked = cases("conv_forward")
    windows = [windows_of(c.call) for c in asked]
    overlap = [any(s < e and o > 1 for s, e, o in zip(w.stride, w.spans, w.out)) for w in windows]
    assert condition(list(zip(asked, overlap))) == "Wrong in exactly the cases with windows that overlap."
    plain, one, two = (Case("conv_forward", read(f"x=1x1x5x5 w=1x1x2x2{o}")) for o in ("", " stride=1", " stride=2"))
    judged = [(two, True), *[(plain, False), (one, False)] * 2] * 4
    assert condition(judged) == "Wrong in exactly the cases with stride."


@pytest.mark.spec("ORC-D6")
def test_the_largest_number_of_a_window_matters_though_it_may_grow() -> None:
    case = Case("max_pool_backward", read("x=1x1x2x2 window=2"))
    x = case.arguments["x"]
    aside = idle(case, "dx", np.ones(x.shape, bool))["x"]
    assert not aside[x == x.max()].any()


@pytest.mark.spec("ORC-D6", "ORC-D16")
def test_what_does_not_matter_is_in_brackets_and_something_helps() -> None:
    def third_image_lost(dy: Any, x: Any, window: Any, **options: Any) -> Any:
        dx = max_pool_backward(dy, x, window, **options)
        dx[2:] = 0
        return dx

    report = check({"max_pool_backward": third_image_lost}, profile="quick")
    failure = report.results["max_pool_backward"].failure
    assert failure is not None
    assert failure.condition == "Wrong in exactly the cases with more than 2 images."
    text = str(report)
    assert failure.condition in text
    assert failure.wrong is not None
    aside = idle(failure.case, "dx", failure.wrong)
    assert [bool(aside["dy"][n].all()) for n in range(3)] == [True, True, False]
    assert [bool(aside["x"][n].all()) for n in range(3)] == [True, True, False]
    assert "In brackets: what the right values at * do not depend on." in text
    assert "help: No known mistake explains every answer." in text
    assert "more: reference-cnn explain POOL-B1" in text


@pytest.mark.spec("ORC-D6")
def test_what_helps_is_of_the_kind_of_failure() -> None:
    def text(name: str, function: Any, **how: Any) -> str:
        return " ".join(str(check({name: function}, functions=[name], profile="quick", **how)).split())

    def lost(z: Any, labels: Any) -> Any:
        return np.array([cross_entropy(z, labels)] * 2)

    assert "help: Look at how sizes follow from the options, and for axes" in text("cross_entropy", lost)
    wide = text("relu", lambda z: relu(z.astype(float)), dtype="float32", strict=True)
    assert "help: What is owed is an array of float32." in wide
    assert "help: 0·∞, ∞ − ∞ and ∞/∞ are NaN: look for the one that the -inf in z runs into." in text(
        "relu", lambda z: z * (z > 0)
    )


@pytest.mark.spec("ORC-D6")
def test_labels_are_not_moved() -> None:
    case = Case("cross_entropy", read("z=2x3"), "rounding")
    assert not idle(case, "E", np.ones((), bool))["labels"].any()
