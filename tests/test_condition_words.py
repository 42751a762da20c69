"""What wrong cases have in common, property by property and factor by factor."""

import math
import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from reference_cnn import conv_forward
from reference_cnn._pattern import ALTERNATIVE
from reference_cnn.oracle import Case, check
from reference_cnn.oracle.conditions import (
    ACCIDENT,
    FEWEST,
    PICTURE,
    condition,
    confined,
    kinds_of,
    otherwise_wrong,
    scaled,
    seen_best,
    typical,
)
from reference_cnn.oracle.judge import Failure, judge
from reference_cnn.oracle.notation import read
from reference_cnn.oracle.targets.ask import Answer

# A call with a property, one without, and the words for it; two wordings are of one call where the first is always so.
PROPERTIES = [
    ("conv_forward", "x=1x1x3 w=1x1x1 b=1", "x=1x1x3 w=1x1x1", "b"),
    ("conv_forward", "x=1x2x3 w=2x1x1 groups=2", "x=1x2x3 w=2x2x1", "groups"),
    ("conv_forward", "x=1x2x3 w=2x1x1 groups=2", "x=1x2x3 w=2x2x1 groups=1", "groups"),
    ("conv_forward", "x=1x1x3 w=1x1x1 padding=1", "x=1x1x3 w=1x1x1 padding=0", "padding"),
    ("conv_forward", "x=1x1x3x3 w=1x1x1x1 padding=0:0,0:1", "x=1x1x3x3 w=1x1x1x1 padding=0:0,0:0", "padding"),
    ("conv_forward", "x=1x1x3x3 w=1x1x1x1 dilation=1,2", "x=1x1x3x3 w=1x1x1x1 dilation=1,1", "dilation"),
    ("conv_forward", "x=1x1x3x3 w=1x1x1x1 stride=2", "x=1x1x3x3 w=1x1x1x1 stride=1", "stride"),
    ("avg_pool_forward", "x=1x1x3 window=1 include_padding=True", "x=1x1x3 window=1", "include_padding"),
    *(
        ("conv_forward", f"x={n + 2}x1x3 w=1x1x1", f"x={n}x1x3 w=1x1x1", f"more than {n} image{'s' * (n > 1)}")
        for n in (1, 2, 5)
    ),
    ("relu", "z=1x1", "z=1", "more than 1 axis"),
    ("relu", "z=1x1x1", "z=1x1", "more than 2 axes"),
    ("relu", "z=1x1x1x1", "z=1x1x1", "more than 3 axes"),
    ("dense_forward", "x=1x3 w=3x2", "x=1x3 w=3x1", "more than 1 neuron"),
    ("dense_forward", "x=1x3 w=3x6", "x=1x3 w=3x5", "more than 5 neurons"),
    ("dense_forward", "x=1x2 w=2x1", "x=1x1 w=1x1", "an even number of features"),
    ("dense_forward", "x=1x1 w=1x1", "x=1x2 w=2x1", "an odd number of features"),
    ("conv_forward", "x=1x1x3 w=3x1x1", "x=1x1x3 w=2x1x1", "more than 2 filters"),
    ("conv_forward", "x=1x1x3 w=6x1x1", "x=1x1x3 w=5x1x1", "more than 5 filters"),
    ("conv_forward", "x=1x1x9 w=1x1x3 stride=3", "x=1x1x9 w=1x1x2 stride=3", "an odd number of kernel entries"),
    ("conv_forward", "x=1x1x9 w=1x1x4 stride=5", "x=1x1x9 w=1x1x3 stride=5", "an even number of kernel entries"),
    ("conv_forward", "x=1x1x9 w=1x1x3 stride=2", "x=1x1x9 w=1x1x3 stride=3", "windows that overlap"),
    ("avg_pool_forward", "x=1x1x9 window=3 stride=2", "x=1x1x9 window=3 stride=3", "windows that overlap"),
    ("avg_pool_forward", "x=1x1x9 window=3 stride=4", "x=1x1x9 window=3 stride=3", "stride"),
    ("conv_forward", "x=1x1x9 w=1x1x3 stride=2", "x=1x1x9 w=1x1x2", "stride"),
    (
        "conv_forward",
        "x=1x1x9x9 w=1x1x4x2 stride=4",
        "x=1x1x9x9 w=1x1x2x2 stride=4",
        "windows that are not square",
    ),
    ("max_pool_forward", "x=1x1x4 window=2", "x=1x1x4 window=2 stride=2", "no stride"),
    ("conv_forward", "x=1x1x4 w=1x1x3 padding=same", "x=1x1x4 w=1x1x3 padding=1", 'padding="same"'),
    ("conv_forward", "x=1x9x2 w=1x9x1", "x=1x9x2 w=1x8x1 stride=2", "more than 8 terms in a sum"),
    ("conv_forward", "x=3x1x6 w=1x1x1", "x=3x1x6 w=1x1x1 stride=2", "more than 16 images times positions"),
    ("conv_forward", "x=2x1x12 w=1x1x1", "x=2x1x12 w=1x1x5", "more than 16 images times positions"),
    ("conv_forward", "x=1x1x9 w=1x1x3 stride=3", "x=1x1x9 w=1x1x1 stride=3", "more than 1 kernel entry"),
    ("conv_forward", "x=1x1x21 w=1x1x7 stride=7", "x=1x1x21 w=1x1x5 stride=7", "more than 5 kernel entries"),
    ("relu", "z=3 scale=1e-7", "z=3 scale=1e-6", "tiny numbers"),
    ("softmax", "z=3 scale=17", "z=3 scale=16", "large numbers"),
    ("dense_forward", "x=1x1 w=1x1 scale=32", "x=1x1 w=1x1 scale=16", "numbers of very different sizes"),
    ("dense_forward", "x=9x1 w=1x1", "x=7x1 w=1x1", "more than 8 examples"),
    (
        "conv_forward",
        "x=1x1x3x3 w=1x1x1x1 padding=1:1,0:0",
        "x=1x1x3x3 w=1x1x1x1 padding=1:1,1:1",
        "padding that differs",
    ),
    ("conv_forward", "x=1x1x9x9 w=1x1x1x1 stride=2,3", "x=1x1x9x9 w=1x1x1x1 stride=2", "strides that differ"),
    (
        "conv_forward",
        "x=1x1x9x9 w=1x1x1x1 padding=1:1,0:1",
        "x=1x1x9x9 w=1x1x1x1 padding=1",
        "more padding on one side",
    ),
]


