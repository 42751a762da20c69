"""Test vectors: questions with their exact answers and bounds as files, for any language (spec/vectors.md)."""

import json
import math
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

import reference_cnn
from reference_cnn._validate import Array
from reference_cnn.oracle.layers import LAYERS
from reference_cnn.oracle.vectors import exact
from reference_cnn.oracle.vectors.flags import FLAGS
from reference_cnn.oracle.vectors.more_tables import MORE_TABLES
from reference_cnn.oracle.vectors.question import Entry, Question
from reference_cnn.oracle.vectors.refusals import Refusal, refusals
from reference_cnn.oracle.vectors.tables import TABLES

# Names may be added to it; a reader refuses another [VEC-C1].
FORMAT = 1
# What fits is written on one line.
WIDTH = 120


def write(folder: Path, seed: int = 0) -> list[Path]:
    """Write one file for each function, over those that are there, and return their paths [VEC-D1].

    Raises
    ------
    OSError
        The folder cannot be made or written to.
    """
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for function in LAYERS:
        path = folder / f"{function}.json"
        path.write_text(text(vectors(function, seed)) + "\n", encoding="utf-8", newline="\n")
        paths.append(path)
    return paths


def vectors(function: str, seed: int = 0) -> dict[str, Any]:
    """Return what the file of a function says.

    Examples
    --------
    >>> [group["dtypes"] for group in vectors("relu")["groups"]]
    [['float64', 'float32', 'float16', 'bfloat16'], ['float64']]
    """
    layer = LAYERS[function]
    asked = list(questions(function, seed))
    named = {name for entry, _ in asked for name in entry.flags.split()}
    return {
        "format": FORMAT,
        "generator": f"reference_cnn {reference_cnn.__version__}",
        "seed": seed,
        "function": function,
        "clauses": dict(zip(layer.outputs, layer.clauses)),
        "flags": {name: FLAGS[name] for name in FLAGS if name in named},
        "groups": [*_groups(asked), *_refused(function, refusals(function))],
    }


def questions(function: str, seed: int = 0) -> Iterator[tuple[Entry, Question]]:
    """Yield the questions that a function must answer, with the rows that they come from."""
    for entry in {**TABLES, **MORE_TABLES}[function]():
        yield entry, Question.of(function, entry, seed)


def text(value: Any, indent: str = "") -> str:
    """Write JSON, on one line what fits there, and every list of numbers."""
    line = json.dumps(value, ensure_ascii=False, allow_nan=False)
    flat = isinstance(value, list) and not any(isinstance(v, list | dict) for v in value)
    if flat or not isinstance(value, list | dict) or len(indent) + len(line) <= WIDTH:
        return line
    inner = indent + " "
    if isinstance(value, list):
        parts, (start, end) = [text(v, inner) for v in value], "[]"
    else:
        parts, (start, end) = [f"{json.dumps(k)}: {text(v, inner)}" for k, v in value.items()], "{}"
    return f"{start}\n{inner}" + f",\n{inner}".join(parts) + f"\n{indent}{end}"


def _groups(asked: Iterable[tuple[Entry, Question]]) -> list[dict[str, Any]]:
    """Cases together that are asked in the same dtypes."""
    groups: dict[tuple[str, ...], list[dict[str, Any]]] = {}
    for entry, question in asked:
        dtypes = exact.dtypes(question, entry.dtypes)
        groups.setdefault(dtypes, []).append(_case(entry, question, dtypes))
    return [{"dtypes": list(dtypes), "cases": cases} for dtypes, cases in groups.items()]


def _case(entry: Entry, question: Question, dtypes: tuple[str, ...]) -> dict[str, Any]:
    answers = exact.values(question)
    limits = {dtype: exact.limits(question, dtype, answers) for dtype in dtypes}
    options = dict(zip(LAYERS[question.function].positional, question.positional))
    return {
        "id": f"{question.function}/{entry.name}",
        "result": "acceptable" if entry.reason else "valid",
        **({"reason": entry.reason} if entry.reason else {}),
        "flags": entry.flags.split(),
        "arguments": {**{name: _array(name, a) for name, a in question.arguments.items()}, **options},
        "keywords": question.keywords,
        "outputs": {
            name: {
                "shape": list(value.shape),
                "data": _numbers(value),
                "bounds": {dtype: _bound(limits[dtype][name]) for dtype in dtypes},
            }
            for name, value in answers.items()
        },
    }


def _refused(function: str, rows: list[Refusal]) -> list[dict[str, Any]]:
    """The group of what must be refused, if there is such."""
    cases = [
        {
            "id": f"{function}/{name}-refused",
            "result": "invalid",
            "reason": why,
            "clause": clause,
            "flags": [],
            "arguments": {n: _ones(n, v) if isinstance(v, tuple) else v for n, v in given.items()},
            "keywords": keywords,
        }
        for name, clause, why, given, keywords in rows
    ]
    return [{"dtypes": ["float64"], "cases": cases}] if cases else []


def _ones(name: str, shape: tuple[int, ...]) -> dict[str, Any]:
    return _array(name, np.ones(shape, np.int64 if name == "labels" else np.float64))


def _array(name: str, array: Array) -> dict[str, Any]:
    """An array as the protocol has it [PROTO-D5]."""
    dtype = "int64" if name == "labels" else "float64"
    return {"dtype": dtype, "shape": list(array.shape), "data": _numbers(array)}


def _numbers(array: Array) -> list[int | float]:
    """The elements in C order, whole numbers without a point."""
    return [int(v) if v == math.floor(v) and abs(v) < 2**53 else float(v) for v in array.ravel().tolist()]


def _bound(limit: Array) -> list[float] | int:
    """One bound for each element, or 0 for all."""
    return [exact.rounded_up(v) for v in limit.ravel().tolist()] if limit.any() else 0
