"""NaN and infinity reach what they are a factor of, and what they should not reach is noted."""

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from strategies import Array

import reference_cnn as reference
from reference_cnn.oracle import Case, cases, check, notation
from reference_cnn.oracle.call import TIES, Call, windows_of
from reference_cnn.oracle.cases import DTYPES
from reference_cnn.oracle.judge import judge
from reference_cnn.oracle.special import ASKED
from reference_cnn.oracle.targets.ask import Answer

Functions = dict[str, Callable[..., Any]]


@pytest.mark.spec("ORC-N1")
@pytest.mark.parametrize("function", ASKED)
def test_every_function_is_asked_and_something_is_not_finite(function: str) -> None:
    for dtype in ("float64", "bfloat16"):
        special = [c for c in cases(function, dtype=dtype) if c.tier == "special"]
        assert {c.call.special for c in special} - {TIES} == set(ASKED[function])
        for case in [c for c in special if c.call.special != TIES]:
            assert sum(int((~np.isfinite(a.astype(float))).sum()) for a in case.arguments.values()) == 1
            case.check(getattr(reference, function))
        values = [v.value for c in special for v in c.expected.values()]
        assert any((~np.isfinite(v)).any() for v in values)
        assert any(np.isfinite(v).any() for v in values) or {v.size for v in values} == {1}


@pytest.mark.spec("ORC-N1")
@pytest.mark.parametrize("function", ASKED)
def test_every_number_is_asked_with_every_feature(function: str) -> None:
    asked = cases(function)
    features = {feature for c in asked for feature in c.call.features}
    for special in ASKED[function]:
        with_it = {feature for c in asked if c.call.special == special for feature in c.call.features}
        # A bias that is not there has no number.
        assert with_it == features - ({"no b"} if special[1] == "b" else set())


@pytest.mark.spec("ORC-N1")
def test_a_nan_reaches_the_windows_that_cover_it_and_no_others() -> None:
    (case,) = [c for c in cases("conv_forward", rank=1, tiers=("special",)) if c.text == cases_text()]
    x, w = case.arguments.values()
    covered = np.isnan(np.lib.stride_tricks.sliding_window_view(x[:, 0], w.shape[2], 1)).any(axis=2)
    covered |= np.isnan(np.lib.stride_tricks.sliding_window_view(x[:, 1], w.shape[2], 1)).any(axis=2)
    assert (np.isnan(case.expected["z"].value) == covered[:, None]).all()


def cases_text() -> str:
    return "x=3x2x8 w=4x2x3 nan=x"


def swallowing(function: Callable[..., Any]) -> Callable[..., Any]:
    return lambda x, *a, **o: function(np.nan_to_num(x, nan=0.0, posinf=9.0, neginf=-9.0), *a, **o)


def leaking(x: Array, w: Array, b: Any = None, **options: Any) -> Array:
    """What a Fourier transform does: one NaN is everywhere."""
    z = reference.conv_forward(x, w, b, **options)
    return np.full_like(z, np.nan) if np.isnan(x).any() else z


@pytest.mark.spec("ORC-N1")
@pytest.mark.parametrize("name", [n for n in ASKED if n not in ("conv_backward", "dense_backward")])
def test_a_swallowed_nan_is_a_failure(name: str) -> None:
    result = check({name: swallowing(getattr(reference, name))}).results[name]
    assert result.failure is not None
    assert result.failure.case.tier == "special"
    assert f"{'='.join(result.failure.case.call.special or ())}" in result.failure.reproduce
    assert result.failure.case.size <= 24


@pytest.mark.spec("ORC-N1", "ORC-N3", "ORC-D7")
def test_a_leak_is_a_note_and_strictly_a_failure() -> None:
    report = check({"conv_forward": leaking})
    assert report.passed
    words = "z is NaN also where the special value in x is no factor"
    assert report.results["conv_forward"].notes == (words,)
    assert f"note: conv_forward: {words}" in str(report)
    assert json.loads(report.to_json())["results"]["conv_forward"]["notes"] == [words]
    strict = check({"conv_forward": leaking}, strict=True).results["conv_forward"]
    assert strict.failure is not None
    assert (strict.failure.kind, strict.failure.message) == ("note", words)


