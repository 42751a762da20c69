"""Whether a wrong backward is the derivative of the target's own forward, in words and in JSON."""

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import reference_cnn as right
from reference_cnn.gradcheck import check_gradient
from reference_cnn.oracle import check
from reference_cnn.oracle.consistency import FORWARD
from reference_cnn.oracle.judge import Failure
from reference_cnn.oracle.mistakes import accepted
from reference_cnn.oracle.targets.ask import UnansweredError

Functions = dict[str, Callable[..., Any]]


def judged(functions: Functions, **options: Any) -> Failure:
    """The failure of the backward of a pair."""
    report = check(functions, functions=list(functions), profile="quick", **options)
    failure = report.results[next(f for f in functions if f in FORWARD)].failure
    assert failure is not None
    return failure


def convolution(forward: tuple[str, ...], backward: tuple[str, ...]) -> Functions:
    return {"conv_forward": accepted("conv_forward", forward), "conv_backward": accepted("conv_backward", backward)}


def doubled(dz: Any, x: Any, w: Any) -> Any:
    return 2 * dz @ w.T, 2 * x.T @ dz, dz.sum(axis=0)


# A forward that is wrong and a backward that is its derivative: of whole numbers, with a kink, with a mean, smooth.
CONSISTENT: dict[str, tuple[Functions, str]] = {
    "convolution": (convolution(("flipped-kernel",), ("flipped-kernel",)), "which is a true convolution"),
    "dense": ({"dense_forward": lambda x, w, b=0: 2 * x @ w + b, "dense_backward": doubled}, "which is wrong itself"),
    "leaky": ({"relu": lambda z: np.where(z > 0, z, z / 2), "relu_prime": lambda z: np.where(z > 0, 1, 0.5)}, "wrong"),
    "minimum": (
        {
            "max_pool_forward": lambda x, window, **o: -right.max_pool_forward(-x, window, **o),
            "max_pool_backward": lambda dy, x, window, **o: right.max_pool_backward(dy, -x, window, **o),
        },
        "which takes the smallest element",
    ),
    "mean": (
        {f: accepted(f, ["loss-extra-mean"]) for f in ("squared_error", "squared_error_prime")},
        "which is a mean",
    ),
    "tanh": ({"sigmoid": np.tanh, "sigmoid_prime": lambda z: 1 - np.tanh(z) ** 2}, "which is tanh"),
    "unnormalised": ({"softmax": np.exp, "softmax_backward": lambda da, a: da * a}, "which is wrong itself"),
}


@pytest.mark.spec("ORC-D13")
@pytest.mark.parametrize("name", CONSISTENT)
def test_the_derivative_of_another_forward_is_told(name: str) -> None:
    functions, which = CONSISTENT[name]
    failure = judged(functions)
    assert failure.consistent is True
    assert f"It is the derivative of your own {FORWARD[failure.case.function]}, which" in failure.consistency
    assert which in failure.consistency


@pytest.mark.spec("ORC-D13", "ORC-D7")
def test_reports_say_so() -> None:
    report = check(CONSISTENT["leaky"][0], profile="quick")
    assert "they belong together" in " ".join(str(report).split())
    assert "they belong together" in report.to_html()
    plain = {n: r["failure"] for n, r in json.loads(report.to_json())["results"].items() if r["failure"]}
    assert plain["relu"]["consistent"] is None
    assert plain["relu_prime"]["consistent"] is True
    assert "which is wrong itself" in plain["relu_prime"]["consistency"]


def last_column_lost(dz: Any, x: Any, w: Any, **options: Any) -> Any:
    dx, dw, db = accepted("conv_backward", ["flipped-kernel"])(dz, x, w, **options)
    dx[..., -1] = 0
    return dx, dw, db


