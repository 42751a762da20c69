"""As what a function is said to take its arguments: another layout or order, one image alone, one-hot labels."""

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from diagnosing import failure_of

import reference_cnn as reference
from reference_cnn.oracle import check
from reference_cnn.oracle.targets.layout import ChannelsLast
from reference_cnn.oracle.text import failure_text


def last(function: Callable[..., Any]) -> Callable[..., Any]:
    """A function of arrays with their channels last, kernels (*K, C/groups, F), from one with these first."""

    def turned(array: Any, kernel: bool) -> Any:
        return array.transpose([3, 2, 0, 1] if kernel else [0, 3, 1, 2]) if array.ndim > 2 else array

    def call(x: Any, *more: Any, **options: Any) -> Any:
        kernel = function is not reference.avg_pool_backward
        others = [turned(a, kernel) if isinstance(a, np.ndarray) else a for a in more]
        return function(turned(x, False), *others, **options).transpose(0, 2, 3, 1)

    return call


@pytest.mark.spec("ORC-D11")
def test_who_is_asked_in_the_wrong_layout_is_told_so() -> None:
    failure = failure_of("avg_pool_backward", last(reference.avg_pool_backward))
    assert failure.condition == "Answered rightly where it is asked with the channels last."
    assert "help: Judge it with --layout channels_last.\n" in failure_text(failure)
    assert failure_text(failure).endswith("more: reference-cnn explain ORC-D11")
    # What a layer refuses in any layout, as here to be without a bias, is no evidence against one.
    turned = last(reference.conv_forward)
    assert failure_of("conv_forward", lambda x, w, b: turned(x, w, b)).remedy == "Judge it with --layout channels_last."
    first = failure_of("conv_forward", reference.conv_forward, layout="channels_last")
    assert first.remedy == "Judge it with --layout channels_first."
    assert ChannelsLast(reference.relu, "max_pool_forward").plain is reference.relu


@pytest.mark.spec("ORC-D11")
def test_what_is_wrong_besides_the_layout_is_not_blamed_on_it() -> None:
    turned = last(reference.conv_forward)

    def off_by_one(x: Any, w: Any, b: Any = None) -> Any:
        return turned(x, w, b) + (x.shape[0] == 2)

    def refusing(x: Any, w: Any, b: Any = None) -> Any:
        if x.shape[0] > 1:
            raise ValueError("one image")
        return turned(x, w, b)

    def dying(x: Any, w: Any, b: Any = None) -> Any:
        if x.shape[-1] == 2:
            raise RuntimeError("two channels")
        return turned(x, w, b)

    def shifted(x: Any, w: Any, b: Any = None) -> Any:
        return turned(x, w, b) + 1

    failure = failure_of("conv_forward", off_by_one)
    counted = re.fullmatch(
        r"Of the (\d+) wrong answers (\d+) are right where it is asked with the channels last\.", failure.condition
    )
    assert counted is not None
    assert 0.6 * int(counted[1]) <= int(counted[2]) < int(counted[1])
    assert failure.remedy == "Judge it with --layout channels_last."
    # Wrong in either layout; and in its own, with most of what is wrong there.
    for mostly in (refusing, dying, shifted):
        assert "--layout" not in failure_of("conv_forward", mostly).remedy
    assert "--layout" not in failure_of("conv_forward", lambda x, w, b=None: reference.conv_forward(x, w, b) + 1).remedy


def of_one(axes: int, function: Callable[..., Any]) -> Callable[..., Any]:
    """A function of arrays that lack the first axes; it raises for any others."""

    def call(x: Any, *more: Any, **options: Any) -> Any:
        assert x.ndim == 4 - axes
        outer = (None,) * axes
        others = [m[outer] if isinstance(m, np.ndarray) and axes == 2 and m.ndim == 2 else m for m in more]
        return function(x[outer], *others, **options)[(0,) * axes]

    return call


def of_one_hot(z: Any, y: Any) -> Any:
    """The cross-entropy of logits of which the largest is 0."""
    return (np.log(np.exp(z).sum(axis=1)) - (z * y).sum(axis=1)).sum()


