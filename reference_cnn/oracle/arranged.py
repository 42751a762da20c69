"""How an answer whose numbers are right lies: its axes in another order or shape, its sum not taken [ORC-D17]."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import permutations
from typing import NamedTuple

import numpy as np

from reference_cnn._validate import Array
from reference_cnn.oracle.cases import Case
from reference_cnn.oracle.judge import Failure, judge
from reference_cnn.oracle.layers import LAYERS, axes, channels_last
from reference_cnn.oracle.targets.ask import Answer
from reference_cnn.oracle.workers import Found


class Arrangement(NamedTuple):
    """What makes a right output of one that lies so, given that and the right shape; how it lies, and what helps."""

    put: Callable[[Array, tuple[int, ...]], Array]
    how: str
    remedy: str


def rearranged(failure: Failure, found: Sequence[Found], layout: str) -> Failure:
    """Say how the outputs lie, if every answer is right once they are arranged, those that are right anyway too."""
    if any(f.answer.outcome != "answered" for f in found):
        return failure
    arrangements = []
    # What is wrong tells most arrangements from the right one, and first.
    wrong_first = sorted(found, key=lambda f: f.judgement.failure is None)
    for output in LAYERS[failure.case.function].outputs:
        if not all(_is_right(f, output, lambda array, shape: array) for f in wrong_first):
            ways = _arrangements(failure.case, output, layout)
            way = next((w for w in ways if all(_is_right(f, output, w.put) for f in wrong_first)), None)
            if way is None:
                return failure
            arrangements.append(way)
    if not arrangements:
        return failure
    said = f"Right but for {', and '.join(a.how for a in arrangements)}."
    return replace(failure, condition=said, remedy=" ".join(a.remedy for a in arrangements), otherwise="ORC-D17")


def _is_right(found: Found, output: str, put: Callable[[Array, tuple[int, ...]], Array]) -> bool:
    """Whether one output is right, or absent, once it is arranged, whatever the others are."""
    got = found.answer.outputs[output]
    if got is None:
        return True
    right = found.case.expected[output].value.shape
    arranged = put(got, right)
    if arranged.shape != right:
        return False
    alone = Answer("answered", {**dict.fromkeys(found.answer.outputs), output: arranged})
    return judge(found.case, alone).failure is None


def _arrangements(case: Case, output: str, layout: str) -> Iterator[Arrangement]:
    names = axes(case.function, output, case.rank)
    shape = f"the shape of {output}, whose numbers are all there, and in order"
    if not names:  # a loss
        yield Arrangement(_reshaped, shape, f"Return {output} as a number.")
        summed = f"the sum of {output}, which is not taken"
        yield Arrangement(lambda array, right: np.asarray(array.sum()), summed, f"Return {output}.sum().")
    elif names[0].startswith("axis"):  # of which there may be any number
        reversed_axes = f"the order of the axes of {output}, which is reversed"
        yield Arrangement(lambda array, right: array.T, reversed_axes, f"Return {output}.T.")
        yield Arrangement(_reshaped, shape, f"Give {output} the shape of {LAYERS[case.function].arguments[0]}.")
    else:
        yield from _orders(output, names, layout)
        there = ", ".join(_laid_out(names, output, layout))
        yield Arrangement(_reshaped, shape, f"Give {output} the axes ({there}), also those of one entry.")


def _reshaped(array: Array, shape: tuple[int, ...]) -> Array:
    return array.reshape(shape) if array.size == math.prod(shape) else array


def _orders(output: str, names: tuple[str, ...], layout: str) -> Iterator[Arrangement]:
    """Every order of the axes but the right one."""
    right = _laid_out(names, output, layout)
    for order in list(permutations(range(len(names))))[1:]:

        def put(array: Array, shape: tuple[int, ...], order: tuple[int, ...] = order) -> Array:
            return array.transpose(order) if array.ndim == len(order) else array

        theirs = _laid_out(tuple(names[order.index(place)] for place in range(len(names))), output, layout)
        places = ", ".join(str(theirs.index(name)) for name in right)
        transposed = f"{output}.T" if len(names) == 2 else f"{output}.transpose({places})"
        how = f"the order of the axes of {output}, which are ({', '.join(theirs)})"
        yield Arrangement(put, how, f"Return {output} as ({', '.join(right)}): {transposed}.")


def _laid_out(names: tuple[str, ...], output: str, layout: str) -> tuple[str, ...]:
    return channels_last(names, output) if layout == "channels_last" and len(names) > 2 else names