@pytest.mark.spec("ORC-D4", "ORC-N3")
def test_a_wider_dtype_is_a_note_but_not_for_a_single_number() -> None:
    wide: Functions = {
        "relu": lambda z: reference.relu(z).astype(np.float64),
        "squared_error": lambda o, y: float(reference.squared_error(o, y)),
    }
    report = check(wide, dtype="float32")
    assert report.passed
    assert (report.results["relu"].notes, report.results["squared_error"].notes) == (("a has dtype float64",), ())
    assert not check(wide, dtype="float32", strict=True).passed
    assert check("reference", strict=True).passed


@pytest.mark.spec("ORC-D1", "ORC-N1")
def test_a_special_case_can_be_written_read_and_asked_alone() -> None:
    text = "x=3x2x8 w=4x2x3 stride=2 inf=x"
    assert notation.write(notation.read(text)) == text
    report = check({"conv_forward": leaking, "conv_backward": reference.conv_backward}, case=cases_text())
    assert report.results["conv_forward"].cases == 1
    with pytest.raises(ValueError, match="fits none of"):
        check("reference", case="z=3x4 nan=x")


@pytest.mark.spec("ORC-N4")
@pytest.mark.parametrize("dtype", DTYPES)
def test_parts_that_do_not_add_up_are_seen_in_large_windows_too(dtype: str) -> None:
    case = Case("max_pool_backward", notation.read("x=3x8x17x18 window=17,18 ties=x"), "special", dtype)
    case.check(reference.max_pool_backward)
    with pytest.raises(AssertionError, match="dx is wrong"):
        case.check(lambda *a, **o: reference.max_pool_backward(*a, **o) * 1.1)


def split(share: Callable[[Array], Array]) -> Callable[..., Any]:
    """A max pooling backward of windows apart that shares among ties as told: (*taps) of booleans to parts."""

    def backward(dy: Array, x: Array, window: Any, **options: Any) -> Array:
        dx = reference.max_pool_backward(dy, x, window, **options)
        case_windows = windows_of(Call((("x", x.shape),), (("window", window), *options.items())))
        if any(s < e for s, e in zip(case_windows.stride, case_windows.spans)):
            return dx
        whole, inside = case_windows.padded(x.shape, np.float64)
        whole[...] = -np.inf
        inside[...] = x
        taps = case_windows.view(whole)
        kernel = tuple(range(taps.ndim - x.ndim))
        tied = taps == taps.max(axis=kernel)
        room, interior = case_windows.padded(x.shape, x.dtype)
        case_windows.view(room, writeable=True)[...] = share(tied.reshape(-1, *dy.shape)).reshape(tied.shape) * dy
        return interior.copy()

    return backward


@pytest.mark.spec("ORC-N4")
def test_an_infinite_part_of_a_gradient_of_0_is_wrong_and_no_warning() -> None:
    call = notation.read("x=2x3x6x4 window=2 ties=x")
    tied = (Case("max_pool_backward", call, "special", seed=seed) for seed in range(50))
    case = next(c for c in tied if (c.arguments["dy"] == 0).any())
    failure = judge(case, Answer("answered", {"dx": np.full((2, 3, 6, 4), np.inf)})).failure
    assert failure is not None
    assert failure.kind == "values"


@pytest.mark.spec("ORC-N4")
def test_a_tie_may_be_broken_or_split_but_its_gradient_is_given_once() -> None:
    def last(tied: Array) -> Array:
        return np.asarray(tied & (np.cumsum(tied[::-1], axis=0)[::-1] == 1))

    free = {"split evenly": lambda tied: tied / tied.sum(axis=0), "to the last": last}
    for name, share in free.items():
        for dtype in ("float64", "float16"):
            report = check({"max_pool_backward": split(share)}, dtype=dtype)
            assert report.passed, f"{name}\n{report}"
    wrong = [
        lambda tied: tied,
        lambda tied: tied / tied.sum(axis=0) ** 2,
        lambda tied: np.where(tied.sum(axis=0) > 1, 2 * last(tied) - (tied & (np.cumsum(tied, axis=0) == 1)), tied),
    ]
    for share in wrong:
        failure = check({"max_pool_backward": split(share)}).results["max_pool_backward"].failure
        assert failure is not None
        assert failure.case.call.special == TIES
        assert "ties=x" in failure.reproduce


@pytest.mark.spec("ORC-N4")
def test_an_empty_batch_has_no_ties() -> None:
    Case("max_pool_backward", notation.read("x=0x1x3x3 window=2 ties=x"), "special").check(reference.max_pool_backward)