@pytest.mark.spec("ORC-D16")
@pytest.mark.parametrize(("function", "one", "other", "words"), PROPERTIES, ids=[p[-1] for p in PROPERTIES])
def test_a_property_is_said_where_it_alone_tells_wrong_cases_from_right_ones(
    function: str, one: str, other: str, words: str
) -> None:
    wrong, right = (Case(function, read(text)) for text in (one, other))
    said = f"Wrong in exactly the cases with {words}."
    assert condition([(wrong, True), *[(right, False), (wrong, True)] * FEWEST]) == said
    # And so it is if all of these are asked last.
    assert condition([*[(right, False)] * FEWEST, *[(wrong, True)] * FEWEST]) == said


@pytest.mark.spec("ORC-D16")
def test_whole_numbers_and_what_no_property_tells() -> None:
    whole, real = (Case("relu", read("z=3"), tier) for tier in ("exact", "rounding"))
    assert condition([(whole, True), *[(real, False), (whole, True)] * FEWEST]) == (
        "Wrong in exactly the cases with whole numbers."
    )
    # Of whole gradients and shares that add up to 1 not all are whole.
    exact, real = (Case("softmax_backward", read("a=2x3"), tier) for tier in ("exact", "rounding"))
    assert condition([(exact, True), *[(real, False), (exact, True)] * FEWEST]) == (
        "Wrong in exactly the cases with exact numbers."
    )
    # What the absence of a bias tells has no words.
    with_bias, without = (Case("dense_forward", read(f"x=1x1 w=1x1{b}")) for b in (" b=1", ""))
    assert condition([(without, True), *[(with_bias, False), (without, True)] * FEWEST]) == ""
    # And beyond five only powers of two up to 1024 are counted, or three axes.
    for function, many, fewer in (
        ("dense_forward", "x=1x2050 w=2050x1", "x=1x2048 w=2048x1"),
        ("dense_forward", "x=7x1 w=1x8", "x=7x1 w=1x6"),
        ("conv_forward", "x=8x1x3 w=1x1x1", "x=6x1x3 w=1x1x1"),
        ("relu", "z=1x1x1x1x1", "z=1x1x1x1"),
    ):
        wrong, right = (Case(function, read(text)) for text in (many, fewer))
        assert condition([(wrong, True), *[(right, False), (wrong, True)] * FEWEST]) == ""
    # Nor is it said that there is anything at all.
    none, one, two = (Case("dense_forward", read(f"x={n}x1 w=1x1")) for n in range(3))
    assert condition([(one, True), *[(none, False), (two, True)] * FEWEST]) == ""


