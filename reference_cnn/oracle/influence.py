"""Which numbers of a case the right answer does not depend on where the target's is wrong [ORC-D6]."""

from typing import TYPE_CHECKING

import numpy as np

from reference_cnn._validate import Array
from reference_cnn.oracle import bounds

if TYPE_CHECKING:
    from reference_cnn.oracle.cases import Case

# Farther than the numbers of small cases lie apart, so that a maximum changes in the one direction or the other.
FAR = 1000.0


def idle(case: "Case", output: str, wrong: Array) -> dict[str, Array]:
    """For each argument of floats, where the right values of the wrong entries do not depend on it.

    Each element is moved up and down; a function of the reference is asked twice for each, so cases must be small.
    """
    arrays = {n: a if n == "labels" else a.astype(np.float64) for n, a in case.arguments.items()}
    right = bounds.call(case, arrays)[output][wrong]
    found = {}
    for name, array in arrays.items():
        found[name] = np.zeros(array.shape, bool)
        for index in np.ndindex(array.shape) if name != "labels" else ():
            moved = (_moved(array, index, by) for by in (FAR, -FAR))
            found[name][index] = all(
                np.array_equal(bounds.call(case, {**arrays, name: m})[output][wrong], right) for m in moved
            )
    return found


def _moved(array: Array, index: tuple[int, ...], by: float) -> Array:
    moved = array.copy()
    moved[index] += by
    return moved