RIGHT_SO: dict[str, tuple[str, Callable[..., Any], str, str]] = {
    "one image": (
        "conv_forward",
        of_one(1, lambda x, w, b=None, **o: reference.conv_forward(x, w, b, **o)),
        "about one image alone",
        "Keep the axis for images.",
    ),
    "one channel": (
        "conv_forward",
        of_one(2, lambda x, w, b=None: reference.conv_forward(x, w, b)),
        "about one channel of one image alone",
        "Keep all axes: (N, C, *D).",
    ),
    "one pooled image": (
        "avg_pool_forward",
        of_one(1, reference.avg_pool_forward),
        "about one image alone",
        "Keep the axis for images.",
    ),
    "one example": (
        "dense_forward",
        lambda x, w, b=0: [sum(column * x) for column in w.T] + b if x.ndim == 1 else None,
        "about one example alone",
        "Keep the axis for examples: x (N, m), z (N, n).",
    ),
    "the errors last": (
        "conv_backward",
        lambda x, w, dz, **o: reference.conv_backward(dz, x, w, **o),
        "with its arguments in the order x, w, dz",
        "Take them in the order dz, x, w.",
    ),
    "the input before the errors": (
        "max_pool_backward",
        lambda x, dy, window, **o: reference.max_pool_backward(dy, x, window, **o),
        "with its arguments in the order x, dy",
        "Take them in the order dy, x.",
    ),
    "the output before the errors": (
        "softmax_backward",
        lambda a, da: reference.softmax_backward(da, a),
        "with its arguments in the order a, da",
        "Take them in the order da, a.",
    ),
    "the kernel first": (
        "conv_forward",
        lambda w, x, b=None, **o: reference.conv_forward(x, w, b, **o),
        "with its arguments in the order w, x",
        "Take them in the order x, w.",
    ),
    "one-hot rows": (
        "cross_entropy",
        lambda z, y: of_one_hot(z - z.max(axis=1, keepdims=True), y) if y.shape == z.shape else None,
        "with labels as one-hot rows",
        "Take labels as numbers of classes: (N,) integers.",
    ),
}


@pytest.mark.spec("ORC-D17")
@pytest.mark.parametrize("how", RIGHT_SO)
def test_who_takes_arguments_for_something_else_is_told_so(how: str) -> None:
    name, function, words, remedy = RIGHT_SO[how]
    failure = failure_of(name, function, seed=1)
    assert failure.condition == f"Answered rightly where it is asked {words}."
    assert failure.remedy == remedy
    assert failure_text(failure).endswith("more: reference-cnn explain ORC-D17")
    assert failure.consistency == ""


def in_columns(turned: bool, *, mean: bool = False, kept: bool = False) -> dict[str, Callable[..., Any]]:
    """A dense layer of examples in columns; a row of w for each neuron if it is turned."""

    def forward(x: Any, w: Any, b: Any = None) -> Any:
        return (w if turned else w.T) @ x + (0 if b is None else b.reshape(-1, 1))

    def backward(dz: Any, x: Any, w: Any) -> Any:
        n = x.shape[1] if mean else 1
        dx, dw = (w.T @ dz, dz @ x.T / n) if turned else (w @ dz, x @ dz.T / n)
        return dx, dw, dz.sum(axis=1, keepdims=kept) / n

    return {"dense_forward": forward, "dense_backward": backward}


@pytest.mark.spec("ORC-D17")
@pytest.mark.parametrize("turned", [False, True])
def test_examples_in_columns_are_told_with_weights_either_way(turned: bool) -> None:  # pytest's
    weights, row = ("w.T", " and a row of w for each neuron") if turned else ("w", "")
    rows = "Take them in rows, or have it given "
    for kept in (False, True):
        functions = in_columns(turned, kept=kept)
        forward, backward = (failure_of(name, function) for name, function in functions.items())
        assert forward.condition == f"Answered rightly where it is asked with examples in columns{row}."
        assert forward.remedy == f"{rows}x.T, {weights}, b[:, None], and transpose z."
        assert backward.condition == forward.condition
        assert backward.remedy == f"{rows}dz.T, x.T, {weights}, and transpose {'dx and dw' if turned else 'dx'}."
    mean = failure_of("dense_backward", in_columns(turned, mean=True, kept=True)["dense_backward"])
    assert mean.condition == f"Answered rightly where it is asked with examples in columns{row}, by mean-over-batch."
    assert mean.remedy.endswith(" (--accept mean-over-batch)")


