"""Argument checks and their messages.

Every message names the function, the argument, the values at hand and the clause of the specification.
"""

import operator
from collections.abc import Sequence
from typing import Any, SupportsIndex, TypeGuard

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

NUMBER_KINDS = "iufcO"

# The largest stride, dilation, window, padding and number of groups: no place in a window then overflows an int64.
LARGEST = 2**31 - 1

Array = NDArray[Any]


def number_array(function: str, name: str, value: ArrayLike) -> Array:
    """Return `value` as an array of numbers; refuse None, strings, booleans, masked and other arrays [ARR-C1]."""
    if value is None or isinstance(value, np.ma.MaskedArray):
        raise TypeError(f"{function}: {name} must be an array of numbers, not {type(value).__name__} [ARR-C1]")
    try:
        array = np.asarray(value)
    except ValueError as error:
        raise ValueError(f"{function}: {name} is not a rectangular array: {error} [ARR-C1]") from error
    # Kind V holds the extension floats of ml_dtypes (bfloat16 …) and structured arrays; only the former widen.
    if array.dtype.kind not in NUMBER_KINDS and not (array.dtype.kind == "V" and np.can_cast(array.dtype, np.float32)):
        raise TypeError(f"{function}: {name} must be an array of numbers, has dtype {array.dtype} [ARR-C1]")
    return array


def result_dtype(function: str, *arrays: Array) -> np.dtype[Any]:
    """NumPy's promotion of the arrays' dtypes, in native byte order [ARR-N1]."""
    try:
        return np.result_type(*(a.dtype for a in arrays)).newbyteorder("=")
    except TypeError as error:
        names = ", ".join(str(a.dtype) for a in arrays)
        raise TypeError(f"{function}: no common dtype for {names}; convert one of them [ARR-C2]") from error


def native(array: Array) -> Array:
    """The array in native byte order, itself if it already is [ARR-N1]."""
    return array.astype(array.dtype.newbyteorder("="), copy=False)


def working_dtype(dtype: np.dtype[Any]) -> DTypeLike:
    """The dtype to compute in: float32 for 16-bit (and smaller) floats, so that only results are rounded [ARR-N3]."""
    return np.float32 if dtype == np.float16 or dtype.kind == "V" else dtype


def integer(function: str, name: str, value: object, minimum: int, clause: str) -> int:
    """Return `value` as an int from `minimum` to LARGEST; what is not an integer, booleans too, is a TypeError."""
    if isinstance(value, (bool, np.bool_)) or not is_one_integer(value):
        raise TypeError(f"{function}: {name} must be an int, is {value!r} [{clause}]")
    number = operator.index(value)
    if number < minimum:
        raise ValueError(f"{function}: {name} must be at least {minimum}, is {number} [{clause}]")
    if number > LARGEST:
        raise ValueError(f"{function}: {name} must be below 2**31, has {number.bit_length()} bits [{clause}]")
    return number


def is_one_integer(value: Any) -> TypeGuard[SupportsIndex]:
    """Whether a value is an integer of any kind, an array of no axes included; an array of more is several."""
    if type(value) is int:  # nearly always, and soon said
        return True
    # A boolean of NumPy has the method in some versions, and warns when it is called.
    if getattr(value, "ndim", None) or isinstance(value, np.bool_):
        return False
    try:
        operator.index(value)
    except TypeError:  # without the method, or an array, which has it all the same
        return False
    return True


def is_sequence(value: object) -> TypeGuard[Sequence[Any]]:
    """Whether a value has entries, as a tuple or an array of an axis or more."""
    return isinstance(value, Sequence) or (isinstance(value, np.ndarray) and value.ndim > 0)


def entries(function: str, name: str, value: object, count: int, what: str, clause: str) -> tuple[object, ...]:
    """Return `value` as a tuple with one entry per axis: `count` entries, or an int repeated."""
    if is_one_integer(value):
        return (value,) * count
    if not is_sequence(value) or isinstance(value, str | bytes):
        raise TypeError(f"{function}: {name} must be an int or {count} {what}, is {value!r} [{clause}]")
    values = tuple(value)
    if len(values) != count:
        raise ValueError(f"{function}: {name} must be an int or {count} {what}, is {values!r} [{clause}]")
    return values


def shape(function: str, name: str, array: Array, expected: tuple[int, ...], meaning: str, clause: str) -> None:
    """Refuse an array whose shape is not `expected`; `meaning` says where the expectation comes from."""
    if array.shape != expected:
        raise ValueError(f"{function}: {name} has shape {array.shape}, expected {expected} ({meaning}) [{clause}]")
