"""What a target does not offer: never a failure, and said."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from strategies import Array

import reference_cnn as reference
from reference_cnn import conv_backward, conv_forward, dense_forward
from reference_cnn.oracle import Case, cases, check, notation, numbers, offers
from reference_cnn.oracle.call import PROFILES, Call, windows_of
from reference_cnn.oracle.judge import Judgement
from reference_cnn.oracle.targets.ask import Answer, Outcome
from reference_cnn.oracle.workers import Found


@pytest.mark.spec("ORC-D3")
def test_refusing_a_feature_is_no_failure_but_refusing_some_calls_with_it_is() -> None:
    def no_groups(*a: Any, groups: int = 1, **o: Any) -> Array:
        if groups > 1:
            raise ValueError("one group only")
        return conv_forward(*a, **o)

    def some_groups(*a: Any, groups: int = 1, **o: Any) -> Array:
        if groups > 2:
            raise ValueError("two groups at most")
        return conv_forward(*a, groups=groups, **o)

    def unfinished(*a: Any, padding: Any = 0, stride: Any = 1, **o: Any) -> Array:
        if padding == "same" and stride != 1:
            raise NotImplementedError
        return conv_forward(*a, padding=padding, stride=stride, **o)

    def broken(*a: Any, **o: Any) -> Array:
        raise RuntimeError("out of order")

    def groups_later(*a: Any, groups: int = 1, **o: Any) -> Array:
        if groups > 1:
            raise NotImplementedError
        return conv_forward(*a, **o)

    for function in (no_groups, groups_later):
        assert check({"conv_forward": function}).results["conv_forward"].not_offered == ("groups",)
    some = check({"conv_forward": some_groups}).results["conv_forward"]
    assert some.failure is not None
    assert some.failure.message.startswith("it raises ValueError: two groups at most (test_offers.py, line ")
    report = check({"conv_forward": unfinished})
    assert report.passed
    assert 'padding="same" with stride' in report.results["conv_forward"].not_offered
    never = check({"conv_forward": broken})
    assert (never.passed, never.results["conv_forward"].verdict) == (False, "error")


@pytest.mark.spec("ORC-D3", "ORC-D5")
def test_a_function_that_is_not_implemented_is_missing() -> None:
    def later(*a: Any) -> Any:
        raise NotImplementedError

    report = check({"sigmoid": later, "dense_forward": dense_forward})
    assert report.passed
    assert report.results["sigmoid"].verdict == "missing"
    assert not check({"sigmoid": later}).passed  # nothing was judged


def refusing(function: Callable[..., Any], refused: Callable[[dict[str, Any]], bool]) -> Callable[..., Any]:
    """The function, which raises ValueError for some options."""

    def narrow(*arguments: Any, **options: Any) -> Any:
        if refused(options):
            raise ValueError("not that")
        return function(*arguments, **options)

    return narrow


def differ(values: Any) -> bool:
    return isinstance(values, tuple) and len(set(values)) > 1


def lopsided(pads: Any) -> bool:
    return isinstance(pads, tuple) and any(isinstance(p, tuple) and p[0] != p[1] for p in pads)


def asymmetric(x: Array, w: Array, **options: Any) -> bool:
    call = Call((("x", x.shape), ("w", w.shape)), tuple(options.items()))
    return any(before != after for before, after in windows_of(call).pads)


@pytest.mark.spec("ORC-D3")
@pytest.mark.parametrize(("function", "refused", "not_offered"), [
    ("conv_forward", lambda o: differ(o.get("stride")), "stride per axis"),
    ("conv_backward", lambda o: differ(o.get("dilation")), "dilation per axis"),
    ("conv_forward", lambda o: lopsided(o.get("padding")), "padding per side"),
    ("conv_forward", lambda o: o.get("groups", 1) != 1, "groups"),
    ("conv_forward", lambda o: o.get("padding", 0) not in (0, (0, 0), ((0, 0), (0, 0))), "padding"),
    ("max_pool_forward", lambda o: o.get("dilation", 1) not in (1, (1, 1)), "dilation"),
    ("avg_pool_backward", lambda o: o.get("include_padding", False), "include_padding"),
])  # fmt: skip
def test_who_refuses_a_feature_may_accept_what_it_says_without_telling(
    function: str, refused: Callable[[dict[str, Any]], bool], not_offered: str
) -> None:
    """One group, no padding; the same stride along each axis, the same padding on both sides."""
    for seed in range(3):
        report = check({function: refusing(getattr(reference, function), refused)}, seed=seed)
        assert report.passed, f"\n{report}"
        assert not_offered in report.results[function].not_offered


@pytest.mark.spec("ORC-D3")
def test_a_pooling_whose_stride_has_to_be_its_window_offers_no_stride() -> None:
    def side_by_side(x: Array, window: Any, stride: Any = None, padding: Any = 0) -> Array:
        if stride not in (None, window, (window, window)):
            raise ValueError("windows must not overlap")
        return reference.max_pool_forward(x, window, padding=padding)

    for rank in (1, 2):
        report = check({"max_pool_forward": side_by_side}, rank=rank)
        assert report.passed, f"\n{report}"
        assert report.results["max_pool_forward"].not_offered == ("dilation", "stride", "stride per axis")


@pytest.mark.spec("ORC-D3")
@pytest.mark.parametrize("rank", [1, 2])
def test_padding_that_must_be_symmetrical_may_come_from_same(rank: int) -> None:
    def symmetrical(x: Array, w: Array, **options: Any) -> Array:
        if asymmetric(x, w, **options):
            raise ValueError("asymmetric padding")
        return conv_forward(x, w, **options)

    report = check({"conv_forward": symmetrical}, rank=rank)
    assert report.passed, f"\n{report}"
    assert {"padding per side", 'padding="same"'} <= set(report.results["conv_forward"].not_offered)


@pytest.mark.spec("ORC-D3")
@pytest.mark.parametrize("option", ["stride", "dilation"])
def test_of_one_axis_every_value_tells(option: str) -> None:
    report = check({"conv_forward": refusing(conv_forward, lambda o: o.get(option, 1) not in (1, (1,)))}, rank=1)
    assert report.passed, f"\n{report}"
    assert {option, f"{option} per axis"} <= set(report.results["conv_forward"].not_offered)


@pytest.mark.spec("ORC-D3")
def test_what_comes_with_a_refused_feature_alone_is_asked_without_it() -> None:
    """Every fixed call with "same" has an int for its window; to refuse such is not to refuse "same"."""

    def pairs_only(x: Array, window: Any, stride: Any = None, padding: Any = 0) -> Array:
        if not isinstance(window, tuple):
            raise TypeError("a window for each axis")
        y = reference.max_pool_forward(x, window, stride=stride, padding=padding)
        return y + 1 if padding == "same" else y

    for profile in ("quick", "standard"):
        result = check({"max_pool_forward": pairs_only}, profile=profile).results["max_pool_forward"]
        assert result.not_offered == ("dilation", "window")
        assert result.failure is not None
        assert dict(result.failure.case.call.options)["padding"] == "same"


@pytest.mark.spec("ORC-D3")
def test_no_feature_is_blamed_for_a_size() -> None:
    def one_image(x: Array, w: Array, b: Any = None, **options: Any) -> Array:
        if len(x) > 1:
            raise NotImplementedError
        return conv_forward(x, w, b, **options)

    def odd_kernels(x: Array, w: Array, b: Any = None, **options: Any) -> Array:
        if any(k % 2 == 0 for k in w.shape[2:]):
            raise NotImplementedError
        return conv_forward(x, w, b, **options)

    for narrow in (one_image, odd_kernels):
        report = check({"conv_forward": narrow})
        assert report.passed, f"\n{report}"
        (words,) = report.results["conv_forward"].not_offered
        assert words.endswith(" other calls")


@pytest.mark.spec("ORC-D3")
def test_a_keyword_that_is_called_otherwise_is_noted() -> None:
    def strided(
        x: Array, w: Array, b: Any = None, strides: Any = 1, pad: Any = 0, pads: Any = 0, group: int = 1
    ) -> Array:
        return conv_forward(x, w, b, stride=strides, padding=pad, groups=group)

    result = check({"conv_forward": strided}, profile="quick", strict=True).results["conv_forward"]
    assert result.verdict == "pass"
    assert result.notes == (
        "it has group, but only groups is asked about",
        "it has pad, pads, but only padding is asked about",
        "it has strides, but only stride is asked about",
    )
    assert check({"conv_forward": conv_forward}, profile="quick").results["conv_forward"].notes == ()


@pytest.mark.spec("ORC-D3")
def test_what_every_call_with_an_option_raises_is_noted() -> None:
    wrong = refusing(conv_forward, lambda o: "stride" in o)
    result = check({"conv_forward": wrong}, profile="quick").results["conv_forward"]
    assert result.verdict == "pass"
    (note,) = result.notes
    assert note.startswith(
        "every call in which stride does something is refused: ValueError: not that (test_offers.py, line "
    )

    def later(x: Array, w: Array, b: Any = None, stride: Any = None) -> Array:
        if stride is not None:
            raise NotImplementedError
        return conv_forward(x, w, b)

    assert check({"conv_forward": later}, profile="quick").results["conv_forward"].notes == ()


@pytest.mark.spec("ORC-D3", "ORC-D6")
def test_a_failure_is_not_reduced_to_what_is_not_offered() -> None:
    def insisting(x: Array, w: Array, b: Array, **options: Any) -> Array:
        if x.shape[1] == 2:
            raise IndexError("two channels")
        return conv_forward(x, w, b, **options)

    failure = check({"conv_forward": insisting}, profile="quick").results["conv_forward"].failure
    assert failure is not None
    assert "b" in failure.case.shapes


@pytest.mark.spec("ORC-D3", "ORC-D6")
def test_a_failure_is_not_reduced_to_what_is_refused() -> None:
    def pairs_only(x: Array, window: Any, **options: Any) -> Array:
        if not isinstance(window, tuple):
            raise TypeError("a window for each axis")
        if len(x) > 2:
            raise IndexError("three images")
        return reference.max_pool_forward(x, window, **options)

    failure = check({"max_pool_forward": pairs_only}).results["max_pool_forward"].failure
    assert failure is not None
    assert failure.message.startswith("it raises IndexError: three images (test_offers.py, line ")
    assert failure.case.shapes["x"] == (3, 1, 1, 1)


@pytest.mark.spec("ORC-D3")
def test_who_offers_a_feature_owes_it_where_it_tells_nothing() -> None:
    """What says nothing is judged like all the rest."""
    wrong = refusing(conv_forward, lambda o: o.get("groups") == 1)
    failure = check({"conv_forward": wrong}).results["conv_forward"].failure
    assert failure is not None
    assert failure.message.startswith("it raises ValueError: not that")
    assert failure.case.call.options == (("groups", 1),)


def insisting(function: Callable[..., Any]) -> Callable[..., Any]:
    """A convolution with a bias that has to be given, an int stride and an int padding."""

    def conv(x: Array, w: Array, b: Array, stride: int = 1, padding: int = 0) -> Any:
        if not isinstance(stride, int) or not isinstance(padding, int):
            raise TypeError("int only")
        return function(x, w, b, stride=stride, padding=padding)

    return conv


@pytest.mark.spec("ORC-D3")
def test_a_bias_that_has_to_be_given_hides_nothing() -> None:
    right = check({"conv_forward": insisting(conv_forward)})
    assert right.passed, f"\n{right}"
    assert set(right.results["conv_forward"].not_offered) == {
        *("no b", "dilation", "groups", "stride per axis", "padding per axis", "padding per side"),
        *('padding="same"', 'padding="valid"'),
    }
    assert right.results["conv_forward"].cases > 80
    ignoring = insisting(lambda x, w, b, stride, padding: conv_forward(x, w, b, padding=padding))
    assert not check({"conv_forward": ignoring}).passed


@pytest.mark.spec("ORC-D4")
def test_a_gradient_is_offered_always_or_never() -> None:
    def sometimes(dz: Array, x: Array, w: Array, **options: Any) -> Any:
        dx, dw, db = conv_backward(dz, x, w, **options)
        return dx, None if options else dw, db

    failure = check({"conv_backward": sometimes}).results["conv_backward"].failure
    assert failure is not None
    assert failure.message == "dw is None here, though not in every call"


FUNCTION, PLAIN, STRIDED = "conv_forward", "x=1x1x3 w=1x1x1", "x=1x1x3 w=1x1x1 stride=2"


def one_by_one(function: Callable[..., Any], questions: list[Case]) -> list[Found]:
    return [Found.by(function, question, strict=False) for question in questions]


def found(text: str, outcome: Outcome = "answered") -> Found:
    case = Case(FUNCTION, notation.read(text), "rounding")
    return Found(case, Answer(outcome, {}), Judgement(0, None), informative=True)


@pytest.mark.spec("ORC-D3")
def test_what_is_not_asked_is_no_answer() -> None:
    """A target that has died too often is not asked any more [PROTO-C3]; how many questions are left is known."""

    def dies_at_the_fourth(function: Callable[..., Any], questions: list[Case]) -> list[Found]:
        answers = [found(PLAIN)] * 3 + [found(PLAIN, "not asked")] * (len(questions) - 3)
        return [answer._replace(case=question) for answer, question in zip(answers, questions)]

    asked = cases(FUNCTION)
    inquiry = offers.inquire(conv_forward, asked, None, dies_at_the_fourth)
    assert (len(inquiry.questions), [f.case for f in inquiry.found]) == (len(asked), asked[:3])
    inquiry.ask(cases(FUNCTION, seed=1)[:5])
    assert (len(inquiry.questions), len(inquiry.found)) == (len(asked) + 5, 6)
    inquiry.ask(asked[:5])  # nothing twice
    assert (len(inquiry.questions), len(inquiry.found)) == (len(asked) + 5, 6)


@pytest.mark.spec("ORC-D3")
def test_who_insists_on_a_bias_is_asked_every_call_with_one() -> None:
    def insisting(x: Array, w: Array, b: Array, **options: Any) -> Array:
        return conv_forward(x, w, b, **options)

    asked = cases(FUNCTION)
    for effort in (None, PROFILES["quick"]):
        calls = {f.case.call for f in offers.inquire(insisting, asked, effort, one_by_one).found}
        assert {case.call.with_bias() for case in asked} <= calls
        optional = offers.inquire(conv_forward, asked, effort, one_by_one)
        assert {case.call for case in asked} <= {f.case.call for f in optional.found}
        assert len(optional.found) < len(asked) + 30


@pytest.mark.spec("ORC-D2", "ORC-D3")
def test_more_is_drawn_anew_for_every_seed_rank_and_batch_and_asked_in_both_tiers() -> None:
    def drawn(batch: int = 1, **changes: Any) -> list[Case]:
        return offers.more(replace(case, **changes), lambda feature: True, PROFILES["quick"], batch)

    for function in (FUNCTION, "avg_pool_forward"):
        case = cases(function, rank=2)[0]
        first = drawn()
        assert offers.more(case, lambda feature: True, PROFILES["quick"]) == first
        assert len({c.call for c in first}) == PROFILES["quick"].offered
        assert {c.tier for c in first} == {"exact", "rounding"}
        for other in (drawn(2), drawn(seed=1), drawn(call=cases(function, rank=3)[0].call)):
            assert not {c.call for c in other} & {c.call for c in first}
    assert all(numbers.exact(c) for c in first if c.tier == "exact")
    assert len(first) < 2 * len({c.call for c in first})  # windows of 3 elements have no exact average


@pytest.mark.spec("ORC-D3")
def test_a_feature_that_seems_to_be_refused_is_asked_for_with_real_numbers() -> None:
    inquiry = offers.inquire(
        refusing(conv_forward, lambda o: "stride" in o),
        cases(FUNCTION, tiers=("exact",)),
        PROFILES["quick"],
        one_by_one,
    )
    doubtful = [f.case for f in inquiry.found if "stride" in f.case.keywords and f.case.tier == "rounding"]
    assert inquiry.refused == {"stride", "stride per axis"}
    assert len(doubtful) == 2 * offers.DOUBTFUL
    elsewhere = offers.more(doubtful[0], lambda feature: True, PROFILES["quick"]) + cases(FUNCTION)
    assert not {c.call for c in doubtful} & {c.call for c in elsewhere}


@pytest.mark.spec("ORC-D3")
@pytest.mark.parametrize(("outcomes", "words"), [
    # Where no other call has one of the two, or where those are answered, the pair is why.
    ([f"{PLAIN} -"], ["1 other calls"]),
    ([f"{STRIDED} -", f"{PLAIN} b=1"], ["no b with stride"]),
    ([f"{STRIDED} -", PLAIN], ["no b with stride"]),
    ([f"{STRIDED} -", f"{PLAIN} -"], ["2 other calls"]),
    # Where one in ten is refused, six of six calls are no accident, and four may be.
    ([f"{STRIDED} -"] * 6 + [PLAIN] * 9 + [f"{PLAIN} -"], ["no b with stride", "1 other calls"]),
    ([f"{STRIDED} -"] * 4 + [PLAIN] * 9 + [f"{PLAIN} -"], ["5 other calls"]),
    # Of calls with neither nothing follows.
    ([f"{STRIDED} -", PLAIN] + [f"{PLAIN} b=1 -"] * 9, ["no b with stride", "9 other calls"]),
    # An answered one refutes it.
    ([f"{STRIDED} -"] * 3 + [STRIDED, PLAIN], ["3 other calls"]),
])  # fmt: skip
def test_a_pair_of_features_is_blamed_where_it_is_no_accident(outcomes: list[str], words: list[str]) -> None:
    inquiry = offers.Inquiry(conv_forward, lambda function, questions: [], set())
    sized = [
        found(text.replace("1x1x3", f"1x1x{k}").removesuffix(" -"), "not implemented" if "-" in text else "answered")
        for k, text in enumerate(outcomes, 3)
    ]
    # With other numbers a call is the same.
    numbers_of = ({"special": None}, {"special": ("nan", "x")}, {"scale": 3.0})
    inquiry.found = [
        f._replace(case=replace(f.case, call=f.case.call._replace(**n))) for f in sized for n in numbers_of
    ]
    assert inquiry.not_offered == words