@pytest.mark.spec("ORC-D17")
def test_probabilities_in_the_place_of_logits_are_told() -> None:
    def loss(p: Any, y: Any) -> Any:
        return -np.log(p[np.arange(len(p)), y]).sum()

    def of_rows(p: Any, y: Any) -> Any:
        return (p - y) / len(p)

    given = failure_of("cross_entropy", loss)
    assert given.condition == "Answered rightly where it is asked with the softmax of z."
    assert given.remedy == "Take the softmax of z first: it is logits."
    both = failure_of("cross_entropy_prime", of_rows)
    said = "with the softmax of z and labels as one-hot rows, by loss-extra-mean"
    assert both.condition == f"Answered rightly where it is asked {said}."
    assert "Take labels as numbers of classes: (N,) integers." in both.remedy


@pytest.mark.spec("ORC-D17", "ORC-D11")
def test_axes_that_db_keeps_come_on_top_of_a_reading() -> None:
    def of_last(x: Any, w: Any, dz: Any) -> Any:
        dx, dw, db = reference.conv_backward(dz.transpose(0, 3, 1, 2), x.transpose(0, 3, 1, 2), w.transpose(3, 2, 0, 1))
        return dx.transpose(0, 2, 3, 1), dw.transpose(2, 3, 1, 0), db.reshape(1, 1, 1, -1)

    failure = failure_of("conv_backward", lambda dz, x, w: of_last(x, w, dz))
    assert failure.condition == "Answered rightly where it is asked with the channels last, but for the axes of db."
    assert failure.remedy == "Judge it with --layout channels_last. Give db one axis."
    assert failure.clause.startswith("CONV-B")  # what is broken; the reading has a clause of its own
    assert failure_text(failure).endswith("more: reference-cnn explain ORC-D11")


@pytest.mark.spec("ORC-D17")
def test_who_is_wrong_then_too_is_not_told_so() -> None:
    wrong: dict[str, Callable[..., Any]] = {
        "conv_backward": lambda x, w, dz, **o: (2 * reference.conv_backward(dz, x, w, **o)[0], None, None),
        "dense_forward": lambda x, w, b=0: x @ w + b + len(x) if x.ndim == 1 else None,
        "cross_entropy": lambda z, y: y.sum() if y.ndim == 2 else None,
        "max_pool_forward": of_one(1, lambda *a, **o: 3 * reference.max_pool_forward(*a, **o)),
    }
    for name, function in wrong.items():
        failure = failure_of(name, function)
        assert "Answered rightly" not in failure.condition
        assert not failure.remedy


@pytest.mark.spec("ORC-D13")
def test_a_backward_that_only_has_another_order_is_not_said_to_be_no_derivative() -> None:
    target = {
        "softmax": lambda z: reference.softmax(z) * 2,
        "softmax_backward": lambda a, da: reference.softmax_backward(da, a),
    }
    report = check(target, functions=list(target), profile="quick")
    failure = report.results["softmax_backward"].failure
    assert failure is not None
    assert failure.consistency == ""


@pytest.mark.spec("ORC-D17", "ORC-D11")
def test_the_order_is_told_in_the_other_layout_too() -> None:
    def of_last(x: Any, dy: Any, window: Any) -> Any:
        x, dy = (a.transpose(0, 3, 1, 2) for a in (x, dy))
        return reference.avg_pool_backward(dy, x, window).transpose(0, 2, 3, 1)

    failure = failure_of("avg_pool_backward", of_last, layout="channels_last")
    assert failure.remedy == "Take them in the order dy, x."


@pytest.mark.spec("ORC-D17")
def test_who_is_mostly_right_has_not_misread() -> None:
    def without_bias_for_one(x: Any, w: Any, b: Any = None) -> Any:
        if x.ndim == 3:
            return reference.conv_forward(x[None], w, b)[0]
        return reference.conv_forward(x, w, b if len(x) > 1 else None)

    failure = failure_of("conv_forward", without_bias_for_one)
    assert not failure.remedy
    assert "images" in failure.condition


@pytest.mark.spec("ORC-D6", "ORC-D11")
def test_axes_are_said_as_the_target_is_given_them() -> None:
    def raising(*arguments: Any) -> Any:
        raise RuntimeError("out of order")

    target = {"conv_forward": raising, "dense_forward": raising}
    report = check(target, layout="channels_last", profile="quick", functions=list(target))
    said = " ".join(str(report).split())
    assert "x (example, feature), w (feature, neuron). If you" in said
    assert "x (image, row, column, channel), w (kernel row, kernel column, channel, filter). If you" in said
