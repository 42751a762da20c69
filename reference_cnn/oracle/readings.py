"""What else a function may take its arguments for: another layout or order, one image alone, one-hot rows [ORC-D17]."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import permutations
from typing import Any, NamedTuple

import numpy as np

from reference_cnn._validate import Array
from reference_cnn.oracle import offers
from reference_cnn.oracle.cases import Case
from reference_cnn.oracle.judge import Failure
from reference_cnn.oracle.layers import LAYERS, WINDOWED
from reference_cnn.oracle.mistakes import CONVENTIONS, MISTAKES
from reference_cnn.oracle.targets.ask import adapted
from reference_cnn.oracle.targets.layout import ChannelsLast, other_layout
from reference_cnn.oracle.workers import Found

# So large a share of what is wrong may have another reason than the layout.
FEW_LEFT = 0.4
ONE_CHANNEL = "about one channel of one image alone"
# Arrays with an axis for images, or examples.
BATCHED = ("x", "z", "y", "dz", "dy", "dx")


# Up to this scale of the logits nobody's probabilities are so small that their logarithms are infinite.
NARROW = 4.0


class Reading(NamedTuple):
    """The function as it would be asked; how that is, what helps, which cases can be asked so, and who says that."""

    function: Callable[..., Any]
    how: str
    remedy: str
    fits: Callable[[Case], bool] = lambda case: True
    clause: str = "ORC-D17"


def misread(failure: Failure, function: Callable[..., Any], wrong: list[Found]) -> Failure:
    """Say of a failure as what the function takes its arguments, if all calls that are wrong are right so.

    But for calls with features that it refuses then, too. A mean where there is a sum, and axes that db has kept, may
    come on top; another fault may where it is the layout.
    """
    name = failure.case.function
    means = [] if failure.case.accept else [c for c in CONVENTIONS if "mean" in c and name in MISTAKES[c].functions]
    for reading in _readings(function, name):
        fitting = sorted((f.case for f in wrong if reading.fits(f.case)), key=lambda case: case.size)
        for accept in ((), *((mean,) for mean in means)):
            asked = [replace(case, accept=accept or case.accept) for case in fitting]
            if asked and not _is_wrong(_asked(reading, asked[0])) and _is_right(reading, asked):
                said = f"Answered rightly where it is asked {reading.how}" + "".join(f", by {mean}" for mean in accept)
                also = "".join(f" {MISTAKES[mean].remedy} (--accept {mean})" for mean in accept)
                return replace(failure, condition=f"{said}.", remedy=reading.remedy + also, otherwise=reading.clause)
    return _in_layout(failure, function, wrong) if LAYERS[name].family in WINDOWED else failure


def _asked(reading: Reading, case: Case) -> Found:
    return Found.by(reading.function, case, strict=False)


def _is_right(reading: Reading, cases: Sequence[Case]) -> bool:
    """Whether all cases are answered rightly, but for features that are refused."""
    there = offers.of_offered([_asked(reading, case) for case in cases])
    return bool(there) and not any(f.judgement.failure for f in there)


def _in_layout(failure: Failure, function: Callable[..., Any], wrong: list[Found]) -> Failure:
    """Say that most of what is wrong is right in the other layout, where it is."""
    reading = _layout(function, failure.case.function)
    there = [_asked(reading, f.case) for f in wrong]
    left = sum(f.judgement.failure is not None for f in there)
    if left > len(wrong) * FEW_LEFT:
        return failure
    said = f"Of the {len(wrong)} wrong answers {len(wrong) - left} are right where it is asked {reading.how}."
    return replace(failure, condition=said, remedy=reading.remedy, otherwise=reading.clause)


def _is_wrong(found: Found) -> bool:
    """Whether it is wrong for certain: to refuse a call may mean that it lacks a feature."""
    return found.judgement.failure is not None and found.answer.outcome not in offers.REFUSED


def _readings(function: Callable[..., Any], name: str) -> Iterator[Reading]:
    readings = [_layout(function, name)] if LAYERS[name].family in WINDOWED else []
    for reading in _of_plain(function.plain if isinstance(function, ChannelsLast) else function, name):
        if not isinstance(function, ChannelsLast):
            readings.append(reading)
        elif reading.how != ONE_CHANNEL:  # whose axes lie elsewhere
            readings.append(reading._replace(function=ChannelsLast(reading.function, name)))
    for reading in readings:
        yield reading
        if "db" in LAYERS[name].outputs:
            how, remedy = f"{reading.how}, but for the axes of db", f"{reading.remedy} Give db one axis."
            yield reading._replace(function=_of_one_axis(reading.function, name), how=how, remedy=remedy)


def _layout(function: Callable[..., Any], name: str) -> Reading:
    layout, there = other_layout(function, name)
    return Reading(there, f"with the {layout.replace('_', ' ')}", f"Judge it with --layout {layout}.", clause="ORC-D11")


def _of_plain(function: Callable[..., Any], name: str) -> Iterator[Reading]:
    """What else a function may be asked that is given its arguments as they are."""
    layer = LAYERS[name]
    if layer.family in WINDOWED:
        yield _without(function, name, 1, "about one image alone", "Keep the axis for images.")
        yield _without(function, name, 2, ONE_CHANNEL, "Keep all axes: (N, C, *D).")
    elif layer.family == "dense":
        yield _without(function, name, 1, "about one example alone", "Keep the axis for examples: x (N, m), z (N, n).")
        yield from _in_columns(function, name)
    arrays = [n for n in layer.arguments if n != "b"]
    for order in list(permutations(arrays))[1:]:
        remedy = f"Take them in the order {', '.join(arrays)}."
        yield Reading(_reordered(function, name, order), f"with its arguments in the order {', '.join(order)}", remedy)
    if "labels" in arrays:
        rows, logits = "Take labels as numbers of classes: (N,) integers.", "Take the softmax of z first: it is logits."
        yield Reading(_given(function, name, _one_hot), "with labels as one-hot rows", rows)
        yield Reading(_given(function, name, _softmax), "with the softmax of z", logits, _is_narrow)
        both = _given(function, name, lambda z, labels: _softmax(*_one_hot(z, labels)))
        yield Reading(both, "with the softmax of z and labels as one-hot rows", f"{logits} {rows}", _is_narrow)


def _without(function: Callable[..., Any], name: str, axes: int, how: str, remedy: str) -> Reading:
    """Asked about the first image alone, or the first map of it, where there are no others."""
    names, first = LAYERS[name].arguments + LAYERS[name].positional, (0,) * axes
    inner = (*BATCHED, "w", "dw") if axes > 1 else BATCHED

    def there(arguments: Sequence[Any]) -> list[Any]:
        return [a[first] if n in inner else a for n, a in zip(names, arguments)]

    def back(output: str, array: Array) -> Array:
        return array[(None,) * axes] if output in inner else array.reshape(-1) if axes > 1 else array

    def fits(case: Case) -> bool:
        return all(set(shape[:axes]) == {1} for n, shape in case.shapes.items() if n in inner)

    return Reading(adapted(function, name, there, back), how, remedy, fits)


def _reordered(function: Callable[..., Any], name: str, order: Sequence[str]) -> Callable[..., Any]:
    names = LAYERS[name].arguments

    def there(arguments: Sequence[Any]) -> list[Any]:
        return [*(arguments[names.index(n)] for n in order), *arguments[len(order) :]]

    return adapted(function, name, there, lambda output, array: array)


def _in_columns(function: Callable[..., Any], name: str) -> Iterator[Reading]:
    """A dense layer that is given examples, and biases, in columns; its weights either way."""
    arrays = LAYERS[name].arguments
    for turned in ("", ".T"):

        def there(arguments: Sequence[Any], turned: str = turned) -> list[Any]:
            columns = {n: a[:, None] if n == "b" else a.T for n, a in zip(arrays, arguments)}
            return [a.T if n == "w" and not turned else a for n, a in columns.items()]

        def back(output: str, array: Array, turned: str = turned) -> Array:
            return array.reshape(-1) if output == "db" else array if output == "dw" and not turned else array.T

        given = ", ".join(f"w{turned}" if n == "w" else "b[:, None]" if n == "b" else f"{n}.T" for n in arrays)
        answer = "z" if name == "dense_forward" else "dx and dw" if turned else "dx"
        how = "with examples in columns" + " and a row of w for each neuron" * bool(turned)
        remedy = f"Take them in rows, or have it given {given}, and transpose {answer}."
        yield Reading(adapted(function, name, there, back), how, remedy)


def _of_one_axis(function: Callable[..., Any], name: str) -> Callable[..., Any]:
    """The function, but for axes that its db has beside that of filters or neurons."""

    def back(output: str, array: Array) -> Array:
        return array.reshape(-1) if output == "db" else array

    return adapted(function, name, list, back)


def _given(
    function: Callable[..., Any], name: str, turned: Callable[[Array, Array], tuple[Array, Array]]
) -> Callable[..., Any]:
    """A function of logits and labels that is given something made of them."""
    return adapted(function, name, lambda arguments: list(turned(*arguments)), lambda output, array: array)


def _one_hot(z: Array, labels: Array) -> tuple[Array, Array]:
    return z, (labels[:, None] == np.arange(z.shape[1])).astype(z.dtype)


def _softmax(z: Array, labels: Array) -> tuple[Array, Array]:
    return LAYERS["softmax"].reference(z), labels


def _is_narrow(case: Case) -> bool:
    return case.call.scale <= NARROW and case.call.special is None
