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
from reference_cnn.oracle.targets.ask import adapted
from reference_cnn.oracle.targets.layout import ChannelsLast, other_layout
from reference_cnn.oracle.workers import Found

ONE_CHANNEL = "about one channel of one image alone"
# Arrays with an axis for images, or examples.
BATCHED = ("x", "z", "y", "dz", "dy", "dx")


class Reading(NamedTuple):
    """The function as it would be asked; how that is, what helps, which cases can be asked so, and who says that."""

    function: Callable[..., Any]
    how: str
    remedy: str
    fits: Callable[[Case], bool] = lambda case: True
    clause: str = "ORC-D17"


def misread(failure: Failure, function: Callable[..., Any], wrong: list[Found]) -> Failure:
    """Say of a failure as what the function takes its arguments, if all calls that are wrong are right so.

    But for calls with features that it refuses then, too.
    """
    for reading in _readings(function, failure.case.function):
        fitting = sorted((f.case for f in wrong if reading.fits(f.case)), key=lambda case: case.size)
        if not fitting or _is_wrong(Found.by(reading.function, fitting[0], strict=False)):
            continue
        there = offers.of_offered([Found.by(reading.function, case, strict=False) for case in fitting])
        if there and not any(f.judgement.failure for f in there):
            said = f"Answered rightly where it is asked {reading.how}."
            return replace(failure, condition=said, remedy=reading.remedy, clause=reading.clause)
    return failure


def _is_wrong(found: Found) -> bool:
    """Whether it is wrong for certain: to refuse a call may mean that it lacks a feature."""
    return found.judgement.failure is not None and found.answer.outcome not in offers.REFUSED


def _readings(function: Callable[..., Any], name: str) -> Iterator[Reading]:
    layer = LAYERS[name]
    if layer.family in WINDOWED:
        layout, there = other_layout(function, name)
        yield Reading(
            there, f"with the {layout.replace('_', ' ')}", f"Judge it with --layout {layout}.", clause="ORC-D11"
        )
    for reading in _of_plain(function.plain if isinstance(function, ChannelsLast) else function, name):
        if not isinstance(function, ChannelsLast):
            yield reading
        elif reading.how != ONE_CHANNEL:  # whose axes lie elsewhere
            yield reading._replace(function=ChannelsLast(reading.function, name))


def _of_plain(function: Callable[..., Any], name: str) -> Iterator[Reading]:
    """What else a function may be asked that is given its arguments as they are."""
    layer = LAYERS[name]
    if layer.family in WINDOWED:
        yield _without(function, name, 1, "about one image alone", "Keep the axis for images.")
        yield _without(function, name, 2, ONE_CHANNEL, "Keep all axes: (N, C, *D).")
    elif layer.family == "dense":
        yield _without(function, name, 1, "about one example alone", "Keep the axis for examples: x (N, m), z (N, n).")
    arrays = [n for n in layer.arguments if n != "b"]
    for order in list(permutations(arrays))[1:]:
        remedy = f"Take them in the order {', '.join(arrays)}."
        yield Reading(_reordered(function, name, order), f"with its arguments in the order {', '.join(order)}", remedy)
    if "labels" in arrays:
        remedy = "Take labels as numbers of classes: (N,) integers."
        yield Reading(_one_hot(function, name), "with labels as one-hot rows", remedy)


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


def _one_hot(function: Callable[..., Any], name: str) -> Callable[..., Any]:
    def there(arguments: Sequence[Any]) -> list[Any]:
        z, labels = arguments
        return [z, (labels[:, None] == np.arange(z.shape[1])).astype(z.dtype)]

    return adapted(function, name, there, lambda output, array: array)
