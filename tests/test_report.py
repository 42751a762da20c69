"""What a report says beside values: of exceptions, of what is missing, and on terminals that lack characters."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest

import reference_cnn
from reference_cnn import avg_pool_backward, conv_forward, relu, softmax
from reference_cnn.cli import main
from reference_cnn.oracle import cases, check

RAISING = """
import numpy as np


def inverse(x):
    return np.linalg.inv(x)


def dense_forward(x, w, b=None):
    inverse(np.zeros((2, 2)))


def relu(z):
    raise KeyError("z")
"""


@pytest.mark.spec("ORC-D5", "ORC-D6")
def test_an_exception_comes_with_the_line_of_the_target_that_it_went_through(tmp_path: Path) -> None:
    file = tmp_path / "raising.py"
    file.write_text(RAISING)
    report = check(str(file), profile="quick")
    messages = {n: r.failure.message for n, r in report.results.items() if r.failure}
    # NumPy raises it, but called from there.
    assert messages["dense_forward"] == "it raises LinAlgError: Singular matrix (raising.py, line 6)"
    assert messages["relu"] == "it raises KeyError: 'z' (raising.py, line 14)"
    # So it is where the folder's name only begins like that of this package.
    beside = Path(reference_cnn.__file__).parent.with_name("reference_cnn_of_mine") / "raising.py"
    namespace: dict[str, Any] = {}
    exec(compile(RAISING, str(beside), "exec"), namespace)
    failure = check({"relu": namespace["relu"]}, profile="quick").results["relu"].failure
    assert failure is not None
    assert failure.message == "it raises KeyError: 'z' (raising.py, line 14)"
    # What no line of its own has raised has none.
    alone = check({"relu": lambda: 0}, profile="quick").results["relu"].failure
    assert alone is not None
    assert alone.message.endswith("takes 0 positional arguments but 1 was given")


@pytest.mark.spec("ORC-D6")
def test_whoever_raises_is_told_what_the_axes_are() -> None:
    def of_one_image(x: Any, w: Any) -> Any:
        height, width = x.shape
        return conv_forward(x.reshape(1, 1, height, width), w)

    said = " ".join(str(check({"conv_forward": of_one_image}, profile="quick")).split())
    assert (
        "The call is a valid one: x (image, channel, row, column), w (filter, channel, "
        "kernel row, kernel column). If you" in said
    )
    report = check({"dense_forward": of_one_image, "relu": lambda z: of_one_image(z, z)}, profile="quick")
    dense, activation = " ".join(str(report).split()).split("relu: wrong in")
    assert "The call is a valid one: x (example, feature), w (feature, neuron)" in dense
    assert "The call is a valid one. If you" in activation


@pytest.mark.spec("ORC-D5")
def test_strictly_what_was_asked_for_must_be_there(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    target = {"relu": relu}
    asked: dict[str, Any] = {"functions": ["relu", "sigmoid"], "profile": "quick"}
    lenient, strict = check(target, **asked), check(target, strict=True, **asked)
    assert (lenient.passed, strict.passed) == (True, False)
    assert str(lenient).endswith("Right: relu; not offered: sigmoid.")
    assert str(strict).endswith("Right: relu; missing: sigmoid.")
    for report, tag, counts in ((lenient, "skipped", ("0", "1")), (strict, "failure", ("1", "0"))):
        suite = ElementTree.fromstring(report.to_junit())
        assert (suite.get("failures"), suite.get("skipped")) == counts
        assert suite.find(f"testcase[@name='sigmoid']/{tag}") is not None
    # Not what nobody has named.
    assert check(target, strict=True, profile="quick").passed
    file = tmp_path / "mine.py"
    file.write_text("import numpy as np\n\n\ndef relu(z):\n    return np.maximum(z, 0)\n")
    words = ["check", str(file), "--profile", "quick", "--only", "relu", "--only", "sigmoid"]
    assert (main(words), main([*words, "--strict"])) == (0, 1)


@pytest.mark.spec("ORC-D5")
def test_a_target_that_answers_nothing_is_told_what_to_do() -> None:
    def in_float64(z: Any) -> Any:
        if z.dtype != np.float64:
            raise NotImplementedError
        return relu(z)

    report = check({"relu": in_float64}, dtype="float32", functions=["relu"], profile="quick")
    assert report.summary.endswith("fill in a function and check again, or ask in another dtype.")


@pytest.mark.spec("ORC-D5")
def test_a_terminal_may_lack_characters() -> None:
    environment = {**os.environ, "PYTHONIOENCODING": "ascii"}

    def printed(*words: str) -> str:
        command = [sys.executable, "-m", "reference_cnn", *words]
        done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
        assert (done.returncode, done.stderr) == (0, "")
        return done.stdout

    assert "error ? bound" in printed("check", "reference", "--only", "relu", "--profile", "quick")
    assert "usage: " in printed("check", "--help")


class Held:
    """An object that has one gradient."""

    def __init__(self, dx: Any) -> None:
        self.dx = dx


@pytest.mark.spec("ORC-D4")
@pytest.mark.parametrize(
    "held", [lambda dx: (dx,), lambda dx: [dx], lambda dx: {"dx": dx}, Held, list, lambda dx: dx.tolist()]
)
def test_a_single_output_may_be_in_a_container(held: Callable[[Any], Any]) -> None:
    """Arrays with as many axes as there should be are outputs; those with fewer are the rows of one."""

    def contained(*arguments: Any, **options: Any) -> Any:
        return held(avg_pool_backward(*arguments, **options))

    assert check({"avg_pool_backward": contained}, functions=["avg_pool_backward"], profile="quick").passed


@pytest.mark.spec("ORC-D4")
@pytest.mark.parametrize(
    ("returned", "words"),
    [
        (lambda a, z: (a, z), "it returns a tuple of 2, expected a alone"),
        (lambda a, z: [a, z, z], "it returns a list of 3, expected a alone"),
        (lambda a, z: {"y": a}, "it returns dict without a"),
    ],
)
def test_more_than_the_output_is_said_to_be_that(returned: Callable[[Any, Any], Any], words: str) -> None:
    result = check({"relu": lambda z: returned(relu(z), z)}, functions=["relu"], profile="quick").results["relu"]
    assert result.failure is not None
    assert result.failure.message == words


@pytest.mark.spec("ORC-D4")
def test_gradients_with_capitals_are_read() -> None:
    def off_by(wrong: int) -> Callable[..., Any]:
        return lambda dz, x, w: {"dX": dz @ w.T + wrong, "dW": x.T @ dz, "db": dz.sum(axis=0)}

    for wrong in (0, 1):
        report = check({"dense_backward": off_by(wrong)}, functions=["dense_backward"], profile="quick")
        assert report.passed == (not wrong)
        assert report.results["dense_backward"].not_offered == ()


@pytest.mark.spec("ORC-D16")
def test_axes_other_than_two_are_said() -> None:
    def of_two(z: Any) -> Any:
        return softmax(z) + (z.ndim != 2)

    failure = check({"softmax": of_two}, functions=["softmax"]).results["softmax"].failure
    assert failure is not None
    assert failure.condition == "Wrong in exactly the cases with other than 2 axes."


@pytest.mark.spec("ORC-D6", "ORC-D16")
def test_what_is_wrong_as_a_first_call_is_not_said_to_take_others(tmp_path: Path) -> None:
    late = "def cross_entropy(z, labels):\n    return r.cross_entropy(z, labels) + (z.shape in {shapes})\n"
    asked = cases("cross_entropy", profile="quick")
    last = {case.shapes["z"] for case in asked[-12:] if case.call.special is None}
    shapes = last - {case.shapes["z"] for case in asked[:-12]}
    file = tmp_path / "late.py"
    file.write_text("import reference_cnn as r\n" + late.format(shapes=shapes))
    failure = check(str(file), profile="quick", functions=["cross_entropy"]).results["cross_entropy"].failure
    assert failure is not None
    assert "in the first" not in failure.condition