def with_options(text: str, count: int, wrong: int = 0) -> list[tuple[Case, bool]]:
    """So many cases of a convolution with some options, the first of them wrong."""
    case = Case("conv_forward", read(f"x=3x2x4x5 w=2x1x1x1 groups=2{text}"))
    return [(case, k < wrong) for k in range(count)]


@pytest.mark.spec("ORC-D16")
def test_what_all_wrong_cases_have_is_said_if_hardly_any_accident_would_bring_it_about() -> None:
    plain, padded = with_options("", 10), with_options(" padding=1", 10, 9)
    nine = confined([*plain, *padded, *with_options("", 60)])
    assert nine == "Wrong in 9 of the 10 cases with padding, and in no other."
    # One in two by accident: 20 wrong ones are fewer than once in a million, 19 are not.
    for wrong, said in ((20, True), (19, False)):
        halves = [*with_options("", 30), *with_options(" padding=1", 30, wrong)]
        assert (0.5**wrong <= ACCIDENT) is said
        assert bool(confined(halves)) is said
    assert confined([*plain, *with_options(" padding=1", 10)]) == ""
    # What one wrong case lacks is not said.
    assert confined([*with_options("", 60, 1), *with_options(" padding=1", 10, 9)]) == ""
    assert confined([]) == ""


@pytest.mark.spec("ORC-D16")
def test_once_in_a_million_is_rare_enough() -> None:
    assert ACCIDENT == (2 / 2000) ** 2
    assert confined([*with_options("", 1998), *with_options(" padding=1", 2, 2)]).startswith("Wrong in 2 of the 2")
    assert confined([*with_options("", 1997), *with_options(" padding=1", 2, 2)]) == ""


@pytest.mark.spec("ORC-D16")
@pytest.mark.parametrize(("say", "wrong"), [(condition, 10), (confined, 9)], ids=["condition", "confined"])
def test_what_the_case_that_is_shown_contradicts_is_not_said(say: Callable[..., str], wrong: int) -> None:
    padded = with_options(" padding=1", 10, wrong)
    judged = [padded[0], *with_options("", 60), *padded[1:]]
    (plain, _), (with_padding, _) = judged[1], judged[0]
    special = replace(plain, call=read("x=3x2x4x5 w=2x1x1x1 groups=2 nan=x"), tier="special")
    assert "padding" in say(judged, with_padding)
    assert say(judged, plain) == ""
    # A special value is shown where there is no other, and says nothing of the rest.
    assert "padding" in say(judged, special)


@pytest.mark.spec("ORC-D16")
def test_two_properties_are_said_where_they_leave_out_half_of_the_right_cases() -> None:
    both, others = with_options(" padding=1 stride=2", 30, 20), with_options("", 40)
    one = with_options(" padding=1", 10)
    assert confined([*both, *one, *with_options(" stride=2", 11), *others]) == (
        "Wrong in 20 of the 30 cases with padding and stride together, and in no other."
    )
    assert confined([*both, *one[1:], *with_options(" stride=2", 11), *others]) == (
        "Wrong in 20 of the 39 cases with padding, and in no other."
    )