@pytest.mark.spec("ORC-D13")
def test_a_wrong_gradient_of_another_forward_is_told_with_its_place() -> None:
    functions = convolution(("flipped-kernel",), ()) | {"conv_backward": last_column_lost}
    failure = judged(functions, case="x=2x2x4x5 w=3x2x2x2")
    assert failure.consistent is False
    assert failure.consistency.startswith("It is not the derivative of your own conv_forward either: in x=")
    assert "dx: " in failure.consistency
    assert "(the last)" in failure.consistency


@pytest.mark.spec("ORC-D13")
@pytest.mark.parametrize(
    "functions",
    [
        convolution((), ("flipped-kernel",)),
        {"dense_forward": right.dense_forward, "dense_backward": doubled},
        {"relu": right.relu, "relu_prime": lambda z: np.where(z > 0, 1, 0.5)},
        {"sigmoid": right.sigmoid, "sigmoid_prime": lambda z: z * (1 - z)},
    ],
)
def test_the_derivative_of_something_else_than_a_right_forward(functions: Functions) -> None:
    failure = judged(functions)
    assert failure.consistent is False
    assert failure.consistency.endswith(f"your own {FORWARD[failure.case.function]}, which is right.")


@pytest.mark.spec("ORC-D13")
def test_what_cannot_be_told_is_not_claimed() -> None:
    # In narrower arithmetic the gradients are right to rounding, and the differences say so: not that it is wrong.
    narrow: Functions = {
        "dense_forward": right.dense_forward,
        "dense_backward": lambda dz, x, w: right.dense_backward(*(a.astype(np.float32) for a in (dz, x, w))),
    }
    assert judged(narrow).consistent is None
    assert judged(narrow).consistency == ""
    noise = np.random.default_rng(0)
    noisy: Functions = {"relu": lambda z: z + noise.standard_normal(z.shape), "relu_prime": np.ones_like}
    assert judged(noisy).consistent is None
    # What depends on the calls before is another function every time.
    calls = []

    def counting(dz: Any, x: Any, w: Any) -> Any:
        calls.append(1)
        return dz @ w.T, x.T @ dz, dz.sum(axis=0) + len(calls)

    assert judged({"dense_forward": right.dense_forward, "dense_backward": counting}).consistent is None
    # A forward that is not judged at all says nothing either, and a mean that is accepted is no derivative of a sum.
    assert judged({"dense_backward": doubled}).consistency == ""
    mean = accepted("dense_backward", ["mean-over-batch", "dx-twice"])
    both = {"dense_forward": right.dense_forward, "dense_backward": mean}
    assert judged(both, accept=["mean-over-batch"]).consistent is None


@pytest.mark.spec("ORC-D13")
def test_a_forward_that_fails_to_answer_is_named_as_the_reason() -> None:
    def broken(x: Any, w: Any, b: Any = None) -> Any:
        raise RuntimeError("out of order")

    failure = judged({"dense_forward": broken, "dense_backward": doubled})
    assert failure.consistent is None
    assert failure.consistency == (
        "Whether it is the derivative of your own dense_forward cannot be judged: that one fails to answer."
    )


@pytest.mark.spec("ORC-D13")
def test_a_process_that_dies_or_hangs_ends_the_comparison() -> None:
    died = []

    def dying(x: Any, w: Any, b: Any = 0) -> Any:
        # Whole numbers, and farther than those of any case go.
        if 50 < max(abs(x).max(), abs(w).max()) < np.inf and not (x % 1).any():
            died.append(1)
            raise UnansweredError("crash", "it died")
        return 2 * x @ w + b

    failure = judged({"dense_forward": dying, "dense_backward": doubled})
    assert (failure.consistent, failure.consistency, len(died)) == (None, "", 1)


@pytest.mark.spec("GRAD-D1")
def test_the_exact_derivative_of_a_single_number() -> None:
    def loss(o: Any) -> Any:
        return np.asarray((o * o).sum(), object)

    assert check_gradient(loss, lambda dz, o: {"do": 2 * dz * o}, [np.array([3, -4])]).passed
