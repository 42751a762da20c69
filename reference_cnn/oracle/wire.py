"""Arrays on their way to another process: as numbers in JSON, or as bytes beside it (spec/protocol.md)."""

import json
import math
import sys
from typing import Any

import ml_dtypes
import numpy as np

from reference_cnn._validate import Array

# The dtypes that may cross. The name of NumPy's widest float differs between machines; both ends are on one.
DTYPES: dict[str, np.dtype[Any]] = {
    dtype.name: dtype
    for dtype in map(
        np.dtype,
        (
            *(np.float64, np.float32, np.float16, ml_dtypes.bfloat16, np.longdouble),
            *(np.int64, np.int32, np.int16, np.int8, np.uint64, np.uint32, np.uint16, np.uint8, np.bool_),
            *(np.complex128, np.complex64, np.clongdouble),
        ),
    )
}
# What JSON has no number for [PROTO-D5].
SPECIAL = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}


class WireError(ValueError):
    """What came is not what the protocol says; the message says what it is."""


def parse(line: bytes) -> dict[str, Any]:
    """Read one line, a JSON object [PROTO-D1].

    Raises
    ------
    WireError
        It is none.
    """
    try:
        # Bare NaN and Infinity are Python's, not JSON's, and so are other encodings; a byte order mark may be there.
        message = json.loads(line.decode("utf-8-sig"), parse_constant=_refuse, object_pairs_hook=_distinct)
    except (ValueError, RecursionError) as error:
        raise WireError(f"{quoted(line)}, which is not JSON ({error})") from error
    if not isinstance(message, dict):
        raise WireError(f"{quoted(line)}, which is not a JSON object")
    return message


def line(message: dict[str, Any]) -> bytes:
    """Write one line; it has no line feed but the last, and round-trips every float64."""
    return json.dumps(message, allow_nan=False, separators=(",", ":")).encode("ascii") + b"\n"


def as_numbers(array: Array) -> dict[str, Any]:
    """Write dtype, shape and numbers in C order; the text of each is read back as the same number [PROTO-D5].

    Examples
    --------
    >>> as_numbers(np.array([[0.1, np.inf]]))
    {'dtype': 'float64', 'shape': [1, 2], 'data': [0.1, 'Infinity']}
    """
    flat = array.ravel()
    numbers: list[Any] = (flat if flat.dtype.kind in "iub" else flat.astype(np.float64)).tolist()
    if flat.dtype.kind not in "iub" and not np.isfinite(flat).all():
        numbers = [v if math.isfinite(v) else str(v).replace("inf", "Infinity").replace("nan", "NaN") for v in numbers]
    return {**header(array), "data": numbers}


def header(array: Array) -> dict[str, Any]:
    """Dtype and shape, which every form of an array has."""
    return {"dtype": array.dtype.name, "shape": list(array.shape)}


def from_numbers(value: Any) -> Array:
    """Read an array that `as_numbers` or another program wrote [PROTO-C4].

    Raises
    ------
    WireError
        An unknown dtype, a shape that is none, too few or too many data, or data that are no numbers.
    """
    dtype, shape = read_header(value)
    data = value.get("data")
    if not isinstance(data, list):
        raise WireError(f"no list of data but {quoted(data)}")
    if len(data) != math.prod(shape):
        raise WireError(f"{len(data)} data, which do not fill shape {shape}")
    kinds = set(map(type, data))
    if str in kinds:
        data = [SPECIAL.get(v, v) if isinstance(v, str) else v for v in data]
        kinds = set(map(type, data))
    allowed = {int} if dtype.kind in "iu" else {bool} if dtype.kind == "b" else {int, float}
    if not kinds <= allowed or dtype.kind == "c":
        index = next((i for i, v in enumerate(data) if type(v) not in allowed), 0)
        raise WireError(f"data[{index}] = {quoted(data[index] if data else data)} in an array of {dtype.name}")
    try:
        # Through float64, since NumPy rounds text and large integers to 16 bits its own way; too large is infinite.
        with np.errstate(over="ignore"):
            return np.array(data, dtype if dtype.kind in "iub" else np.float64).astype(dtype).reshape(shape)
    except (OverflowError, ValueError) as error:
        raise WireError(f"data that do not fit {dtype.name} ({error})") from error


def read_header(value: Any) -> tuple[np.dtype[Any], tuple[int, ...]]:
    """Check dtype and shape of an array in any form."""
    if not isinstance(value, dict):
        raise WireError(f"{quoted(value)}, which is no array: it has no dtype, shape and data")
    dtype, shape = value.get("dtype"), value.get("shape")
    if not isinstance(dtype, str) or dtype not in DTYPES:
        raise WireError(f"dtype {quoted(dtype)}, which is none of {', '.join(DTYPES)}")
    if not isinstance(shape, list) or not all(type(n) is int and n >= 0 for n in shape):
        raise WireError(f"shape {quoted(shape)}, which is no list of sizes")
    return DTYPES[dtype], tuple(shape)


def as_bytes(array: Array) -> bytes:
    """The elements in C order, little-endian [PROTO-D6]."""
    return (array if sys.byteorder == "little" else array.byteswap()).tobytes()


def from_bytes(value: Any, raw: bytes) -> Array:
    """Read the elements that `as_bytes` wrote; `value` has dtype and shape. The array is new and can be written."""
    dtype, shape = read_header(value)
    if len(raw) != byte_count(value):
        raise WireError(f"{len(raw)} bytes, which do not fill shape {shape} of {dtype.name}")
    try:
        array = np.frombuffer(bytearray(raw), dtype).reshape(shape)
    except (OverflowError, ValueError) as error:
        raise WireError(f"shape {quoted(list(shape))}, which no array can have ({error})") from error
    return array if sys.byteorder == "little" else array.byteswap(inplace=True)


def byte_count(value: Any) -> int:
    """How many bytes the array takes."""
    dtype, shape = read_header(value)
    return math.prod(shape) * dtype.itemsize


def plain(value: Any) -> Any:
    """Turn what is no array, such as a window or a stride, from JSON back into what Python's callers pass: tuples."""
    return tuple(map(plain, value)) if isinstance(value, list) else value


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a name twice in one object")
    return found


def _refuse(constant: str) -> None:
    raise ValueError(f'{constant} is no JSON; write "{constant}"')


def quoted(value: Any) -> str:
    """The beginning of something that another program sent, fit for one line of a report."""
    text = value.decode("utf-8", "replace") if isinstance(value, bytes) else json.dumps(value)
    shown = printable(text.strip())
    shown = f"{shown[:60]}…" if len(shown) > 60 else shown
    return repr(shown) if isinstance(value, bytes) else shown


def printable(text: str) -> str:
    """Replace what would move the cursor or change colours in a terminal."""
    return "".join(c if c.isprintable() else "�" for c in text)
