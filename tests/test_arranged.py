"""How answers are said to lie whose numbers are right: in another order of axes, in another shape, not summed."""

import re
from collections.abc import Callable
from itertools import permutations
from typing import Any

import numpy as np
import pytest
from diagnosing import failure_of

import reference_cnn as reference
from reference_cnn.oracle.arranged import rearranged
from reference_cnn.oracle.cases import Case
from reference_cnn.oracle.notation import read
from reference_cnn.oracle.targets.layout import laid_out
from reference_cnn.oracle.text import failure_text
from reference_cnn.oracle.workers import Found


def then(function: Callable[..., Any], change: Callable[[Any], Any]) -> Callable[..., Any]:
    """The function, and then something done to what it returns."""
    return lambda *arguments, **options: change(function(*arguments, **options))


def losses(z: Any, labels: Any) -> Any:
    """One cross-entropy for each example."""
    return [reference.cross_entropy(z[n : n + 1], labels[n : n + 1]) for n in range(len(z))]


LYING: dict[str, tuple[str, Callable[..., Any], str, str]] = {
    "channels last": (
        "conv_forward",
        then(reference.conv_forward, lambda z: z.transpose(0, 2, 3, 1)),
        "the order of the axes of z, which are (image, row, column, filter)",
        "Return z as (image, filter, row, column): z.transpose(0, 3, 1, 2).",
    ),
    "filters first": (
        "conv_forward",
        then(reference.conv_forward, lambda z: z.swapaxes(0, 1)),
        "the order of the axes of z, which are (filter, image, row, column)",
        "Return z as (image, filter, row, column): z.transpose(1, 0, 2, 3).",
    ),
    "examples in columns": (
        "dense_forward",
        then(reference.dense_forward, np.transpose),
        "the order of the axes of z, which are (neuron, example)",
        "Return z as (example, neuron): z.T.",
    ),
    "any number of axes": (
        "sigmoid",
        then(reference.sigmoid, np.transpose),
        "the order of the axes of a, which is reversed",
        "Return a.T.",
    ),
    "flattened": (
        "max_pool_forward",
        then(reference.max_pool_forward, lambda y: y.reshape(len(y), -1)),
        "the shape of y, whose numbers are all there, and in order",
        "Give y the axes (image, channel, row, column), also those of one entry.",
    ),
    "squeezed": (
        "conv_forward",
        then(reference.conv_forward, np.squeeze),
        "the shape of z, whose numbers are all there, and in order",
        "Give z the axes (image, filter, row, column), also those of one entry.",
    ),
    "flat numbers": (
        "relu",
        then(reference.relu, np.ravel),
        "the shape of a, whose numbers are all there, and in order",
        "Give a the shape of z.",
    ),
    "an array of one number": (
        "squared_error",
        then(reference.squared_error, lambda error: np.full((1, 1), error)),
        "the shape of E, whose numbers are all there, and in order",
        "Return E as a number.",
    ),
    "a loss for each example": (
        "cross_entropy",
        lambda z, labels: np.array(losses(z, labels)),
        "the sum of E, which is not taken",
        "Return E.sum().",
    ),
}


@pytest.mark.spec("ORC-D17")
@pytest.mark.parametrize("how", LYING)
def test_how_right_numbers_lie_is_told(how: str) -> None:
    name, function, lie, remedy = LYING[how]
    failure = failure_of(name, function, seed=1)
    assert failure.condition == f"Right but for {lie}."
    assert failure.remedy == remedy
    assert failure_text(failure).endswith("more: reference-cnn explain ORC-D17")


@pytest.mark.spec("ORC-D17")
def test_each_gradient_has_an_order_of_its_own() -> None:
    def turned(gradients: Any) -> Any:
        dx, dw, db = gradients
        return dx.transpose(0, 2, 3, 1), dw.transpose(2, 3, 1, 0), db

    failure = failure_of("conv_backward", then(reference.conv_backward, turned))
    assert failure.condition == (
        "Right but for the order of the axes of dx, which are (image, row, column, channel), "
        "and the order of the axes of dw, which are (kernel row, kernel column, channel, filter)."
    )
    assert failure.remedy == (
        "Return dx as (image, channel, row, column): dx.transpose(0, 3, 1, 2). "
        "Return dw as (filter, channel, kernel row, kernel column): dw.transpose(3, 2, 0, 1)."
    )


@pytest.mark.spec("ORC-D17", "ORC-D11")
def test_axes_are_those_of_the_layout_that_is_asked_in() -> None:
    def first(x: Any, window: Any) -> Any:
        return reference.max_pool_forward(x.transpose(0, 3, 1, 2), window)

    failure = failure_of("max_pool_forward", first, layout="channels_last")
    assert failure.condition == "Right but for the order of the axes of y, which are (image, channel, row, column)."
    assert failure.remedy == "Return y as (image, row, column, channel): y.transpose(0, 2, 3, 1)."


# No two sizes of an output are equal.
DISTINCT = "x=2x3x5x8 w=6x3x2x4"


def channels_behind(array: Any, output: str) -> Any:
    """An output as a target with the channels last has it."""
    return array.transpose((2, 3, 1, 0) if output == "dw" else (0, 2, 3, 1)) if array.ndim == 4 else array


@pytest.mark.spec("ORC-D17", "ORC-D11")
@pytest.mark.parametrize("layout", ["channels_first", "channels_last"])
@pytest.mark.parametrize(("name", "output"), [("conv_forward", "z"), ("conv_backward", "dx"), ("conv_backward", "dw")])
def test_the_code_that_helps_makes_every_order_right(name: str, output: str, layout: str) -> None:
    case = Case(name, read(DISTINCT), "exact")
    right = {n: e.value for n, e in case.expected.items()}
    theirs = {n: channels_behind(a, n) if layout == "channels_last" else a for n, a in right.items()}
    for order in list(permutations(range(4)))[1:]:
        turned = theirs[output].transpose(order)
        answer = turned if output == "z" else {**theirs, output: turned}
        found = Found.by(laid_out(lambda *arrays, answer=answer: answer, name, layout), case, strict=False)
        assert found.judgement.failure is not None
        remedy = rearranged(found.judgement.failure, [found], layout).remedy
        places = re.search(rf": {output}\.transpose\((.*)\)\.$", remedy)
        assert places is not None, order
        assert np.array_equal(turned.transpose([int(p) for p in places[1].split(", ")]), theirs[output])


@pytest.mark.spec("ORC-D17")
def test_what_is_wrong_besides_or_right_as_it_is_has_no_order() -> None:
    def at_times(x: Any, w: Any, b: Any = None) -> Any:
        z = reference.conv_forward(x, w, b)
        return z.swapaxes(2, 3) if len(x) == 2 else z

    def where_equal(x: Any, w: Any, b: Any = None) -> Any:
        z = reference.conv_forward(x, w, b)
        return z.swapaxes(0, 1) if z.shape[0] == z.shape[1] else z

    def raising(x: Any, w: Any, b: Any = None) -> Any:
        if len(x) == 2:
            raise RuntimeError("two images")
        return reference.conv_forward(x, w, b).swapaxes(2, 3)

    def more(x: Any, w: Any, b: Any = None) -> Any:
        return (reference.conv_forward(x, w, b) + len(x)).swapaxes(2, 3)

    for function in (at_times, where_equal, raising, more):
        failure = failure_of("conv_forward", function)
        assert "Right but for" not in failure.condition
        assert not failure.remedy
