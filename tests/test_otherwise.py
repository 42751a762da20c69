"""In which other dtypes, and by which other bounds, a function is said to be right."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from reference_cnn import conv_forward, relu, sigmoid, softmax
from reference_cnn.oracle import check
from reference_cnn.oracle.cases import DTYPES


def condition_of(profile: str = "standard", dtype: str = "float64", **function: Callable[..., Any]) -> str:
    """What is said of when a wrong function is wrong."""
    ((name, implementation),) = function.items()
    report = check({name: implementation}, dtype=dtype, profile=profile, functions=[name])
    failure = report.results[name].failure
    assert failure is not None
    return failure.condition


@pytest.mark.spec("ORC-D16")
def test_dtypes_in_which_every_such_call_is_right_are_said() -> None:
    def words(*doubled: tuple[str, int]) -> str:
        """What is said of a rectifier that is wrong in a dtype from a number of axes on, and judged in float32."""

        def wrong(z: Any) -> Any:
            return relu(z) * (1 + any(z.dtype == dtype and z.ndim >= axes for dtype, axes in doubled))

        return condition_of(dtype="float32", relu=wrong)

    assert words(("float32", 1)).endswith(" The same calls are answered rightly in float64, float16, bfloat16.")
    assert words(("float32", 3), ("float64", 4)).endswith(
        "more than 2 axes. The same calls are answered rightly in float16, bfloat16."
    )
    assert "answered rightly" not in words(*((dtype, 1) for dtype in DTYPES))


@pytest.mark.spec("ORC-D16")
def test_what_goes_away_when_it_is_asked_again_is_not_blamed_on_the_dtype() -> None:
    count = 0

    def warming_up(z: Any) -> Any:
        nonlocal count
        count += 1
        return relu(z) + (count <= 5)

    assert "rightly" not in condition_of(relu=warming_up)
    # Strictly, an answer of a wider dtype is wrong in float16 too, and nothing but float64 is right.
    wide = check({"relu": lambda z: relu(z.astype(float))}, dtype="float32", strict=True, functions=["relu"])
    failure = wide.results["relu"].failure
    assert failure is not None
    assert failure.condition == "The same calls are answered rightly in float64."


@pytest.mark.spec("ORC-D16")
def test_what_the_calls_before_have_left_behind_is_not_blamed_on_the_dtype() -> None:
    padded = set()

    def remembering(x: Any, w: Any, b: Any = None, **o: Any) -> Any:
        if "padding" in o:
            padded.add(x.dtype)
            return conv_forward(x, w, b, **o)
        return conv_forward(x, w, b, **o) + (x.dtype in padded)

    assert "rightly" not in condition_of("quick", conv_forward=remembering)


@pytest.mark.spec("ORC-D16")
def test_calls_that_are_refused_leave_traces_too() -> None:
    spoilt = set()

    def refusing(x: Any, w: Any, b: Any = None, **o: Any) -> Any:
        if "groups" in o:
            spoilt.add(x.dtype)
            raise ValueError("no groups")
        return conv_forward(x, w, b, **o) + (x.dtype in spoilt)

    assert "rightly" not in condition_of("quick", conv_forward=refusing)


@pytest.mark.spec("ORC-D16")
def test_where_the_bound_of_a_dtype_admits_the_wrong_answers_too_it_is_not_said_to_be_right() -> None:
    assert "rightly" not in condition_of("quick", sigmoid=lambda z: sigmoid(z) * (1 + 1e-5))


@pytest.mark.spec("ORC-D16")
def test_smaller_numbers_are_not_the_same_call_in_another_dtype() -> None:
    def flat(z: Any) -> Any:
        wide = np.ptp(z.astype(float), axis=-1, keepdims=True) > 100
        return np.where(wide, 1 / z.shape[-1], softmax(z)).astype(z.dtype)

    assert "rightly" not in condition_of(softmax=flat)


@pytest.mark.spec("ORC-D15")
def test_answers_within_a_bound_in_norm_are_said_to_be() -> None:
    def by_fourier(x: Any, w: Any, b: Any = None) -> Any:
        sizes = [n + k - 1 for n, k in zip(x.shape[2:], w.shape[2:])]
        spectra = np.fft.rfft2(x, sizes), np.fft.rfft2(w[..., ::-1, ::-1], sizes)
        full = np.fft.irfft2(np.einsum("nchw,fchw->nfhw", *spectra), sizes)
        valid = full[:, :, w.shape[2] - 1 : x.shape[2], w.shape[3] - 1 : x.shape[3]]
        return valid if b is None else valid + b[:, None, None]

    said = "Every answer is within the bounds of --algorithm fft, which hold in norm only."
    assert condition_of("quick", conv_forward=by_fourier).endswith(said)
    assert check({"conv_forward": by_fourier}, functions=["conv_forward"], algorithm="fft", profile="quick").passed
    # Digits that are lost beyond that, a shape, a NaN that is swallowed, and other functions.
    off = condition_of("quick", conv_forward=lambda x, w, b=None: by_fourier(x, w, b) * (1 + 1e-9))
    assert "--algorithm" not in off
    assert "--algorithm" not in condition_of("quick", conv_forward=lambda x, w, b=None: by_fourier(x, w, b)[..., :-1])
    assert "--algorithm" not in condition_of("quick", sigmoid=lambda z: sigmoid(z) + 1e-12)
    swallowed = condition_of("quick", conv_forward=lambda x, w, b=None: conv_forward(np.nan_to_num(x), w, b))
    assert "--algorithm" not in swallowed
