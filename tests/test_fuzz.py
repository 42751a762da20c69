"""A little of `nox -s fuzz`, other inputs each time but in CI, and what it has found."""

import os
import random
from fractions import Fraction
from pathlib import Path
from typing import Any

import fuzz
import numpy as np
import pytest
from test_protocol import FILES, Write, failure_of, write

from reference_cnn import check_gradient, squared_error
from reference_cnn.oracle import check, wire
from reference_cnn.oracle.call import Draw
from reference_cnn.oracle.cases import cases
from reference_cnn.oracle.judge import judge
from reference_cnn.oracle.targets import UsageError, ask

__all__ = ["write"]  # a fixture


@pytest.mark.parametrize("name", fuzz.TARGETS)
def test_some_inputs(name: str) -> None:
    first = 0 if os.environ.get("CI") else random.SystemRandom().randrange(2**40)
    inputs = 60 if name in ("command_line", "case_question") else 400
    assert fuzz.fuzz(name, first, inputs) == inputs


def test_an_input_is_named_when_it_goes_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    def trial(draw: Draw) -> None:
        assert draw(0, 9) != 7

    monkeypatch.setitem(fuzz.TARGETS, "sevens", fuzz.Target("sevens", "", trial))
    with pytest.raises(AssertionError) as found:
        fuzz.fuzz("sevens", 0, 999)
    (again,) = found.value.__notes__
    assert again.startswith("again: python tests/fuzz.py sevens --first ")
    with pytest.raises(AssertionError):
        fuzz.fuzz("sevens", int(again.split()[5]), 1)


@pytest.mark.spec("PROTO-D6", "PROTO-C4")
@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ("os.remove(path); os.mkfifo(path)", "a with a file '"),
        ("os.remove(path); os.symlink('/dev/zero', path)", "a with a file '"),
        ("path += chr(0)", "a with a file that cannot be read (embedded null byte)"),
        ("z['shape'] = [10**12]", "a with a file for more than 4294967296 bytes"),
    ],
)
def test_a_file_that_is_none_is_not_waited_for(lines: str, message: str, write: Write) -> None:
    assert message in failure_of(write(lines, FILES)).message


@pytest.mark.spec("PROTO-D6")
def test_what_a_program_leaves_in_its_folder_is_removed(write: Write, tmp_path: Path) -> None:
    safe = tmp_path / "safe"
    safe.mkdir()
    (safe / "mine").touch()
    leave = f"os.makedirs(os.path.join(request['folder'], 'a', 'b')); os.symlink({str(safe)!r}, path + '-link')"
    assert check(write(leave, FILES), functions=["sigmoid"], case="z=1x3").passed
    assert (safe / "mine").exists()


@pytest.mark.spec("PROTO-D6", "PROTO-C3")
def test_a_program_that_removes_its_folder_is_a_finding(write: Write) -> None:
    report = check(write("import shutil; shutil.rmtree(request['folder'])", FILES), functions=["sigmoid"])
    assert not report.passed


@pytest.mark.spec("PROTO-C4")
@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ("a = {'dtype': 'int8', 'shape': [int('9' * 4000)] * 2, 'bytes': 1}", "an array of more than 4294967296 bytes"),
        ("a = {'dtype': 'int8', 'shape': [0, 10**30], 'bytes': 0}", "a with shape [0, 100"),
    ],
)
def test_arrays_that_cannot_be(lines: str, message: str, write: Write) -> None:
    assert message in failure_of(write(lines)).message


@pytest.mark.spec("PROTO-C4")
def test_an_array_has_at_most_64_axes() -> None:
    with pytest.raises(wire.WireError, match="which no array can have"):
        wire.from_bytes({"dtype": "int8", "shape": [1] * 99}, b"1")


@pytest.mark.spec("GRAD-D1")
def test_exact_differences_of_one_number() -> None:
    x = np.array([1, 2], object)
    assert check_gradient(lambda x: (x * x).sum(), lambda dz, x: 2 * x * dz, [x]).passed
    assert check_gradient(lambda x: np.asarray(x * x), lambda dz, x: 2 * x * dz, [np.array(3, object)]).passed


@pytest.mark.spec("GRAD-D1")
def test_exact_differences_of_numbers_beyond_64_bits() -> None:
    for z in (10**30, 2**62 + 1):
        assert check_gradient(lambda x: x * x, lambda dz, x: 2 * x * dz, [np.array([z, 1], object)]).passed


@pytest.mark.spec("GRAD-D2", "GRAD-D4")
def test_whole_numbers_out_of_floats() -> None:
    x = np.array([0.5, 1.5])
    assert check_gradient(lambda x: np.array([1, 2]), lambda dz, x: 0 * x, [x]).passed
    assert check_gradient(lambda x: x.astype(object) ** 2, lambda dz, x: 2 * x * dz, [x]).passed
    # A dz that was cut off to whole numbers would be 0 in places, and hide what is wrong there.
    assert check_gradient(lambda x: x.astype(object), lambda dz, x: np.zeros(2), [x]).verdict == "wrong"


@pytest.mark.spec("GRAD-D1")
def test_exact_differences_that_are_no_numbers() -> None:
    x = np.array([1, 2], object)
    found = check_gradient(lambda x: x * np.nan, lambda dz, x: dz, [x])
    assert found.verdict == "unclear", found
    assert check_gradient(lambda x: x, lambda dz, x: dz, [x], dz=np.array([np.nan, 1])).verdict == "unclear"


def test_answers_beyond_every_double_are_judged_without_a_warning() -> None:
    case = cases("relu")[0]
    vast = np.full(case.expected["a"].value.shape, np.longdouble("1e4000"))
    assert judge(case, ask.read(vast, "relu", vast.ndim)).failure is not None


@pytest.mark.spec("ORC-N4")
def test_a_nan_among_ties_is_wrong() -> None:
    case = next(c for c in cases("max_pool_backward") if c.tier == "special" and c.call.special == ("ties", "x"))
    right = case.expected["dx"].value
    failure = judge(case, ask.read(np.full(right.shape, np.nan), case.function, right.ndim)).failure
    assert failure is not None
    assert failure.output == "dx"


@pytest.mark.parametrize(
    ("text", "function"),
    [
        ("a=2x0", "softmax_backward"),
        ("z=2x3 scale=1e299", "softmax"),
        ("x=3x4 w=4", "dense_backward"),
        ("x=3 w=3x2", "dense_forward"),
        # Which gradient a NaN gets is free, and the reference's choice was once called wrong.
        ("x=2x1x5 window=2, padding=1 nan=x", "max_pool_backward"),
    ],
)
def test_questions_that_have_no_answer_are_refused(text: str, function: str) -> None:
    with pytest.raises(UsageError, match="case"):
        check("reference", functions=[function], case=text, dtype="float16", in_process=True)


@pytest.mark.spec("LOSS-F1")
@pytest.mark.parametrize("number", [Fraction(1, 3), 10**30])
def test_the_error_of_one_exact_number(number: Any) -> None:
    o, y = np.array(number, object), np.array(0, object)
    assert squared_error(o, y) == number**2 / 2
