"""The committed test vectors, read independently of the package, and whether an implementation answers them."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

SPEC = Path(__file__).parents[1] / "spec"
FILES: dict[str, dict[str, Any]] = {
    path.stem: json.loads(path.read_text(encoding="utf-8")) for path in sorted((SPEC / "vectors").glob("*.json"))
}
SCHEMA = json.loads((SPEC / "vectors.schema.json").read_text(encoding="utf-8"))
Case = dict[str, Any]


def cases(function: str, *results: str) -> Iterator[tuple[str, Case]]:
    """Yield dtype and case for every case of these results, in each dtype that it is asked in."""
    for group in FILES[function]["groups"]:
        for case in group["cases"]:
            if case["result"] in results:
                yield from ((dtype, case) for dtype in group["dtypes"])


def array(given: dict[str, Any], dtype: str = "float64") -> Any:
    """An array of a file, converted as VEC-D3 says."""
    kind = np.dtype(dtype) if given.get("dtype") != "int64" else np.dtype(np.int64)
    return np.array(given["data"], np.float64).astype(kind).reshape(given["shape"])


def answers(function: Callable[..., Any], dtype: str, case: Case) -> tuple[Any, ...]:
    given = [array(a, dtype) if isinstance(a, dict) else a for a in case["arguments"].values()]
    with np.errstate(all="ignore"):
        answer = function(*given, **case["keywords"])
    return answer if isinstance(answer, tuple) else (answer,)


def wrong(function: Callable[..., Any], dtype: str, case: Case) -> bool:
    """Whether an answer is outside its bounds, has another shape, or is an exception."""
    try:
        given = answers(function, dtype, case)
    except (ValueError, IndexError):
        return True
    for got, right in zip(given, case["outputs"].values(), strict=True):
        if list(np.shape(got)) != right["shape"]:
            return True
        error = np.abs(np.ravel(got).astype(np.float64) - right["data"])
        if not (error <= right["bounds"][dtype]).all():
            return True
    return False