@pytest.mark.spec("ORC-D16")
def test_special_values_count_but_do_not_decide() -> None:
    padded, others = with_options(" padding=1", 30, 20), with_options("", 40)
    for text, holds, aside in ((" padding=1", 31, ""), ("", 30, ", special values aside")):
        special = Case("conv_forward", read(f"x=3x2x4x5 w=2x1x1x1 groups=2{text} nan=x"), "special")
        assert confined([*padded, *others, (special, True)]) == (
            f"Wrong in {holds - 10} of the {holds} cases with padding, and in no other{aside}."
        )
    assert confined([(special, True)]) == ""


def failing(text: str, index: Any, change: float = 1, function: str = "dense_forward") -> Failure:
    """A wrong answer to a case: the right one but for some entries."""
    case = Case(function, read(text))
    (expected,) = case.expected.values()
    got = expected.value.copy()
    got[index] += change
    failure = judge(case, Answer("answered", dict.fromkeys(case.expected, got))).failure
    assert failure is not None
    return failure


LAST = failing("x=5x3 w=3x6", (..., 5))
OTHER = failing("x=5x3 w=3x5", (..., 4))
ALL = failing("x=5x3 w=3x5", ...)
PAIR, SINGLE = failing("x=2x1 w=1x1", ...), failing("x=1x1 w=1x1", ...)


@pytest.mark.spec("ORC-D16")
def test_half_of_those_with_several_entries_and_a_quarter_of_all_follow_a_pattern() -> None:
    said = "the wrong entries are all at neuron −1 (the last)"
    assert typical([LAST] * 4 + [OTHER], SINGLE)[0].endswith(said + ".")
    shown = typical([LAST] * 2 + [OTHER] * 2 + [ALL] * 4, SINGLE)
    assert shown[0] == f"In 4 of 8 wrong cases, {LAST.case.text} for one, {said}." or shown[0] == (
        f"In 4 of 8 wrong cases, {OTHER.case.text} for one, {said}."
    )
    assert typical([LAST] * 4 + [ALL] * 5, SINGLE)[0] == ""
    assert typical([LAST] * 4 + [PAIR] * 5, SINGLE)[0] == ""
    assert typical([LAST] * 4 + [PAIR] * 4, SINGLE)[0].startswith("In 4 of 8 wrong cases")
    assert typical([LAST] * 4 + [SINGLE] * 12, SINGLE)[0].startswith("In 4 of 16 wrong cases")
    assert typical([LAST] * 4 + [SINGLE] * 13, SINGLE)[0] == ""
    raised = Failure(LAST.case, "exception", "it raises", "DENSE-F1", output="z")
    assert typical([LAST] * 4 + [raised] * 12, SINGLE)[0].startswith("In 4 of 16 wrong cases")
    assert typical([LAST] * 4 + [raised] * 13, SINGLE)[0] == ""
    assert typical([], SINGLE) == ("", None)


@pytest.mark.spec("ORC-D16")
def test_of_two_patterns_that_come_to_the_same_either_may_be_meant() -> None:
    assert kinds_of(f"it is flipped{ALTERNATIVE}its rows are swapped") == {"it is flipped", "its rows are swapped"}


@pytest.mark.spec("ORC-D16")
def test_the_best_to_look_at_is_not_too_small_and_has_no_size_of_1() -> None:
    small, flat, square, larger = (
        failing(f"x={n}x{c} w={c}x{f}", 0) for n, c, f in ((4, 2, 5), (12, 1, 2), (4, 3, 6), (6, 4, 5))
    )
    assert PICTURE == square.case.expected["z"].value.size == 24
    assert seen_best([small, flat, square, larger], SINGLE) is square
    assert seen_best([small, flat, larger], SINGLE) is larger
    assert seen_best([small, flat], SINGLE) is flat
    assert seen_best([SINGLE, small], SINGLE) is small
    elsewhere = replace(square, output="dx")
    assert seen_best([elsewhere, small], SINGLE) is small
    assert seen_best([], SINGLE) is None


def loss(text: str, factor: float, off: float = 0, *, bound: float = 1e-12, right: float = 1.0) -> Failure:
    """A wrong loss: its right value times a factor, and off by so much."""
    case = Case("squared_error", read(text))
    value = np.asarray(right)
    return Failure(case, "values", "", "", "E", (), got=factor * right + off, expected=right, bound=bound, right=value)


SIZES = ((2, 3), (5, 3), (2, 7), (5, 7))


@pytest.mark.spec("ORC-D16")
@pytest.mark.parametrize("n", range(2, 11))
def test_a_factor_is_a_number_up_to_ten(n: int) -> None:
    several = [loss(f"o={a}x{b}", n) for a, b in SIZES]
    assert scaled(several) == f"Every wrong answer is the right one times {n}."
    assert scaled(several[:3]) == ""


@pytest.mark.spec("ORC-D16")
def test_a_factor_is_a_size_or_a_product_of_two_and_no_larger_number() -> None:
    assert scaled([loss(f"o={a}x{b}", 11) for a, b in SIZES]) == ""
    assert scaled([loss(f"o={a}x{b}", -1) for a, b in SIZES]).endswith("times -1.")
    entries = [loss(f"o={a}x{b}", a * b) for a, b in SIZES]
    assert scaled(entries).endswith("times the number of entries.")
    rows = [
        replace(loss("o=2x3", 1), case=Case("cross_entropy", read(f"z={a}x{b}"), "rounding"), got=float(a * a * b))
        for a, b in SIZES
    ]
    assert scaled(rows) == "Every wrong answer is the right one times the number of examples times entries."


@pytest.mark.spec("ORC-D16")
def test_a_factor_is_right_within_what_rounding_leaves() -> None:
    unit = 2.0**-53
    for off, holds in ((3e-12, True), (3.1e-12, False), (-3e-12, True), (-3.1e-12, False)):
        assert bool(scaled([loss(f"o={a}x{b}", 3, off) for a, b in SIZES])) is holds
    # Where the bound is 0, two roundings: of the factor's product and of the number itself.
    large = 2.0**40
    for units, holds in ((2, True), (3, False)):
        each = [loss(f"o={a}x{b}", 4, units * unit * 4 * large, bound=0, right=large) for a, b in SIZES]
        assert bool(scaled(each)) is holds
    for factor, holds in ((2, True), (2.5, False)):
        narrow = [loss(f"o={a}x{b}", 4, factor * 2.0**-24 * 4, bound=0) for a, b in SIZES]
        assert bool(scaled([replace(f, case=replace(f.case, dtype="float32")) for f in narrow])) is holds


@pytest.mark.spec("ORC-D16")
def test_what_is_infinite_is_so_by_any_factor() -> None:
    infinite = [loss(f"o={a}x{b}", 3, right=right) for (a, b), right in zip(SIZES, (1, math.inf, 2, math.nan))]
    assert scaled(infinite).endswith("times 3.")
    for got in (1.0, math.nan):
        assert scaled([infinite[0], replace(infinite[1], got=got), *infinite[2:]]) == ""
    assert scaled([*infinite[:3], replace(infinite[3], got=1.0)]) == ""
    assert scaled([replace(infinite[0], right=np.ones(1)), *infinite[1:]]) == ""


def test_what_goes_wrong_otherwise_than_shown_is_counted_with_the_smallest() -> None:
    def conv(x: Any, w: Any, b: Any = None) -> Any:
        if x.shape[2] != x.shape[3]:
            raise ValueError("not square")
        return conv_forward(x, w, b) + (x.shape[1] > 1)

    failure = check({"conv_forward": conv}, profile="quick").results["conv_forward"].failure
    assert failure is not None
    assert failure.kind == "values"
    said = re.search(r"(\d+) of the wrong ones are so in another way, such as (x=\S+) .*: (it .*)$", failure.condition)
    assert said is not None
    assert int(said[1]) > 100
    sizes = [int(size) for size in said[2].split("=")[1].split("x")]
    assert sizes[2] != sizes[3]
    assert np.prod(sizes) < 40  # of hundreds that have up to thousands
    assert said[3].startswith("it raises ValueError: not square (test_condition_words.py, line ")
    # Where everything is wrong in one way there is nothing to add.
    assert otherwise_wrong([failure, failure], failure) == ""
